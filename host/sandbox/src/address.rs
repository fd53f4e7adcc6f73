//! What kind of address an IP address is. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Who may be reached under an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Anybody's.
    Public,
    /// Of this machine or its networks: only where the user named host and port.
    Private,
    /// Of the machine's platform (metadata services), or nobody's: never by way of a name.
    Special,
}

type V4 = ([u8; 4], u8, Kind);

/// The first row that contains an address decides; an address in none is public.
const IPV4: [V4; 21] = [
    // Metadata services inside wider ranges come first.
    ([100, 100, 100, 200], 32, Kind::Special),
    ([168, 63, 129, 16], 32, Kind::Special),
    ([0, 0, 0, 0], 8, Kind::Special),
    ([10, 0, 0, 0], 8, Kind::Private),
    ([100, 64, 0, 0], 10, Kind::Private),
    ([127, 0, 0, 0], 8, Kind::Private),
    ([169, 254, 0, 0], 16, Kind::Special),
    ([172, 16, 0, 0], 12, Kind::Private),
    ([192, 0, 0, 0], 24, Kind::Special),
    ([192, 0, 2, 0], 24, Kind::Special),
    ([192, 31, 196, 0], 24, Kind::Special),
    ([192, 52, 193, 0], 24, Kind::Special),
    ([192, 88, 99, 0], 24, Kind::Special),
    ([192, 168, 0, 0], 16, Kind::Private),
    ([192, 175, 48, 0], 24, Kind::Special),
    // Benchmarking; local proxies answer with these.
    ([198, 18, 0, 0], 15, Kind::Private),
    ([198, 51, 100, 0], 24, Kind::Special),
    ([203, 0, 113, 0], 24, Kind::Special),
    ([224, 0, 0, 0], 4, Kind::Special),
    ([240, 0, 0, 0], 4, Kind::Special),
    ([255, 255, 255, 255], 32, Kind::Special),
];

type V6 = ([u16; 8], u8, Kind);

/// Inside `2000::/3` an address in no row is public; outside it is special.
const IPV6: [V6; 9] = [
    ([0, 0, 0, 0, 0, 0, 0, 1], 128, Kind::Private),
    ([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], 128, Kind::Special),
    ([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, Kind::Private),
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, Kind::Special),
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, Kind::Special),
    ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, Kind::Special),
    ([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48, Kind::Special),
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, Kind::Special),
    ([0x2000, 0, 0, 0, 0, 0, 0, 0], 3, Kind::Public),
];

/// The kind of an address, judged by the address that it means.
pub(crate) fn kind(ip: IpAddr) -> Kind {
    match ip.to_canonical() {
        IpAddr::V4(ip) => kind_v4(ip),
        IpAddr::V6(ip) => kind_v6(ip),
    }
}

fn kind_v4(ip: Ipv4Addr) -> Kind {
    let bits = u32::from(ip);
    IPV4.iter()
        .find(|(base, length, _)| {
            let mask = u32::MAX << (32 - u32::from(*length));
            bits & mask == u32::from(Ipv4Addr::from(*base))
        })
        .map_or(Kind::Public, |(_, _, kind)| *kind)
}

fn kind_v6(ip: Ipv6Addr) -> Kind {
    // Networks without IPv4 reach it through this prefix.
    if let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = ip.segments() {
        return kind_v4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    }
    // ISATAP carries an IPv4 address in its interface identifier.
    if matches!(ip.segments(), [_, _, _, _, 0 | 0x200, 0x5efe, _, _]) {
        return Kind::Special;
    }
    let bits = u128::from(ip);
    IPV6.iter()
        .find(|(base, length, _)| {
            let mask = u128::MAX << (128 - u32::from(*length));
            bits & mask == u128::from(Ipv6Addr::from(*base))
        })
        .map_or(Kind::Special, |(_, _, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Kind {
        kind(text.parse().unwrap())
    }

    #[test]
    fn t11_every_range_at_its_edges() {
        for (base, length, kind) in IPV4 {
            let first = u32::from(Ipv4Addr::from(base));
            let last = first | u32::MAX.checked_shr(u32::from(length)).unwrap_or(0);
            for bits in [first, first + (last - first) / 2, last] {
                let ip = Ipv4Addr::from(bits);
                // Rows inside other rows are judged by the inner one.
                let inner = ip == Ipv4Addr::new(100, 100, 100, 200);
                assert!(kind_v4(ip) == kind || inner, "{ip}");
            }
        }
        for (base, length, kind) in IPV6 {
            let first = u128::from(Ipv6Addr::from(base));
            let last = first | u128::MAX.checked_shr(u32::from(length)).unwrap_or(0);
            for bits in [first, last] {
                let ip = Ipv6Addr::from(bits);
                assert_eq!(kind_v6(ip), kind, "{ip}");
            }
        }
    }

    #[test]
    fn t11_neighbours_of_ranges_are_public() {
        for text in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "168.63.129.15",
            "8.8.8.8",
            "1.1.1.1",
            "2606:4700:4700::1111",
            "2001:4860:4860::8888",
            "2001:200::1",
        ] {
            assert_eq!(of(text), Kind::Public, "{text}");
        }
    }

    #[test]
    fn t11_metadata_services_are_special() {
        for text in [
            "169.254.169.254",
            "fd00:ec2::254",
            "168.63.129.16",
            "100.100.100.200",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "fe80::1",
            "::",
            "0.0.0.0",
            "255.255.255.255",
            "::169.254.169.254",
            "2002:a9fe:a9fe::1",
            "2001::1",
            "ff02::1",
            "64:ff9b:1::1",
            "2606:4700::5efe:7f00:1",
            "5f00::1",
            "100::1",
        ] {
            assert_eq!(of(text), Kind::Special, "{text}");
        }
    }

    #[test]
    fn t16_own_networks_are_private() {
        for text in [
            "127.0.0.1",
            "::1",
            "10.1.2.3",
            "192.168.1.1",
            "172.31.255.255",
            "100.64.0.1",
            "fd12::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
        ] {
            assert_eq!(of(text), Kind::Private, "{text}");
        }
    }
}
