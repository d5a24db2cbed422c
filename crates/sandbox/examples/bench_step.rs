//! Times one step: `bench_step ROOT SCRIPT` runs a shell script in a fresh sandbox over ROOT, with
//! the standard host, and prints the seconds from before the start to after the end, one number.
//! What it is compared with, and how often, is the caller's business (`benches/`).

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::time::Instant;

use counterseal_sandbox::{Action, Limits, Scratch, VirtualHost, run};

/// The second at which the action begins.
const EPOCH: u64 = 1_234_567_890;

fn main() -> ExitCode {
    match bench() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench_step: {error}");
            ExitCode::FAILURE
        }
    }
}

fn bench() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [root, script] = words.as_slice() else {
        return Err("usage: bench_step ROOT SCRIPT".into());
    };
    let logs = tempfile::tempdir()?;
    let argv = ["/bin/sh", "-euc", script].map(str::to_owned);
    let limits = Limits::default();
    let environment = BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]);
    let waived = BTreeSet::new();
    let host = VirtualHost::standard(EPOCH, [0; 32]);
    let action = Action {
        root: root.as_ref(),
        argv: &argv,
        environment: &environment,
        working_directory: "/build",
        limits: &limits,
        source_date_epoch: EPOCH,
        host: &host,
        waived: &waived,
    };
    let started = Instant::now();
    let outcome = run(&action, &mut Scratch::new(), logs.path())?;
    let seconds = started.elapsed().as_secs_f64();
    if !outcome.exit.is_success() {
        let log = std::fs::read_to_string(logs.path().join("stderr.log"))?;
        return Err(format!("{}: {log}", outcome.exit).into());
    }
    println!("{seconds}");
    Ok(())
}
