//! Rust source with its comments and literals blanked, so that a rule about code is not fooled by
//! words in a sentence or a string. Lexing only; positions and line breaks are kept.

/// Replaces comments, string and character literals by blanks.
pub(crate) fn code_only(source: &str) -> String {
    let mut kept = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let length = skipped(rest, kept.chars().next_back());
        if length == 0 {
            kept.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            kept.extend(
                rest[..length]
                    .chars()
                    .map(|c| if c == '\n' { '\n' } else { ' ' }),
            );
            rest = &rest[length..];
        }
    }
    kept
}

/// Whether `word` stands in `code` as an identifier of its own.
pub(crate) fn has_word(code: &str, word: &str) -> bool {
    let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back().is_some_and(part_of_name);
        let after = code[at + word.len()..]
            .chars()
            .next()
            .is_some_and(part_of_name);
        !before && !after
    })
}

/// Length of the comment or literal that starts here, 0 where neither does.
fn skipped(rest: &str, before: Option<char>) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment(rest);
    }
    if rest.starts_with('"') {
        return quoted(rest, '"');
    }
    if rest.starts_with('\'') {
        return character(rest);
    }
    let in_a_name = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if in_a_name {
        return 0;
    }
    let opening = rest.trim_start_matches(['b', 'c']);
    let prefix = rest.len() - opening.len();
    match opening.strip_prefix('r') {
        Some(raw) if prefix <= 1 => match raw_string(raw) {
            0 => 0,
            length => prefix + 1 + length,
        },
        _ => 0,
    }
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// A character literal, or 0 for a lifetime.
fn character(rest: &str) -> usize {
    let mut inside = rest.chars().skip(1);
    match (inside.next(), inside.next()) {
        (Some('\\'), _) => quoted(rest, '\''),
        (Some(c), Some('\'')) => 2 + c.len_utf8(),
        _ => 0,
    }
}

/// `#…#"…"#…#` after the `r`, or 0 where this is no raw string.
fn raw_string(rest: &str) -> usize {
    let body = rest.trim_start_matches('#');
    let hashes = rest.len() - body.len();
    if !body.starts_with('"') {
        return 0;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    body[1..]
        .find(&end)
        .map_or(rest.len(), |at| hashes + 1 + at + end.len())
}

#[cfg(test)]
mod tests {
    use super::{code_only, has_word};

    fn check(source: &str, expect: &str) {
        let squeezed: Vec<&str> = {
            let blanked = code_only(source);
            assert_eq!(
                blanked.lines().count(),
                source.lines().count(),
                "lines are kept: {source}"
            );
            blanked.leak().split_whitespace().collect()
        };
        assert_eq!(squeezed.join(" "), expect, "{source}");
    }

    #[test]
    fn comments_and_literals_are_blanked() {
        check("a // unsafe\nb", "a b");
        check("a /* x /* unsafe */ y */ b", "a b");
        check("f(\"unsafe \\\" unsafe\") g", "f( ) g");
        check("r#\"unsafe \" unsafe\"# g", "g");
        check("br\"unsafe\" g", "g");
        check("var\"x\"", "var");
        check("'\"' unsafe '\\'' x", "unsafe x");
        check("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}");
        check("r#type", "r#type");
    }

    #[test]
    fn words_have_borders() {
        assert!(has_word("x = unsafe {", "unsafe"));
        assert!(!has_word("allow(unsafe_code)", "unsafe"));
        assert!(!has_word("not_unsafe", "unsafe"));
    }
}
