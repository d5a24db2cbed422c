//! The command line as types. What each verb does is in `commands/`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use counterseal_assembly::Switch;
use counterseal_sandbox::Guarantee;
use counterseal_verify_cli::VerifyArgs;

/// Assemble products with evidence, verify what you downloaded, replay what others built.
///
/// Exit codes: 0 done and true; 1 checked, or tried, and false; 2 usage, unreadable input, a result
/// that could not be written, or a machine on which it cannot be tried; 3 no conclusion; 70 internal
/// fault.
#[derive(Debug, Parser)]
#[command(
    name = "counterseal",
    version,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) verb: Verb,
    /// Read this configuration file instead of the user's
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print results only
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Run the whole chain on a real product, in a directory of its own
    Demo(DemoArgs),
    /// Resolve a recipe's inputs and pin them in assembly.lock
    Lock(RecipeArgs),
    /// Bring every pinned input into the store
    Fetch(RecipeArgs),
    /// Assemble a product, sign its provenance and record it
    Assemble(Box<AssembleArgs>),
    /// Write an assembly's steps down with all that they need, to be run elsewhere
    Export(ExportArgs),
    /// Check downloaded files against their evidence, offline
    Verify(VerifyArgs),
    /// Show what evidence says, without judging it
    Show(ShowArgs),
    /// Rebuild from provenance alone and compare bit for bit
    Replay(Box<ReplayArgs>),
    /// Make, extend and check a record
    #[command(subcommand)]
    Record(RecordVerb),
    /// Check or collect the content store
    #[command(subcommand)]
    Store(StoreVerb),
    /// Make and show signing keys
    #[command(subcommand)]
    Keys(KeysVerb),
    /// Make the trust file of verifiers, or export it for Sigstore clients
    #[command(subcommand)]
    Trust(TrustVerb),
    /// Say what this machine can enforce, and what to change if not
    Doctor(DoctorArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write manual pages into a directory
    Man {
        /// Directory, made if absent
        directory: PathBuf,
    },
}

/// Where the content store is.
#[derive(Debug, Clone, Args)]
pub(crate) struct StoreOption {
    /// Directory of the content store [default: the user's data directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
}

/// Where inputs may come from.
#[derive(Debug, Clone, Args)]
pub(crate) struct SourceOptions {
    /// Debian mirror, tried before the configured ones; repeatable
    #[arg(long = "mirror", value_name = "URL")]
    pub(crate) mirrors: Vec<String>,
    /// OpenPGP keyring that signs the suite's index
    #[arg(long, value_name = "FILE")]
    pub(crate) keyring: Option<PathBuf>,
    /// Directory written by --archive-inputs, asked before any mirror; repeatable
    #[arg(long = "input-archive", value_name = "DIR")]
    pub(crate) archives: Vec<PathBuf>,
    /// Open no network connection
    #[arg(long)]
    pub(crate) offline: bool,
}

/// Which record new evidence goes to.
#[derive(Debug, Clone, Args)]
pub(crate) struct RecordOptions {
    /// Directory of the record that evidence is added to
    #[arg(long, value_name = "DIR")]
    pub(crate) record: Option<PathBuf>,
    /// Key that signs the record's checkpoints
    #[arg(long, value_name = "FILE")]
    pub(crate) record_key: Option<PathBuf>,
}

/// Guarantees given up by name.
#[derive(Debug, Clone, Args)]
pub(crate) struct WaiveOption {
    /// Run even if this guarantee cannot be enforced; the provenance says so; repeatable
    #[arg(long = "waive", value_name = "GUARANTEE")]
    pub(crate) waived: Vec<Guarantee>,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Directory to work in; must be absent or empty
    #[arg(long, value_name = "DIR", default_value = "counterseal-demo")]
    pub(crate) directory: PathBuf,
    /// Which product: GNU hello from Debian, or the embedded rule database
    #[arg(long, value_enum)]
    pub(crate) product: Option<DemoProduct>,
    /// Debian mirror to use instead of the configured ones
    #[arg(long, value_name = "URL")]
    pub(crate) mirror: Option<String>,
    /// Open no network connection: the embedded product
    #[arg(long)]
    pub(crate) offline: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum DemoProduct {
    /// GNU hello out of Debian's source package
    Hello,
    /// The embedded rule database; needs no download
    Rules,
}

/// What every verb takes that begins with a recipe.
#[derive(Debug, Args)]
pub(crate) struct RecipeArgs {
    /// The recipe; assembly.lock stands beside it
    #[arg(default_value = "assembly.toml")]
    pub(crate) recipe: PathBuf,
    #[command(flatten)]
    pub(crate) store: StoreOption,
    #[command(flatten)]
    pub(crate) sources: SourceOptions,
}

#[derive(Debug, Args)]
pub(crate) struct AssembleArgs {
    /// Directory for artifacts and evidence
    #[arg(long, short, value_name = "DIR", default_value = "out")]
    pub(crate) output: PathBuf,
    /// Key that signs the provenance; read only after the build has ended
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// URI written into the provenance as builder.id
    #[arg(long, value_name = "URI")]
    pub(crate) builder_id: Option<String>,
    /// Also write every input into this directory, for replays without a network
    #[arg(long, value_name = "DIR")]
    pub(crate) archive_inputs: Option<PathBuf>,
    /// Run all steps even if nothing has changed
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// Then build again with these varied, or with everything that the recipe does not state, and
    /// say what the outputs depend on; exit code 1 if they differ
    #[arg(
        long,
        value_name = "SWITCH,…",
        num_args = 0..=1,
        require_equals = true,
        value_delimiter = ','
    )]
    pub(crate) vary: Option<Vec<Switch>>,
    #[command(flatten)]
    pub(crate) record: RecordOptions,
    #[command(flatten)]
    pub(crate) recipe: RecipeArgs,
    #[command(flatten)]
    pub(crate) waive: WaiveOption,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Directory for launcher, description and root; must be absent or empty
    #[arg(long, short, value_name = "DIR", default_value = "action")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) recipe: RecipeArgs,
    #[command(flatten)]
    pub(crate) waive: WaiveOption,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// An artifact with evidence beside it, or an evidence file
    pub(crate) file: PathBuf,
    /// List the declared inputs instead, with how many files of each the build opened
    #[arg(long)]
    pub(crate) inputs: bool,
    /// Print the decoded statements as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// Evidence file (NAME.sigstore.jsonl), or the artifact that it stands beside
    pub(crate) bundle: PathBuf,
    /// Refuse to replay unless this trust file accepts the provenance
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: Option<PathBuf>,
    /// Sign the verdict with this key, record it and append it to the evidence
    #[arg(long, value_name = "KEY")]
    pub(crate) sign: Option<PathBuf>,
    /// URI written into the verdict as the replayer's identity
    #[arg(long, value_name = "URI")]
    pub(crate) auditor_id: Option<String>,
    /// Keep the rebuilt artifacts in this directory
    #[arg(long, short, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) record: RecordOptions,
    #[command(flatten)]
    pub(crate) store: StoreOption,
    #[command(flatten)]
    pub(crate) sources: SourceOptions,
    #[command(flatten)]
    pub(crate) waive: WaiveOption,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RecordVerb {
    /// Make an empty record, named by its key's origin
    Init {
        /// Directory, absent or empty
        directory: PathBuf,
        /// Key that signs the record's checkpoints
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
    /// Add the envelopes of an evidence file that are not recorded yet
    Add {
        /// Directory of the record
        directory: PathBuf,
        /// Evidence file; receipts are written into it
        evidence: PathBuf,
        /// Public key (PEM) that signed an envelope; repeatable
        #[arg(long = "public-key", value_name = "FILE", required = true)]
        public_keys: Vec<PathBuf>,
        /// Key that signs the record's checkpoints
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
    /// Recompute every tile, every hash and the checkpoint's signature
    Check {
        /// Directory of the record
        directory: PathBuf,
        /// File that holds the record's verifier key (NAME.pub)
        #[arg(long, value_name = "FILE")]
        public_key: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum StoreVerb {
    /// Hash everything in the store again and report damage
    Check(StoreOption),
    /// Remove what no pin keeps
    ///
    /// For each recipe, what it was assembled from and what came out is pinned, for each version of
    /// the product the newest. To let it go, remove its file in the store's directory pins.
    Gc(StoreOption),
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysVerb {
    /// Make a key; PATH.pub beside it may be shown to anyone
    New {
        /// What the key is for
        kind: KeyKindArgument,
        /// File for the private key
        path: PathBuf,
        /// Host name of the record, for record keys
        #[arg(long, required_if_eq("kind", "record"), value_name = "HOST")]
        origin: Option<String>,
        /// Encrypt the key with a passphrase (asked for, or from the environment)
        #[arg(long)]
        passphrase: bool,
    },
    /// Print the public half of a key
    Show {
        /// File of the private key
        path: PathBuf,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum KeyKindArgument {
    /// Signs provenance and verdicts: ECDSA P-256
    Attestation,
    /// Signs a record's checkpoints: Ed25519
    Record,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TrustVerb {
    /// Write a trust file out of public keys
    New {
        /// Builder: NAME=KEY.pub; repeatable
        #[arg(long = "builder", value_name = "NAME=FILE", required = true)]
        builders: Vec<String>,
        /// builder.id that the builders may use; repeatable
        #[arg(long = "builder-id", value_name = "URI", required = true)]
        builder_ids: Vec<String>,
        /// Auditor: NAME=KEY.pub; repeatable
        #[arg(long = "auditor", value_name = "NAME=FILE")]
        auditors: Vec<String>,
        /// File with a record's verifier key; repeatable
        #[arg(long = "record", value_name = "FILE", required = true)]
        records: Vec<PathBuf>,
        /// Replays by distinct auditors that a product needs
        #[arg(long, value_name = "COUNT")]
        replays_required: Option<u32>,
        /// File to write; must not exist
        #[arg(long, short, value_name = "FILE", default_value = "trust.toml")]
        output: PathBuf,
    },
    /// Print a trusted root for Sigstore clients, with one record key
    Export {
        /// File with the record's verifier key
        #[arg(long, value_name = "FILE")]
        record: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Print the findings as JSON
    #[arg(long)]
    pub(crate) json: bool,
}
