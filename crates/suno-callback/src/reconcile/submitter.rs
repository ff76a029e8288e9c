//! Records submits before they are sent.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use suno_client::Client;
use suno_types::{Request, SubmittedTask, TaskKind};

use super::Reconciler;
use super::once::{Content, InFlight, SubmitOnce, Turn, known};
use super::silence::Silence;
use super::submit_error::SubmitError;
use crate::clock::{Clock, SystemClock};
use crate::key::{Reference, SubmitId};
use crate::store::{ExpectedTask, IdempotencyStore, Intent};

/// Submits tasks, and records each submit in the store before it is sent and after the response.
///
/// It appends the submit id to the path of the request's callback URL, where
/// [`Receiver`](crate::Receiver) reads it: if the response to a submit is lost, the first callback
/// of its task makes the task known.
///
/// ```no_run
/// # use std::sync::Arc;
/// # use suno_callback::{IdempotencyStore, Inbox, MemoryStore, Reconciler, Submitter};
/// # async fn example(
/// #     client: suno_client::Client,
/// #     request: suno_types::AddInstrumental,
/// # ) -> Result<(), Box<dyn std::error::Error>> {
/// # let store = Arc::new(MemoryStore::new());
/// let inbox = Inbox::start(store.clone());
/// let reconciler = Reconciler::new(inbox, client.clone()).start();
///
/// let submitter = Submitter::new(client, store.clone());
/// match submitter.submit(&request).await {
///     Ok(submitted) => println!("task {}", submitted.task_id),
///     // The task may exist: wait for its callback before paying again.
///     Err(err) if err.is_ambiguous() => println!("submit {:?}", err.submit_id()),
///     Err(err) => return Err(err.into()),
/// }
///
/// // After a restart: what may have been paid for, and has been open for an hour.
/// for intent in store.open_intents(std::time::Duration::from_secs(3_600), None, 100).await? {
///     println!("submit {} of {} may have made a task", intent.submit, intent.intended_at);
/// }
/// # reconciler.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Submitter {
    client: Client,
    store: Arc<dyn IdempotencyStore>,
    clock: Arc<dyn Clock>,
    due_after: Duration,
    silence: Silence,
    /// What is being submitted once; shared by clones.
    in_flight: InFlight,
}

impl Submitter {
    /// Creates a submitter that submits with `client` and records in `store`.
    #[must_use]
    pub fn new(client: Client, store: Arc<dyn IdempotencyStore>) -> Self {
        Self {
            client,
            store,
            clock: Arc::new(SystemClock),
            due_after: Reconciler::DUE_AFTER,
            silence: Silence::default(),
            in_flight: InFlight::default(),
        }
    }

    /// Sets how long after a submit the provider is asked about its task if the last callback has
    /// not arrived.
    #[must_use]
    pub fn with_due_after(mut self, due_after: Duration) -> Self {
        self.due_after = due_after;
        self
    }

    /// Returns the route by which it submits, for which requests are built.
    #[must_use]
    pub fn route(&self) -> suno_types::Route {
        self.client.route()
    }

    /// Sets the clock that provides the times of submits.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Names the callback URL of submits in the warning of `reconciler` that no callback arrives.
    #[must_use]
    pub fn with_reconciler(mut self, reconciler: &Reconciler) -> Self {
        self.silence = reconciler.silence.clone();
        self
    }

    /// Records the submit, sends it, and registers its task as expected.
    ///
    /// If the task was created but could not be recorded, this is logged and is not an error: the
    /// first callback makes the task known.
    ///
    /// # Errors
    ///
    /// Returns [`SubmitError`] if no task id was received. If the error
    /// [`is_ambiguous`](SubmitError::is_ambiguous), the submit remains in
    /// [`IdempotencyStore::open_intents`] until a callback of its task arrives; do not submit again
    /// before you have checked.
    pub async fn submit(&self, request: &impl Request) -> Result<SubmittedTask, SubmitError> {
        self.submit_named(None, request).await
    }

    /// Like [`submit`](Self::submit), but records the application's own name for the submit with it,
    /// such as the number of an order. Every event of the task carries it
    /// ([`Event::reference`](crate::Event::reference)), also if the response to the submit is lost or
    /// the process ends before it arrives.
    ///
    /// ```no_run
    /// # use suno_callback::Submitter;
    /// # async fn example(
    /// #     submitter: Submitter,
    /// #     request: suno_types::AddInstrumental,
    /// # ) -> Result<(), Box<dyn std::error::Error>> {
    /// submitter.submit_for("order-42", &request).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`submit`](Self::submit), and if the name is not a [`Reference`].
    pub async fn submit_for(
        &self,
        reference: &str,
        request: &impl Request,
    ) -> Result<SubmittedTask, SubmitError> {
        self.submit_named(Some(Reference::new(reference)?), request)
            .await
    }

    /// Like [`submit_for`](Self::submit_for), but a task is submitted at most once under a reference,
    /// however often this is called, at the same time, by several processes on one store, or after a
    /// crash.
    ///
    /// A submit that failed without effect is forgotten, so that the next call submits. All others are
    /// known until the store purges keys; see
    /// [`PurgeRequest::KEYS_AFTER`](crate::PurgeRequest::KEYS_AFTER).
    ///
    /// ```no_run
    /// # use suno_callback::{SubmitOnce, Submitter};
    /// # async fn example(
    /// #     submitter: Submitter,
    /// #     request: suno_types::AddInstrumental,
    /// # ) -> Result<(), Box<dyn std::error::Error>> {
    /// match submitter.submit_once("order-42", &request).await? {
    ///     SubmitOnce::Submitted { task_id, is_new, .. } => println!("{task_id}, now: {is_new}"),
    ///     SubmitOnce::InFlight => println!("another call is submitting it"),
    ///     SubmitOnce::Unknown(submit) => println!("{} may have made a task", submit.submit),
    ///     SubmitOnce::OtherRequest => println!("order-42 was something else"),
    ///     _ => {}
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`submit_for`](Self::submit_for).
    pub async fn submit_once(
        &self,
        reference: &str,
        request: &impl Request,
    ) -> Result<SubmitOnce, SubmitError> {
        let reference = Reference::new(reference)?;
        let Some(_turn) = Turn::take(&self.in_flight, &reference) else {
            return Ok(SubmitOnce::InFlight);
        };
        let content = Content::of(request, self.client.route())?;
        let found = self.store.submits(&reference, SUBMITS_MAX).await?;
        if let Some(known) = known(found, &content) {
            return Ok(known);
        }
        let submit = content.submit_id(random()?);
        let prepared = self.prepare(submit, Some(reference.clone()), request)?;
        self.store.intend(&prepared.intent).await?;
        // Another process may have done the same since. At least one of the two sees that, and each
        // that does withdraws.
        let found = self.store.submits(&reference, SUBMITS_MAX).await;
        if found.as_ref().is_ok_and(|found| found.len() == 1) {
            let submitted = self.send(prepared).await?;
            return Ok(SubmitOnce::Submitted {
                task_id: submitted.task_id,
                submit,
                is_new: true,
            });
        }
        self.withdraw(submit).await;
        found?;
        Ok(SubmitOnce::InFlight)
    }

    async fn submit_named(
        &self,
        reference: Option<Reference>,
        request: &impl Request,
    ) -> Result<SubmittedTask, SubmitError> {
        let prepared = self.prepare(new_submit_id()?, reference, request)?;
        self.store.intend(&prepared.intent).await?;
        self.send(prepared).await
    }

    /// Puts the submit id into the request, and writes its intent.
    fn prepare<R: Request>(
        &self,
        submit: SubmitId,
        reference: Option<Reference>,
        request: &R,
    ) -> Result<Prepared<R>, SubmitError> {
        let callback_url = request.callback_url().map(str::to_owned);
        let mut renamed = request.clone();
        // By the jobs route, a task may have no callback URL: it is polled only.
        if let Some(url) = &callback_url {
            renamed = renamed.with_callback_url(named(url, submit))?;
        }
        let intent = Intent::new(submit, self.clock.now(), self.due_after)
            .with_kind(request.kind(self.client.route()))
            .with_reference(reference);
        Ok(Prepared {
            intent,
            request: renamed,
            callback_url,
        })
    }

    /// Sends a request whose intent was recorded.
    async fn send<R: Request>(&self, prepared: Prepared<R>) -> Result<SubmittedTask, SubmitError> {
        let Intent { submit, kind, .. } = prepared.intent;
        if let Some(url) = &prepared.callback_url {
            self.silence.note_callback_url(url);
        }
        match self.client.submit(&prepared.request).await {
            Ok(submitted) => {
                self.expect(submit, kind, &submitted).await;
                Ok(submitted)
            }
            Err(err) => {
                if !err.is_ambiguous() {
                    self.withdraw(submit).await;
                }
                Err(SubmitError::client(err, submit))
            }
        }
    }

    async fn expect(&self, submit: SubmitId, kind: TaskKind, submitted: &SubmittedTask) {
        let task = ExpectedTask::new(submitted.task_id.clone(), self.due_after)
            .with_submit(submit)
            .with_kind(kind);
        if let Err(err) = self.store.expect(&task).await {
            let err = &err as &dyn Error;
            tracing::error!(err, task_id = %submitted.task_id, "submitted, but the task could not be recorded");
        }
    }

    /// Removes the intent. If that fails, the submit remains in the open intents, which is safe.
    async fn withdraw(&self, submit: SubmitId) {
        if let Err(err) = self.store.withdraw(submit).await {
            let err = &err as &dyn Error;
            tracing::warn!(err, %submit, "the submit was not sent, but its intent could not be removed");
        }
    }
}

fn new_submit_id() -> Result<SubmitId, SubmitError> {
    Ok(SubmitId::from_bytes(random()?))
}

fn random<const N: usize>() -> Result<[u8; N], SubmitError> {
    let mut bytes = [0; N];
    match getrandom::fill(&mut bytes) {
        Ok(()) => Ok(bytes),
        Err(err) => Err(SubmitError::random(err.to_string())),
    }
}

/// The maximum number of submits of one reference that are looked at. More than one only if a
/// reference was used for several submits on purpose.
const SUBMITS_MAX: u32 = 64;

/// Appends a submit id to the path of a callback URL.
fn named(url: &str, submit: SubmitId) -> String {
    let path_end = url.find(['?', '#']).unwrap_or(url.len());
    let (path, rest) = url.split_at(path_end);
    format!("{}/{submit}{rest}", path.trim_end_matches('/'))
}

/// A request with its submit id in the callback URL.
struct Prepared<R> {
    intent: Intent,
    request: R,
    /// The callback URL without the id.
    callback_url: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_submit_stands_at_the_end_of_the_path() {
        let submit = SubmitId::from_bytes([0xab; 16]);
        for (url, expected) in [
            ("https://a.example/cb", "https://a.example/cb/NAME"),
            ("https://a.example/cb/", "https://a.example/cb/NAME"),
            ("https://a.example", "https://a.example/NAME"),
            (
                "https://a.example/cb?x=/#y",
                "https://a.example/cb/NAME?x=/#y",
            ),
        ] {
            let expected = expected.replace("NAME", &submit.to_string());
            assert_eq!(named(url, submit), expected);
        }
    }

    #[test]
    fn names_are_not_repeated() {
        assert_ne!(new_submit_id().unwrap(), new_submit_id().unwrap());
    }
}
