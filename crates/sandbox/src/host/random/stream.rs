//! Random bytes that are none: a stream for each process, from the action's seed and the
//! process's place in the family tree. SHA-256 in counter mode; not secret and not meant to be.

use sha2::{Digest, Sha256};

/// Where a process stands in the family tree of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::host) struct Lineage(pub(in crate::host) u64);

impl Lineage {
    /// The action's first process.
    pub(in crate::host) const FIRST: Self = Self(0);

    /// The `nth` child of this one.
    pub(in crate::host) fn child(self, nth: u64) -> Self {
        Self(word(&[b"child", &self.0.to_le_bytes(), &nth.to_le_bytes()]))
    }

    /// What this process is after it has executed another program.
    pub(in crate::host) fn executed(self) -> Self {
        Self(word(&[b"executed", &self.0.to_le_bytes()]))
    }
}

/// What a process, or a thread that draws for itself, has drawn so far.
#[derive(Debug)]
pub(in crate::host) struct Draws {
    pub(in crate::host) lineage: Lineage,
    stream: Option<Stream>,
    /// How often it has opened a random device.
    devices_opened: u64,
}

impl Draws {
    pub(in crate::host) const fn of(lineage: Lineage) -> Self {
        Self {
            lineage,
            stream: None,
            devices_opened: 0,
        }
    }

    /// What `getrandom(2)` answers from.
    pub(in crate::host) fn stream(&mut self, seed: &[u8; 32]) -> &mut Stream {
        let lineage = self.lineage;
        self.stream
            .get_or_insert_with(|| Stream::new(seed, lineage, "getrandom"))
    }

    /// The stream of a random device that is being opened.
    pub(in crate::host) fn device(&mut self, seed: &[u8; 32]) -> Stream {
        self.devices_opened += 1;
        let purpose = format!("urandom {}", self.devices_opened);
        Stream::new(seed, self.lineage, &purpose)
    }
}

/// One stream of bytes.
#[derive(Clone, Debug)]
pub(in crate::host) struct Stream {
    key: [u8; 32],
    block: u64,
}

impl Stream {
    /// The stream of a purpose, within a process and an action.
    pub(in crate::host) fn new(seed: &[u8; 32], lineage: Lineage, purpose: &str) -> Self {
        let key = Sha256::new()
            .chain_update(seed)
            .chain_update(lineage.0.to_le_bytes())
            .chain_update(purpose)
            .finalize()
            .into();
        Self { key, block: 0 }
    }

    /// The next bytes; what is left of the last block is not used again.
    pub(in crate::host) fn fill(&mut self, buffer: &mut [u8]) {
        for part in buffer.chunks_mut(32) {
            let block = Sha256::new()
                .chain_update(self.key)
                .chain_update(self.block.to_le_bytes())
                .finalize();
            self.block += 1;
            for (slot, byte) in part.iter_mut().zip(block) {
                *slot = byte;
            }
        }
    }
}

/// The first word of a digest over length-prefixed parts.
pub(in crate::host) fn word(parts: &[&[u8]]) -> u64 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let digest: [u8; 32] = hash.finalize().into();
    let first = digest.first_chunk().copied().unwrap_or_default();
    u64::from_le_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_by_seed_lineage_and_purpose_only() {
        let draw = |seed: u8, lineage, purpose| {
            let mut bytes = [0; 40];
            Stream::new(&[seed; 32], lineage, purpose).fill(&mut bytes);
            bytes
        };
        let first = draw(1, Lineage::FIRST, "getrandom");
        assert_eq!(first, draw(1, Lineage::FIRST, "getrandom"));
        assert_ne!(first, draw(2, Lineage::FIRST, "getrandom"));
        assert_ne!(first, draw(1, Lineage::FIRST.child(0), "getrandom"));
        assert_ne!(first, draw(1, Lineage::FIRST, "urandom"));
        assert_ne!(Lineage::FIRST.child(0), Lineage::FIRST.child(1));
    }

    #[test]
    fn a_stream_goes_on() {
        let mut stream = Stream::new(&[0; 32], Lineage::FIRST, "x");
        let (mut a, mut b) = ([0; 16], [0; 16]);
        stream.fill(&mut a);
        stream.fill(&mut b);
        assert_ne!(a, b);
    }
}
