//! The text that a log signs: origin, size and root.
//!
//! C2SP tlog-checkpoint: three lines, each ended by a newline; the size is
//! decimal without leading zeros, the root is padded base64. The signature
//! around it is a [`crate::note`].
//!
//! Deliberately absent: extension lines. The specification advises logs
//! against them, none of the logs that we read writes them, and passing over
//! one unread would mean to sign or accept something not understood.

use alloc::format;
use alloc::string::String;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::NodeHash;
use crate::tile::parse_decimal;

/// What a log commits to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Name of the log, which is also the name of its key.
    pub origin: String,
    /// Entries in the log.
    pub size: u64,
    /// Root of the tree over them.
    pub root: NodeHash,
}

/// Why a text is not a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// There must be three lines, each ended by a newline.
    #[error("a checkpoint has three lines, each ended by a newline")]
    Lines,
    /// Something follows the root.
    #[error("the checkpoint has an extension line, which is not supported: `{line}`")]
    Extension {
        /// The first line behind the root.
        line: String,
    },
    /// The first line must name the log.
    #[error("the checkpoint does not name its log")]
    Origin,
    /// The second line must be a decimal number.
    #[error("the size of the checkpoint is not a decimal number: `{size}`")]
    Size {
        /// The line as found.
        size: String,
    },
    /// The third line must be the base64 form of 32 bytes.
    #[error("the root of the checkpoint is not 32 bytes in base64: `{root}`")]
    Root {
        /// The line as found.
        root: String,
    },
}

impl Checkpoint {
    /// The text to be signed.
    pub fn to_text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, self.root)
    }

    /// Reads what [`Checkpoint::to_text`] writes and nothing else.
    ///
    /// # Errors
    /// A [`CheckpointError`] naming the line that does not fit.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let mut lines = text
            .strip_suffix('\n')
            .ok_or(CheckpointError::Lines)?
            .split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next())
        else {
            return Err(CheckpointError::Lines);
        };
        if let Some(line) = lines.next() {
            return Err(CheckpointError::Extension { line: line.into() });
        }
        if origin.is_empty() || origin.chars().any(char::is_control) {
            return Err(CheckpointError::Origin);
        }
        Ok(Self {
            origin: origin.into(),
            size: parse_decimal(size).ok_or_else(|| CheckpointError::Size { size: size.into() })?,
            root: parse_root(root).ok_or_else(|| CheckpointError::Root { root: root.into() })?,
        })
    }
}

fn parse_root(line: &str) -> Option<NodeHash> {
    NodeHash::from_slice(&STANDARD.decode(line).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "zurich.record.example\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

    #[test]
    fn a_checkpoint_is_read_as_written() {
        let checkpoint = Checkpoint::parse(TEXT).unwrap();
        assert_eq!(checkpoint.origin, "zurich.record.example");
        assert_eq!(checkpoint.size, 20_852_163);
        assert_eq!(checkpoint.to_text(), TEXT);
        let empty = Checkpoint {
            size: 0,
            ..checkpoint
        };
        assert_eq!(Checkpoint::parse(&empty.to_text()), Ok(empty));
    }

    #[test]
    fn other_texts_are_refused() {
        let root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
        let mut texts = std::vec![
            String::new(),
            String::from("\n"),
            String::from("a\n1\n"),
            format!("a\n1\n{root}"),
            format!("\n1\n{root}\n"),
            format!("a\n1\n{root}\n\n"),
            format!("a\n1\n{root}\nextension\n"),
            format!("a\tb\n1\n{root}\n"),
            format!("a\n1\n{}\n", &root[..43]),
            // 31 and 33 bytes; a last character whose lost bits are not zero; URL alphabet.
            format!("a\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxqw==\n"),
            format!("a\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2IA\n"),
            format!("a\n1\n{}J=\n", &root[..42]),
            format!("a\n1\n{}\n", root.replace('/', "_")),
            format!("a\n1\n {root}\n"),
            format!("a\n1\r\n{root}\n"),
        ];
        for size in [
            "",
            "01",
            "+1",
            "-1",
            " 1",
            "1 ",
            "0x1",
            "1.0",
            "18446744073709551616",
        ] {
            texts.push(format!("a\n{size}\n{root}\n"));
        }
        for text in texts {
            assert!(Checkpoint::parse(&text).is_err(), "{text}");
        }
    }
}
