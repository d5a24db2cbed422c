//! Which texts are names: of packages, versions, suites, architectures (Debian Policy 5.6), inputs
//! and places on the web. Everything that ends in a path, a URL or a lock passes through here.

use std::borrow::Cow;

/// Longest accepted URL, in bytes.
const URL_BYTES_MAX: usize = 4096;

/// Longest name of an input, in bytes.
pub const INPUT_NAME_BYTES_MAX: usize = 64;

/// Longest text that a message quotes whole, in characters.
const QUOTED_CHARS_MAX: usize = 80;

/// A refused text as a message quotes it: of a long one the beginning says which it is.
pub fn quoted(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

/// Debian Policy 5.6.1: lower-case letters, digits, `+`, `-`, `.`; at least two characters; starts
/// with a letter or digit.
pub(crate) fn is_package_name(text: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (2..=128).contains(&text.len())
        && text
            .bytes()
            .all(|b| is_plain(b) || matches!(b, b'+' | b'-' | b'.'))
        && is_plain(text.as_bytes()[0])
}

/// A suite or code name, e.g. `bookworm`, `bookworm-updates`. One path component.
pub(crate) fn is_suite(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
        && text.as_bytes()[0].is_ascii_alphanumeric()
}

/// A Debian architecture name, e.g. `amd64`, `kfreebsd-amd64`.
pub(crate) fn is_architecture(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && text.as_bytes()[0].is_ascii_lowercase()
}

/// The characters of Debian Policy 5.6.12.
pub(crate) fn is_version(text: &str) -> bool {
    (1..=256).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'+' | b'-' | b'~' | b':'))
        && text.bytes().any(|b| b.is_ascii_digit())
}

/// Names of inputs: lower-case letters, digits, `-`, `_` and `.`; starts with a letter or digit.
pub fn is_input_name(text: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (1..=INPUT_NAME_BYTES_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|b| is_plain(b) || matches!(b, b'-' | b'_' | b'.'))
        && is_plain(text.as_bytes()[0])
}

/// An `http` or `https` URL of visible ASCII, without quote or backslash. What it names is only
/// asked; the client reads it properly.
pub(crate) fn is_web_url(text: &str) -> bool {
    (text.starts_with("http://") || text.starts_with("https://"))
        && text.len() <= URL_BYTES_MAX
        && text
            .bytes()
            .all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\'))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Case = (
        fn(&str) -> bool,
        &'static [&'static str],
        &'static [&'static str],
    );

    #[test]
    fn long_texts_are_quoted_by_their_beginning() {
        for (text, expect) in [
            ("", String::new()),
            ("name", "name".to_owned()),
            (&"ü".repeat(80), "ü".repeat(80)),
            (&"ü".repeat(81), format!("{}…", "ü".repeat(80))),
        ] {
            assert_eq!(quoted(text), expect);
        }
    }

    #[test]
    fn names_are_checked() {
        let cases: [Case; 6] = [
            (
                is_package_name,
                &["gcc", "libstdc++6", "7zip"],
                &["", "a", "Gcc", "-a", "a/b", "a b"],
            ),
            (
                is_suite,
                &["bookworm", "12.1", "b-updates"],
                &["", ".", "..", "a/b", "-a", "a b"],
            ),
            (
                is_architecture,
                &["amd64", "kfreebsd-amd64"],
                &["", "AMD64", "a/b", "64", "a.b"],
            ),
            (
                is_version,
                &["1", "1:2.3+b~4-5"],
                &["", "abc", "1/2", "1 2", "1_2", "1\n"],
            ),
            (
                is_input_name,
                &["source", "a-b_c.9"],
                &["", "-a", "A", "a/b", "a b", "\u{fc}"],
            ),
            (
                is_web_url,
                &["http://h.example/", "https://h.example:8/a?b"],
                &[
                    "",
                    "ftp://h.example",
                    "HTTP://h",
                    "http://h/a b",
                    "http://h/\u{fc}",
                    "http://h/\\",
                ],
            ),
        ];
        for (is_name, good, bad) in cases {
            assert!(good.iter().all(|text| is_name(text)), "{good:?}");
            assert!(!bad.iter().any(|text| is_name(text)), "{bad:?}");
        }
    }
}
