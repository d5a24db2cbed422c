//! Calls that ask what machine this is, and how many processors a thread may use.

use super::service::{Answer, Call, DONE, Reply, Service};
use crate::host::process::memory::Words;
use crate::host::time::times::{NS, uptime_ns};
use crate::sys::Errno;

const INVALID: Errno = Errno(libc::EINVAL);

impl Service {
    pub(super) fn machine_call(&mut self, call: &Call) -> Option<Answer> {
        let [first, second, third, ..] = call.arguments;
        Some(match call.number {
            libc::SYS_uname => self.uname(call, first),
            libc::SYS_sysinfo => self.system_information(call, first),
            libc::SYS_getcpu => call
                .memory()
                .write_unless_null(first, &[0; 4])
                .and_then(|()| call.memory().write_unless_null(second, &[0; 4]))
                .and(DONE),
            libc::SYS_sched_getaffinity => self.affinity(call, second, third),
            libc::SYS_sched_setaffinity => self.choose_affinity(call, second, third),
            // 20 is the nice value 0 (getpriority(2)).
            libc::SYS_getpriority => Ok(Reply::Value(20)),
            libc::SYS_setpriority | libc::SYS_ioprio_set => DONE,
            // No class of its own, and the ordinary policy.
            libc::SYS_ioprio_get | libc::SYS_sched_getscheduler => Ok(Reply::Value(0)),
            libc::SYS_sched_getparam => call.memory().write(second, &[0; 4]).and(DONE),
            libc::SYS_sched_setscheduler | libc::SYS_sched_setparam | libc::SYS_sched_setattr => {
                DONE
            }
            libc::SYS_sched_getattr => scheduling_attributes(call, second, third),
            libc::SYS_mincore => resident(call, second, third),
            libc::SYS_mmap => self.mapping(call),
            libc::SYS_sched_rr_get_interval => {
                let quantum = Words::default().u64(0).u64(4_000_000);
                call.memory().write(second, &quantum.0).and(DONE)
            }
            _ => return None,
        })
    }

    /// A large shared mapping: of memory there is as much as the host shows.
    fn mapping(&mut self, call: &Call) -> Answer {
        if call.arguments[1] <= self.host.memory_bytes {
            return Ok(Reply::Proceed);
        }
        let is_memory = call.int(3) & libc::MAP_ANONYMOUS != 0
            || self
                .descriptor_status(call, call.int(4))
                // `/dev/zero`; a file can be larger.
                .is_ok_and(|found| u32::from(found.stx_mode) & libc::S_IFMT == libc::S_IFCHR);
        if is_memory {
            Err(Errno(libc::ENOMEM))
        } else {
            Ok(Reply::Proceed)
        }
    }

    fn uname(&self, call: &Call, address: u64) -> Answer {
        const FIELD_BYTES: usize = 65;
        let mut names = Vec::with_capacity(6 * FIELD_BYTES);
        for (index, name) in [
            "Linux",
            &self.host.host_name,
            &self.host.kernel_release,
            &self.host.kernel_version,
            "x86_64",
            "(none)",
        ]
        .into_iter()
        .enumerate()
        {
            // Terminated, whatever a recipe states.
            names.extend(name.bytes().take(FIELD_BYTES - 1));
            names.resize((index + 1) * FIELD_BYTES, 0);
        }
        call.memory().write(address, &names)?;
        DONE
    }

    fn system_information(&mut self, call: &Call, address: u64) -> Answer {
        let now_ns = self.task(call).clock.read();
        let memory_bytes = self.host.memory_bytes;
        let mut information = Words::default()
            .u64(uptime_ns(now_ns) / NS)
            .u64(0)
            .u64(0)
            .u64(0)
            .u64(memory_bytes)
            .u64(memory_bytes / 2)
            .u64(0)
            .u64(0)
            .u64(0)
            .u64(0)
            .u16(1)
            .u16(0)
            .u32(0)
            .u64(0)
            .u64(0)
            .u32(1);
        information = information.padded_to(112);
        call.memory().write(address, &information.0)?;
        DONE
    }

    /// One bit for each processor that the host's description has.
    fn mask(&self) -> Vec<u8> {
        let processors = self.host.processors as usize;
        let mut mask = vec![0; processors.div_ceil(64) * 8];
        for number in 0..processors {
            if let Some(byte) = mask.get_mut(number / 8) {
                *byte |= 1 << (number % 8);
            }
        }
        mask
    }

    fn affinity(&self, call: &Call, length: u64, address: u64) -> Answer {
        let mask = self.mask();
        let length = length & 0xffff_ffff;
        if !length.is_multiple_of(8) || length < mask.len() as u64 {
            return Err(INVALID);
        }
        call.memory().write(address, &mask)?;
        Ok(Reply::Value(i64::try_from(mask.len()).unwrap_or(8)))
    }

    /// Checked and forgotten: a thread runs wherever the host has room.
    fn choose_affinity(&self, call: &Call, length: u64, address: u64) -> Answer {
        let known = self.mask();
        let length = usize::try_from(length & 0xffff_ffff).unwrap_or(0);
        let wanted = call.memory().read_some(address, length.min(known.len()))?;
        let is_possible = known.iter().zip(&wanted).any(|(a, b)| a & b != 0);
        if is_possible { DONE } else { Err(INVALID) }
    }
}

/// Which pages of a range are in memory (`mincore(2)`): all that are mapped, whatever the host's
/// cache holds.
fn resident(call: &Call, length: u64, address: u64) -> Answer {
    const PAGE_BYTES: u64 = 4096;
    const PAGES_AT_ONCE: u64 = 4096;
    /// More than the host that is shown has memory, and no more work than for a large file.
    const PAGES_MAX: u64 = 1 << 22;
    const NOT_MAPPED: Errno = Errno(libc::ENOMEM);
    let start = call.arguments[0];
    if !start.is_multiple_of(PAGE_BYTES) {
        return Err(INVALID);
    }
    let pages = length.div_ceil(PAGE_BYTES);
    if pages > PAGES_MAX {
        return Err(NOT_MAPPED);
    }
    if pages == 0 {
        return DONE;
    }
    let end = start
        .checked_add(pages * PAGE_BYTES)
        .filter(|end| *end <= ADDRESSES_END)
        .ok_or(NOT_MAPPED)?;
    // A program that has no memory map to read is gone.
    let maps = std::fs::File::open(format!("/proc/{}/maps", call.thread));
    let maps = maps.map_err(|_| Errno(libc::ESRCH))?;
    let mapped = (mapped_end(std::io::BufReader::new(maps), start, end) - start) / PAGE_BYTES;
    let mut done = 0;
    while done < mapped {
        let part = usize::try_from((mapped - done).min(PAGES_AT_ONCE)).map_err(|_| INVALID)?;
        let present = vec![1; part];
        call.memory().write(address.wrapping_add(done), &present)?;
        done += part as u64;
    }
    if mapped < pages {
        Err(NOT_MAPPED)
    } else {
        DONE
    }
}

/// Where the addresses end that a program can have anything at.
const ADDRESSES_END: u64 = 0x7fff_ffff_f000;

/// Up to where memory is mapped without a gap, from `start` to at most `end`; the text is the
/// kernel's (proc(5), `/proc/pid/maps`), in ascending order.
fn mapped_end(maps: impl std::io::BufRead, start: u64, end: u64) -> u64 {
    let mut reached = start;
    for line in maps.lines() {
        let range = line.ok().and_then(|line| {
            let (from, rest) = line.split_once('-')?;
            let (to, _) = rest.split_once(' ')?;
            let address = |text| u64::from_str_radix(text, 16).ok();
            Some((address(from)?, address(to)?))
        });
        let Some((from, to)) = range else { break };
        if from > reached || reached >= end {
            break;
        }
        reached = reached.max(to);
    }
    reached.min(end)
}

fn scheduling_attributes(call: &Call, address: u64, size: u64) -> Answer {
    const SIZE: u64 = 48;
    if size < SIZE {
        return Err(INVALID);
    }
    let attributes = Words::default().u32(48).padded_to(48);
    call.memory().write(address, &attributes.0)?;
    DONE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_mapped_up_to_the_first_gap() {
        let maps = "1000-3000 r-xp 00000000 00:00 0\n3000-4000 ---p 00000000 00:00 0 [heap]\n\
                    6000-7000 rw-p 00000000 00:00 0\n";
        for (start, end, expected) in [
            (0x1000, 0x2000, 0x2000),
            (0x1000, 0x4000, 0x4000),
            (0x2000, 0x8000, 0x4000),
            (0x4000, 0x5000, 0x4000),
            (0x6000, 0x7000, 0x7000),
            (0x6000, 0x9000, 0x7000),
            (0, 0x1000, 0),
            (0x9000, 0xa000, 0x9000),
        ] {
            let found = mapped_end(maps.as_bytes(), start, end);
            assert_eq!(found, expected, "{start:x} {end:x}");
        }
    }
}
