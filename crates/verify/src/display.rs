//! Text from strangers, made fit to be shown: evidence is not trusted to drive a terminal.
//! Deliberately absent: colours and layout, which belong to whoever prints.

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
    let mut out = String::with_capacity(text.len().min(4 * CHARACTERS_MAX));
    for (count, character) in text.chars().enumerate() {
        if count == CHARACTERS_MAX {
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
}
