//! An observer is told every step between the provider and a handler.

use std::sync::{Arc, Mutex};

use suno_callback::{
    Acceptance, CommitReport, DeadLetter, Delivery, EventId, HandledReport, HandlerError,
    MemoryStore, Observer, Pipeline, ResponseReport, Verification, handler_fn,
};

use crate::scene::{HandClock, KEY, TASK, body, pass, signed};

/// Keeps a line for each report.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    fn line(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    fn lines(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Observer for Told {
    fn on_response(&self, response: &ResponseReport) {
        let status = response.status.as_u16();
        let reason = response.reason.as_deref().unwrap_or("stored");
        self.line(format!(
            "{status} {reason}, timed {}",
            response.took.is_some()
        ));
    }

    fn on_commit(&self, commit: &CommitReport) {
        self.line(format!("{} of {} stored", commit.stored, commit.deliveries));
    }

    fn on_delivery(&self, delivery: &Delivery, accepted: Acceptance) {
        let task = delivery.task_id().unwrap();
        self.line(format!("{task} {accepted:?}"));
    }

    fn on_handled(&self, handled: &HandledReport<'_>) {
        let attempt = handled.event.attempt();
        self.line(format!("attempt {attempt} {}", handled.outcome.as_str()));
    }

    fn on_dead_letter(&self, letter: &DeadLetter) {
        self.line(format!("dead letter: {}", letter.cause));
    }

    fn on_claim_lost(&self, event: EventId) {
        self.line(format!("claim of {event} lost"));
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_is_told_each_step_in_its_order() {
    let told = Told::default();
    let outcomes = [
        Err(HandlerError::not_now("down")),
        Err(HandlerError::retry("away")),
        Err(HandlerError::give_up("bad")),
    ];
    let outcomes = Mutex::new(outcomes.into_iter());
    let handler = handler_fn(move |_| {
        let outcome = outcomes.lock().unwrap().next().unwrap();
        async { outcome }
    });
    let pipeline = Pipeline::builder(
        Arc::new(MemoryStore::new()),
        handler,
        Verification::webhook_key(KEY),
    )
    .receiver(|receiver| receiver.with_clock(HandClock::new()))
    .with_observer(told.clone())
    .start()
    .unwrap();

    let forged = http::Request::post("/suno/callback");
    let receiver = pipeline.receiver();
    let answer = receiver
        .receive(forged.body(Default::default()).unwrap())
        .await;
    assert_eq!(answer.status(), 401);
    let [refused] = &told.lines()[..] else {
        panic!()
    };
    assert!(
        refused.starts_with("401 ") && refused.ends_with(", timed false"),
        "{refused}"
    );

    let request = signed(TASK, &body(TASK, "complete"));
    assert_eq!(receiver.receive(request).await.status(), 200);
    let stored = [
        "1 of 1 stored",
        &format!("{TASK} New"),
        "200 stored, timed true",
    ];
    assert_eq!(told.lines(), stored);

    pass(60).await;
    pipeline.stop().await;
    // What could not be tried does not count as an attempt.
    let handled = [
        "attempt 1 not_now",
        "attempt 1 retried",
        "attempt 2 dead",
        "dead letter: given_up",
    ];
    assert_eq!(told.lines(), handled);
}
