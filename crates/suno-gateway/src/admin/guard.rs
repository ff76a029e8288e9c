//! Decides from the head of a request whether it may be answered: before routing, for every path.
//!
//! A stranger's page that an operator opens can reach an address on loopback through the browser.
//! So a check of the sender's address would prove nothing. The checks, in their order:
//!
//! 1. `Host` is `localhost`, an IP address or a configured name. Only names can be rebound, so
//!    addresses need not be configured, and ports are not compared.
//! 2. `Sec-Fetch-Site`, where it is present, is `same-origin`, or `none` on GET. Anyone may navigate
//!    to the page itself, which has no data.
//! 3. `Origin`, where it is present, is this service.
//! 4. A request that may change something has a JSON body or none.
//! 5. The token is right. A cookie counts only if the browser says that this service's own page sent
//!    it, because cookies are shared by all ports of a host.

use std::net::{IpAddr, Ipv6Addr};

use http::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, HeaderMap, HeaderName, ORIGIN,
    TRANSFER_ENCODING,
};
use http::request::Parts;
use http::{HeaderValue, Method};

use super::problem::{Kind, Problem};
use super::token::AdminToken;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// What a path gives away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Area {
    /// The state of health: one word, which a probe without a token may read.
    Health,
    /// A file of the page, which has no data.
    Page,
    /// The exchange of the token for a session.
    Session,
    /// Everything else.
    Data,
}

/// What requests are compared with.
#[derive(Debug, Clone)]
pub(super) struct Guard {
    /// Further names of the service, in lower case.
    pub(super) hosts: Vec<Box<str>>,
    pub(super) token: Option<AdminToken>,
    /// The scheme in the origin of the service's own page.
    pub(super) scheme: &'static str,
    /// The name of the cookie, which contains the port.
    pub(super) cookie: Box<str>,
}

impl Guard {
    /// Checks a head.
    ///
    /// # Errors
    ///
    /// Returns the problem to answer with.
    pub(super) fn check(&self, head: &Parts, area: Area) -> Result<(), Problem> {
        let host = one_host(head)?;
        if !self.is_host(host) {
            return Err(Problem::new(
                Kind::Misdirected,
                "Use localhost, an IP address or a configured host name; --admin-host adds a name.",
            ));
        }
        let is_reading = matches!(head.method, Method::GET | Method::HEAD);
        let site = one(&head.headers, &SEC_FETCH_SITE);
        let navigates = area == Area::Page
            && head.method == Method::GET
            && one(&head.headers, &SEC_FETCH_DEST) == Some(b"document");
        match site {
            None | Some(b"same-origin") => {}
            Some(b"none") if is_reading => {}
            Some(_) if navigates => {}
            Some(_) => {
                return Err(Problem::new(
                    Kind::CrossSite,
                    "A page of another site or another port sent this request.",
                ));
            }
        }
        let has_origin = head.headers.contains_key(ORIGIN);
        if has_origin && !self.is_own_origin(&head.headers, host) {
            return Err(Problem::new(
                Kind::Origin,
                "The header Origin does not name this service.",
            ));
        }
        if !is_reading && head.method != Method::POST {
            return Err(Problem::new(Kind::Method, "Use GET, HEAD or POST."));
        }
        if !is_reading && !is_json_or_empty(&head.headers) {
            return Err(Problem::new(
                Kind::MediaType,
                "Send the body as application/json, or none.",
            ));
        }
        let cookie_counts = site.is_some() || is_reading || has_origin;
        match area {
            Area::Health | Area::Page => Ok(()),
            Area::Session => self.check_token(&head.headers, false),
            Area::Data => self.check_token(&head.headers, cookie_counts),
        }
    }

    fn check_token(&self, headers: &HeaderMap, cookie_counts: bool) -> Result<(), Problem> {
        let Some(token) = &self.token else {
            return Ok(());
        };
        let is_bearer = one(headers, &AUTHORIZATION)
            .and_then(bearer)
            .is_some_and(|sent| token.is(sent));
        let has_session = cookie_counts
            && cookies(headers, &self.cookie).any(|sent| token.is_session(sent.as_bytes()));
        if is_bearer || has_session {
            return Ok(());
        }
        Err(Problem::new(
            Kind::Unauthorized,
            "Send the token in the header Authorization: Bearer TOKEN.",
        ))
    }

    fn is_host(&self, host: &str) -> bool {
        let name = without_port(host);
        let is_address = name.parse::<IpAddr>().is_ok() || bracketed(name).is_some();
        let is = |known: &str| known.eq_ignore_ascii_case(name);
        is_address || is("localhost") || self.hosts.iter().any(|known| is(known))
    }

    /// Whether the origin is the scheme of the service and the host that the request names.
    fn is_own_origin(&self, headers: &HeaderMap, host: &str) -> bool {
        let own = format!("{}://{}", self.scheme, self.without_default_port(host));
        one(headers, &ORIGIN).is_some_and(|origin| origin.eq_ignore_ascii_case(own.as_bytes()))
    }

    fn without_default_port<'a>(&self, host: &'a str) -> &'a str {
        let port = if self.scheme == "https" {
            ":443"
        } else {
            ":80"
        };
        host.strip_suffix(port).unwrap_or(host)
    }
}

/// Returns the host of a request that names exactly one.
fn one_host(head: &Parts) -> Result<&str, Problem> {
    let host = one(&head.headers, &HOST).and_then(|host| std::str::from_utf8(host).ok());
    let in_target = head.uri.authority().map(http::uri::Authority::as_str);
    match (host, in_target) {
        (Some(host), None) if !host.is_empty() => Ok(host),
        (Some(host), Some(target)) if host.eq_ignore_ascii_case(target) => Ok(host),
        _ => Err(Problem::new(Kind::Host, "Send one header Host.")),
    }
}

/// Returns the value of a header that is there exactly once.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).iter();
    let first = values.next().map(HeaderValue::as_bytes);
    match values.next() {
        // Two values are as bad as a wrong one.
        Some(_) => Some(b""),
        None => first,
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        // The colons of an address without brackets are no port.
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => {
            let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
            if is_port { name } else { host }
        }
        _ => host,
    }
}

fn bracketed(name: &str) -> Option<Ipv6Addr> {
    name.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

/// Returns the token of `Bearer TOKEN`.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
}

/// Returns the values of the cookies of this name.
fn cookies<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(COOKIE).iter();
    let lines = lines.filter_map(|line| line.to_str().ok());
    lines
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter_map(move |(found, value)| (found == name).then_some(value))
}

fn is_json_or_empty(headers: &HeaderMap) -> bool {
    match one(headers, &CONTENT_TYPE) {
        Some(kind) => {
            let essence = kind.split(|byte| *byte == b';').next().unwrap_or_default();
            essence
                .trim_ascii()
                .eq_ignore_ascii_case(b"application/json")
        }
        None => {
            let length = one(headers, &CONTENT_LENGTH);
            let is_chunked = headers.contains_key(TRANSFER_ENCODING);
            !is_chunked && matches!(length, None | Some(b"0"))
        }
    }
}
