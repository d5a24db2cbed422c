//! The same recipe and lock give the same bytes: elsewhere, as somebody else, under another
//! language, time zone, file mask, home, and number of processors.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::harness::{Bench, PACK, Probe, Program, Ran, rules};

/// A circumstance that must not show.
struct Circumstance {
    name: &'static str,
    /// Words before the program's own.
    wrapper: &'static [&'static str],
    variables: &'static [(&'static str, &'static str)],
    user: Option<u32>,
}

const PLAIN: Circumstance = Circumstance {
    name: "plain",
    wrapper: &[],
    variables: &[],
    user: None,
};

const CIRCUMSTANCES: [Circumstance; 5] = [
    PLAIN,
    Circumstance {
        name: "closed file mask",
        wrapper: &["/bin/sh", "-c", "umask 077; exec \"$0\" \"$@\""],
        ..PLAIN
    },
    Circumstance {
        name: "open file mask, another language, zone and home",
        wrapper: &["/bin/sh", "-c", "umask 000; exec \"$0\" \"$@\""],
        variables: &[
            ("LANG", "tr_TR.UTF-8"),
            ("LC_ALL", "tr_TR.UTF-8"),
            ("TZ", "Pacific/Kiritimati"),
            ("HOME", "/nonexistent"),
            ("SOURCE_DATE_EPOCH", "1"),
            ("USER", "somebody"),
        ],
        user: None,
    },
    Circumstance {
        name: "one processor",
        wrapper: &["taskset", "0x1"],
        ..PLAIN
    },
    Circumstance {
        name: "another user",
        user: Some(54_321),
        ..PLAIN
    },
];

/// A directory with files, links and programs in an order of the step's own.
const TREE: &str = "mkdir /build/out then write-text /build/out/z last \
    then mkdir /build/out/directory then write /build/out/directory/large 300000 \
    then symlink ../z /build/out/directory/link then write-text /build/out/a first \
    then chmod 0700 /build/out/a then chmod 0777 /build/out/directory \
    then hardlink /build/out/z /build/out/again then mkdir /build/out/empty";

#[test]
fn circumstances_do_not_show() {
    let mut expected = None;
    for circumstance in &CIRCUMSTANCES {
        if let Some(reason) = impossible(circumstance) {
            println!("skipped: {}: {reason}", circumstance.name);
            continue;
        }
        let found = assembled(circumstance);
        assert_eq!(found.len(), 2, "both products");
        let expected = expected.get_or_insert_with(|| found.clone());
        assert_eq!(*expected, found, "{}", circumstance.name);
    }
}

#[test]
fn exported_steps_make_the_artifacts_elsewhere() {
    let bench = Bench::bare();
    let run = |line: &str| ran(&bench, &PLAIN, line.split_whitespace()).exits(0);
    rules(&bench, "rules");
    Probe {
        words: TREE,
        kind: "tar.zst",
        ..Probe::default()
    }
    .write(&bench, "probe");
    let expected = assembled(&PLAIN);
    for ((product, artifact), (expected, _)) in [("rules", PACK), ("probe", "probe.out")]
        .into_iter()
        .zip(expected)
    {
        run(&format!(
            "lock {product}/assembly.toml --store store --offline"
        ));
        run(&format!(
            "export {product}/assembly.toml --output {product}-action --store store --offline"
        ));
        // Away from the store, and from where it was written.
        let action = bench.path("elsewhere").join(product);
        fs::create_dir_all(action.parent().unwrap()).unwrap();
        fs::rename(bench.path(&format!("{product}-action")), &action).unwrap();
        let mut launch = Command::new(action.join("counterseal-launch"));
        let launched = launch
            .arg(action.join("action.json"))
            .env_clear()
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&launched.stderr);
        assert!(launched.status.success(), "{told}");
        assert!(fs::read(action.join("out/outputs").join(artifact)).unwrap() == expected);
    }
    let again = ran(
        &bench,
        &PLAIN,
        "export rules/assembly.toml --output elsewhere --offline --store store".split(' '),
    );
    again.exits(2);
}

/// Artifacts and locks of both products, assembled from nothing under a circumstance.
fn assembled(circumstance: &Circumstance) -> Vec<(Vec<u8>, String)> {
    let bench = Bench::bare();
    if let Some(user) = circumstance.user {
        // Its directory is the other user's; the program may lie where only we can go.
        bench.copy_program(Program::Counterseal);
        give_away(bench.directory(), user);
    }
    let run = |line: &str| ran(&bench, circumstance, line.split_whitespace()).exits(0);
    run("keys new attestation keys/vendor.key");
    run("keys new record keys/record.key --origin zurich.record.example");
    run("record init record --key keys/record.key");
    rules(&bench, "rules");
    Probe {
        words: TREE,
        kind: "tar.zst",
        ..Probe::default()
    }
    .write(&bench, "probe");
    if circumstance.name != PLAIN.name {
        disturb(&bench.path("rules/rules"));
    }
    let products = [("rules", PACK), ("probe", "probe.out")].map(|(product, artifact)| {
        if let Some(user) = circumstance.user {
            give_away(&bench.path(product), user);
        }
        run(&format!(
            "lock {product}/assembly.toml --store store --offline"
        ));
        run(&Bench::assemble_line(product));
        let lock = fs::read_to_string(bench.path(product).join("assembly.lock")).unwrap();
        let path = bench.path("out").join(artifact);
        if let Some(user) = circumstance.user {
            assert_eq!(fs::metadata(&path).unwrap().uid(), user);
        }
        (fs::read(path).unwrap(), lock)
    });
    products.into()
}

/// Runs the program under a circumstance.
fn ran<'a>(
    bench: &Bench,
    circumstance: &Circumstance,
    words: impl Iterator<Item = &'a str>,
) -> Ran {
    let inner = bench.command(Program::Counterseal);
    let mut wrapped = circumstance.wrapper.iter();
    let mut command = match wrapped.next() {
        Some(first) => {
            let mut command = Command::new(first);
            command.args(wrapped).arg(inner.get_program());
            command
        }
        None => Command::new(inner.get_program()),
    };
    command
        .args(words)
        .current_dir(bench.directory())
        .env_clear();
    command.envs(
        inner
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    command.envs(circumstance.variables.iter().copied());
    if let Some(user) = circumstance.user {
        command.uid(user).gid(user);
    }
    Ran::of(command)
}

/// Why a circumstance cannot be arranged on this machine.
fn impossible(circumstance: &Circumstance) -> Option<&'static str> {
    if circumstance.wrapper.first() == Some(&"taskset") {
        let possible = Command::new("taskset").args(["0x1", "true"]).output();
        return (!possible.is_ok_and(|output| output.status.success()))
            .then_some("there is no `taskset` here");
    }
    if circumstance.user.is_some() {
        let is_root = fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0);
        if !is_root {
            return Some("only root can become another user");
        }
        let temporary = std::env::temp_dir();
        let is_open = temporary
            .ancestors()
            .all(|ancestor| fs::metadata(ancestor).is_ok_and(|meta| meta.mode() & 0o001 != 0));
        return (!is_open).then_some("another user cannot reach the temporary directory");
    }
    None
}

/// Gives files different times and modes, and the directory another order.
fn disturb(directory: &Path) {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    names.sort();
    for path in names.into_iter().rev() {
        if path.is_dir() {
            disturb(&path);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        } else {
            let bytes = fs::read(&path).unwrap();
            fs::remove_file(&path).unwrap();
            fs::write(&path, bytes).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            let then = std::time::UNIX_EPOCH + std::time::Duration::from_secs(86_400);
            fs::File::options()
                .write(true)
                .open(&path)
                .unwrap()
                .set_modified(then)
                .unwrap();
        }
    }
}

fn give_away(path: &Path, user: u32) {
    std::os::unix::fs::chown(path, Some(user), Some(user)).unwrap();
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            give_away(&entry.unwrap().path(), user);
        }
    }
}
