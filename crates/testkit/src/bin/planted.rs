//! Small programs that each let one thing of their surroundings into what they write: what careless
//! builds do. A sandbox has to keep the bytes the same, and a varied build has to find the thing.
//!
//! `planted MODE…` writes, for each mode, one line into `MODE.out` in the working directory, and says it. Each
//! mode is one program; they share an executable because that is all a root then needs, and may
//! share a process because a varied build runs many times. Linked statically.
//!
//! Absent on purpose: anything hostile (`probe`), dependencies, unsafe code.

use std::collections::HashMap;
use std::env;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::process::ExitCode;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

/// A directory of the root with a few files.
const DIRECTORY: &str = "/in/tree";

fn main() -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for mode in env::args().skip(1) {
        let file = format!("{mode}.out");
        let written = planted(&mode, &file).and_then(|line| {
            println!("{mode}: {line}");
            fs::write(file, format!("{line}\n"))
        });
        if let Err(error) = written {
            eprintln!("planted: {mode}: {error}");
            code = ExitCode::from(1);
        }
    }
    code
}

fn planted(mode: &str, file: &str) -> io::Result<String> {
    Ok(match mode {
        "nothing" => "the same in every build".to_owned(),
        "time" => seconds(SystemTime::now())?.to_string(),
        "year" => year_and_month(seconds(SystemTime::now())?).0.to_string(),
        "month" => year_and_month(seconds(SystemTime::now())?).1.to_string(),
        "written-time" => seconds(made(file)?.modified()?)?.to_string(),
        "process-id" => std::process::id().to_string(),
        // Of the heap: those of the stack depend on the size of the environment, too.
        "address" => format!("{:p}", Box::new(0_u8)),
        "directory-order" => {
            let names: io::Result<Vec<String>> = fs::read_dir(DIRECTORY)?
                .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
                .collect();
            names?.join(" ")
        }
        "inode" => fs::metadata(DIRECTORY)?.ino().to_string(),
        "host-name" => line_of("/proc/sys/kernel/hostname")?,
        "kernel" => line_of("/proc/sys/kernel/osrelease")?,
        "memory" => line_of("/proc/meminfo")?,
        "user" => made(file)?.uid().to_string(),
        "file-mask" => format!("{:o}", made(file)?.mode()),
        "language" => variable("LC_ALL"),
        "time-zone" => variable("TZ"),
        "home" => variable("HOME"),
        "search-path" => variable("PATH"),
        "environment" => env::vars_os().count().to_string(),
        "working-directory" => env::current_dir()?.display().to_string(),
        "random" => {
            let mut bytes = [0; 8];
            fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
            format!("{:016x}", u64::from_le_bytes(bytes))
        }
        "hash-order" => {
            let map: HashMap<u32, u32> = (0..32).map(|key| (key, key)).collect();
            format!("{:?}", map.into_keys().collect::<Vec<u32>>())
        }
        "processors" => processors()?.to_string(),
        "parallel-order" => parallel_order()?,
        // The name of a temporary file, as careless programs make it: two causes, each enough.
        "temporary-name" => {
            let now = seconds(SystemTime::now())?;
            format!("/tmp/cc{now}.{}", std::process::id())
        }
        // Shows only if two things come together.
        "local-time" if variable("TZ") != "UTC" && variable("LC_ALL") != "C.UTF-8" => {
            format!("{} in {}", variable("TZ"), variable("LC_ALL"))
        }
        "local-time" => "12:00 UTC".to_owned(),
        // Does not work at all anywhere else.
        "only-in-utc" if variable("TZ") == "UTC" => "12:00".to_owned(),
        "only-in-utc" => return Err(io::Error::other("the time zone is not UTC")),
        _ => return Err(io::Error::other("no such mode")),
    })
}

fn seconds(time: SystemTime) -> io::Result<u64> {
    let since = time.duration_since(UNIX_EPOCH).map_err(io::Error::other)?;
    Ok(since.as_secs())
}

/// What a calendar shows in UTC, months from 1: as copyright notices take it.
fn year_and_month(since_1970: u64) -> (u64, u64) {
    let (mut year, mut month, mut days) = (1970, 1, since_1970 / 86400);
    loop {
        let is_leap_year = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let length = match month {
            2 if is_leap_year => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        if days < length {
            return (year, month);
        }
        days -= length;
        month += 1;
        if month == 13 {
            (year, month) = (year + 1, 1);
        }
    }
}

/// The status of a file that is made for this, open to everybody as far as the mask allows.
fn made(beside: &str) -> io::Result<fs::Metadata> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o777);
    options.open(format!("{beside}.made"))?.metadata()
}

fn line_of(path: &str) -> io::Result<String> {
    let text = fs::read_to_string(path)?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

fn processors() -> io::Result<usize> {
    Ok(thread::available_parallelism()?.get())
}

/// Deals work to one thread for each processor and puts the results one after the other, worker
/// by worker: the order follows from their number.
fn parallel_order() -> io::Result<String> {
    let workers = processors()?;
    let work = |worker: usize| (worker..24).step_by(workers).collect::<Vec<usize>>();
    let order: Vec<Vec<usize>> = thread::scope(|scope| {
        let started: Vec<_> = (0..workers)
            .map(|worker| scope.spawn(move || work(worker)))
            .collect();
        let ended = started.into_iter().map(thread::ScopedJoinHandle::join);
        ended.map(Result::unwrap_or_default).collect()
    });
    Ok(format!("{:?}", order.concat()))
}
