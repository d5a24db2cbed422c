//! Times trivial actions: `bench_start PROGRAM [COUNT]`, where PROGRAM is a static executable
//! that does nothing (`true`). Prints medians in milliseconds, one `name value` a line: plain
//! fork and execute; an action in a sandbox of its own, as a process starts its first, the same if it has
//! prepared for it a moment before, and as it starts the others; and a further step in the same one.
//! Measures nothing else: hashing, staging and evidence are other crates' work.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use counterseal_sandbox::{Action, Limits, Premises, Scratch, VirtualHost, run};

/// How long the kernel gets to take down what was there before.
const SETTLE: Duration = Duration::from_millis(300);
/// What a program does between knowing the host and having the root takes at least this long.
const MOMENT: Duration = Duration::from_millis(1);

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match bench() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench_start: {error}");
            ExitCode::FAILURE
        }
    }
}

fn bench() -> Result<(), Failure> {
    let mut words = std::env::args().skip(1);
    let program = words.next().ok_or("usage: bench_start PROGRAM [COUNT]")?;
    let count = words.next().map_or(Ok(200), |word| word.parse::<usize>())?;

    let root = tempfile::tempdir()?;
    let logs = tempfile::tempdir()?;
    let inside = root.path().join("true");
    std::fs::copy(&program, &inside)?;
    std::fs::set_permissions(&inside, std::fs::Permissions::from_mode(0o755))?;
    let argv = ["/true".to_owned()];
    let limits = Limits::default();
    let (environment, waived) = (BTreeMap::new(), BTreeSet::new());
    let host = VirtualHost::standard(0, [0; 32]);
    let action = Action {
        root: root.path(),
        argv: &argv,
        environment: &environment,
        working_directory: "/build",
        limits: &limits,
        source_date_epoch: 0,
        host: &host,
        waived: &waived,
    };
    let step = |scratch: &mut Scratch| -> Result<(), Failure> {
        let outcome = run(&action, scratch, logs.path())?;
        if outcome.exit.is_success() {
            Ok(())
        } else {
            Err(outcome.exit.to_string().into())
        }
    };

    report("fork-exec", count, || {
        let status = Command::new(&inside).status()?;
        if status.success() {
            Ok(())
        } else {
            Err(status.to_string().into())
        }
    })?;
    report("sandbox-first", count, || step(&mut Scratch::new()))?;
    let prepare = || {
        let premises = Premises::new();
        premises.prepare(&host);
        std::thread::sleep(MOMENT);
        premises
    };
    report_with("sandbox-prepared", count, prepare, |premises| {
        step(&mut Scratch::within(&premises))
    })?;
    let premises = Premises::new();
    report("sandbox-fresh", count, || {
        step(&mut Scratch::within(&premises))
    })?;
    let mut scratch = Scratch::new();
    step(&mut scratch)?;
    report("sandbox-next-step", count, || step(&mut scratch))
}

fn report(
    name: &str,
    count: usize,
    mut once: impl FnMut() -> Result<(), Failure>,
) -> Result<(), Failure> {
    report_with(name, count, || (), |()| once())
}

/// The same with something done before each that is not timed.
fn report_with<Ready>(
    name: &str,
    count: usize,
    before: impl Fn() -> Ready,
    mut once: impl FnMut(Ready) -> Result<(), Failure>,
) -> Result<(), Failure> {
    std::thread::sleep(SETTLE);
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let ready = before();
        let started = Instant::now();
        once(ready)?;
        times.push(started.elapsed());
    }
    times.sort();
    let median: Duration = times.get(count / 2).copied().unwrap_or_default();
    println!("{name} {:.3}", median.as_secs_f64() * 1000.0);
    Ok(())
}
