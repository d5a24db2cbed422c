//! Instructions that tell of the machine without asking the kernel, and the gates to its other
//! tables of system calls. Which of them a processor has, `cpuid` says; the others are fatal, so
//! the areas try them in children.

use std::arch::asm;

/// Registers after `cpuid`: eax, ebx, ecx, edx.
pub(crate) fn cpuid(leaf: u32, part: u32) -> [u32; 4] {
    let (a, c, d): (u32, u32, u32);
    let b: u64;
    // SAFETY: every x86-64 processor has it; rbx, which the compiler keeps to itself, is restored.
    unsafe {
        asm!(
            "mov {saved}, rbx",
            "cpuid",
            "xchg {saved}, rbx",
            saved = out(reg) b,
            inlateout("eax") leaf => a,
            inlateout("ecx") part => c,
            lateout("edx") d,
            options(nostack),
        );
    }
    // The instruction clears the upper half.
    [a, u32::try_from(b).unwrap_or(u32::MAX), c, d]
}

/// The time stamp counter.
pub(crate) fn rdtsc() -> u64 {
    let (low, high): (u64, u64);
    // SAFETY: reads a register; a fault is the area's to expect.
    unsafe { asm!("rdtsc", out("rax") low, out("rdx") high, options(nostack, nomem)) };
    high << 32 | low
}

/// The time stamp counter, and the number of processor and node that the kernel put beside it.
pub(crate) fn rdtscp() -> (u64, u64) {
    let (low, high, number): (u64, u64, u64);
    // SAFETY: as above.
    unsafe {
        asm!("rdtscp", out("rax") low, out("rdx") high, out("rcx") number, options(nostack, nomem));
    };
    (high << 32 | low, number)
}

/// Number of processor and node.
pub(crate) fn rdpid() -> u64 {
    let number: u64;
    // SAFETY: as above.
    unsafe { asm!("rdpid {}", out(reg) number, options(nostack, nomem)) };
    number
}

/// The limit of the segment in which the kernel keeps the processor's number.
pub(crate) fn segment_limit() -> u64 {
    let limit: u64;
    // SAFETY: reads a descriptor table; 0x7b is the selector that the kernel keeps for this.
    unsafe {
        asm!("xor {0:e}, {0:e}", "lsl {0:e}, {1:e}", out(reg) limit, in(reg) 0x7b_u32, options(nostack));
    }
    limit
}

/// A hardware random number, and whether there was one.
pub(crate) fn rdrand() -> (u64, bool) {
    let (number, valid): (u64, u8);
    // SAFETY: as above.
    unsafe {
        asm!("rdrand {0}", "setc {1}", out(reg) number, out(reg_byte) valid, options(nostack, nomem));
    };
    (number, valid != 0)
}

/// A hardware seed, and whether there was one.
pub(crate) fn rdseed() -> (u64, bool) {
    let (number, valid): (u64, u8);
    // SAFETY: as above.
    unsafe {
        asm!("rdseed {0}", "setc {1}", out(reg) number, out(reg_byte) valid, options(nostack, nomem));
    };
    (number, valid != 0)
}

/// An extended control register: which state of the processor is managed, or in use.
pub(crate) fn xgetbv(register: u32) -> u64 {
    let (low, high): (u64, u64);
    // SAFETY: as above.
    unsafe {
        asm!("xgetbv", in("ecx") register, out("rax") low, out("rdx") high, options(nostack, nomem));
    };
    high << 32 | low
}

/// A performance counter.
pub(crate) fn rdpmc(counter: u32) -> u64 {
    let (low, high): (u64, u64);
    // SAFETY: as above.
    unsafe {
        asm!("rdpmc", in("ecx") counter, out("rax") low, out("rdx") high, options(nostack, nomem));
    };
    high << 32 | low
}

/// The machine status word.
pub(crate) fn smsw() -> u64 {
    let word: u64;
    // SAFETY: as above; the kernel emulates it where the processor forbids it.
    unsafe { asm!("smsw {}", out(reg) word, options(nostack, nomem)) };
    word
}

/// Where the descriptor table is: limit and address.
pub(crate) fn sgdt() -> (u16, u64) {
    let mut table = [0_u8; 16];
    // SAFETY: writes ten bytes to memory that has sixteen.
    unsafe { asm!("sgdt [{}]", in(reg) table.as_mut_ptr(), options(nostack)) };
    let [a, b, rest @ ..] = table;
    let address = rest
        .first_chunk()
        .map_or(0, |bytes| u64::from_le_bytes(*bytes));
    (u16::from_le_bytes([a, b]), address)
}

/// A word of the thread's own block, in which the C library keeps what it drew at its start.
pub(crate) fn thread_word(offset: u64) -> u64 {
    let word: u64;
    // SAFETY: the C library's thread block is longer than the offsets that are asked for.
    unsafe { asm!("mov {}, fs:[{}]", out(reg) word, in(reg) offset, options(nostack, readonly)) };
    word
}

/// A system call without pointers through the table of 32-bit programs.
pub(crate) fn interrupt_80(number: u32, first: u32) -> u32 {
    let answer: u32;
    // SAFETY: the calls that areas make take no pointer but null; the kernel may change r8 to
    // r11; rbx, which the compiler keeps to itself, is restored.
    unsafe {
        asm!(
            "xchg {first:r}, rbx",
            "int 0x80",
            "xchg {first:r}, rbx",
            first = inout(reg) u64::from(first) => _,
            inlateout("eax") number => answer,
            in("ecx") 0,
            in("edx") 0,
            lateout("r8") _,
            lateout("r9") _,
            lateout("r10") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    answer
}

/// An instruction that only the kernel may use.
pub(crate) fn halt() {
    // SAFETY: a program cannot stop the processor; the fault is the area's to expect.
    unsafe { asm!("hlt", options(nostack, nomem)) };
}

/// What debuggers put into programs.
pub(crate) fn breakpoint() {
    // SAFETY: a signal, which is the area's to expect.
    unsafe { asm!("int3", options(nostack, nomem)) };
}
