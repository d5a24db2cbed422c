//! A recipe, as a stranger's provenance carries it to whoever replays it. The input is recipe and
//! lock, with a line of `---` between them.
#![no_main]

use std::collections::BTreeSet;

use counterseal_assembly::{Assembly, Recipe, declared};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (recipe, lock) = text.split_once("\n---\n").unwrap_or((text, ""));
    let Ok(parsed) = Recipe::parse(recipe) else {
        return;
    };
    let inputs = declared(&parsed);
    let names: BTreeSet<_> = inputs.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), inputs.len(), "names of inputs are unique");
    for output in &parsed.outputs {
        let path = output.path.as_str();
        assert!(!path.split('/').any(|part| part == ".."), "{path}");
    }
    if let Ok(assembly) = Assembly::parse("assembly.toml", recipe, lock) {
        assert_eq!(assembly.recipe_text, recipe);
    }
});
