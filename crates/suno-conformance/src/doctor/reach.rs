//! Checks that the receiver can be reached: name, addresses, TLS and certificate.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::Error;
use rustls::CertificateError;
use suno_callback::serve::certificate_not_after;
use suno_callback::{Clock, SystemClock};
use tokio::net::lookup_host;
use tokio::time::timeout;

use super::{Doctor, Finding, Findings};
use crate::connect::{Connector, TlsSession, address};

/// The time limit for resolving a name.
const RESOLVE_TIME_MAX: Duration = Duration::from_secs(5);
/// The number of days before its expiry from which a certificate is warned about.
const EXPIRES_SOON_DAYS: i64 = 14;

/// Returns whether requests can be sent.
pub(super) async fn examine(
    doctor: &Doctor,
    connector: &Connector,
    findings: &mut Findings<'_>,
) -> bool {
    let Some(is_private) = dns(doctor, findings).await else {
        return false;
    };
    let is_secure = doctor.url.scheme_str() == Some("https");
    if !is_secure && !is_private {
        findings.add(Finding::warning(
            "tls",
            "the URL begins with http://, so anyone on the way can read and change callbacks",
            "serve TLS, by a reverse proxy or with --tls-cert and --tls-key, and submit with https://",
        ));
    }
    let connection = match connector.connect(&doctor.url).await {
        Ok(connection) => connection,
        Err(err) => {
            findings.add(unreachable(&err));
            return false;
        }
    };
    findings.add(Finding::ok("connect", "the receiver can be reached"));
    if let Some(tls) = &connection.tls {
        findings.add(Finding::ok(
            "tls",
            format!(
                "the certificate is trusted and fits the name ({})",
                tls.version
            ),
        ));
        findings.add(certificate(tls, SystemClock.now().as_second()));
    }
    true
}

/// Returns whether every address belongs to this machine or network; `None` if there is no address.
async fn dns(doctor: &Doctor, findings: &mut Findings<'_>) -> Option<bool> {
    let advice = "check the host of the URL and its DNS records";
    let (host, port) = match address(&doctor.url) {
        Ok(address) => address,
        Err(err) => {
            findings.add(Finding::failed("dns", format!("{err:#}"), advice));
            return None;
        }
    };
    let addresses = match timeout(RESOLVE_TIME_MAX, lookup_host((host, port))).await {
        Ok(Ok(addresses)) => addresses.map(|address| address.ip()).collect::<Vec<_>>(),
        Ok(Err(err)) => {
            let message = format!("{host} cannot be resolved: {err}");
            findings.add(Finding::failed("dns", message, advice));
            return None;
        }
        Err(_) => {
            let message = format!(
                "{host} was not resolved in {} s",
                RESOLVE_TIME_MAX.as_secs()
            );
            findings.add(Finding::failed("dns", message, advice));
            return None;
        }
    };
    let private = addresses
        .iter()
        .filter(|address| is_private(**address))
        .count();
    findings.add(match (private, addresses.len()) {
        (_, 0) => {
            findings.add(Finding::failed("dns", format!("{host} has no address"), advice));
            return None;
        }
        (0, count) => Finding::ok("dns", format!("{host} has {count} public address(es)")),
        (private, count) => Finding::warning(
            "dns",
            format!(
                "{private} of {count} address(es) of {host} belong to this machine or a private network"
            ),
            "the provider needs a public address; for a test on this machine, this is fine",
        ),
    });
    Some(private == addresses.len())
}

/// Whether no other network can reach an address.
fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(ip) => {
            // 100.64.0.0/10 is shared by the customers of a network provider.
            let is_shared = ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 0x40;
            ip.is_loopback()
                || ip.is_private()
                || ip.is_link_local()
                || ip.is_unspecified()
                || is_shared
        }
        IpAddr::V6(ip) => {
            ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_unique_local()
                || ip.is_unicast_link_local()
        }
    }
}

/// Explains why there is no connection.
fn unreachable(err: &Error) -> Finding {
    let tls = err.chain().find_map(|cause| {
        let io = cause
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        let inner = io.and_then(|inner| inner.downcast_ref::<rustls::Error>());
        inner.or_else(|| cause.downcast_ref())
    });
    let Some(tls) = tls else {
        return Finding::failed(
            "connect",
            format!("the receiver cannot be reached: {err:#}"),
            "check that it is running, that its port is open in the firewall, and the port in the URL",
        );
    };
    let (message, advice) = match tls {
        rustls::Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => (
            "the certificate has expired".to_owned(),
            "renew it, and let the server read it again (SIGHUP for suno)",
        ),
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => (
            "the certificate is not valid yet".to_owned(),
            "check the clock of this machine, and when the certificate begins",
        ),
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => (
            "the certificate is for another name".to_owned(),
            "serve the certificate of the host in the URL",
        ),
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => (
            "the issuer of the certificate is not known".to_owned(),
            "serve the whole chain, with the intermediate certificates after the server's own \
             (fullchain.pem), from an issuer that browsers trust",
        ),
        other => (
            format!("TLS failed: {other}"),
            "check that the port serves TLS 1.2 or 1.3 with a certificate for the host in the URL",
        ),
    };
    Finding::failed("tls", message, advice)
}

/// Examines when the certificate expires; `now` is in Unix seconds.
fn certificate(tls: &TlsSession, now: i64) -> Finding {
    let not_after = tls.certificate.as_ref().map(certificate_not_after);
    let Some(Ok(not_after)) = not_after else {
        return Finding::skipped(
            "certificate",
            "when the certificate expires could not be read",
        );
    };
    let days = (not_after.as_second() - now).div_euclid(86_400);
    let message = format!("the certificate expires in {days} days, at {not_after}");
    match days > EXPIRES_SOON_DAYS {
        true => Finding::ok("certificate", message),
        false => Finding::warning(
            "certificate",
            message,
            "renew it, and see why that did not happen by itself",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Severity;

    #[test]
    fn addresses_that_no_provider_reaches_are_known() {
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.0.1",
            "169.254.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "0.0.0.0",
            "::1",
            "fd00::1",
            "fe80::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(is_private(private.parse().unwrap()), "{private}");
        }
        for public in [
            "1.1.1.1",
            "100.63.0.1",
            "100.128.0.1",
            "172.32.0.1",
            "2606:4700::1111",
        ] {
            assert!(!is_private(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn the_reason_why_a_certificate_is_not_trusted_says_what_to_do() {
        for (reason, message, advice) in [
            (CertificateError::Expired, "expired", "renew it"),
            (
                CertificateError::NotValidForName,
                "another name",
                "host in the URL",
            ),
            (CertificateError::UnknownIssuer, "issuer", "intermediate"),
            (
                CertificateError::BadSignature,
                "TLS failed",
                "port serves TLS",
            ),
        ] {
            let tls = rustls::Error::InvalidCertificate(reason);
            let io = io::Error::new(io::ErrorKind::InvalidData, tls);
            let finding = unreachable(&Error::new(io).context("connecting"));
            assert_eq!((finding.check, finding.severity), ("tls", Severity::Failed));
            assert!(finding.message.contains(message), "{finding:?}");
            assert!(finding.advice.unwrap().contains(advice), "{finding:?}");
        }
        let refused = Error::new(io::Error::from(io::ErrorKind::ConnectionRefused));
        assert_eq!(unreachable(&refused).check, "connect");
    }
}
