//! Forwards callbacks from stdin, one body a line, and prints each attempt as a line of JSON. It ends
//! when every event is handled or a dead letter.
//!
//! ```sh
//! export SUNO_SIGNING_KEY=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw
//! echo '{"code":200,"msg":"ok","data":{"callbackType":"complete","task_id":"5c79be8e","data":[]}}' |
//!     cargo run -p suno-gateway --example forward -- http://127.0.0.1:3000/suno
//! ```

use std::error::Error;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use suno_callback::{
    Clock, Delivery, Dispatcher, EventKey, IdempotencyStore, Inbox, MemoryStore, SystemClock,
};
use suno_gateway::Observer;
use suno_gateway::attempt::Attempt;
use suno_gateway::breaker::Transition;
use suno_gateway::destination::DestinationName;
use suno_gateway::forward::ForwardHandler;
use suno_gateway::signing::{MessageId, Secret, Signer};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};

/// Prints each attempt.
struct Printer;

impl Observer for Printer {
    fn on_attempt(&self, _: &MessageId, _: &EventKey, attempt: &Attempt) {
        let line = serde_json::to_string(attempt).unwrap_or_default();
        // A closed stdout does not stop the forwarding.
        let _ = writeln!(std::io::stdout(), "{line}");
    }

    fn on_transition(&self, _: &DestinationName, _: Transition) {}
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let url = std::env::args().nth(1).ok_or("usage: forward URL")?;
    let secret = Secret::parse(&std::env::var("SUNO_SIGNING_KEY")?)?;
    let name = DestinationName::new("example")?;
    let handler = ForwardHandler::builder(name, &url, Signer::new([secret])?)?
        .with_observer(Arc::new(Printer))
        .build()?;

    // In production: a durable store, such as the one in suno-store-sqlite.
    let store = Arc::new(MemoryStore::new());
    let inbox = Inbox::start(store.clone());
    let dispatching = Dispatcher::new(inbox.clone(), handler).start();
    let mut lines = BufReader::new(stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let delivery = Delivery::decode(line.into(), SystemClock.now());
        inbox.accept(delivery).await?;
    }
    loop {
        let counts = store.counts().await?;
        if counts.ready + counts.claimed + counts.waiting == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    dispatching.stop().await;
    Ok(())
}
