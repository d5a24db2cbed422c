//! The arguments, as clap takes them. Deliberately absent: what follows from them.

use std::path::PathBuf;

use counterseal_attestation::UnixSeconds;

/// Check that files are what was assembled, recorded and replayed.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXIT_CODES)]
pub struct VerifyArgs {
    /// Files to verify; evidence is looked for beside each, as FILE.sigstore.jsonl
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,

    /// Use this evidence for every file, and look for none beside them
    #[arg(long, value_name = "EVIDENCE")]
    pub evidence: Option<PathBuf>,

    /// Whose signatures count [default: what `COUNTERSEAL_TRUST` names, else
    /// counterseal/trust.toml in the user's configuration directory]
    #[arg(long, value_name = "TRUST")]
    pub trust: Option<PathBuf>,

    /// Print one JSON document on standard output instead of text
    #[arg(long)]
    pub json: bool,

    /// Judge as of this time, for example 2027-06-30T00:00:00Z [default: this machine's clock]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub now: Option<UnixSeconds>,

    /// Print which line of the evidence each check is about, and which lines were set aside
    #[arg(short, long)]
    pub verbose: bool,
}

const EXIT_CODES: &str = "\
Exit codes:
  0   every file is verified
  1   checked, and false
  2   usage, a file that cannot be read, or a result that cannot be written
  3   no conclusion: no evidence, an expired trust file, a check that could not be made
  70  a fault in this program
With several files the worst decides, in the order 70, 1, 2, 3, 0.";

fn parse_time(text: &str) -> Result<UnixSeconds, String> {
    UnixSeconds::parse_rfc3339(text).map_err(|error| error.to_string())
}
