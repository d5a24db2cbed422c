//! Writes a corpus of valid inputs for the fuzz targets, made by the crates' own writers.
//!
//! `cargo run --manifest-path fuzz/Cargo.toml --example seeds` fills `fuzz/corpus/TARGET/seed-…`. The
//! keys in it are thrown away.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use counterseal_artifact::tar_zst::Packer;
use counterseal_attestation::bundle::{Bundle, InclusionProof, LogEntry};
use counterseal_attestation::dsse::IN_TOTO_PAYLOAD_TYPE;
use counterseal_attestation::{Sha256Digest, hashedrekord};
use counterseal_launcher::{Description, FORMAT, Kind, Output, Step};
use counterseal_rules::{Stamp, check, compile, source};
use counterseal_sandbox::{Guarantee, Limits, VirtualHost};
use counterseal_signing::{AttestationKey, RecordKey};
use counterseal_store::Digest;
use counterseal_store::tree::{Directory, DirectoryNode, FileNode, SymlinkNode};
use counterseal_tlog::checkpoint::Checkpoint;
use counterseal_tlog::tile::{encode_entries, encode_tile};
use counterseal_tlog::{leaf_hash, node_hash, note};
use serde_json::json;

type Done = Result<(), Box<dyn Error>>;

const DIGEST: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn main() -> Done {
    evidence()?;
    record()?;
    rules()?;
    trees()?;
    containers()?;
    debian()?;
    descriptions()?;
    configuration()
}

/// Writes one seed of a target.
fn seed(target: &str, name: &str, bytes: impl AsRef<[u8]>) -> Done {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    fs::create_dir_all(&folder)?;
    Ok(fs::write(folder.join(format!("seed-{name}")), bytes)?)
}

fn evidence() -> Done {
    let keys = tempfile::tempdir()?;
    let path = keys.path().join("builder.key");
    AttestationKey::create(&path, None)?;
    let builder = AttestationKey::load(&path, None)?;
    let path = keys.path().join("record.key");
    RecordKey::create("zurich.record.example", &path, None)?;
    let key = RecordKey::load(&path, None)?;

    for (name, payload) in [("provenance", provenance()), ("verdict", verdict())] {
        let payload = serde_json::to_vec(&payload)?;
        let envelope = builder.sign_envelope(IN_TOTO_PAYLOAD_TYPE, &payload);
        let leaf = hashedrekord::leaf(
            &envelope.pae_digest(),
            &envelope.signature,
            builder.spki_der(),
        );
        let (ours, other) = (leaf_hash(&leaf), leaf_hash(b"other"));
        let root = node_hash(&ours, &other);
        let checkpoint = Checkpoint {
            origin: "zurich.record.example".into(),
            size: 2,
            root,
        };
        let signed = note::sign(&checkpoint.to_text(), &[&key])?;
        let bundle = Bundle {
            entry: Some(LogEntry {
                log_index: 0,
                log_id: key.verifier_key().full_key_hash(),
                proof: InclusionProof {
                    tree_size: 2,
                    root_hash: root.0,
                    hashes: vec![other.0],
                    checkpoint: signed.clone(),
                },
                canonicalized_body: leaf.clone(),
            }),
            envelope,
        };
        let line = bundle.to_line();
        seed("verify", name, format!("{line}\n"))?;
        seed("statement", name, &payload)?;
        seed("json", name, &payload)?;
        seed("hashedrekord", name, &leaf)?;
        seed("json", &format!("{name}-leaf"), &leaf)?;
        seed("bundle", name, &line)?;
        seed(
            "bundle",
            &format!("{name}-bare"),
            Bundle {
                entry: None,
                ..bundle
            }
            .to_line(),
        )?;
        seed("bundle_lines", name, format!("{line}\n\n{line}\r\n"))?;
        seed("note", name, &signed)?;
        seed("checkpoint", name, checkpoint.to_text())?;
        seed("verifier_key", name, key.verifier_key().to_string())?;
    }
    Ok(())
}

fn provenance() -> serde_json::Value {
    let file = |name: &str, content: &str| {
        let sha256 = Sha256Digest::of(content.as_bytes()).to_string();
        json!({"name": name, "sha256": sha256, "content": content})
    };
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "a", "digest": {"sha256": DIGEST}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "https://counterseal.dev/attestations/assembly/v1",
                "externalParameters": {
                    "product": {"name": "a", "version": "1"},
                    "recipe": file("assembly.toml", "format = 1\n"),
                    "lock": file("assembly.lock", "format = 1\n"),
                },
                "internalParameters": {
                    "sourceDateEpoch": 1,
                    "limits": {
                        "wallSeconds": 1, "memoryBytes": 1, "scratchBytes": 1, "logBytes": 1,
                        "processesMax": 1,
                    },
                    "isolation": {"network": {"state": "enforced", "mechanism": "namespace"}},
                    "steps": [{"name": "build", "actionDigest": DIGEST}],
                },
                "resolvedDependencies": [{"uri": "pkg:deb/debian/a@1", "digest": {"sha256": DIGEST}}],
            },
            "runDetails": {
                "builder": {"id": "https://builder.example/a", "version": {"counterseal": "0.1.0"}},
                "metadata": {
                    "invocationId": "1",
                    "startedOn": "2026-01-01T00:00:00Z",
                    "finishedOn": "2026-01-01T00:00:01Z",
                },
                "byproducts": [{"name": "log", "digest": {"sha256": DIGEST}}],
            },
        },
    })
}

fn verdict() -> serde_json::Value {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "a", "digest": {"sha256": DIGEST}}],
        "predicateType": "https://counterseal.dev/attestations/replay-verdict/v1",
        "predicate": {
            "verdict": "reproduced",
            "provenance": {"sha256": DIGEST},
            "replayer": {"id": "https://auditor.example/a", "version": {"counterseal": "0.1.0"}},
            "environment": {"kernel": "6.1"},
            "rebuilt": [{"name": "a", "digest": {"sha256": DIGEST}}],
            "differences": [],
            "startedOn": "2026-01-01T00:00:00Z",
            "finishedOn": "2026-01-01T00:00:01Z",
            "isolation": {"network": {"state": "enforced", "mechanism": "namespace"}},
        },
    })
}

fn record() -> Done {
    for path in [
        "tile/0/000",
        "tile/1/x001/x234/067.p/8",
        "tile/entries/x001/067",
        "tile/63/255",
    ] {
        seed("tile_path", &path.replace('/', "-"), path)?;
    }
    let entries = [&b"one"[..], b"", b"three"];
    let hashes: Vec<_> = entries.iter().map(|entry| leaf_hash(entry)).collect();
    // The target's first byte is the width less one.
    seed(
        "entries",
        "bundle",
        [vec![2], encode_entries(&entries)?].concat(),
    )?;
    seed("entries", "tile", [vec![2], encode_tile(&hashes)].concat())
}

fn rules() -> Done {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../products/rules");
    let mut all = Vec::new();
    for path in rule_files(&folder)? {
        let text = fs::read(&path)?;
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        seed("rules_source", &name, &text)?;
        all.extend(source::parse(&name, &text).map_err(|error| error.to_string())?);
    }
    let example = "rule EX-1\nrevision 1\nseverity low\ntitle \"An example\"\n\
                   domain bad.example\nend\n";
    seed("rules_source", "example", example)?;
    let rules = check(all).map_err(|_| "the product's rules do not pass the checks")?;
    seed(
        "rules_pack",
        "product",
        compile(&rules, &Stamp::new("2026.1", 1_700_000_000)?)?,
    )
}

/// The `*.rule` files below a folder.
fn rule_files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(rule_files(&path)?);
        } else if path.extension().is_some_and(|end| end == "rule") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn trees() -> Done {
    let digest = Digest::of(b"content");
    let directory = Directory {
        files: vec![FileNode {
            name: "a".into(),
            digest,
            is_executable: true,
        }],
        directories: vec![DirectoryNode {
            name: "b".into(),
            digest,
        }],
        symlinks: vec![SymlinkNode {
            name: "c".into(),
            target: "../a".into(),
        }],
    };
    seed("store_directory", "one-of-each", directory.encode()?)?;
    seed("store_directory", "empty", Directory::default().encode()?)
}

fn containers() -> Done {
    let mut packer = Packer::new(Vec::new(), 1_700_000_000)?;
    packer.directory("usr")?;
    packer.file("usr/a", 7, true, &b"content"[..])?;
    packer.symlink("usr/b", "a")?;
    let packed = packer.finish()?;
    let archive = zstd::decode_all(packed.as_slice())?;
    seed("tar", "archive", &archive)?;

    let mut package = b"!<arch>\n".to_vec();
    for (name, content) in [
        ("debian-binary", &b"2.0\n"[..]),
        ("control.tar.zst", &packed),
        ("data.tar.zst", &packed),
    ] {
        let header = format!(
            "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
            0,
            0,
            0,
            100_644,
            content.len()
        );
        package.extend_from_slice(header.as_bytes());
        package.extend_from_slice(content);
        if content.len() % 2 == 1 {
            package.push(b'\n');
        }
    }
    seed("deb", "zst", package)
}

fn debian() -> Done {
    let binary = format!(
        "Package: hello\nVersion: 2.10-3\nArchitecture: amd64\n\
         Depends: libc6 (>= 2.34) | a, b:any (<< 1:2~)\nProvides: a (= 1), c\n\
         Filename: pool/main/h/hello/hello_2.10-3_amd64.deb\nSize: 1\nSHA256: {DIGEST}\n"
    );
    seed("debian_packages", "one", &binary)?;
    seed(
        "debian_packages",
        "two",
        format!("{binary}\n{}", binary.replace("hello", "libc6")),
    )?;
    seed("debian_control", "one", &binary)?;
    seed(
        "debian_relation",
        "one",
        "libc6 (>= 2.34) | a, b:any (<< 1:2~)",
    )?;
    let checksums = format!("Checksums-Sha256:\n {DIGEST} 1 hello_2.10-3.dsc\n");
    seed(
        "debian_sources",
        "one",
        format!("Package: hello\nVersion: 2.10-3\nDirectory: pool/main/h/hello\n{checksums}"),
    )?;
    seed(
        "debian_release",
        "one",
        format!(
            "Origin: Debian\nSuite: oldstable\nCodename: bookworm\n\
             Date: Sat, 07 Oct 2023 09:34:31 UTC\nAcquire-By-Hash: yes\nSHA256:\n \
             {DIGEST} 1 main/binary-amd64/Packages.xz\n"
        ),
    )?;
    seed(
        "debian_signature",
        "frame",
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\na\n\
         -----BEGIN PGP SIGNATURE-----\n\niQ==\n=aaaa\n-----END PGP SIGNATURE-----\n",
    )?;
    seed(
        "apt_configuration",
        "both",
        "deb [signed-by=/a.gpg] http://mirror.example/debian bookworm main\n\
         Types: deb deb-src\nURIs: http://mirror.example/debian\nSuites: bookworm\n\
         Components: main\nSigned-By: /a.gpg\n",
    )
}

fn descriptions() -> Done {
    let step = |name: &str| Step {
        name: name.into(),
        argv: vec!["make".into(), "all".into()],
        environment: BTreeMap::from([("CC".into(), "gcc".into())]),
        working_directory: "/build".into(),
        host: VirtualHost::standard(1_700_000_000, [7; 32]),
    };
    let output = |from: &str, kind, to: &str| Output {
        from: from.into(),
        kind,
        to: to.into(),
    };
    let description = Description {
        format: FORMAT,
        root: "root".into(),
        output_directory: "out".into(),
        source_date_epoch: 1_700_000_000,
        limits: Limits::default(),
        waived: BTreeSet::from([Guarantee::ProcessLimit]),
        steps: vec![step("build"), step("pack")],
        outputs: vec![
            output("build/a", Kind::File, "a"),
            output("build/tree", Kind::Tree, "b/tree"),
            output("tmp/tree", Kind::TarZst, "b/a.tar.zst"),
        ],
    };
    seed("description", "one-of-each", description.to_bytes()?)?;
    let small = Description {
        waived: BTreeSet::new(),
        steps: vec![step("build")],
        outputs: Vec::new(),
        ..description
    };
    seed("description", "small", small.to_bytes()?)
}

fn configuration() -> Done {
    seed(
        "trust",
        "example",
        include_str!("../../crates/verify/tests/data/trust.toml"),
    )?;
    seed(
        "purl",
        "debian",
        "pkg:deb/debian/hello@2.10-3?arch=amd64&distro=bookworm",
    )?;
    seed("purl", "path", "pool/main/h/hello/hello_2.10-3_amd64.deb")?;
    for (name, text) in [
        (
            "closure",
            "kind = \"debian-packages\"\nsuite = \"bookworm\"\npackages = [\"gcc\"]\n",
        ),
        (
            "source",
            "kind = \"debian-source\"\nsuite = \"bookworm\"\npackage = \"hello\"\n",
        ),
        ("directory", "kind = \"directory\"\nlocation = \"rules\"\n"),
    ] {
        seed("input_spec", name, text)?;
    }
    // Recipes and locks that are really used.
    let products = Path::new(env!("CARGO_MANIFEST_DIR")).join("../products");
    for product in fs::read_dir(products)? {
        let product = product?;
        let name = product.file_name().to_string_lossy().into_owned();
        let recipe = fs::read_to_string(product.path().join("assembly.toml"))?;
        // The rule database is locked by whoever assembles it.
        let lock = fs::read_to_string(product.path().join("assembly.lock")).unwrap_or_default();
        seed("recipe", &name, &recipe)?;
        seed(
            "recipe",
            &format!("{name}-locked"),
            format!("{recipe}\n---\n{lock}"),
        )?;
        seed("lock", &name, &lock)?;
    }
    seed(
        "lock",
        "example",
        format!(
            "format = 1\n\n[[input]]\nname = \"a\"\nkind = \"file\"\n\n[[input.item]]\n\
             purl = \"pkg:generic/a\"\nsha256 = \"{DIGEST}\"\nsize = 1\npath = \"a\"\n"
        ),
    )
}
