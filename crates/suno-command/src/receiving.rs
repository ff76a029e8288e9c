//! A receiver beside an emulator in this process: for the demo, and for the page of the emulator.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::anyhow;
use suno_callback::history::History;
use suno_callback::serve::serve;
use suno_callback::{
    CallbackHandler, IdempotencyStore, Observer, Pipeline, Receiver, Verification,
};
use suno_client::{ApiKey, Client};
use suno_emulator::Emulator;
use suno_types::Provider;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::failure::Failure;
use crate::playground::Playground;
use crate::watching::Watching;
use crate::{advice, provider};

/// A running receiver of an emulator's callbacks.
pub(crate) struct Receiving {
    /// The callback URL.
    pub(crate) url: String,
    pub(crate) pipeline: Pipeline,
    pub(crate) client: Client,
    watching: Watching,
    server: JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

/// A page that is being served.
pub(crate) struct Page {
    /// The URL of the page.
    pub(crate) url: String,
    /// What the form of the page submits with.
    pub(crate) playground: Option<Playground>,
    server: JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

impl Receiving {
    /// Starts a receiver on a free loopback port.
    pub(crate) async fn start(
        emulator: &Emulator,
        store: Arc<dyn IdempotencyStore>,
        history: Arc<dyn History>,
        handler: impl CallbackHandler,
    ) -> Result<Self, Failure> {
        let verification = match emulator.webhook_key() {
            Some(key) => Verification::webhook_key(key),
            None => {
                return Err(Failure::usage(anyhow!(
                    "the emulator does not sign callbacks, so a receiver would refuse them"
                )));
            }
        };
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .map_err(|err| Failure::failed(err).context("the receiver cannot listen"))?;
        let address = listener.local_addr().map_err(Failure::failed)?;
        let client = client(emulator)?;
        let watching = Watching::start(store.clone(), history, None, std::iter::empty())?;
        let observers: Vec<Arc<dyn Observer>> = watching.of_pipeline(false);
        let pipeline = Pipeline::builder(store, handler, verification)
            .with_client(client.clone())
            .with_observer(observers)
            .start()
            .map_err(Failure::failed)?;
        watching.set_monitor(&pipeline);
        let (stop, stopped) = oneshot::channel();
        Ok(Self {
            url: format!("http://{address}{}", Receiver::PATH),
            server: tokio::spawn(serve(listener, pipeline.receiver(), async {
                let _ = stopped.await;
            })),
            pipeline,
            client,
            watching,
            stop,
        })
    }

    /// Serves the page, with a form that submits tasks to the emulator.
    pub(crate) async fn show(
        &self,
        emulator: &Arc<Emulator>,
        addr: SocketAddr,
    ) -> Result<Page, Failure> {
        let mut admin = self.watching.admin(self.client.clone());
        let submitter = self.pipeline.submitter().cloned();
        let playground =
            submitter.map(|submitter| Playground::new(emulator.clone(), submitter, &self.url));
        if let Some(playground) = &playground {
            admin = admin.with_playground(playground.clone());
        }
        let admin = admin.bind(addr).await.map_err(|err| {
            Failure::usage(err).context("the page cannot be served at the address of --page")
        })?;
        let url = format!("http://{}/", admin.local_addr());
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(admin.run(async {
            let _ = stopped.await;
        }));
        Ok(Page {
            url,
            playground,
            server,
            stop,
        })
    }

    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.server.await;
        self.pipeline.stop().await;
        self.watching.stop().await;
    }
}

impl Page {
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.server.await;
    }
}

fn client(emulator: &Emulator) -> Result<Client, Failure> {
    let key = ApiKey::new(emulator.api_key()).map_err(advice::failure)?;
    provider::at(Client::builder(Provider::Kie, key), emulator.base_url())
}
