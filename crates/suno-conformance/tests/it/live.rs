//! Receivers elsewhere are judged by what they answer and what they handle.

use std::time::{Duration, Instant};

use suno_callback::Verification;
use suno_conformance::{Events, Options, Target, run};

use crate::scene::{Desk, Fault, FileServer, KEYS, TOKEN, drive, fixtures, token};

/// What no receiver can be asked to do from outside.
const NEVER: [&str; 7] = [
    "receiver/duplicate-same-headers",
    "receiver/replay-at-300",
    "receiver/restart-duplicate",
    "receiver/restart-late-first",
    "receiver/revision-after-restart",
    "receiver/store-down",
    "receiver/store-down-undecodable",
];

#[test]
fn the_receiver_of_this_workspace_passes_with_two_keys() {
    let verification = Verification::webhook_key(KEYS[0]).with_webhook_key(KEYS[1]);
    let desk = Desk::start(Fault::None, verification);
    let target = desk
        .target()
        .with_webhook_key(KEYS[0])
        .with_webhook_key(KEYS[1]);
    let ran = drive(target, "*");
    assert!(ran.good, "{:#?}", ran.ids("failed"));
    let not_applicable = ran.ids("not_applicable");
    assert!(ran.ids("passed").len() > 60, "{}", ran.ids("passed").len());
    for id in not_applicable {
        assert!(
            NEVER.contains(&id) || id.contains("token"),
            "{id}: {}",
            ran.details(id)
        );
    }
}

#[test]
fn the_receiver_of_this_workspace_passes_with_a_token() {
    let desk = Desk::start(Fault::None, Verification::token(token()));
    let ran = drive(desk.target().with_token(TOKEN), "*token*");
    assert!(ran.good, "{:#?}", ran.ids("failed"));
    assert_eq!(ran.ids("passed").len(), 11);
}

#[test]
fn the_receiver_of_this_workspace_passes_with_a_key_and_a_token() {
    let verification = Verification::webhook_key(KEYS[0]).with_token(token());
    let desk = Desk::start(Fault::None, verification);
    let target = desk.target().with_webhook_key(KEYS[0]).with_token(TOKEN);
    let ran = drive(target, "*keys-and-token*");
    assert!(ran.good, "{:#?}", ran.ids("failed"));
    assert_eq!(ran.ids("passed").len(), 3);
}

#[test]
fn the_same_receiver_passes_again_although_it_remembers_the_first_run() {
    let desk = Desk::with_key(Fault::None);
    for _ in 0..2 {
        let ran = drive(desk.target().with_webhook_key(KEYS[0]), "*order*");
        assert!(ran.good, "{:#?}", ran.ids("failed"));
    }
}

#[test]
fn events_can_be_asked_for_over_http() {
    let desk = Desk::with_key(Fault::None);
    let list = FileServer::start(&desk.events);
    let target = desk.target().with_webhook_key(KEYS[0]);
    let ran = drive(target.with_events(list.url.parse().unwrap()), "*order*");
    assert!(ran.good, "{:#?}", ran.ids("failed"));

    let twice = Desk::with_key(Fault::HandlesTwice);
    let list = FileServer::start(&twice.events);
    let target = twice.target().with_webhook_key(KEYS[0]);
    let ran = drive(target.with_events(list.url.parse().unwrap()), "*order*");
    assert_eq!(ran.ids("passed"), Vec::<&str>::new());
}

#[test]
fn a_receiver_that_handles_nothing_is_found_out_in_bounded_time() {
    let desk = Desk::with_key(Fault::HandlesNothing);
    let target = desk.target().with_webhook_key(KEYS[0]);
    let start = Instant::now();
    let ran = drive(target, "*order*");
    assert_eq!(ran.ids("passed"), Vec::<&str>::new());
    assert!(
        start.elapsed() < Duration::from_secs(30),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn a_receiver_that_takes_everything_is_found_out() {
    let desk = Desk::with_key(Fault::TakesEverything);
    let ran = drive(desk.target().with_webhook_key(KEYS[0]), "*");
    assert!(!ran.good);
    let failed = ran.ids("failed");
    for id in [
        "unsigned",
        "wrong-key",
        "replay-after-window",
        "timestamp-ahead",
        "method-get",
        "other-path",
        "size-over-limit",
        "content-type-text",
        "ids-disagree",
        "not-json",
    ] {
        assert!(failed.contains(&&*format!("receiver/{id}")), "{id} passed");
    }
}

#[test]
fn a_receiver_that_handles_twice_is_found_out_by_its_events_alone() {
    let desk = Desk::with_key(Fault::HandlesTwice);
    let target = desk.target().with_webhook_key(KEYS[0]);
    let ran = drive(target, "*order*");
    assert_eq!(ran.ids("passed"), Vec::<&str>::new());
    assert!(
        ran.details("receiver/order-complete-only")
            .contains("handled")
    );

    let blind = Target::new(&desk.url).unwrap().with_webhook_key(KEYS[0]);
    assert!(drive(blind, "*order*").good);
}

#[test]
fn a_receiver_that_handles_late_and_repeated_stages_is_found_out() {
    let desk = Desk::with_key(Fault::HandlesEveryDelivery);
    let ran = drive(desk.target().with_webhook_key(KEYS[0]), "*");
    let failed = ran.ids("failed");
    for id in [
        "order-complete-first-text",
        "duplicate-refund",
        "failed-then-complete",
        "forged-after-true",
        "together-duplicates",
        "duplicate-new-urls",
    ] {
        assert!(failed.contains(&&*format!("receiver/{id}")), "{id} passed");
    }
    assert!(
        ran.ids("passed")
            .contains(&"receiver/order-text-first-complete")
    );
}

#[test]
fn a_receiver_that_does_not_answer_in_time_is_found_out() {
    let desk = Desk::with_key(Fault::Silent);
    let target = desk.target().with_webhook_key(KEYS[0]);
    let mut options = Options::new(fixtures());
    options.filter = Some("receiver/unknown-task".parse().unwrap());
    options.target = Some(target.with_answer_time_max(Duration::from_millis(300)));
    let mut out = Vec::new();
    assert!(!run(options, &mut out).unwrap());
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("no answer within 300ms"), "{text}");
    assert!(text.ends_with("0 passed, 1 failed, 0 failed as expected, 0 not applicable\n"));
}

#[test]
fn a_run_in_which_nothing_is_applicable_is_no_success() {
    let desk = Desk::with_key(Fault::None);
    let mut options = Options::new(fixtures());
    options.target = Some(Target::new(&desk.url).unwrap());
    let mut out = Vec::new();
    let err = run(options, &mut out).unwrap_err();
    assert!(err.to_string().contains("no case is applicable"), "{err:#}");
    let text = String::from_utf8(out).unwrap();
    assert!(
        text.contains("not applicable receiver/unsigned: it needs 1 webhook key"),
        "{text}"
    );
}

#[test]
fn a_target_or_events_that_cannot_be_reached_are_errors() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let desk = Desk::with_key(Fault::None);
    let missing = Events::File(desk.events.with_extension("missing"));
    for (target, reason) in [
        (Target::new(&nobody).unwrap(), "cannot reach the target"),
        (desk.target().with_events(missing), "cannot be read"),
    ] {
        let mut options = Options::new(fixtures());
        options.target = Some(target.with_webhook_key(KEYS[0]));
        let err = run(options, &mut Vec::new()).unwrap_err();
        assert!(format!("{err:#}").contains(reason), "{err:#}");
    }
    assert!(Target::new("ftp://localhost/").is_err());
    assert!(Target::new("/callback").is_err());
}
