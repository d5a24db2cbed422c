//! Text from strangers, made fit to be shown: evidence is not trusted to drive a terminal.
//! Deliberately absent: colours and layout, which belong to whoever prints.

use alloc::format;
use alloc::string::String;
use core::fmt::Write as _;

/// Longest text taken over from evidence into a message, in characters.
const CHARACTERS_MAX: usize = 256;

/// `text` without anything that moves a cursor, changes a colour or reorders what is read.
///
/// Control characters (C0, DEL, C1), bidirectional overrides, zero-width characters, line
/// and paragraph separators and the byte order mark become `\u{…}`; long text is cut and
/// marked with `…`.
pub fn clean(text: &str) -> String {
    cut(text, CHARACTERS_MAX)
}

/// Longest text taken over from a trust file into an error, in characters.
const EXCERPT_CHARACTERS_MAX: usize = 120;
/// What every PEM block with a secret in it says in its first line.
const SECRET: &str = "PRIVATE KEY";

/// As [`clean`], shorter, and nothing at all of what looks like a private key: people put the
/// wrong file in the right place, and error messages end up in logs.
pub(crate) fn excerpt(text: &str) -> String {
    if text.contains(SECRET) {
        return "there is a private key where none belongs (not shown)".into();
    }
    cut(text, EXCERPT_CHARACTERS_MAX)
}

/// `1 line`, `2 lines`.
pub(crate) fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

fn cut(text: &str, characters_max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(4 * characters_max));
    for (count, character) in text.chars().enumerate() {
        if count == characters_max {
            out.push('…');
            break;
        }
        if is_harmful(character) {
            // Writing to a String cannot fail.
            let _ = write!(out, "\\u{{{:x}}}", u32::from(character));
        } else {
            out.push(character);
        }
    }
    out
}

fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_but_text() {
        for (input, shown) in [
            ("hello 2.10 – ü", "hello 2.10 – ü"),
            ("\u{1b}[2Jgone", "\\u{1b}[2Jgone"),
            ("a\nb\r\tc", "a\\u{a}b\\u{d}\\u{9}c"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("exe\u{202e}gpj", "exe\\u{202e}gpj"),
            ("a\u{200b}b\u{feff}", "a\\u{200b}b\\u{feff}"),
        ] {
            assert_eq!(clean(input), shown);
        }
        assert_eq!(clean(&"x".repeat(1000)).chars().count(), CHARACTERS_MAX + 1);
    }

    #[test]
    fn excerpts_are_short_and_hold_no_secret() {
        assert_eq!(excerpt("a\u{1b}b"), "a\\u{1b}b");
        let long = excerpt(&"ü".repeat(1000));
        assert_eq!(long.chars().count(), EXCERPT_CHARACTERS_MAX + 1);
        let secret = excerpt("-----BEGIN EC PRIVATE KEY-----\nMHcC");
        assert!(
            !secret.contains("MHcC") && !secret.contains("BEGIN"),
            "{secret}"
        );
    }
}
