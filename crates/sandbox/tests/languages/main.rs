//! Programs in the languages that builds are written in see the values that the host's description
//! states: each looks by its own runtime's ways, not by ours, once in each of two circumstances.
//!
//! Perl, Python, Go and the shell are this machine's, if it has them; a test of what is not there
//! prints `skipped`. The leak probe looks at far more (`tests/leaks`), but only in one language.

mod circumstances;
mod root;

use counterseal_sandbox::VirtualHost;

use crate::circumstances::printed_in_two;
use crate::root::Root;

const EPOCH: u64 = 1_234_567_890;

fn host() -> VirtualHost {
    VirtualHost {
        processors: 3,
        ..VirtualHost::standard(EPOCH, [7; 32])
    }
}

/// Times of files, for those who can ask for them.
const TIMES: [&str; 2] = ["written=1234567890", "input=1234567890"];

/// Runs the program in two circumstances: it must print the same, and these lines among it.
#[track_caller]
fn sees_the_virtual_host(root: &Root, argv: &[&str], also: &[&str]) {
    let host = host();
    let printed = printed_in_two(root, argv, &host);
    let stated = [
        format!("date={EPOCH}"),
        format!("processors={}", host.processors),
        format!("name={}", host.host_name),
        format!("release={}", host.kernel_release),
        format!("process={}", host.first_process),
        "order=0 Zebra a apple".to_owned(),
    ];
    for line in stated
        .iter()
        .map(String::as_str)
        .chain(also.iter().copied())
    {
        assert!(
            printed.lines().any(|found| found == line),
            "no line {line}:\n{printed}"
        );
    }
}

/// Stops a test whose program this machine lacks.
macro_rules! or_skip {
    ($wanted:expr) => {
        match $wanted {
            Ok(found) => found,
            Err(reason) => {
                println!("skipped: {reason}");
                return;
            }
        }
    };
}

#[test]
fn rust_statically_linked() {
    let mut root = Root::new();
    root.install("seer", counterseal_static_programs::PROBE);
    sees_the_virtual_host(&root, &["/seer", "see"], &TIMES);
}

#[test]
fn shell() {
    let mut root = Root::new();
    let program = or_skip!(root.take_program("sh"));
    sees_the_virtual_host(
        &root,
        &[&program, "-c", include_str!("see.sh")],
        &["written after the inputs=yes", "inputs of one time=yes"],
    );
}

#[test]
fn perl() {
    let mut root = Root::new();
    let program = or_skip!(root.take_program("perl"));
    sees_the_virtual_host(
        &root,
        &[&program, "-e", include_str!("see.pl")],
        &[TIMES.as_slice(), &["slept=yes"]].concat(),
    );
}

#[test]
fn python() {
    let mut root = Root::new();
    let program = or_skip!(root.take_program("python3"));
    or_skip!(root.take_python_library());
    let argv = [&program, "-I", "-S", "-B", "-c", include_str!("see.py")];
    sees_the_virtual_host(
        &root,
        &argv,
        &[TIMES.as_slice(), &["slept=True", "may run on=[0, 1, 2]"]].concat(),
    );
}

/// Names are bytes: what the service reads of a thread quotes its name.
#[test]
fn a_thread_with_an_odd_name() {
    let mut root = Root::new();
    let program = or_skip!(root.take_program("python3"));
    or_skip!(root.take_python_library());
    let script = format!(
        "{}\nimport os\nif os.fork() == 0: os._exit(0)\nos.wait()\n\
         for name in ['stat', 'status']: print(open('/proc/thread-self/' + name, 'rb').read())",
        include_str!("see.py")
    );
    let rename = "import os, sys\n\
                  name = b'/build/\\xff\\xfe) 1 ('\n\
                  os.symlink(sys.argv[1], name)\n\
                  os.execv(name, [name, *sys.argv[2:]])";
    let options = ["-I", "-S", "-B", "-c"];
    let argv = [
        &[program.as_str()],
        &options[..],
        &[rename, &program],
        &options,
        &[&script],
    ]
    .concat();
    sees_the_virtual_host(
        &root,
        &argv,
        &[TIMES.as_slice(), &["slept=True", "may run on=[0, 1, 2]"]].concat(),
    );
}

/// The script checks for itself; `HOST` is a place that only the host has.
#[test]
fn paths_lead_to_the_same_by_any_way() {
    let mut root = Root::new();
    let program = or_skip!(root.take_program("python3"));
    or_skip!(root.take_python_library());
    let script = include_str!("paths.py").replace("HOST", root.path().to_str().unwrap());
    let argv = [&program, "-I", "-S", "-B", "-c", &script];
    let printed = printed_in_two(&root, &argv, &host());
    assert!(printed.ends_with("\nfound\n"), "{printed}");
}

#[test]
fn names_of_sockets_are_counted() {
    let mut root = Root::new();
    let program = or_skip!(root.take_program("python3"));
    or_skip!(root.take_python_library());
    or_skip!(root.take_python_modules(&["_socket", "select", "array"]));
    let argv = [&program, "-I", "-S", "-B", "-c", include_str!("sockets.py")];
    let printed = printed_in_two(&root, &argv, &host());
    let names: Vec<_> = printed.lines().collect();
    assert_eq!(
        names,
        [
            "b'\\x0000000' b'x'",
            "b'\\x0000001' b'x'",
            "b'\\x0000002' b'x'",
            "b'\\x0000003'",
            "no name",
            "1",
            "2",
            "Protocol not available",
            "Protocol not available",
        ],
    );
}

#[test]
fn go() {
    let mut root = Root::new();
    or_skip!(root.build_go("seer", include_str!("see.go")));
    sees_the_virtual_host(
        &root,
        &["/seer"],
        &[TIMES.as_slice(), &["slept=true"]].concat(),
    );
}
