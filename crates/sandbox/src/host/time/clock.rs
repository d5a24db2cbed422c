//! The logical clock of one thread. It starts at zero with the action and advances by what the
//! thread does, never by the host's time, so that the same behaviour sees the same times.
//!
//! Threads that learn from one another merge their clocks (Lamport 1978): a child starts at its
//! parent's time, a parent takes over the time at which a child that it waited for ended, and
//! who looks at a file's time is not earlier than that time.

/// What reading a clock costs, in nanoseconds, at first.
const READ_NS: u64 = 1_000;
/// What it costs at most, so that a loop that waits for a time to come gets there.
const READ_NS_MAX: u64 = 100_000;
/// After so many reads in a row, one costs one more [`READ_NS`].
const READS_PER_STEP: u64 = 1_000;

/// Nanoseconds since the action began, as one thread sees them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::host) struct Clock {
    elapsed_ns: u64,
    /// The part of it that was spent asleep.
    asleep_ns: u64,
    /// Reads since something else happened.
    reads: u64,
}

impl Clock {
    /// A clock that has come as far as another.
    pub(in crate::host) fn starting_at(elapsed_ns: u64) -> Self {
        Self {
            elapsed_ns,
            ..Self::default()
        }
    }

    /// The time, which advances by being read.
    pub(in crate::host) fn read(&mut self) -> u64 {
        self.reads += 1;
        let cost_ns = READ_NS * (1 + self.reads / READS_PER_STEP);
        self.elapsed_ns = self.elapsed_ns.saturating_add(cost_ns.min(READ_NS_MAX));
        self.elapsed_ns
    }

    /// The time, unchanged.
    pub(in crate::host) const fn now(&self) -> u64 {
        self.elapsed_ns
    }

    /// The time that was not spent asleep.
    pub(in crate::host) const fn busy(&self) -> u64 {
        self.elapsed_ns - self.asleep_ns
    }

    /// Something took so long.
    pub(in crate::host) fn work(&mut self, ns: u64) {
        self.reads = 0;
        self.elapsed_ns = self.elapsed_ns.saturating_add(ns);
    }

    /// The thread slept so long.
    pub(in crate::host) fn sleep(&mut self, ns: u64) {
        self.reads = 0;
        let before = self.elapsed_ns;
        self.elapsed_ns = before.saturating_add(ns);
        self.asleep_ns += self.elapsed_ns - before;
    }

    /// The thread learned that it is at least this late; waiting for that was sleep.
    pub(in crate::host) fn merge(&mut self, other_ns: u64) {
        if other_ns > self.elapsed_ns {
            self.sleep(other_ns - self.elapsed_ns);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_read_is_later() {
        let mut clock = Clock::default();
        let mut last = clock.now();
        for _ in 0..300_000 {
            let next = clock.read();
            assert!(next > last);
            last = next;
        }
    }

    #[test]
    fn a_loop_that_waits_for_a_second_gets_there() {
        let mut clock = Clock::default();
        let reads = (0..60_000).find(|_| clock.read() >= 1_000_000_000);
        assert!(reads.is_some(), "{}", clock.now());
    }

    #[test]
    fn sleep_is_not_work() {
        let mut clock = Clock::default();
        clock.work(5);
        clock.sleep(10);
        clock.merge(100);
        clock.merge(50);
        assert_eq!((clock.now(), clock.busy()), (100, 5));
    }
}
