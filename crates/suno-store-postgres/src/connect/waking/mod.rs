//! Wake-ups: what makes a waiting worker look again.
//!
//! A wake-up is a hint and may be lost; so everybody also looks again about once a second. NOTIFY holds
//! a lock of the whole database until its commit is on disk. It is therefore never part of a transaction
//! of the store: a task with a connection of its own sends one for many commits.

mod listener;
mod notifier;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::dial::Dialer;
use super::texts::quoted;
use crate::config::Wake;

/// The longest time for which a worker sleeps before it looks again. The shortest is 60 % of it, so that
/// processes that started together do not look together.
const RECHECK: Duration = Duration::from_millis(900);
/// The longest name of a channel, in bytes.
const CHANNEL_BYTES_MAX: usize = 63;

/// The wake-ups of one store in this process.
#[derive(Debug)]
pub(super) struct Wakes {
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

/// What the tasks and the workers share.
#[derive(Debug)]
struct Shared {
    /// Wakes the workers of this process.
    local: Notify,
    /// Asks the notifier to wake other processes.
    requested: Notify,
    /// Whether the notifier also wakes this process, to find out whether notifications arrive.
    is_probe: AtomicBool,
    is_listening: AtomicBool,
    channel: String,
    /// The payload of this process's notifications, by which it ignores them.
    own: String,
}

impl Wakes {
    /// Starts the tasks, unless workers are to poll. Both need a connection of their own.
    pub(super) fn start(wake: Wake, schema: &str, dialer: &Arc<Dialer>) -> Self {
        let shared = Arc::new(Shared {
            local: Notify::new(),
            requested: Notify::new(),
            is_probe: AtomicBool::new(false),
            is_listening: AtomicBool::new(false),
            channel: quoted(&channel(schema)),
            own: format!("{:032x}", fastrand::u128(..)),
        });
        let tasks = match wake {
            Wake::Listen => vec![
                tokio::spawn(notifier::run(Arc::clone(&shared), Arc::clone(dialer))),
                tokio::spawn(listener::run(Arc::clone(&shared), Arc::clone(dialer))),
            ],
            Wake::Poll => Vec::new(),
        };
        Self { shared, tasks }
    }

    /// Wakes workers of this process now, and those of others within milliseconds. To be called after a
    /// commit.
    pub(super) fn notify(&self) {
        self.shared.wake_local();
        self.shared.requested.notify_one();
    }

    /// Returns after a wake-up, after `at_most`, or when it is time to look again.
    pub(super) async fn wait(&self, at_most: Duration) {
        let recheck = RECHECK.mul_f64(0.6 + 0.4 * fastrand::f64());
        let woken = self.shared.local.notified();
        let _ = tokio::time::timeout(at_most.min(recheck), woken).await;
    }

    #[cfg(test)]
    pub(super) fn is_listening(&self) -> bool {
        self.shared.is_listening.load(Ordering::Acquire)
    }
}

impl Drop for Wakes {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Shared {
    /// Wakes all workers that wait, or else the next one that does.
    fn wake_local(&self) {
        self.local.notify_one();
        self.local.notify_waiters();
    }

    fn set_listening(&self, is_listening: bool) {
        self.is_listening.store(is_listening, Ordering::Release);
    }
}

/// Returns the channel of a schema: its name, or a hash of it where that would be cut.
fn channel(schema: &str) -> String {
    let plain = format!("suno:{schema}");
    if plain.len() <= CHANNEL_BYTES_MAX {
        return plain;
    }
    let hash = Sha256::digest(schema);
    let hash: String = hash
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("suno::{hash}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_schema_has_a_channel_that_the_server_keeps_whole() {
        assert_eq!(channel("suno"), "suno:suno");
        let long = ["x".repeat(62), "x".repeat(63), "é".repeat(31)];
        for name in &long {
            let channel = channel(name);
            assert!(channel.len() <= CHANNEL_BYTES_MAX, "{channel}");
            assert!(channel.starts_with("suno::"), "{channel}");
        }
        assert_ne!(channel(&long[0]), channel(&long[1]));
    }
}
