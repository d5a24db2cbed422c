//! What is assembled: the rule database of `products/rules`, and a product made by the probe, the
//! static program that does as it is told. Neither needs a download.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use counterseal_static_programs::{PROBE, RULEC};
use counterseal_tests::repository;

use super::bench::{Bench, copy_directory};

/// The artifact of the rule database.
pub(crate) const PACK: &str = "rules-2026.11.1.pack";

/// Copies the rule database, ready to be locked, into a folder of the bench.
pub(crate) fn rules(bench: &Bench, folder: &str) {
    let product = repository::root().join("products/rules");
    let folder = bench.path(folder);
    copy_directory(&product.join("rules"), &folder.join("rules"));
    fs::copy(product.join("assembly.toml"), folder.join("assembly.toml")).unwrap();
    fs::write(folder.join("rulec"), RULEC).unwrap();
}

/// A recipe whose only step is the probe, doing what `words` say.
pub(crate) struct Probe<'a> {
    /// Experiments, as the probe takes them; `then` stands between two.
    pub(crate) words: &'a str,
    /// The declared output below `/build`.
    pub(crate) output: &'a str,
    /// `file` or `tar.zst`.
    pub(crate) kind: &'a str,
    /// Lines of the table `[limits]`.
    pub(crate) limits: &'a str,
    /// Version of the product, so that two runs can be told apart.
    pub(crate) version: &'a str,
    /// Lines of the step's table `environment`.
    pub(crate) environment: &'a str,
}

impl Default for Probe<'_> {
    fn default() -> Self {
        Self {
            words: "write-text /build/out done",
            output: "out",
            kind: "file",
            limits: "",
            version: "1",
            environment: "",
        }
    }
}

impl Probe<'_> {
    /// The recipe as text.
    pub(crate) fn recipe(&self) -> String {
        let mut argv = String::from("\"/bin/probe\"");
        for word in self.words.split_whitespace() {
            write!(argv, ", {}", toml::Value::from(word)).unwrap();
        }
        let Self {
            output,
            kind,
            limits,
            version,
            environment,
            ..
        } = self;
        format!(
            r#"format = 1

[product]
name = "probe"
version = "{version}"
source-date-epoch = 1700000000

[[input]]
name = "probe"
kind = "file"
location = "probe"
at = "/bin/probe"
executable = true

[[step]]
name = "try"
argv = [{argv}]
environment = {{ {environment} }}

[[output]]
name = "probe.out"
path = "{output}"
kind = "{kind}"
media-type = "application/octet-stream"

[limits]
{limits}
"#
        )
    }

    /// Writes recipe and program into a folder of the bench.
    pub(crate) fn write(&self, bench: &Bench, folder: &str) {
        let folder = bench.path(folder);
        fs::create_dir_all(&folder).unwrap();
        write_once(&folder.join("probe"), PROBE);
        fs::write(folder.join("assembly.toml"), self.recipe()).unwrap();
    }
}

/// Leaves a file alone that has the right size already: these bytes never change.
fn write_once(path: &Path, bytes: &[u8]) {
    let is_there = fs::metadata(path).is_ok_and(|meta| meta.len() == bytes.len() as u64);
    if !is_there {
        fs::write(path, bytes).unwrap();
    }
}
