//! The corpus of the fuzz targets, run as ordinary tests.

use std::fs;
use std::path::Path;

use crate::laws;

/// Runs every file of a target's corpus; returns how many there were.
fn run(target: &str, check: fn(&[u8])) -> usize {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let files = fs::read_dir(corpus)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    files.map(|path| check(&fs::read(path).unwrap())).count()
}

#[test]
fn the_corpus_of_decode_keeps_the_law() {
    assert!(run("decode", laws::check_decode) > 0);
}

#[test]
fn the_corpus_of_verify_keeps_the_law() {
    assert!(run("verify", laws::check_verify) > 0);
}
