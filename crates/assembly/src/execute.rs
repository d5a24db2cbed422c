//! Runs a prepared assembly and takes its outputs.
//!
//! A result is taken from the cache only under the digest of the last action, which covers the
//! root, every step, every limit and every declared output, and only if the earlier run kept every
//! guarantee that is not given up now. A replay never asks the cache.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::OnceLock;

use counterseal_attestation::provenance::{GuaranteeState, IsolationState};
use counterseal_attestation::{UnixSeconds, json};
use counterseal_launcher::Description;
use counterseal_sandbox::{Guarantee, Isolation, Outcome, Premises, Scratch};
use counterseal_store::{ACTION_RESULT_BYTES_MAX, Digest, Store};
use serde::{Deserialize, Serialize};

use crate::assembly::Assembly;
use crate::describe::describe;
use crate::error::AssemblyError;
use crate::opened::{Opened, Resolver};
use crate::outputs::{Finished, collect};
use crate::prepare::{PlannedAction, Prepared};
use crate::recipe::Host;

/// How much of a failed step's standard error, or of its standard output if it wrote no error,
/// its message repeats, in bytes.
const TAIL_BYTES: u64 = 2048;
/// Bound on a cached result; one that is larger is not cached.
const RESULT_LIMITS: json::Limits = json::Limits {
    bytes_max: ACTION_RESULT_BYTES_MAX,
    depth_max: 16,
};

/// Whether a result of an earlier run may stand for this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CachePolicy {
    /// Take a cached result if there is one, and cache this one.
    Use,
    /// Neither ask the cache nor write to it: what a replay does.
    Ignore,
}

/// How to run.
#[derive(Debug, Clone)]
pub struct ExecuteOptions {
    /// Whether a cached result will do.
    pub cache: CachePolicy,
    /// Guarantees that the user gave up by name.
    pub waived: BTreeSet<Guarantee>,
}

/// One captured stream of one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// Name of the step.
    pub step: String,
    /// `stdout` or `stderr`.
    pub stream: String,
    /// The captured bytes, in the store.
    pub digest: Digest,
}

/// What came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assembled {
    /// Finished artifacts, in the order of the recipe.
    pub outputs: Vec<Finished>,
    /// Standard output and error of each step.
    pub logs: Vec<Log>,
    /// For each guarantee the weakest state over all steps.
    pub isolation: BTreeMap<String, GuaranteeState>,
    /// What any step opened of the inputs.
    pub opened: Opened,
    /// Whether this was taken from the cache; never stored.
    #[serde(skip)]
    pub cached: bool,
}

/// Runs `prepared` and returns its outputs; `on_step` is told of each step as it starts.
///
/// # Errors
/// A guarantee that cannot be enforced, a step that fails or breaks a limit, an output that is
/// missing or refused. Nothing is cached then.
pub fn execute(
    assembly: &Assembly,
    prepared: &Prepared,
    store: &Store,
    options: &ExecuteOptions,
    on_step: &mut dyn FnMut(&str),
) -> Result<Assembled, AssemblyError> {
    let key = prepared.action();
    if options.cache == CachePolicy::Use
        && let Some(cached) = cached(&key, &assembly.recipe.host, store, &options.waived)?
    {
        return Ok(cached);
    }
    let description = describe(assembly, prepared, &options.waived, &BTreeSet::new());
    let job = Job {
        assembly,
        prepared,
        store,
        description: &description,
        premises: &Premises::new(),
    };
    let assembled = job.run(on_step)?;
    if options.cache == CachePolicy::Use {
        remember(&key, &assembled, store, RESULT_LIMITS.bytes_max)?;
    }
    Ok(assembled)
}

/// Caches a result. One that is larger than what is read back is as good, and made again the next
/// time.
fn remember(
    action: &Digest,
    assembled: &Assembled,
    store: &Store,
    bytes_max: usize,
) -> Result<(), AssemblyError> {
    let Ok(result) = json::canonical(assembled) else {
        return Ok(());
    };
    if result.len() > bytes_max {
        return Ok(());
    }
    let outputs = assembled.outputs.iter().map(|output| output.digest);
    let logs = assembled.logs.iter().map(|log| log.digest);
    let references: Vec<Digest> = outputs.chain(logs).collect();
    Ok(store.put_action_result(action, &result, &references)?)
}

/// The result of an earlier run, if it will do: one that another version of this program wrote, or
/// that lacks a guarantee which is not waived, is made again.
fn cached(
    action: &Digest,
    host: &Host,
    store: &Store,
    waived: &BTreeSet<Guarantee>,
) -> Result<Option<Assembled>, AssemblyError> {
    let Some(result) = store.action_result(action)? else {
        return Ok(None);
    };
    let Ok(assembled) = json::parse::<Assembled>(&result, RESULT_LIMITS) else {
        return Ok(None);
    };
    // One that says nothing of a guarantee is of a program that did not know it.
    let will_do = Guarantee::ALL.into_iter().all(|guarantee| {
        let found = assembled.isolation.get(guarantee.name());
        found.is_some_and(|found| {
            found.state == IsolationState::Enforced
                || !guarantee.is_offered()
                || host.is_given_up(guarantee)
                || waived.contains(&guarantee)
        })
    });
    Ok(will_do.then_some(Assembled {
        cached: true,
        ..assembled
    }))
}

/// The steps of an assembly, as they are to be run. The cache has no part in it.
pub(crate) struct Job<'a> {
    pub(crate) assembly: &'a Assembly,
    pub(crate) prepared: &'a Prepared,
    pub(crate) store: &'a Store,
    pub(crate) description: &'a Description,
    /// Where; it may be done there more than once.
    pub(crate) premises: &'a Premises,
}

impl Job<'_> {
    /// Runs every step, and takes the outputs.
    pub(crate) fn run(&self, on_step: &mut dyn FnMut(&str)) -> Result<Assembled, AssemblyError> {
        let epoch = UnixSeconds(self.assembly.recipe.product.source_date_epoch);
        let (store, root) = (self.store, &self.prepared.root);
        if let Some(first) = self.description.steps.first() {
            self.premises.prepare(&first.host);
        }
        // The root on disk is read while the steps run. What they made in one that is not what it
        // should be is thrown away, whatever came of it, and made in a new one.
        let unread = store.checkout_unread(root, epoch)?;
        let is_sound = OnceLock::new();
        let first = std::thread::scope(|scope| {
            scope.spawn(|| is_sound.set(unread.is_its_tree()));
            self.run_in(unread.path(), &is_sound, on_step)
        });
        if is_sound.get() == Some(&true) {
            return first;
        }
        drop(unread);
        let checkout = store.checkout(root, epoch)?;
        self.run_in(checkout.path(), &OnceLock::from(true), on_step)
    }

    /// Runs every step in a root; stops early if that turns out not to be sound.
    fn run_in(
        &self,
        root: &Path,
        is_sound: &OnceLock<bool>,
        on_step: &mut dyn FnMut(&str),
    ) -> Result<Assembled, AssemblyError> {
        let Self {
            prepared,
            store,
            description,
            ..
        } = *self;
        let recipe = &self.assembly.recipe;
        let epoch = recipe.product.source_date_epoch;
        let log_directory = store.work_directory()?;
        let mut scratch = Scratch::within(self.premises);
        let mut assembled = Assembled {
            outputs: Vec::new(),
            logs: Vec::new(),
            isolation: BTreeMap::new(),
            opened: Opened::default(),
            cached: false,
        };
        let mut resolver = Resolver::new(store, prepared.root);
        for (index, (planned, step)) in prepared.actions.iter().zip(&description.steps).enumerate()
        {
            if is_sound.get() == Some(&false) {
                break; // Nobody will look at this.
            }
            on_step(&planned.step.name);
            let action = description.action(step, root);
            // One directory a step: the sandbox names the captured streams itself.
            let step_logs = log_directory.path().join(index.to_string());
            std::fs::create_dir(&step_logs)
                .map_err(|source| io("create", "directory for logs", source))?;
            let outcome =
                counterseal_sandbox::run(&action, &mut scratch, &step_logs).map_err(|source| {
                    AssemblyError::Sandbox {
                        step: planned.step.name.clone(),
                        source,
                        // What cannot be read is not worth another error than this one.
                        tail: ["stderr.log", "stdout.log"]
                            .iter()
                            .filter_map(|name| tail(&step_logs.join(name)).ok())
                            .find(|tail| !tail.is_empty())
                            .unwrap_or_default(),
                    }
                })?;
            take_outcome(planned, &outcome, store, &mut assembled)?;
            let left = outputs(&scratch)?;
            resolver.add(&outcome.opened, left.as_fd(), &mut assembled.opened)?;
        }
        let scratch_top = outputs(&scratch)?;
        for output in &recipe.outputs {
            assembled
                .outputs
                .push(collect(output, scratch_top.as_fd(), epoch, store)?);
        }
        Ok(assembled)
    }
}

fn outputs(scratch: &Scratch) -> Result<OwnedFd, AssemblyError> {
    scratch.outputs().map_err(|source| AssemblyError::Sandbox {
        step: "outputs".to_owned(),
        source,
        tail: String::new(),
    })
}

fn take_outcome(
    planned: &PlannedAction,
    outcome: &Outcome,
    store: &Store,
    assembled: &mut Assembled,
) -> Result<(), AssemblyError> {
    for (stream, captured) in [("stdout", &outcome.stdout), ("stderr", &outcome.stderr)] {
        let digest = Digest {
            hash: captured.sha256,
            size_bytes: captured.size_bytes,
        };
        let file = open(&captured.path)?;
        store.put_verified(file, &digest)?;
        assembled.logs.push(Log {
            step: planned.step.name.clone(),
            stream: stream.to_owned(),
            digest,
        });
    }
    weaken(&mut assembled.isolation, &outcome.isolation);
    if outcome.exit.is_success() {
        return Ok(());
    }
    Err(AssemblyError::StepFailed {
        step: planned.step.name.clone(),
        exit: outcome.exit.to_string(),
        tail: match outcome.stderr.size_bytes {
            0 => tail(&outcome.stdout.path)?,
            _ => tail(&outcome.stderr.path)?,
        },
    })
}

/// Lowers each guarantee to what this step had, if that is less.
fn weaken(manifest: &mut BTreeMap<String, GuaranteeState>, isolation: &Isolation) {
    for (guarantee, (state, mechanism)) in isolation {
        let found = GuaranteeState {
            state: (*state).into(),
            mechanism: mechanism.clone(),
        };
        let entry = manifest
            .entry(guarantee.name().to_owned())
            .or_insert_with(|| found.clone());
        // The states are declared from strongest to weakest.
        if found.state > entry.state {
            *entry = found;
        }
    }
}

/// The end of a captured stream, as text that a terminal may show.
fn tail(path: &Path) -> Result<String, AssemblyError> {
    let mut file = open(path)?;
    let mut bytes = Vec::new();
    file.metadata()
        .map(|metadata| metadata.len().saturating_sub(TAIL_BYTES))
        .and_then(|start| file.seek(SeekFrom::Start(start)))
        .and_then(|_| file.take(TAIL_BYTES).read_to_end(&mut bytes))
        .map_err(|source| io("read", &path.display().to_string(), source))?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text
        .chars()
        .filter(|c| *c == '\n' || !c.is_control())
        .collect())
}

fn open(path: &Path) -> Result<std::fs::File, AssemblyError> {
    std::fs::File::open(path).map_err(|source| io("open", &path.display().to_string(), source))
}

fn io(action: &'static str, path: &str, source: std::io::Error) -> AssemblyError {
    AssemblyError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::RecipeRandomness;

    /// Answers what the cache makes of a result, with these guarantees given up by the user; the
    /// recipe gives up randomness.
    fn with_cache(test: impl Fn(&dyn Fn(&[u8], &[Guarantee]) -> Option<Assembled>)) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::create(&directory.path().join("store")).unwrap();
        let action = Digest::of(b"action");
        test(&|result, waived| {
            store.put_action_result(&action, result, &[]).unwrap();
            let waived = waived.iter().copied().collect();
            let host = Host {
                randomness: RecipeRandomness::Real,
                ..Host::default()
            };
            cached(&action, &host, &store, &waived).unwrap()
        });
    }

    /// A result of a run with the network in `state`.
    fn result(state: IsolationState) -> Vec<u8> {
        let found = |state| GuaranteeState {
            state,
            mechanism: "a mechanism".to_owned(),
        };
        let isolation = Guarantee::ALL.into_iter().map(|guarantee| {
            let state = match guarantee {
                Guarantee::Network => state,
                Guarantee::Randomness => IsolationState::Absent,
                _ if !guarantee.is_offered() => IsolationState::Absent,
                _ => IsolationState::Enforced,
            };
            (guarantee.to_string(), found(state))
        });
        let isolation = isolation.collect();
        let assembled = Assembled {
            outputs: Vec::new(),
            logs: Vec::new(),
            isolation,
            opened: Opened::default(),
            cached: false,
        };
        json::canonical(&assembled).unwrap()
    }

    #[test]
    fn a_guarantee_given_up_once_is_not_given_up_for_good() {
        with_cache(|answer| {
            let kept = answer(&result(IsolationState::Enforced), &[]);
            assert!(kept.is_some_and(|found| found.cached));
            for state in [IsolationState::Degraded, IsolationState::Absent] {
                let result = result(state);
                assert_eq!(answer(&result, &[]), None);
                assert_eq!(answer(&result, &[Guarantee::Seccomp]), None);
                assert!(answer(&result, &[Guarantee::Network]).is_some());
            }
        });
    }

    #[test]
    fn what_another_version_wrote_is_made_again() {
        with_cache(|answer| {
            assert_eq!(answer(b"{\"outputs\":[]}", &[]), None);
            // It did not know of one guarantee, and says nothing of it.
            let sound = result(IsolationState::Enforced);
            for guarantee in Guarantee::ALL {
                let mut result: Assembled = json::parse(&sound, RESULT_LIMITS).unwrap();
                result.isolation.remove(guarantee.name());
                let result = json::canonical(&result).unwrap();
                assert_eq!(answer(&result, &[]), None, "{guarantee}");
            }
        });
    }

    #[test]
    fn a_result_that_is_too_large_to_be_cached_is_no_failure() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::create(&directory.path().join("store")).unwrap();
        let sound = result(IsolationState::Enforced);
        let mut assembled: Assembled = json::parse(&sound, RESULT_LIMITS).unwrap();
        let action = Digest::of(b"action");
        remember(&action, &assembled, &store, sound.len()).unwrap();
        assert_eq!(store.action_result(&action).unwrap(), Some(sound.clone()));
        let action = Digest::of(b"another");
        assembled.opened.links.insert("x".to_owned());
        remember(&action, &assembled, &store, sound.len()).unwrap();
        assert_eq!(store.action_result(&action).unwrap(), None);
    }
}
