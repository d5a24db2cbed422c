//! The probe's lines as values by name, and where two runs differ.

use std::collections::BTreeMap;

/// Value by name. Panics where a line has no name or a name comes twice.
pub(crate) fn observations(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for line in text.lines() {
        let (name, value) = line.split_once(' ').unwrap_or((line, ""));
        assert!(name.contains('.'), "no observation: {line}");
        let before = found.insert(name.to_owned(), value.to_owned());
        assert!(before.is_none(), "twice: {name}");
    }
    found
}

/// Both values of what differs; one that is missing is named so.
pub(crate) fn differences(
    ours: &BTreeMap<String, String>,
    theirs: &BTreeMap<String, String>,
) -> BTreeMap<String, (String, String)> {
    let value = |of: &BTreeMap<String, String>, name: &str| {
        of.get(name)
            .cloned()
            .unwrap_or_else(|| "(not seen)".to_owned())
    };
    ours.keys()
        .chain(theirs.keys())
        .filter(|name| ours.get(*name) != theirs.get(*name))
        .map(|name| (name.clone(), (value(ours, name), value(theirs, name))))
        .collect()
}

#[test]
fn differences_go_both_ways() {
    let ours = observations("a.one 1\na.two 2\na.three\n");
    let theirs = observations("a.one 1\na.two 3\na.four 4 4\n");
    let expected = [
        ("a.four", "(not seen)", "4 4"),
        ("a.three", "", "(not seen)"),
        ("a.two", "2", "3"),
    ];
    let expected = expected.map(|(name, a, b)| (name.to_owned(), (a.to_owned(), b.to_owned())));
    assert_eq!(differences(&ours, &theirs), BTreeMap::from(expected));
}
