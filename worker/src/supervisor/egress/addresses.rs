//! Classes of addresses by the network they lead to.
//!
//! Invariant: an address is public only if it lies in space that IANA hands out for the Internet at large.
//! IPv6 is refused unless it is known to be such; forms that carry an IPv4 address inside are refused
//! whatever they carry, so that no translator on the way can turn them into something else.
//!
//! Sources: IANA's IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890 and what was added since), and
//! the metadata addresses that the cloud providers document.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Reason why scripts may not reach an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Class {
    Unspecified,
    Loopback,
    Private,
    LinkLocal,
    /// Carrier-grade NAT, RFC 6598.
    SharedSpace,
    Multicast,
    Broadcast,
    /// A cloud provider's metadata service: credentials for the asking.
    Metadata,
    /// Documentation, benchmarks, protocol assignments, space never handed out.
    Reserved,
    /// An IPv6 address that carries an IPv4 address: mapped, compatible, NAT64, 6to4, Teredo.
    EmbedsIpv4,
}

impl Class {
    /// The words of the message a script sees.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::LinkLocal => "link-local",
            Self::SharedSpace => "carrier-grade NAT",
            Self::Multicast => "multicast",
            Self::Broadcast => "broadcast",
            Self::Metadata => "metadata",
            Self::Reserved => "reserved",
            Self::EmbedsIpv4 => "IPv4-embedding",
        }
    }
}

/// Metadata services that live at an address of their own. 168.63.129.16 (Azure) is even public space.
const METADATA: [IpAddr; 6] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// The class of an address, or `None` if it is public.
pub(crate) fn classify(address: IpAddr) -> Option<Class> {
    if METADATA.contains(&address) {
        return Some(Class::Metadata);
    }
    match address {
        IpAddr::V4(address) => classify_v4(address),
        IpAddr::V6(address) => classify_v6(address),
    }
}

#[expect(clippy::unnested_or_patterns, reason = "a pattern per registry entry")]
fn classify_v4(address: Ipv4Addr) -> Option<Class> {
    Some(match address.octets() {
        [0, 0, 0, 0] => Class::Unspecified,
        [127, ..] => Class::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Class::Private,
        [169, 254, ..] => Class::LinkLocal,
        [100, 64..=127, ..] => Class::SharedSpace,
        [224..=239, ..] => Class::Multicast,
        [255, 255, 255, 255] => Class::Broadcast,
        // This network; IETF protocols; the withdrawn 6to4 relays; benchmarks; future use.
        [0, ..] | [192, 0, 0, _] | [192, 88, 99, _] | [198, 18..=19, ..] | [240..=255, ..]
        // Documentation.
        | [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Class::Reserved,
        _ => return None,
    })
}

#[expect(clippy::unnested_or_patterns, reason = "a pattern per registry entry")]
fn classify_v6(address: Ipv6Addr) -> Option<Class> {
    if address.is_unspecified() {
        return Some(Class::Unspecified);
    }
    if address.is_loopback() {
        return Some(Class::Loopback);
    }
    Some(match address.segments() {
        // Compatible (::/96), mapped (::ffff:0:0/96), translated (::ffff:0:0:0/96).
        [0, 0, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0, 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..]
        // NAT64 (64:ff9b::/96, and 64:ff9b:1::/48 for local use), Teredo, 6to4.
        | [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0x64, 0xff9b, 1, ..] | [0x2001, 0, ..] | [0x2002, ..] => Class::EmbedsIpv4,
        [0xfc00..=0xfdff, ..] => Class::Private,
        [0xfe80..=0xfebf, ..] => Class::LinkLocal,
        [0xff00..=0xffff, ..] => Class::Multicast,
        // IETF protocols (2001::/23: benchmarks, ORCHID, …) and documentation, inside the global unicast
        // block.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Class::Reserved,
        [0x2000..=0x3fff, ..] => return None,
        _ => Class::Reserved,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn class(address: &str) -> Option<Class> {
        classify(address.parse().unwrap())
    }

    #[test]
    fn public_addresses_have_no_class() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "128.0.0.0",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2001:200::",
            "2001:4860:4860::8888",
            "2600::",
            "2a00::",
            "3ffe::1",
        ] {
            assert_eq!(class(address), None, "{address}");
        }
    }

    #[test]
    fn every_special_range_is_refused_at_both_of_its_ends() {
        for (first, last, expected) in [
            ("0.0.0.0", "0.0.0.0", Class::Unspecified),
            ("0.0.0.1", "0.255.255.255", Class::Reserved),
            ("10.0.0.0", "10.255.255.255", Class::Private),
            ("100.64.0.0", "100.127.255.255", Class::SharedSpace),
            ("127.0.0.0", "127.255.255.255", Class::Loopback),
            ("169.254.0.0", "169.254.255.255", Class::LinkLocal),
            ("172.16.0.0", "172.31.255.255", Class::Private),
            ("192.0.0.0", "192.0.0.255", Class::Reserved),
            ("192.0.2.0", "192.0.2.255", Class::Reserved),
            ("192.88.99.0", "192.88.99.255", Class::Reserved),
            ("192.168.0.0", "192.168.255.255", Class::Private),
            ("198.18.0.0", "198.19.255.255", Class::Reserved),
            ("198.51.100.0", "198.51.100.255", Class::Reserved),
            ("203.0.113.0", "203.0.113.255", Class::Reserved),
            ("224.0.0.0", "239.255.255.255", Class::Multicast),
            ("240.0.0.0", "255.255.255.254", Class::Reserved),
            ("255.255.255.255", "255.255.255.255", Class::Broadcast),
            ("::", "::", Class::Unspecified),
            ("::1", "::1", Class::Loopback),
            ("::2", "::ffff:ffff", Class::EmbedsIpv4),
            ("::ffff:0.0.0.0", "::ffff:255.255.255.255", Class::EmbedsIpv4),
            ("::ffff:0:0:0", "::ffff:0:ffff:ffff", Class::EmbedsIpv4),
            ("64:ff9b::", "64:ff9b::ffff:ffff", Class::EmbedsIpv4),
            ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", Class::EmbedsIpv4),
            ("100::", "100::ffff:ffff:ffff:ffff", Class::Reserved),
            ("2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", Class::EmbedsIpv4),
            ("2001:1::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", Class::Reserved),
            ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", Class::Reserved),
            ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Class::EmbedsIpv4),
            ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", Class::Reserved),
            ("4000::", "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Class::Reserved),
            ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Class::Private),
            ("fe00::", "fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Class::Reserved),
            ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Class::LinkLocal),
            ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Class::Reserved),
            ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Class::Multicast),
        ] {
            assert_eq!((class(first), class(last)), (Some(expected), Some(expected)), "{first} to {last}");
        }
    }

    #[test]
    fn metadata_addresses_are_classified_as_metadata() {
        for address in [
            "169.254.169.254",
            "168.63.129.16",
            "100.100.100.200",
            "192.0.0.192",
            "fd00:ec2::254",
            "fd20:ce::254",
        ] {
            assert_eq!(class(address), Some(Class::Metadata), "{address}");
        }
    }

    proptest! {
        #[test]
        fn whatever_the_standard_library_calls_special_is_refused(bits: u32) {
            let address = Ipv4Addr::from(bits);
            let special = address.is_private() || address.is_loopback() || address.is_link_local()
                || address.is_broadcast() || address.is_documentation() || address.is_multicast()
                || address.is_unspecified();
            prop_assert!(!special || classify(address.into()).is_some());
        }

        #[test]
        fn ipv6_addresses_that_embed_ipv4_are_never_public(bits: u32) {
            let [a, b, c, d] = bits.to_be_bytes();
            let low = [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])];
            for address in [
                Ipv4Addr::from(bits).to_ipv6_mapped(),
                Ipv4Addr::from(bits).to_ipv6_compatible(),
                Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, low[0], low[1]),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, low[0], low[1]),
                Ipv6Addr::new(0x64, 0xff9b, 1, low[0], low[1], 0, 0, 0),
                Ipv6Addr::new(0x2002, low[0], low[1], 0, 0, 0, 0, 1),
                Ipv6Addr::new(0x2001, 0, low[0], low[1], 0, 0, !low[0], !low[1]),
            ] {
                prop_assert!(classify(address.into()).is_some(), "{}", address);
            }
        }

        #[test]
        fn only_global_unicast_ipv6_is_public(bits: u128) {
            let address = Ipv6Addr::from(bits);
            prop_assert!(classify(address.into()).is_some() || address.segments()[0] >> 13 == 1);
        }
    }
}
