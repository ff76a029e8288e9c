//! Checks revisions: what says more is handled, and what does not is not.

use super::*;

/// The number of tracks of a task whose second track became ready.
const FULLER: usize = 2;

impl Checker {
    /// Records a delivery of completion that reports more than one track.
    pub(super) fn says_more(&mut self, key: Key, results: u16) {
        let is_complete = key.stage == StageName::Complete;
        let task = &mut self.tasks[key.task];
        match usize::from(results) {
            FULLER if is_complete => task.has_fuller = true,
            results if results > FULLER => task.has_forged_fuller = true,
            _ => {}
        }
    }

    /// A handler is given more tracks than the handlers of earlier revisions that succeeded. If the
    /// provider's record confirms events, it is given no more than the task has.
    pub(super) fn says_more_than_before(&mut self, ticket: Ticket, key: Key, tracks: usize) {
        let is_earlier = |event: &&Event| {
            event.key.is_of_stage(key)
                && event.key.revision < key.revision
                && event
                    .handled
                    .is_some_and(|(before, succeeded)| succeeded && before >= tracks)
        };
        let earlier = self.events.values().find(is_earlier).map(|event| event.key);
        let is_redriven = self
            .events
            .get(&ticket.event)
            .is_some_and(|event| event.may_go_back);
        let says_more = earlier.is_none() || is_redriven;
        promise!(self, S10: says_more, "{key:?} has {tracks} tracks, like {earlier:?}");
        let is_known = key.stage != StageName::Other;
        if self.plan.knobs.confirm && is_known {
            let is_true = tracks <= FULLER;
            promise!(self, S10: is_true, "{key:?} is handled with {tracks} tracks");
        }
        if key.stage == StageName::Complete && tracks >= FULLER {
            self.tasks[key.task].is_fuller_handled = true;
        }
    }

    /// A second track that was reported was handled, unless its event is a dead letter or superseded.
    pub(crate) fn nothing_more_vanished(&mut self) {
        let may_purge = self.plan.knobs.keys_for_ms < 10 * 86_400_000;
        for task in 0..self.tasks.len() {
            let known = &self.tasks[task];
            // Without the provider's record, a forged body counts like a true one.
            let is_misled = !self.plan.knobs.confirm && known.has_forged_fuller;
            let is_excused = is_misled || may_purge;
            if !known.has_fuller || known.is_fuller_handled || is_excused {
                continue;
            }
            let key = Key::first(task, StageName::Complete);
            let is_other = |event: &Event| {
                let state = event.shown.state;
                let is_full = usize::from(event.shown.results) >= FULLER;
                is_open(state)
                    || state == StateName::Dead
                    || (state == StateName::Superseded && is_full)
            };
            let is_kept = self.find(key, is_other);
            promise!(self, S11: is_kept, "the second track of task {task} was not handled");
        }
    }
}
