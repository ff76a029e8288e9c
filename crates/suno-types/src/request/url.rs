//! The form of a URL that the provider can be given.

use std::net::Ipv6Addr;

/// Returns whether a text is an `http` or `https` URL with a host. It is stricter than a browser,
/// which repairs white space and backslashes, because the provider may not.
pub(super) fn is_web_url(url: &str) -> bool {
    let is_odd = |c: char| c.is_whitespace() || c.is_control() || c == '\\';
    let Some((scheme, rest)) = url.split_once("://").filter(|_| !url.contains(is_odd)) else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let is_web = ["http", "https"]
        .iter()
        .any(|web| scheme.eq_ignore_ascii_case(web));
    is_web && is_host_and_port(authority)
}

/// Returns whether a text is a host with an optional port and without a user name.
fn is_host_and_port(authority: &str) -> bool {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) if address.parse::<Ipv6Addr>().is_ok() => (address, port),
            _ => return false,
        },
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let is_port = match port.strip_prefix(':') {
        Some(port) => port.bytes().all(|c| c.is_ascii_digit()) && port.parse::<u16>().is_ok(),
        None => port.is_empty(),
    };
    let is_name = |host: &str| !host.contains(['@', '%', '<', '>', '^', '|', '[', ']', ':']);
    let is_address = authority.starts_with('[');
    !host.is_empty() && is_port && (is_address || is_name(host))
}

#[cfg(test)]
mod tests {
    use super::is_web_url;

    #[test]
    fn a_url_has_a_web_scheme_a_host_and_no_user() {
        for good in [
            "https://app.example.com/suno/callback",
            "HTTP://localhost:3000",
            "https://127.0.0.1?order=1",
            "https://[::1]:8080/path#part",
            "https://münchen.example/ü",
            "https://media.example.com/a@b:c.mp3",
        ] {
            assert!(is_web_url(good), "{good}");
        }
        for bad in [
            "",
            "app.example.com",
            "/suno/callback",
            "https:/app.example.com",
            "https://",
            "https:///path",
            "https://:80/",
            "ftp://app.example.com/",
            "javascript://app.example.com/",
            "https://user@app.example.com/",
            "https://user:word@app.example.com/",
            "https://app.example.com:port/",
            "https://app.example.com:99999/",
            "https://app.example.com:+80/",
            "https://app.example.com:/",
            "https://[::1/",
            "https://[app.example.com]/",
            "https://[::1]x/",
            "https://app example.com/",
            "https://app.example.com/ ",
            "https://app.example.com/\n",
            "https://app.example.com\\@other.example.com/",
        ] {
            assert!(!is_web_url(bad), "{bad}");
        }
    }
}
