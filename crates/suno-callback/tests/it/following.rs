//! Followers of a store whose events become visible out of order: nothing is missed.

use std::collections::BTreeSet;
use std::time::Duration;

use suno_callback::{
    EventFilter, EventId, FollowCursor, Follower, Horizon, IdempotencyStore, Search, StateName,
    latest_event,
};
use suno_testkit::clock::HandClock;
use suno_testkit::late::LateStore;
use suno_testkit::wrapper::{Fault, Wrapped, Wrapper};

use crate::scene::delivery;

/// A store with the events 1, 2, 3 and so on, and what its readers know of it.
struct Desk {
    store: Wrapped<LateStore>,
    horizon: Horizon,
    clock: HandClock,
    /// The maximum number of events that are asked for at a time.
    step: u32,
}

impl Desk {
    async fn with_events(count: i64, hidden: &[i64]) -> Self {
        let desk = Self {
            store: Wrapped(LateStore::default()),
            horizon: Horizon::default(),
            clock: HandClock::at_millis(1_000),
            step: 3,
        };
        hidden.iter().for_each(|id| desk.store.hide(*id));
        desk.add(1..=count).await;
        desk
    }

    async fn add(&self, ids: impl Iterator<Item = i64>) {
        for id in ids {
            let delivery = delivery(&format!("t{id}"), "complete");
            self.store.accept(&[delivery]).await.unwrap();
        }
    }

    fn follower(&self, cursor: &str) -> Follower {
        Follower::new(cursor.parse().unwrap(), Search::default())
    }

    /// The numbers of everything that a look finds.
    async fn look(&self, follower: &mut Follower) -> Vec<i64> {
        let mut ids = Vec::new();
        let late = follower.late(&self.store, &self.horizon, &self.clock, None);
        ids.extend(late.await.unwrap().records.iter().map(|event| event.id.0));
        loop {
            let found = follower.next(&self.store, &self.horizon, &self.clock, self.step);
            let found = found.await.unwrap();
            ids.extend(found.records.iter().map(|event| event.id.0));
            if !found.has_more {
                return ids;
            }
        }
    }
}

#[tokio::test]
async fn what_becomes_visible_late_is_found_by_an_open_reader_and_by_one_who_returns() {
    let desk = Desk::with_events(6, &[3, 5]).await;
    let mut open = desk.follower("0");
    assert_eq!(desk.look(&mut open).await, [1, 2, 4, 6]);
    assert_eq!(open.cursor().to_string(), "2.6");
    assert_eq!(open.through(EventId(1)), EventId(1));
    desk.store.show(3);
    assert_eq!(desk.look(&mut open).await, [3]);
    assert_eq!(open.cursor().to_string(), "4.6");
    // One who has lost the connection repeats an event, and misses none.
    let through = open.cursor().through();
    desk.store.show(5);
    let mut back = Follower::new(FollowCursor::after(through), Search::default());
    assert_eq!(desk.look(&mut back).await, [5, 6]);
    assert_eq!(desk.look(&mut open).await, [5]);
    assert_eq!(open.cursor(), FollowCursor::after(EventId(6)));
    // One who pages goes on, and keeps the place to which it has to return.
    let mut page = desk.follower("2.5");
    let found = page.next(&desk.store, &desk.horizon, &desk.clock, 10);
    assert_eq!(found.await.unwrap().records.len(), 1);
    assert_eq!(page.cursor().to_string(), "2.6");
}

#[tokio::test]
async fn without_gaps_a_cursor_is_the_last_event_and_nothing_is_repeated() {
    let desk = Desk::with_events(10, &[]).await;
    let mut follower = desk.follower("0");
    assert_eq!(desk.look(&mut follower).await, (1..=10).collect::<Vec<_>>());
    assert_eq!(follower.cursor().to_string(), "10");
    desk.add(11..=12).await;
    let mut back = Follower::new(follower.cursor(), Search::default());
    assert_eq!(desk.look(&mut back).await, [11, 12]);
}

#[tokio::test]
async fn a_number_that_is_never_used_holds_a_cursor_up_only_until_it_is_decided() {
    let desk = Desk::with_events(4, &[2]).await;
    let mut follower = desk.follower("0");
    desk.look(&mut follower).await;
    desk.clock
        .step(Horizon::VISIBLE_WITHIN - Duration::from_millis(1));
    desk.look(&mut follower).await;
    assert_eq!(follower.cursor().to_string(), "1.4");
    // It becomes visible in the last moment: the look after which it would be forgotten finds it.
    desk.store.hide(5);
    desk.add(5..=6).await;
    desk.store.show(2);
    desk.clock.step(Duration::from_millis(1));
    assert_eq!(desk.look(&mut follower).await, [2, 6]);
    assert_eq!(follower.cursor().to_string(), "4.6");
    desk.clock.step(Horizon::VISIBLE_WITHIN);
    desk.look(&mut follower).await;
    assert_eq!(follower.cursor().to_string(), "6");
    // A new reader does not look for it either.
    let mut new = desk.follower("0");
    assert_eq!(desk.look(&mut new).await, [1, 2, 3, 4, 6]);
    assert_eq!(new.cursor().to_string(), "6");
}

#[tokio::test]
async fn what_does_not_match_leaves_no_gap_and_a_late_match_is_found() {
    let desk = Desk::with_events(4, &[]).await;
    desk.store.hide(5);
    desk.store.accept(&[delivery("t5", "text")]).await.unwrap();
    desk.add(6..=9).await;
    let search = Search::new(EventFilter::in_state(StateName::Ready).with_stage("text".into()));
    let mut follower = Follower::new(FollowCursor::default(), search);
    assert!(desk.look(&mut follower).await.is_empty());
    assert_eq!(follower.cursor().to_string(), "4.9");
    desk.store.show(5);
    assert_eq!(desk.look(&mut follower).await, [5]);
    assert_eq!(follower.cursor().to_string(), "9");
}

#[tokio::test]
async fn a_store_that_fails_loses_nothing() {
    let desk = Desk::with_events(3, &[2]).await;
    let mut follower = desk.follower("0");
    desk.look(&mut follower).await;
    desk.store.show(2);
    desk.store.faults().set("list", Fault::FAILS);
    let late = follower.late(&desk.store, &desk.horizon, &desk.clock, None);
    late.await.unwrap_err();
    desk.store.faults().mend();
    assert_eq!(desk.look(&mut follower).await, [2]);
}

#[tokio::test]
async fn gaps_are_bounded_and_a_reader_learns_that_some_were_forgotten() {
    let gaps = i64::try_from(Follower::GAPS_MAX).unwrap();
    let hidden: Vec<_> = (0..=gaps).map(|gap| 2 * gap + 1).collect();
    let mut desk = Desk::with_events(2 * gaps + 2, &hidden).await;
    desk.step = 500;
    let mut follower = desk.follower("0");
    desk.look(&mut follower).await;
    assert!(follower.take_overrun());
    assert!(!follower.take_overrun());
    assert_eq!(follower.cursor().through(), EventId(2));
}

#[tokio::test]
async fn the_latest_event_is_found() {
    for count in [0, 1, 5] {
        let desk = Desk::with_events(count, &[]).await;
        assert_eq!(latest_event(&desk.store).await.unwrap(), EventId(count));
    }
}

#[test]
fn a_cursor_is_a_number_or_two_in_order() {
    for text in ["0", "17", "17.30", "9223372036854775807"] {
        let cursor: FollowCursor = text.parse().unwrap();
        assert_eq!(cursor.to_string(), text);
    }
    for text in [
        "",
        ".",
        "1.",
        ".1",
        "-1",
        "+1",
        "2.1",
        "1.2.3",
        "9223372036854775808",
    ] {
        assert!(text.parse::<FollowCursor>().is_err(), "{text}");
    }
}

/// Each round is drawn from its number: which events are hidden, when each is shown, which are never
/// used, when the clock moves, and when a reader loses its connection.
#[tokio::test]
async fn whatever_the_order_in_which_events_become_visible_no_reader_misses_one() {
    const EVENTS: i64 = 40;
    for round in 0..300_u64 {
        let mut state = round.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut draw = |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let desk = Desk::with_events(0, &[]).await;
        let (mut hidden, mut never, mut hidden_at) = (Vec::new(), BTreeSet::new(), [0_u64; 41]);
        let (mut now, mut stored) = (0_u64, 0);
        let mut open = desk.follower("0");
        let (mut seen_open, mut seen_back) = (BTreeSet::new(), BTreeSet::new());
        let mut place = FollowCursor::default();
        while stored < EVENTS || !hidden.is_empty() {
            match draw(6) {
                0..=1 if stored < EVENTS => {
                    stored += 1;
                    match draw(4) {
                        0 => {
                            desk.store.hide(stored);
                            hidden.push(stored);
                            hidden_at[usize::try_from(stored).unwrap()] = now;
                        }
                        1 => {
                            desk.store.hide(stored);
                            never.insert(stored);
                        }
                        _ => {}
                    }
                    desk.add(stored..=stored).await;
                }
                2 if !hidden.is_empty() => {
                    let place = draw(hidden.len() as u64);
                    desk.store
                        .show(hidden.swap_remove(usize::try_from(place).unwrap()));
                }
                3 => {
                    // A transaction ends in time, so the clock waits for it.
                    let open_since = hidden
                        .iter()
                        .map(|id| hidden_at[usize::try_from(*id).unwrap()]);
                    let end = open_since.min().map_or(u64::MAX, |since| since + 29);
                    let step = draw(20).min(end.saturating_sub(now));
                    now += step;
                    desk.clock.step(Duration::from_secs(step));
                }
                4 => {
                    for id in desk.look(&mut open).await {
                        assert!(seen_open.insert(id), "round {round}: {id} was repeated");
                    }
                }
                _ => {
                    let mut back =
                        Follower::new(FollowCursor::after(place.through()), Search::default());
                    seen_back.extend(desk.look(&mut back).await);
                    place = back.cursor();
                }
            }
        }
        seen_open.extend(desk.look(&mut open).await);
        let mut back = Follower::new(FollowCursor::after(place.through()), Search::default());
        seen_back.extend(desk.look(&mut back).await);
        let all: BTreeSet<_> = (1..=EVENTS).filter(|id| !never.contains(id)).collect();
        assert_eq!(seen_open, all, "round {round}");
        assert_eq!(seen_back, all, "round {round}");
    }
}
