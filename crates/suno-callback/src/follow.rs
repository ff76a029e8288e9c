//! Following the events of a store so that none is missed, although a store with several writers may show
//! an event after one with a greater number. This does not wait for events: the caller decides when to look.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::key::EventId;
use crate::operations::Search;
use crate::store::{EventFilter, EventRecord, IdempotencyStore, ListRequest, Page, StoreError};

/// The maximum number of events that a store is asked for at a time.
const STEP: u32 = 500;

/// What a process knows about the numbers of the events of one store.
///
/// A store draws a number before it commits, so that a number that is missing in a list is either never
/// used, because a transaction was rolled back or an event was purged, or its event becomes visible later.
/// Numbers rise: all numbers below one that was visible were drawn before. So after
/// [`VISIBLE_WITHIN`](Self::VISIBLE_WITHIN) they are decided. All followers of a store can share a horizon.
///
/// ```
/// use std::time::Duration;
///
/// use suno_callback::{EventId, Horizon};
///
/// let (horizon, start) = (Horizon::default(), Duration::from_secs(100));
/// horizon.note(EventId(17), start);
/// assert_eq!(horizon.certain(start), EventId(0));
/// assert_eq!(horizon.certain(start + Horizon::VISIBLE_WITHIN), EventId(17));
/// ```
#[derive(Debug, Default)]
pub struct Horizon(Mutex<Sightings>);

/// Two sightings are enough: the horizon then lags behind by at most twice the time.
#[derive(Debug, Default)]
struct Sightings {
    certain: EventId,
    earlier: Option<Sighting>,
    latest: Option<Sighting>,
}

#[derive(Debug, Clone, Copy)]
struct Sighting {
    id: EventId,
    at: Duration,
}

impl Horizon {
    /// The time within which a drawn number is committed or never used. In PostgreSQL, an operation ends
    /// after 7 s, a statement after 6 s, and a transaction whose process is gone after 10 s.
    pub const VISIBLE_WITHIN: Duration = Duration::from_secs(30);

    /// Returns a number up to which every event is visible to a read that begins later than `now`, or
    /// never will be; 0 if none is known. `now` is the time of a monotonic clock.
    pub fn certain(&self, now: Duration) -> EventId {
        let mut sightings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_past = |it: &Sighting| now.saturating_sub(it.at) >= Self::VISIBLE_WITHIN;
        while let Some(past) = sightings.earlier.filter(is_past) {
            sightings.certain = past.id;
            sightings.earlier = sightings.latest.take();
        }
        sightings.certain
    }

    /// Notes that an event is visible. `now` is a time after it was read.
    pub fn note(&self, id: EventId, now: Duration) {
        let mut sightings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = sightings.latest.or(sightings.earlier);
        if id <= seen.map_or(sightings.certain, |seen| seen.id) {
            return;
        }
        let sighting = Some(Sighting { id, at: now });
        match sightings.earlier {
            None => sightings.earlier = sighting,
            Some(_) => sightings.latest = sighting,
        }
    }
}

/// A place in the list of events. A follower that begins there misses nothing.
///
/// As text it is one number, such as `17`. If events after it were read already, the last of them follows:
/// `17.30`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FollowCursor {
    through: EventId,
    last: EventId,
}

/// An error: a text is not a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a cursor is the number of an event, or two with a dot")]
pub struct InvalidFollowCursor(());

impl FollowCursor {
    /// Returns the place after an event, for a reader who has all events up to it.
    #[must_use]
    pub const fn after(id: EventId) -> Self {
        Self {
            through: id,
            last: id,
        }
    }

    /// Returns the number up to which nothing is missed. A reader who begins there later misses nothing;
    /// events with greater numbers may be repeated.
    #[must_use]
    pub const fn through(self) -> EventId {
        self.through
    }

    /// Returns the number up to which the list was read.
    #[must_use]
    pub const fn last(self) -> EventId {
        self.last
    }
}

impl fmt::Display for FollowCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.through == self.last {
            true => self.last.fmt(f),
            false => write!(f, "{}.{}", self.through, self.last),
        }
    }
}

impl FromStr for FollowCursor {
    type Err = InvalidFollowCursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = |text: &str| {
            let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
            let id = text.parse().ok().filter(|_| is_plain).map(EventId);
            id.ok_or(InvalidFollowCursor(()))
        };
        let (through, last) = text.split_once('.').unwrap_or((text, text));
        let (through, last) = (id(through)?, id(last)?);
        match through <= last {
            true => Ok(Self { through, last }),
            false => Err(InvalidFollowCursor(())),
        }
    }
}

/// Events that a follower has found.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct FollowedEvents {
    /// The events, in the order of their numbers, without their bodies.
    pub records: Vec<EventRecord>,
    /// Whether there may be more, even if there are no records.
    pub has_more: bool,
}

/// Reads the events of a store in the order of their numbers, and those that become visible late.
///
/// It remembers which numbers were missing when it passed them. [`late`](Self::late) reads those again,
/// until the [`Horizon`] says that they are decided. It returns no event twice, except those of the numbers
/// between the two of a cursor.
///
/// ```
/// use suno_callback::{FollowCursor, Follower, Horizon, MemoryStore, Search, SystemClock};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (store, horizon) = (MemoryStore::new(), Horizon::default());
/// let mut follower = Follower::new(FollowCursor::default(), Search::default());
/// // Repeated from time to time:
/// let late = follower.late(&store, &horizon, &SystemClock, None).await?;
/// let next = follower.next(&store, &horizon, &SystemClock, 100).await?;
/// for event in late.records.iter().chain(&next.records) {
///     println!("{}", event.key);
/// }
/// // A reader that begins here later misses nothing.
/// let place = follower.cursor().through();
/// # assert_eq!(place, suno_callback::EventId(0));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Follower {
    search: Search,
    last: EventId,
    /// Missing numbers up to `last`: the first and the last of each gap.
    gaps: BTreeMap<i64, i64>,
    is_overrun: bool,
}

impl Follower {
    /// The maximum number of gaps that are remembered.
    pub const GAPS_MAX: usize = 8_192;

    /// Creates a follower of the events that match a search.
    #[must_use]
    pub fn new(cursor: FollowCursor, search: Search) -> Self {
        let mut follower = Self {
            search,
            last: cursor.through,
            gaps: BTreeMap::new(),
            is_overrun: false,
        };
        follower.skip_to(cursor.last);
        follower
    }

    /// Returns where it is.
    #[must_use]
    pub fn cursor(&self) -> FollowCursor {
        FollowCursor {
            through: self.through(self.last),
            last: self.last,
        }
    }

    /// Returns the number up to which a reader has missed nothing who has read up to `id`.
    #[must_use]
    pub fn through(&self, id: EventId) -> EventId {
        let gap = self.gaps.first_key_value();
        gap.map_or(id, |(first, _)| id.min(EventId(first - 1)))
    }

    /// Returns whether gaps were forgotten since the last call, because there were more than
    /// [`GAPS_MAX`](Self::GAPS_MAX). Then an event may have been missed.
    #[must_use]
    pub fn take_overrun(&mut self) -> bool {
        std::mem::take(&mut self.is_overrun)
    }

    /// Returns the next events, at most `events_max`. One call asks the store once.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError`] if the store cannot be read. The call can be repeated.
    pub async fn next(
        &mut self,
        store: &dyn IdempotencyStore,
        horizon: &Horizon,
        clock: &dyn Clock,
        events_max: u32,
    ) -> Result<FollowedEvents, StoreError> {
        if self.search.task.is_some() {
            return self.next_of_task(store, events_max).await;
        }
        // Before the read, so that what is certain is visible to it.
        let certain = horizon.certain(clock.monotonic());
        if self.last < certain {
            return self.next_certain(store, certain, events_max).await;
        }
        // Without the conditions: an event that does not match leaves no gap.
        let step = match self.search == Search::default() {
            true => events_max.min(STEP),
            false => STEP,
        };
        let page = list(store, self.last, step).await?;
        if let Some(last) = page.records.last() {
            horizon.note(last.id, clock.monotonic());
        }
        let mut found = FollowedEvents::default();
        for record in page.records {
            if found.records.len() == events_max as usize {
                found.has_more = true;
                return Ok(found);
            }
            self.skip_to(EventId(record.id.0 - 1));
            self.last = record.id;
            if self.search.contains(&record) {
                found.records.push(record);
            }
        }
        if let Some(next) = page.next {
            self.skip_to(next);
            found.has_more = true;
        }
        Ok(found)
    }

    /// Reads the events of one task. A store decides about a task in one transaction after the other, so
    /// that they become visible in the order of their numbers.
    async fn next_of_task(
        &mut self,
        store: &dyn IdempotencyStore,
        events_max: u32,
    ) -> Result<FollowedEvents, StoreError> {
        let page = self.search.page(store, Some(self.last), events_max);
        let Page { records, next } = page.await?;
        let last = next.or(records.last().map(|record| record.id));
        self.last = last.unwrap_or(self.last);
        Ok(FollowedEvents {
            records,
            has_more: next.is_some(),
        })
    }

    /// Reads where no event can become visible any more, so that the store may filter.
    async fn next_certain(
        &mut self,
        store: &dyn IdempotencyStore,
        certain: EventId,
        events_max: u32,
    ) -> Result<FollowedEvents, StoreError> {
        let page = self.search.page(store, Some(self.last), events_max);
        let Page { mut records, next } = page.await?;
        let within = records.partition_point(|record| record.id <= certain);
        let has_passed = within < records.len();
        records.truncate(within);
        self.last = match next {
            Some(next) if !has_passed => next.min(certain),
            _ => certain,
        };
        Ok(FollowedEvents {
            records,
            has_more: true,
        })
    }

    /// Returns events that were not visible when their numbers were passed. With `numbers`, only the last
    /// so many numbers are read again, which is cheaper; do so without it from time to time.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError`] if the store cannot be read. The call can be repeated.
    pub async fn late(
        &mut self,
        store: &dyn IdempotencyStore,
        horizon: &Horizon,
        clock: &dyn Clock,
        numbers: Option<i64>,
    ) -> Result<FollowedEvents, StoreError> {
        // Before the reads: what is missing in them and certain is never used.
        let certain = horizon.certain(clock.monotonic());
        let mut found = FollowedEvents::default();
        let Some((_, &end)) = self.gaps.last_key_value() else {
            return Ok(found);
        };
        let mut from = numbers.map_or(0, |numbers| self.last.0.saturating_sub(numbers));
        while let Some(first) = self.first_missing(from) {
            if found.records.len() >= STEP as usize {
                found.has_more = true;
                return Ok(found);
            }
            let span = u32::try_from(end - first + 1).unwrap_or(STEP).min(STEP);
            let page = match list(store, EventId(first - 1), span).await {
                Ok(page) => page,
                // What was found is not in a gap any more, so it must be returned.
                Err(_) if !found.records.is_empty() => {
                    found.has_more = true;
                    return Ok(found);
                }
                Err(err) => return Err(err),
            };
            for record in page.records {
                if self.fill(record.id) && self.search.contains(&record) {
                    found.records.push(record);
                }
            }
            let Some(next) = page.next else { break };
            from = next.0.max(first).saturating_add(1);
        }
        if numbers.is_none() {
            self.forget(certain);
        }
        Ok(found)
    }

    /// Passes numbers whose events were not seen.
    fn skip_to(&mut self, id: EventId) {
        if id <= self.last {
            return;
        }
        self.gaps.insert(self.last.0 + 1, id.0);
        self.last = id;
        self.bound();
    }

    fn bound(&mut self) {
        while self.gaps.len() > Self::GAPS_MAX {
            self.gaps.pop_first();
            self.is_overrun = true;
        }
    }

    /// Returns the first missing number that is not below `from`.
    fn first_missing(&self, from: i64) -> Option<i64> {
        let before = self.gaps.range(..=from).next_back();
        match before.filter(|(_, last)| **last >= from) {
            Some(_) => Some(from),
            None => self.gaps.range(from..).next().map(|(first, _)| *first),
        }
    }

    /// Removes a number from its gap. Returns false if it is in none.
    fn fill(&mut self, id: EventId) -> bool {
        let gap = self.gaps.range(..=id.0).next_back();
        let Some((first, last)) = gap.map(|(first, last)| (*first, *last)) else {
            return false;
        };
        if last < id.0 {
            return false;
        }
        self.gaps.remove(&first);
        if first < id.0 {
            self.gaps.insert(first, id.0 - 1);
        }
        if id.0 < last {
            self.gaps.insert(id.0 + 1, last);
        }
        self.bound();
        true
    }

    /// Forgets missing numbers up to `certain`.
    fn forget(&mut self, certain: EventId) {
        while let Some(gap) = self.gaps.first_entry() {
            let (first, last) = (*gap.key(), *gap.get());
            if first > certain.0 {
                return;
            }
            gap.remove();
            if last > certain.0 {
                self.gaps.insert(certain.0 + 1, last);
            }
        }
    }
}

/// Returns the number of the latest event, found by binary search. It is 0 if the store has no events.
///
/// # Errors
///
/// Returns [`StoreError`] if the store cannot be read.
pub async fn latest_event(store: &dyn IdempotencyStore) -> Result<EventId, StoreError> {
    let (mut low, mut high) = (0_i64, i64::MAX);
    while low < high {
        // Rounded up, so that the range becomes smaller.
        let middle = low + (high - low) / 2 + (high - low) % 2;
        match list(store, EventId(middle - 1), 1).await?.records.first() {
            Some(event) => low = event.id.0,
            None => high = middle - 1,
        }
    }
    Ok(EventId(low))
}

/// Lists events after one, whatever they are.
async fn list(
    store: &dyn IdempotencyStore,
    after: EventId,
    events_max: u32,
) -> Result<Page<EventRecord>, StoreError> {
    let request = ListRequest::first(events_max, EventFilter::default());
    store.list(&request.with_after(after)).await
}
