//! Random numbers: the call, the devices, the kernel's gift to each program, and whether two draws
//! and two children differ, which they must in every world.

use std::fs::File;
use std::io::Read;

use crate::raw::{self, Memory, call, kernel_code};
use crate::report::Report;

pub(crate) fn look(report: &mut Report) {
    let gift = raw::sixteen_bytes_at(raw::auxiliary(libc::AT_RANDOM));
    report.note(
        "gift",
        gift.map_or_else(|| "absent".to_owned(), |bytes| hex(&bytes)),
    );
    let first = draw(0);
    let second = draw(0);
    report.note("call.differs", first != second);
    report.note("call.first", first);
    report.note("call.second", second);
    report.note("call.blocking-pool", draw(2));
    report.note("call.insecure", draw(4));
    report.note("call.undefined-flag", draw(64));
    if let Some(address) = kernel_code::symbol("__vdso_getrandom") {
        let memory = Memory::new();
        // Asks for the size and kind of the state that the caller has to map (vgetrandom).
        let answer = kernel_code::call(address, [0.into(), 0.into(), 0.into()]);
        report.note(
            "vdso",
            format_args!("{:x} {}", answer & 0xffff_ffff, memory.u64(0)),
        );
    } else {
        report.note("vdso", "absent");
    }
    for name in ["one", "two"] {
        report.in_child(format!("child.{name}.end"), |report| {
            report.note(format!("child.{name}"), draw(0));
        });
    }
    for path in ["/dev/urandom", "/dev/random"] {
        for turn in ["first", "second"] {
            report.note(format!("{path}.{turn}"), read(path));
        }
    }
    device(report);
    report.note("hash-keys", {
        use std::hash::{BuildHasher, RandomState};
        RandomState::new().hash_one(1)
    });
    for turn in ["first", "second"] {
        let uuid = std::fs::read_to_string("/proc/sys/kernel/random/uuid");
        report.note(
            format!("uuid.{turn}"),
            uuid.unwrap_or_else(|error| error.to_string()).trim_end(),
        );
    }
}

/// The device as a file: how much one read brings, and what it says of its pool.
fn device(report: &mut Report) {
    let memory = Memory::new();
    let device = match call!(libc::SYS_open, c"/dev/urandom", libc::O_RDONLY, 0) {
        Ok(device) => device,
        Err(errno) => return report.note("device", errno),
    };
    report.answer(
        "device.large-read",
        call!(libc::SYS_read, device, &memory, 60_000),
    );
    report.answer(
        "device.small-read",
        call!(libc::SYS_read, device, &memory, 3),
    );
    report.answer(
        "device.read-at",
        call!(libc::SYS_pread64, device, &memory, 3, 100),
    );
    let seek = call!(libc::SYS_lseek, device, 0, libc::SEEK_CUR);
    report.answer("device.seek", seek);
    // RNDGETENTCNT, and how much waits in it.
    let answer = call!(libc::SYS_ioctl, device, 0x8004_5200_u32, &memory);
    report.written("device.entropy", answer, |_| memory.i32(0).to_string());
    let answer = call!(libc::SYS_ioctl, device, libc::FIONREAD, &memory);
    report.written("device.waiting", answer, |_| memory.i32(0).to_string());
    let answer = call!(libc::SYS_fstat, device, &memory);
    report.written("device.kind", answer, |_| {
        format!(
            "mode {:o} rdev {} ino {}",
            memory.u32(24),
            memory.u64(40),
            memory.u64(8)
        )
    });
    let _ = call!(libc::SYS_close, device);
    // Who may write to it may read it as well.
    if let Ok(device) = call!(libc::SYS_open, c"/dev/urandom", libc::O_RDWR, 0) {
        let answer = call!(libc::SYS_read, device, &memory, 16);
        report.written("device.of-reader-and-writer", answer, |_| {
            hex(&memory.array::<16>(0))
        });
        let _ = call!(libc::SYS_close, device);
    }
}

fn draw(flags: u32) -> String {
    let memory = Memory::new();
    match call!(libc::SYS_getrandom, &memory, 16, flags) {
        Ok(16) => hex(&memory.array::<16>(0)),
        Ok(length) => format!("{length} bytes"),
        Err(errno) => errno.to_string(),
    }
}

fn read(path: &str) -> String {
    let mut bytes = [0; 16];
    match File::open(path).and_then(|mut file| file.read_exact(&mut bytes)) {
        Ok(()) => hex(&bytes),
        Err(error) => error.to_string(),
    }
}

fn hex(bytes: &[u8]) -> String {
    let digits = |byte: &u8| [byte >> 4, byte & 15];
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or('?');
    bytes.iter().flat_map(digits).map(digit).collect()
}
