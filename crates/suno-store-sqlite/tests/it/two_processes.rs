//! Several processes on one file: this test runs itself again as the other one.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use suno_callback::{
    Acceptance, ClaimRequest, Clock, Delivery, EventFilter, EventRecord, IdempotencyStore,
    ListRequest, SystemClock, WorkerId,
};
use suno_store_sqlite::SqliteStore;

const TASKS: usize = 200;
/// Set in the other process: the file.
const FILE: &str = "SUNO_TEST_FILE";

pub(crate) fn delivery(task: usize) -> Delivery {
    let body = format!(
        r#"{{"code":200,"data":{{"callbackType":"complete","task_id":"task-{task}","data":[]}}}}"#
    );
    Delivery::decode(body.into(), SystemClock.now())
}

/// The first thousand events.
pub(crate) async fn all(store: &SqliteStore) -> Vec<EventRecord> {
    let request = ListRequest::first(1_000, EventFilter::default());
    store.list(&request).await.unwrap().records
}

/// Accepts every task and then claims what it gets; says how many were new, and what was claimed.
async fn work(file: &Path) -> (usize, Vec<i64>) {
    let store = SqliteStore::open(file).unwrap();
    let mut new = 0;
    for task in 0..TASKS {
        let accepted = store.accept(&[delivery(task)]).await.unwrap();
        new += usize::from(accepted == [Acceptance::New]);
    }
    let mut claimed = Vec::new();
    let worker = WorkerId(std::process::id().into());
    for number in 1.. {
        let request = ClaimRequest::new(worker, number, Duration::from_secs(3_600), 3);
        let claims = store.claim(&request).await.unwrap().claims;
        if claims.is_empty() {
            return (new, claimed);
        }
        claimed.extend(claims.iter().map(|claim| claim.ticket.event.0));
    }
    unreachable!("numbers do not end")
}

#[tokio::test]
async fn two_processes_on_one_file_make_one_event_of_each_key_and_one_claim_of_each_event() {
    if let Some(file) = std::env::var_os(FILE) {
        let (new, claimed) = work(Path::new(&file)).await;
        let claimed: Vec<_> = claimed.iter().map(i64::to_string).collect();
        return writeln!(std::io::stdout(), "\nworked {new} {}", claimed.join(" ")).unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("suno.db");
    let other = Command::new(std::env::current_exe().unwrap())
        .args(["--nocapture", "--exact"])
        .arg(
            "two_processes::two_processes_on_one_file_make_one_event_of_each_key_and_one_claim_of_each_event",
        )
        .env(FILE, &file)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (new, mut claimed) = work(&file).await;
    let output = other.wait_with_output().unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    let worked = output.lines().find_map(|line| line.strip_prefix("worked "));
    let mut numbers = worked
        .unwrap()
        .split_whitespace()
        .map(|number| number.parse().unwrap());
    let new_there: i64 = numbers.next().unwrap();
    claimed.extend(numbers);
    assert_eq!(new as i64 + new_there, TASKS as i64);
    let mut times = BTreeMap::new();
    for event in &claimed {
        *times.entry(event).or_insert(0) += 1;
    }
    assert!(times.values().all(|times| *times == 1), "{times:?}");
    assert_eq!(claimed.len(), TASKS);
    let store = SqliteStore::open(&file).unwrap();
    assert_eq!(all(&store).await.len(), TASKS);
}
