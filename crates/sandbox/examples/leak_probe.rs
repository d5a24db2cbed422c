//! Runs the leak probe as the only step of an action and prints what it printed. It is how the
//! table of leaks (`benches/leak_table.py`) looks from inside the sandbox; the host's description
//! is the standard one. With `--root DIRECTORY` it runs nothing and makes the root, for those who
//! run the probe by other means: the probe, an input, and a link to it, with the time of the epoch.
//!
//! Absent on purpose: any judgement about what the probe prints.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use counterseal_sandbox::{Action, Limits, Scratch, VirtualHost, run};

type Failure = Box<dyn std::error::Error>;

/// The second at which the action begins, and the time of the inputs.
const EPOCH: u64 = 1_234_567_890;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        [] => look(),
        ["--root", directory] => lay_out(Path::new(directory)),
        _ => Err("usage: leak_probe [--root DIRECTORY]".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("leak_probe: {error}");
            ExitCode::FAILURE
        }
    }
}

fn look() -> Result<(), Failure> {
    let root = tempfile::tempdir()?;
    let logs = tempfile::tempdir()?;
    lay_out(root.path())?;
    let outcome = run(
        &Action {
            root: root.path(),
            argv: &["/leak-probe".to_owned()],
            environment: &BTreeMap::new(),
            working_directory: "/build",
            limits: &Limits::default(),
            source_date_epoch: EPOCH,
            host: &VirtualHost::standard(EPOCH, [7; 32]),
            waived: &BTreeSet::new(),
        },
        &mut Scratch::new(),
        logs.path(),
    )?;
    let mut printed = File::open(&outcome.stdout.path)?;
    std::io::copy(&mut printed, &mut std::io::stdout())?;
    let mut complaints = File::open(&outcome.stderr.path)?;
    std::io::copy(&mut complaints, &mut std::io::stderr())?;
    if outcome.exit.is_success() {
        Ok(())
    } else {
        Err(outcome.exit.to_string().into())
    }
}

/// Fills an existing directory.
fn lay_out(root: &Path) -> Result<(), Failure> {
    for name in ["inputs", "build", "dev", "proc", "tmp"] {
        fs::create_dir(root.join(name))?;
    }
    fs::write(root.join("inputs/declared"), "declared\n")?;
    fs::write(
        root.join("leak-probe"),
        counterseal_static_programs::LEAK_PROBE,
    )?;
    std::os::unix::fs::symlink("inputs/declared", root.join("link"))?;
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(EPOCH);
    for (name, mode) in [
        ("inputs/declared", 0o444),
        ("inputs", 0o755),
        ("leak-probe", 0o755),
        ("", 0o755),
    ] {
        let path = root.join(name);
        fs::set_permissions(&path, Permissions::from_mode(mode))?;
        File::open(&path)?.set_times(FileTimes::new().set_modified(time))?;
    }
    Ok(())
}
