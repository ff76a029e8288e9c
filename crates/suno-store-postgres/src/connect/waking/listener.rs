//! The listener: is woken by other processes.
//!
//! It has a connection of its own, on which nothing else runs and which is always read: a session that
//! listens and is not read stops vacuum in the whole database.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio::time::{sleep, timeout};

use super::Shared;
use crate::connect::connection::Connection;
use crate::connect::dial::Dialer;
use crate::connect::error::{Error, described};
use crate::connect::sqlstate::Action;

/// How long LISTEN may take.
const LISTEN_LIMIT: Duration = Duration::from_secs(2);
/// How long the notification of a probe may take. The notifier may have to connect again first.
const PROBE_LIMIT: Duration = Duration::from_secs(4);
/// How often the connection is checked: a half-open one is silent, like a good one.
const CHECK_EVERY: Duration = Duration::from_secs(2);
/// How long a check may take.
const CHECK_LIMIT: Duration = Duration::from_secs(1);
/// The pause before a lost connection is replaced: the first, and the longest.
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);
const RECONNECT_PAUSE_MAX: Duration = Duration::from_secs(2);
/// The pause after notifications did not arrive although the server accepted LISTEN.
const PROBE_PAUSE: Duration = Duration::from_secs(30);

/// Why listening has ended.
enum End {
    /// The connection was lost or could not be opened.
    Lost(String),
    /// The server does not deliver notifications.
    Useless(String),
}

/// Listens, and listens again after the connection was lost.
pub(super) async fn run(shared: Arc<Shared>, dialer: Arc<Dialer>) {
    let mut has_warned = false;
    let mut has_worked = false;
    let mut pause = RECONNECT_PAUSE;
    loop {
        let end = listen(&shared, &dialer).await;
        if shared.is_listening.swap(false, Ordering::AcqRel) {
            has_worked = true;
            pause = RECONNECT_PAUSE;
        }
        let (reason, after) = match end {
            End::Lost(reason) => (reason, pause),
            // Where it has worked, it will again.
            End::Useless(reason) if has_worked => (reason, pause),
            End::Useless(reason) => (reason, PROBE_PAUSE),
        };
        let is_lasting = pause > RECONNECT_PAUSE || after == PROBE_PAUSE;
        if is_lasting && !std::mem::replace(&mut has_warned, true) {
            tracing::warn!(
                reason,
                "notifications of other processes do not arrive, so that their new work is found within a second; behind a pooler in transaction mode, choose polling"
            );
        }
        pause = (pause * 2).min(RECONNECT_PAUSE_MAX);
        sleep(after.mul_f64(0.5 + 0.5 * fastrand::f64())).await;
    }
}

/// Listens on a new connection until it is lost.
async fn listen(shared: &Shared, dialer: &Dialer) -> End {
    let (connection, mut notifications) = match open(shared, dialer).await {
        Ok(opened) => opened,
        Err(end) => return end,
    };
    // What was missed while nobody listened.
    shared.wake_local();
    if !is_delivered(shared, &mut notifications).await {
        return End::Useless("a notification to this process did not arrive".to_owned());
    }
    shared.set_listening(true);
    shared.wake_local();
    loop {
        match timeout(CHECK_EVERY, notifications.recv()).await {
            // The workers of this process are awake already.
            Ok(Some(payload)) if payload == shared.own => {}
            Ok(Some(_)) => shared.wake_local(),
            Ok(None) => return End::Lost("the connection of the listener was closed".to_owned()),
            Err(_) => {
                let answer = timeout(CHECK_LIMIT, connection.client.check_connection()).await;
                if !matches!(answer, Ok(Ok(()))) {
                    return End::Lost("the connection of the listener is silent".to_owned());
                }
            }
        }
    }
}

async fn open(shared: &Shared, dialer: &Dialer) -> Result<(Connection, Receiver<String>), End> {
    let mut connection = dialer.open(" (listener)").await.map_err(|err| {
        End::Lost(match err {
            Error::Connect(reason) => reason,
            _ => "no connection could be opened".to_owned(),
        })
    })?;
    let notifications = connection
        .take_notifications()
        .ok_or_else(|| End::Lost("the connection is not new".to_owned()))?;
    let sql = format!("LISTEN {}", shared.channel);
    match timeout(LISTEN_LIMIT, connection.client.batch_execute(&sql)).await {
        Ok(Ok(())) => Ok((connection, notifications)),
        Ok(Err(err)) => {
            let reason = described(&err);
            let is_refused = err.code().is_some() && Error::from(err).action() == Action::Fail;
            Err(if is_refused {
                End::Useless(reason)
            } else {
                End::Lost(reason)
            })
        }
        Err(_) => Err(End::Lost("LISTEN was not answered in time".to_owned())),
    }
}

/// Finds out whether notifications arrive: a pooler in transaction mode accepts LISTEN and delivers none.
async fn is_delivered(shared: &Shared, notifications: &mut Receiver<String>) -> bool {
    shared.is_probe.store(true, Ordering::Release);
    shared.requested.notify_one();
    let arrived = async {
        // A notification of any process proves it.
        notifications.recv().await.is_some()
    };
    timeout(PROBE_LIMIT, arrived).await.unwrap_or(false)
}
