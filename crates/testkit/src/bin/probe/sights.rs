//! Experiments that print what a step sees: files, its surroundings, its host.
//!
//! Absent on purpose: what takes long to see, such as waits.

use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use crate::since_1970;

pub(crate) fn print_file(path: &str) -> io::Result<()> {
    io::copy(&mut fs::File::open(path)?, &mut io::stdout().lock()).map(drop)
}

pub(crate) fn list(path: &str) -> io::Result<()> {
    let mut names = fs::read_dir(path)?
        .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
        .collect::<io::Result<Vec<_>>>()?;
    names.sort();
    for name in names {
        println!("{name}");
    }
    Ok(())
}

pub(crate) fn stat(path: &str) -> io::Result<()> {
    let meta = fs::symlink_metadata(path)?;
    println!(
        "{path} mode={:o} uid={} gid={} size={} mtime={}",
        meta.mode(),
        meta.uid(),
        meta.gid(),
        meta.size(),
        meta.mtime()
    );
    Ok(())
}

/// In the order in which the program got it, which is part of what is compared.
pub(crate) fn environment() {
    for (name, value) in env::vars_os() {
        println!("{}={}", name.to_string_lossy(), value.to_string_lossy());
    }
}

/// The lines of a status file that say who this is and what it may do.
pub(crate) fn identity() -> io::Result<()> {
    const WANTED: [&str; 12] = [
        "Umask",
        "Uid",
        "Gid",
        "NSpid",
        "CapInh",
        "CapPrm",
        "CapEff",
        "CapBnd",
        "CapAmb",
        "NoNewPrivs",
        "Seccomp",
        "SigIgn",
    ];
    let status = fs::read_to_string("/proc/self/status")?;
    for line in status.lines() {
        if WANTED
            .iter()
            .any(|wanted| line.split(':').next() == Some(wanted))
        {
            println!("{line}");
        }
    }
    println!("session and group: {}", session()?);
    println!("cwd: {}", env::current_dir()?.display());
    Ok(())
}

/// Process id, group and session from the stat file (proc(5): fields 1, 5 and 6).
fn session() -> io::Result<String> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.split(' ').collect();
    Ok(format!("{} {} {}", fields[0], fields[4], fields[5]))
}

/// Everything that two runs of one action must see alike.
pub(crate) fn surroundings() -> io::Result<()> {
    environment();
    identity()?;
    for path in ["/", "/dev", "/build", "/tmp", "/proc"] {
        println!("in {path}:");
        list(path)?;
    }
    for path in ["/", "/dev", "/dev/null", "/probe"] {
        if fs::symlink_metadata(path).is_ok() {
            stat(path)?;
        }
    }
    list("/proc/self/fd")?;
    print_file("/proc/self/limits")?;
    print_file("/proc/self/cgroup")?;
    print_file("/proc/self/oom_score_adj")?;
    print_file("/proc/self/personality")
}

/// What the standard library shows of the host.
pub(crate) fn see() -> io::Result<()> {
    println!("date={}", since_1970().as_secs());
    fs::write("/build/new", "x")?;
    println!("written={}", fs::metadata("/build/new")?.mtime());
    println!("input={}", fs::metadata("/inputs/a")?.mtime());
    println!("processors={}", std::thread::available_parallelism()?);
    for (label, file) in [("name", "hostname"), ("release", "osrelease")] {
        let value = fs::read_to_string(format!("/proc/sys/kernel/{file}"))?;
        println!("{label}={}", value.trim_end());
    }
    println!("process={}", std::process::id());
    let order = fs::read_dir("/inputs")?
        .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
        .collect::<io::Result<Vec<_>>>()?;
    println!("order={}", order.join(" "));
    // Keys of hash maps are drawn anew in every process.
    let map: std::collections::HashSet<u32> = (0..20).collect();
    println!("set={map:?}");
    println!("address={:p}", &raw const map);
    Ok(())
}
