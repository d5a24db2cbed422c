//! What was observed: a value for each name, sorted, and children for what may end badly.
//!
//! Absent on purpose: any judgement about the values.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::hash::{DefaultHasher, Hasher};
use std::io::{Read, Write};

use crate::raw::{self, Answer, call};

/// Longer values are shown as a digest.
const SHOWN_BYTES_MAX: usize = 160;
/// A child that hangs is ended by the kernel after so many seconds.
const CHILD_SECONDS_MAX: i32 = 20;

/// The observations so far.
pub(crate) struct Report {
    area: &'static str,
    lines: BTreeMap<String, String>,
    /// In a child: where the parent reads.
    parent: Option<std::io::PipeWriter>,
    repeated: Vec<String>,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self {
            area: "",
            lines: BTreeMap::new(),
            parent: None,
            repeated: Vec::new(),
        }
    }

    /// What follows belongs to this area.
    pub(crate) fn enter(&mut self, area: &'static str) {
        self.area = area;
    }

    /// Notes a value under a name of the current area.
    pub(crate) fn note(&mut self, name: impl Display, value: impl Display) {
        let name = format!("{}.{name}", self.area).replace([' ', '\n'], "_");
        let value = shown(value.to_string().as_bytes());
        if let Some(parent) = &mut self.parent {
            // One write for each line: what was seen before a fault arrives.
            let _ = parent.write_all(format!("{name} {value}\n").as_bytes());
            return;
        }
        if self.lines.insert(name.clone(), value).is_some() {
            self.repeated.push(name);
        }
    }

    /// Notes what a system call answered.
    pub(crate) fn answer(&mut self, name: impl Display, answer: Answer) {
        match answer {
            Ok(value) => self.note(name, format_args!("= {value}")),
            Err(errno) => self.note(name, errno),
        }
    }

    /// Notes what a system call wrote, or why it did not.
    pub(crate) fn written(
        &mut self,
        name: impl Display,
        answer: Answer,
        value: impl FnOnce(u64) -> String,
    ) {
        match answer {
            Ok(returned) => self.note(name, value(returned)),
            Err(errno) => self.note(name, errno),
        }
    }

    /// Notes bytes: as text if they are short, else as length and digest.
    pub(crate) fn bytes(&mut self, name: impl Display, bytes: &[u8]) {
        self.note(name, shown(bytes));
    }

    /// Runs a part in a forked child, whose end is noted under the name, and waits for it.
    pub(crate) fn in_child(&mut self, name: impl Display, part: impl FnOnce(&mut Self)) {
        let (mut reader, writer) = match std::io::pipe() {
            Ok(ends) => ends,
            Err(error) => return self.note(name, error),
        };
        let child = match raw::fork() {
            Err(errno) => return self.note(name, errno),
            Ok(None) => {
                drop(reader);
                let _ = call!(libc::SYS_alarm, CHILD_SECONDS_MAX);
                self.parent = Some(writer);
                part(self);
                let _ = call!(libc::SYS_exit_group, 0);
                std::process::abort()
            }
            Ok(Some(child)) => child,
        };
        drop(writer);
        let mut said = Vec::new();
        let _ = reader.read_to_end(&mut said);
        let status = raw::Memory::new();
        let waited = call!(libc::SYS_wait4, child, &status, 0, 0);
        for line in String::from_utf8_lossy(&said).lines() {
            let (name, value) = line.split_once(' ').unwrap_or((line, ""));
            if let Some(parent) = &mut self.parent {
                let _ = parent.write_all(format!("{name} {value}\n").as_bytes());
            } else if self
                .lines
                .insert(name.to_owned(), value.to_owned())
                .is_some()
            {
                self.repeated.push(name.to_owned());
            }
        }
        match waited {
            Ok(_) => self.note(name, ended(status.i32(0))),
            Err(errno) => self.note(name, errno),
        }
    }

    /// Prints everything, into a file if one is named; fails with the names that were used twice.
    pub(crate) fn print(self, file: Option<&str>) -> Result<(), String> {
        let mut text = String::new();
        for (name, value) in &self.lines {
            text.push_str(name);
            text.push(' ');
            text.push_str(value);
            text.push('\n');
        }
        match file {
            Some(path) => std::fs::write(path, text),
            None => std::io::stdout().write_all(text.as_bytes()),
        }
        .map_err(|error| error.to_string())?;
        if self.repeated.is_empty() {
            Ok(())
        } else {
            Err(format!("names used twice: {}", self.repeated.join(", ")))
        }
    }
}

/// How a child ended, from its status (wait(2)).
pub(crate) fn ended(status: i32) -> String {
    match status & 0x7f {
        0 => format!("exit {}", status >> 8 & 0xff),
        signal => format!("signal {signal}"),
    }
}

/// What a system call wrote into zeroed memory, as text: without the zeros at its end.
pub(crate) fn escaped(memory: &[u8]) -> String {
    let end = memory.iter().rposition(|byte| *byte != 0);
    let written = memory.get(..end.map_or(0, |end| end + 1));
    written.unwrap_or_default().escape_ascii().to_string()
}

fn shown(bytes: &[u8]) -> String {
    if bytes.len() <= SHOWN_BYTES_MAX {
        let plain = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
        return if bytes.iter().all(plain) {
            String::from_utf8_lossy(bytes).into_owned()
        } else {
            bytes.escape_ascii().to_string()
        };
    }
    format!("{} bytes, {:016x}", bytes.len(), digest(bytes))
}

/// Tells contents apart; this one has fixed keys.
pub(crate) fn digest(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}
