//! The notifier: wakes other processes, one notification for many commits.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::Shared;
use crate::connect::connection::Connection;
use crate::connect::dial::Dialer;
use crate::connect::error::{Error, described};

/// The shortest time between two notifications.
const EVERY: Duration = Duration::from_millis(5);
/// How long sending one may take.
const LIMIT: Duration = Duration::from_secs(1);
/// The pause after one could not be sent.
const PAUSE: Duration = Duration::from_secs(1);

/// Sends notifications when they are requested.
pub(super) async fn run(shared: Arc<Shared>, dialer: Arc<Dialer>) {
    let mut connection = None;
    let mut has_warned = false;
    loop {
        shared.requested.notified().await;
        let next = Instant::now() + EVERY;
        match notify(&shared, &dialer, &mut connection).await {
            Ok(()) => has_warned = false,
            Err(reason) => {
                connection = None;
                if !std::mem::replace(&mut has_warned, true) {
                    tracing::warn!(
                        reason,
                        "other processes were not told of new work; they find it within a second"
                    );
                }
                sleep(PAUSE).await;
            }
        }
        sleep_until(next).await;
    }
}

/// Sends one notification, on a new connection if the old one does not answer.
async fn notify(
    shared: &Shared,
    dialer: &Dialer,
    connection: &mut Option<Connection>,
) -> Result<(), String> {
    let is_probe = shared.is_probe.swap(false, Ordering::AcqRel);
    // Nothing is lost with a notification, so that its commit need not be on disk, nor on a standby.
    let sql = format!(
        "BEGIN; SET LOCAL synchronous_commit = off; NOTIFY {}, '{}{}'; COMMIT",
        shared.channel,
        shared.own,
        if is_probe { "?" } else { "" }
    );
    if let Some(old) = connection
        && send(old, &sql).await.is_ok()
    {
        return Ok(());
    }
    let sent = match dialer.open(" (notifier)").await {
        Ok(new) => send(connection.insert(new), &sql).await,
        Err(err) => Err(reason(err)),
    };
    if sent.is_err() && is_probe {
        // The listener waits for it a little longer.
        shared.is_probe.store(true, Ordering::Release);
        shared.requested.notify_one();
    }
    sent
}

async fn send(connection: &Connection, sql: &str) -> Result<(), String> {
    match timeout(LIMIT, connection.client.batch_execute(sql)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(err)) => Err(described(&err)),
        Err(_) => Err("the server did not answer in time".to_owned()),
    }
}

fn reason(err: Error) -> String {
    match err {
        Error::Connect(reason) => reason,
        _ => "no connection could be opened".to_owned(),
    }
}
