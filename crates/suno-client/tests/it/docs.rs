//! The examples of the documentation.

use std::path::Path;

/// A program that has only this crate as a dependency can use every example.
#[test]
fn the_examples_name_no_other_crate() {
    let mut used = 0;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (file, text) in crate::fixtures::rust_files(&source) {
        for line in text.lines().map(str::trim_start) {
            let Some(example) = ["/// ", "//! "]
                .iter()
                .find_map(|mark| line.strip_prefix(mark))
            else {
                continue;
            };
            let example = example.strip_prefix("# ").unwrap_or(example);
            if let Some(path) = example.strip_prefix("use ") {
                let is_ours = path.starts_with("suno_client::") || path.starts_with("std::");
                assert!(is_ours || !path.ends_with(';'), "{file}: {line}");
                used += 1;
            }
            let others = example.replace("suno_client::suno_types::", "");
            assert!(!others.contains("suno_types::"), "{file}: {line}");
        }
    }
    assert!(used > 5, "only {used} lines of examples were found");
}
