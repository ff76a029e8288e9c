//! Files that cannot be used are refused with an error that says why.

use std::fs;

use suno_callback::StoreErrorKind;
use suno_store_sqlite::SqliteStore;

#[test]
fn a_file_of_a_newer_version_is_refused_and_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("suno.db");
    drop(SqliteStore::open(&path).unwrap());
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.pragma_update(None, "user_version", 99).unwrap();
    drop(raw);

    let err = SqliteStore::open(&path).unwrap_err();
    assert_eq!(err.kind(), StoreErrorKind::NewerVersion);
    let raw = rusqlite::Connection::open(&path).unwrap();
    let version = raw.pragma_query_value(None, "user_version", |row| row.get::<_, i32>(0));
    assert_eq!(version.unwrap(), 99);
}

#[test]
fn a_database_of_another_program_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("other.db");
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute_batch("CREATE TABLE theirs (id INTEGER)")
        .unwrap();
    drop(raw);
    let err = SqliteStore::open(&path).unwrap_err();
    assert_eq!(err.kind(), StoreErrorKind::Corrupt);
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.txt");
    fs::write(&path, "x".repeat(4_096)).unwrap();
    let err = SqliteStore::open(&path).unwrap_err();
    assert_eq!(err.kind(), StoreErrorKind::Corrupt);
}

#[test]
fn a_folder_that_does_not_exist_is_an_error_that_can_be_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let err = SqliteStore::open(dir.path().join("none/suno.db")).unwrap_err();
    assert_eq!(err.kind(), StoreErrorKind::Unavailable);
}
