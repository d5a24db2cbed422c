//! A recipe bound to the lock that pins its inputs.

use counterseal_inputs::{InputSpec, Lock};

use crate::error::AssemblyError;
use crate::recipe::Recipe;

/// File name of the lock, always beside the recipe.
pub const LOCK_NAME: &str = "assembly.lock";

/// Recipe and lock, checked against each other, with the texts they were read from.
///
/// The texts travel inside the provenance, so that a replay starts from exactly these bytes.
#[derive(Debug, Clone)]
pub struct Assembly {
    /// The parsed recipe.
    pub recipe: Recipe,
    /// File name of the recipe.
    pub recipe_name: String,
    /// The recipe as it was read.
    pub recipe_text: String,
    /// The parsed lock.
    pub lock: Lock,
    /// The lock as it was read.
    pub lock_text: String,
}

impl Assembly {
    /// Reads recipe and lock and checks that the lock pins what the recipe declares, all of it
    /// and nothing else.
    ///
    /// # Errors
    /// [`AssemblyError::Recipe`], [`AssemblyError::Lock`] or [`AssemblyError::LockMismatch`].
    pub fn parse(
        recipe_name: &str,
        recipe_text: &str,
        lock_text: &str,
    ) -> Result<Self, AssemblyError> {
        let recipe = Recipe::parse(recipe_text)?;
        let lock = Lock::parse(lock_text)?;
        lock.check_against(&declared(&recipe))?;
        Ok(Self {
            recipe,
            recipe_name: recipe_name.to_owned(),
            recipe_text: recipe_text.to_owned(),
            lock,
            lock_text: lock_text.to_owned(),
        })
    }
}

/// The recipe's inputs as names and specifications: what there is to be resolved.
pub fn declared(recipe: &Recipe) -> Vec<(String, InputSpec)> {
    recipe
        .inputs
        .iter()
        .map(|input| (input.name.clone(), input.spec.clone()))
        .collect()
}
