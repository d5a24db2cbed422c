//! The command line of `rulec`, by hand: five verbs do not need a library.
//!
//! Deliberately absent: abbreviations, `--name=value`, and arguments that are not UTF-8 where a
//! name within a pack is meant.

use std::ffi::OsString;
use std::path::PathBuf;

pub(crate) const USAGE: &str = "\
usage: rulec compile --source DIR --output FILE --product-version VERSION
       rulec check DIR
       rulec show PACK ID
       rulec lookup PACK INDICATOR
       rulec scan PACK FILE
       rulec --help | --version

compile  checks the *.rule files below DIR and writes one pack; its build epoch is
         SOURCE_DATE_EPOCH
check    only checks
show     prints a rule of a pack in the text form
lookup   prints the rules that list a SHA-256 or a domain name (or a name above it)
scan     prints the rules that match the contents of a file; none is an answer, too

exit codes: 0 done, 1 the answer is no, 2 usage, unreadable or unwritable file
";

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Compile {
        source: PathBuf,
        output: PathBuf,
        product_version: String,
    },
    Check {
        source: PathBuf,
    },
    Show {
        pack: PathBuf,
        id: String,
    },
    Lookup {
        pack: PathBuf,
        indicator: String,
    },
    Scan {
        pack: PathBuf,
        file: PathBuf,
    },
    Help,
    Version,
}

/// Reads the arguments behind the program's name; the error is for people.
pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Command, String> {
    let mut arguments = arguments;
    let verb = arguments.next().ok_or("no command given")?;
    let command = match verb.to_str() {
        Some("-h" | "--help" | "help") => Command::Help,
        Some("-V" | "--version") => Command::Version,
        Some("compile") => return compile(arguments),
        Some("check") => Command::Check {
            source: value(&mut arguments, "DIR")?.into(),
        },
        Some("show") => Command::Show {
            pack: value(&mut arguments, "PACK")?.into(),
            id: text(value(&mut arguments, "ID")?)?,
        },
        Some("lookup") => Command::Lookup {
            pack: value(&mut arguments, "PACK")?.into(),
            indicator: text(value(&mut arguments, "INDICATOR")?)?,
        },
        Some("scan") => Command::Scan {
            pack: value(&mut arguments, "PACK")?.into(),
            file: value(&mut arguments, "FILE")?.into(),
        },
        _ => return Err(format!("unknown command `{}`", verb.display())),
    };
    match arguments.next() {
        None => Ok(command),
        Some(extra) => Err(format!("unexpected argument `{}`", extra.display())),
    }
}

fn compile(mut arguments: impl Iterator<Item = OsString>) -> Result<Command, String> {
    let (mut source, mut output, mut product_version) = (None, None, None);
    while let Some(flag) = arguments.next() {
        let slot = match flag.to_str() {
            Some("--source") => &mut source,
            Some("--output") => &mut output,
            Some("--product-version") => &mut product_version,
            _ => return Err(format!("unexpected argument `{}`", flag.display())),
        };
        let flag = flag.display();
        let value = arguments
            .next()
            .ok_or_else(|| format!("`{flag}` needs a value"))?;
        if slot.replace(value).is_some() {
            return Err(format!("`{flag}` is given twice"));
        }
    }
    Ok(Command::Compile {
        source: source.ok_or("`--source` is missing")?.into(),
        output: output.ok_or("`--output` is missing")?.into(),
        product_version: text(product_version.ok_or("`--product-version` is missing")?)?,
    })
}

fn value(
    arguments: &mut impl Iterator<Item = OsString>,
    name: &'static str,
) -> Result<OsString, String> {
    arguments.next().ok_or_else(|| format!("{name} is missing"))
}

fn text(value: OsString) -> Result<String, String> {
    value
        .into_string()
        .map_err(|value| format!("`{}` is not UTF-8", value.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn each_verb_is_read() {
        let compile = Command::Compile {
            source: "rules".into(),
            output: "pack".into(),
            product_version: "1".to_owned(),
        };
        assert_eq!(
            read("compile --output pack --source rules --product-version 1"),
            Ok(compile)
        );
        assert_eq!(
            read("check rules"),
            Ok(Command::Check {
                source: "rules".into()
            })
        );
        let show = Command::Show {
            pack: "pack".into(),
            id: "CS-1".to_owned(),
        };
        assert_eq!(read("show pack CS-1"), Ok(show));
        let scan = Command::Scan {
            pack: "pack".into(),
            file: "f".into(),
        };
        assert_eq!(read("scan pack f"), Ok(scan));
    }

    #[test]
    fn wrong_lines_are_refused() {
        for (line, expected) in [
            ("", "no command given"),
            ("bake", "unknown command `bake`"),
            ("check", "DIR is missing"),
            ("check a b", "unexpected argument `b`"),
            ("show pack", "ID is missing"),
            ("compile --source a", "`--output` is missing"),
            ("compile --source a --source b", "`--source` is given twice"),
            ("compile --source", "`--source` needs a value"),
            ("compile rules", "unexpected argument `rules`"),
        ] {
            assert_eq!(read(line), Err(expected.to_owned()), "{line}");
        }
    }
}
