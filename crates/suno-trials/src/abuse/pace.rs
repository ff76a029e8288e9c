//! Limits the number of bytes that all strangers send together.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The wait before checking again whether more may be sent.
const TICK: Duration = Duration::from_millis(1);

/// A limit on the bytes that several connections send per second. They take turns in the order of
/// their requests, each for a whole request, so that some requests are complete long before all
/// are.
#[derive(Debug)]
pub(super) struct Pace {
    begun: Instant,
    bytes_per_second: u64,
    bytes: AtomicU64,
    turn: Mutex<()>,
}

impl Pace {
    pub(super) fn new(begun: Instant, bytes_per_second: u64) -> Self {
        Self {
            begun,
            bytes_per_second,
            bytes: AtomicU64::new(0),
            turn: Mutex::new(()),
        }
    }

    /// Waits until a request of this many bytes may be sent. Returns false if that is not possible
    /// before `until`.
    pub(super) fn take(&self, bytes: u64, until: Instant) -> bool {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let now = Instant::now();
            if now >= until {
                return false;
            }
            let elapsed = now.saturating_duration_since(self.begun);
            if self.bytes.load(Ordering::Relaxed) <= allowance(self.bytes_per_second, elapsed) {
                self.bytes.fetch_add(bytes, Ordering::Relaxed);
                return true;
            }
            thread::sleep(TICK);
        }
    }

    /// Returns bytes that were reserved but not sent.
    pub(super) fn give_back(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Returns the number of bytes that may have been sent after some time.
fn allowance(bytes_per_second: u64, elapsed: Duration) -> u64 {
    let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
    bytes_per_second.saturating_mul(micros) / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_allowance_grows_with_time() {
        assert_eq!(allowance(10_000_000, Duration::ZERO), 0);
        assert_eq!(allowance(10_000_000, Duration::from_millis(100)), 1_000_000);
        assert_eq!(allowance(10_000_000, Duration::from_secs(60)), 600_000_000);
    }

    #[test]
    fn a_request_waits_for_what_was_taken_before_it_and_not_for_what_was_given_back() {
        let begun = Instant::now();
        let pace = Pace::new(begun, 1);
        assert!(pace.take(1_000, begun + Duration::from_secs(60)));
        pace.give_back(1_000);
        assert!(pace.take(1_000, begun + Duration::from_secs(60)));
        assert!(!pace.take(1, begun + Duration::from_millis(20)));
    }
}
