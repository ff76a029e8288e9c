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
fn a_file_from_before_the_first_release_is_refused_and_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("suno.db");
    drop(SqliteStore::open(&path).unwrap());
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.pragma_update(None, "user_version", 2).unwrap();
    drop(raw);
    let before = fs::read(&path).unwrap();
    let err = SqliteStore::open(&path).unwrap_err();
    assert_eq!(err.kind(), StoreErrorKind::Corrupt);
    let cause = std::error::Error::source(&err).unwrap().to_string();
    assert!(cause.contains("begin with a new file"), "{cause}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[cfg(unix)]
#[test]
fn a_new_file_can_be_read_by_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("suno.db");
    let store = SqliteStore::open(&path).unwrap();
    for name in ["suno.db", "suno.db-wal"] {
        let mode = fs::metadata(dir.path().join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    drop(store);
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

#[test]
fn what_is_no_file_is_refused_since_nothing_in_it_would_last() {
    let err = SqliteStore::open(":memory:").unwrap_err();
    assert_eq!(err.kind(), StoreErrorKind::Unavailable);
    assert!(!fs::exists(":memory:").unwrap(), "a file was left behind");
}

#[cfg(unix)]
#[test]
fn what_may_not_be_written_is_refused_at_the_start() {
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("suno.db");
    drop(SqliteStore::open(&path).unwrap());
    let set = |path: &std::path::Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let refused = |path: &std::path::Path| SqliteStore::open(path).unwrap_err().kind();
    set(&path, 0o400);
    if fs::OpenOptions::new().append(true).open(&path).is_ok() {
        let skipped = "skipped: permissions do not bind this user";
        return writeln!(std::io::stderr(), "{skipped}").unwrap();
    }
    assert_eq!(refused(&path), StoreErrorKind::ReadOnly);
    set(&path, 0o000);
    assert_eq!(refused(&path), StoreErrorKind::ReadOnly);
    set(&path, 0o600);
    set(dir.path(), 0o500);
    assert_eq!(refused(&path), StoreErrorKind::ReadOnly);
    assert_eq!(
        refused(&dir.path().join("new.db")),
        StoreErrorKind::ReadOnly
    );
    set(dir.path(), 0o700);
    drop(SqliteStore::open(&path).unwrap());
}
