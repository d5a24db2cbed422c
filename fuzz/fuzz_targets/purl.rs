//! Package URLs and relative paths: one spelling each; a relative path stays inside.
#![no_main]

use counterseal_inputs::{PackageUrl, RelativePath};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(url) = text.parse::<PackageUrl>() {
        assert_eq!(url.as_str(), text);
    }
    if let Ok(path) = text.parse::<RelativePath>() {
        assert_eq!(path.as_str(), text);
        assert!(!text.starts_with('/'));
        assert!(text.split('/').all(|part| !matches!(part, "" | "." | "..")));
    }
});
