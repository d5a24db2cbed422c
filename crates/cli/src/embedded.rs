//! The products that the demonstration assembles, carried inside the program.
//!
//! A test holds the lists against the folders below `products/`.

use std::path::Path;

use counterseal_static_programs::RULEC;

use crate::error::CommandError;
use crate::output;

/// One file of a product: path below the product's directory, content.
pub(crate) type ProductFile = (&'static str, &'static str);

macro_rules! product {
    ($folder:literal, [$($path:literal),+ $(,)?]) => {
        &[$(($path, include_str!(concat!("../../../products/", $folder, "/", $path)))),+]
    };
}

/// GNU hello out of Debian's source package.
pub(crate) const HELLO: &[ProductFile] =
    product!("hello", ["README.md", "assembly.lock", "assembly.toml"]);

/// The rule database.
pub(crate) const RULES: &[ProductFile] = product!(
    "rules",
    [
        "README.md",
        "assembly.toml",
        "rules/droppers.rule",
        "rules/network/command-and-control.rule",
        "rules/network/phishing.rule",
        "rules/persistence.rule",
        "rules/ransomware.rule",
        "rules/test-files.rule",
    ]
);

/// Writes a product's files into `directory`.
pub(crate) fn write(files: &[ProductFile], directory: &Path) -> Result<(), CommandError> {
    for (path, content) in files {
        let path = directory.join(path);
        if let Some(parent) = path.parent() {
            output::directory(parent)?;
        }
        output::replace_bytes(&path, content.as_bytes())?;
    }
    Ok(())
}

/// Writes the static rule compiler.
pub(crate) fn write_rule_compiler(path: &Path) -> Result<(), CommandError> {
    use std::io::Write;
    output::replace(path, 0o755, |file| file.write_all(RULEC))
}

#[cfg(test)]
mod tests {
    use super::{HELLO, ProductFile, RULES};

    fn holds_folder(folder: &str, files: &[ProductFile]) {
        fn list(directory: &std::path::Path, prefix: &str, found: &mut Vec<String>) {
            for entry in std::fs::read_dir(directory).unwrap() {
                let entry = entry.unwrap();
                let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
                if entry.file_type().unwrap().is_dir() {
                    list(&entry.path(), &format!("{name}/"), found);
                } else {
                    found.push(name);
                }
            }
        }
        let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../products")
            .join(folder);
        let mut found = Vec::new();
        list(&directory, "", &mut found);
        // Made by people who try the product in place, and ignored by git.
        let ignored = |name: &str| {
            matches!(name, "rulec" | ".gitignore")
                || name.starts_with("out/")
                || (folder == "rules" && name == "assembly.lock")
        };
        found.retain(|name| !ignored(name));
        found.sort();
        let embedded: Vec<&str> = files.iter().map(|(path, _)| *path).collect();
        assert_eq!(embedded, found);
    }

    #[test]
    fn every_file_of_the_products_is_embedded() {
        holds_folder("hello", HELLO);
        holds_folder("rules", RULES);
    }
}
