//! The pool of connections to receivers.

use std::time::Duration;

use hyper_util::client::legacy::{Builder, Client};
use hyper_util::rt::TokioTimer;

use crate::background::BackgroundTasks;

/// The maximum number of idle connections to one receiver.
const IDLE_CONNECTIONS_MAX: usize = 64;
/// The lifetime of an idle connection. It is shorter than servers usually wait, so that a callback
/// is rarely sent into a connection that the receiver is closing.
const IDLE_MAX: Duration = Duration::from_secs(2);

/// Configures the pool, for connections with and without TLS.
pub(crate) fn client_builder(tasks: BackgroundTasks) -> Builder {
    let mut builder = Client::builder(tasks);
    builder
        // The provider's pages spell headers like this, and some receivers may depend on it.
        .http1_title_case_headers(true)
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_MAX)
        .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX);
    builder
}
