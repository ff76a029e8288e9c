//! The measurements, and the limits that they are compared with.

use std::collections::BTreeMap;
use std::time::Duration;

use suno_testkit::process::Stop;

use super::scenario::Scenario;

/// The time limit for 99 of 100 signed callbacks.
const SIGNED_P99_MAX: Duration = Duration::from_millis(100);
/// The maximum factor compared with a run without strangers, on a machine that is slow even without
/// them.
const SIGNED_P99_TIMES_MAX: u32 = 5;
/// The maximum number of resident bytes of the process at any time: 150 MiB.
const PEAK_BYTES_MAX: u64 = 150 << 20;
/// The time after the response in which an event must be handled when a scenario is over.
pub(super) const HANDLED_MAX: Duration = Duration::from_secs(2);
/// The time limit for the end of the process.
pub(super) const STOP_MAX: Duration = Duration::from_secs(25);

/// The measurements of one scenario.
#[derive(Debug, Clone)]
pub(super) struct Figures {
    pub(super) scenario: Scenario,
    /// The numbers of signed callbacks that were due, answered with 200, and printed as handled.
    pub(super) due: u64,
    pub(super) accepted: u64,
    pub(super) printed: u64,
    pub(super) p50: Duration,
    pub(super) p99: Duration,
    /// The longest time between the response to an event sent at the end and its handling. `None`
    /// if none was handled.
    pub(super) probes_handled: Option<Duration>,
    /// The slowest sync of another file in the meantime. It is not judged.
    pub(super) slowest_sync: Duration,
    /// `None` if it was not measured.
    pub(super) peak_bytes: Option<u64>,
    pub(super) stop: Stop,
    pub(super) is_stop_judged: bool,
    /// The number of requests that strangers sent or began, and their bytes.
    pub(super) requests: u64,
    pub(super) stranger_bytes: u64,
    /// The responses to strangers.
    pub(super) stranger_statuses: BTreeMap<u16, u64>,
    /// Whether the head of an unsigned request was answered before its body came. `None` if it was
    /// not tried.
    pub(super) is_head_refused: Option<bool>,
}

/// The limits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) p99_max: Duration,
    pub(super) peak_bytes_max: u64,
}

impl Bounds {
    /// Multiplies the time limits, for a slow machine.
    pub(super) fn with_slack(mut self, times: u32) -> Self {
        self.p99_max *= times;
        self
    }

    /// Returns the limits for a machine with these measurements without strangers.
    pub(super) fn after(quiet: &Figures) -> Self {
        Self {
            p99_max: SIGNED_P99_MAX.max(quiet.p99 * SIGNED_P99_TIMES_MAX),
            peak_bytes_max: PEAK_BYTES_MAX,
        }
    }

    /// Returns the exceeded limits, each as a sentence.
    pub(super) fn judge(&self, figures: &Figures) -> Vec<String> {
        let mut broken = Vec::new();
        let mut check = |holds: bool, what: String| {
            if !holds {
                broken.push(what);
            }
        };
        check(
            figures.p99 <= self.p99_max,
            format!("p99 {:?} is above {:?}", figures.p99, self.p99_max),
        );
        let unanswered = figures.due - figures.accepted;
        check(
            unanswered == 0 && figures.due > 0,
            format!(
                "{unanswered} of {} signed callbacks were not answered with 200",
                figures.due
            ),
        );
        let unprinted = figures.accepted - figures.printed;
        check(
            unprinted == 0,
            format!("{unprinted} accepted events were not printed in time"),
        );
        check(
            figures
                .probes_handled
                .is_some_and(|took| took <= HANDLED_MAX),
            format!("events sent at the end were not handled within {HANDLED_MAX:?}"),
        );
        check(
            figures
                .peak_bytes
                .is_none_or(|peak| peak <= self.peak_bytes_max),
            format!(
                "{} bytes were resident, above {}",
                figures.peak_bytes.unwrap_or_default(),
                self.peak_bytes_max
            ),
        );
        let stored = figures.stranger_statuses.get(&200).copied();
        check(
            figures.scenario.may_store() || stored.is_none(),
            format!(
                "{} requests of strangers were answered with 200",
                stored.unwrap_or_default()
            ),
        );
        check(
            figures.is_head_refused != Some(false),
            "an unsigned request was not refused before its body came".to_owned(),
        );
        check(
            !figures.is_stop_judged || matches!(figures.stop, Stop::After(_)),
            match figures.stop {
                Stop::Failed(status) => format!("the process ended with {status}"),
                _ => format!("the process did not end within {STOP_MAX:?}"),
            },
        );
        broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Figures {
        Figures {
            scenario: Scenario::Unsigned,
            due: 100,
            accepted: 100,
            printed: 100,
            p50: Duration::from_millis(1),
            p99: Duration::from_millis(10),
            probes_handled: Some(Duration::from_millis(5)),
            slowest_sync: Duration::from_millis(3),
            peak_bytes: Some(20 << 20),
            stop: Stop::After(Duration::from_millis(30)),
            is_stop_judged: true,
            requests: 10,
            stranger_bytes: 1_000,
            stranger_statuses: BTreeMap::from([(401, 10)]),
            is_head_refused: Some(true),
        }
    }

    #[test]
    fn a_slow_machine_is_judged_by_what_it_does_without_strangers() {
        let mut quiet = good();
        assert_eq!(Bounds::after(&quiet).p99_max, Duration::from_millis(100));
        quiet.p99 = Duration::from_millis(30);
        assert_eq!(Bounds::after(&quiet).p99_max, Duration::from_millis(150));
    }

    #[test]
    fn each_bound_is_found_alone() {
        type Change = fn(&mut Figures);
        let bounds = Bounds::after(&good());
        assert!(bounds.judge(&good()).is_empty());
        let changes: [(&str, Change); 10] = [
            ("p99", |it| it.p99 = Duration::from_millis(101)),
            ("answered", |it| {
                it.accepted = 99;
                it.printed = 99;
            }),
            ("printed", |it| it.printed = 99),
            ("handled within", |it| it.probes_handled = None),
            ("handled within", |it| {
                it.probes_handled = Some(Duration::from_millis(2_001));
            }),
            ("resident", |it| it.peak_bytes = Some((150 << 20) + 1)),
            ("strangers", |it| {
                it.stranger_statuses.insert(200, 1);
            }),
            ("before its body", |it| it.is_head_refused = Some(false)),
            ("did not end", |it| it.stop = Stop::Killed),
            ("ended with", |it| {
                it.stop = Stop::Failed(Default::default())
            }),
        ];
        for (what, change) in changes {
            let mut figures = good();
            change(&mut figures);
            let broken = bounds.judge(&figures);
            assert_eq!(broken.len(), 1, "{what}: {broken:?}");
            assert!(broken[0].contains(what), "{what}: {broken:?}");
        }
    }

    #[test]
    fn what_cannot_be_measured_and_a_stop_that_is_not_judged_break_nothing() {
        let mut figures = good();
        figures.peak_bytes = None;
        figures.stop = Stop::Killed;
        figures.is_stop_judged = false;
        assert!(Bounds::after(&good()).judge(&figures).is_empty());
    }

    #[test]
    fn a_replayed_signature_may_be_stored() {
        let mut figures = good();
        figures.scenario = Scenario::Stages;
        figures.stranger_statuses.insert(200, 1);
        assert!(Bounds::after(&good()).judge(&figures).is_empty());
    }
}
