//! Rules about files: what they begin with, how long they are, and words that may not occur.

use std::path::Path;

use counterseal_tests::repository;

use crate::code::{code_only, has_word};
use crate::expect_none;

/// Crates that take everything they need as an argument; see ARCHITECTURE.md, "Invariants".
pub(crate) const PURE_CRATES: [&str; 4] = ["attestation", "tlog", "verify", "artifact"];

/// The only folders whose code may be unsafe: they talk to the kernel. The second is part of a
/// test program; see ARCHITECTURE.md, "Invariants".
const UNSAFE_ALLOWED: [&str; 2] = ["crates/sandbox/", "crates/testkit/src/bin/leak-probe/raw/"];

/// About 500 lines is where to ask whether a file holds two things; this is where it is refused.
const LINES_MAX: usize = 600;

/// Files by others or by tools, kept byte for byte.
const NOT_OURS: [&str; 2] = ["Cargo.lock", "LICENSE"];

#[test]
fn every_source_file_says_what_it_is() {
    let findings: Vec<String> = rust_files()
        .filter(|(_, source)| !source.starts_with("//!"))
        .map(|(path, _)| format!("{path}: begin with `//!`: what it is, which specification"))
        .collect();
    expect_none("source files without a header:", &findings);
}

#[test]
fn no_source_file_is_a_place_to_get_lost() {
    let findings: Vec<String> = rust_files()
        .map(|(path, source)| (path, source.lines().count()))
        .filter(|(_, lines)| *lines > LINES_MAX)
        .map(|(path, lines)| format!("{path}: {lines} lines, at most {LINES_MAX}"))
        .collect();
    expect_none("source files that want to be two:", &findings);
}

#[test]
fn unsafe_code_stays_where_it_is_allowed() {
    let findings: Vec<String> = rust_files()
        .filter(|(path, _)| !UNSAFE_ALLOWED.iter().any(|folder| path.starts_with(folder)))
        .filter(|(_, source)| {
            let code = code_only(source);
            has_word(&code, "unsafe")
                || code.contains("allow(unsafe_code")
                || code.contains("expect(unsafe_code")
        })
        .map(|(path, _)| format!("{path}: unsafe code, or an exception from the lint against it"))
        .collect();
    let allowed = UNSAFE_ALLOWED.join(" and ");
    expect_none(&format!("unsafe code outside {allowed}:"), &findings);
}

#[test]
fn nothing_is_ignored_or_left_for_later() {
    let markers = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X:"),
    ];
    let mut findings = Vec::new();
    for (path, source) in rust_files() {
        if code_only(&source).contains(concat!("#[ig", "nore")) {
            findings.push(format!(
                "{path}: an ignored test: repair it, or delete it and say why"
            ));
        }
    }
    for (path, line_number, line) in text_lines() {
        for marker in markers {
            if has_word(&line, marker) {
                findings.push(format!(
                    "{path}:{line_number}: {marker}: do it, or file an issue"
                ));
            }
        }
    }
    expect_none("loose ends:", &findings);
}

#[test]
fn no_private_key_is_committed() {
    let begin = concat!("-----BE", "GIN ");
    let private = concat!("PRIVATE", " KEY");
    let mut findings = Vec::new();
    for path in repository::files() {
        let Some(text) = repository::text(&path) else {
            continue;
        };
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let header = line.contains(begin) && line.contains(private);
            // Code that compares with the header is fine; a header with key material is not.
            let material = lines
                .peek()
                .is_some_and(|next| looks_like_base64(next.trim()));
            if header && material {
                findings.push(format!("{path}: holds a private key; tests make their own"));
            }
        }
    }
    expect_none("private keys in the repository:", &findings);
}

#[test]
fn no_registry_or_mirror_is_named() {
    // Inputs are named by package URL and digest; where they come from is the machine's business.
    let hosts = [
        concat!("deb.deb", "ian.org"),
        concat!("ftp.deb", "ian.org"),
        concat!("security.deb", "ian.org"),
        concat!("snapshot.deb", "ian.org"),
        concat!("index.crates", ".io"),
        concat!("static.crates", ".io"),
        concat!("files.pythonhosted", ".org"),
        concat!("pypi", ".org"),
        concat!("registry.npmjs", ".org"),
        concat!("proxy.gol", "ang.org"),
        concat!("repo1.ma", "ven.org"),
    ];
    let findings: Vec<String> = text_lines()
        .filter_map(|(path, line_number, line)| {
            let host = hosts.iter().find(|host| line.contains(**host))?;
            Some(format!("{path}:{line_number}: names {host}"))
        })
        .collect();
    expect_none("hosts of registries or mirrors:", &findings);
}

#[test]
fn pure_crates_repeat_the_shared_bans() {
    // A crate's clippy.toml replaces the root's, so the root's settings must be in it too.
    let root = clippy_settings("clippy.toml");
    let first = clippy_settings(&format!("crates/{}/clippy.toml", PURE_CRATES[0]));
    let mut findings = Vec::new();
    for name in PURE_CRATES {
        let path = format!("crates/{name}/clippy.toml");
        let settings = clippy_settings(&path);
        for (key, value) in &root {
            let repeated = match (value, settings.get(key)) {
                (toml::Value::Array(shared), Some(toml::Value::Array(here))) => {
                    shared.iter().all(|item| here.contains(item))
                }
                (shared, here) => Some(shared) == here,
            };
            if !repeated {
                findings.push(format!(
                    "{path}: `{key}` lacks what the root's clippy.toml sets"
                ));
            }
        }
        if settings != first {
            findings.push(format!(
                "{path}: differs from crates/{}/clippy.toml",
                PURE_CRATES[0]
            ));
        }
    }
    expect_none("bans of the pure crates:", &findings);
}

fn clippy_settings(path: &str) -> toml::Table {
    let text = repository::text(path).expect("clippy.toml is UTF-8");
    toml::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn rust_files() -> impl Iterator<Item = (String, String)> {
    let rust = |path: &String| Path::new(path).extension().is_some_and(|end| end == "rs");
    repository::files().into_iter().filter(rust).map(|path| {
        let source = repository::text(&path).expect("Rust source is UTF-8");
        (path, source)
    })
}

/// Path, line number from 1 and line of every text file that we write ourselves.
fn text_lines() -> impl Iterator<Item = (String, usize, String)> {
    repository::files()
        .into_iter()
        .filter(|path| !NOT_OURS.contains(&path.as_str()))
        .filter_map(|path| repository::text(&path).map(|text| (path, text)))
        .flat_map(|(path, text)| {
            let lines: Vec<String> = text.lines().map(String::from).collect();
            lines
                .into_iter()
                .enumerate()
                .map(move |(index, line)| (path.clone(), index + 1, line))
        })
}

fn looks_like_base64(line: &str) -> bool {
    line.len() >= 40
        && line
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte))
}
