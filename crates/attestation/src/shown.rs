//! Foreign text as it may stand in a message: no control characters, no invisible ones, bounded.
//!
//! Evidence comes from strangers and messages go to terminals.

use alloc::string::String;

/// How much of a foreign text a message repeats, in characters.
const SHOWN_CHARS_MAX: usize = 200;

/// Makes `text` printable; what is cut off is replaced by an ellipsis.
pub(crate) fn shown(text: &str) -> String {
    let mut shown = String::new();
    for (count, character) in text.chars().enumerate() {
        if count == SHOWN_CHARS_MAX {
            shown.push('…');
            break;
        }
        match character {
            // Harmless, and serde's messages are full of them.
            '"' | '\'' | '\\' => shown.push(character),
            _ => shown.extend(character.escape_debug()),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn what_a_terminal_would_act_on_is_escaped() {
        assert_eq!(
            shown("a\u{1b}[2J\r\n\u{202e}\u{0}é\"'"),
            "a\\u{1b}[2J\\r\\n\\u{202e}\\0é\"'"
        );
        assert_eq!(shown(&"x".repeat(5000)).chars().count(), 201);
    }
}
