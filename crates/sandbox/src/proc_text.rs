//! What the kernel says in `/proc` about processes and itself (proc(5)). Such texts quote names that a
//! program or a user chose, which may be any bytes.

use std::io;
use std::path::Path;

/// The text, with `U+FFFD` for what is not UTF-8.
pub(crate) fn proc_text(path: impl AsRef<Path>) -> io::Result<String> {
    let bytes = std::fs::read(path)?;
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// The last word of a labelled line: of several numbers, the innermost.
pub(crate) fn last_word<'text>(text: &'text str, label: &str) -> Option<&'text str> {
    let line = text.lines().find_map(|line| line.strip_prefix(label))?;
    line.split_ascii_whitespace().last()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_be_any_bytes() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("status");
        std::fs::write(&path, b"Name:\t\xff\xfe\nNSpid:\t812\t2\n").unwrap();
        let text = proc_text(&path).unwrap();
        assert_eq!(last_word(&text, "NSpid:"), Some("2"));
        assert_eq!(last_word(&text, "NStgid:"), None);
    }
}
