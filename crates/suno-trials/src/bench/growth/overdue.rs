//! Measures the cost of polling overdue tasks in the store, without the provider's answers.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;
use suno_callback::{DueRequest, ExpectedTask, Postponement, Reconciler};
use suno_types::TaskId;

use super::fill::Store;
use super::{LEASE, check_time};

/// The number of tasks that are expected at the same time.
const BATCH: usize = 512;
/// The maximum number of tasks that are asked about.
const ASKED_MAX: usize = 1_024;
/// When a task that was asked about becomes due again: later than anything is measured.
const AGAIN: Duration = Duration::from_secs(600);

/// Expects this many tasks that are due at once. Returns the milliseconds for each of them that is
/// taken, as many together as a reconciler asks about, and postponed.
pub(super) async fn millis_each(store: &Store, count: u64, deadline: Instant) -> Result<f64> {
    let store = store.inner();
    let tasks: Vec<ExpectedTask> = (0..count)
        .map(|number| TaskId::new(format!("overdue-{number}")))
        .map(|id| Ok(ExpectedTask::new(id?, Duration::ZERO)))
        .collect::<Result<_>>()?;
    for batch in tasks.chunks(BATCH) {
        check_time(deadline)?;
        try_join_all(batch.iter().map(|task| store.expect(task))).await?;
    }
    let request = DueRequest::new(LEASE, Reconciler::ASKING_MAX);
    let (started, mut asked) = (Instant::now(), 0);
    while asked < ASKED_MAX.min(tasks.len()) {
        let due = store.due(&request).await?;
        ensure!(
            !due.tasks.is_empty(),
            "fewer tasks are due than are expected"
        );
        for task in &due.tasks {
            let postponement = Postponement::answered(AGAIN);
            ensure!(
                store.postpone(&task.ticket, postponement).await?,
                "a task was lost"
            );
        }
        asked += due.tasks.len();
    }
    Ok(started.elapsed().as_secs_f64() * 1e3 / asked as f64)
}
