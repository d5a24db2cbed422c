//! Calls that ask what machine this is, and how many processors a thread may use.

use super::memory::Words;
use super::service::{Answer, Call, DONE, Reply, Service};
use super::times::{NS, uptime_ns};
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
        let mut wanted = vec![0; known.len()];
        let length = usize::try_from(length & 0xffff_ffff).unwrap_or(0);
        for (index, byte) in wanted.iter_mut().enumerate().take(length) {
            [*byte] = call.memory().read(address.wrapping_add(index as u64))?;
        }
        let is_possible = known.iter().zip(&wanted).any(|(a, b)| a & b != 0);
        if is_possible { DONE } else { Err(INVALID) }
    }
}

/// Which pages of a range are in memory (`mincore(2)`): all, whatever the host's cache holds.
fn resident(call: &Call, length: u64, address: u64) -> Answer {
    const PAGE_BYTES: u64 = 4096;
    const PAGES_AT_ONCE: u64 = 4096;
    if !call.arguments[0].is_multiple_of(PAGE_BYTES) {
        return Err(INVALID);
    }
    let pages = length.div_ceil(PAGE_BYTES);
    let mut done = 0;
    while done < pages {
        let part = usize::try_from((pages - done).min(PAGES_AT_ONCE)).map_err(|_| INVALID)?;
        let present = vec![1; part];
        call.memory().write(address.wrapping_add(done), &present)?;
        done += part as u64;
    }
    DONE
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
