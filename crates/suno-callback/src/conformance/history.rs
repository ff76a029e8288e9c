//! The cases of a [`History`].

use jiff::Timestamp;
use suno_types::{Stage, TaskId};

use crate::history::{
    ENTRIES_OF_TASK_MAX, History, HistoryEntry, HistoryKind, POLLS_OF_TASK_MAX, PURGED_MAX,
};
use crate::store::StoreError;

/// Checks that an empty history keeps its contract, and leaves it with some entries.
///
/// # Errors
///
/// Returns the first difference from the contract, or the error of the history, as text for people.
pub async fn check_history(history: &dyn History) -> Result<(), String> {
    let checked = async {
        entries_are_returned_as_they_were_recorded(history).await?;
        a_task_keeps_its_latest_entries(history).await?;
        polls_push_out_only_polls(history).await?;
        a_purge_removes_what_is_older(history).await?;
        a_purge_is_bounded(history).await
    };
    checked.await.map_err(|failed: Failed| failed.0)
}

struct Failed(String);

impl From<StoreError> for Failed {
    fn from(err: StoreError) -> Self {
        let cause = std::error::Error::source(&err);
        let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
        Self(format!("the history failed: {err}{cause}"))
    }
}

impl From<&str> for Failed {
    fn from(what: &str) -> Self {
        Self(what.to_owned())
    }
}

/// Creates an entry of a task, so many seconds after 2026-01-01.
fn entry(task_id: &TaskId, seconds: i64) -> HistoryEntry {
    let at = Timestamp::from_second(1_767_225_600 + seconds).unwrap_or(Timestamp::MAX);
    HistoryEntry::new(task_id.clone(), HistoryKind::ATTEMPT, at)
        .with_stage(Stage::First, 1)
        .with_detail(&seconds)
}

fn task(id: &str) -> Result<TaskId, Failed> {
    TaskId::new(id).map_err(|err| Failed(err.to_string()))
}

fn details(entries: &[HistoryEntry]) -> Vec<&str> {
    entries.iter().map(HistoryEntry::detail).collect()
}

async fn entries_are_returned_as_they_were_recorded(history: &dyn History) -> Result<(), Failed> {
    let (one, other) = (task("as-recorded")?, task("as/recorded'\\;")?);
    let odd = HistoryEntry::new(other.clone(), "later".into(), Timestamp::UNIX_EPOCH)
        .with_stage(Stage::from("a\\b\u{1f3b5}"), 4)
        .with_detail(&"\u{0}\\\u{1f3b5}".repeat(400));
    let bare = HistoryEntry::new(one.clone(), HistoryKind::REPLAY, Timestamp::UNIX_EPOCH);
    let first = [entry(&one, 3), odd.clone(), entry(&one, 1)];
    history.record(&first).await?;
    history.record(&[]).await?;
    history.record(std::slice::from_ref(&bare)).await?;
    if history.of_task(&one).await? != [entry(&one, 3), entry(&one, 1), bare] {
        return Err("the entries of a task differ from what was recorded".into());
    }
    if history.of_task(&other).await? != [odd] {
        return Err("an entry with odd texts differs from what was recorded".into());
    }
    if !history.of_task(&task("none")?).await?.is_empty() {
        return Err("an unknown task has entries".into());
    }
    Ok(())
}

async fn a_task_keeps_its_latest_entries(history: &dyn History) -> Result<(), Failed> {
    let (one, other) = (task("many")?, task("few")?);
    let max = i64::try_from(ENTRIES_OF_TASK_MAX).unwrap_or(i64::MAX);
    history.record(&[entry(&other, 0)]).await?;
    let entries: Vec<_> = (0..max + 10).map(|second| entry(&one, second)).collect();
    for some in entries.chunks(100) {
        history.record(some).await?;
    }
    let kept = history.of_task(&one).await?;
    if details(&kept) != details(&entries[10..]) {
        return Err("a task does not keep exactly its latest entries".into());
    }
    match history.of_task(&other).await?.len() {
        1 => Ok(()),
        _ => Err("the bound of one task removed an entry of another".into()),
    }
}

async fn polls_push_out_only_polls(history: &dyn History) -> Result<(), Failed> {
    let (one, other) = (task("polled")?, task("polled-once")?);
    let poll = |task_id: &TaskId, second: i64| {
        let at = entry(task_id, second).at;
        HistoryEntry::new(task_id.clone(), HistoryKind::POLL, at).with_detail(&second)
    };
    let mut entries = vec![
        poll(&other, 0),
        entry(&one, 1),
        poll(&one, 2),
        entry(&one, 3),
    ];
    let polls_max = i64::try_from(POLLS_OF_TASK_MAX).unwrap_or(i64::MAX);
    entries.extend((0..polls_max + 1).map(|second| poll(&one, 4 + second)));
    for some in entries.chunks(10) {
        history.record(some).await?;
    }
    let mut expected = vec![entries[1].clone(), entries[3].clone()];
    expected.extend_from_slice(&entries[5..]);
    if history.of_task(&one).await? != expected {
        return Err("a task does not keep its other entries and exactly its latest polls".into());
    }
    match history.of_task(&other).await?.len() {
        1 => Ok(()),
        _ => Err("the polls of one task removed one of another".into()),
    }
}

async fn a_purge_removes_what_is_older(history: &dyn History) -> Result<(), Failed> {
    let (one, other) = (task("purged")?, task("kept")?);
    let entries = [entry(&one, -20), entry(&one, -10), entry(&other, -10)];
    history.record(&entries).await?;
    let purged = history.purge(entries[1].at).await?;
    // Entries of 1970 were recorded before.
    if purged != 3 {
        return Err("a purge does not count exactly what it removed".into());
    }
    let kept = (history.of_task(&one).await?, history.of_task(&other).await?);
    match kept == (vec![entries[1].clone()], vec![entries[2].clone()]) {
        true => Ok(()),
        false => Err("a purge does not remove exactly what is older".into()),
    }
}

async fn a_purge_is_bounded(history: &dyn History) -> Result<(), Failed> {
    let entries_max = i64::from(PURGED_MAX);
    let mut entries = Vec::new();
    for second in 0..=entries_max {
        let id = task(&format!("bounded-{}", second % 8))?;
        entries.push(entry(&id, -1_000_000 + second));
    }
    history.record(&entries).await?;
    let before = entry(&task("bounded-0")?, -900_000).at;
    let purged = [history.purge(before).await?, history.purge(before).await?];
    match purged == [u64::from(PURGED_MAX), 1] {
        true => Ok(()),
        false => {
            Err("a purge does not remove exactly as many as its bound, and then the rest".into())
        }
    }
}
