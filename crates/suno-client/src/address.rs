//! The addresses that requests may be sent to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The addresses that a connection may be made to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AddressRule {
    /// Every address.
    Any,
    /// This machine only.
    Loopback,
    /// Addresses on the public Internet: neither this machine nor a private network.
    Public,
    /// No address.
    Nothing,
}

impl AddressRule {
    pub(crate) fn allows(self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::Loopback => is_loopback(address),
            Self::Public => is_public(address),
            Self::Nothing => false,
        }
    }

    /// The rule for requests with the key. Plain HTTP would show the key to everyone on the path.
    pub(crate) fn for_api(is_https: bool, plain_http_allowed: bool) -> Self {
        if is_https || plain_http_allowed {
            Self::Any
        } else {
            Self::Loopback
        }
    }

    /// The rule for downloads, whose URL comes from outside.
    pub(crate) fn for_media(is_https: bool, plain_http_allowed: bool, private: bool) -> Self {
        match (is_https || plain_http_allowed, private) {
            (true, true) => Self::Any,
            (true, false) => Self::Public,
            (false, true) => Self::Loopback,
            (false, false) => Self::Nothing,
        }
    }
}

/// The address, if `host` is written as one; IPv6 with or without brackets.
pub(crate) fn literal(host: &str) -> Option<IpAddr> {
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    bare.parse().ok()
}

/// Returns whether a name or address means this machine. The addresses that a name resolves to are
/// checked separately.
pub(crate) fn is_loopback_host(host: &str) -> bool {
    match literal(host) {
        Some(address) => is_loopback(address),
        None => {
            let host = host.trim_end_matches('.').to_ascii_lowercase();
            host == "localhost" || host.ends_with(".localhost")
        }
    }
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Returns whether an address is on the public Internet. Reserved and unassigned addresses are not.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let reserved = matches!(
        (a, b, c),
        (0 | 10 | 127 | 224.., _, _)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 31, 196)
            | (192, 52, 193)
            | (192, 88, 99)
            | (192, 168, _)
            | (192, 175, 48)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    );
    !reserved
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(mapped) = address.to_ipv4_mapped() {
        return is_public_v4(mapped);
    }
    match address.segments() {
        // NAT64: the last 32 bits are the IPv4 address that is reached.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            is_public_v4(Ipv4Addr::new(a, b, c, d))
        }
        // Tunnels and special purposes, documentation, 6to4, documentation.
        [0x2001, 0..=0x01ff, ..] | [0x2001, 0x0db8, ..] | [0x2002, ..] => false,
        [0x3fff, 0..=0x0fff, ..] => false,
        [0x2000..=0x3fff, ..] => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(text: &str) -> bool {
        is_public(literal(text).expect("an address"))
    }

    #[test]
    fn private_and_reserved_addresses_are_not_public() {
        for text in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "[::1]",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "4000::1",
        ] {
            assert!(!public(text), "{text}");
        }
    }

    #[test]
    fn ordinary_addresses_are_public() {
        for text in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.0.0.1",
            "128.0.0.1",
            "169.253.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "192.167.0.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
            "2001:4860::8888",
        ] {
            assert!(public(text), "{text}");
        }
    }

    #[test]
    fn loopback_is_recognised_in_every_spelling() {
        for host in [
            "localhost",
            "LOCALHOST.",
            "a.localhost",
            "127.0.0.1",
            "127.1.2.3",
            "[::1]",
        ] {
            assert!(is_loopback_host(host), "{host}");
        }
        for host in [
            "localhost.example.com",
            "10.0.0.1",
            "[::2]",
            "notlocalhost",
            "",
        ] {
            assert!(!is_loopback_host(host), "{host}");
        }
    }

    #[test]
    fn plain_http_goes_to_this_machine_only() {
        let private = literal("10.0.0.1").expect("an address");
        let public = literal("1.1.1.1").expect("an address");
        let here = literal("::ffff:127.0.0.1").expect("an address");
        let rule = AddressRule::for_api(false, false);
        assert!(rule.allows(here) && !rule.allows(private) && !rule.allows(public));
        assert!(AddressRule::for_api(false, true).allows(private));
        assert!(AddressRule::for_api(true, false).allows(private));
    }

    #[test]
    fn downloads_go_to_public_addresses_unless_told_otherwise() {
        let private = literal("10.0.0.1").expect("an address");
        let public = literal("1.1.1.1").expect("an address");
        let here = literal("127.0.0.1").expect("an address");
        let usual = AddressRule::for_media(true, false, false);
        assert!(usual.allows(public) && !usual.allows(private) && !usual.allows(here));
        assert!(AddressRule::for_media(true, false, true).allows(private));
        let plain = AddressRule::for_media(false, false, true);
        assert!(plain.allows(here) && !plain.allows(private) && !plain.allows(public));
        assert!(!AddressRule::for_media(false, false, false).allows(public));
    }
}
