//! Builds again with everything varied that the recipe does not state, and if the outputs differ says
//! which switches it takes.
//!
//! The varied builds are thrown away: they touch neither cache nor evidence. Absent on purpose:
//! comparing what is inside outputs; a byte that differs is a difference.

mod explain;
mod moved;
mod switch;

use std::collections::{BTreeMap, BTreeSet};

use counterseal_sandbox::{Guarantee, Premises};
use counterseal_store::Store;

pub use switch::{Switch, UnknownSwitch};

use crate::assembly::Assembly;
use crate::describe::describe;
use crate::error::AssemblyError;
use crate::execute::{Assembled, Job};
use crate::outputs::Finished;
use crate::prepare::Prepared;

/// What a variation found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variation {
    /// What was varied.
    pub switches: BTreeSet<Switch>,
    /// Each output of the first build, in its order.
    pub outputs: Vec<VariedOutput>,
    /// How many times the assembly was built for this.
    pub builds: usize,
}

/// One output, compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariedOutput {
    /// Its name.
    pub name: String,
    /// Independent causes of a difference; none if there is no difference.
    pub causes: Vec<Cause>,
}

/// A smallest set of switches that makes an output another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The switches; none if the output differs with nothing varied.
    pub switches: BTreeSet<Switch>,
    /// Why there was no output at all, if that is how it differs.
    pub failure: Option<String>,
}

impl Variation {
    /// Whether every output is the same, whatever was varied.
    pub fn is_identical(&self) -> bool {
        self.outputs.iter().all(|output| output.causes.is_empty())
    }
}

/// Builds `assembly` again with all `switches` turned, compares with `first`, and for each output
/// that differs looks for the smallest sets of switches that explain it. `on_build` is told which
/// switches are on in each build, as it begins.
///
/// Costs one build if nothing differs, one more for each question of the search.
///
/// # Errors
/// Faults of this machine only ([`AssemblyError::is_machine_fault`]): a varied build that fails
/// differs.
pub fn vary(
    assembly: &Assembly,
    prepared: &Prepared,
    store: &Store,
    first: &Assembled,
    switches: &BTreeSet<Switch>,
    waived: &BTreeSet<Guarantee>,
    on_build: &mut dyn FnMut(&BTreeSet<Switch>),
) -> Result<Variation, AssemblyError> {
    let mut known: BTreeMap<BTreeSet<Switch>, Result<Vec<Finished>, String>> = BTreeMap::new();
    let premises = Premises::new();
    let mut build = |on: &BTreeSet<Switch>| {
        if let Some(known) = known.get(on) {
            return Ok(known.clone());
        }
        on_build(on);
        let job = Job {
            assembly,
            prepared,
            store,
            description: &describe(assembly, prepared, waived, on),
            premises: &premises,
        };
        let built = match job.run(&mut |_| {}) {
            Ok(assembled) => Ok(assembled.outputs),
            Err(error) if error.is_machine_fault() => return Err(error),
            Err(error) => Err(error.to_string()),
        };
        known.insert(on.clone(), built.clone());
        Ok(built)
    };
    let mut outputs = Vec::new();
    for output in &first.outputs {
        let sets = explain::causes(switches, &mut |on| {
            let rebuilt = build(on)?;
            Ok::<_, AssemblyError>(!rebuilt.is_ok_and(|outputs| outputs.contains(output)))
        })?;
        let mut causes = Vec::new();
        for switches in sets {
            causes.push(Cause {
                failure: build(&switches)?.err(),
                switches,
            });
        }
        outputs.push(VariedOutput {
            name: output.name.clone(),
            causes,
        });
    }
    Ok(Variation {
        switches: switches.clone(),
        outputs,
        builds: known.len(),
    })
}
