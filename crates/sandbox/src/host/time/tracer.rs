//! The processor's time stamp counter as the action's own time (`VirtualHost::virtual_timestamp_counter`).
//!
//! `rdtsc` and `rdtscp` read it without asking the kernel. A thread can give that up
//! (`PR_SET_TSC`, prctl(2)), and whatever it starts has given it up, too: the instruction then
//! ends in `SIGSEGV`. A second thread of the parent, the *tracer*, traces every thread of the
//! step (ptrace(2)), takes these signals and puts the thread's own clock into the registers: one
//! tick is a nanosecond of `CLOCK_MONOTONIC`, and the processor's number is 0. Every other signal
//! and stop goes where it would go without a tracer.
//!
//! A thread has one tracer, so the single moments for which the service would trace one
//! (`deadlines.rs`) become the tracer's: the filter hands it those calls instead.
//!
//! The tracer takes the service's state for as long as an answer takes; the service never waits
//! for the tracer but once, when the step's first thread is seized. The step asks for that, before
//! it executes anything, by the one question (`PR_GET_TSC`) that it cannot have answered otherwise.
//!
//! Left out: a thread that blocks or ignores `SIGSEGV` and reads the counter. The kernel takes
//! both back before the tracer hears of it.

use std::collections::{HashMap, HashSet};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard};

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

use super::deadlines::Pending;
use super::times::uptime_ns;
use crate::host::service::{Answer, Call, DONE, Reply, Service, lock};
use crate::sys::{self, Errno, Onward, Stop};

/// The service's means to have its step traced, once.
pub(in crate::host) struct Launch {
    thread: SyncSender<i32>,
    seized: Receiver<Result<(), Errno>>,
}

impl Launch {
    /// Starts the tracer's thread, which waits for a thread to trace.
    pub(in crate::host) fn prepare(service: &Arc<Mutex<Service>>) -> std::io::Result<Self> {
        let (thread, first) = sync_channel(1);
        let (answer, seized) = sync_channel(1);
        let service = Arc::clone(service);
        std::thread::Builder::new()
            .name("time stamp counter".to_owned())
            .spawn(move || {
                let Ok(first) = first.recv() else {
                    return; // The step was over before it asked.
                };
                let outcome = sys::seize(first);
                let is_seized = outcome.is_ok();
                // The service waits for this answer.
                let _ = answer.send(outcome);
                if is_seized {
                    Tracer::new(service, first).follow();
                }
            })?;
        Ok(Self { thread, seized })
    }

    fn seize(self, thread: i32) -> Result<(), Errno> {
        const GONE: Errno = Errno(libc::ESRCH);
        self.thread.send(thread).map_err(|_| GONE)?;
        self.seized.recv().map_err(|_| GONE)?
    }
}

impl Service {
    /// `prctl(2)` of the only option that traps: whether the time stamp counter can be read.
    /// The first time that it is asked, by our own code in the step, the tracer begins.
    pub(in crate::host) fn timestamp_counter_state(&mut self, call: &Call) -> Answer {
        if let Some(launch) = self.launch.take() {
            launch.seize(call.thread)?;
            self.is_traced = true;
        }
        if !self.is_traced {
            return Err(Errno(libc::EPERM));
        }
        let state = libc::PR_TSC_ENABLE.to_le_bytes();
        call.memory().write(call.arguments[1], &state)?;
        DONE
    }

    /// A thread is about to start another, which stops at once: on the same processor, until the
    /// tracer lets both go on.
    pub(in crate::host) fn start_here(&self, call: &Call) {
        if self.is_traced {
            allow(call.thread, &this_processor());
        }
    }

    /// A thread begins.
    fn begin_task(&mut self, thread: i32) {
        // Meant for who had its number before.
        self.sleepers.has_prodded(thread);
        self.tasks.begin(thread, self.patch);
    }

    /// What the counter shows to a thread; the next reading shows more.
    fn timestamp(&mut self, thread: i32) -> u64 {
        const READING: i64 = -1;
        self.arrive(&Call {
            id: 0,
            thread,
            number: READING,
            arguments: [0; 6],
            instruction: 0,
        });
        let patch = self.patch;
        uptime_ns(self.tasks.task(thread, patch).clock.read())
    }
}

/// Follows every thread of one step.
struct Tracer {
    service: Arc<Mutex<Service>>,
    /// Calls that the kernel does now, by their threads, and what is to be mended behind them.
    pending: HashMap<i32, Pending>,
    /// Threads whose beginning the service knows of.
    begun: HashSet<i32>,
    processor: Option<Processor>,
}

impl Tracer {
    fn new(service: Arc<Mutex<Service>>, first: i32) -> Self {
        Self {
            service,
            pending: HashMap::new(),
            begun: HashSet::from([first]),
            processor: Processor::stay(),
        }
    }

    /// Returns when every thread is gone.
    fn follow(&mut self) {
        while let Ok((thread, stop)) = sys::next_stop() {
            if stop != Stop::Ended {
                self.begin(thread);
            }
            let onward = match stop {
                Stop::Ended => {
                    self.forget(thread);
                    continue;
                }
                Stop::Signal(libc::SIGSEGV) if self.read_counter(thread) => Onward::Run(0),
                // Sent by the service, so that it stops.
                Stop::Signal(libc::SIGSTOP) if self.service().sleepers.has_prodded(thread) => {
                    Onward::Run(0)
                }
                Stop::Signal(signal) => Onward::Run(signal),
                Stop::Group => Onward::Listen,
                Stop::Passing => Onward::Run(0),
                Stop::Started => {
                    if let Ok(child) = sys::other_thread(thread) {
                        self.begin(child);
                    }
                    Onward::Run(0)
                }
                Stop::Executed => {
                    // What it had to do under either number is over.
                    self.pending.remove(&thread);
                    match sys::other_thread(thread) {
                        Ok(former) if former != thread => self.forget(former),
                        _ => {}
                    }
                    Onward::Run(0)
                }
                Stop::CallBegins => self.enter(thread),
                Stop::CallEnds => {
                    self.leave(thread);
                    Onward::Run(0)
                }
            };
            match &self.processor {
                Some(processor) => processor.go_on(thread, onward),
                None => sys::go_on(thread, onward),
            }
        }
    }

    /// A thread is seen for the first time, or its parent behind its start, whichever comes first.
    /// The parent has not gone on yet: what it left for this one is there until it starts another.
    fn begin(&mut self, thread: i32) {
        if self.begun.insert(thread) {
            self.service().begin_task(thread);
        }
    }

    fn forget(&mut self, thread: i32) {
        self.pending.remove(&thread);
        self.begun.remove(&thread);
    }

    fn service(&self) -> MutexGuard<'_, Service> {
        lock(&self.service)
    }

    /// Does what a thread was forbidden, if that was to read the counter.
    fn read_counter(&self, thread: i32) -> bool {
        if !sys::is_forbidden_instruction(thread) {
            return false;
        }
        let Ok(mut registers) = sys::registers(thread) else {
            return false;
        };
        let Some(reading) = Reading::at(thread, registers.rip) else {
            return false;
        };
        let ticks = self.service().timestamp(thread);
        registers.rip = registers.rip.wrapping_add(reading.length);
        registers.rax = ticks & 0xffff_ffff;
        registers.rdx = ticks >> 32;
        if reading.has_processor {
            registers.rcx = 0;
        }
        sys::set_registers(thread, &registers);
        true
    }

    /// A thread makes a call that the service must see, and perhaps mend.
    fn enter(&mut self, thread: i32) -> Onward {
        let Ok(mut registers) = sys::registers(thread) else {
            return Onward::Run(0);
        };
        let call = Call {
            id: 0,
            thread,
            number: registers.orig_rax.cast_signed(),
            arguments: [
                registers.rdi,
                registers.rsi,
                registers.rdx,
                registers.r10,
                registers.r8,
                registers.r9,
            ],
            instruction: registers.rip,
        };
        let mut service = self.service();
        let value = match service.handle(&call) {
            Ok(Reply::Mend(mend)) => {
                let pending = service.begin(&call, mend);
                if pending.has_replaced() {
                    // The kernel reads the bytes and waits no longer than for us to put the
                    // program's own back; the wait itself it begins anew.
                    sys::interrupt(thread);
                }
                drop(service);
                self.pending.insert(thread, pending);
                return Onward::ThroughCall;
            }
            Ok(Reply::Value(value)) => value,
            Err(Errno(errno)) => -i64::from(errno),
            Ok(_) => return Onward::Run(0),
        };
        // No call at all, and its answer.
        registers.orig_rax = u64::MAX;
        registers.rax = value.cast_unsigned();
        sys::set_registers(thread, &registers);
        Onward::Run(0)
    }

    fn leave(&mut self, thread: i32) {
        if let Some(pending) = self.pending.remove(&thread)
            && let Some(result) = self.service().finish(pending)
        {
            sys::set_result(thread, result);
        }
    }
}

/// The processor that the tracer stays on. A thread that goes on after a stop begins there, too, and
/// is then free to move: to wake it on another, which has nothing to do and sleeps, takes the kernel
/// longer than everything else about a stop.
struct Processor {
    here: CpuSet,
    all: CpuSet,
}

impl Processor {
    /// None where the kernel does not allow it: that costs time and nothing else.
    fn stay() -> Option<Self> {
        let all = sched_getaffinity(None).ok()?;
        let here = this_processor();
        sched_setaffinity(None, &here).ok()?;
        Some(Self { here, all })
    }

    fn go_on(&self, thread: i32, onward: Onward) {
        let is_brought = onward != Onward::Listen && allow(thread, &self.here);
        sys::go_on(thread, onward);
        if is_brought {
            allow(thread, &self.all);
        }
    }
}

/// Where this thread runs, and with it the one whose call it answers.
fn this_processor() -> CpuSet {
    let mut here = CpuSet::new();
    here.set(sched_getcpu());
    here
}

fn allow(thread: i32, processors: &CpuSet) -> bool {
    Pid::from_raw(thread).is_some_and(|id| sched_setaffinity(Some(id), processors).is_ok())
}

/// `rdtsc` or `rdtscp` (AMD64 Architecture Programmer's Manual, volume 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reading {
    length: u64,
    /// Whether it also reads the processor's number.
    has_processor: bool,
}

impl Reading {
    /// The instruction at an address, if it is one of the two.
    fn at(thread: i32, address: u64) -> Option<Self> {
        let word = address & !7;
        let skipped = usize::try_from(address - word).ok()?;
        let first = sys::code_word(thread, word).ok()?;
        // Most lie within one word.
        if let Some(reading) = Self::decode(first.get(skipped..)?) {
            return Some(reading);
        }
        // There may be nothing behind it.
        let second = sys::code_word(thread, word.wrapping_add(8)).ok()?;
        let mut code = [0; 16];
        for (slot, byte) in code.iter_mut().zip(first.into_iter().chain(second)) {
            *slot = byte;
        }
        Self::decode(code.get(skipped..)?)
    }

    fn decode(code: &[u8]) -> Option<Self> {
        // Prefixes that change nothing here: operand and address size, segments, repetition, REX.
        let is_prefix = |byte: &u8| {
            matches!(
                byte,
                0x26 | 0x2e | 0x36 | 0x3e | 0x40..=0x4f | 0x64..=0x67 | 0xf2 | 0xf3
            )
        };
        let prefixes = code.iter().take_while(|byte| is_prefix(byte)).count();
        let (opcode, has_processor) = match code.get(prefixes..)? {
            [0x0f, 0x31, ..] => (2, false),
            [0x0f, 0x01, 0xf9, ..] => (3, true),
            _ => return None,
        };
        Some(Self {
            length: u64::try_from(prefixes + opcode).ok()?,
            has_processor,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_and_what_is_none() {
        let reading = |length, has_processor| {
            Some(Reading {
                length,
                has_processor,
            })
        };
        for (code, expected) in [
            (&[0x0f, 0x31, 0x90][..], reading(2, false)),
            (&[0x0f, 0x01, 0xf9], reading(3, true)),
            (&[0x48, 0x0f, 0x31], reading(3, false)),
            (&[0x66, 0x2e, 0x0f, 0x01, 0xf9], reading(5, true)),
            (&[0xf4], None),
            (&[0x0f, 0x33], None),
            (&[0x0f, 0x01], None),
            (&[0x0f], None),
            (&[0x66; 16], None),
            (&[], None),
        ] {
            assert_eq!(Reading::decode(code), expected, "{code:x?}");
        }
    }
}
