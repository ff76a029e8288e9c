//! Whether a callback URL leads to another machine.

use std::net::IpAddr;

use url::{Host, Url};

/// Whether the host of a URL is certainly or possibly another machine. A name is not resolved: only
/// `localhost` and names below it are taken for this machine. A URL that is not valid leads nowhere.
pub(super) fn is_outside(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else {
        return false;
    };
    let is_inside = |ip: IpAddr| {
        let ip = ip.to_canonical();
        ip.is_loopback() || ip.is_unspecified()
    };
    match url.host() {
        None => false,
        Some(Host::Ipv4(ip)) => !is_inside(ip.into()),
        Some(Host::Ipv6(ip)) => !is_inside(ip.into()),
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            name != "localhost" && !name.ends_with(".localhost")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_outside;

    #[test]
    fn only_this_machine_is_inside() {
        for inside in [
            "http://127.0.0.1:9/",
            "http://127.8.8.8/callback",
            "http://[::1]:3000/",
            "http://[::ffff:127.0.0.1]/",
            "http://0.0.0.0:80/",
            "https://localhost/",
            "http://LOCALHOST.:1/",
            "http://app.localhost:3000/",
            "not a URL",
            "mailto:a@example.com",
        ] {
            assert!(!is_outside(inside), "{inside}");
        }
        for outside in [
            "https://example.com/suno-callback",
            "http://localhost.example.com/",
            "http://notlocalhost/",
            "http://10.0.0.1/",
            "http://[fd00::1]/",
            "http://user:127.0.0.1@example.com/",
        ] {
            assert!(is_outside(outside), "{outside}");
        }
    }
}
