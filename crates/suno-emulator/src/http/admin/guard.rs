//! The guard of `/_emulator/`, which refuses every request that a web page of another origin could send.
//! It does not replace the API key, which is checked after it where other machines can reach the
//! emulator.
//!
//! A browser sends requests to loopback for any page, and four headers show it. `Host` has the domain of
//! the page if that domain resolves to this machine (DNS rebinding). `Origin` and `Sec-Fetch-Site` say
//! where the page was loaded from. `Content-Type: application/json` is sent to another origin only after
//! a preflight succeeded, and none succeeds here.

use std::net::{Ipv4Addr, Ipv6Addr};

use http::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN};
use http::{Method, Request, StatusCode};
use url::Url;

use crate::http::answer::Rejection;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

const HOST_RULE: &str = "the Host header is missing or names another host: call the emulator by an IP \
     address, as localhost, or by a name that is set as its public base URL";
const ORIGIN_RULE: &str = "the request comes from a web page of another origin: call the emulator from \
     a program, or from a page that the emulator's own address serves";
const CONTENT_TYPE_RULE: &str = "send Content-Type: application/json, also without a body";

/// Which requests below `/_emulator/` are answered.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    is_key_required: bool,
    /// The origin of the configured public base URL.
    public: Option<Origin>,
}

impl Guard {
    /// `public_base_url` is ignored if it is not a URL, which the check of the settings rules out.
    pub(crate) fn new(is_key_required: bool, public_base_url: Option<&str>) -> Self {
        Self {
            is_key_required,
            public: public_base_url.and_then(Origin::of_url),
        }
    }

    /// Whether others than this machine may reach the emulator, so that the API key is needed.
    pub(in crate::http) fn is_key_required(&self) -> bool {
        self.is_key_required
    }

    /// Refuses a request that a page of another origin could have sent.
    pub(in crate::http) fn check<B>(&self, request: &Request<B>) -> Result<(), Rejection> {
        let forbidden = |reason| Rejection::new(StatusCode::FORBIDDEN, reason);
        let host = self.host(request).ok_or_else(|| forbidden(HOST_RULE))?;
        if !self.is_own_origin(request.headers(), &host) || !is_own_site(request.headers()) {
            return Err(forbidden(ORIGIN_RULE));
        }
        if is_write(request.method()) && !is_json(request.headers()) {
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Err(Rejection::new(status, CONTENT_TYPE_RULE));
        }
        Ok(())
    }

    /// Returns the one host that the request is for, if the emulator goes by it.
    fn host<B>(&self, request: &Request<B>) -> Option<Authority> {
        let host = only(request.headers(), HOST)?.to_str().ok()?;
        let host = Authority::parse(host)?;
        // A target in absolute form has a host too. Clients send the same one in both places; if they
        // differ, it is unclear which one the guard should check.
        if let Some(target) = request.uri().authority()
            && Authority::parse(target.as_str()).as_ref() != Some(&host)
        {
            return None;
        }
        self.is_own_host(&host.name).then_some(host)
    }

    fn is_own_host(&self, name: &str) -> bool {
        let public = self.public.as_ref();
        name == "localhost"
            || is_ip_literal(name)
            || public.is_some_and(|public| public.authority.name == name)
    }

    /// Programs send no `Origin`. Browsers omit it only with GET and HEAD, which change nothing.
    fn is_own_origin(&self, headers: &HeaderMap, host: &Authority) -> bool {
        headers.get_all(ORIGIN).iter().all(|value| {
            let origin = value.to_str().ok().and_then(Origin::parse);
            origin.is_some_and(|origin| origin.is_at(host) || self.public.as_ref() == Some(&origin))
        })
    }
}

/// A host in lower case, and the port if one is written.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Authority {
    name: String,
    port: Option<u16>,
}

impl Authority {
    fn parse(text: &str) -> Option<Self> {
        // An IPv6 address has colons too, but only inside its brackets.
        let after_address = text.rfind(']').unwrap_or(0);
        let (name, port) = match text[after_address..].rfind(':') {
            None => (text, None),
            Some(colon) => {
                let (name, port) = text.split_at(after_address + colon);
                let digits = port.trim_start_matches(':');
                if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                    return None;
                }
                (name, Some(digits.parse().ok()?))
            }
        };
        Some(Self {
            name: name.to_ascii_lowercase(),
            port,
        })
    }
}

/// The scheme, host and port from which a page was loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin {
    is_https: bool,
    /// Its port is always given, also if it is the usual one of the scheme.
    authority: Authority,
}

impl Origin {
    /// Parses the header `Origin`. Returns `None` for `null`.
    fn parse(text: &str) -> Option<Self> {
        let (is_https, rest) = match text.strip_prefix("https://") {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix("http://")?),
        };
        Some(Self::new(is_https, Authority::parse(rest)?))
    }

    fn of_url(url: &str) -> Option<Self> {
        let url = Url::parse(url).ok()?;
        let authority = Authority {
            name: url.host_str()?.to_ascii_lowercase(),
            port: url.port(),
        };
        Some(Self::new(url.scheme() == "https", authority))
    }

    fn new(is_https: bool, mut authority: Authority) -> Self {
        authority.port.get_or_insert(usual_port(is_https));
        Self {
            is_https,
            authority,
        }
    }

    /// Whether a page of this origin reaches its own server by this `Host`.
    fn is_at(&self, host: &Authority) -> bool {
        let port = host.port.unwrap_or(usual_port(self.is_https));
        self.authority.name == host.name && self.authority.port == Some(port)
    }
}

fn usual_port(is_https: bool) -> u16 {
    if is_https { 443 } else { 80 }
}

fn is_ip_literal(name: &str) -> bool {
    let inside = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match inside {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => name.parse::<Ipv4Addr>().is_ok(),
    }
}

/// Programs do not send `Sec-Fetch-Site`. Browsers send `none` if a person typed the address.
fn is_own_site(headers: &HeaderMap) -> bool {
    let mut sites = headers.get_all(SEC_FETCH_SITE).iter();
    sites.all(|site| site == "same-origin" || site == "none")
}

/// Whether a request with this method needs a content type. OPTIONS is refused later in any case.
fn is_write(method: &Method) -> bool {
    ![Method::GET, Method::HEAD, Method::OPTIONS].contains(method)
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = only(headers, CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.and_then(|value| value.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// Returns the value of a header, unless the header is absent or repeated.
fn only(headers: &HeaderMap, name: HeaderName) -> Option<&HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}
