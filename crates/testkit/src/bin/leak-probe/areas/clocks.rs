//! Every clock by every route: the C library, the instruction, the vDSO, the old page, other tables.
//!
//! Absent on purpose: the processor's counters (`processor.rs`) and times of files (`files.rs`).

use std::io::Read;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant, SystemTime};

use crate::raw::kernel_code;
use crate::raw::{Memory, call};
use crate::report::{Report, digest, escaped};

/// Ids of `clock_gettime(2)`: all that are static, a few that are not, and one of a process.
const CLOCKS: [(&str, i32); 15] = [
    ("realtime", 0),
    ("monotonic", 1),
    ("process", 2),
    ("thread", 3),
    ("monotonic-raw", 4),
    ("realtime-coarse", 5),
    ("monotonic-coarse", 6),
    ("boottime", 7),
    ("realtime-alarm", 8),
    ("boottime-alarm", 9),
    ("sgi-cycle", 10),
    ("tai", 11),
    ("own-process-by-id", !0 << 3 | 2),
    ("own-thread-by-id", !0 << 3 | 6),
    ("process-1-by-id", !1 << 3 | 2),
];

const VSYSCALL: [(&str, usize); 3] = [
    ("gettimeofday", 0xffff_ffff_ff60_0000),
    ("time", 0xffff_ffff_ff60_0400),
    ("getcpu", 0xffff_ffff_ff60_0800),
];

pub(crate) fn look(report: &mut Report) {
    let memory = Memory::new();
    for (name, id) in CLOCKS {
        let got = call!(libc::SYS_clock_gettime, id, &memory);
        report.written(format!("gettime.{name}"), got, |_| pair(&memory));
        let resolution = call!(libc::SYS_clock_getres, id, &memory);
        report.written(format!("getres.{name}"), resolution, |_| pair(&memory));
    }
    let got = call!(libc::SYS_gettimeofday, &memory, memory.at(16));
    report.written("gettimeofday", got, |_| {
        format!("{} zone {:x}", pair(&memory), memory.u64(16))
    });
    report.answer("time", call!(libc::SYS_time, 0));
    let ticks = call!(libc::SYS_times, &memory);
    report.written("times", ticks, |ticks| {
        let words = [0, 8, 16, 24].map(|at| memory.u64(at));
        format!("{ticks} {words:?}")
    });
    usage(report, &memory);
    vdso(report, &memory);
    for (name, address) in VSYSCALL {
        report.in_child(format!("vsyscall.{name}.end"), |report| {
            let memory = Memory::new();
            let answer = kernel_code::call(address, [(&memory).into(), memory.at(16), 0.into()]);
            report.note(
                format!("vsyscall.{name}"),
                format_args!("{answer} {}", pair(&memory)),
            );
        });
    }
    standard_library(report);
    adjustment(report, &memory);
    report.note("again.realtime", {
        let got = call!(libc::SYS_clock_gettime, 0, &memory);
        got.map_or_else(|errno| errno.to_string(), |_| pair(&memory))
    });
}

/// Two words, as a time.
fn pair(memory: &Memory) -> String {
    format!("{}.{:09}", memory.i64(0), memory.i64(8))
}

fn usage(report: &mut Report, memory: &Memory) {
    for (name, who) in [("self", 0), ("children", -1), ("thread", 1)] {
        let got = call!(libc::SYS_getrusage, who, memory);
        report.written(format!("rusage.{name}.user"), got, |_| pair(memory));
        for (index, field) in [
            "system-seconds",
            "system-microseconds",
            "maxrss",
            "ixrss",
            "idrss",
            "isrss",
            "minflt",
            "majflt",
            "nswap",
            "inblock",
            "oublock",
            "msgsnd",
            "msgrcv",
            "nsignals",
            "nvcsw",
            "nivcsw",
        ]
        .into_iter()
        .enumerate()
        {
            report.written(format!("rusage.{name}.{field}"), got, |_| {
                memory.u64(16 + index * 8).to_string()
            });
        }
    }
}

fn vdso(report: &mut Report, memory: &Memory) {
    let Some((_, image)) = kernel_code::image() else {
        return report.note("vdso", "absent");
    };
    report.note("vdso", format_args!("{} bytes", image.len()));
    for (name, id) in CLOCKS {
        for function in ["clock_gettime", "clock_getres"] {
            let Some(address) = kernel_code::symbol(&format!("__vdso_{function}")) else {
                report.note(format!("vdso.{function}.{name}"), "absent");
                continue;
            };
            memory.put(0, &[0; 16]);
            let answer = kernel_code::call(address, [id.into(), memory.into(), 0.into()]);
            report.note(
                format!("vdso.{function}.{name}"),
                format_args!("{answer} {}", pair(memory)),
            );
        }
    }
    for function in ["gettimeofday", "time", "getcpu"] {
        let Some(address) = kernel_code::symbol(&format!("__vdso_{function}")) else {
            report.note(format!("vdso.{function}"), "absent");
            continue;
        };
        memory.put(0, &[0; 32]);
        let answer = kernel_code::call(address, [memory.into(), memory.at(16), 0.into()]);
        report.note(
            format!("vdso.{function}"),
            format_args!("{answer} {} {:x}", pair(memory), memory.u64(16)),
        );
    }
    if let Some(address) = kernel_code::symbol("__vdso_sgx_enter_enclave") {
        report.note("vdso.sgx", address);
    }
    data_pages(report);
}

/// What stands before the vDSO, where its functions find the time. The kernel reads it for us, since
/// there may be nothing.
fn data_pages(report: &mut Report) {
    let (Some((image, _)), Ok((mut reader, writer))) = (kernel_code::image(), std::io::pipe())
    else {
        return report.note("vdso.data", "absent");
    };
    for page in 1..=DATA_PAGES {
        let address = image - page * PAGE_BYTES;
        let written = call!(libc::SYS_write, writer.as_raw_fd(), address, PAGE_BYTES);
        report.written(format!("vdso.data.{page}"), written, |_| {
            let mut bytes = [0; PAGE_BYTES];
            let read = reader.read_exact(&mut bytes);
            format!("{} {:016x}", read.is_ok(), digest(&bytes))
        });
    }
}

const PAGE_BYTES: usize = 4096;
/// More than kernels have today.
const DATA_PAGES: usize = 8;

/// As programs ask, and what passes between two questions.
fn standard_library(report: &mut Report) {
    let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    report.note("standard.wall", wall.unwrap_or_default().as_nanos());
    let start = Instant::now();
    report.note("standard.nothing", start.elapsed().as_nanos());
    let mut sum = 0_u64;
    for number in 0..3_000_000_u64 {
        sum = std::hint::black_box(sum.rotate_left(5) ^ number);
    }
    report.note("standard.computing", start.elapsed().as_nanos());
    std::thread::sleep(Duration::from_millis(20));
    report.note("standard.sleeping", start.elapsed().as_nanos());
    let spawned = std::thread::spawn(move || {
        let memory = Memory::new();
        let cpu = call!(libc::SYS_clock_gettime, 3, &memory);
        (start.elapsed().as_nanos(), cpu.map(|_| pair(&memory)))
    });
    if let Ok((elapsed, cpu)) = spawned.join() {
        report.note("standard.thread", elapsed);
        report.note(
            "standard.thread-work",
            cpu.unwrap_or_else(|errno| errno.to_string()),
        );
    }
    report.note("standard.joined", start.elapsed().as_nanos());
    report.in_child("standard.child.end", |report| {
        report.note("standard.child", start.elapsed().as_nanos());
    });
    report.note("standard.waited", start.elapsed().as_nanos());
}

fn adjustment(report: &mut Report, memory: &Memory) {
    memory.put(0, &[0; 256]);
    for (name, answer) in [
        ("adjtimex", call!(libc::SYS_adjtimex, memory)),
        ("clock-adjtime", call!(libc::SYS_clock_adjtime, 0, memory)),
    ] {
        report.written(name, answer, |state| {
            format!("{state} {}", escaped(&memory.bytes(208)))
        });
    }
}
