//! Children: what they cost, as waiting for them and the signal of their end tell, and what their
//! signals interrupt.

use std::io::{Read as _, Write as _};

use super::waits::compute;
use crate::raw::{Answer, Errno, Memory, call};
use crate::report::Report;

/// The first signal of which several can wait (signal(7)).
const SIGRTMIN: i32 = 32;

pub(crate) fn look(report: &mut Report) {
    end_of_a_child(report);
    waited_for(report);
    pending(report);
}

/// How many signals may wait for a user's processes, when one of them has left an orphan: the end of
/// each process that nobody else waits for is a signal to process 1.
fn pending(report: &mut Report) {
    let counted = || -> Result<u64, Errno> {
        let memory = Memory::new();
        memory.put_u64(0, 1 << (SIGRTMIN - 1));
        call!(libc::SYS_rt_sigprocmask, libc::SIG_BLOCK, &memory, 0, 8)?;
        if let Some(child) = crate::raw::fork()? {
            call!(libc::SYS_wait4, child, 0, 0, 0)?;
        } else {
            let _ = crate::raw::fork();
            let _ = call!(libc::SYS_exit_group, 0);
        }
        // It has ended by then.
        std::thread::sleep(std::time::Duration::from_millis(20));
        memory.put(0, &[0; 128]);
        memory.put(8, &(-1_i32).to_ne_bytes()); // SI_QUEUE
        let own = std::process::id();
        let mut count = 0;
        while call!(libc::SYS_rt_sigqueueinfo, own, SIGRTMIN, &memory).is_ok() {
            count += 1;
        }
        Ok(count)
    };
    // What is left waiting ends with this process.
    let (mut reader, mut writer) = match std::io::pipe() {
        Ok(ends) => ends,
        Err(error) => return report.note("pending", error),
    };
    match crate::raw::fork() {
        Ok(Some(child)) => {
            drop(writer);
            let mut text = String::new();
            let _ = reader.read_to_string(&mut text);
            let _ = call!(libc::SYS_wait4, child, 0, 0, 0);
            report.note("pending", text);
        }
        Ok(None) => {
            let text = counted().map_or_else(|errno| errno.to_string(), |count| count.to_string());
            let _ = writer.write_all(text.as_bytes());
            let _ = call!(libc::SYS_exit_group, 0);
        }
        Err(errno) => report.note("pending", errno),
    }
}

/// Whether calls that never wait are interrupted while a child sends signals: the kernel finishes
/// them first.
pub(crate) fn under_signals(report: &mut Report) {
    crate::raw::catch(libc::SIGUSR1);
    let parent = std::process::id();
    let sender = match crate::raw::fork() {
        Ok(Some(sender)) => sender,
        Ok(None) => {
            while call!(libc::SYS_kill, parent, libc::SIGUSR1).is_ok() {}
            let _ = call!(libc::SYS_exit_group, 0);
            std::process::abort()
        }
        Err(errno) => return report.note("signals", errno),
    };
    let memory = Memory::new();
    let status = || call!(libc::SYS_stat, c"/", &memory).map(|_| 0);
    let opened = || {
        let file = call!(libc::SYS_open, c"/dev/null", libc::O_RDONLY, 0)?;
        call!(libc::SYS_close, file)
    };
    let forked = || {
        let Some(child) = crate::raw::fork()? else {
            let _ = call!(libc::SYS_exit_group, 0);
            std::process::abort()
        };
        while call!(libc::SYS_wait4, child, 0, 0, 0) == Err(Errno(libc::EINTR)) {}
        Ok(0)
    };
    let mut answers = [
        ("stat", answers(2000, &status)),
        ("open", answers(500, &opened)),
        ("fork", answers(50, &forked)),
    ];
    let _ = call!(libc::SYS_kill, sender, libc::SIGKILL);
    while call!(libc::SYS_wait4, sender, 0, 0, 0) == Err(Errno(libc::EINTR)) {}
    for (name, answers) in &mut answers {
        answers.sort_unstable();
        answers.dedup();
        report.note(format!("signals.{name}"), answers.join(", "));
    }
}

/// What a call answers when it is made so often.
fn answers(count: usize, once: &dyn Fn() -> Answer) -> Vec<String> {
    let shown =
        |answer: Answer| answer.map_or_else(|errno| errno.to_string(), |_| "done".to_owned());
    (0..count).map(|_| shown(once())).collect()
}

/// What the signal of a child's end tells.
fn end_of_a_child(report: &mut Report) {
    let children = Memory::new();
    children.put_u64(0, 1 << (libc::SIGCHLD - 1));
    let _ = call!(libc::SYS_rt_sigprocmask, 0, &children, 0, 8);
    let child = match crate::raw::fork() {
        Ok(Some(child)) => child,
        Ok(None) => {
            compute();
            let _ = call!(libc::SYS_exit_group, 3);
            std::process::abort()
        }
        Err(errno) => return report.note("end-of-child", errno),
    };
    let memory = Memory::new();
    let answer = call!(libc::SYS_rt_sigtimedwait, &children, &memory, 0, 8);
    report.answer("end-of-child", answer);
    report.note(
        "end-of-child.who",
        format_args!("{} {}", memory.i32(16), memory.u32(20)),
    );
    report.note(
        "end-of-child.work",
        format_args!("{} {}", memory.u64(32), memory.u64(40)),
    );
    let _ = call!(libc::SYS_wait4, child, 0, 0, 0);
    let _ = call!(libc::SYS_rt_sigprocmask, 1, &children, 0, 8);
}

/// What a child cost, as wait4(2) and waitid(2) tell.
fn waited_for(report: &mut Report) {
    for (name, is_waitid) in [("wait4", false), ("waitid", true)] {
        let child = match crate::raw::fork() {
            Ok(Some(child)) => child,
            Ok(None) => {
                compute();
                let _ = call!(libc::SYS_exit_group, 7);
                std::process::abort()
            }
            Err(errno) => return report.note(name, errno),
        };
        let memory = Memory::new();
        let answer = if is_waitid {
            call!(libc::SYS_waitid, 1, child, &memory, 4, memory.at(256))
        } else {
            call!(libc::SYS_wait4, child, &memory, 0, memory.at(256))
        };
        report.answer(format!("{name}.answer"), answer);
        report.note(
            format!("{name}.status"),
            memory.i32(if is_waitid { 24 } else { 0 }),
        );
        if is_waitid {
            let work = format!("{} {}", memory.u64(32), memory.u64(40));
            report.note("waitid.work-in-signal", work);
        }
        let usage: Vec<u64> = (0..18).map(|index| memory.u64(256 + index * 8)).collect();
        report.note(format!("{name}.time"), format_args!("{:?}", &usage[..4]));
        report.note(format!("{name}.resident"), usage[4]);
        report.note(
            format!("{name}.faults"),
            format_args!("{:?}", &usage[8..10]),
        );
        report.note(format!("{name}.rest"), format_args!("{:?}", &usage[10..]));
    }
}
