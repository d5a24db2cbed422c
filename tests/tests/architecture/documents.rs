//! The Markdown pages: every link inside the repository leads somewhere, anchors included, and
//! the pages that a visitor expects exist.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use counterseal_tests::repository;

use crate::expect_none;

/// The fixed top level, as the README promises it.
const EXPECTED: [&str; 9] = [
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "deny.toml",
    "justfile",
];

#[test]
fn expected_pages_exist() {
    let files = repository::files();
    let findings: Vec<String> = EXPECTED
        .iter()
        .filter(|page| !files.iter().any(|file| file == *page))
        .map(|page| (*page).to_string())
        .collect();
    expect_none("missing from the top level:", &findings);
}

#[test]
fn links_inside_the_repository_resolve() {
    let files: BTreeSet<String> = repository::files().into_iter().collect();
    let mut findings = Vec::new();
    for page in files.iter().filter(|path| is_page(path)) {
        let text = repository::text(page).expect("Markdown is UTF-8");
        for link in links(&text) {
            if let Some(problem) = broken(page, &link, &files) {
                findings.push(format!("{page}: `{link}`: {problem}"));
            }
        }
    }
    expect_none("links that lead nowhere:", &findings);
}

/// Why the link does not resolve, or `None` where it does or leaves the repository.
fn broken(page: &str, link: &str, files: &BTreeSet<String>) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = link
        .split_once('#')
        .map_or((link, None), |(p, a)| (p, Some(a)));
    let target = if path.is_empty() {
        page.to_string()
    } else {
        resolve(page, path)?
    };
    let folder = format!("{}/", target.trim_end_matches('/'));
    let known = files.contains(&target) || files.iter().any(|file| file.starts_with(&folder));
    if !known {
        return Some(format!("there is no {target}"));
    }
    let anchor = anchor.filter(|_| is_page(&target))?;
    let text = repository::text(&target).expect("Markdown is UTF-8");
    let found = headings(&text).iter().any(|heading| heading == anchor);
    (!found).then(|| format!("{target} has no heading #{anchor}"))
}

/// The link's target relative to the repository's root. A link that climbs out of the repository
/// resolves to a path that no file has.
fn resolve(page: &str, link: &str) -> Option<String> {
    let mut target = PathBuf::new();
    for component in Path::new(page).parent()?.join(link).components() {
        match component {
            Component::Normal(name) => target.push(name),
            Component::ParentDir if target.pop() => {}
            Component::CurDir => {}
            _ => return Some(format!("{link} (outside the repository)")),
        }
    }
    target.to_str().map(String::from)
}

fn is_page(path: &str) -> bool {
    Path::new(path)
        .extension()
        .is_some_and(|extension| extension == "md")
}

/// Targets of `[text](target)`, code left out.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in prose(text) {
        for (at, _) in line.match_indices("](") {
            let rest = &line[at + 2..];
            if let Some(end) = rest.find(')') {
                // A title may follow the target after a space.
                let target = rest[..end].split(' ').next().unwrap_or_default();
                found.push(target.trim_matches(['<', '>']).to_string());
            }
        }
    }
    found
}

/// Headings as anchors: lower case, punctuation dropped, blanks to hyphens.
fn headings(text: &str) -> Vec<String> {
    let fenced = outside_fences(text);
    let headings = fenced.iter().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            line.trim_start_matches('#')
                .trim()
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
                .map(|c| {
                    if c == ' ' {
                        '-'
                    } else {
                        c.to_ascii_lowercase()
                    }
                })
                .collect()
        })
        .collect()
}

fn outside_fences(text: &str) -> Vec<&str> {
    let mut fenced = false;
    text.lines()
        .filter(|line| {
            let fence = line.trim_start().starts_with("```");
            fenced ^= fence;
            !fenced && !fence
        })
        .collect()
}

/// Lines outside code fences, with inline code removed.
fn prose(text: &str) -> Vec<String> {
    outside_fences(text)
        .into_iter()
        .map(|line| line.split('`').step_by(2).collect::<Vec<_>>().join(""))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{headings, links, resolve};

    #[test]
    fn finds_links_in_prose_only() {
        let page = "see [a](b.md) and `[no](c.md)`\n```\n[no](d.md)\n```\n[e](f.md#g \"title\")";
        assert_eq!(links(page), ["b.md", "f.md#g"]);
    }

    #[test]
    fn anchors_follow_the_headings() {
        assert_eq!(
            headings("# A b, c!\n```\n# no\n```\n## D-e"),
            ["a-b-c", "d-e"]
        );
    }

    #[test]
    fn relative_links_resolve_against_their_page() {
        assert_eq!(resolve("a/b.md", "../c.md").as_deref(), Some("c.md"));
        assert_eq!(resolve("a/b.md", "./d/e.md").as_deref(), Some("a/d/e.md"));
        assert!(resolve("b.md", "../c.md").unwrap().contains("outside"));
    }
}
