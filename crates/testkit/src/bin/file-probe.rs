//! A step that tries what a sandbox has to answer about files in its own way: devices, listings and
//! times. What it prints a test compares with what the kernel would answer, or with another run.
//!
//! `file-probe EXPERIMENT [ARGUMENTS] [then EXPERIMENT …]`; the first failure ends the run with exit
//! code 1, a wrong command line with 2. Linked statically.
//!
//! Absent on purpose: dependencies, unsafe code (`leak-probe`), and what only a hostile step does
//! (`probe`).

use std::env;
use std::fs::{self, File, FileTimes, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::process::{Command, ExitCode};
use std::thread::sleep;
use std::time::{Duration, UNIX_EPOCH};

const USAGE: &str = "\
usage: file-probe EXPERIMENT [ARGUMENTS] [then EXPERIMENT …]
  read PATH BYTES…           read-without-waiting PATH BYTES…
  read-as-input PATH BYTES   read-and-write PATH BYTES
  open-together PATH COUNT DIRECTORY
  open-in-turn PATH COUNT    exists PATH
  make-files PATH COUNT      hold-listings PATH COUNT
  remove-all PATH            write-many PATH COUNT
  set-times PATH             in-child EXPERIMENT [ARGUMENTS]";

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    for experiment in words.split(|word| word == "then") {
        let words: Vec<&str> = experiment.iter().map(String::as_str).collect();
        match perform(&words) {
            Ok(true) => {}
            Ok(false) => {
                eprintln!("{USAGE}");
                return ExitCode::from(2);
            }
            Err(error) => {
                eprintln!("file-probe: {}: {error}", experiment.join(" "));
                return ExitCode::from(1);
            }
        }
    }
    ExitCode::SUCCESS
}

/// Runs one experiment, if it is one.
fn perform(words: &[&str]) -> io::Result<bool> {
    match words {
        ["read", path, sizes @ ..] => read(&mut File::open(path)?, sizes)?,
        ["read-without-waiting", path, sizes @ ..] => {
            const WITHOUT_WAITING: i32 = 0o4000;
            let mut options = OpenOptions::new();
            options.read(true).custom_flags(WITHOUT_WAITING);
            read(&mut options.open(path)?, sizes)?;
        }
        ["read-as-input", path, bytes] => {
            let command = ["read", "/dev/stdin", bytes];
            run_self(&command, File::open(path)?.into())?;
        }
        ["read-and-write", path, bytes] => {
            let mut file = OpenOptions::new().read(true).write(true).open(path)?;
            file.write_all(&vec![b'x'; parse(bytes)?])?;
            read(&mut file, &["32"])?;
        }
        ["open-together", path, count, directory] => open_together(path, parse(count)?, directory)?,
        ["open-in-turn", path, count] => {
            for _ in 0..parse(count)? {
                File::open(path)?.read_exact(&mut [0; 8])?;
            }
        }
        ["exists", path] => println!("{}", fs::exists(path)?),
        ["make-files", path, count] => {
            fs::create_dir(path)?;
            for number in 0..parse(count)? {
                // Long, so that few fill what a program lists at once.
                File::create(format!("{path}/{number:0>240}"))?;
            }
        }
        ["hold-listings", path, count] => hold_listings(path, parse(count)?)?,
        ["remove-all", path] => fs::remove_dir_all(path)?,
        ["write-many", path, count] => write_many(path, parse(count)?)?,
        ["set-times", path] => set_times(path)?,
        ["in-child", words @ ..] => run_self(words, std::process::Stdio::null())?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn parse(word: &str) -> io::Result<usize> {
    word.parse()
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

fn run_self(words: &[&str], input: std::process::Stdio) -> io::Result<()> {
    let mut command = Command::new("/proc/self/exe");
    let status = command.args(words).stdin(input).status()?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(status.to_string()))
    }
}

/// How much each read of one call brings, and a sum over all of it (FNV-1a).
fn read(file: &mut File, sizes: &[&str]) -> io::Result<()> {
    let mut sum = 0xcbf2_9ce4_8422_2325_u64;
    for size in sizes {
        let mut buffer = vec![0; parse(size)?];
        let length = file.read(&mut buffer)?;
        for byte in &buffer[..length] {
            sum = (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
        print!("{length} ");
    }
    println!("{sum:016x}");
    Ok(())
}

/// Opens a file as often as it can be, and lists a directory meanwhile and afterwards.
fn open_together(path: &str, count: usize, directory: &str) -> io::Result<()> {
    let mut open = Vec::new();
    let mut end = "all".to_owned();
    for _ in 0..count {
        match File::open(path) {
            Ok(file) => open.push(file),
            Err(error) => {
                end = error.to_string();
                break;
            }
        }
    }
    let (opened, meanwhile) = (open.len(), listed(directory));
    drop(open);
    // Whoever ran out of descriptors has them back at some time soon.
    let mut tries = (0..10_000).map(|_| listed(directory));
    let afterwards = tries.find(|names| !names.contains("os error"));
    // Not earlier: whoever takes in what is printed needs one, too.
    println!(
        "{opened} {end}\n{meanwhile}\n{}",
        afterwards.unwrap_or_default()
    );
    File::open(path)?.read_exact(&mut [0; 8])
}

fn listed(directory: &str) -> String {
    let names = fs::read_dir(directory).and_then(|entries| {
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        names.collect::<io::Result<Vec<_>>>()
    });
    names.map_or_else(|error| error.to_string(), |names| names.join(" "))
}

/// Begins listings and leaves them so.
fn hold_listings(path: &str, count: usize) -> io::Result<()> {
    let mut held = Vec::new();
    for _ in 0..count {
        let mut listing = fs::read_dir(path)?;
        listing.next().transpose()?;
        held.push(listing);
    }
    Ok(())
}

/// Many files open for writing by long names, of which the last is written at the very end, and the
/// first after it.
fn write_many(path: &str, count: usize) -> io::Result<()> {
    fs::create_dir(path)?;
    let name = |number: usize| format!("{path}/{number:0>240}");
    let first = File::create(name(0))?;
    for number in 1..count {
        File::create(name(number))?;
        // None of these is a file that could be opened.
        let _ = File::create(format!("{path}/missing/{number:0>240}"));
    }
    for mut file in [File::create(name(count))?, first] {
        sleep(Duration::from_millis(5));
        file.write_all(b"x")?;
    }
    for number in [0, 1, count] {
        let found = fs::metadata(name(number))?;
        println!("{} {}", found.mtime(), found.mtime_nsec());
    }
    Ok(())
}

/// What shows of a file's times after each of the things that change them.
fn set_times(path: &str) -> io::Result<()> {
    const STEP: Duration = Duration::from_millis(10);
    let show = |what: &str, before: Option<&fs::Metadata>| -> io::Result<fs::Metadata> {
        let now = fs::metadata(path)?;
        let moved = |old: fn(&fs::Metadata) -> (i64, i64)| {
            let is_later = before.is_some_and(|before| old(&now) > old(before));
            if is_later { "later" } else { "not later" }
        };
        let changed = moved(|found| (found.ctime(), found.ctime_nsec()));
        let modified = moved(|found| (found.mtime(), found.mtime_nsec()));
        let order = (now.ctime(), now.ctime_nsec()).cmp(&(now.mtime(), now.mtime_nsec()));
        println!("{what}: changed {changed}, modified {modified}, {order:?}");
        sleep(STEP);
        Ok(now)
    };
    let mut file = File::create(path)?;
    file.write_all(b"x")?;
    let mut found = show("written", None)?;
    let long_ago = UNIX_EPOCH + Duration::from_secs(1_000_000);
    file.set_times(FileTimes::new().set_modified(long_ago))?;
    sleep(STEP);
    found = show("modification set", Some(&found))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    found = show("mode set", Some(&found))?;
    file.set_times(FileTimes::new().set_accessed(long_ago))?;
    found = show("access set", Some(&found))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644))?;
    found = show("mode set", Some(&found))?;
    file.write_all(b"y")?;
    found = show("written", Some(&found))?;
    // The two without a look between them, but with another call.
    file.set_times(FileTimes::new().set_modified(long_ago))?;
    sleep(STEP);
    file.write_all(b"z")?;
    show("set and written", Some(&found)).map(drop)
}
