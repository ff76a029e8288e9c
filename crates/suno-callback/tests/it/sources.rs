//! Rules about the source of this crate that no lint checks.

use std::path::{Path, PathBuf};

/// Every Rust file in a folder, with its text.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found
}

/// Which branch wins must not be left to chance: a failure could not be repeated, and an order that
/// matters would hold only sometimes.
#[test]
fn every_select_states_the_order_of_its_branches() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut selects = 0;
    for (path, text) in sources(&folder) {
        for (at, _) in text.match_indices("select!") {
            let line = text[..at].lines().count();
            let body = text[at..].split_once('{').unwrap().1;
            let is_biased = body.trim_start().starts_with("biased;");
            assert!(is_biased, "{}:{line} has no `biased;`", path.display());
            selects += 1;
        }
    }
    assert!(selects > 5, "the search finds nothing: {selects}");
}
