//! The processor, asked directly: its description, counters, numbers and random sources.
//!
//! No kernel takes part in most of these answers, so a sandbox can hide them only where the
//! processor offers to trap the instruction. What cannot be trapped is named alike in every run:
//! the number of the processor by its routes, and counters, have an observable each.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::raw::instructions;
use crate::raw::{Memory, call};
use crate::report::Report;

/// Registers of `cpuid` that hold the number of the processor that answers: leaf, part, register,
/// and the bits that are it.
const NUMBERED: [(u32, u32, usize, u32); 8] = [
    (0x1, 0, 1, 0xff00_0000),
    (0xb, 0, 3, u32::MAX),
    (0xb, 1, 3, u32::MAX),
    (0x1f, 0, 3, u32::MAX),
    (0x8000_001e, 0, 0, u32::MAX),
    (0x8000_001e, 0, 1, 0xff),
    (0x8000_0026, 0, 3, u32::MAX),
    (0x8000_0026, 1, 3, u32::MAX),
];

const LEAVES: [(u32, u32); 40] = [
    (0x0, 0),
    (0x1, 0),
    (0x2, 0),
    (0x4, 0),
    (0x4, 1),
    (0x5, 0),
    (0x6, 0),
    (0x7, 0),
    (0x7, 1),
    (0x7, 2),
    (0xb, 0),
    (0xb, 1),
    (0xd, 0),
    (0xd, 1),
    (0xd, 2),
    (0xf, 0),
    (0x10, 0),
    (0x15, 0),
    (0x16, 0),
    (0x1f, 0),
    (0x4000_0000, 0),
    (0x4000_0001, 0),
    (0x4000_0010, 0),
    (0x8000_0000, 0),
    (0x8000_0001, 0),
    (0x8000_0002, 0),
    (0x8000_0003, 0),
    (0x8000_0004, 0),
    (0x8000_0005, 0),
    (0x8000_0006, 0),
    (0x8000_0007, 0),
    (0x8000_0008, 0),
    (0x8000_000a, 0),
    (0x8000_0019, 0),
    (0x8000_001b, 0),
    (0x8000_001d, 0),
    (0x8000_001e, 0),
    (0x8000_001f, 0),
    (0x8000_0021, 0),
    (0x8000_0026, 0),
];

pub(crate) fn look(report: &mut Report) {
    report.in_child("cpuid.end", |report| {
        let mut numbers = Vec::new();
        for (leaf, part) in LEAVES {
            let mut registers = instructions::cpuid(leaf, part);
            for (numbered, of_part, register, bits) in NUMBERED {
                if numbered == leaf && of_part == part {
                    numbers.push(format!("{:x}", registers[register] & bits));
                    registers[register] &= !bits;
                }
            }
            let [a, b, c, d] = registers;
            report.note(
                format!("cpuid.{leaf:08x}.{part}"),
                format_args!("{a:08x} {b:08x} {c:08x} {d:08x}"),
            );
        }
        report.note("cpuid-number", numbers.join(" "));
    });
    report.in_child("rdtsc.end", |report| {
        let first = instructions::rdtsc();
        let passed = instructions::rdtsc().wrapping_sub(first);
        report.note("rdtsc", format_args!("{first} {passed}"));
    });
    report.in_child("rdtscp.end", |report| {
        let (time, number) = instructions::rdtscp();
        report.note("rdtscp", format_args!("{time} {number:x}"));
    });
    report.in_child("rdpid.end", |report| {
        report.note("rdpid", format_args!("{:x}", instructions::rdpid()));
    });
    report.in_child("segment-limit.end", |report| {
        report.note(
            "segment-limit",
            format_args!("{:x}", instructions::segment_limit()),
        );
    });
    report.in_child("rdrand.end", |report| {
        let (number, valid) = instructions::rdrand();
        report.note("rdrand", format_args!("{number:x} {valid}"));
    });
    report.in_child("rdseed.end", |report| {
        let (number, valid) = instructions::rdseed();
        report.note("rdseed", format_args!("{number:x} {valid}"));
    });
    report.in_child("xgetbv.end", |report| {
        report.note("xgetbv.0", format_args!("{:x}", instructions::xgetbv(0)));
    });
    for counter in [0, 1, 0x4000_0000] {
        report.in_child(format!("rdpmc.{counter:x}.end"), |report| {
            report.note(
                format!("rdpmc.{counter:x}"),
                format_args!("{:x}", instructions::rdpmc(counter)),
            );
        });
    }
    report.in_child("smsw.end", |report| {
        report.note("smsw", format_args!("{:x}", instructions::smsw()));
    });
    report.in_child("sgdt.end", |report| {
        let (limit, address) = instructions::sgdt();
        report.note("sgdt", format_args!("{limit:x} {address:x}"));
    });
    report.in_child("rseq.end", |report| {
        // The size that all kernels take, and a signature of our own.
        let memory = Memory::new();
        let answer = call!(libc::SYS_rseq, &memory, 32, 0, 0x5305_3053);
        report.written("rseq", answer, |_| {
            format!("{} {}", memory.u32(0), memory.u32(4))
        });
    });
    race(report);
}

/// How far a thread counts while another makes a few calls: a clock that nobody made.
fn race(report: &mut Report) {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    static STOP: AtomicBool = AtomicBool::new(false);
    let counter = std::thread::spawn(|| {
        while !STOP.load(Ordering::Relaxed) {
            COUNT.fetch_add(1, Ordering::Relaxed);
        }
    });
    let memory = Memory::new();
    while COUNT.load(Ordering::Relaxed) == 0 {
        std::hint::spin_loop();
    }
    for _ in 0..100 {
        let _ = call!(libc::SYS_uname, &memory);
    }
    report.note("thread-that-counts", COUNT.load(Ordering::Relaxed));
    STOP.store(true, Ordering::Relaxed);
    let _ = counter.join();
}
