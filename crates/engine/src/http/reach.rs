//! Which addresses a client may connect to: an address that somebody else wrote must not lead inside.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::Host;

/// Which addresses a client may connect to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// Any: the operator wrote the address.
    #[default]
    Anywhere,
    /// Those of the public internet alone, whatever the name resolves to.
    Public,
}

impl Reach {
    /// Whether a connection to the address may be made.
    pub(super) fn allows(self, address: IpAddr) -> bool {
        match self {
            Self::Anywhere => true,
            Self::Public => is_public(address),
        }
    }
}

/// Whether it is certain, without asking anybody, that a host is none of the public internet.
pub(crate) fn is_inside(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            name == "localhost" || name.ends_with(".localhost")
        }
        Host::Ipv4(address) => !is_public_v4(*address),
        Host::Ipv6(address) => !is_public_v6(*address),
    }
}

/// Whether an address is one of the public internet (IANA special-purpose registries), also where it
/// is written within another.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = matches!(
        (a, b, c),
        // This network, private, loopback, multicast and what is reserved.
        (0 | 10 | 127 | 224..=255, ..)
            // Shared by carriers.
            | (100, 64..=127, _)
            // Link-local, where clouds keep their secrets.
            | (169, 254, _)
            | (172, 16..=31, _)
            // Protocol assignments, documentation, 6to4 relays, private.
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (192, 168, _)
            // Benchmarks, documentation.
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    );
    !is_special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let embedded = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        Ipv4Addr::new(a, b, c, d)
    };
    match segments {
        // NAT64, to the address that is written at its end.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => is_public_v4(embedded(high, low)),
        // IETF assignments with Teredo, documentation, 6to4, and ISATAP.
        [0x2001, 0..0x200 | 0x0db8, ..] | [0x2002 | 0x3fff, ..] | [.., 0 | 0x200, 0x5efe, _, _] => {
            false
        }
        // Only this part of the space is given out; the rest is local, mapped or reserved.
        [0x2000..=0x3fff, ..] => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_internet_alone_is_public() {
        for public in ["1.1.1.1", "93.184.215.14", "2606:4700::1111", "64:ff9b::101:101"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for inside in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.1.2.3",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:a9fe:a9fe",
            "::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "fec0::1",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "2001:0:1::1",
            "2001:db8::1",
            "2606:4700::5efe:a00:1",
        ] {
            assert!(!is_public(inside.parse().unwrap()), "{inside}");
        }
    }
}
