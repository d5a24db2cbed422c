//! What machine this is: kernel, memory, load, processors to run on, and the files that name it.

use crate::raw::{Memory, call};
use crate::report::Report;

pub(crate) fn look(report: &mut Report) {
    let memory = Memory::new();
    let names = call!(libc::SYS_uname, &memory);
    for (index, field) in ["system", "node", "release", "version", "machine", "domain"]
        .into_iter()
        .enumerate()
    {
        report.written(format!("uname.{field}"), names, |_| memory.text(index * 65));
    }
    information(report, &memory);
    processors(report, &memory);
    for path in [
        "/etc/machine-id",
        "/var/lib/dbus/machine-id",
        "/etc/hostname",
        "/etc/hosts",
        "/etc/resolv.conf",
        "/etc/passwd",
        "/etc/localtime",
        "/etc/os-release",
        "/sys",
        "/sys/devices/system/cpu/online",
        "/sys/devices/system/cpu/possible",
        "/sys/class/dmi/id/product_uuid",
        "/sys/class/net/lo/address",
        "/sys/fs/cgroup/memory.max",
        "/sys/kernel/mm/transparent_hugepage/enabled",
        "/run",
        "/var",
        "/home",
        "/root",
    ] {
        match std::fs::read(path) {
            Ok(content) => report.bytes(format!("file.{path}"), &content),
            Err(error) => report.note(
                format!("file.{path}"),
                error.raw_os_error().unwrap_or_default(),
            ),
        }
    }
    report.answer("syslog.size", call!(libc::SYS_syslog, 10, 0, 0));
    report.answer(
        "quotactl",
        call!(libc::SYS_quotactl, 0x80_0007, 0, 0, &memory),
    );
    let mut all = Vec::new();
    for (name, value) in std::env::vars_os() {
        let shown = name.to_string_lossy();
        report.note(format!("environment.{shown}"), value.to_string_lossy());
        all.extend(name.into_encoded_bytes());
        all.push(b'=');
        all.extend(value.into_encoded_bytes());
        all.push(b'\n');
    }
    report.bytes("environment.all-in-order", &all);
    let words: Vec<String> = std::env::args().collect();
    report.note("arguments", words.join(" "));
}

fn information(report: &mut Report, memory: &Memory) {
    let answer = call!(libc::SYS_sysinfo, memory);
    for (field, at) in [
        ("uptime", 0),
        ("load-1", 8),
        ("load-5", 16),
        ("load-15", 24),
        ("total", 32),
        ("free", 40),
        ("shared", 48),
        ("buffer", 56),
        ("total-swap", 64),
        ("free-swap", 72),
        ("total-high", 88),
        ("free-high", 96),
    ] {
        report.written(format!("sysinfo.{field}"), answer, |_| {
            memory.u64(at).to_string()
        });
    }
    report.written("sysinfo.processes", answer, |_| memory.u16(80).to_string());
    report.written("sysinfo.unit", answer, |_| memory.u32(104).to_string());
}

fn processors(report: &mut Report, memory: &Memory) {
    memory.put(0, &[0xff; 16]);
    let answer = call!(libc::SYS_getcpu, memory, memory.at(8), 0);
    report.written("getcpu", answer, |_| {
        format!("processor {} node {}", memory.u32(0), memory.u32(8))
    });
    for length in [8_usize, 64, 128, 1024, 8192] {
        let answer = call!(libc::SYS_sched_getaffinity, 0, length, memory);
        report.written(format!("affinity.{length}"), answer, |written| {
            let bits: Vec<String> = (0..written.min(8192))
                .filter_map(|at| usize::try_from(at).ok())
                .map(|at| memory.array::<1>(at)[0])
                .map(|byte| format!("{byte:02x}"))
                .collect();
            format!("{written} bytes {}", bits.concat())
        });
    }
    report.answer(
        "affinity.of-1",
        call!(libc::SYS_sched_getaffinity, 1, 128, memory),
    );
    let counted = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    report.note("processors.available", counted);
    memory.put(0, &[0; 256]);
    memory.put_u64(0, 2);
    for (name, mask) in [("1", 2_u64), ("0", 1), ("63", 1 << 63)] {
        memory.put_u64(0, mask);
        report.in_child(format!("affinity.choose-{name}.end"), |report| {
            let memory = Memory::new();
            memory.put_u64(0, mask);
            report.answer(
                format!("affinity.choose-{name}"),
                call!(libc::SYS_sched_setaffinity, 0, 8, &memory),
            );
            let answer = call!(libc::SYS_getcpu, &memory, 0, 0);
            report.written(format!("affinity.chosen-{name}"), answer, |_| {
                memory.u32(0).to_string()
            });
        });
    }
    let answer = call!(libc::SYS_get_mempolicy, memory, memory.at(64), 1024, 0, 0);
    report.written("memory-policy", answer, |_| {
        format!("{} {:x}", memory.i32(0), memory.u64(64))
    });
    let answer = call!(libc::SYS_get_mempolicy, 0, memory.at(64), 1024, 0, 4);
    report.written("memory-policy.allowed", answer, |_| {
        format!("{:x}", memory.u64(64))
    });
    report.answer("membarrier", call!(libc::SYS_membarrier, 0, 0, 0));
}
