//! Writes classic BPF: runs of instructions that end in a verdict, and a search tree over call
//! numbers.

// Constants of every integer type become the program's 32-bit words, which they all fit.
#![allow(clippy::cast_possible_truncation)]

use libc::sock_filter;

use super::{ALLOW, offset_argument};

/// What to do with the calls from each number up to the next one, in ascending order from 0,
/// given what to do with single calls; the others are allowed, those from `end` on are not there.
pub(super) fn ranges(calls: Vec<(u32, Block)>, end: u32, beyond: u32) -> Vec<(u32, Block)> {
    let mut ranges: Vec<(u32, Block)> = Vec::new();
    let mut extend = |start: u32, block: Block| {
        let verdict = block.constant();
        let goes_on = |(_, last): &(u32, Block)| verdict.is_some() && last.constant() == verdict;
        if !ranges.last().is_some_and(goes_on) {
            ranges.push((start, block));
        }
    };
    let mut next = 0;
    for (number, block) in calls {
        if number > next {
            extend(next, Block::always(ALLOW));
        }
        extend(number, block);
        next = number + 1;
    }
    if end > next {
        extend(next, Block::always(ALLOW));
    }
    extend(end, Block::always(beyond));
    ranges
}

/// Finds the accumulator's number among the ranges.
pub(super) fn tree(ranges: &[(u32, Block)]) -> Vec<sock_filter> {
    let mut node = Block::default();
    let (low, high) = ranges.split_at(ranges.len() / 2);
    match (low, high) {
        (_, []) => {}
        ([], [(_, only), ..]) => node.0.extend_from_slice(&only.0),
        (_, [(first, _), ..]) => {
            let low = tree(low);
            node.push(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 0, 1, *first);
            node.push(libc::BPF_JMP | libc::BPF_JA, 0, 0, low.len() as u32);
            node.0.extend(low);
            node.0.extend(tree(high));
        }
    }
    node.0
}

/// The same program, shorter: equal verdicts within a jump's reach become one, and jumps go
/// straight to where they lead in the end. Each instruction costs time whenever the program is
/// installed.
///
/// Written from the end to the beginning, since jumps only go forward.
pub(super) fn shorten(program: &[sock_filter]) -> Vec<sock_filter> {
    let mut written = Reversed::default();
    // Where each instruction has gone; none for verdicts and plain jumps, which have no place.
    let mut places = vec![None; program.len()];
    let end = |mut index: usize| {
        while let Some(jump) = program.get(index)
            && u32::from(jump.code) == libc::BPF_JMP | libc::BPF_JA
        {
            index += 1 + jump.k as usize;
        }
        index
    };
    for (index, instruction) in program.iter().enumerate().rev() {
        let code = u32::from(instruction.code);
        let class = code & 0x07;
        if class == libc::BPF_RET || code == libc::BPF_JMP | libc::BPF_JA {
            continue;
        }
        let mut instruction = *instruction;
        let mut place = |target: usize| {
            let target = end(target);
            match places.get(target).copied().flatten() {
                Some(place) => written.within_reach(place),
                None => written.verdict(program.get(target).map_or(ALLOW, |verdict| verdict.k)),
            }
        };
        if class == libc::BPF_JMP {
            let otherwise = place(index + 1 + usize::from(instruction.jf));
            let then = place(index + 1 + usize::from(instruction.jt));
            instruction.jt = written.distance(then);
            instruction.jf = written.distance(otherwise);
        } else {
            let next = place(index + 1);
            written.go_on_at(next);
        }
        if let Some(place) = places.get_mut(index) {
            *place = Some(written.0.len());
        }
        written.0.push(instruction);
    }
    // The first instruction loads, so it was written last.
    written.0.reverse();
    written.0
}

/// A program from its end; a place is counted from there.
#[derive(Default)]
struct Reversed(Vec<sock_filter>);

impl Reversed {
    /// As far back as a jump may go that is written next or next but one.
    const REACH: usize = 254;

    fn distance(&self, place: usize) -> u8 {
        u8::try_from(self.0.len() - 1 - place).unwrap_or(u8::MAX)
    }

    /// The place itself, or that of a jump there.
    fn within_reach(&mut self, place: usize) -> usize {
        let distance = self.0.len() - 1 - place;
        if distance < Self::REACH {
            return place;
        }
        self.push(libc::BPF_JMP | libc::BPF_JA, distance as u32)
    }

    fn verdict(&mut self, verdict: u32) -> usize {
        let first = self.0.len().saturating_sub(Self::REACH);
        let is_it = |instruction: &sock_filter| {
            u32::from(instruction.code) == libc::BPF_RET | libc::BPF_K && instruction.k == verdict
        };
        let near = self.0.get(first..).unwrap_or_default();
        match near.iter().rposition(is_it) {
            Some(position) => first + position,
            None => self.push(libc::BPF_RET | libc::BPF_K, verdict),
        }
    }

    /// Makes what is written next be followed by a place.
    fn go_on_at(&mut self, place: usize) {
        let distance = self.0.len() - 1 - place;
        if distance > 0 {
            // A verdict is as short as a jump to it, and quicker.
            match self.0.get(place).copied() {
                Some(verdict) if u32::from(verdict.code) == libc::BPF_RET | libc::BPF_K => {
                    self.0.push(verdict);
                }
                _ => drop(self.push(libc::BPF_JMP | libc::BPF_JA, distance as u32)),
            }
        }
    }

    fn push(&mut self, code: u32, k: u32) -> usize {
        self.0.push(sock_filter {
            code: code as u16,
            jt: 0,
            jf: 0,
            k,
        });
        self.0.len() - 1
    }
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

    /// The verdict, if there is only one.
    fn constant(&self) -> Option<u32> {
        match self.0.as_slice() {
            [only] => Some(only.k),
            _ => None,
        }
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

    /// A verdict for a pointer argument that is not null: both of its halves count.
    pub(super) fn unless_null(&mut self, argument: u32, verdict: u32) {
        for offset in [offset_argument(argument), offset_argument(argument) + 4] {
            self.load(offset);
            self.unless_equal(0, verdict);
        }
    }
}
