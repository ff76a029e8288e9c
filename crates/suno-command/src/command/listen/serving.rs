//! The servers of `suno listen`, and the order in which everything stops.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use rustls::ServerConfig;
use suno_callback::Pipeline;
use suno_callback::serve::{CertificateFiles, Serve, bind};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::Arguments;
use super::gateway::Gateway;
use crate::failure::Failure;
use crate::notify::Notifier;
use crate::watching::Watching;

/// Where callbacks arrive: the socket, and the certificate if there is one.
pub(super) struct Door {
    listener: TcpListener,
    certificate: Option<CertificateFiles>,
    tls: Option<ServerConfig>,
    pub(super) url: String,
}

impl Door {
    pub(super) fn open(
        arguments: &Arguments,
        certificate: Option<CertificateFiles>,
    ) -> Result<Self, Failure> {
        let tls = certificate.as_ref().map(CertificateFiles::server_config);
        let tls = tls.transpose().map_err(Failure::usage)?;
        let addr = arguments.receiving.addr;
        let listener = bind(addr).map_err(|err| {
            Failure::usage(err).context(format!(
                "cannot listen on {addr}; choose another address with --addr"
            ))
        })?;
        let address = listener.local_addr().map_err(Failure::failed)?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let path = arguments.receiving.path.0.trim_end_matches('/');
        Ok(Self {
            listener,
            certificate,
            tls,
            url: format!("{scheme}://{address}{path}"),
        })
    }

    /// Begins to answer.
    pub(super) fn serve(
        self,
        pipeline: &Pipeline,
        stop_grace: Duration,
        watching: &Watching,
        notifier: &Notifier,
    ) -> Result<Serving, Failure> {
        let mut server = Serve::new(self.listener, pipeline.receiver()).with_stop_grace(stop_grace);
        if let Some(tls) = self.tls {
            server = server.with_tls(tls);
        }
        if let Some(certificate) = self.certificate {
            watching.reload(certificate, notifier)?;
        }
        Ok(Serving::spawn(|stopped| server.run(stopped)))
    }
}

/// A server that runs until it is stopped.
pub(super) struct Serving {
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

impl Serving {
    pub(super) fn spawn<F>(run: impl FnOnce(BoxFuture) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (stop, stopped) = oneshot::channel();
        let server = run(Box::pin(async { drop(stopped.await) }));
        Self {
            stop,
            server: tokio::spawn(server),
        }
    }

    async fn stop(self) {
        drop(self.stop);
        // A server that has panicked has stopped.
        let _ = self.server.await;
    }
}

/// The end of the wait for a stop.
type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Stops what came first first: no request is accepted that nothing would store. The admin service is the
/// last, so that it shows the stop.
pub(super) async fn stop(
    serving: Serving,
    pipeline: Pipeline,
    gateway: Option<Gateway>,
    watching: Watching,
    admin: Option<Serving>,
) {
    watching.set_stopping();
    if let Some(gateway) = &gateway {
        gateway.close();
    }
    let handing_on = async {
        pipeline.stop().await;
        if let Some(gateway) = gateway {
            gateway.stop().await;
        }
        watching.stop().await;
        if let Some(admin) = admin {
            admin.stop().await;
        }
    };
    tokio::join!(serving.stop(), handing_on);
}
