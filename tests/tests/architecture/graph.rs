//! The crate graph: cargo's against the table in ARCHITECTURE.md, and what must stay out of the
//! trees of the pure crates and of the small verifier.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use counterseal_tests::repository;
use serde_json::Value;

use crate::expect_none;

/// Crate (without the `counterseal-` prefix) → the workspace crates it depends on.
type Edges = BTreeMap<String, BTreeSet<String>>;

const PREFIX: &str = "counterseal-";
const TABLE_HEADER: &str = "| crate | may depend on |";

/// Crates that open sockets or bring an event loop.
const NETWORK: [&str; 14] = [
    "async-std",
    "curl",
    "hickory-resolver",
    "hyper",
    "hyper-util",
    "mio",
    "native-tls",
    "openssl-sys",
    "reqwest",
    "rustls",
    "smol",
    "socket2",
    "tokio",
    "ureq",
];

/// Crates through which files, processes and randomness would enter a pure crate.
const SYSTEM: [&str; 4] = ["nix", "rustix", "tempfile", "rand"];

#[test]
fn crate_graph_is_the_one_in_the_table() {
    let real = real_edges();
    let written = written_edges();
    let mut findings = Vec::new();

    for (name, dependencies) in &real {
        let Some(allowed) = written.get(name) else {
            findings.push(format!(
                "`{name}` is a workspace member without a row: add one"
            ));
            continue;
        };
        for extra in dependencies.difference(allowed) {
            findings.push(format!(
                "`{name}` depends on `{extra}`, which its row does not allow: \
                 drop the dependency, or add `{extra}` to the row and say why"
            ));
        }
    }
    for (name, allowed) in &written {
        let Some(dependencies) = real.get(name) else {
            findings.push(format!(
                "the row `{name}` has no workspace member: remove it"
            ));
            continue;
        };
        for unused in allowed.difference(dependencies) {
            findings.push(format!(
                "the row `{name}` allows `{unused}`, which the crate does not depend on: \
                 remove `{unused}` from the row"
            ));
        }
    }
    expect_none(
        "ARCHITECTURE.md's table and the crate graph differ:",
        &findings,
    );
}

#[test]
fn only_the_command_line_wires_signing_to_execution() {
    // The build never sees a key: no library crate may reach both.
    let real = real_edges();
    let findings: Vec<String> = real
        .keys()
        .filter(|name| *name != "cli" && *name != "tests")
        .filter(|name| {
            let reached = reachable(&real, name);
            reached.contains("signing") && reached.contains("sandbox")
        })
        .map(|name| format!("`{name}` reaches both `signing` and `sandbox`"))
        .collect();
    expect_none(
        "keys and untrusted steps meet outside the command line:",
        &findings,
    );
}

#[test]
fn pure_crates_have_no_way_to_the_system() {
    let mut findings = Vec::new();
    for name in crate::sources::PURE_CRATES {
        let tree = dependency_tree(name);
        for forbidden in NETWORK.iter().chain(&SYSTEM) {
            if tree.contains(*forbidden) {
                findings.push(format!(
                    "`{name}` depends on `{forbidden}`; see \
                     `cargo tree -p {PREFIX}{name} -e normal -i {forbidden}`"
                ));
            }
        }
    }
    expect_none("a pure crate can reach the system:", &findings);
}

#[test]
fn small_verifier_is_offline_by_construction() {
    let tree = dependency_tree("verify-cli");
    let mut findings: Vec<String> = NETWORK
        .iter()
        .filter(|forbidden| tree.contains(**forbidden))
        .map(|forbidden| format!("`verify-cli` depends on `{forbidden}`"))
        .collect();
    let ours = ["artifact", "attestation", "tlog", "verify", "verify-cli"];
    for package in &tree {
        let Some(name) = package.strip_prefix(PREFIX) else {
            continue;
        };
        if !ours.contains(&name) {
            findings.push(format!(
                "`verify-cli` depends on `{name}`: it holds the verifier only"
            ));
        }
    }
    expect_none("the small verifier has grown:", &findings);
}

#[test]
fn members_use_the_workspace_lints_and_say_what_they_are() {
    let mut findings = Vec::new();
    let manifest = repository::text("Cargo.toml").expect("the root manifest is UTF-8");
    let workspace: toml::Table = toml::from_str(&manifest).expect("the root manifest is TOML");
    let members = workspace["workspace"]["members"]
        .as_array()
        .expect("members are a list");
    for member in members {
        let path = member.as_str().expect("a member is a path");
        let member_manifest =
            repository::text(&format!("{path}/Cargo.toml")).expect("a member's manifest is UTF-8");
        let package: toml::Table =
            toml::from_str(&member_manifest).expect("a member's manifest is TOML");
        let shared = package
            .get("lints")
            .and_then(|lints| lints.get("workspace"))
            .and_then(toml::Value::as_bool);
        if shared != Some(true) {
            findings.push(format!(
                "{path}/Cargo.toml: add `[lints]` with `workspace = true`"
            ));
        }
        let quoted = format!("\"{path}\"");
        let commented = manifest
            .lines()
            .any(|line| line.trim_start().starts_with(&quoted) && line.contains("# "));
        if !commented {
            findings.push(format!(
                "Cargo.toml: the member {quoted} has no comment on its role"
            ));
        }
    }
    expect_none("workspace members out of line:", &findings);
}

/// Normal and build dependencies between workspace members, as cargo sees them.
fn real_edges() -> Edges {
    let output = cargo(&["metadata", "--format-version", "1", "--no-deps"]);
    let metadata: Value = serde_json::from_str(&output).expect("cargo metadata prints JSON");
    let packages = metadata["packages"]
        .as_array()
        .expect("packages are a list");
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().expect("a list");
            let ours = dependencies
                .iter()
                .filter(|dependency| dependency["kind"] != "dev")
                .filter_map(|dependency| short_name(&dependency["name"]))
                .collect();
            (
                short_name(&package["name"]).expect("members carry the prefix"),
                ours,
            )
        })
        .collect()
}

/// The rows of the table whose header is [`TABLE_HEADER`].
fn written_edges() -> Edges {
    let page = repository::text("ARCHITECTURE.md").expect("ARCHITECTURE.md is UTF-8");
    let rows: Vec<&str> = page
        .lines()
        .skip_while(|line| !line.starts_with(TABLE_HEADER))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .collect();
    assert!(
        !rows.is_empty(),
        "ARCHITECTURE.md has no table with the header `{TABLE_HEADER}`"
    );
    rows.into_iter()
        .map(|row| {
            let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
            let name = backticked(cells[0]);
            assert_eq!(
                name.len(),
                1,
                "the first cell names one crate in backticks: {row}"
            );
            let dependencies = cells
                .get(1)
                .map(|cell| backticked(cell))
                .unwrap_or_default();
            (name[0].clone(), dependencies.into_iter().collect())
        })
        .collect()
}

fn backticked(cell: &str) -> Vec<String> {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .map(String::from)
        .collect()
}

fn short_name(name: &Value) -> Option<String> {
    name.as_str()?.strip_prefix(PREFIX).map(String::from)
}

fn reachable(edges: &Edges, from: &str) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from.to_string()];
    while let Some(name) = open.pop() {
        for next in edges.get(&name).into_iter().flatten() {
            if reached.insert(next.clone()) {
                open.push(next.clone());
            }
        }
    }
    reached
}

/// Names of all packages that the crate links on this platform.
fn dependency_tree(name: &str) -> BTreeSet<String> {
    let package = format!("{PREFIX}{name}");
    let listing = cargo(&[
        "tree", "-p", &package, "-e", "normal", "--prefix", "none", "--format", "{p}",
    ]);
    listing
        .lines()
        .filter_map(|line| line.split(' ').next())
        .map(String::from)
        .collect()
}

/// Runs cargo against the lock file without the network and returns its standard output.
fn cargo(arguments: &[&str]) -> String {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(program)
        .args(arguments)
        .args(["--locked", "--offline"])
        .current_dir(repository::root())
        .output()
        .expect("cargo can be started");
    assert!(
        output.status.success(),
        "cargo {} failed:\n{}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}
