//! Tables of defects as text: one defect a line, columns between bars. A table is read by a
//! person more often than it is changed, and rustfmt would take five lines for one of these.

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
