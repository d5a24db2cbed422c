//! Tables of defects as text: one defect a line, columns between bars. A table is read by a
//! person more often than it is changed, and rustfmt would take five lines for one of these.
//! Each defect is applied to a sound text and must be refused.

use super::programs::Ran;

/// One line of a table.
pub(crate) struct Defect<'a> {
    /// What is wrong, for the message of a test that fails.
    pub(crate) name: &'a str,
    /// What is replaced in a sound text.
    pub(crate) old: String,
    /// What comes into its place.
    pub(crate) new: String,
    /// What the message about it must name.
    pub(crate) named: Vec<&'a str>,
}

impl Defect<'_> {
    /// The sound text with the defect.
    #[track_caller]
    pub(crate) fn applied(&self, sound: &str) -> String {
        with(sound, &self.old, &self.new)
    }
}

/// Reads a table: `name | old | new | named & named`. `\n` stands for a line feed, `\e` for a raw
/// escape character, `\<` for a character that turns the direction of text; all else is literal.
pub(crate) fn defects(table: &str) -> Vec<Defect<'_>> {
    let rows = table.lines().filter(|line| !line.trim().is_empty());
    rows.map(|row| {
        let columns: Vec<&str> = row.split(" | ").map(str::trim).collect();
        let [name, old, new, named] = columns[..] else {
            panic!("four columns: {row}");
        };
        let text = |column: &str| {
            column
                .replace("\\n", "\n")
                .replace("\\e", "\u{1b}")
                .replace("\\<", "\u{202e}")
        };
        let named = named.split(" & ").filter(|word| !word.is_empty()).collect();
        Defect {
            name,
            old: text(old),
            new: text(new),
            named,
        }
    })
    .collect()
}

/// Replaces exactly one occurrence.
#[track_caller]
pub(crate) fn with(text: &str, old: &str, new: &str) -> String {
    assert_eq!(
        text.matches(old).count(),
        1,
        "`{old}` occurs once in\n{text}"
    );
    text.replace(old, new)
}

/// Insists that an input was refused with exit code 2 before any step ran, in a message that is no
/// flood and names these texts.
#[track_caller]
pub(crate) fn refused(ran: Ran, defect: &str, named: &[&str]) {
    assert_eq!(ran.code(), Some(2), "{defect}\n{}", ran.spoken());
    let ran = ran.speaks_plainly().says("error: ");
    let is_run = ran.stderr().lines().any(|line| line.starts_with("step "));
    assert!(!is_run, "{defect}: nothing runs\n{}", ran.spoken());
    assert!(
        ran.stderr().len() < 4096,
        "{defect}: a message, not a flood\n{}",
        ran.spoken()
    );
    named.iter().fold(ran, |ran, name| ran.says(name));
}
