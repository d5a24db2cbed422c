//! What the processes inside tell the parent: fixed-size messages over a socket that keeps their
//! bounds (`SOCK_SEQPACKET`), so that two writers never mix, and descriptors come along.

use std::os::fd::RawFd;

use crate::error::SetupStep;
use crate::sys::{self, Errno};

/// One message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// A step of the setup failed; nothing else follows from this process.
    Failed { step: SetupStep, errno: i32 },
    /// A step failed whose guarantee was waived; the setup goes on without it.
    Missing { step: SetupStep, errno: i32 },
    /// Process 1 runs under this process id of the host. It itself comes with this message, and what was
    /// made for it: so many descriptors.
    Started { pid: i32, count: i32 },
    /// Namespaces of a site, which come with this message.
    Made,
    /// The step's root and mounts, which come with this message. Goes to who answers trapped calls.
    Rooted,
    /// Everything is in place and checked; the program comes next. Goes to who answers trapped
    /// calls, with their listener; to the supervisor if no call can be trapped.
    Ready,
    /// The step's process ended: its wait status, and the largest resident set in KiB of
    /// any process that it waited for or was.
    Ended { status: i32, resident_kib_max: i64 },
}

impl Report {
    pub(crate) const SIZE: usize = 16;

    fn encode(self) -> [u8; Self::SIZE] {
        let (tag, word, value) = match self {
            Self::Failed { step, errno } => (1_u32, step as u32, i64::from(errno)),
            Self::Missing { step, errno } => (2, step as u32, i64::from(errno)),
            Self::Started { pid, count } => (3, pid.cast_unsigned(), i64::from(count)),
            Self::Ready => (4, 0, 0),
            Self::Rooted => (6, 0, 0),
            Self::Made => (7, 0, 0),
            Self::Ended {
                status,
                resident_kib_max,
            } => (5, status.cast_unsigned(), resident_kib_max),
        };
        let mut bytes = [0; Self::SIZE];
        let parts = tag.to_le_bytes().into_iter().chain(word.to_le_bytes());
        for (slot, byte) in bytes.iter_mut().zip(parts.chain(value.to_le_bytes())) {
            *slot = byte;
        }
        bytes
    }

    pub(crate) fn decode(bytes: [u8; Self::SIZE]) -> Option<Self> {
        let (tag, rest) = bytes.split_first_chunk()?;
        let (word, value) = rest.split_first_chunk()?;
        let word = u32::from_le_bytes(*word);
        let value = i64::from_le_bytes(value.try_into().ok()?);
        let failure = || Some((SetupStep::from_code(word)?, i32::try_from(value).ok()?));
        Some(match u32::from_le_bytes(*tag) {
            1 => failure().map(|(step, errno)| Self::Failed { step, errno })?,
            2 => failure().map(|(step, errno)| Self::Missing { step, errno })?,
            3 => Self::Started {
                pid: word.cast_signed(),
                count: i32::try_from(value).ok()?,
            },
            4 => Self::Ready,
            5 => Self::Ended {
                status: word.cast_signed(),
                resident_kib_max: value,
            },
            6 => Self::Rooted,
            7 => Self::Made,
            _ => return None,
        })
    }

    /// Sends it; if the parent is gone, nobody is left to tell.
    pub(crate) fn send(self, to: RawFd) {
        let _ = sys::write(to, &self.encode());
    }

    /// Sends it with descriptors, over a socket.
    pub(crate) fn send_with(self, to: RawFd, descriptors: &[RawFd]) -> sys::Result<()> {
        sys::send_descriptors(to, &self.encode(), descriptors)
    }
}

/// A failed step of the setup, on its way to the parent.
pub(crate) struct Failure {
    pub(crate) step: SetupStep,
    pub(crate) errno: i32,
}

/// Names the step that a system call belonged to.
pub(crate) trait During<T> {
    fn during(self, step: SetupStep) -> Result<T, Failure>;
}

impl<T> During<T> for sys::Result<T> {
    fn during(self, step: SetupStep) -> Result<T, Failure> {
        self.map_err(|Errno(errno)| Failure { step, errno })
    }
}

/// Lets a failure pass if its guarantee was waived, and tells the parent.
pub(crate) fn tolerate(
    result: Result<(), Failure>,
    waived: bool,
    report: RawFd,
) -> Result<bool, Failure> {
    match result {
        Ok(()) => Ok(true),
        Err(Failure { step, errno }) if waived => {
            Report::Missing { step, errno }.send(report);
            Ok(false)
        }
        Err(failure) => Err(failure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_the_pipe() {
        for report in [
            Report::Failed {
                step: SetupStep::MapUser,
                errno: 1,
            },
            Report::Missing {
                step: SetupStep::InstallFilter,
                errno: 22,
            },
            Report::Started {
                pid: 4_194_304,
                count: 4,
            },
            Report::Made,
            Report::Rooted,
            Report::Ready,
            Report::Ended {
                status: 0x8b,
                resident_kib_max: 1 << 40,
            },
        ] {
            assert_eq!(Report::decode(report.encode()), Some(report));
        }
        assert_eq!(Report::decode([0xff; Report::SIZE]), None);
    }
}
