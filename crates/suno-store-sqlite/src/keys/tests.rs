use std::collections::HashMap;

use rusqlite::Connection;

use super::*;
use crate::schema;

const UNMERGED: usize = 4 * SLICE_MIN;

/// A file on which each connection has its own keys, like separate processes. There are so many
/// keys that merging them takes several transactions.
fn process(dir: &tempfile::TempDir) -> (Connection, Keys) {
    let connection = schema::open(&dir.path().join("suno.db")).unwrap();
    let keys = Keys {
        unmerged_min: UNMERGED,
        ..Keys::default()
    };
    (connection, keys)
}

/// Appends an event, as accepting does.
fn append(transaction: &Transaction<'_>, keys: &mut Keys, hash: i64) -> i64 {
    let event = keys.next_event();
    transaction
        .execute(
            "INSERT INTO events (id, task_hash, task_id, stage, code, source, verified_by,
                 unconfirmed, received_at, stored_at, strict, semantic)
             VALUES (?1, ?2, ?2, 'text', 200, 0, 0, 0, 0, 0, x'', x'')",
            [event, hash],
        )
        .unwrap();
    keys.add(hash);
    event
}

fn known_of(transaction: &Transaction<'_>, keys: &Keys, hash: i64) -> Vec<i64> {
    let mut merged = Keys::merged(transaction).unwrap();
    keys.of_task(&mut merged, hash).unwrap()
}

#[test]
fn two_processes_know_all_events_of_few_tasks_through_any_number_of_merges() {
    two_processes_know_all_events_of(101);
}

#[test]
fn two_processes_know_all_events_of_many_tasks_through_any_number_of_merges() {
    two_processes_know_all_events_of(601);
}

fn two_processes_know_all_events_of(tasks: i64) {
    let dir = tempfile::tempdir().unwrap();
    let mut processes = [process(&dir), process(&dir)];
    let mut expected: HashMap<i64, Vec<i64>> = HashMap::new();
    for number in 0..2_000_i64 {
        let (connection, keys) = &mut processes[usize::from(number % 3 == 0)];
        let hash = (number * 7_919) % tasks;
        let transaction = connection.transaction().unwrap();
        keys.catch_up(&transaction).unwrap();
        let known = expected.entry(hash).or_default();
        assert_eq!(known_of(&transaction, keys, hash), *known, "event {number}");
        known.push(append(&transaction, keys, hash));
        keys.write(&transaction).unwrap();
        transaction.commit().unwrap();
    }
    let (connection, _) = &processes[0];
    let merged: i64 = connection
        .query_row("SELECT merged_through FROM marks", (), |row| row.get(0))
        .unwrap();
    assert!(merged > 1_800, "{merged}");
    assert!(processes.iter().all(|(_, keys)| keys.unmerged.len() < 300));
    // A connection that opens now does so too.
    let (mut connection, mut keys) = process(&dir);
    let transaction = connection.transaction().unwrap();
    keys.catch_up(&transaction).unwrap();
    for (hash, events) in expected {
        assert_eq!(known_of(&transaction, &keys, hash), events);
    }
}

#[test]
fn however_many_are_appended_at_once_few_keys_are_kept_in_memory() {
    const APPENDED_MAX: usize = 500;
    let dir = tempfile::tempdir().unwrap();
    let (mut connection, mut keys) = process(&dir);
    for appended in [100, 100, 100, 1, 10, APPENDED_MAX].repeat(30) {
        let transaction = connection.transaction().unwrap();
        keys.catch_up(&transaction).unwrap();
        for _ in 0..appended {
            let event = keys.next_event();
            append(&transaction, &mut keys, event.wrapping_mul(0x9e37_79b9));
        }
        keys.write(&transaction).unwrap();
        transaction.commit().unwrap();
        let merging = keys.merging.iter();
        let merging = merging.map(|merge| merge.sorted.len()).sum::<usize>();
        let kept = keys.unmerged.len() + merging;
        let kept_max = 2 * (keys.unmerged_max() + APPENDED_MAX);
        assert!(kept <= kept_max, "{kept}");
    }
}

#[test]
fn the_larger_the_table_the_more_keys_are_merged_at_a_time_within_bounds() {
    let unmerged_max = |merged_through, purged_through| {
        let keys = Keys {
            merged_through,
            purged_through,
            ..Keys::default()
        };
        keys.unmerged_max()
    };
    assert_eq!(unmerged_max(0, 0), UNMERGED_MIN);
    assert_eq!(unmerged_max(4_000_000, 0), 250_000);
    assert_eq!(unmerged_max(1_000_000_000, 0), UNMERGED_MAX);
    assert_eq!(unmerged_max(1_000_000_000, 996_000_000), 250_000);
    assert_eq!(unmerged_max(0, 5), UNMERGED_MIN);
}

#[test]
fn what_was_rolled_back_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let (mut connection, mut keys) = process(&dir);
    let transaction = connection.transaction().unwrap();
    keys.catch_up(&transaction).unwrap();
    append(&transaction, &mut keys, 5);
    keys.write(&transaction).unwrap();
    transaction.rollback().unwrap();
    keys.forget();
    let transaction = connection.transaction().unwrap();
    keys.catch_up(&transaction).unwrap();
    assert_eq!(known_of(&transaction, &keys, 5), Vec::<i64>::new());
}

#[test]
fn the_number_of_an_event_that_another_process_purged_is_not_given_again() {
    let dir = tempfile::tempdir().unwrap();
    let [(mut ours, mut keys), (mut theirs, mut their_keys)] = [process(&dir), process(&dir)];
    let transaction = ours.transaction().unwrap();
    keys.catch_up(&transaction).unwrap();
    append(&transaction, &mut keys, 5);
    let purged = append(&transaction, &mut keys, 5);
    keys.write(&transaction).unwrap();
    transaction.commit().unwrap();

    let transaction = theirs.transaction().unwrap();
    before_purge(&transaction, purged).unwrap();
    transaction
        .execute("DELETE FROM events WHERE id = ?1", [purged])
        .unwrap();
    transaction.commit().unwrap();

    for (connection, keys) in [(&mut ours, &mut keys), (&mut theirs, &mut their_keys)] {
        let transaction = connection.transaction().unwrap();
        keys.catch_up(&transaction).unwrap();
        assert_eq!(keys.next_event(), purged + 1);
    }
}

#[test]
fn merged_keys_of_purged_events_are_swept_in_a_round_and_no_others() {
    const EVENTS: i64 = 5 * SWEPT_AT_ONCE / 2;
    let dir = tempfile::tempdir().unwrap();
    let (mut connection, mut keys) = process(&dir);
    let transaction = connection.transaction().unwrap();
    keys.catch_up(&transaction).unwrap();
    for number in 0..EVENTS {
        append(
            &transaction,
            &mut keys,
            number.wrapping_mul(0x1e37_79b9_7f4a_7c15),
        );
    }
    for _ in 0..EVENTS {
        keys.write(&transaction).unwrap();
    }
    before_purge(&transaction, EVENTS).unwrap();
    let every_tenth_stays = "DELETE FROM events WHERE id % 10 > 0";
    transaction.execute(every_tenth_stays, ()).unwrap();
    for _ in 0..=EVENTS / SWEPT_AT_ONCE {
        sweep(&transaction).unwrap();
    }
    let count = |sql| transaction.query_row(sql, (), |row| row.get::<_, i64>(0));
    let merged = keys.merged_through;
    assert!(merged > EVENTS / 2, "{merged}");
    let stale = "SELECT count(*) FROM keys WHERE event_id % 10 > 0";
    assert_eq!(count(stale).unwrap(), 0);
    let left = "SELECT count(*) FROM keys";
    assert_eq!(count(left).unwrap(), merged / 10);
}

#[test]
fn keys_of_purged_events_are_not_merged() {
    let dir = tempfile::tempdir().unwrap();
    let (mut connection, mut keys) = process(&dir);
    let transaction = connection.transaction().unwrap();
    keys.catch_up(&transaction).unwrap();
    for number in 0..10 {
        append(&transaction, &mut keys, number);
    }
    before_purge(&transaction, 10).unwrap();
    transaction.execute("DELETE FROM events", ()).unwrap();
    for number in 0..=UNMERGED as i64 {
        append(&transaction, &mut keys, number);
    }
    for _ in 0..UNMERGED {
        keys.write(&transaction).unwrap();
    }
    let stale: i64 = transaction
        .query_row(
            "SELECT count(*) FROM keys WHERE event_id <= 10",
            (),
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(stale, 0);
    let left: i64 = transaction
        .query_row("SELECT count(*) FROM key_log", (), |row| row.get(0))
        .unwrap();
    assert_eq!(left, 0);
}
