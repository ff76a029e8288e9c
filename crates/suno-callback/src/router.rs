//! A receiver as routes of an axum application.

use axum::Router;

use crate::service::CallbackService;

/// Returns the routes of a receiver, to be merged or nested into those of an application. They
/// match every URL that the receiver accepts: its path, with what a token and
/// [`Submitter`](crate::Submitter) append to it.
///
/// If they are nested, the callback URL begins with the prefix: nested under `/hooks`, a receiver
/// with the path `/suno/callback` has the URL path `/hooks/suno/callback`.
///
/// `axum::serve` limits neither the number of connections nor the time that a head may take: put a
/// proxy in front of it, or use the module `serve`.
///
/// ```
/// # use std::sync::Arc;
/// # use suno_callback::{Inbox, MemoryStore, Receiver, Verification};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # let inbox = Inbox::start(Arc::new(MemoryStore::new()));
/// # let receiver = Receiver::new(inbox, Verification::webhook_key("whk_demo_key"));
/// use axum::Router;
/// use axum::routing::get;
///
/// let app: Router = Router::new()
///     .route("/health", get(async || "ok"))
///     .merge(suno_callback::router(receiver));
/// # let _ = app;
/// # }
/// ```
pub fn router<S>(receiver: impl Into<CallbackService>) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let service = receiver.into();
    // In a route, braces would be placeholders.
    let path = service.path().replace('{', "{{").replace('}', "}}");
    let mut router = Router::new()
        .route_service(&format!("{path}/"), service.clone())
        .route_service(&format!("{path}/{{*rest}}"), service.clone());
    if !path.is_empty() {
        router = router.route_service(&path, service);
    }
    router
}
