//! The bodies of the cases in `fixtures/`.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

/// The body of every case in these folders.
pub(crate) fn bodies(folders: &[&str]) -> Vec<Vec<u8>> {
    let bodies: Vec<_> = folders
        .iter()
        .flat_map(|folder| cases(folder))
        .map(body)
        .collect();
    assert!(!bodies.is_empty(), "no case in {folders:?}");
    bodies
}

fn cases(folder: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let entries = fs::read_dir(root.join(folder)).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn body(path: PathBuf) -> Vec<u8> {
    let case: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let body = &case["input"]["body"];
    match (body["text"].as_str(), body["base64"].as_str()) {
        (Some(text), _) => text.as_bytes().to_vec(),
        (None, Some(text)) => BASE64_STANDARD.decode(text).unwrap(),
        (None, None) => panic!("a case without a body"),
    }
}
