//! `counterseal demo`: the whole chain with real commands, each printed before it runs.
//!
//! Everything stays behind in one directory. Each command is this very program, run as a person
//! would run it, so what is printed can be typed.

use std::path::PathBuf;
use std::process::Command;

use crate::arguments::{DemoArgs, DemoProduct, SourceOptions};
use crate::error::{CommandError, Exit};
use crate::session::Session;
use crate::{embedded, output};

/// Identity of the demonstration's builder; `trust.toml` in its directory allows it.
const BUILDER_ID: &str = "https://counterseal.dev/builders/demo";
/// Identity of the demonstration's auditor.
const AUDITOR_ID: &str = "https://counterseal.dev/auditors/demo";
/// Origin of the demonstration's record.
const ORIGIN: &str = "zurich.record.example";

pub(crate) fn run(session: &Session, arguments: &DemoArgs) -> Result<Exit, CommandError> {
    let demo = Demo::start(session, arguments)?;
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
                session.say(format!(
                    "\nLeft out: GNU hello from Debian's source package, because {reason}.\n\
                     It comes with --mirror URL (a Debian mirror that carries bookworm), or once \
                     the machine's package configuration names one.\n\
                     The same chain follows on the embedded rule database."
                ));
                demo.rules()?;
            }
        },
    }
    demo.farewell();
    Ok(Exit::Success)
}

struct Demo<'a> {
    session: &'a Session,
    directory: PathBuf,
    program: PathBuf,
    /// Words before each verb.
    options: Vec<String>,
    mirror: Vec<String>,
}

impl<'a> Demo<'a> {
    fn start(session: &'a Session, arguments: &DemoArgs) -> Result<Self, CommandError> {
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
        session.say(format!(
            "Every command below is real. To type them yourself:\n\n    cd {}\n    alias counterseal={}",
            directory.display(),
            program.display()
        ));
        let mirror = match &arguments.mirror {
            Some(url) => vec!["--mirror".to_owned(), url.clone()],
            None => Vec::new(),
        };
        Ok(Self {
            session,
            directory,
            program,
            options: session.options()?,
            mirror,
        })
    }

    /// Keys of vendor, auditor and record; the record; the customer's trust file.
    fn prepare_parties(&self) -> Result<(), CommandError> {
        self.heading("The parties: a vendor, an auditor, the operator of the record, a customer");
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
    fn why_not_hello(&self, arguments: &DemoArgs) -> Result<Option<&'static str>, CommandError> {
        if arguments.offline {
            return Ok(Some("--offline was given"));
        }
        let options = SourceOptions {
            mirrors: arguments.mirror.iter().cloned().collect(),
            keyring: None,
            archives: Vec::new(),
            offline: false,
        };
        let sources = self.session.sources(&options, None)?;
        if sources.mirrors_for("bookworm").is_empty() {
            return Ok(Some("no Debian mirror is configured"));
        }
        self.write_hello()?;
        let exit = self.command(&self.fetch(), &[Exit::Success, Exit::NoConclusion])?;
        Ok((exit == Exit::NoConclusion).then_some("no configured Debian mirror could be reached"))
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
        self.session.say(
            "\nOn a Debian 12 machine, look at the package and install it:\n\n    \
             dpkg-deb -I out/hello_2.10-3+counterseal1_amd64.deb\n    \
             sudo dpkg -i out/hello_2.10-3+counterseal1_amd64.deb",
        );
        Ok(())
    }

    fn rules(&self) -> Result<(), CommandError> {
        let directory = self.directory.join("rules");
        embedded::write(embedded::RULES, &directory)?;
        embedded::write_rule_compiler(&directory.join("rulec"))?;
        self.heading("Pin the inputs");
        self.run("lock rules/assembly.toml --store vendor/store")?;
        self.chain("rules", &["rules-2026.11.1.pack"])?;
        self.session.say(
            "\nLook a rule up in the pack:\n\n    rules/rulec lookup out/rules-2026.11.1.pack tanager-relay.example",
        );
        Ok(())
    }

    /// assemble → record → verify → replay → verify, and what tampering looks like.
    fn chain(&self, product: &str, artifacts: &[&str]) -> Result<(), CommandError> {
        self.heading("Vendor: assemble hermetically, sign the provenance, record it");
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
        self.heading("Customer: verify the download, offline");
        self.run(&format!("verify {} --trust trust.toml", files.join(" ")))?;

        self.heading("Auditor: rebuild from the provenance alone, compare, countersign");
        self.run(&format!(
            "replay {first}.sigstore.jsonl --trust trust.toml --offline --input-archive inputs \
             --store auditor/store --output auditor/out --sign keys/auditor.key \
             --auditor-id {AUDITOR_ID} --record record --record-key keys/record.key"
        ))?;

        self.heading("Customer: verify again; the replay now counts");
        self.run(&format!("verify {} --trust trust.toml", files.join(" ")))?;

        self.heading("What it looks like when one byte was changed");
        self.tamper(artifacts[0])?;
        self.command(
            &split(&format!(
                "verify tampered/{} --trust trust.toml",
                artifacts[0]
            )),
            &[Exit::Failed],
        )?;

        self.heading("Operator: recompute the whole record");
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
        let evidence = format!(
            "{artifact}{}",
            counterseal_attestation::bundle::EVIDENCE_SUFFIX
        );
        std::fs::copy(from.join(&evidence), to.join(&evidence)).map_err(fail)?;
        self.session.say(format!(
            "(one bit of byte {middle} changed, copied to tampered/{artifact})"
        ));
        Ok(())
    }

    fn run(&self, line: &str) -> Result<(), CommandError> {
        self.command(&split(line), &[Exit::Success]).map(|_| ())
    }

    /// Prints a command, runs it in the demonstration's directory, and insists on its exit code.
    fn command(&self, words: &[String], expected: &[Exit]) -> Result<Exit, CommandError> {
        let words = [&self.options, words].concat();
        let line = words.join(" ");
        self.session.say(format!("\n$ counterseal {line}"));
        let status = Command::new(&self.program)
            .args(&words)
            .current_dir(&self.directory)
            .status()
            .map_err(|error| {
                CommandError::new(Exit::Internal, format!("cannot run this program: {error}"))
            })?;
        let exit = Exit::of(status);
        if !expected.contains(&exit) {
            let said = match exit {
                Exit::Success => Exit::Failed,
                other => other,
            };
            return Err(CommandError::new(
                said,
                format!("`counterseal {line}` ended with {status}"),
            ));
        }
        if !expected.contains(&Exit::Success) {
            let code = exit as u8;
            self.session
                .say(format!("(exit code {code}, as it must be)"));
        }
        Ok(exit)
    }

    fn heading(&self, text: &str) {
        self.session.say(format!("\n== {text}"));
    }

    fn farewell(&self) {
        self.session.say(format!(
            "\nDone: assembled, recorded, verified, replayed. Everything is in {}:\n\
             out/ artifacts and evidence · record/ the log · inputs/ what a replay needs · \
             keys/ throw-away keys · trust.toml what the customer trusts",
            self.directory.display()
        ));
    }
}

fn split(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}
