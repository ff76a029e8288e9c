//! Moving a store to another one, line by line.

use std::sync::Arc;
use std::time::Duration;

use suno_callback::history::{History, HistoryEntry, HistoryKind, MemoryHistory};
use suno_callback::{
    Acceptance, ClaimRequest, Counts, Delivery, DueRequest, ExpectedTask, ExportCursor, ExportLine,
    IdempotencyStore, ImportError, ImportReport, Importer, Intent, MemoryStore, PollState,
    Reference, Settlement, Story, SubmitId, WorkerId, export_page,
};
use suno_types::TaskId;

use crate::scene::delivery;

/// Returns the lines of an export from a place on.
async fn export(store: &MemoryStore, after: Option<ExportCursor>) -> Vec<String> {
    let (mut lines, mut after) = (Vec::new(), after);
    loop {
        let (page, next) = export_page(store, after).await.unwrap();
        lines.extend(page.iter().map(ExportLine::to_json));
        after = next;
        if after.is_none() {
            return lines;
        }
    }
}

async fn import(store: &MemoryStore, lines: &[String]) -> Result<ImportReport, ImportError> {
    let mut importer = Importer::new(store, false);
    for line in lines {
        importer.line(line).await?;
    }
    importer.finish().await
}

/// A store with 300 done events, a ready one with a conflict, entries in quarantine, an open intent, and
/// two expected tasks. One of them was submitted with a reference.
async fn store() -> MemoryStore {
    let store = MemoryStore::new();
    let deliveries: Vec<_> = (0..300)
        .map(|number| delivery(&format!("t{number}"), "complete"))
        .collect();
    store.accept(&deliveries).await.unwrap();
    let request = |number| ClaimRequest::new(WorkerId(1), number, Duration::from_secs(60), 300);
    let claims = store.claim(&request(1)).await.unwrap().claims;
    let done = claims.iter().map(|claim| (claim.ticket, Settlement::Done));
    let settle = request(2).with_settlements(done.collect());
    store.claim(&settle).await.unwrap();
    let mut other = delivery("new", "complete").raw.to_vec();
    store.accept(&[delivery("new", "complete")]).await.unwrap();
    let place = other.windows(4).position(|text| text == b"12.5").unwrap();
    other[place] = b'9';
    let conflict = Delivery::decode(other.into(), jiff::Timestamp::UNIX_EPOCH);
    assert_eq!(
        store.accept(&[conflict]).await.unwrap(),
        [Acceptance::Conflict]
    );
    for body in [&b"{"[..], b"\xff\x00"] {
        let entry = Delivery::decode(body.into(), jiff::Timestamp::UNIX_EPOCH);
        store.accept(&[entry]).await.unwrap();
    }
    let submit = SubmitId::from_bytes([7; 16]);
    let intent = Intent::new(submit, jiff::Timestamp::UNIX_EPOCH, Duration::from_secs(60));
    store.intend(&intent).await.unwrap();
    let submit = SubmitId::from_bytes([8; 16]);
    let intent = Intent::new(submit, jiff::Timestamp::UNIX_EPOCH, Duration::from_secs(60))
        .with_reference(Some(Reference::new("order-8").unwrap()));
    store.intend(&intent).await.unwrap();
    let submitted = expected("submitted", 60).with_submit(submit);
    for task in [submitted, expected("due", 0)] {
        store.expect(&task).await.unwrap();
    }
    store
}

fn expected(task: &str, due_after: u64) -> ExpectedTask {
    ExpectedTask::new(TaskId::new(task).unwrap(), Duration::from_secs(due_after))
}

async fn counts(store: &MemoryStore) -> Counts {
    store.counts().await.unwrap()
}

#[tokio::test]
async fn an_import_is_the_same_store_however_often_it_is_repeated() {
    let from = store().await;
    let lines = export(&from, None).await;
    assert_eq!(lines.len(), 306);
    let to = MemoryStore::new();
    let report = import(&to, &lines).await.unwrap();
    assert_eq!(
        (report.adopted, report.quarantined, report.intents),
        (301, 2, 1)
    );
    assert_eq!(report.expected, 2);
    for _ in 0..2 {
        let again = import(&to, &lines).await.unwrap();
        assert_eq!((again.adopted, again.known, again.intents), (0, 301, 0));
        assert_eq!(again.expected, 0);
    }
    assert_eq!(counts(&to).await, counts(&from).await);
    // Only what was not handled there is handled here.
    let request = ClaimRequest::new(WorkerId(1), 1, Duration::from_secs(60), 300);
    let claims = to.claim(&request).await.unwrap().claims;
    assert_eq!(claims.len(), 1);
    assert_eq!(claims[0].key.to_string(), "new/complete");
    let intents = to.open_intents(Duration::ZERO, None, 9).await.unwrap();
    assert_eq!(intents.len(), 1);
    // A copy of the copy says the same, except for what a store numbers itself and for the new claim.
    let copied = export(&MemoryStore::new(), None).await;
    assert!(copied.is_empty());
}

#[tokio::test]
async fn an_expected_task_is_imported_with_its_submit_unless_the_store_knows_of_it() {
    let lines = export(&store().await, None).await;
    let to = MemoryStore::new();
    import(&to, &lines).await.unwrap();
    let tasks = ["submitted", "due"].map(|task| TaskId::new(task).unwrap());
    let recorded = to.recorded_tasks(&tasks).await.unwrap();
    assert_eq!(recorded[0].submit, Some(SubmitId::from_bytes([8; 16])));
    assert_eq!(recorded[0].reference.as_ref().unwrap().as_str(), "order-8");
    assert_eq!(recorded[0].intended_at, Some(jiff::Timestamp::UNIX_EPOCH));
    let due = to
        .due(&DueRequest::new(Duration::from_secs(60), 9))
        .await
        .unwrap();
    let taken: Vec<_> = due.tasks.iter().map(|task| &task.ticket.task_id).collect();
    assert_eq!(taken, [&tasks[1]]);
    let again = import(&to, &lines).await.unwrap();
    assert_eq!(again.expected, 0);
    let polled = to.recorded_tasks(&tasks[1..]).await.unwrap();
    let poll = polled[0].expectation.unwrap().poll;
    assert!(matches!(poll, PollState::Asked { .. }), "{poll:?}");
}

#[tokio::test]
async fn an_export_goes_on_after_any_of_its_lines() {
    let from = store().await;
    let lines = export(&from, None).await;
    for place in [0, 63, 64, 65, 299, 300, 301, 302, 303, 304, 305] {
        let cursor = ExportLine::parse(&lines[place]).unwrap().cursor();
        let read: ExportCursor = cursor.to_string().parse().unwrap();
        assert_eq!(read, cursor);
        assert_eq!(export(&from, Some(read)).await, lines[place + 1..]);
    }
    assert!("x1".parse::<ExportCursor>().is_err());
}

#[tokio::test]
async fn a_line_that_is_cut_off_or_odd_is_an_error_without_its_content_and_what_was_before_stays() {
    let lines = export(&store().await, None).await;
    let to = MemoryStore::new();
    let mut importer = Importer::new(&to, false);
    importer.line(&lines[0]).await.unwrap();
    for end in (1..lines[1].len()).filter(|end| lines[1].is_char_boundary(*end)) {
        let err = importer.line(&lines[1][..end]).await.unwrap_err();
        assert!(matches!(err, ImportError::InvalidLine(_)), "{err}");
    }
    for odd in [
        r#"{"schema":1,"kind":"canary"}"#,
        r#"{"schema":1,"kind":"event","task_id":"canary"}"#,
        &lines[1].replace("\"done\"", "\"canary\""),
        "canary",
    ] {
        let err = importer.line(odd).await.unwrap_err().to_string();
        assert!(!err.contains("canary"), "{err}");
    }
    let newer = lines[1].replace("\"schema\":1", "\"schema\":2");
    let err = importer.line(&newer).await.unwrap_err();
    assert!(matches!(err, ImportError::NewerSchema(2)), "{err}");
    assert_eq!(importer.finish().await.unwrap().adopted, 1);
    assert_eq!(counts(&to).await.done, 1);
}

#[tokio::test]
async fn the_story_of_a_task_has_its_events_with_bodies_conflicts_and_history() {
    let store = store().await;
    let history = Arc::new(MemoryHistory::new());
    let task_id = TaskId::new("new").unwrap();
    let at = jiff::Timestamp::UNIX_EPOCH;
    let entry = HistoryEntry::new(task_id.clone(), HistoryKind::REDRIVE, at);
    history.record(&[entry]).await.unwrap();
    let story = Story::of_task(&store, &*history, &task_id).await.unwrap();
    let (event, conflicts) = &story.events[0];
    assert!(event.raw.is_some());
    assert_eq!(
        (story.events.len(), conflicts.len(), story.history.len()),
        (1, 1, 1)
    );
}
