//! `counterseal demo`: the whole chain with real commands, each printed before it runs.
//!
//! Everything stays behind in one directory. Each command is this very program, run as a person
//! would run it, so what is printed can be typed.

use std::path::{Path, PathBuf};
use std::process::Command;

use counterseal_inputs::sources::APT_DIRECTORY;
use counterseal_inputs::{DebianSettings, Sources};

use crate::arguments::{DemoArgs, DemoProduct};
use crate::embedded;
use crate::error::{CommandError, Exit, OrExit};
use crate::output;

/// Identity of the demonstration's builder; `trust.toml` in its directory allows it.
const BUILDER_ID: &str = "https://counterseal.dev/builders/demo";
/// Identity of the demonstration's auditor.
const AUDITOR_ID: &str = "https://counterseal.dev/auditors/demo";
/// Origin of the demonstration's record.
const ORIGIN: &str = "zurich.record.example";

pub(crate) fn run(arguments: &DemoArgs) -> Result<Exit, CommandError> {
    let demo = Demo::start(arguments)?;
    demo.prepare_parties()?;
    match arguments.product {
        Some(DemoProduct::Rules) => demo.rules()?,
        Some(DemoProduct::Hello) => {
            demo.write_hello()?;
            demo.command(&demo.fetch(), &[Exit::Success])?;
            demo.hello()?;
        }
        None => match demo.why_not_hello(arguments)? {
            None => demo.hello()?,
            Some(reason) => {
                eprintln!(
                    "\nLeft out: GNU hello from Debian's source package, because {reason}.\n\
                     It comes with --mirror URL (a Debian mirror that carries bookworm), or once \
                     the machine's package configuration names one.\n\
                     The same chain follows on the embedded rule database."
                );
                demo.rules()?;
            }
        },
    }
    demo.farewell();
    Ok(Exit::Success)
}

struct Demo {
    directory: PathBuf,
    program: PathBuf,
    mirror: Vec<String>,
}

impl Demo {
    fn start(arguments: &DemoArgs) -> Result<Self, CommandError> {
        if arguments.offline && arguments.product == Some(DemoProduct::Hello) {
            return Err(CommandError::usage(
                "hello needs a Debian mirror, so not --offline",
            ));
        }
        let program = std::env::current_exe().map_err(|error| {
            CommandError::new(Exit::Internal, format!("cannot find this program: {error}"))
        })?;
        output::directory(&arguments.directory)?;
        let fail = |error: std::io::Error| {
            CommandError::usage(format!(
                "cannot use {}: {error}",
                arguments.directory.display()
            ))
        };
        let directory = arguments.directory.canonicalize().map_err(fail)?;
        if std::fs::read_dir(&directory)
            .map_err(fail)?
            .next()
            .is_some()
        {
            return Err(
                CommandError::usage(format!("{} is not empty", directory.display()))
                    .hint("name another directory with --directory DIR, or remove this one"),
            );
        }
        eprintln!(
            "Every command below is real. To type them yourself:\n\n    cd {}\n    alias counterseal={}",
            directory.display(),
            program.display()
        );
        let mirror = match &arguments.mirror {
            Some(url) => vec!["--mirror".to_owned(), url.clone()],
            None => Vec::new(),
        };
        Ok(Self {
            directory,
            program,
            mirror,
        })
    }

    /// Keys of vendor, auditor and record; the record; the customer's trust file.
    fn prepare_parties(&self) -> Result<(), CommandError> {
        Self::heading("The parties: a vendor, an auditor, the operator of the record, a customer");
        self.run("keys new attestation keys/vendor.key")?;
        self.run("keys new attestation keys/auditor.key")?;
        self.run(&format!(
            "keys new record keys/record.key --origin {ORIGIN}"
        ))?;
        self.run("record init record --key keys/record.key")?;
        self.run(&format!(
            "trust new --builder vendor=keys/vendor.key.pub --builder-id {BUILDER_ID} \
             --auditor auditor=keys/auditor.key.pub --record keys/record.key.pub \
             --output trust.toml"
        ))
    }

    /// Tries to bring GNU hello's inputs; says why not if they are out of reach.
    fn why_not_hello(&self, arguments: &DemoArgs) -> Result<Option<String>, CommandError> {
        if arguments.offline {
            return Ok(Some("--offline was given".to_owned()));
        }
        let flags = DebianSettings {
            mirrors: arguments.mirror.iter().cloned().collect(),
            keyring: None,
        };
        let apt = Path::new(APT_DIRECTORY);
        let sources = Sources::gather(
            &flags,
            &DebianSettings::default(),
            apt.is_dir().then_some(apt),
        )
        .or_usage()?;
        if sources.mirrors_for("bookworm").is_empty() {
            return Ok(Some("no Debian mirror is configured".to_owned()));
        }
        self.write_hello()?;
        let code = self.command(&self.fetch(), &[Exit::Success, Exit::NoConclusion])?;
        Ok((code == Exit::NoConclusion as i32)
            .then(|| "no configured Debian mirror could be reached".to_owned()))
    }

    fn write_hello(&self) -> Result<(), CommandError> {
        embedded::write(embedded::HELLO, &self.directory.join("hello"))
    }

    fn fetch(&self) -> Vec<String> {
        let mut words = split("fetch hello/assembly.toml --store vendor/store");
        words.extend(self.mirror.iter().cloned());
        words
    }

    fn hello(&self) -> Result<(), CommandError> {
        self.chain(
            "hello",
            &[
                "hello_2.10_amd64.tar.zst",
                "hello_2.10-3+counterseal1_amd64.deb",
            ],
        )?;
        eprintln!(
            "\nOn a Debian 12 machine, look at the package and install it:\n\n    \
             dpkg-deb -I out/hello_2.10-3+counterseal1_amd64.deb\n    \
             sudo dpkg -i out/hello_2.10-3+counterseal1_amd64.deb"
        );
        Ok(())
    }

    fn rules(&self) -> Result<(), CommandError> {
        let directory = self.directory.join("rules");
        embedded::write(embedded::RULES, &directory)?;
        embedded::write_rule_compiler(&directory.join("rulec"))?;
        Self::heading("Pin the inputs");
        self.run("lock rules/assembly.toml --store vendor/store")?;
        self.chain("rules", &["rules-2026.11.1.pack"])?;
        eprintln!(
            "\nLook a rule up in the pack:\n\n    rules/rulec lookup out/rules-2026.11.1.pack tanager-relay.example"
        );
        Ok(())
    }

    /// assemble → record → verify → replay → verify, and what tampering looks like.
    fn chain(&self, product: &str, artifacts: &[&str]) -> Result<(), CommandError> {
        Self::heading("Vendor: assemble hermetically, sign the provenance, record it");
        let mut assemble = split(&format!(
            "assemble {product}/assembly.toml --output out --archive-inputs inputs \
             --store vendor/store --key keys/vendor.key --builder-id {BUILDER_ID} \
             --record record --record-key keys/record.key"
        ));
        assemble.extend(self.mirror.iter().cloned());
        self.command(&assemble, &[Exit::Success])?;

        let files = artifacts
            .iter()
            .map(|name| format!("out/{name}"))
            .collect::<Vec<_>>();
        let first = &files[0];
        Self::heading("Customer: verify the download, offline");
        self.run(&format!("verify {} --trust trust.toml", files.join(" ")))?;

        Self::heading("Auditor: rebuild from the provenance alone, compare, countersign");
        self.run(&format!(
            "replay {first}.sigstore.jsonl --trust trust.toml --offline --input-archive inputs \
             --store auditor/store --output auditor/out --sign keys/auditor.key \
             --auditor-id {AUDITOR_ID} --record record --record-key keys/record.key"
        ))?;

        Self::heading("Customer: verify again; the replay now counts");
        self.run(&format!("verify {} --trust trust.toml", files.join(" ")))?;

        Self::heading("What it looks like when one byte was changed");
        self.tamper(artifacts[0])?;
        self.command(
            &split(&format!(
                "verify tampered/{} --trust trust.toml",
                artifacts[0]
            )),
            &[Exit::Failed],
        )?;

        Self::heading("Operator: recompute the whole record");
        self.run("record check record --public-key keys/record.key.pub")
    }

    /// Copies an artifact with one byte changed, its evidence unchanged.
    fn tamper(&self, artifact: &str) -> Result<(), CommandError> {
        let fail = |error: std::io::Error| {
            CommandError::usage(format!("cannot copy {artifact} for tampering: {error}"))
        };
        let (from, to) = (self.directory.join("out"), self.directory.join("tampered"));
        output::directory(&to)?;
        let mut bytes = std::fs::read(from.join(artifact)).map_err(fail)?;
        let middle = bytes.len() / 2;
        let Some(byte) = bytes.get_mut(middle) else {
            return Err(CommandError::new(
                Exit::Failed,
                format!("{artifact} is empty"),
            ));
        };
        *byte ^= 1;
        std::fs::write(to.join(artifact), bytes).map_err(fail)?;
        let evidence = format!("{artifact}{}", crate::evidence::EVIDENCE_SUFFIX);
        std::fs::copy(from.join(&evidence), to.join(&evidence)).map_err(fail)?;
        eprintln!("(one bit of byte {middle} changed, copied to tampered/{artifact})");
        Ok(())
    }

    fn run(&self, line: &str) -> Result<(), CommandError> {
        self.command(&split(line), &[Exit::Success]).map(|_| ())
    }

    /// Prints a command, runs it in the demonstration's directory, and insists on its exit code.
    fn command(&self, words: &[String], expected: &[Exit]) -> Result<i32, CommandError> {
        eprintln!("\n$ counterseal {}", words.join(" "));
        let status = Command::new(&self.program)
            .args(words)
            .current_dir(&self.directory)
            .status()
            .map_err(|error| {
                CommandError::new(Exit::Internal, format!("cannot run this program: {error}"))
            })?;
        let code = status.code().unwrap_or(Exit::Internal as i32);
        if !expected.iter().any(|exit| *exit as i32 == code) {
            return Err(CommandError::new(
                Exit::Failed,
                format!(
                    "`counterseal {}` ended with exit code {code}",
                    words.join(" ")
                ),
            ));
        }
        if !expected.contains(&Exit::Success) {
            eprintln!("(exit code {code}, as it must be)");
        }
        Ok(code)
    }

    fn heading(text: &str) {
        eprintln!("\n== {text}");
    }

    fn farewell(&self) {
        eprintln!(
            "\nDone: assembled, recorded, verified, replayed. Everything is in {}:\n\
             out/ artifacts and evidence · record/ the log · inputs/ what a replay needs · \
             keys/ throw-away keys · trust.toml what the customer trusts",
            self.directory.display()
        );
    }
}

fn split(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}
