use super::*;

/// The kept state of these tests.
#[derive(Default)]
struct Nothing;

impl Memory for Nothing {
    fn forget(&mut self) {}
}

/// Writes to a file with an entry, without a thread.
fn writer(dir: &tempfile::TempDir) -> Executor<Nothing> {
    let file = OpenFile::open(&dir.path().join("suno.db"), schema::open).unwrap();
    let mut writer = Executor {
        file,
        memory: Nothing,
        queue: Some(Queue::beside(&dir.path().join("suno.db"))),
    };
    write(&mut writer, 1).unwrap();
    writer
}

fn run<T: Send + 'static>(
    writer: &mut Executor<Nothing>,
    operation: impl FnOnce(&Transaction<'_>, &mut Nothing) -> Result<T> + Send + 'static,
) -> std::result::Result<T, StoreError> {
    let (answer, mut answered) = oneshot::channel();
    let job = Operation {
        operation: Some(operation),
        result: None,
        answer,
    };
    writer.run_together(Box::new(job), || None);
    answered.try_recv().unwrap()
}

fn insert(kilobytes: usize) -> impl FnOnce(&Transaction<'_>, &mut Nothing) -> Result<()> {
    move |transaction, _| {
        transaction.execute(
            "INSERT INTO quarantine
             (strict, source, verified_by, received_at, stored_at, reason, raw)
             VALUES (randomblob(16), 0, 0, 0, 0, '', ?1)",
            [vec![0_u8; kilobytes * 1_024]],
        )?;
        Ok(())
    }
}

fn write(writer: &mut Executor<Nothing>, kilobytes: usize) -> std::result::Result<(), StoreError> {
    run(writer, insert(kilobytes))
}

/// Runs a pragma outside of any transaction.
fn pragma(writer: &mut Executor<Nothing>, sql: &str) {
    writer
        .file
        .connection()
        .unwrap()
        .0
        .execute_batch(sql)
        .unwrap();
}

#[test]
fn commits_are_synced_to_a_write_ahead_log() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(&dir);
    let settings = |transaction: &Transaction<'_>, _: &mut Nothing| {
        let synchronous =
            transaction.pragma_query_value(None, "synchronous", |row| row.get::<_, i64>(0));
        let journal =
            transaction.pragma_query_value(None, "journal_mode", |row| row.get::<_, String>(0));
        Ok((synchronous.unwrap(), journal.unwrap()))
    };
    // 2 is FULL: the log is synced at each commit.
    assert_eq!(run(&mut writer, settings).unwrap(), (2, "wal".to_owned()));
}

#[test]
fn a_transaction_has_the_right_to_write_from_its_beginning() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(&dir);
    let file = dir.path().join("suno.db");
    let begin = move |_: &Transaction<'_>, _: &mut Nothing| {
        let other = rusqlite::Connection::open(&file).unwrap();
        other.busy_timeout(std::time::Duration::ZERO).unwrap();
        Ok(other
            .execute_batch("BEGIN IMMEDIATE")
            .map_err(|err| err.sqlite_error_code()))
    };
    let begun = run(&mut writer, begin).unwrap();
    assert_eq!(begun, Err(Some(rusqlite::ErrorCode::DatabaseBusy)));
}

#[test]
fn a_full_disk_is_said_so_and_recovers_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(&dir);
    pragma(&mut writer, "PRAGMA max_page_count = 40");
    let err = write(&mut writer, 1_000).unwrap_err();
    assert_eq!(err.kind(), StoreErrorKind::Full);
    write(&mut writer, 1).unwrap();
    pragma(&mut writer, "PRAGMA max_page_count = 100000");
    write(&mut writer, 1_000).unwrap();
}

#[test]
fn a_read_only_file_is_said_so_and_recovers_when_it_can_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(&dir);
    pragma(&mut writer, "PRAGMA query_only = ON");
    let err = write(&mut writer, 1).unwrap_err();
    assert_eq!(err.kind(), StoreErrorKind::ReadOnly);
    pragma(&mut writer, "PRAGMA query_only = OFF");
    write(&mut writer, 1).unwrap();
}

#[test]
fn another_process_that_writes_for_long_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(&dir);
    pragma(&mut writer, "PRAGMA busy_timeout = 1");
    let other = rusqlite::Connection::open(dir.path().join("suno.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let err = write(&mut writer, 1).unwrap_err();
    assert_eq!(err.kind(), StoreErrorKind::Unavailable);
    other.execute_batch("ROLLBACK").unwrap();
    write(&mut writer, 1).unwrap();
}

#[cfg(unix)]
#[test]
fn a_removed_file_is_an_error_until_it_is_put_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(&dir);
    let (file, aside) = (dir.path().join("suno.db"), dir.path().join("aside.db"));
    std::fs::rename(&file, &aside).unwrap();
    let err = write(&mut writer, 1).unwrap_err();
    assert_eq!(err.kind(), StoreErrorKind::Unavailable);
    assert!(!file.exists(), "it must not be made anew");
    std::fs::rename(&aside, &file).unwrap();
    write(&mut writer, 1).unwrap();
}

#[cfg(unix)]
#[test]
fn a_damaged_file_is_said_so_and_a_backup_in_its_place_is_taken_up() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(&dir);
    let (file, backup) = (dir.path().join("suno.db"), dir.path().join("backup.db"));
    pragma(&mut writer, "PRAGMA wal_checkpoint(TRUNCATE)");
    std::fs::copy(&file, &backup).unwrap();
    let garbage = dir.path().join("garbage");
    std::fs::write(&garbage, "x".repeat(8_192)).unwrap();
    std::fs::rename(&garbage, &file).unwrap();
    let err = write(&mut writer, 1).unwrap_err();
    assert_eq!(err.kind(), StoreErrorKind::Corrupt);
    std::fs::rename(&backup, &file).unwrap();
    write(&mut writer, 1).unwrap();
    let rows = |transaction: &Transaction<'_>, _: &mut Nothing| {
        Ok(
            transaction.query_row("SELECT count(*) FROM quarantine", (), |row| {
                row.get::<_, i64>(0)
            })?,
        )
    };
    assert_eq!(run(&mut writer, rows).unwrap(), 2);
}

#[test]
fn jobs_that_wait_share_a_transaction_and_one_that_fails_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(&dir);
    let mut answers = Vec::new();
    let mut jobs: Jobs<Nothing> = Vec::new();
    for is_good in [true, false, true] {
        let (answer, answered) = oneshot::channel();
        let operation = move |transaction: &Transaction<'_>, memory: &mut Nothing| {
            insert(1)(transaction, memory)?;
            match is_good {
                true => Ok(transaction.changes()),
                false => Err(crate::error::Error::Damaged("one of them")),
            }
        };
        answers.push(answered);
        jobs.push(Box::new(Operation {
            operation: Some(operation),
            result: None,
            answer,
        }));
    }
    let mut jobs = jobs.into_iter();
    let first = jobs.next().unwrap();
    writer.run_together(first, || jobs.next());
    let answers = answers
        .iter_mut()
        .map(|answered| answered.try_recv().unwrap().is_ok());
    assert_eq!(answers.collect::<Vec<_>>(), [true, false, true]);
    let rows = |transaction: &Transaction<'_>, _: &mut Nothing| {
        Ok(
            transaction.query_row("SELECT count(*) FROM quarantine", (), |row| {
                row.get::<_, i64>(0)
            })?,
        )
    };
    assert_eq!(run(&mut writer, rows).unwrap(), 3);
}
