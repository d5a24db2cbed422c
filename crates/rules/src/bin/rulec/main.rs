//! `rulec`: checks rule sources, compiles them into a pack, and reads packs.
//!
//! Small on purpose: linked statically it is the only content of the root in which the rule product
//! is assembled. Results go to standard output, everything else to standard error. Exit codes:
//! 0 done, also for a scan that finds nothing; 1 the answer is no (findings, no such rule or
//! indicator, a damaged pack); 2 the question was wrong (usage, unreadable or unwritable file).
//!
//! Deliberately absent: a clock. The build epoch of a pack is `SOURCE_DATE_EPOCH`.

mod arguments;
mod files;

use std::env;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use counterseal_rules::{
    CompileError, Indicator, Pack, RuleSet, RuleView, Scanner, Stamp, check, limits, source,
};
use sha2::{Digest, Sha256};

use arguments::Command;

fn main() -> ExitCode {
    let done = match arguments::parse(env::args_os().skip(1)) {
        Ok(command) => run(command),
        Err(problem) => Err(Stop::Question(format!("{problem}\n\n{}", arguments::USAGE))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Stop::Answer(message)) => stop(1, &message),
        Err(Stop::Question(message)) => stop(2, &message),
    }
}

/// Why the program ends early, and with it the exit code.
enum Stop {
    /// The answer is no: exit code 1.
    Answer(String),
    /// There is no answer: exit code 2.
    Question(String),
}

impl From<CompileError> for Stop {
    fn from(error: CompileError) -> Self {
        Self::Question(error.to_string())
    }
}

impl From<files::FileError> for Stop {
    fn from(error: files::FileError) -> Self {
        Self::Question(error.to_string())
    }
}

fn stop(code: u8, message: &str) -> ExitCode {
    // Nowhere is left to report a failing standard error to.
    let _ = writeln!(io::stderr(), "error: {message}");
    ExitCode::from(code)
}

fn run(command: Command) -> Result<(), Stop> {
    match command {
        Command::Help => print(arguments::USAGE),
        Command::Version => print(format_args!("rulec {}\n", env!("CARGO_PKG_VERSION"))),
        Command::Check { source } => {
            let (rules, files) = load(&source)?;
            tell(format_args!(
                "rules: {}, files: {files}, no findings",
                rules.rules().len()
            ));
            Ok(())
        }
        Command::Compile {
            source,
            output,
            product_version,
        } => compile(&source, &output, &product_version),
        Command::Show { pack, id } => {
            let bytes = files::read(&pack, limits::PACK_BYTES_MAX)?;
            let read = parse(&pack, &bytes)?;
            let rule = read
                .rule(&id)
                .ok_or_else(|| Stop::Answer(format!("{} has no rule {id}", pack.display())))?;
            print(rule.to_rule())
        }
        Command::Lookup { pack, indicator } => {
            let wanted =
                Indicator::parse(&indicator).map_err(|error| Stop::Question(error.to_string()))?;
            let bytes = files::read(&pack, limits::PACK_BYTES_MAX)?;
            let found = parse(&pack, &bytes)?.lookup(&wanted);
            if found.is_empty() {
                let message = format!("{} has no rule for {indicator}", pack.display());
                return Err(Stop::Answer(message));
            }
            found
                .into_iter()
                .try_for_each(|rule| print(format_args!("{}\n", line(rule))))
        }
        Command::Scan { pack, file } => {
            let bytes = files::read(&pack, limits::PACK_BYTES_MAX)?;
            let read = parse(&pack, &bytes)?;
            let contents = files::read(&file, limits::SCAN_BYTES_MAX)?;
            let hits = Scanner::new(&read)
                .scan(&contents)
                .map_err(|error| Stop::Question(error.to_string()))?;
            for hit in &hits {
                print(format_args!("{}\n", line(hit.rule)))?;
            }
            tell(format_args!(
                "rules that match {}: {}",
                file.display(),
                hits.len()
            ));
            Ok(())
        }
    }
}

fn compile(source: &Path, output: &Path, product_version: &str) -> Result<(), Stop> {
    let stamp = Stamp::new(product_version, build_epoch()?)?;
    let (rules, files) = load(source)?;
    let pack = counterseal_rules::compile(&rules, &stamp)?;
    // What leaves the compiler has been through the reader.
    parse(output, &pack)?;
    files::write(output, &pack)?;
    let digest = Sha256::digest(&pack)
        .iter()
        .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    tell(format_args!(
        "compiled {} rules from {files} files into {} ({} bytes, sha256:{digest})",
        rules.rules().len(),
        output.display(),
        pack.len()
    ));
    Ok(())
}

/// The rules of a folder, checked, and the number of files.
fn load(folder: &Path) -> Result<(RuleSet, usize), Stop> {
    let names = files::rule_files(folder)?;
    let mut rules = Vec::new();
    let mut findings = Vec::new();
    for name in &names {
        // One more byte than allowed, so that the parser reports the length with the place.
        let contents = files::read(&folder.join(name), limits::FILE_BYTES_MAX + 1)?;
        match source::parse(name, &contents) {
            Ok(found) => rules.extend(found),
            Err(error) => findings.push(error),
        }
    }
    // Whether ids and indicators are unique cannot be told while a file is missing.
    if findings.is_empty() {
        match check(rules) {
            Ok(rules) if rules.rules().is_empty() => {
                let message = format!("{} holds no rules (*.rule files)", folder.display());
                return Err(Stop::Question(message));
            }
            Ok(rules) => return Ok((rules, names.len())),
            Err(found) => findings = found,
        }
    }
    for finding in &findings {
        tell(finding);
    }
    Err(Stop::Answer(format!(
        "findings in {}: {}",
        folder.display(),
        findings.len()
    )))
}

fn parse<'a>(path: &Path, bytes: &'a [u8]) -> Result<Pack<'a>, Stop> {
    Pack::parse(bytes).map_err(|error| Stop::Answer(format!("{}: {error}", path.display())))
}

fn build_epoch() -> Result<u64, Stop> {
    let found = env::var("SOURCE_DATE_EPOCH").unwrap_or_default();
    let is_decimal = !found.is_empty() && found.bytes().all(|byte| byte.is_ascii_digit());
    found.parse().ok().filter(|_| is_decimal).ok_or_else(|| {
        Stop::Question(format!(
            "SOURCE_DATE_EPOCH must be the build epoch in Unix seconds, found `{found}`\n\
             hint: SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) rulec compile …"
        ))
    })
}

/// One line about a rule, its id first.
fn line(rule: RuleView<'_>) -> String {
    format!(
        "{} {} \"{}\"",
        rule.id(),
        rule.severity().word(),
        rule.title()
    )
}

fn print(text: impl Display) -> Result<(), Stop> {
    let mut out = io::stdout().lock();
    write!(out, "{text}")
        .and_then(|()| out.flush())
        .map_err(|error| Stop::Question(format!("cannot write the result: {error}")))
}

fn tell(text: impl Display) {
    // Progress that nobody can read is no reason to fail.
    let _ = writeln!(io::stderr(), "{text}");
}
