//! The cases that are built into the library are those of the repository.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use suno_conformance::Fixtures;

/// Path and text of every file of a folder.
fn read(folder: &Path, prefix: &str, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.path().is_dir() {
            read(&entry.path(), &format!("{path}/"), files);
        } else {
            files.insert(path, fs::read(entry.path()).unwrap());
        }
    }
}

#[test]
fn the_embedded_files_are_those_of_the_folder_to_the_byte() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let mut folder = BTreeMap::new();
    read(&root, "", &mut folder);
    let embedded: BTreeMap<String, Vec<u8>> = Fixtures::embedded_files()
        .map(|(path, text)| (path.to_owned(), text.to_vec()))
        .collect();
    let (there, here): (Vec<_>, Vec<_>) = (folder.keys().collect(), embedded.keys().collect());
    assert_eq!(there, here);
    for (path, text) in &folder {
        assert!(embedded[path] == *text, "{path} differs");
    }
}

#[test]
fn the_embedded_cases_and_those_of_the_folder_have_the_same_ids() {
    let ids = |fixtures: Fixtures| -> Vec<String> {
        let cases = fixtures.load().unwrap();
        cases.into_iter().map(|loaded| loaded.id).collect()
    };
    let embedded = ids(Fixtures::Embedded);
    assert!(embedded.len() > 500, "{}", embedded.len());
    assert_eq!(embedded, ids(Fixtures::Folder(crate::scene::fixtures())));
}
