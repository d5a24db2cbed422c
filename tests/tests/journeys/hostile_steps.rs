//! Steps that reach for what is not theirs, or never come to an end, through the real `assemble`:
//! each fails with a message that says why, and the host is as it was.

use std::collections::BTreeSet;
use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};

use crate::harness::{Bench, Probe, Ran};

const MIB: u64 = 1 << 20;

/// Assembles a product whose step is hostile: it must fail with exit code 1 and leave no process
/// and no file behind.
#[track_caller]
fn tried(bench: &Bench, step: &Probe) -> Ran {
    // Recognises processes of this very step, wherever they might have gone.
    let marker = format!(
        "hostile-step-{}",
        bench.directory().file_name().unwrap().display()
    );
    let environment = format!("MARKER = \"{marker}\"");
    Probe {
        environment: &environment,
        ..*step
    }
    .write(bench, "probe");
    bench.lock("probe").exits(0);
    let before = files(bench.directory());
    let ran = bench.assemble("probe", &[]);
    assert_eq!(ran.code(), Some(1), "{}\n{}", step.words, ran.spoken());
    let alive = processes_with(&marker);
    assert!(alive.is_empty(), "{}: still there: {alive:?}", step.words);
    let mut after = files(bench.directory());
    after.retain(|path| !before.contains(path));
    assert!(
        after.is_empty(),
        "{}: the host holds something new: {after:?}",
        step.words
    );
    ran.speaks_plainly().says("error: ")
}

/// Everything on the bench except the content store, whose content nobody can choose.
fn files(directory: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with("store") || path.ends_with("out") && is_empty(&path) {
            continue;
        }
        if path.is_dir() && !path.is_symlink() {
            found.extend(files(&path));
        }
        found.insert(path);
    }
    found
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).unwrap().next().is_none()
}

/// Processes of this machine whose environment or arguments contain a text.
fn processes_with(text: &str) -> Vec<PathBuf> {
    let has = |path: &Path| {
        fs::read(path).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(text))
    };
    let processes = fs::read_dir("/proc")
        .unwrap()
        .map(|entry| entry.unwrap().path());
    processes
        .filter(|path| has(&path.join("environ")) || has(&path.join("cmdline")))
        .collect()
}

/// A step that does as told, with small limits.
fn step(words: &str) -> Probe<'_> {
    let limits = "wall-seconds = 60\nmemory-bytes = 268435456\nscratch-bytes = 8388608\n\
                  log-bytes = 1048576\nprocesses-max = 64";
    Probe {
        words,
        limits,
        ..Probe::default()
    }
}

#[test]
fn there_is_no_network() {
    let bench = Bench::new();
    // Doors that are open on the host: one behind each kind of address.
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let name = format!(
        "counterseal-{}",
        bench.directory().file_name().unwrap().display()
    );
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let _abstract = UnixListener::bind_addr(&address).unwrap();
    let _socket = UnixListener::bind(bench.path("socket")).unwrap();
    let connect = format!("connect-tcp {}", tcp.local_addr().unwrap());
    tried(&bench, &step(&connect))
        .says("exit code 1")
        .says("Connection refused");
    let connect = format!("connect-abstract {name}");
    tried(&bench, &step(&connect)).says("Connection refused");
    let connect = format!("connect-unix {}", bench.path("socket").display());
    tried(&bench, &step(&connect)).says("No such file or directory");
    tried(&bench, &step("connect-tcp 192.0.2.1:80")).says("unreachable");
    tried(&bench, &step("send-udp 192.0.2.1:53")).says("unreachable");
    // Loopback inside is the step's own: what it sends there reaches nobody here.
    let send = format!("send-udp {} then exit 1", udp.local_addr().unwrap());
    tried(&bench, &step(&send));
    tcp.set_nonblocking(true).unwrap();
    udp.set_nonblocking(true).unwrap();
    assert!(
        tcp.accept().is_err() && udp.recv(&mut [0; 16]).is_err(),
        "nothing arrived"
    );
}

#[test]
fn what_was_not_declared_is_not_there() {
    let bench = Bench::new();
    fs::write(bench.path("home/secret"), "for me only").unwrap();
    fs::write(bench.path("undeclared"), "for me only").unwrap();
    let own = [
        bench.path("undeclared"),
        bench.path("home/secret"),
        bench.path("keys/vendor.key"),
    ];
    let own = own.map(|path| path.to_str().unwrap().to_owned());
    let real_home = std::env::var("HOME").unwrap_or_else(|_| "/root".to_owned());
    let paths = [
        "/etc/machine-id",
        "/etc/passwd",
        "/etc/hostname",
        "/proc/1/root/etc/passwd",
    ];
    for path in own.iter().map(String::as_str).chain(paths) {
        let ran = tried(&bench, &step(&format!("read {path}"))).never_says("for me only");
        let refused = ran.stderr();
        let refused = [
            "No such file or directory",
            "Permission denied",
            "Not a directory",
        ]
        .iter()
        .any(|words| refused.contains(words));
        assert!(refused, "{path}\n{}", ran.spoken());
    }
    for directory in [
        &*real_home,
        bench.path("home").to_str().unwrap(),
        "/home",
        "/var",
        "/usr",
    ] {
        tried(&bench, &step(&format!("list {directory}"))).says("No such file or directory");
    }
    // Where the inputs came from cannot be written to, nor can the root.
    let keys = bench.path("keys/vendor.key").display().to_string();
    tried(&bench, &step(&format!("write-text {keys} x"))).says("No such file or directory");
    tried(&bench, &step("append /bin/probe x")).says("Read-only file system");
    tried(&bench, &step("write-text /new x")).says("Read-only file system");
}

#[test]
fn nothing_outlives_the_step() {
    let bench = Bench::new();
    let ran = tried(
        &bench,
        &step("leave-behind then write-text /build/out done"),
    );
    ran.says("left processes behind, which were killed")
        .says("hint: wait for background processes");
}

#[test]
fn ten_gigabytes_do_not_fit() {
    let bench = Bench::new();
    for place in ["/build/big", "/tmp/big", "/dev/shm/big"] {
        let ran = tried(&bench, &step(&format!("write {place} 10000000000")));
        ran.says("after filling its scratch space of 8388608 bytes")
            .says("hint: raise the limit");
    }
    tried(&bench, &step("flood 10000000000")).says("printed more than its limit of 1048576 bytes");
}

#[test]
fn for_ever_ends_at_the_limit() {
    let bench = Bench::new();
    let limits = "wall-seconds = 2";
    let ran = tried(
        &bench,
        &Probe {
            limits,
            ..step("print waiting-for-nothing then loop")
        },
    );
    ran.says("ran longer than its limit of 2 s; still running: probe (2)")
        .says("its output ends with:\nwaiting-for-nothing")
        .says("hint: raise the limit");
}

#[test]
fn memory_and_processes_are_bounded() {
    let bench = Bench::new();
    let limits = format!("memory-bytes = {}\nprocesses-max = 32", 64 * MIB);
    let ran = tried(
        &bench,
        &Probe {
            limits: &limits,
            ..step("allocate 100000")
        },
    );
    ran.says("at its memory limit: limit 67108864 bytes");
    tried(
        &bench,
        &Probe {
            limits: &limits,
            ..step("threads 40")
        },
    )
    .says("temporarily unavailable");
    tried(
        &bench,
        &Probe {
            limits: &limits,
            ..step("fork-bomb")
        },
    );
}

#[test]
fn only_plain_outputs_leave() {
    let bench = Bench::new();
    // Steps that succeed; what they left is refused.
    let file = |words: &str| tried(&bench, &step(words)).says("output probe.out: ");
    file("print nothing").says("out was not produced");
    file("socket /build/out").says("device, socket or pipe");
    file("symlink /etc/passwd /build/out").says("symbolic link that leads out");
    file("mkdir /build/out").says("is not of the declared kind");
    let tree = |words: &str| {
        let packed = Probe {
            kind: "tar.zst",
            ..step(words)
        };
        tried(&bench, &packed).says("output probe.out: ")
    };
    tree("write-text /build/out x").says("is not of the declared kind");
    tree("mkdir /build/out then socket /build/out/s").says("s is a device, socket or pipe");
    for target in ["/etc/passwd", "../../etc/passwd", "..", "x/../../y"] {
        let words = format!("mkdir /build/out then symlink {target} /build/out/link");
        tree(&words).says("link is a symbolic link that leads out of the output directory");
    }
    // A path that goes through a planted link leads nowhere.
    let through = Probe {
        output: "link/passwd",
        ..step("symlink /etc /build/link")
    };
    tried(&bench, &through).says("symbolic link that leads out");
}

#[test]
fn an_output_is_no_longer_than_the_scratch_space() {
    let bench = Bench::new();
    let longer = "is longer than the whole scratch space";
    // Files with holes cost a step nothing; whoever took them would have to find the space.
    tried(&bench, &step("grow /build/out 1099511627776")).says(longer);
    let tree = |words: &str| {
        let packed = Probe {
            kind: "tar.zst",
            ..step(words)
        };
        tried(&bench, &packed)
    };
    tree("mkdir /build/out then grow /build/out/a 4000000 then grow /build/out/b 5000000")
        .says(longer);
    // One file under many names is as many files once it is packed.
    tree(
        "mkdir /build/out then write /build/out/a 3000000 \
         then hardlink /build/out/a /build/out/b then hardlink /build/out/a /build/out/c",
    )
    .says(longer);
    // What the step could have written byte by byte is taken.
    let fits = step("grow /build/out 8388608");
    fits.write(&bench, "probe");
    bench.lock("probe").exits(0);
    bench.assemble("probe", &[]).exits(0);
    let taken = fs::metadata(bench.path("out/probe.out")).unwrap();
    assert_eq!(taken.len(), 8 * MIB);
}

#[test]
fn odd_trees_are_refused_with_the_reason() {
    let bench = Bench::new();
    let tree = |words: &str| {
        let words = format!("mkdir /build/out then {words}");
        let packed = Probe {
            kind: "tar.zst",
            ..step(&words)
        };
        tried(&bench, &packed).says("output probe.out: ")
    };
    tree("deepen /build/out 2000 d").says("more entries or levels than are packed");
    let long = "n".repeat(255);
    tree(&format!("deepen /build/out 20 {long}")).says("a path of more than 4095 bytes");
    tree("odd-name /build/out").says("odd\\xff has a name or a link's target that is not UTF-8");
    for mode in ["000", "200", "044"] {
        tree(&format!(
            "write-text /build/out/f x then chmod {mode} /build/out/f"
        ))
        .says("f cannot be read by its owner");
        tree(&format!(
            "mkdir /build/out/d then chmod {mode} /build/out/d"
        ))
        .says("d cannot be read by its owner");
    }
}

#[test]
fn a_hundred_thousand_files_are_packed() {
    let bench = Bench::new();
    let many = Probe {
        kind: "tar.zst",
        limits: "scratch-bytes = 536870912",
        ..step("mkdir /build/out then make-files /build/out 100000")
    };
    many.write(&bench, "probe");
    bench.lock("probe").exits(0);
    bench.assemble("probe", &[]).exits(0);
    let archive = fs::File::open(bench.path("out/probe.out")).unwrap();
    let mut archive = tar::Archive::new(zstd::Decoder::new(archive).unwrap());
    let files = archive.entries().unwrap().filter(|entry| {
        let header = entry.as_ref().unwrap().header();
        header.entry_type().is_file()
    });
    assert_eq!(files.count(), 100_000);
}

#[test]
fn an_output_that_is_swapped_as_the_step_ends_is_its_own_or_refused() {
    let bench = Bench::new();
    step("swap /etc/passwd /build/out 100").write(&bench, "probe");
    bench.lock("probe").exits(0);
    for _ in 0..10 {
        let ran = bench.assemble("probe", &[]);
        match ran.code() {
            Some(0) => {
                assert_eq!(fs::read(bench.path("out/probe.out")).unwrap(), b"own\n");
                fs::remove_dir_all(bench.path("out")).unwrap();
            }
            _ => drop(ran.exits(1).says("symbolic link that leads out")),
        }
    }
}

#[test]
fn set_id_bits_are_not_given_and_do_not_leave() {
    let bench = Bench::new();
    for words in [
        "create-mode 4755 /build/out",
        "write-text /build/out x then chmod 2755 /build/out",
    ] {
        let ran = tried(&bench, &step(words));
        let stderr = ran.stderr();
        let is_refused =
            stderr.contains("Operation not permitted") || stderr.contains("set-user-id");
        assert!(is_refused, "{words}\n{}", ran.spoken());
    }
}

#[test]
fn a_step_cannot_speak_to_the_terminal() {
    let bench = Bench::new();
    // The recipe's own text carries the escape into the step, which prints it and fails.
    let mut recipe = step("print-error BAIT then exit 1").recipe();
    recipe = recipe.replace("BAIT", "\\u001b[2Jgone\\u0007");
    step("").write(&bench, "probe");
    fs::write(bench.path("probe/assembly.toml"), recipe).unwrap();
    bench.lock("probe").exits(0);
    bench
        .assemble("probe", &[])
        .exits(1)
        .speaks_plainly()
        .says("gone");
}

#[test]
fn a_step_that_says_nothing_is_said_to_have_written_nothing() {
    let bench = Bench::new();
    tried(&bench, &step("crash")).says("ended with signal 6, and wrote nothing");
}
