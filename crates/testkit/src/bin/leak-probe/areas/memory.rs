//! Where things lie in memory, what the kernel told the program at its start, and how much memory
//! there is to have.

use std::ffi::CStr;

use crate::raw::{self, Memory, call, instructions, kernel_code};
use crate::report::{Report, digest, escaped};

/// Names of the auxiliary vector (getauxval(3)).
const VECTOR: [(&str, u64); 24] = [
    ("phdr", 3),
    ("phent", 4),
    ("phnum", 5),
    ("pagesz", 6),
    ("base", 7),
    ("flags", 8),
    ("entry", 9),
    ("uid", 11),
    ("euid", 12),
    ("gid", 13),
    ("egid", 14),
    ("platform", 15),
    ("hwcap", 16),
    ("clktck", 17),
    ("secure", 23),
    ("base-platform", 24),
    ("random", 25),
    ("hwcap2", 26),
    ("rseq-feature-size", 27),
    ("rseq-align", 28),
    ("hwcap3", 29),
    ("execfn", 31),
    ("sysinfo-ehdr", 33),
    ("minsigstksz", 51),
];

static READ_ONLY: u64 = 7;

pub(crate) fn look(report: &mut Report) {
    let memory = Memory::new();
    let local = 0_u8;
    let boxed = Box::new(0_u8);
    report.note("address.stack", format_args!("{:p}", &raw const local));
    report.note("address.heap", format_args!("{boxed:p}"));
    let large = vec![0_u8; 8 << 20];
    report.note("address.large", format_args!("{:p}", large.as_ptr()));
    report.note("address.code", format_args!("{:p}", look as *const ()));
    report.note("address.data", format_args!("{:p}", &raw const READ_ONLY));
    report.note("address.break", hexadecimal(call!(libc::SYS_brk, 0)));
    let mapped = call!(libc::SYS_mmap, 0, 4096, libc::PROT_READ, 0x22, -1, 0);
    report.note("address.mapped", hexadecimal(mapped));
    let low = call!(libc::SYS_mmap, 0, 4096, libc::PROT_READ, 0x62, -1, 0);
    report.note("address.mapped-low", hexadecimal(low));
    let huge = call!(libc::SYS_mmap, 0, 2 << 20, libc::PROT_READ, 0x4_0022, -1, 0);
    report.note("address.mapped-huge", hexadecimal(huge));
    let thread = std::thread::spawn(|| {
        let local = 0_u8;
        format!("{:p}", &raw const local)
    });
    report.note("address.thread-stack", thread.join().unwrap_or_default());
    for (name, key) in VECTOR {
        report.note(
            format!("vector.{name}"),
            format_args!("{:x}", raw::auxiliary(key)),
        );
    }
    for (name, key) in [("platform", 15), ("base-platform", 24), ("execfn", 31)] {
        report.note(format!("text.{name}"), raw::text_at(raw::auxiliary(key)));
    }
    // The canary of functions' frames, and the key that saved jumps are hidden with.
    report.note(
        "thread.canary",
        format_args!("{:x}", instructions::thread_word(0x28)),
    );
    report.note(
        "thread.key",
        format_args!("{:x}", instructions::thread_word(0x30)),
    );
    let image = kernel_code::image();
    report.note("vdso.digest", image.map_or(0, |(_, image)| digest(image)));
    amounts(report, &memory);
}

fn hexadecimal(answer: raw::Answer) -> String {
    answer.map_or_else(|errno| errno.to_string(), |value| format!("{value:x}"))
}

/// How much can be had: mapped, locked, reserved.
fn amounts(report: &mut Report, memory: &Memory) {
    for (name, bytes) in [
        ("1-gib", 1_u64 << 30),
        ("64-gib", 1 << 36),
        ("16-tib", 1 << 44),
    ] {
        report.in_child(format!("map.{name}.end"), |report| {
            for (kind, flags) in [("reserved", 0x4022), ("accounted", 0x22), ("shared", 0x21)] {
                let answer = call!(libc::SYS_mmap, 0, bytes, 3, flags, -1, 0);
                let answer = answer.map(|_| 0);
                report.answer(format!("map.{name}.{kind}"), answer);
            }
        });
    }
    report.in_child("lock.end", |report| {
        let memory = Memory::new();
        report.answer("lock.1-page", call!(libc::SYS_mlock, &memory, 4096));
        report.answer("lock.16-pages", call!(libc::SYS_mlock, &memory, 16 << 12));
        report.answer("lock.all", call!(libc::SYS_mlockall, 1));
        report.answer("lock.future", call!(libc::SYS_mlockall, 2));
    });
    report.in_child("break.end", |report| {
        let start = call!(libc::SYS_brk, 0).unwrap_or(0);
        let far = call!(libc::SYS_brk, start + (64 << 20)).unwrap_or(0);
        report.note("break.grown", far == start + (64 << 20));
    });
    let own = c"/proc/self/exe";
    for (name, path) in [("own", own), ("input", c"/inputs/declared")] {
        resident(report, name, path, memory);
    }
    let answer = call!(libc::SYS_mincore, 0x1000, 4096, memory);
    report.answer("mincore.nowhere", answer);
    let answer = call!(451, 0, 0, memory, memory.at(64), 0);
    report.answer("cachestat", answer);
    report.answer("pkey", call!(libc::SYS_pkey_alloc, 0, 0));
    report.answer("shadow-stack", call!(453, 0, 4096, 0));
    report.answer("madvise-hugepage", {
        let mapped = call!(libc::SYS_mmap, 0, 4 << 20, 3, 0x22, -1, 0);
        mapped.and_then(|at| call!(libc::SYS_madvise, at, 4 << 20, 14))
    });
}

/// Which pages of a file the machine holds in memory.
fn resident(report: &mut Report, name: &str, path: &CStr, memory: &Memory) {
    let Ok(file) = call!(libc::SYS_open, path, libc::O_RDONLY, 0) else {
        return report.note(format!("resident.{name}"), "absent");
    };
    let mapped = call!(libc::SYS_mmap, 0, 16 << 12, libc::PROT_READ, 2, file, 0);
    let answer = mapped.and_then(|at| {
        memory.put(0, &[0xff; 16]);
        call!(libc::SYS_mincore, at, 16 << 12, memory)
    });
    report.written(format!("resident.{name}.mincore"), answer, |_| {
        escaped(&memory.bytes(16))
    });
    memory.put(0, &[0; 128]).put_u64(8, 1 << 20);
    let answer = call!(451, file, memory, memory.at(64), 0);
    report.written(format!("resident.{name}.cachestat"), answer, |_| {
        format!("{} {}", memory.u64(64), memory.u64(72))
    });
    // RWF_NOWAIT: served only if the file is in memory.
    memory.put(0, &[0; 64]);
    let buffer = Memory::new();
    memory.put_u64(0, buffer.address(0)).put_u64(8, 16);
    let answer = call!(libc::SYS_preadv2, file, memory, 1, 0, 0, 8);
    report.answer(format!("resident.{name}.nowait"), answer);
    report.answer(
        format!("resident.{name}.advise"),
        call!(libc::SYS_fadvise64, file, 0, 0, 3),
    );
    let _ = call!(libc::SYS_close, file);
}
