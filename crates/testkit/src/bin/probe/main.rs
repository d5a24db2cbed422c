//! A step that looks around and misbehaves on demand, for tests of the sandbox and of
//! everything built on it. Statically linked it is the only content of a root.
//!
//! Each word runs one experiment; it prints what it saw and exits 0 if the experiment
//! *succeeded* (a connection was made, a file was read, …) and 1 with the system's answer on
//! standard error if it was refused. Exit code 2 is a wrong command line. Several experiments
//! can follow each other, separated by the word `then`; the first failure ends the run.
//!
//! Absent on purpose: dependencies, unsafe code, and what only unsafe code can do (signals
//! to others, tracing, mounting): the sandbox crate's tests assemble tiny programs for those.

mod crowd;
mod sights;
mod waiting;

use std::env;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{SocketAddr as LocalAddress, UnixListener, UnixStream};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use crowd::{
    clock_storm, draw_in_threads, fork_bomb, hold_together, in_threads, start_storm, threads,
};
use sights::{environment, identity, list, print_file, see, stat, surroundings};
use waiting::{
    sleep, sleep_after_death, sleep_after_word, sleep_alike, sleep_beside_device,
    sleep_beside_work, sleep_together, work,
};

const USAGE: &str = "\
usage: probe EXPERIMENT [ARGUMENTS] [then EXPERIMENT …]
  connect-tcp ADDRESS        connect-unix PATH      connect-abstract NAME
  send-udp ADDRESS           echo-loopback          interfaces
  read PATH                  list PATH              stat PATH
  write PATH BYTES           write-text PATH TEXT   append PATH TEXT
  mkdir PATH                 symlink TARGET PATH    hardlink FROM TO
  socket PATH                chmod OCTAL PATH       create-mode OCTAL PATH
  remove PATH                print TEXT             print-error TEXT
  flood BYTES                environment            identity
  mounts                     descriptors            surroundings
  leave-behind               leave-briefly          loop
  leave-asleep               sleep SECONDS          sleep-together
  sleep-beside-work          sleep-beside-device    work
  sleep-after-word           sleep-alike COUNT      sleep-after-death
  allocate MIB               hold MIB               hold-together COUNT MIB
  fork-bomb                  threads COUNT          make-files PATH COUNT
  now                        waits                  processors
  clock-storm THREADS READS  start-storm THREADS STARTS
  draw-in-threads COUNT
  list-as-given PATH         grow PATH BYTES        deepen PATH LEVELS NAME
  odd-name DIRECTORY         swap TARGET PATH TIMES  see
  exit CODE                  crash                  run PROGRAM [ARGUMENTS]";

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    if words.is_empty() {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    }
    for experiment in words.split(|word| word == "then") {
        let words: Vec<&str> = experiment.iter().map(String::as_str).collect();
        match perform(&words) {
            Ok(None) => {}
            Ok(Some(code)) => return code,
            Err(error) => {
                eprintln!("probe: {}: {error}", experiment.join(" "));
                return ExitCode::from(1);
            }
        }
    }
    ExitCode::SUCCESS
}

/// Runs one experiment; a code ends the program at once.
fn perform(words: &[&str]) -> io::Result<Option<ExitCode>> {
    match words {
        ["connect-tcp", address] => {
            let address = parse::<SocketAddr>(address)?;
            TcpStream::connect_timeout(&address, Duration::from_secs(5)).map(drop)?;
        }
        ["connect-unix", path] => UnixStream::connect(path).map(drop)?,
        ["connect-abstract", name] => {
            UnixStream::connect_addr(&LocalAddress::from_abstract_name(name)?).map(drop)?;
        }
        ["send-udp", address] => {
            let socket = UdpSocket::bind("0.0.0.0:0")?;
            socket
                .send_to(b"probe", parse::<SocketAddr>(address)?)
                .map(drop)?;
        }
        ["echo-loopback"] => echo_loopback()?,
        ["interfaces"] => print_file("/proc/self/net/dev")?,
        ["read", path] => print_file(path)?,
        ["list", path] => list(path)?,
        ["stat", path] => stat(path)?,
        ["print", text] => println!("{text}"),
        ["print-error", text] => eprintln!("{text}"),
        ["flood", bytes] => flood(parse(bytes)?)?,
        ["environment"] => environment(),
        ["identity"] => identity()?,
        ["mounts"] => print_file("/proc/self/mountinfo")?,
        ["descriptors"] => list("/proc/self/fd")?,
        ["surroundings"] => surroundings()?,
        ["leave-behind"] => leave(&["loop"])?,
        ["leave-briefly"] => leave(&["print", "late"])?,
        ["leave-asleep"] => leave(&["sleep", "1000"])?,
        ["sleep", seconds] => sleep(parse(seconds)?),
        ["sleep-together"] => sleep_together()?,
        ["sleep-after-word"] => sleep_after_word()?,
        ["sleep-alike", count] => sleep_alike(parse(count)?),
        ["sleep-after-death"] => sleep_after_death()?,
        ["sleep-beside-work"] => sleep_beside_work()?,
        ["sleep-beside-device"] => sleep_beside_device()?,
        ["work"] => work(),
        ["loop"] => loop {
            std::hint::spin_loop();
        },
        ["allocate", mib] => println!("holding {} MiB", allocate(parse(mib)?)?.len()),
        ["hold", mib] => {
            let _held = allocate(parse(mib)?)?;
            loop {
                std::thread::park();
            }
        }
        ["hold-together", count, mib] => hold_together(parse(count)?, mib)?,
        ["fork-bomb"] => fork_bomb()?,
        ["threads", count] => threads(parse(count)?)?,
        ["list-as-given", path] => {
            for entry in fs::read_dir(path)? {
                println!("{}", entry?.file_name().to_string_lossy());
            }
        }
        ["swap", target, path, times] => return swap(target, path, parse(times)?).map(Some),
        ["see"] => see()?,
        ["now"] => println!("{}", since_1970().as_nanos()),
        ["waits"] => waits()?,
        ["processors"] => println!("{}", std::thread::available_parallelism()?),
        ["clock-storm", threads, reads] => {
            let reads = parse(reads)?;
            in_threads(parse(threads)?, move || clock_storm(reads))?;
        }
        ["start-storm", threads, starts] => {
            let starts = parse(starts)?;
            in_threads(parse(threads)?, move || start_storm(starts))?;
        }
        ["draw-in-threads", count] => draw_in_threads(parse(count)?)?,
        ["exit", code] => return Ok(Some(ExitCode::from(parse::<u8>(code)?))),
        ["crash"] => std::process::abort(),
        ["run", program, arguments @ ..] => {
            let status = Command::new(program).args(arguments).status()?;
            if !status.success() {
                return Err(io::Error::other(status.to_string()));
            }
        }
        _ => return write(words),
    }
    Ok(None)
}

/// Runs one experiment that only writes.
fn write(words: &[&str]) -> io::Result<Option<ExitCode>> {
    match words {
        ["write", path, bytes] => write_bytes(path, parse(bytes)?)?,
        ["write-text", path, text] => fs::write(path, format!("{text}\n"))?,
        ["append", path, text] => {
            let mut file = fs::OpenOptions::new().append(true).open(path)?;
            writeln!(file, "{text}")?;
        }
        ["mkdir", path] => fs::create_dir(path)?,
        ["symlink", target, path] => std::os::unix::fs::symlink(target, path)?,
        ["hardlink", from, to] => fs::hard_link(from, to)?,
        ["socket", path] => UnixListener::bind(path).map(drop)?,
        ["chmod", mode, path] => {
            fs::set_permissions(path, fs::Permissions::from_mode(octal(mode)?))?;
        }
        ["create-mode", mode, path] => {
            let mode = octal(mode)?;
            fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(mode)
                .open(path)?;
        }
        ["remove", path] => fs::remove_file(path)?,
        ["make-files", path, count] => {
            for number in 0..parse::<u32>(count)? {
                fs::File::create_new(format!("{path}/{number}"))?;
            }
        }
        ["grow", path, bytes] => fs::File::create(path)?.set_len(parse(bytes)?)?,
        ["deepen", path, levels, name] => deepen(path, parse(levels)?, name)?,
        ["odd-name", directory] => {
            let name = std::ffi::OsStr::from_bytes(b"odd\xff");
            fs::write(std::path::Path::new(directory).join(name), "x")?;
        }
        _ => {
            eprintln!("{USAGE}");
            return Ok(Some(ExitCode::from(2)));
        }
    }
    Ok(None)
}

fn parse<T: std::str::FromStr>(word: &str) -> io::Result<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    word.parse()
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

fn octal(word: &str) -> io::Result<u32> {
    u32::from_str_radix(word, 8).map_err(io::Error::other)
}

fn echo_loopback() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut near = TcpStream::connect(listener.local_addr()?)?;
    let (mut far, _) = listener.accept()?;
    near.write_all(b"x")?;
    far.read_exact(&mut [0])
}

fn write_bytes(path: &str, bytes: u64) -> io::Result<()> {
    let mut file = fs::File::create(path)?;
    let block = vec![b'x'; 1 << 20];
    let mut left = bytes;
    while left > 0 {
        let now = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
        file.write_all(&block[..now])?;
        left -= now as u64;
    }
    Ok(())
}

/// Directories in directories, each entered before the next is made: no path is too long for that.
fn deepen(path: &str, levels: usize, name: &str) -> io::Result<()> {
    env::set_current_dir(path)?;
    for _ in 0..levels {
        fs::create_dir(name)?;
        env::set_current_dir(name)?;
    }
    env::set_current_dir("/")
}

/// Ends while threads put now a file, now a link to `target` at `path`.
fn swap(target: &str, path: &str, times: u32) -> io::Result<ExitCode> {
    fs::write(path, "own\n")?;
    let swaps = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    for number in 0..4 {
        let (target, path) = (target.to_owned(), path.to_owned());
        let (beside, swaps) = (format!("{path}.{number}"), swaps.clone());
        std::thread::spawn(move || -> io::Result<()> {
            loop {
                std::os::unix::fs::symlink(&target, &beside)?;
                fs::rename(&beside, &path)?;
                fs::write(&beside, "own\n")?;
                fs::rename(&beside, &path)?;
                swaps.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        });
    }
    while swaps.load(std::sync::atomic::Ordering::Relaxed) < times {
        std::thread::yield_now();
    }
    // The threads are in the middle of it.
    Ok(ExitCode::SUCCESS)
}

fn flood(bytes: u64) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let line = [b"y".repeat(63), b"\n".to_vec()].concat();
    for _ in 0..bytes.div_ceil(line.len() as u64) {
        out.write_all(&line)?;
    }
    out.flush()
}

/// Starts a copy of itself that outlives this process: the second of the two forks is this
/// program's own start, and nobody waits.
fn leave(words: &[&str]) -> io::Result<()> {
    Command::new("/proc/self/exe")
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map(drop)
}

/// Touches every page, so that the memory is really there.
fn allocate(mib: usize) -> io::Result<Vec<Vec<u8>>> {
    let mut held: Vec<Vec<u8>> = Vec::new();
    for _ in 0..mib {
        let mut block = Vec::new();
        block.try_reserve_exact(1 << 20).map_err(io::Error::other)?;
        block.resize(1 << 20, 1_u8);
        held.push(block);
    }
    Ok(held)
}

fn since_1970() -> Duration {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default()
}

/// Waits for things that do not come, in several ways, and prints how long that took by the
/// clock, in hundredths of a second.
fn waits() -> io::Result<()> {
    const LONG: Duration = Duration::from_millis(100);
    let timed = |name: &str, wait: &mut dyn FnMut()| {
        let before = std::time::Instant::now();
        wait();
        println!("{name} {}", before.elapsed().as_millis() / 10);
    };
    timed("sleep", &mut || std::thread::sleep(LONG));
    let (_sender, receiver) = std::sync::mpsc::channel::<()>();
    timed("channel", &mut || {
        let _ = receiver.recv_timeout(LONG);
    });
    let (mutex, condition) = (std::sync::Mutex::new(()), std::sync::Condvar::new());
    timed("condition", &mut || {
        if let Ok(guard) = mutex.lock() {
            drop(condition.wait_timeout_while(guard, LONG, |()| true));
        }
    });
    timed("park", &mut || std::thread::park_timeout(LONG));
    timed("spin", &mut || {
        let until = std::time::Instant::now() + LONG;
        while std::time::Instant::now() < until {}
    });
    let (here, _there) = UnixStream::pair()?;
    here.set_read_timeout(Some(LONG))?;
    // The kernel's own time limit, which the clock does not see.
    let answer = (&here).read(&mut [0]).map(drop);
    println!(
        "read {}",
        answer.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    );
    Ok(())
}
