//! A submit is written down before it is sent, and found again whatever happens in between.

use std::sync::Arc;
use std::time::Duration;

use suno_callback::serve::serve;
use suno_callback::{
    ClaimRequest, IdempotencyStore, Inbox, MemoryStore, OpenIntent, Receiver, Reconciler,
    Reference, SubmitOnce, Submitter, Verification, WorkerId,
};
use suno_client::{ApiKey, Client, Retry};
use suno_emulator::{Config, Emulator};
use suno_testkit::wrapper::Fault;
use suno_types::{AddInstrumental, Provider, Request, TaskId};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::logs::Logs;
use crate::scene::WatchedStore;

/// The provider, a receiver of its callbacks, and the ledger.
struct Desk {
    emulator: Emulator,
    client: Client,
    store: Arc<MemoryStore>,
    inbox: Inbox,
    callback_url: String,
    _stop: oneshot::Sender<()>,
}

impl Desk {
    async fn new() -> Self {
        // Fast enough that nobody waits, and all in the right order.
        let emulator = Emulator::start(Config::default().with_speed(1_000.0)).await;
        let emulator = emulator.unwrap();
        let client = client(&emulator, emulator.api_key());
        let store = Arc::new(MemoryStore::new());
        let inbox = Inbox::start(store.clone());
        // The emulator's clock is ahead by what it has run through.
        let verification = Verification::webhook_key(emulator.webhook_key().unwrap());
        let receiver = Receiver::new(inbox.clone(), verification.with_window(Duration::MAX));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(serve(listener, receiver, async {
            let _ = stopped.await;
        }));
        Self {
            emulator,
            client,
            store,
            inbox,
            callback_url: format!("http://{address}{}", Receiver::PATH),
            _stop: stop,
        }
    }

    fn submitter(&self) -> Submitter {
        Submitter::new(self.client.clone(), self.store.clone()).with_due_after(Duration::ZERO)
    }

    fn request(&self, title: &str) -> AddInstrumental {
        AddInstrumental::builder()
            .upload_url("https://files.example.com/hum.mp3")
            .title(title)
            .tags("piano")
            .negative_tags("drums")
            .callback_url(&*self.callback_url)
            .build()
            .unwrap()
    }

    /// The submits of which nothing was heard.
    async fn open(&self) -> Vec<OpenIntent> {
        let open = self.store.open_intents(Duration::ZERO, None, 9).await;
        open.unwrap()
    }

    /// The one task that the provider has, once it has ended and its callbacks are delivered.
    async fn only_task(&self) -> TaskId {
        self.emulator.idle().await;
        let tasks = self.emulator.tasks();
        assert_eq!(tasks.len(), 1, "{tasks:?}");
        tasks[0].task_id.parse().unwrap()
    }

    async fn stages(&self, task_id: &TaskId) -> Vec<String> {
        let events = self.store.find(task_id).await.unwrap();
        let stages = events.iter().map(|event| event.key.stage().to_string());
        stages.collect()
    }
}

pub(crate) fn client(emulator: &Emulator, key: &str) -> Client {
    Client::builder(Provider::Kie, ApiKey::new(key).unwrap())
        .base_url(emulator.base_url())
        .retry(Retry::new().with_attempts_max(1))
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_submit_is_expected_and_its_callbacks_come_to_its_own_address() {
    let desk = Desk::new().await;
    let submitted = desk.submitter().submit(&desk.request("Harbour")).await;
    let task_id = submitted.unwrap().task_id;
    assert_eq!(desk.only_task().await, task_id);
    assert_eq!(desk.open().await, []);
    assert_eq!(desk.stages(&task_id).await, ["text", "first", "complete"]);
    let attempts = desk.emulator.attempts();
    assert!(
        attempts
            .iter()
            .all(|attempt| attempt.outcome.is_delivered()),
        "{attempts:?}"
    );
    // Nothing is left to ask.
    let reconciler = Reconciler::new(desk.inbox.clone(), desk.client.clone());
    assert_eq!(reconciler.round().await.unwrap().asked, 0);
}

#[tokio::test]
async fn a_task_whose_callbacks_are_lost_is_found_by_the_client() {
    let desk = Desk::new().await;
    let request = desk.request("[emulator:drop]");
    let task_id = desk.submitter().submit(&request).await.unwrap().task_id;
    desk.only_task().await;
    assert_eq!(desk.stages(&task_id).await, [] as [&str; 0]);
    let reconciler = Reconciler::new(desk.inbox.clone(), desk.client.clone());
    let round = reconciler.round().await.unwrap();
    assert_eq!((round.asked, round.recovered), (1, 1));
    assert_eq!(desk.stages(&task_id).await, ["complete"]);
}

#[tokio::test]
async fn a_submit_whose_answer_was_lost_is_resolved_by_its_callback() {
    let desk = Desk::new().await;
    let request = desk.request("[emulator:cut,drop-complete]");
    let err = desk.submitter().submit(&request).await.unwrap_err();
    assert!(err.is_ambiguous(), "{err}");
    let task_id = desk.only_task().await;
    assert_eq!(desk.open().await, []);
    // Bound by the callbacks that came, it is asked about for the one that did not.
    let reconciler = Reconciler::new(desk.inbox.clone(), desk.client.clone());
    assert_eq!(reconciler.round().await.unwrap().recovered, 1);
    assert_eq!(desk.stages(&task_id).await, ["text", "first", "complete"]);
}

#[tokio::test]
async fn a_submit_whose_answer_and_callbacks_were_lost_stays_open() {
    let desk = Desk::new().await;
    let request = desk.request("[emulator:cut,drop]");
    let err = desk.submitter().submit(&request).await.unwrap_err();
    let submit = err.submit_id().unwrap();
    assert!(err.to_string().contains(&submit.to_string()), "{err}");
    desk.only_task().await;
    let open: Vec<_> = desk.open().await.iter().map(|open| open.submit).collect();
    assert_eq!(open, [submit]);
}

#[tokio::test]
async fn a_submit_that_was_refused_is_struck_out() {
    let desk = Desk::new().await;
    let wrong = client(&desk.emulator, "wrong-key");
    let submitter = Submitter::new(wrong, desk.store.clone());
    let err = submitter
        .submit(&desk.request("Harbour"))
        .await
        .unwrap_err();
    assert!(err.client_error().unwrap().is_unauthorized(), "{err}");
    assert!(!err.is_ambiguous());
    assert_eq!(desk.open().await, []);
    assert_eq!(desk.emulator.tasks(), []);
}

#[tokio::test]
async fn nothing_is_sent_that_cannot_be_written_down() {
    let desk = Desk::new().await;
    let down = Arc::new(WatchedStore::default());
    down.faults.set("intend", Fault::FAILS);
    let submitter = Submitter::new(desk.client.clone(), down);
    let err = submitter
        .submit(&desk.request("Harbour"))
        .await
        .unwrap_err();
    assert!(err.to_string().starts_with("nothing was sent"), "{err}");
    assert_eq!(desk.emulator.tasks(), []);
}

#[tokio::test]
async fn a_callback_that_comes_before_the_answer_is_no_stranger() {
    let desk = Desk::new().await;
    let request = desk.request("[emulator:early]");
    let submitted = desk.submitter().submit(&request).await.unwrap();
    assert_eq!(desk.only_task().await, submitted.task_id);
    assert_eq!(desk.open().await, []);
    let request = ClaimRequest::new(WorkerId(1), 1, Duration::from_secs(1), 9);
    assert_eq!(desk.store.claim(&request).await.unwrap().claims.len(), 1);
    assert_eq!(desk.stages(&submitted.task_id).await.len(), 3);
}

impl Desk {
    /// The references of the events of a task.
    async fn references(&self, task_id: &TaskId) -> Vec<Option<String>> {
        let events = self.store.find(task_id).await.unwrap().into_iter();
        let references = events.map(|event| event.reference.map(|name| name.to_string()));
        references.collect()
    }
}

#[tokio::test]
async fn every_event_carries_the_name_that_the_application_gave_to_its_submit() {
    let desk = Desk::new().await;
    let submitter = desk.submitter();
    let request = desk.request("Harbour");
    let submitted = submitter.submit_for("order-42", &request).await.unwrap();
    desk.only_task().await;
    let named = Some("order-42".to_owned());
    let references = desk.references(&submitted.task_id).await;
    assert_eq!(references, [named.clone(), named.clone(), named]);
}

#[tokio::test]
async fn the_name_comes_back_although_the_answer_was_lost_and_also_with_what_is_polled() {
    let desk = Desk::new().await;
    let request = desk.request("[emulator:cut,drop-complete]");
    let err = desk.submitter().submit_for("order-42", &request).await;
    assert!(err.unwrap_err().is_ambiguous());
    let task_id = desk.only_task().await;
    let reconciler = Reconciler::new(desk.inbox.clone(), desk.client.clone());
    assert_eq!(reconciler.round().await.unwrap().recovered, 1);
    assert_eq!(desk.stages(&task_id).await, ["text", "first", "complete"]);
    let named = Some("order-42".to_owned());
    let references = desk.references(&task_id).await;
    assert_eq!(references, [named.clone(), named.clone(), named]);
}

#[tokio::test]
async fn a_submit_of_which_nothing_was_heard_is_listed_with_its_name() {
    let desk = Desk::new().await;
    let order = Reference::new("order-42").unwrap();
    let request = desk.request("[emulator:cut,drop]");
    let submitted = desk.submitter().submit_for("order-42", &request).await;
    submitted.unwrap_err();
    assert_eq!(desk.open().await[0].reference, Some(order));
}

#[tokio::test]
async fn the_warning_that_no_callback_arrives_names_the_callback_url_without_its_secrets() {
    let logs = Logs::collect();
    let desk = Desk::new().await;
    let reconciler = Reconciler::new(desk.inbox.clone(), desk.client.clone());
    let submitter = desk.submitter().with_reconciler(&reconciler);
    for _ in 0..3 {
        let url = "http://127.0.0.1:1/cb/0123456789abcdef?token=secret";
        let request = desk.request("[emulator:drop]").with_callback_url(url);
        submitter.submit(&request.unwrap()).await.unwrap();
        desk.emulator.idle().await;
        assert_eq!(reconciler.round().await.unwrap().recovered, 1);
    }
    let lines = logs.lines("WARN", "callback URL http://127.0.0.1:1/cb/… reaches");
    assert_eq!(lines.len(), 1);
    assert!(!lines[0].contains("secret"), "{lines:?}");
}

/// The task of a submit, and whether it is new.
fn task(outcome: SubmitOnce) -> (TaskId, bool) {
    match outcome {
        SubmitOnce::Submitted {
            task_id, is_new, ..
        } => (task_id, is_new),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_reference_submits_once_also_after_a_restart_and_only_the_same_request() {
    let desk = Desk::new().await;
    let submitter = desk.submitter();
    let request = desk.request("Harbour");
    let first = submitter.submit_once("order-42", &request).await.unwrap();
    let (task_id, is_new) = task(first);
    assert!(is_new);
    let again = submitter.submit_once("order-42", &request).await.unwrap();
    assert_eq!(task(again), (task_id.clone(), false));
    let restarted = desk.submitter();
    let again = restarted.submit_once("order-42", &request).await.unwrap();
    assert_eq!(task(again), (task_id.clone(), false));
    let other = desk.request("Another");
    let refused = restarted.submit_once("order-42", &other).await.unwrap();
    assert_eq!(refused, SubmitOnce::OtherRequest);
    assert_eq!(desk.only_task().await, task_id);
    let second = submitter.submit_once("order-43", &other).await.unwrap();
    assert!(task(second).1);
    assert_eq!(desk.emulator.tasks().len(), 2);
}

#[tokio::test]
async fn a_submit_whose_outcome_is_unknown_is_not_repeated_until_its_callback_arrives() {
    let desk = Desk::new().await;
    let lost = desk.request("[emulator:cut,drop]");
    let first = desk.submitter().submit_once("order-42", &lost).await;
    let submit = first.unwrap_err().submit_id().unwrap();
    for _ in 0..2 {
        let again = desk.submitter().submit_once("order-42", &lost).await;
        match again.unwrap() {
            SubmitOnce::Unknown(open) => assert_eq!(open.submit, submit),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(desk.emulator.tasks().len(), 1);

    let heard = desk.request("[emulator:cut]");
    let first = desk.submitter().submit_once("order-43", &heard).await;
    assert!(first.unwrap_err().is_ambiguous());
    desk.emulator.idle().await;
    let again = desk.submitter().submit_once("order-43", &heard).await;
    assert!(!task(again.unwrap()).1);
    assert_eq!(desk.emulator.tasks().len(), 2);
}

#[tokio::test]
async fn a_submit_that_had_no_effect_can_be_made_again_under_its_reference() {
    let desk = Desk::new().await;
    let wrong_key = client(&desk.emulator, "not-the-key");
    let request = desk.request("Harbour");
    let refused = Submitter::new(wrong_key, desk.store.clone());
    let err = refused.submit_once("order-42", &request).await.unwrap_err();
    assert!(!err.is_ambiguous());
    let again = desk.submitter().submit_once("order-42", &request).await;
    assert!(task(again.unwrap()).1);
    desk.only_task().await;
}

#[tokio::test]
async fn of_calls_at_the_same_time_at_most_one_submits_in_one_process_or_in_two() {
    let desk = Desk::new().await;
    let request = desk.request("Harbour");
    let submitter = desk.submitter();
    let (one, other) = tokio::join!(
        submitter.submit_once("order-1", &request),
        submitter.submit_once("order-1", &request),
    );
    assert!(task(one.unwrap()).1);
    assert_eq!(other.unwrap(), SubmitOnce::InFlight);
    // Each with its own memory, as two processes have.
    for number in 0..8 {
        let reference = format!("two-{number}");
        let before = desk.emulator.tasks().len();
        let (first, second) = (desk.submitter(), desk.submitter());
        let (one, other) = tokio::join!(
            first.submit_once(&reference, &request),
            second.submit_once(&reference, &request),
        );
        let is_new =
            |outcome: &SubmitOnce| matches!(outcome, SubmitOnce::Submitted { is_new: true, .. });
        let new = [one.unwrap(), other.unwrap()]
            .iter()
            .filter(|one| is_new(one))
            .count();
        assert!(new <= 1);
        assert_eq!(desk.emulator.tasks().len(), before + new);
    }
}
