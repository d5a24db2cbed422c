//! The detour that each program makes once, when it sets its thread-local storage up: code of ours
//! behind the vDSO's functions, which puts an empty page over the pages that the kernel keeps the
//! host's clocks in (`[vvar]`, read by the functions that `vdso.rs` overwrites, and readable by
//! everybody).
//!
//! Nobody but a process itself can change what it maps, short of tracing it. So while its call waits
//! for the service, the instructions behind the call become a jump to the detour; that maps, makes
//! the same call once more, which tells the service that it is there, and jumps back to where the
//! program's own instructions are again.
//!
//! A program that never makes the call, one without any C library or runtime, keeps the pages. That is
//! found out when it ends, and the manifest says so.

use super::kinship::Auxiliary;
use crate::host::Randomness;
use crate::host::random::stream::Stream;
use crate::host::service::{Answer, Call, Reply, Service};
use crate::sys::Errno;

const EXECUTE_NS: u64 = 200_000;

/// `mov rcx, address; jmp rcx`: the kernel has overwritten that register anyway.
pub(super) const JUMP_BYTES: usize = 12;

pub(super) fn jump(address: u64) -> [u8; JUMP_BYTES] {
    let mut code = [0x48, 0xb9, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xe1];
    if let Some(place) = code.get_mut(2..10) {
        place.copy_from_slice(&address.to_le_bytes());
    }
    code
}

/// What the detour of one program has to know.
#[derive(Clone, Copy, Debug)]
pub(super) struct Detour {
    /// The pages to cover.
    pub(in crate::host) pages: u64,
    pub(super) pages_bytes: u32,
    /// What the program makes its call with.
    pub(super) storage: u64,
    /// Where it goes on.
    pub(in crate::host) back: u64,
}

/// The length of the detour's code.
pub(super) const DETOUR_BYTES: usize = 114;

impl Detour {
    /// Every register but the two that a system call overwrites is kept, and so are the flags and
    /// the 128 bytes below the stack that functions may use (the red zone).
    pub(in crate::host) fn code(&self) -> Vec<u8> {
        let mut code = Vec::with_capacity(DETOUR_BYTES);
        let mut put = |bytes: &[u8]| code.extend_from_slice(bytes);
        put(&[0x48, 0x8d, 0x64, 0x24, 0x80]); // lea rsp, [rsp - 128]
        put(&[0x57, 0x56, 0x52]); // push rdi, rsi, rdx
        put(&[0x41, 0x52, 0x41, 0x50, 0x41, 0x51]); // push r10, r8, r9
        put(&[0x48, 0xbf]); // mov rdi, pages
        put(&self.pages.to_le_bytes());
        put(&[0xbe]); // mov esi, length
        put(&self.pages_bytes.to_le_bytes());
        put(&[0xba, 1, 0, 0, 0]); // mov edx, PROT_READ
        put(&[0x41, 0xba, 0x32, 0, 0, 0]); // mov r10d, MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS
        put(&[0x49, 0xc7, 0xc0, 0xff, 0xff, 0xff, 0xff]); // mov r8, -1
        put(&[0x41, 0xb9, 0, 0, 0, 0]); // mov r9d, 0
        put(&[0xb8, 9, 0, 0, 0, 0x0f, 0x05]); // mov eax, mmap; syscall
        put(&[0x48, 0x89, 0xc2]); // mov rdx, rax
        put(&[0x48, 0xbe]); // mov rsi, storage
        put(&self.storage.to_le_bytes());
        put(&[0xbf, 0x02, 0x10, 0, 0]); // mov edi, ARCH_SET_FS
        put(&[0xb8, 0x9e, 0, 0, 0, 0x0f, 0x05]); // mov eax, arch_prctl; syscall
        put(&[0x41, 0x59, 0x41, 0x58, 0x41, 0x5a]); // pop r9, r8, r10
        put(&[0x5a, 0x5e, 0x5f]); // pop rdx, rsi, rdi
        put(&[0x48, 0x8d, 0xa4, 0x24, 0x80, 0, 0, 0]); // lea rsp, [rsp + 128]
        put(&jump(self.back));
        code
    }
}

/// A program that is on its detour.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entering {
    /// Its own instructions, and where they belong.
    pub(in crate::host) back: u64,
    pub(in crate::host) code: [u8; JUMP_BYTES],
    /// Where the pages were, which is what the detour's mapping has to answer.
    pub(in crate::host) pages: u64,
}

impl Service {
    /// A program sets its thread-local storage up, which each does once and early: patches what
    /// the kernel gave it, and sends it on its detour.
    pub(in crate::host) fn storage_set_up(&mut self, call: &Call) -> Answer {
        const REFUSED: Errno = Errno(libc::EPERM);
        let process = self.task(call).process;
        if let Some(entering) = self.tasks.process(process).entering.take() {
            let restored = self
                .tasks
                .write_code(call.thread, entering.back, &entering.code);
            // Without that the program would see the host's clocks, so it does not begin.
            let is_covered = call.arguments[2] == entering.pages;
            return match restored {
                Ok(()) if is_covered => Ok(Reply::Proceed),
                _ => Err(REFUSED),
            };
        }
        let vector = Auxiliary::read(call.thread);
        let Some(base) = vector.value(libc::AT_SYSINFO_EHDR) else {
            self.after_execute(call, &vector);
            return Ok(Reply::Proceed);
        };
        let text = base.wrapping_add(self.patch.offset);
        if let Ok(found) = call.memory().read::<8>(text)
            && self.patch.is_applied(&found)
        {
            return Ok(Reply::Proceed); // Once more, for reasons of its own.
        }
        self.after_execute(call, &vector);
        self.enter(call, base).map_err(|_| REFUSED)?;
        Ok(Reply::Proceed)
    }

    /// Overwrites the vDSO at `base`, which is where the program says that it is, and sends the program on its detour.
    fn enter(&mut self, call: &Call, base: u64) -> std::io::Result<()> {
        let mut text = self.patch.text.clone();
        let (place, clocks) = (base.wrapping_add(self.patch.offset), self.patch.clocks);
        if clocks.bytes == 0 {
            return self.tasks.write_code(call.thread, place, &text);
        }
        let (pages, back) = (base.wrapping_sub(clocks.before), call.instruction);
        let detour = Detour {
            pages,
            pages_bytes: clocks.bytes,
            storage: call.arguments[1],
            back,
        };
        let at = usize::try_from(self.patch.detour() - self.patch.offset).unwrap_or(usize::MAX);
        for (slot, byte) in text.iter_mut().skip(at).zip(detour.code()) {
            *slot = byte;
        }
        let own = call.memory().read(back);
        let code = own.map_err(|Errno(errno)| std::io::Error::from_raw_os_error(errno))?;
        // The jump last: it must not lead to what is not there.
        self.tasks.write_code(call.thread, place, &text)?;
        let jump = jump(base.wrapping_add(self.patch.detour()));
        self.tasks.write_code(call.thread, back, &jump)?;
        let process = self.task(call).process;
        self.tasks.process(process).entering = Some(Entering { back, code, pages });
        Ok(())
    }

    /// A process is about to execute a program, which will be sent on its detour.
    pub(in crate::host) fn expect_entry(&mut self, call: &Call) {
        // Until the step's first program is found, who tries is our own code.
        if self.task(call).has_executed {
            self.see_entry(call);
        }
        let process = self.task(call).process;
        self.tasks.executing.insert(process);
    }

    /// What a process has executed comes to its end: whether it was on its detour, if it has executed
    /// anything (the kernel may have refused).
    pub(in crate::host) fn see_entry(&mut self, call: &Call) {
        let process = self.task(call).process;
        if self.tasks.executing.remove(&process) && !self.is_patched(call) {
            self.is_uncovered = true;
        }
    }

    /// A vDSO that cannot be looked at counts as the kernel's.
    fn is_patched(&self, call: &Call) -> bool {
        let vector = Auxiliary::read(call.thread);
        let Some(base) = vector.value(libc::AT_SYSINFO_EHDR) else {
            return vector.value(libc::AT_PAGESZ).is_some();
        };
        let text = base.wrapping_add(self.patch.offset);
        let found = call.memory().read::<8>(text);
        found.is_ok_and(|found| self.patch.is_applied(&found))
    }

    /// Another program begins.
    fn after_execute(&mut self, call: &Call, vector: &Auxiliary) {
        let task = self.tasks.task(call.thread, self.patch);
        task.clock.work(EXECUTE_NS);
        task.lineage = task.lineage.executed();
        task.draws = None;
        task.has_executed = true;
        let lineage = task.lineage;
        let vdso = vector.value(libc::AT_SYSINFO_EHDR);
        let process = task.process;
        self.listings.forget(process);
        self.tasks.executed(call.thread, vdso, lineage);
        if self.host.randomness == Randomness::Seeded
            && let Some(address) = vector.value(libc::AT_RANDOM)
        {
            let mut bytes = [0; 16];
            Stream::new(&self.host.seed, lineage, "AT_RANDOM").fill(&mut bytes);
            let _ = call.memory().write(address, &bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_detour_is_as_long_as_its_place() {
        let detour = Detour {
            pages: 0x1111_2222_3333_4444,
            pages_bytes: 0x6000,
            storage: 0x5555_6666_7777_8888,
            back: 0x9999_aaaa_bbbb_cccc,
        };
        let code = detour.code();
        assert_eq!(code.len(), DETOUR_BYTES);
        assert!(code.ends_with(&jump(detour.back)));
        assert_eq!(jump(0x0102)[..4], [0x48, 0xb9, 0x02, 0x01]);
    }
}
