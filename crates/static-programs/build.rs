//! Builds the static programs with a nested cargo and leaves them in `OUT_DIR`.
//!
//! The nested cargo has a target directory of its own, so the two never wait for each other's lock;
//! it inherits the job server, so both together keep to the parallelism that was asked for. It does
//! not inherit flags, wrappers or profile settings of the outer build: the programs are the same
//! under `cargo build`, `cargo test` and `cargo clippy`.
//!
//! Deliberately absent: a fallback. A program that is not static does not run in an empty root, so
//! a machine that cannot link statically gets an error that names the missing package.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};

/// Set for the nested cargo; seen again, it means that a program depends on this crate.
const NESTED: &str = "COUNTERSEAL_STATIC_PROGRAMS_NESTED";

struct Program {
    package: &'static str,
    binary: &'static str,
    /// What it is made of, relative to the folder `crates`.
    sources: &'static [&'static str],
}

const RULEC: Program = Program {
    package: "counterseal-rules",
    binary: "rulec",
    sources: &["rules/Cargo.toml", "rules/src"],
};

const LAUNCH: Program = Program {
    package: "counterseal-launcher",
    binary: "counterseal-launch",
    sources: &[
        "artifact/Cargo.toml",
        "artifact/src",
        "attestation/Cargo.toml",
        "attestation/src",
        "launcher/Cargo.toml",
        "launcher/src",
        "sandbox/Cargo.toml",
        "sandbox/src",
    ],
};

const PROBE: Program = Program {
    package: "counterseal-testkit",
    binary: "probe",
    sources: &["testkit/Cargo.toml", "testkit/src"],
};

const PLANTED: Program = Program {
    package: "counterseal-testkit",
    binary: "planted",
    sources: PROBE.sources,
};

const FILE_PROBE: Program = Program {
    package: "counterseal-testkit",
    binary: "file-probe",
    sources: PROBE.sources,
};

const LEAK_PROBE: Program = Program {
    package: "counterseal-testkit",
    binary: "leak-probe",
    sources: PROBE.sources,
};

fn main() -> ExitCode {
    match build_all() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn build_all() -> Result<(), String> {
    let here = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let crates = here
        .parent()
        .ok_or("the crate does not lie in the folder `crates`")?;
    let workspace = crates
        .parent()
        .ok_or("the folder `crates` does not lie in a workspace")?;
    if env::var_os(NESTED).is_some() {
        return Err("a static program depends on counterseal-static-programs, \
                    which builds it: remove that dependency"
            .to_owned());
    }
    let mut programs = vec![RULEC];
    if env::var_os("CARGO_FEATURE_LAUNCHER").is_some() {
        programs.push(LAUNCH);
    }
    if env::var_os("CARGO_FEATURE_PROBE").is_some() {
        programs.push(PROBE);
        programs.push(FILE_PROBE);
        programs.push(LEAK_PROBE);
        programs.push(PLANTED);
    }
    let target = variable("TARGET")?;
    if variable("CARGO_CFG_TARGET_OS")? != "linux" {
        return Err(format!(
            "static programs are made for Linux only, the target is {target}"
        ));
    }

    let shared = ["Cargo.toml", "Cargo.lock"].map(|file| workspace.join(file));
    let sources = programs.iter().flat_map(|program| program.sources);
    for path in sources.map(|source| crates.join(source)).chain(shared) {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    println!("cargo::rerun-if-changed=build.rs");

    let out = PathBuf::from(variable("OUT_DIR")?);
    for program in &programs {
        build(program, &target, workspace, &out)?;
    }
    Ok(())
}

fn build(program: &Program, target: &str, workspace: &Path, out: &Path) -> Result<(), String> {
    let target_directory = out.join("static");
    let mut cargo = Command::new(variable("CARGO")?);
    for (name, _) in env::vars_os() {
        if !is_inherited(&name) {
            cargo.env_remove(name);
        }
    }
    let output = cargo
        .args(["build", "--release", "--locked", "--quiet"])
        .args([
            "--package",
            program.package,
            "--bin",
            program.binary,
            "--target",
            target,
        ])
        .arg("--manifest-path")
        .arg(workspace.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target_directory)
        .env("CARGO_ENCODED_RUSTFLAGS", flags(workspace).join("\u{1f}"))
        .env(NESTED, "1")
        .output()
        .map_err(|error| format!("cannot start cargo: {error}"))?;
    if !output.status.success() {
        return Err(failure(program, target, &output));
    }
    let built = target_directory
        .join(target)
        .join("release")
        .join(program.binary);
    copy_if_changed(&built, &out.join(program.binary))
        .map_err(|error| format!("cannot copy {}: {error}", built.display()))
}

/// Whether the nested cargo may see the variable of that name.
///
/// Kept: where cargo and its downloads live, the registry's and the network's settings, the job
/// server, linkers. Dropped: what the outer cargo says about this crate's build, and what would
/// change the programs.
fn is_inherited(name: &OsString) -> bool {
    const KEPT: [&str; 7] = [
        "CARGO_HOME",
        "CARGO_HTTP_",
        "CARGO_MAKEFLAGS",
        "CARGO_NET_",
        "CARGO_REGISTRIES_",
        "CARGO_REGISTRY_",
        "CARGO_SOURCE_",
    ];
    const DROPPED: [&str; 8] = [
        "RUSTFLAGS",
        "RUSTDOCFLAGS",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_LINKER",
        "CLIPPY_ARGS",
        "CLIPPY_CONF_DIR",
        "__CARGO_",
    ];
    let Some(name) = name.to_str() else {
        return true;
    };
    let begins_with_one_of = |prefixes: &[&str]| prefixes.iter().any(|p| name.starts_with(p));
    if begins_with_one_of(&KEPT) {
        return true;
    }
    if name.starts_with("CARGO_TARGET_") && name.ends_with("_LINKER") {
        return true;
    }
    !name.starts_with("CARGO_") && !begins_with_one_of(&DROPPED)
}

/// Flags of every static program: no dynamic loader, a fixed load address (nothing to relocate at
/// start), and no trace of where the sources lay, so that two clones make the same bytes.
fn flags(workspace: &Path) -> Vec<String> {
    let mut flags = ["-Ctarget-feature=+crt-static", "-Crelocation-model=static"]
        .map(String::from)
        .to_vec();
    flags.push(format!(
        "--remap-path-prefix={}=/counterseal",
        workspace.display()
    ));
    let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo_home =
        cargo_home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")));
    if let Some(home) = cargo_home {
        flags.push(format!("--remap-path-prefix={}=/cargo", home.display()));
    }
    flags
}

fn failure(program: &Program, target: &str, output: &Output) -> String {
    let complaints = String::from_utf8_lossy(&output.stderr);
    let mut message = format!(
        "building the static program `{}` for {target} failed ({}):\n{complaints}",
        program.binary, output.status
    );
    // As lld and as the GNU linkers put it; the list of arguments before it always names `-lc`.
    let missing = [
        "unable to find library -l",
        "cannot find -l",
        "cannot find crt",
        "cannot open crt",
    ];
    if missing.iter().any(|phrase| complaints.contains(phrase)) {
        message.push_str(
            "\nhint: the static C library is missing: install libc6-dev (Debian, Ubuntu) \
             or glibc-static (Fedora)",
        );
    }
    message
}

/// Copies unless `to` has the same bytes, so that dependants are not built again for nothing.
fn copy_if_changed(from: &Path, to: &Path) -> io::Result<()> {
    let bytes = fs::read(from)?;
    if fs::read(to).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    fs::write(to, bytes)
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|_| format!("cargo did not set {name} for this build script"))
}
