//! The connector of a pool: a time limit around TLS around the guard.

use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use tower_service::Service;

use super::Connecting;
use super::fault::ConnectFault;
use super::guard::Guarded;
use crate::address::AddressRule;
use crate::error::Cause;
use crate::settings::Settings;

/// The use of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Requests with the key.
    Api,
    /// Downloads, whose URLs come from outside.
    Media,
}

/// Makes the connections of a pool.
pub(super) type Connector = Timed<Secure>;

#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
type Secure = MaybeTls;
#[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
type Secure = Guarded;

/// The TLS settings that all connectors of a client share.
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
pub(super) type SharedTls = std::sync::Arc<super::tls::Tls>;
#[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
pub(super) struct SharedTls;

#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
pub(super) fn shared_tls(settings: &Settings) -> SharedTls {
    std::sync::Arc::new(super::tls::Tls::new(settings.root_certificates.clone()))
}

#[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
pub(super) fn shared_tls(_: &Settings) -> SharedTls {
    SharedTls
}

/// Makes the connector of a pool. TLS is shared with the other pools of the client.
pub(super) fn connector(settings: &Settings, purpose: Purpose, tls: &SharedTls) -> Connector {
    let rule = |is_https| match purpose {
        Purpose::Api => AddressRule::for_api(is_https, settings.plain_http_allowed),
        Purpose::Media => AddressRule::for_media(
            is_https,
            settings.plain_http_allowed,
            settings.private_downloads_allowed,
        ),
    };
    let guarded = Guarded::new(rule(false), rule(true), settings.proxy.clone());
    #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
    let inner = MaybeTls {
        plain: guarded,
        tls: tls.clone(),
    };
    #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
    let inner = {
        let SharedTls = tls;
        guarded
    };
    Timed {
        inner,
        within: settings.timeouts.connect,
    }
}

/// A connector with a time limit.
#[derive(Clone)]
pub(super) struct Timed<S> {
    inner: S,
    within: Duration,
}

impl<S> Service<Uri> for Timed<S>
where
    S: Service<Uri, Error = Cause>,
    S::Response: 'static,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = Cause;
    type Future = Connecting<S::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Cause>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = tokio::time::timeout(self.within, self.inner.call(uri));
        Box::pin(async move {
            connecting
                .await
                .unwrap_or_else(|_| Err(ConnectFault::TimedOut.into()))
        })
    }
}

/// A connector that adds TLS for `https`. Plain connections also work where TLS cannot be set up.
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
#[derive(Clone)]
pub(super) struct MaybeTls {
    plain: Guarded,
    tls: std::sync::Arc<super::tls::Tls>,
}

#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
impl Service<Uri> for MaybeTls {
    type Response = hyper_rustls::MaybeHttpsStream<super::io::Io>;
    type Error = Cause;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Cause>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        if uri.scheme_str() != Some("https") || !self.plain.may_name(&uri) {
            let connecting = self.plain.call(uri);
            return Box::pin(async move { Ok(connecting.await?.into()) });
        }
        match self.tls.config() {
            Ok(config) => hyper_rustls::HttpsConnectorBuilder::new()
                .with_tls_config(config)
                .https_only()
                .enable_all_versions()
                .wrap_connector(self.plain.clone())
                .call(uri),
            Err(what) => Box::pin(std::future::ready(Err(ConnectFault::Setting(what).into()))),
        }
    }
}
