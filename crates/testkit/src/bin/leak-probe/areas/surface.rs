//! Which system calls there are: every number, with arguments that no call can use, and the other
//! tables of the architecture.
//!
//! Left out: calls that end or block the caller, that would act on the whole machine if it let
//! them, or that leave something behind; and `brk`, which shows how long the values so far are.

use crate::raw::{call, instructions};
use crate::report::Report;

/// One more than the last number that is tried: the newest calls, and a few that do not exist yet.
const END: i64 = 500;

const LEFT_OUT: [i64; 27] = [
    libc::SYS_alarm,
    libc::SYS_brk,
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_fork,
    libc::SYS_inotify_init,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_msgget,
    libc::SYS_munlockall,
    libc::SYS_pause,
    libc::SYS_reboot,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigsuspend,
    libc::SYS_semget,
    libc::SYS_shmget,
    libc::SYS_sync,
    libc::SYS_vfork,
    libc::SYS_vhangup,
    libc::SYS_set_tid_address,
    libc::SYS_setsid,
    libc::SYS_sched_yield,
    libc::SYS_umask,
    libc::SYS_close_range,
];

/// Calls of the 32-bit table (`unistd_32.h`): getpid, time, stime with null, and the 64-bit clock.
const OF_32_BITS: [(&str, u32); 4] = [
    ("getpid", 20),
    ("time", 13),
    ("gettimeofday", 78),
    ("clock_gettime64", 403),
];

pub(crate) fn look(report: &mut Report) {
    let mut from = 0;
    let mut part = 0;
    while from < END {
        // A child makes them one after another; where one is fatal the next child goes on.
        let (mut reader, writer) = match std::io::pipe() {
            Ok(ends) => ends,
            Err(error) => return report.note("children", error),
        };
        part += 1;
        let start = from;
        report.in_child(format!("end.{part:02}"), |report| {
            for number in start..END {
                if LEFT_OUT.contains(&number) {
                    continue;
                }
                let _ = std::io::Write::write_all(&mut &writer, &number.to_le_bytes());
                let nonsense = u64::MAX;
                report.answer(
                    format!("call.{number:03}"),
                    call!(
                        number, nonsense, nonsense, nonsense, nonsense, nonsense, nonsense
                    ),
                );
            }
            let _ = std::io::Write::write_all(&mut &writer, &END.to_le_bytes());
        });
        drop(writer);
        let mut tried = Vec::new();
        let _ = std::io::Read::read_to_end(&mut reader, &mut tried);
        let last = tried
            .last_chunk()
            .map_or(END, |last| i64::from_le_bytes(*last));
        from = last + 1;
    }
    for (name, number) in OF_32_BITS {
        report.in_child(format!("int-80.{name}.end"), |report| {
            let answer = instructions::interrupt_80(number, 0);
            report.note(format!("int-80.{name}"), answer);
        });
    }
    for (name, number) in [
        ("time", libc::SYS_time),
        ("clock_gettime", libc::SYS_clock_gettime),
        ("getpid", libc::SYS_getpid),
        ("ioctl", 514),
    ] {
        report.in_child(format!("x32.{name}.end"), |report| {
            report.answer(format!("x32.{name}"), call!(0x4000_0000 | number, 0, 0));
        });
    }
}
