//! Writes classic BPF: runs of instructions that end in a verdict, and a search tree over call
//! numbers.

// Constants of every integer type become the program's 32-bit words, which they all fit.
#![allow(clippy::cast_possible_truncation)]

use libc::sock_filter;

use super::{ALLOW, TRAP, offset_argument};

/// Finds the accumulator's number among the leaves; allows what is not there.
pub(super) fn tree(leaves: &[(u32, Block)]) -> Vec<sock_filter> {
    let mut node = Block::default();
    if leaves.len() <= 3 {
        for (number, block) in leaves {
            // A block is a dozen instructions, far below the 255 that a jump can skip.
            let skip = u8::try_from(block.0.len()).unwrap_or(u8::MAX);
            node.push(
                libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
                0,
                skip,
                *number,
            );
            node.0.extend_from_slice(&block.0);
        }
        node.verdict(ALLOW);
        return node.0;
    }
    let (low, high) = leaves.split_at(leaves.len() / 2);
    let low = tree(low);
    let first = high.first().map_or(0, |(number, _)| *number);
    node.push(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 0, 1, first);
    node.push(libc::BPF_JMP | libc::BPF_JA, 0, 0, low.len() as u32);
    node.0.extend(low);
    node.0.extend(tree(high));
    node.0
}

/// A run of instructions.
#[derive(Default)]
pub(super) struct Block(pub(super) Vec<sock_filter>);

impl Block {
    pub(super) fn always(verdict: u32) -> Self {
        let mut block = Self::default();
        block.verdict(verdict);
        block
    }

    /// Instructions over the low half of an argument.
    pub(super) fn on_argument(argument: u32, fill: impl FnOnce(&mut Self)) -> Self {
        let mut block = Self::default();
        block.load(offset_argument(argument));
        fill(&mut block);
        block
    }

    pub(super) fn push(&mut self, code: u32, jt: u8, jf: u8, k: u32) {
        self.0.push(sock_filter {
            code: code as u16,
            jt,
            jf,
            k,
        });
    }

    pub(super) fn load(&mut self, offset: u32) {
        self.push(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, offset);
    }

    /// Keeps these bits of the accumulator.
    pub(super) fn mask(&mut self, bits: u32) {
        self.push(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, 0, 0, bits);
    }

    pub(super) fn verdict(&mut self, verdict: u32) {
        self.push(libc::BPF_RET | libc::BPF_K, 0, 0, verdict);
    }

    /// A verdict if the jump's condition holds (`when`) or does not; else falls through.
    pub(super) fn verdict_if(&mut self, jump: u32, when: bool, value: u32, verdict: u32) {
        let (jt, jf) = if when { (0, 1) } else { (1, 0) };
        self.push(libc::BPF_JMP | jump | libc::BPF_K, jt, jf, value);
        self.verdict(verdict);
    }

    pub(super) fn if_equal(&mut self, value: u32, verdict: u32) {
        self.verdict_if(libc::BPF_JEQ, true, value, verdict);
    }

    pub(super) fn unless_equal(&mut self, value: u32, verdict: u32) {
        self.verdict_if(libc::BPF_JEQ, false, value, verdict);
    }

    pub(super) fn if_at_least(&mut self, value: u32, verdict: u32) {
        self.verdict_if(libc::BPF_JGE, true, value, verdict);
    }

    pub(super) fn if_any_bit(&mut self, bits: u32, verdict: u32) {
        self.verdict_if(libc::BPF_JSET, true, bits, verdict);
    }

    pub(super) fn unless_any_bit(&mut self, bits: u32, verdict: u32) {
        self.verdict_if(libc::BPF_JSET, false, bits, verdict);
    }

    /// Runs a block, which ends in verdicts, if the accumulator has this value.
    pub(super) fn if_equal_run(&mut self, value: u32, block: &Self) {
        // A block is a few dozen instructions, below the 255 that a jump can skip.
        let skip = u8::try_from(block.0.len()).unwrap_or(u8::MAX);
        self.push(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, skip, value);
        self.0.extend_from_slice(&block.0);
    }

    /// A verdict for a range of numbers.
    pub(super) fn if_in(&mut self, range: std::ops::RangeInclusive<u32>, verdict: u32) {
        let jump = libc::BPF_JMP | libc::BPF_K;
        self.push(jump | libc::BPF_JGE, 0, 2, *range.start());
        self.push(jump | libc::BPF_JGT, 1, 0, *range.end());
        self.verdict(verdict);
    }

    /// For a pointer argument: both of its halves count.
    pub(super) fn trap_unless_null(&mut self, argument: u32) {
        for offset in [offset_argument(argument), offset_argument(argument) + 4] {
            self.load(offset);
            self.unless_equal(0, TRAP);
        }
    }
}
