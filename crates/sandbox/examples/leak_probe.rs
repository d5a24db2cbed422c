//! Runs a static program as the only step of an action and prints what it printed:
//! `leak_probe PROGRAM`. It is how the table of leaks (`benches/leak_table.py`) looks from inside
//! the sandbox. The root holds the program, an input and a link to it, all with the time of the
//! epoch; the host's description is the standard one.
//!
//! Absent on purpose: any judgement about what the program prints.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, FileTimes};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use counterseal_sandbox::{Action, Limits, Scratch, VirtualHost, run};

type Failure = Box<dyn std::error::Error>;

/// The second at which the action begins, and the time of the inputs.
const EPOCH: u64 = 1_234_567_890;

fn main() -> ExitCode {
    match look() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("leak_probe: {error}");
            ExitCode::FAILURE
        }
    }
}

fn look() -> Result<(), Failure> {
    let program = std::env::args().nth(1).ok_or("usage: leak_probe PROGRAM")?;
    let root = tempfile::tempdir()?;
    let logs = tempfile::tempdir()?;
    lay_out(root.path(), Path::new(&program))?;
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
    std::io::copy(
        &mut File::open(&outcome.stdout.path)?,
        &mut std::io::stdout(),
    )?;
    std::io::copy(
        &mut File::open(&outcome.stderr.path)?,
        &mut std::io::stderr(),
    )?;
    if outcome.exit.is_success() {
        Ok(())
    } else {
        Err(outcome.exit.to_string().into())
    }
}

fn lay_out(root: &Path, program: &Path) -> Result<(), Failure> {
    fs::set_permissions(root, fs::Permissions::from_mode(0o755))?;
    fs::create_dir(root.join("inputs"))?;
    fs::write(root.join("inputs/declared"), "declared\n")?;
    fs::copy(program, root.join("leak-probe"))?;
    std::os::unix::fs::symlink("inputs/declared", root.join("link"))?;
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(EPOCH);
    for (name, mode) in [
        ("inputs/declared", 0o444),
        ("inputs", 0o755),
        ("leak-probe", 0o755),
        ("", 0o755),
    ] {
        let path = root.join(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        File::open(&path)?.set_times(FileTimes::new().set_modified(time))?;
    }
    Ok(())
}
