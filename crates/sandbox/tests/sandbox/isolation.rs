//! What a well-behaved step sees: exactly the declared, and the same every time.

use std::fs;
use std::io::Read;
use std::os::unix::net::UnixListener;

use counterseal_sandbox::{DirectoryOrder, Guarantee, SandboxError, State};
use rustix::fs::{Mode, OFlags, ResolveFlags};

use crate::stage::{MIB, Stage, install};

#[test]
fn the_root_holds_the_declared_and_the_sandbox_own() {
    let mut stage = Stage::new();
    assert_eq!(
        stage.prints("list /"),
        "build\ndev\ninputs\nlink\nprobe\nproc\ntmp\ntop\n"
    );
    assert_eq!(
        stage.prints("list /dev"),
        "fd\nfull\nnull\nrandom\nshm\nstderr\nstdin\nstdout\nurandom\nzero\n"
    );
    assert_eq!(
        stage.prints("read /inputs/declared then read /link then read /top"),
        "declared\ndeclared\ntop\n"
    );
    assert_eq!(
        stage.prints("list /tmp then list /build then list /dev/shm"),
        "home\n"
    );
}

#[test]
fn the_host_is_out_of_sight() {
    let mut stage = Stage::new();
    let home = std::env::var("HOME").unwrap_or_else(|_| "/root".to_owned());
    let secret = tempfile::NamedTempFile::new().unwrap();
    for path in [
        "/etc/machine-id",
        "/etc/passwd",
        "/sys",
        &home,
        "/home",
        "/proc/sys",
        "/proc/1/cmdline",
        "/proc/kallsyms",
        secret.path().to_str().unwrap(),
        stage.root.path().to_str().unwrap().to_owned().as_str(),
    ] {
        let said = stage.refuses(&format!("stat {path}"));
        assert!(said.contains("No such file or directory"), "{path}: {said}");
    }
    // Process 1 is a copy of the assembly: not even its name shows.
    let shown = stage.prints("list /proc");
    assert!(shown.lines().any(|name| name == "2"), "{shown}");
    assert!(!shown.lines().any(|name| name == "1"), "{shown}");
}

#[test]
fn no_network() {
    let mut stage = Stage::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let said = stage.refuses(&format!("connect-tcp {address}"));
    assert!(said.contains("refused"), "{said}");
    // An address of the documentation range: no route leads anywhere.
    for experiment in [
        "connect-tcp 192.0.2.1:80",
        "send-udp 192.0.2.1:53",
        "connect-tcp [2001:db8::1]:80",
    ] {
        let said = stage.refuses(experiment);
        assert!(said.contains("unreachable"), "{said}");
    }
    stage.prints("echo-loopback");
}

#[test]
fn no_local_sockets_of_the_host() {
    use std::os::linux::net::SocketAddrExt;
    let mut stage = Stage::new();
    let name = format!("counterseal-test-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let _abstract_listener = UnixListener::bind_addr(&address).unwrap();
    let said = stage.refuses(&format!("connect-abstract {name}"));
    assert!(said.contains("refused"), "{said}");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let _listener = UnixListener::bind(&path).unwrap();
    let said = stage.refuses(&format!("connect-unix {}", path.display()));
    assert!(said.contains("No such file"), "{said}");
}

#[test]
fn the_environment_is_fixed() {
    let mut stage = Stage::new();
    stage.environment.insert("ZEBRA".to_owned(), "1".to_owned());
    stage
        .environment
        .insert("TZ".to_owned(), "Asia/Tokyo".to_owned());
    assert_eq!(
        stage.prints("environment"),
        "HOME=/build/home\nLANG=C.UTF-8\nLC_ALL=C.UTF-8\n\
         PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin\nSOURCE_DATE_EPOCH=1234567890\n\
         TMPDIR=/tmp\nTZ=UTC\nZEBRA=1\n"
    );
}

#[test]
fn the_identity_is_fixed_and_powerless() {
    let identity = Stage::new().prints("identity");
    let value = |name: &str| {
        let line = identity.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("{name} in {identity}"))
            .trim_start_matches(':')
            .trim()
    };
    assert_eq!(value("Uid"), "1000\t1000\t1000\t1000");
    assert_eq!(value("Gid"), "1000\t1000\t1000\t1000");
    assert_eq!(value("Umask"), "0022");
    assert_eq!(value("NSpid"), "2");
    assert_eq!(value("NoNewPrivs"), "1");
    assert_eq!(value("Seccomp"), "2");
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(value(set), "0000000000000000", "{set}");
    }
    assert_eq!(value("session and group"), "2 2 2");
    assert_eq!(value("cwd"), "/build");
}

/// Different scratch spaces, log directories, process ids and moments; the same root.
#[test]
fn two_runs_see_the_same() {
    let mut stage = Stage::new();
    let first = stage.prints("surroundings");
    stage.scratch = counterseal_sandbox::Scratch::new();
    stage.logs = tempfile::tempdir().unwrap();
    let second = stage.prints("surroundings");
    assert_eq!(first, second);
    assert!(first.contains("/dev mode=40755 uid=0 gid=0"), "{first}");
}

#[test]
fn only_standard_streams_are_open() {
    // The fourth is the directory being listed.
    let _open = fs::File::open("/dev/zero").unwrap();
    assert_eq!(Stage::new().prints("descriptors"), "0\n1\n2\n3\n");
}

#[test]
fn mounts_are_read_only_and_the_host_s_are_gone() {
    let mounts = Stage::new().prints("mounts");
    for line in mounts.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let (place, options) = (fields[4], fields[5]);
        let is_writable = ["/build", "/tmp", "/dev/shm"].contains(&place);
        assert_eq!(options.starts_with("rw"), is_writable, "{line}");
        assert!(options.contains("nosuid"), "{line}");
    }
    assert_eq!(mounts.lines().count(), 4, "{mounts}");
}

#[test]
fn steps_share_the_scratch_and_the_parent_reads_it() {
    let mut stage = Stage::new();
    assert!(matches!(
        stage.scratch.outputs(),
        Err(SandboxError::ScratchUnused)
    ));
    stage.prints("write-text /build/output one");
    stage.prints("append /build/output two then symlink /etc/passwd /build/escape");
    assert_eq!(stage.prints("read /build/output"), "one\ntwo\n");

    let directory = stage.scratch.outputs().unwrap();
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let open = |path: &str| {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        rustix::fs::openat2(&directory, path, flags, Mode::empty(), resolve)
    };
    let mut text = String::new();
    fs::File::from(open("build/output").unwrap())
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text, "one\ntwo\n");
    assert_eq!(open("build/escape").unwrap_err(), rustix::io::Errno::LOOP);
    assert_eq!(open("../etc/passwd").unwrap_err(), rustix::io::Errno::XDEV);
    // The contents outlive the scratch space's own life as long as they are held open.
    drop(stage);
    assert!(open("build/output").is_ok());
}

#[test]
fn scratch_spaces_do_not_mix() {
    let mut one = Stage::new();
    let mut other = Stage::new();
    one.prints("write-text /build/mine x");
    assert!(other.refuses("read /build/mine").contains("No such file"));
}

#[test]
fn a_scratch_space_keeps_to_one_root() {
    let mut stage = Stage::new();
    stage.prints("print x");
    let old = std::mem::replace(&mut stage.root, tempfile::tempdir().unwrap());
    install(
        stage.root.path(),
        "probe",
        counterseal_static_programs::PROBE,
    );
    let error = stage.fails("print x");
    assert!(matches!(error, SandboxError::RootChanged { .. }), "{error}");
    drop(old);
}

#[test]
fn logs_are_captured_and_hashed() {
    let mut stage = Stage::new();
    let outcome = stage
        .run("print out then print-error err then exit 3")
        .unwrap();
    assert_eq!(outcome.exit, counterseal_sandbox::Exit::Code(3));
    assert_eq!(
        (stage.stdout().as_str(), stage.stderr().as_str()),
        ("out\n", "err\n")
    );
    assert_eq!(outcome.stdout.size_bytes, 4);
    assert_eq!(
        outcome.stdout.sha256,
        counterseal_attestation::Sha256Digest::of(b"out\n")
    );
    assert_eq!(
        outcome.stderr.sha256,
        counterseal_attestation::Sha256Digest::of(b"err\n")
    );
    assert_eq!(fs::read(&outcome.stdout.path).unwrap(), b"out\n");
}

#[test]
fn every_offered_guarantee_is_enforced() {
    let mut traced = Stage::new();
    traced.host.virtual_timestamp_counter = true;
    let isolation = traced.run("print x").unwrap().isolation;
    for guarantee in Guarantee::ALL {
        let (state, mechanism) = &isolation[&guarantee];
        let expected = if guarantee.is_offered() {
            State::Enforced
        } else {
            State::Absent
        };
        assert_eq!(*state, expected, "{guarantee}: {mechanism}");
        assert!(!mechanism.is_empty());
    }
}

#[test]
fn programs_are_found_along_the_path() {
    let mut stage = Stage::new();
    fs::create_dir_all(stage.root.path().join("usr/bin")).unwrap();
    install(
        &stage.root.path().join("usr/bin"),
        "tool",
        counterseal_static_programs::PROBE,
    );
    let argv = ["tool", "print", "found it"].map(String::from);
    assert!(stage.run_argv(&argv).unwrap().exit.is_success());
    assert_eq!(stage.stdout(), "found it\n");
}

#[test]
fn a_large_log_comes_whole() {
    let mut stage = Stage::new();
    stage.limits.log_bytes = 8 * MIB;
    let outcome = stage.run(&format!("flood {}", 8 * MIB)).unwrap();
    assert_eq!(outcome.stdout.size_bytes, 8 * MIB);
    let bytes = fs::read(&outcome.stdout.path).unwrap();
    assert_eq!(
        outcome.stdout.sha256,
        counterseal_attestation::Sha256Digest::of(&bytes)
    );
}

#[test]
fn threads_may_run_actions_at_once() {
    let threads: Vec<_> = (0..8)
        .map(|number| {
            std::thread::spawn(move || {
                let mut stage = Stage::new();
                for _ in 0..3 {
                    assert_eq!(
                        stage.prints(&format!("print {number}")),
                        format!("{number}\n")
                    );
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn the_manifest_states_what_the_action_got() {
    let mechanisms = |stage: &mut Stage| {
        let isolation = stage.run("print x").unwrap().isolation;
        [
            Guarantee::FixedUser,
            Guarantee::Locale,
            Guarantee::TimeZone,
            Guarantee::Umask,
            Guarantee::BuildPath,
            Guarantee::DirectoryOrder,
        ]
        .map(|guarantee| isolation[&guarantee].1.clone())
    };
    let mut stage = Stage::new();
    let [user, locale, zone, mask, path, order] = mechanisms(&mut stage);
    assert!(user.starts_with("1000:1000"), "{user}");
    assert_eq!(locale, "LANG and LC_ALL set to C.UTF-8");
    assert_eq!(zone, "TZ set to UTC");
    assert_eq!(mask, "022; checked");
    assert_eq!(path, "tmpfs mounted at /build and /tmp");
    assert_eq!(order, "directory reads trapped and sorted");

    let mut stage = Stage::new();
    stage.host.user_id = 4711;
    stage.host.locale = "de_CH.UTF-8".to_owned();
    stage.host.time_zone = "Asia/Tokyo".to_owned();
    stage.host.umask = 0o7027;
    stage.host.build_path = "/work".to_owned();
    stage.host.directory_order = DirectoryOrder::Reversed;
    let [user, locale, zone, mask, path, order] = mechanisms(&mut stage);
    assert!(user.starts_with("4711:4711"), "{user}");
    assert_eq!(locale, "LANG and LC_ALL set to de_CH.UTF-8");
    assert_eq!(zone, "TZ set to Asia/Tokyo");
    assert_eq!(mask, "027; checked");
    assert!(
        path.contains("/build and /tmp") && path.contains("/work"),
        "{path}"
    );
    assert_eq!(order, "directory reads trapped and sorted backwards");
    stage.host.directory_order = DirectoryOrder::Shuffled(7);
    let [.., order] = mechanisms(&mut stage);
    assert_eq!(
        order,
        "directory reads trapped and shuffled by a fixed number"
    );
}
