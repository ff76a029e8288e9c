//! How connections to receivers are kept and used again.

use std::time::Duration;

use hyper_util::client::legacy::{Builder, Client};
use hyper_util::rt::TokioTimer;

use crate::background::BackgroundTasks;

/// How many idle connections to one receiver are kept.
const IDLE_CONNECTIONS_MAX: usize = 64;
/// How long an idle connection is kept. Shorter than servers usually wait, so that a callback is
/// seldom sent into a connection that the receiver is about to close.
const IDLE_MAX: Duration = Duration::from_secs(2);

/// How connections are kept, whether they are encrypted or not.
pub(crate) fn client_builder(tasks: BackgroundTasks) -> Builder {
    let mut builder = Client::builder(tasks);
    builder
        // As the pages spell them, for receivers that look for exactly that.
        .http1_title_case_headers(true)
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_MAX)
        .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX);
    builder
}
