//! A Debian archive of a few packages, generated and signed by the test.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;

use counterseal_attestation::Sha256Digest;

use crate::keys::Signer;
use crate::server::{Answer, Server};

/// Files by path below the archive's root, and the entries that go into its indexes.
#[derive(Default)]
pub(crate) struct MiniArchive {
    files: BTreeMap<String, Vec<u8>>,
    packages: String,
    sources: String,
}

impl MiniArchive {
    /// Adds a binary package with some more fields, e.g. `Depends: b`.
    pub(crate) fn package(&mut self, name: &str, version: &str, fields: &str) -> &mut Self {
        let bytes = format!("the package {name} {version}\n")
            .repeat(2000)
            .into_bytes();
        // File names leave the epoch out.
        let short = version.split_once(':').map_or(version, |(_, short)| short);
        let path = format!("pool/main/{name}_{short}_amd64.deb");
        let fields = if fields.is_empty() {
            String::new()
        } else {
            format!("{fields}\n")
        };
        write!(
            self.packages,
            "Package: {name}\nVersion: {version}\nArchitecture: amd64\n{fields}Filename: {path}\n\
             Size: {}\nSHA256: {}\n\n",
            bytes.len(),
            Sha256Digest::of(&bytes)
        )
        .unwrap();
        self.files.insert(path, bytes);
        self
    }

    /// Adds a source package; `edit` may make its `.dsc` lie.
    pub(crate) fn source(
        &mut self,
        name: &str,
        version: &str,
        edit: impl Fn(String) -> String,
    ) -> &mut Self {
        let tar = format!("{name} {version}").into_bytes();
        let line = |bytes: &[u8], file: &str| {
            format!(" {} {} {file}\n", Sha256Digest::of(bytes), bytes.len())
        };
        let tar_line = line(&tar, &format!("{name}_{version}.tar.xz"));
        let dsc = edit(format!(
            "Format: 3.0 (native)\nSource: {name}\nVersion: {version}\nChecksums-Sha256:\n{tar_line}"
        ));
        let dsc_line = line(dsc.as_bytes(), &format!("{name}_{version}.dsc"));
        write!(
            self.sources,
            "Package: {name}\nVersion: {version}\nDirectory: pool/main/{name}\n\
             Checksums-Sha256:\n{dsc_line}{tar_line}\n"
        )
        .unwrap();
        self.files
            .insert(format!("pool/main/{name}/{name}_{version}.tar.xz"), tar);
        self.files.insert(
            format!("pool/main/{name}/{name}_{version}.dsc"),
            dsc.into_bytes(),
        );
        self
    }

    /// The bytes of a file.
    pub(crate) fn file(&self, path: &str) -> &[u8] {
        &self.files[path]
    }

    /// The text of the suite's `Release`, and its index files.
    fn release(&self) -> (String, BTreeMap<String, Vec<u8>>) {
        let mut listed = String::new();
        let mut files = BTreeMap::new();
        for (path, text) in [
            ("main/binary-amd64/Packages", &self.packages),
            ("main/source/Sources", &self.sources),
        ] {
            let compressed = xz(text.as_bytes());
            for (path, bytes) in [
                (path.to_owned(), text.as_bytes()),
                (format!("{path}.xz"), &compressed),
            ] {
                writeln!(
                    listed,
                    " {} {} {path}",
                    Sha256Digest::of(bytes),
                    bytes.len()
                )
                .unwrap();
            }
            let (directory, _) = path.rsplit_once('/').unwrap();
            let digest = Sha256Digest::of(&compressed);
            files.insert(format!("{directory}/by-hash/SHA256/{digest}"), compressed);
        }
        let text = format!(
            "Origin: Debian\nSuite: oldstable\nCodename: bookworm\n\
             Date: Sun, 15 Jun 2025 15:06:40 UTC\nAcquire-By-Hash: yes\nSHA256:\n{listed}"
        );
        (text, files)
    }

    /// Puts everything on the server below `/debian`, the index of `bookworm` signed.
    pub(crate) fn publish(&self, server: &Server, signer: &Signer) {
        self.publish_edited(server, |release| signer.sign(&release));
    }

    /// The same, with an `InRelease` made by `sign` from the text of the `Release`.
    pub(crate) fn publish_edited(&self, server: &Server, sign: impl Fn(String) -> Vec<u8>) {
        for (path, bytes) in &self.files {
            server.answer(&format!("/debian/{path}"), Answer::Bytes(bytes.clone()));
        }
        let (release, files) = self.release();
        for (path, bytes) in files {
            server.answer(
                &format!("/debian/dists/bookworm/{path}"),
                Answer::Bytes(bytes),
            );
        }
        server.answer(
            "/debian/dists/bookworm/InRelease",
            Answer::Bytes(sign(release)),
        );
    }

    /// The server's path of the compressed index of packages.
    pub(crate) fn packages_path(&self) -> String {
        let digest = Sha256Digest::of(&xz(self.packages.as_bytes()));
        format!("/debian/dists/bookworm/main/binary-amd64/by-hash/SHA256/{digest}")
    }
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
