//! The operator of a record: it checks out, and not one byte of what it publishes can change
//! unnoticed. The same for the evidence that customers hold.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use counterseal_attestation::bundle::Bundle;
use counterseal_attestation::{Sha256Digest, UnixSeconds};
use counterseal_verify::{Outcome, Request, Trust, verify};
use counterseal_verify_cli::native_provider::Native;

use crate::harness::{Bench, Probe, Program, Ran, files_below, publish, rules};

fn check(bench: &Bench, record: &str) -> Ran {
    bench.run(&format!(
        "record check {record} --public-key keys/record.key.pub"
    ))
}

/// Every file that a web server would publish.
fn published(record: &Path) -> Vec<PathBuf> {
    let mut files = files_below(record);
    files.retain(|path| !path.starts_with(record.join(".state")));
    files
}

#[test]
fn every_published_file_is_guarded() {
    let bench = Bench::new();
    Probe::default().write(&bench, "probe");
    bench.lock("probe").exits(0);
    bench.assemble("probe", &[]).exits(0);
    let mut provenance = bench.statements("out/probe.out").remove(0);
    for number in 0..4 {
        provenance["predicate"]["runDetails"]["metadata"]["invocationId"] =
            number.to_string().into();
        publish(&bench, "more.sigstore.jsonl", &provenance);
    }
    check(&bench, "record")
        .exits(0)
        .says("zurich.record.example: 5 entries");

    let files = published(&bench.path("record"));
    assert!(files.len() >= 3, "checkpoint, hashes, entries: {files:?}");
    for file in files {
        let sound = fs::read(&file).unwrap();
        let length = sound.len();
        for place in [0, length / 3, length / 2, length - 1] {
            let mut bytes = sound.clone();
            bytes[place] ^= 1;
            fs::remove_file(&file).unwrap();
            fs::write(&file, bytes).unwrap();
            let name = file.display();
            let ran = check(&bench, "record").speaks_plainly();
            assert_eq!(
                ran.code(),
                Some(1),
                "{name}, byte {place}\n{}",
                ran.spoken()
            );
            ran.says("hint: ").says("restore the named file");
        }
        // Too short, too long, not there.
        fs::write(&file, &sound[..length - 1]).unwrap();
        check(&bench, "record").exits(1).speaks_plainly();
        fs::write(&file, [&sound[..], b"\n"].concat()).unwrap();
        check(&bench, "record").exits(1).speaks_plainly();
        fs::remove_file(&file).unwrap();
        // A partial tile that a longer one has replaced may go; everything else may not.
        let text = file.to_string_lossy();
        let is_replaced = text.contains(".p/") && !text.ends_with(".p/5");
        let code = check(&bench, "record").speaks_plainly().code();
        assert!(
            matches!(code, Some(1 | 2)) || is_replaced,
            "{text}: {code:?}"
        );
        fs::write(&file, &sound).unwrap();
    }
    assert_eq!(bench.entries(), 5);
}

/// Runs a line with a lock held until it says that it waits.
fn waits_for(bench: &Bench, locked: &str, line: &str, said: &str) {
    let lock = fs::File::open(bench.path(locked)).unwrap();
    lock.lock().unwrap();
    let mut command = bench.command(Program::Counterseal);
    command.args(line.split_whitespace()).stderr(Stdio::piped());
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    let mut story = BufReader::new(child.stderr.take().unwrap());
    let mut waiting = String::new();
    story.read_line(&mut waiting).unwrap();
    assert_eq!(waiting, said, "{line}");
    drop(lock);
    let mut rest = String::new();
    story.read_to_string(&mut rest).unwrap();
    assert!(child.wait().unwrap().success(), "{line}: {rest}");
    assert!(!rest.contains("waiting"), "said once: {rest}");
}

#[test]
fn whoever_waits_long_is_told_for_what() {
    let bench = Bench::new();
    Probe::default().write(&bench, "probe");
    bench.lock("probe").exits(0);
    bench.assemble("probe", &[]).exits(0).never_says("waiting");
    let evidence = "out/probe.out.sigstore.jsonl";
    let text = fs::read_to_string(bench.path(evidence)).unwrap();
    let mut bundle = Bundle::parse(text.trim().as_bytes()).unwrap();
    bundle.entry = None;
    fs::write(bench.path(evidence), bundle.to_line()).unwrap();
    let said = "waiting for the store in store: another process collects what nobody needs any \
                more\n";
    waits_for(&bench, "store/lock", "store check --store store", said);
    let check = "record check record --public-key keys/record.key.pub";
    let add = format!(
        "record add record {evidence} --public-key keys/vendor.key.pub --key keys/record.key"
    );
    let record =
        "waiting for the record in record: another process is adding to it or checking it\n";
    waits_for(&bench, "record/.state/lock", check, record);
    waits_for(&bench, "record/.state/lock", &add, record);
    let folder = "waiting for out: another process is writing evidence there\n";
    waits_for(&bench, "out", &add, folder);
}

/// A web server is somebody else than the builder.
#[test]
fn what_is_published_can_be_read_by_everybody() {
    let bench = Bench::new();
    Probe::default().write(&bench, "probe");
    bench.lock("probe").exits(0);
    let private = |line: &str| {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", "umask 077; exec \"$0\" \"$@\""])
            .arg(bench.command(Program::Counterseal).get_program())
            .args(line.split_whitespace())
            .current_dir(bench.directory())
            .env_clear()
            .env("HOME", bench.path("home"));
        Ran::of(command).exits(0);
    };
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    private("keys new record own.key --origin own.example");
    assert_eq!(mode(&bench.path("own.key")), 0o600);
    assert_eq!(mode(&bench.path("own.key.pub")), 0o644);
    private("record init private --key keys/record.key");
    private(&Bench::assemble_line("probe").replace("--record record", "--record private"));
    let record = bench.path("private");
    for file in published(&record) {
        assert_eq!(mode(&file), 0o644, "{}", file.display());
        for directory in file
            .ancestors()
            .skip(1)
            .take_while(|&d| d != bench.directory())
        {
            assert_eq!(mode(directory), 0o755, "{}", directory.display());
        }
    }
    assert_eq!(mode(&record.join(".state")), 0o700);
    assert_eq!(mode(&record.join(".state/lock")), 0o600);
    // Whoever may write is the operator's business.
    fs::set_permissions(record.join("tile"), fs::Permissions::from_mode(0o775)).unwrap();
    private(
        "replay out/probe.out --store store --offline --sign keys/auditor.key \
         --auditor-id https://auditor.example --record private --record-key keys/record.key",
    );
    assert_eq!(mode(&record.join("tile")), 0o775);
}

/// That says nothing of the record, so it is not "checked and false".
#[test]
fn what_may_not_be_read_is_not_damaged() {
    if rustix::process::geteuid().is_root() {
        println!("skipped: root may read everything");
        return;
    }
    let bench = Bench::new();
    let checkpoint = bench.path("record/checkpoint");
    let mode = |mode| fs::set_permissions(&checkpoint, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o000);
    check(&bench, "record").exits(2).says("Permission denied");
    mode(0o644);
    check(&bench, "record").exits(0);
}

/// Nor is what the system does not give for another reason; it does not give this one to root.
#[test]
fn what_cannot_be_reached_is_not_damaged() {
    let bench = Bench::new();
    Probe::default().write(&bench, "probe");
    bench.lock("probe").exits(0);
    bench.assemble("probe", &[]).exits(0);
    let tile = bench.path("record/tile/0/000.p/1");
    let sound = fs::read(&tile).unwrap();
    fs::remove_file(&tile).unwrap();
    symlink("1", &tile).unwrap();
    check(&bench, "record")
        .exits(2)
        .speaks_plainly()
        .says("could not read record/tile/0/000.p/1")
        .says("hint: this says nothing of the record")
        .never_says("from a mirror");
    // Another kind of thing, or none, is damage.
    fs::remove_file(&tile).unwrap();
    check(&bench, "record").exits(1).says("from a mirror");
    fs::create_dir(&tile).unwrap();
    check(&bench, "record").exits(1).says("from a mirror");
    fs::remove_dir(&tile).unwrap();
    fs::write(&tile, sound).unwrap();
    check(&bench, "record").exits(0);
}

#[test]
fn another_key_does_not_check() {
    let bench = Bench::new();
    bench
        .run("keys new record keys/other.key --origin zurich.record.example")
        .exits(0);
    let ran = bench
        .run("record check record --public-key keys/other.key.pub")
        .exits(1);
    ran.speaks_plainly();
    bench
        .run("record check nothing --public-key keys/record.key.pub")
        .exits(2);
    bench
        .run("record check record --public-key keys/vendor.key.pub")
        .exits(2)
        .speaks_plainly();
    bench
        .run("record init record --key keys/record.key")
        .exits(2)
        .says("record");
    assert_eq!(bench.entries(), 0);
}

#[test]
fn adding_twice_gives_the_same_index() {
    let bench = Bench::new();
    Probe::default().write(&bench, "probe");
    bench.lock("probe").exits(0);
    bench.assemble("probe", &[]).exits(0);
    let evidence = bench.path("out/probe.out.sigstore.jsonl");
    let line = fs::read_to_string(&evidence).unwrap();
    let mut bundle = Bundle::parse(line.trim().as_bytes()).unwrap();
    bundle.entry = None;
    fs::write(
        bench.path("bare.sigstore.jsonl"),
        format!("{}\n", bundle.to_line()),
    )
    .unwrap();
    let add = "record add record bare.sigstore.jsonl --key keys/record.key --public-key";
    bench
        .run(&format!("{add} keys/auditor.key.pub"))
        .exits(1)
        .says("the signature is by none of the given public keys");
    let ran = bench.run(&format!("{add} keys/vendor.key.pub")).exits(0);
    assert_eq!(ran.stdout(), "index 0\n");
    assert_eq!(
        fs::read_to_string(bench.path("bare.sigstore.jsonl")).unwrap(),
        line
    );
    assert_eq!(bench.entries(), 1);
}

#[test]
fn no_byte_of_the_evidence_can_change_unnoticed() {
    let bench = Bench::new();
    Probe::default().write(&bench, "probe");
    bench.lock("probe").exits(0);
    bench.assemble("probe", &[]).exits(0);
    let file = "out/probe.out";
    let path = bench.path("out/probe.out.sigstore.jsonl");
    let provenance = fs::read(&path).unwrap();
    bench.replay(file, "store", &[]).exits(0);
    let both = fs::read(&path).unwrap();
    let trust = Trust::parse(&fs::read_to_string(bench.path("trust.toml")).unwrap()).unwrap();
    let artifact = Sha256Digest::of(&fs::read(bench.path(file)).unwrap());
    let now = UnixSeconds(4_000_000_000);
    let judge = |evidence: &[u8]| {
        let request = Request {
            evidence,
            artifact,
            artifact_name: None,
            trust: &trust,
            now,
        };
        verify(&request, &Native).outcome
    };
    let flip = |evidence: &[u8], places: &mut dyn Iterator<Item = usize>| {
        assert_eq!(judge(evidence), Outcome::Verified);
        let mut spoilt = evidence.to_vec();
        for place in places {
            spoilt[place] ^= 1 << (place % 8);
            let outcome = judge(&spoilt);
            // The line feeds between and after the lines are the file's, nobody's statement:
            // turning one into another blank is harmless, and the only change that may be.
            assert!(
                outcome != Outcome::Verified || evidence[place] == b'\n',
                "byte {place} of {}: {outcome:?}",
                evidence.len()
            );
            spoilt[place] = evidence[place];
        }
    };
    // Every byte, of the provenance alone and of the verdict beside it.
    std::thread::scope(|scope| {
        for part in 0..2 {
            let (flip, provenance, both) = (&flip, &provenance, &both);
            scope.spawn(move || {
                flip(provenance, &mut (part..provenance.len()).step_by(2));
                flip(both, &mut (provenance.len() + part..both.len()).step_by(2));
            });
        }
    });
    // A sample of the same through the programs.
    for verifier in [Program::Counterseal, Program::CountersealVerify] {
        for place in (0..both.len()).step_by(both.len() / 12) {
            let mut spoilt = both.clone();
            spoilt[place] ^= 4;
            fs::write(bench.path("spoilt"), spoilt).unwrap();
            let ran = bench
                .verify(verifier, &[file], &["--evidence", "spoilt"])
                .speaks_plainly();
            let is_harmless = both[place] == b'\n';
            let is_refused = matches!(ran.code(), Some(1 | 2));
            assert!(is_refused || is_harmless, "byte {place}\n{}", ran.spoken());
        }
    }
}

#[test]
fn a_public_half_that_is_not_the_key_s_is_not_shown_as_its_own() {
    let bench = Bench::new();
    for (key, other) in [("vendor", "auditor"), ("record", "other")] {
        if other == "other" {
            bench
                .run("keys new record keys/other.key --origin zurich.record.example")
                .exits(0);
        }
        bench.run(&format!("keys show keys/{key}.key")).exits(0);
        fs::copy(
            bench.path(&format!("keys/{other}.key.pub")),
            bench.path(&format!("keys/{key}.key.pub")),
        )
        .unwrap();
        bench
            .run(&format!("keys show keys/{key}.key"))
            .exits(2)
            .says(&format!("keys/{key}.key.pub"));
    }
}

/// Of the same name: the build must not be for nothing.
#[test]
fn another_record_key_is_noticed_before_the_build() {
    let bench = Bench::new();
    rules(&bench, "rules");
    bench.lock("rules").exits(0);
    bench
        .run("keys new record keys/other.key --origin zurich.record.example")
        .exits(0);
    let line = Bench::assemble_line("rules").replace("keys/record.key", "keys/other.key");
    bench
        .run(&line)
        .exits(2)
        .says("the checkpoint of the record record is not signed by keys/other.key")
        .never_says("step compile");
    assert_eq!(bench.entries(), 0);
}

/// What is shown is published: without the passphrase it is at least a public key, and said not to be
/// compared.
#[test]
fn a_public_key_in_the_place_of_a_private_one_is_told_from_one_that_others_can_read() {
    let bench = Bench::new();
    Probe::default().write(&bench, "probe");
    bench.lock("probe").exits(0);
    for (private, public) in [
        ("keys/vendor.key", "keys/vendor.key.pub"),
        ("keys/record.key", "keys/record.key.pub"),
    ] {
        let line = Bench::assemble_line("probe").replace(private, public);
        bench
            .run(&line)
            .exits(2)
            .says(&format!("{public} holds a public key"))
            .says(&format!("name {private} instead"));
    }
    fs::set_permissions(
        bench.path("keys/vendor.key"),
        fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    bench
        .run(&Bench::assemble_line("probe"))
        .exits(2)
        .says("keys/vendor.key can be read by others");
}

#[test]
fn the_public_half_of_an_encrypted_key_is_compared_if_it_can_be() {
    let bench = Bench::new();
    let show = |passphrase: &OsStr| {
        let mut command = bench.command(Program::Counterseal);
        command
            .args(["keys", "show", "keys/locked.key"])
            .env("COUNTERSEAL_PASSPHRASE", passphrase);
        Ran::of(command)
    };
    let mut command = bench.command(Program::Counterseal);
    command
        .args(["keys", "new", "attestation", "keys/locked.key"])
        .arg("--passphrase")
        .env("COUNTERSEAL_PASSPHRASE", "open sesame");
    Ran::of(command).exits(0);
    let public = bench.path("keys/locked.key.pub");
    let own = fs::read_to_string(&public).unwrap();
    assert_eq!(show("open sesame".as_ref()).exits(0).stdout(), own);
    show("wrong".as_ref()).exits(2);
    show(OsStr::from_bytes(b"\xff")).exits(2).says("not UTF-8");
    let unasked = || bench.run("keys show keys/locked.key");
    unasked().exits(0).says("was not compared");
    fs::copy(bench.path("keys/vendor.key.pub"), &public).unwrap();
    show("open sesame".as_ref())
        .exits(2)
        .says("does not belong to this key");
    fs::write(&public, "junk\n").unwrap();
    unasked().exits(2).says("keys/locked.key.pub");
}

#[test]
fn a_key_of_another_use_is_called_what_it_is() {
    let bench = Bench::new();
    rules(&bench, "rules");
    bench.lock("rules").exits(0);
    let line = Bench::assemble_line("rules").replace("keys/vendor.key", "keys/record.key");
    bench
        .run(&line)
        .exits(2)
        .says("keys/record.key is a record's key")
        .never_says("step compile");
    // A trust file that has another key for a record of this name: the evidence may well be sound.
    bench.assemble("rules", &[]).exits(0);
    bench
        .run("keys new record keys/other.key --origin zurich.record.example")
        .exits(0);
    let other = fs::read_to_string(bench.path("keys/other.key.pub")).unwrap();
    let own = fs::read_to_string(bench.path("keys/record.key.pub")).unwrap();
    let trust = fs::read_to_string(bench.path("trust.toml")).unwrap();
    let altered = trust.replace(own.trim_end(), other.trim_end());
    assert_ne!(altered, trust);
    fs::write(bench.path("trust.toml"), altered).unwrap();
    let file = format!("out/{}", crate::harness::PACK);
    bench
        .verify(Program::Counterseal, &[&file], &[])
        .exits(1)
        .says("compare the keys");
}
