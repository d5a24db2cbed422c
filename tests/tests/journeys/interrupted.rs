//! `kill -9` at any moment of `lock`, `assemble` and `record add`: the store and the record are
//! sound, the next run succeeds, and no entry is lost or doubled. A hundred rounds in all.
//!
//! The moments are pseudo-random within the time that an undisturbed run takes; the seed is
//! printed, and `COUNTERSEAL_SEED` sets it.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use counterseal_attestation::json::canonical;
use rustix::process::{Pid, Signal, kill_process_group};

use crate::harness::{Bench, Probe, Program, rules, sign};

const LOCK_ROUNDS: u64 = 34;
const ASSEMBLE_ROUNDS: u64 = 33;
const ADD_ROUNDS: u64 = 33;

/// Chooses the moments (xorshift64*, by Marsaglia and Vigna).
struct Moments {
    state: u64,
    interrupted: u64,
    rounds: u64,
    /// The time of an undisturbed run, the fastest so far.
    whole: Duration,
}

impl Moments {
    fn new() -> Self {
        let seed = std::env::var("COUNTERSEAL_SEED")
            .ok()
            .and_then(|seed| seed.parse().ok());
        let state = seed.unwrap_or(20_261_101_u64).max(1);
        println!("COUNTERSEAL_SEED={state}");
        Self {
            state,
            interrupted: 0,
            rounds: 0,
            whole: Duration::MAX,
        }
    }

    /// Takes the time of a run that nobody disturbs.
    fn undisturbed(&mut self, run: impl FnOnce()) {
        let start = Instant::now();
        run();
        self.whole = self.whole.min(start.elapsed());
    }

    fn next(&mut self) -> Duration {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let number = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        let nanos = (self.whole.as_nanos() * u128::from(number)) >> 32;
        Duration::from_nanos(u64::try_from(nanos).unwrap())
    }

    /// Starts the program with these words and kills it, and all it started, at the next moment.
    fn kill(&mut self, bench: &Bench, line: &str) {
        let moment = self.next();
        let mut command = bench.command(Program::Counterseal);
        command.args(line.split_whitespace()).process_group(0);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let alive = !ends_within(&mut child, moment);
        let group = Pid::from_child(&child);
        // The group may have ended by itself meanwhile.
        let _ = kill_process_group(group, Signal::KILL);
        child.wait().unwrap();
        self.rounds += 1;
        self.interrupted += u64::from(alive);
    }
}

impl Drop for Moments {
    fn drop(&mut self) {
        let Self {
            interrupted,
            rounds,
            whole,
            ..
        } = self;
        let whole = whole.as_millis();
        println!("{interrupted} of {rounds} runs were interrupted; undisturbed: {whole} ms");
    }
}

/// Whether the program ends by itself within a time.
fn ends_within(child: &mut Child, time: Duration) -> bool {
    // Nobody sends: the channel is an alarm clock.
    let (_keep, alarm) = mpsc::channel::<()>();
    let _ = alarm.recv_timeout(time);
    child.try_wait().unwrap().is_some()
}

/// What is in a directory. A killed program cannot remove its temporary files; the next does.
fn names(bench: &Bench, directory: &str) -> Vec<String> {
    let names = fs::read_dir(bench.path(directory))
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn lock() {
    let bench = Bench::bare();
    rules(&bench, "rules");
    let line = |store: &str| format!("lock rules/assembly.toml --store {store} --offline");
    let mut moments = Moments::new();
    for store in ["warm", "warm"] {
        moments.undisturbed(|| drop(bench.run(&line(store)).exits(0)));
    }
    let lock = bench.path("rules/assembly.lock");
    for round in 0..LOCK_ROUNDS {
        // New content every time, and every other time a store that does not exist yet.
        let rule = bench.path("rules/rules/persistence.rule");
        let text = fs::read_to_string(&rule).unwrap();
        fs::write(&rule, format!("{text}# round {round}\n")).unwrap();
        let store = if round % 2 == 0 {
            format!("store-{round}")
        } else {
            "warm".to_owned()
        };
        let before = fs::read(&lock).unwrap();

        moments.kill(&bench, &line(&store));

        let after = fs::read(&lock).unwrap();
        let is_there = bench.path(&store).exists();
        let check = bench.run(&format!("store check --store {store}"));
        // Killed before the store was finished, there is none; a damaged one there is never.
        let is_sound = check.code() == Some(0) || !is_there || check.code() == Some(2);
        assert!(is_sound, "round {round}\n{}", check.spoken());
        bench.run(&line(&store)).exits(0);
        let new = fs::read(&lock).unwrap();
        assert!(
            after == before || after == new,
            "round {round}: the lock is old or new"
        );
        bench
            .run(&format!("store check --store {store}"))
            .exits(0)
            .says(" 0 problems");
        let fetch = format!("fetch rules/assembly.toml --store {store} --offline");
        bench.run(&fetch).exits(0).says("2 at hand");
    }
    assert_eq!(
        names(&bench, "rules"),
        ["assembly.lock", "assembly.toml", "rulec", "rules"]
    );
}

#[test]
fn assemble() {
    let bench = Bench::new();
    Probe::default().write(&bench, "probe");
    bench.lock("probe").exits(0);
    let line = Bench::assemble_line("probe");
    let mut moments = Moments::new();
    let mut known = 0;
    // Another output each time: nothing can be taken from the cache, and there is one to record.
    let write = |version: &str| {
        let words = format!("write-text /build/out {version}");
        Probe {
            version,
            words: &words,
            ..Probe::default()
        }
        .write(&bench, "probe");
    };
    for version in ["0.1", "0.2", "0.3"] {
        write(version);
        moments.undisturbed(|| drop(bench.run(&line).exits(0)));
        known += 1;
    }
    for round in 0..ASSEMBLE_ROUNDS {
        let version = format!("1.{round}");
        write(&version);

        moments.kill(&bench, &line);

        bench
            .run("store check --store store")
            .exits(0)
            .says(" 0 problems");
        let entries = bench.entries();
        assert!(
            (known..=known + 1).contains(&entries),
            "round {round}: {entries} entries"
        );
        bench.run(&line).exits(0);
        known += 1;
        assert_eq!(
            bench.entries(),
            known,
            "round {round}: neither lost nor doubled"
        );
        let ran = bench
            .verify(Program::CountersealVerify, &["out/probe.out"], &[])
            .exits(0);
        ran.says(&format!("This is probe {version}, unchanged"));
    }
    bench
        .run("store check --store store")
        .exits(0)
        .says(" 0 problems");
    // What was signed and not yet finished was, by the runs after it.
    assert_eq!(
        names(&bench, "out"),
        [
            "probe.out",
            "probe.out.runtime-trace.json",
            "probe.out.sigstore.jsonl"
        ]
    );
    assert_eq!(names(&bench, "tmp"), [""; 0]);
}

#[test]
fn record_add() {
    const ENVELOPES: u64 = 3;
    let bench = Bench::new();
    Probe::default().write(&bench, "probe");
    bench.lock("probe").exits(0);
    bench.assemble("probe", &[]).exits(0);
    let mut statement = bench.statements("out/probe.out").remove(0);
    let mut evidence = |round: u64| {
        let mut text = String::new();
        for number in 0..ENVELOPES {
            let name = format!("{round}.{number}");
            statement["predicate"]["runDetails"]["metadata"]["invocationId"] = name.into();
            let payload = canonical(&statement).unwrap();
            text.push_str(&sign(&bench, "keys/vendor.key", &payload).to_line());
            text.push('\n');
        }
        fs::write(bench.path("new.sigstore.jsonl"), text).unwrap();
    };
    let line = "record add record new.sigstore.jsonl --public-key keys/vendor.key.pub \
                --key keys/record.key";
    let mut moments = Moments::new();
    let mut known = 1;
    for warming in 0..2 {
        evidence(ADD_ROUNDS + warming);
        moments.undisturbed(|| drop(bench.run(line).exits(0)));
        known += ENVELOPES;
    }
    assert_eq!(bench.entries(), known);
    for round in 0..ADD_ROUNDS {
        evidence(round);

        moments.kill(&bench, line);

        let entries = bench.entries();
        assert!(
            (known..=known + ENVELOPES).contains(&entries),
            "round {round}: {entries}"
        );
        let ran = bench.run(line).exits(0);
        let indices: Vec<String> = (known..known + ENVELOPES)
            .map(|index| format!("index {index}\n"))
            .collect();
        assert_eq!(ran.stdout(), indices.concat(), "round {round}");
        known += ENVELOPES;
        assert_eq!(
            bench.entries(),
            known,
            "round {round}: neither lost nor doubled"
        );
    }
    let left = names(&bench, ".");
    assert!(
        !left.iter().any(|name| name.starts_with(".counterseal-")),
        "{left:?}"
    );
}
