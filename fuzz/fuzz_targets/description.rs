//! A description of an action, as it reaches the launcher on another machine: what is read is written
//! as text that reads the same, and no path of it leaves its place.
#![no_main]

use counterseal_launcher::Description;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(description) = Description::parse(bytes) else {
        return;
    };
    let written = description.to_bytes().expect("what is read can be written");
    let again = Description::parse(&written).expect("what we write is a description");
    assert_eq!(again, description);
    assert_eq!(again.to_bytes().ok(), Some(written));
    let outputs = description.outputs.iter();
    let paths = outputs.flat_map(|output| [&output.from, &output.to]);
    for path in paths.chain([&description.root, &description.output_directory]) {
        assert!(!path.starts_with('/'), "{path}");
        assert!(!path.split('/').any(|part| part == ".."), "{path}");
    }
    let names = description.steps.iter().map(|step| &step.name);
    for name in names {
        assert!(!name.is_empty() && !name.contains('/'), "{name}");
    }
});
