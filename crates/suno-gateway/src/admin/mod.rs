//! A local HTTP service for those who run a gateway, for their programs, and for monitoring.
//!
//! | path | answer |
//! | --- | --- |
//! | `GET /livez` | 200 if all loops work, else 503; `?verbose` lists them |
//! | `GET /readyz` | 200 if callbacks can be received, else 503; `?verbose` says why |
//! | `GET /metrics` | the metrics, for Prometheus |
//! | `GET /v1/events` | a page of events, or a stream of them as server-sent events |
//! | `GET /v1/events/{id}` | an event with its content and its task's other events |
//! | `POST /v1/events/{id}/redrive` | makes a settled event ready again |
//! | `POST /v1/events/{id}/replay` | sends it once more to a destination |
//! | `GET /v1/quarantine` | the deliveries that could not be decoded |
//! | `POST /v1/quarantine/{id}/retry` | decodes one again |
//! | `GET /v1/stats` | the number of events in each state |
//! | `GET /v1/stats/series` | the last hour, a sample every 15 s |
//! | `GET /v1/destinations` | the destinations and their states |
//! | `POST /v1/destinations/{name}/resume` | lets the next event go at once |
//! | `GET /v1/tasks` | the latest tasks, newest first, or what has changed |
//! | `POST /v1/tasks` | submits a task, once for each `Idempotency-Key` |
//! | `GET /v1/tasks/{id}` | everything that is known of a task |
//! | `GET /v1/emulator`, `POST /v1/emulator/tasks` | the scenarios of an emulator, and a task for it |
//! | `GET /v1/media/{event}/{track}/{kind}` | a file of a task, through this service |
//! | `POST /session` | a cookie for the token, for a page |
//! | `GET /openapi.json` | a description of all this |
//!
//! Errors are problem details (RFC 9457): `type` is stable, and no text repeats what was sent.
//!
//! The service is meant for loopback. Anyone who can reach another address needs a token, and pages
//! of other sites are refused: see the module's guard for the checks and their order. No `GET`
//! changes anything.
//!
//! ```
//! use std::sync::Arc;
//!
//! use suno_callback::MemoryStore;
//! use suno_gateway::admin::{Admin, AdminToken};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Admin::new(Arc::new(MemoryStore::new()))
//!     .with_token(AdminToken::new("a-token-that-is-long")?)
//!     .bind(([127, 0, 0, 1], 0).into())
//!     .await?;
//! println!("http://{}/", server.local_addr());
//! // Until a signal arrives, in a program.
//! server.run(async {}).await;
//! # Ok(())
//! # }
//! ```

mod answer;
mod app;
mod board;
mod body;
mod expected;
mod feed;
mod guard;
mod health;
mod page;
mod playground;
mod problem;
mod replay_counts;
mod routes;
mod samples;
mod server;
mod token;
mod v1;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use suno_callback::history::History;
use suno_callback::suno_client::Client;
use suno_callback::{Clock, IdempotencyStore, Submitter, SystemClock};
use tokio::net::TcpListener;
use tokio::sync::watch;

use answer::{Answerer, Refusals};
use app::App;
pub use app::Asset;
pub use feed::Feed;
use guard::Guard;
pub use health::{Health, HealthReport};
pub use playground::{Playground, PlaygroundTask, Scenario};
pub use token::{AdminToken, InvalidAdminToken};

use crate::Destination;
use crate::metrics::Scraper;

/// The settings of the service.
#[must_use = "it does nothing before `bind`"]
pub struct Admin {
    app: App,
    assets: Vec<Asset>,
    token: Option<AdminToken>,
    hosts: Vec<Box<str>>,
    is_behind_https: bool,
    has_open_metrics: bool,
}

/// A service that listens.
#[must_use = "it answers nothing before `run`"]
pub struct AdminServer {
    listener: TcpListener,
    address: SocketAddr,
    answerer: Arc<Answerer>,
    health: Option<Arc<Health>>,
    stopping: watch::Sender<bool>,
    app: Arc<App>,
}

/// An error: the service cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidAdmin {
    /// The address can be reached from other machines, and there is no token.
    #[error(
        "the admin address {0} can be reached from other machines, so anyone could read and replay \
         events; set a token, or use a loopback address such as 127.0.0.1"
    )]
    NoToken(SocketAddr),
    /// The operating system does not let this process listen there.
    #[error("the admin address {0} cannot be used; choose another one")]
    Listen(SocketAddr, #[source] io::Error),
}

impl Admin {
    /// Starts with a service that shows and redrives the events of a store, without a token.
    pub fn new(store: Arc<dyn IdempotencyStore>) -> Self {
        Self {
            app: App::new(store, Arc::new(SystemClock)),
            assets: Vec::new(),
            token: None,
            hosts: Vec::new(),
            is_behind_https: false,
            has_open_metrics: false,
        }
    }

    /// Demands this token for everything but `/livez`, `/readyz` and the files of a page.
    pub fn with_token(mut self, token: AdminToken) -> Self {
        self.token = Some(token);
        self
    }

    /// Answers requests for this host name as well. `localhost` and addresses need not be named.
    pub fn with_host(mut self, host: &str) -> Self {
        self.hosts.push(host.into());
        self
    }

    /// Says that a proxy in front of the service speaks HTTPS, so that the page's origin begins with
    /// `https`.
    pub fn with_https_in_front(mut self) -> Self {
        self.is_behind_https = true;
        self
    }

    /// Answers `/metrics` without the token.
    pub fn with_open_metrics(mut self) -> Self {
        self.has_open_metrics = true;
        self
    }

    /// Shows metrics.
    pub fn with_metrics(mut self, scraper: Scraper) -> Self {
        self.app.scraper = Some(Arc::new(scraper));
        self
    }

    /// Shows the health of a pipeline. Without it, `/readyz` answers 503.
    pub fn with_health(mut self, health: Arc<Health>) -> Self {
        self.app.health = Some(health);
        self
    }

    /// Wakes streams at once.
    pub fn with_feed(mut self, feed: Arc<Feed>) -> Self {
        self.app.feed = feed;
        self
    }

    /// Shows a destination, resumes it, and replays events to it. The first one of each name counts.
    pub fn with_destination(mut self, destination: Arc<dyn Destination>) -> Self {
        self.app.destinations.push(destination);
        self
    }

    /// Submits tasks. Its store must be that of the service.
    pub fn with_submitter(mut self, submitter: Submitter) -> Self {
        self.app.submitter = Some(submitter);
        self
    }

    /// Sets the callback URL of submits that name none.
    pub fn with_callback_url(mut self, url: &str) -> Self {
        self.app.callback_url = Some(url.to_owned());
        self
    }

    /// Marks what is decoded again from the quarantine as unconfirmed, as the pipeline does with
    /// callbacks.
    pub fn with_confirmation(mut self) -> Self {
        self.app.must_confirm = true;
        self
    }

    /// Shows what happened to the events of a task, such as each delivery and each attempt.
    pub fn with_history(mut self, history: Arc<dyn History>) -> Self {
        self.app.history = Some(history);
        self
    }

    /// Passes on the files of tasks with this client, which allows the addresses of a download. Without
    /// it, the page shows no covers and plays nothing.
    pub fn with_media(mut self, client: Client) -> Self {
        self.app.media = Some(client);
        self
    }

    /// Lets people submit tasks to an emulator.
    pub fn with_playground(mut self, playground: impl Playground) -> Self {
        self.app.playground = Some(Arc::new(playground));
        self
    }

    /// Serves the page for people: open the address in a browser.
    pub fn with_page(mut self) -> Self {
        self.assets.extend(page::assets());
        self
    }

    /// Serves a file of a page. It needs no token, so it must not contain data.
    pub fn with_asset(mut self, asset: Asset) -> Self {
        self.assets.push(asset);
        self
    }

    /// Sets the clock.
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.app.clock = Arc::new(clock);
        self
    }

    /// Listens on an address.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidAdmin`] if the address is not a loopback address and there is no token, or if
    /// it cannot be used.
    pub async fn bind(self, addr: SocketAddr) -> Result<AdminServer, InvalidAdmin> {
        if !addr.ip().to_canonical().is_loopback() && self.token.is_none() {
            return Err(InvalidAdmin::NoToken(addr));
        }
        let failed = |err| InvalidAdmin::Listen(addr, err);
        let listener = TcpListener::bind(addr).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let cookie: Box<str> = format!("suno_session_{}", address.port()).into();
        let stopping = watch::Sender::new(false);
        let mut app = self.app;
        app.session = self.token.as_ref().map(|token| {
            let value = token.session();
            format!("{cookie}={value}; Path=/; HttpOnly; SameSite=Strict")
        });
        app.stopping = stopping.subscribe();
        let health = app.health.clone();
        let clock = app.clock.clone();
        let pages = self.assets.iter().map(|asset| asset.path.clone()).collect();
        let app = Arc::new(app);
        let answerer = Answerer {
            guard: Guard {
                hosts: self.hosts,
                token: self.token,
                scheme: if self.is_behind_https {
                    "https"
                } else {
                    "http"
                },
                cookie,
            },
            router: routes::router(app.clone(), self.assets),
            pages,
            has_open_metrics: self.has_open_metrics,
            refusals: Refusals::new(clock),
        };
        Ok(AdminServer {
            listener,
            address,
            answerer: Arc::new(answerer),
            health,
            stopping,
            app,
        })
    }
}

impl AdminServer {
    /// Returns the address on which it listens, with the port that the operating system chose if it
    /// was 0.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until `stop` resolves. Then it closes streams, gives other requests five
    /// seconds, and returns.
    ///
    /// `/readyz` answers 503 from the stop on. Call [`Health::set_stopping`] when the stop of the
    /// process begins, and let `stop` resolve last, so that a load balancer sees it.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let answerer = self.answerer;
        let health = self.health;
        let stop = async {
            stop.await;
            if let Some(health) = health {
                health.set_stopping();
            }
        };
        let answer = Arc::new(move |request| answerer.clone().answer(request));
        let serving = server::serve(self.listener, answer, self.stopping, stop);
        let app = self.app;
        let sampling = async {
            app.begin().await;
            match &app.scraper {
                Some(scraper) => app.samples.keep(scraper).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = serving => {}
            () = sampling => {}
        }
    }
}

/// Leaves out the token, and what has no useful form.
impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin")
            .field("token", &self.token)
            .field("hosts", &self.hosts)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for AdminServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminServer")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
