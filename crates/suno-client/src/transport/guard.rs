//! Connections to allowed addresses only, through the proxy if there is one.

use std::future::ready;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use tower_service::Service;

use super::Connecting;
use super::fault::ConnectFault;
use super::io::Io;
use crate::Proxy;
use crate::address::{AddressRule, is_loopback_host, literal};
use crate::error::Cause;

const FORBIDDEN: &str =
    "the address is private, reserved, or not allowed without https; nothing was sent";

/// Connections to allowed addresses only.
#[derive(Clone)]
pub(super) struct Guarded {
    plain: Direct,
    tls: Direct,
    proxy: Option<Proxy>,
}

impl Guarded {
    /// Creates a connector with one rule for plain HTTP and another for `https`.
    pub(super) fn new(plain: AddressRule, https: AddressRule, proxy: Option<Proxy>) -> Self {
        Self {
            plain: Direct::new(plain),
            tls: Direct::new(https),
            proxy,
        }
    }

    fn direct(&self, uri: &Uri) -> &Direct {
        match uri.scheme_str() {
            Some("https") => &self.tls,
            _ => &self.plain,
        }
    }

    /// Returns whether the URL alone does not rule out its address.
    pub(super) fn may_name(&self, uri: &Uri) -> bool {
        self.direct(uri).may_name(uri.host().unwrap_or_default())
    }

    /// Connects to the proxy for plain HTTP. The proxy can read the whole request, the key
    /// included, so it must be on this machine if plain HTTP must stay there.
    fn through(&self, proxy: &Proxy) -> Connecting<Io> {
        let rule = match self.plain.rule {
            AddressRule::Loopback => AddressRule::Loopback,
            _ => AddressRule::Any,
        };
        let direct = Direct::new(rule);
        if !direct.may_name(proxy.uri().host().unwrap_or_default()) {
            return Box::pin(ready(Err(ConnectFault::Forbidden(FORBIDDEN).into())));
        }
        let connecting = direct.http.clone().call(proxy.uri().clone());
        Box::pin(async move { Ok(Io::new(connecting.await?, true)) })
    }
}

impl Service<Uri> for Guarded {
    type Response = Io;
    type Error = Cause;
    type Future = Connecting<Io>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Cause>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        if !self.may_name(&uri) {
            return Box::pin(ready(Err(ConnectFault::Forbidden(FORBIDDEN).into())));
        }
        let is_https = uri.scheme_str() == Some("https");
        #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
        if is_https {
            const NO_TLS: &str =
                "https needs one of this crate's features aws-lc-rs and ring; nothing was sent";
            return Box::pin(ready(Err(ConnectFault::Setting(NO_TLS).into())));
        }
        match &self.proxy {
            None => self.direct(&uri).connect(uri),
            Some(proxy) if is_https => tunnel(proxy, uri),
            Some(proxy) => self.through(proxy),
        }
    }
}

/// Asks the proxy for a tunnel to the server, for TLS.
fn tunnel(proxy: &Proxy, uri: Uri) -> Connecting<Io> {
    let to_proxy = Direct::new(AddressRule::Any).http;
    let mut tunnel = Tunnel::new(proxy.uri().clone(), to_proxy);
    if let Some(value) = proxy.authorization() {
        tunnel = tunnel.with_auth(value.clone());
    }
    let connecting = tunnel.call(uri);
    Box::pin(async move { Ok(Io::new(connecting.await?, false)) })
}

/// Connections without a proxy.
#[derive(Clone)]
struct Direct {
    rule: AddressRule,
    http: HttpConnector<Resolver>,
}

impl Direct {
    fn new(rule: AddressRule) -> Self {
        let mut http = HttpConnector::new_with_resolver(Resolver {
            rule,
            names: GaiResolver::new(),
        });
        http.enforce_http(false);
        http.set_nodelay(true);
        Self { rule, http }
    }

    /// Returns whether a host may be connected to, as far as its name shows. The connector passes
    /// no address to the resolver, so addresses are checked here.
    fn may_name(&self, host: &str) -> bool {
        match (literal(host), self.rule) {
            (Some(address), rule) => rule.allows(address),
            (None, AddressRule::Nothing) => false,
            (None, AddressRule::Loopback) => is_loopback_host(host),
            (None, AddressRule::Public) => !is_loopback_host(host),
            (None, AddressRule::Any) => true,
        }
    }

    /// Connects to the first allowed address that answers.
    fn connect(&self, uri: Uri) -> Connecting<Io> {
        let connecting = self.http.clone().call(uri);
        Box::pin(async move { Ok(Io::new(connecting.await?, false)) })
    }
}

/// A resolver that drops addresses that are not allowed. The connector uses the very addresses that
/// it returns, so a name cannot be changed between check and connection.
#[derive(Clone)]
struct Resolver {
    rule: AddressRule,
    names: GaiResolver,
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Cause;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Cause>> {
        self.names.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let rule = self.rule;
        let looking_up = self.names.call(name);
        Box::pin(async move {
            let found: Vec<SocketAddr> = looking_up.await?.collect();
            let allowed: Vec<SocketAddr> = found
                .iter()
                .copied()
                .filter(|address| rule.allows(address.ip()))
                .collect();
            if allowed.is_empty() && !found.is_empty() {
                return Err(ConnectFault::Forbidden(FORBIDDEN).into());
            }
            Ok(allowed.into_iter())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks up a name that means this machine.
    async fn look_up(rule: AddressRule) -> Result<Vec<SocketAddr>, Cause> {
        let names = GaiResolver::new();
        let name = "localhost".parse().expect("a name");
        let found = Resolver { rule, names }.call(name).await;
        found.map(Iterator::collect)
    }

    #[tokio::test]
    async fn a_name_that_points_to_this_machine_is_not_public() {
        let err = look_up(AddressRule::Public).await.expect_err("forbidden");
        let fault = err.downcast_ref::<ConnectFault>();
        assert!(matches!(fault, Some(ConnectFault::Forbidden(_))), "{err:?}");
    }

    #[tokio::test]
    async fn a_name_that_points_to_this_machine_is_found_if_that_is_allowed() {
        for rule in [AddressRule::Any, AddressRule::Loopback] {
            assert!(!look_up(rule).await.expect("found").is_empty());
        }
    }
}
