//! Any order of requests, answers and cancellations keeps the promises of the breaker.

use proptest::prelude::*;

use super::*;

const INTERVAL: u64 = 10;
const PAUSED_INTERVAL: u64 = 100;
const LEASE: u64 = 30;
const LIMIT: usize = 8;

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn settings() -> BreakerSettings {
    BreakerSettings::new()
        .with_failures_max(3)
        .with_interval(at(INTERVAL))
        .with_paused_interval(at(PAUSED_INTERVAL))
        .with_probe_lease(at(LEASE))
        .with_in_flight_max(LIMIT)
}

fn pass(breaker: &mut Breaker, seconds: u64) -> Pass {
    match breaker.admit(at(seconds)) {
        Admission::Send(pass) => pass,
        other => panic!("{other:?}"),
    }
}

/// A breaker that opened at this time.
fn open(seconds: u64) -> Breaker {
    let mut breaker = Breaker::new(settings());
    for failures in 1..=3 {
        let pass = pass(&mut breaker, seconds);
        let change = breaker.report(pass, Report::Failure, None, at(seconds));
        assert_eq!(change, (failures == 3).then_some(Transition::Opened));
    }
    breaker
}

#[test]
fn only_failures_in_a_row_open_it() {
    let mut breaker = Breaker::new(settings());
    for _ in 0..10 {
        for report in [Report::Failure, Report::Failure, Report::Success] {
            let pass = pass(&mut breaker, 0);
            assert_eq!(breaker.report(pass, report, None, at(0)), None);
        }
    }
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[test]
fn while_it_is_open_one_probe_goes_in_each_interval() {
    let mut breaker = open(0);
    for start in [10, 25, 40] {
        assert_eq!(
            breaker.admit(at(start - 1)),
            Admission::NotBefore(at(start))
        );
        let probe = pass(&mut breaker, start);
        assert!(probe.is_probe());
        assert_eq!(
            breaker.admit(at(start + 4)),
            Admission::NotBefore(at(start + 4 + INTERVAL))
        );
        assert_eq!(
            breaker.report(probe, Report::Failure, None, at(start + 5)),
            None
        );
    }
}

#[test]
fn a_probe_that_never_ends_is_replaced_and_changes_nothing_later() {
    let mut breaker = open(0);
    let stuck = pass(&mut breaker, 10);
    assert_eq!(breaker.admit(at(11)), Admission::NotBefore(at(21)));
    assert_eq!(breaker.admit(at(39)), Admission::NotBefore(at(40)));
    let probe = pass(&mut breaker, 40);
    let before = breaker.clone();
    assert_eq!(breaker.report(stuck, Report::Success, None, at(41)), None);
    assert_eq!(breaker, before);
    assert_eq!(
        breaker.report(probe, Report::Success, None, at(42)),
        Some(Transition::Closed)
    );
}

#[test]
fn a_request_from_before_the_opening_does_not_close_it() {
    let mut breaker = Breaker::new(settings());
    let early = pass(&mut breaker, 0);
    for _ in 0..3 {
        let pass = pass(&mut breaker, 0);
        let _ = breaker.report(pass, Report::Failure, None, at(0));
    }
    assert_eq!(
        breaker.report(early, Report::Success, Some(at(99)), at(1)),
        None
    );
    assert_eq!(breaker.state(), BreakerState::Open);
    assert_eq!(breaker.admit(at(1)), Admission::NotBefore(at(10)));
}

#[test]
fn after_closing_the_limit_is_one_two_four_and_so_on() {
    let mut breaker = open(0);
    let probe = pass(&mut breaker, 10);
    let _ = breaker.report(probe, Report::Success, None, at(10));
    for limit in [1, 2, 4, 8, 8] {
        assert_eq!(breaker.limit(), limit);
        let passes: Vec<Pass> = (0..limit).map(|_| pass(&mut breaker, 11)).collect();
        assert_eq!(breaker.admit(at(11)), Admission::Busy);
        for pass in passes {
            assert_eq!(breaker.report(pass, Report::Success, None, at(11)), None);
        }
    }
}

#[test]
fn one_failure_on_the_ramp_opens_it_again() {
    let mut breaker = open(0);
    let probe = pass(&mut breaker, 10);
    let _ = breaker.report(probe, Report::Success, None, at(10));
    let first = pass(&mut breaker, 11);
    let change = breaker.report(first, Report::Failure, None, at(11));
    assert_eq!(change, Some(Transition::Opened));
}

#[test]
fn a_destination_that_refuses_every_event_is_paused_until_a_rare_probe_or_a_resume() {
    let mut breaker = Breaker::new(settings());
    let requests: Vec<Pass> = (0..LIMIT).map(|_| pass(&mut breaker, 0)).collect();
    let changes: Vec<_> = requests
        .into_iter()
        .filter_map(|pass| breaker.report(pass, Report::Pause, None, at(0)))
        .collect();
    assert_eq!(
        changes,
        [Transition::Paused],
        "one log line for all in flight"
    );
    assert_eq!(breaker.admit(at(99)), Admission::NotBefore(at(100)));
    let probe = pass(&mut breaker, 100);
    assert_eq!(breaker.report(probe, Report::Pause, None, at(101)), None);
    assert_eq!(breaker.admit(at(102)), Admission::NotBefore(at(201)));
    assert!(breaker.resume(at(102)));
    assert!(!breaker.resume(at(102)), "nothing more to resume");
    let probe = pass(&mut breaker, 102);
    assert!(!breaker.resume(at(103)), "the probe is under way");
    assert_eq!(breaker.admit(at(103)), Admission::NotBefore(at(113)));
    assert_eq!(
        breaker.report(probe, Report::Success, None, at(104)),
        Some(Transition::Closed)
    );
}

#[test]
fn a_destination_that_is_down_and_then_refuses_is_paused() {
    let mut breaker = open(0);
    let probe = pass(&mut breaker, 10);
    assert_eq!(
        breaker.report(probe, Report::Pause, None, at(11)),
        Some(Transition::Paused)
    );
    assert_eq!(breaker.admit(at(110)), Admission::NotBefore(at(111)));
}

#[test]
fn a_busy_destination_is_left_alone_for_as_long_as_it_asks() {
    let mut breaker = Breaker::new(settings());
    let (one, other) = (pass(&mut breaker, 0), pass(&mut breaker, 0));
    assert_eq!(breaker.report(one, Report::Busy, Some(at(60)), at(1)), None);
    assert_eq!(
        breaker.report(other, Report::Busy, Some(at(5)), at(2)),
        None
    );
    assert_eq!(breaker.admit(at(60)), Admission::NotBefore(at(61)));
    assert_eq!(breaker.state(), BreakerState::Closed);
    let next = pass(&mut breaker, 61);
    breaker.abandon(next, at(61));
    // A probe that is told to wait waits as well.
    let mut breaker = open(0);
    let probe = pass(&mut breaker, 10);
    let _ = breaker.report(probe, Report::Failure, Some(at(60)), at(11));
    assert_eq!(breaker.admit(at(30)), Admission::NotBefore(at(71)));
    assert!(breaker.resume(at(30)));
    assert!(pass(&mut breaker, 30).is_probe());
}

#[test]
fn a_cancelled_request_gives_its_place_back() {
    let mut breaker = Breaker::new(settings().with_in_flight_max(1));
    let cancelled = pass(&mut breaker, 0);
    assert_eq!(breaker.admit(at(0)), Admission::Busy);
    breaker.abandon(cancelled, at(0));
    let next = pass(&mut breaker, 0);
    breaker.abandon(next, at(0));
    let mut breaker = open(0);
    let cancelled = pass(&mut breaker, 10);
    breaker.abandon(cancelled, at(11));
    assert_eq!(
        breaker.admit(at(20)),
        Admission::NotBefore(at(21)),
        "not a second one yet"
    );
}

#[test]
fn times_without_an_end_are_no_panic() {
    let settings = settings()
        .with_interval(Duration::MAX)
        .with_probe_lease(Duration::MAX);
    let mut breaker = Breaker::new(settings.with_failures_max(1));
    let first = pass(&mut breaker, 5);
    let _ = breaker.report(first, Report::Failure, Some(Duration::MAX), at(5));
    assert_eq!(breaker.admit(at(6)), Admission::NotBefore(Duration::MAX));
    assert!(breaker.resume(at(7)));
    let probe = pass(&mut breaker, 7);
    breaker.abandon(probe, at(8));
}

#[derive(Debug, Clone)]
enum Step {
    Admit,
    Report(usize, Report, Option<u64>),
    Abandon(usize),
    Advance(u64),
    Resume,
}

fn any_step() -> impl Strategy<Value = Step> {
    let report = prop_oneof![
        3 => Just(Report::Success),
        3 => Just(Report::Failure),
        1 => Just(Report::Busy),
        1 => Just(Report::Pause),
    ];
    let hold = prop_oneof![9 => Just(None), 1 => (0_u64..20).prop_map(Some)];
    prop_oneof![
        6 => Just(Step::Admit),
        5 => (0_usize..64, report, hold).prop_map(|(which, report, hold)| Step::Report(which, report, hold)),
        1 => (0_usize..64).prop_map(Step::Abandon),
        3 => (0_u64..40).prop_map(Step::Advance),
        1 => Just(Step::Resume),
    ]
}

/// A request that has not ended.
struct Sent {
    pass: Pass,
    sent_at: u64,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn there_are_never_two_probes_and_late_answers_change_nothing(
        steps in prop::collection::vec(any_step(), 1..200),
    ) {
        let mut breaker = Breaker::new(settings());
        let mut now = 0;
        let mut sent: Vec<Sent> = Vec::new();
        // The probe that counts, and the earliest time of the next one unless the test resumes.
        let mut probe: Option<(u64, u64)> = None;
        let mut earliest = 0;
        // The requests of this epoch, and the successes at this limit.
        let (mut in_flight, mut successes) = (0, 0);
        for step in steps {
            match step {
                Step::Advance(seconds) => now += seconds,
                Step::Resume => {
                    breaker.resume(at(now));
                    earliest = now;
                }
                Step::Admit => match breaker.admit(at(now)) {
                    Admission::Send(pass) => {
                        match pass.probe {
                            Some(number) => {
                                let is_free = probe.is_none_or(|(_, until)| until <= now);
                                prop_assert!(is_free, "two probes at {now}");
                                prop_assert!(now >= earliest, "too early at {now}");
                                prop_assert_ne!(breaker.state(), BreakerState::Closed);
                                probe = Some((number, now + LEASE));
                            }
                            None => {
                                in_flight += 1;
                                prop_assert!(in_flight <= breaker.limit());
                                prop_assert_eq!(breaker.state(), BreakerState::Closed);
                            }
                        }
                        sent.push(Sent { pass, sent_at: now });
                    }
                    Admission::Busy => prop_assert_eq!(in_flight, breaker.limit()),
                    Admission::NotBefore(time) => prop_assert!(time > at(now)),
                },
                Step::Report(which, ..) | Step::Abandon(which) if !sent.is_empty() => {
                    let Sent { pass, sent_at } = sent.swap_remove(which % sent.len());
                    prop_assert!(sent_at <= now);
                    let is_late = pass.epoch != breaker.epoch
                        || pass.probe.is_some() && pass.probe != probe.map(|(number, _)| number);
                    let is_probe = pass.is_probe();
                    let (before, limit) = (breaker.clone(), breaker.limit());
                    let change = match step {
                        Step::Report(_, report, hold) => {
                            breaker.report(pass, report, hold.map(at), at(now))
                        }
                        _ => {
                            breaker.abandon(pass, at(now));
                            None
                        }
                    };
                    if is_late {
                        prop_assert_eq!(&breaker, &before);
                        prop_assert_eq!(change, None);
                        continue;
                    }
                    if is_probe {
                        probe = None;
                        earliest = now + INTERVAL;
                    } else {
                        in_flight -= 1;
                    }
                    match change {
                        Some(Transition::Closed) => {
                            prop_assert!(is_probe, "only a probe closes it");
                            prop_assert_eq!(breaker.limit(), 1);
                            (in_flight, successes, probe) = (0, 0, None);
                        }
                        Some(Transition::Opened) => (earliest, in_flight, probe) = (now + INTERVAL, 0, None),
                        Some(Transition::Paused) => (earliest, in_flight, probe) = (now + PAUSED_INTERVAL, 0, None),
                        None if is_probe => {}
                        None => {
                            let is_success = matches!(step, Step::Report(_, Report::Success, _));
                            successes += usize::from(is_success);
                            if breaker.limit() != limit {
                                prop_assert_eq!(breaker.limit(), 2 * limit);
                                prop_assert!(successes >= limit, "the ramp is too steep");
                                successes = 0;
                            }
                        }
                    }
                }
                Step::Report(..) | Step::Abandon(_) => {}
            }
        }
    }
}
