//! What an address leads to: the public net, this machine, its neighbours, or nobody.
//!
//! [`Reach::of`] is a pure function over the registries of IANA (RFC 6890 and what came since). An IPv6 address that stands for an
//! IPv4 address is judged as that one. What no registry gives out to everybody is not public: of IPv6 that is all but `2000::/3`.
//! The tests go through each registry, at both ends of each block and just beyond.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Whoever it was given to, anywhere.
    Public,
    /// This machine.
    Loopback,
    /// Whoever is on the same wire.
    LinkLocal,
    /// A network of one's own (RFC 1918, RFC 4193), or a translator's (RFC 8215).
    Private,
    /// The network of one's provider (RFC 6598).
    Shared,
    /// The service by which a cloud hands its machines their keys.
    Metadata,
    /// Nothing that may be relied on: documentation, benchmarks, protocols, the future.
    Reserved,
    /// No machine in particular: all, many, or "this".
    Nobody,
}

/// Where clouds hand out keys: AWS, Azure, Google and others; AWS over IPv6, and to its containers and pods; Google over IPv6;
/// Alibaba; Azure's other one; Oracle's other one.
const METADATA: [IpAddr; 9] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
];

impl Reach {
    /// Returns what an address leads to.
    pub fn of(address: IpAddr) -> Self {
        let address = address.to_canonical();
        if METADATA.contains(&address) {
            return Self::Metadata;
        }
        match address {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => of_v6(address),
        }
    }

    /// Returns the word for it in a message.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Loopback => "this machine",
            Self::LinkLocal => "link-local",
            Self::Private => "a private network",
            Self::Shared => "a provider's network",
            Self::Metadata => "a cloud's metadata service",
            Self::Reserved => "a reserved address",
            Self::Nobody => "no machine in particular",
        }
    }
}

/// The registry of special IPv4 addresses.
fn of_v4(address: Ipv4Addr) -> Reach {
    match address.octets() {
        [0, ..] | [224..=239, ..] | [255, 255, 255, 255] => Reach::Nobody,
        [127, ..] => Reach::Loopback,
        [169, 254, ..] => Reach::LinkLocal,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Reach::Private,
        [100, 64..=127, ..] => Reach::Shared,
        // Protocols, documentation, the relays of 6to4 that were, benchmarks.
        [192, 0, 0 | 2, _] | [198, 51, 100, _] | [203, 0, 113, _] | [192, 88, 99, _] | [198, 18..=19, ..] => {
            Reach::Reserved
        }
        [240..=255, ..] => Reach::Reserved,
        _ => Reach::Public,
    }
}

/// The registry of special IPv6 addresses.
fn of_v6(address: Ipv6Addr) -> Reach {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] | [0xff00..=0xffff, ..] => Reach::Nobody,
        [0, 0, 0, 0, 0, 0, 0, 1] => Reach::Loopback,
        [0xfe80..=0xfebf, ..] => Reach::LinkLocal,
        // A translator of one's own; unique local; site-local as it once was.
        [0x64, 0xff9b, 1, ..] | [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => Reach::Private,
        // NAT64 (RFC 6052) and 6to4 (RFC 3056) lead to an IPv4 address.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => Reach::of(embedded(high, low)),
        // Protocols, Teredo among them; documentation, old and new.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Reach::Reserved,
        [0x2000..=0x3fff, ..] => Reach::Public,
        _ => Reach::Reserved,
    }
}

fn embedded(high: u16, low: u16) -> IpAddr {
    Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)).into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(expected: Reach, addresses: &str) {
        for text in addresses.split_whitespace() {
            let address = text.parse().unwrap_or_else(|_| panic!("no address: {text}"));
            assert_eq!(Reach::of(address), expected, "{text}");
        }
    }

    #[test]
    fn ipv4_at_both_ends_of_each_block() {
        check(Reach::Nobody, "0.0.0.0 0.255.255.255 224.0.0.0 239.255.255.255 255.255.255.255");
        check(Reach::Loopback, "127.0.0.0 127.0.0.1 127.255.255.255");
        check(Reach::LinkLocal, "169.254.0.0 169.254.255.255");
        check(Reach::Private, "10.0.0.0 10.255.255.255 172.16.0.0 172.31.255.255 192.168.0.0 192.168.255.255");
        check(Reach::Shared, "100.64.0.0 100.127.255.255");
        check(Reach::Reserved, "192.0.0.0 192.0.0.255 192.0.2.0 192.0.2.255 198.51.100.0 198.51.100.255");
        check(Reach::Reserved, "203.0.113.0 203.0.113.255 192.88.99.1 198.18.0.0 198.19.255.255 240.0.0.0");
        check(Reach::Reserved, "255.255.255.254");
        check(Reach::Public, "1.0.0.0 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0");
        check(Reach::Public, "169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.0 192.0.3.0");
        check(Reach::Public, "192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 198.51.99.255 203.0.114.0");
        check(Reach::Public, "223.255.255.255 93.184.215.14");
    }

    #[test]
    fn ipv6_at_both_ends_of_each_block() {
        check(Reach::Nobody, ":: ff00:: ff02::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
        check(Reach::Loopback, "::1");
        check(Reach::LinkLocal, "fe80:: fe80::1 febf:ffff::1");
        check(Reach::Private, "fc00:: fdff:ffff::1 fec0::1 feff:ffff::1 64:ff9b:1:: 64:ff9b:1:ffff::1");
        check(Reach::Reserved, "::2 ::7f00:1 ::a00:1 100::1 200::1 5f00::1 1fff:ffff::1 4000:: ::ffff:0:7f00:1");
        check(Reach::Reserved, "2001:: 2001::1 2001:1ff:ffff::1 2001:db8:: 2001:db8:ffff::1 3fff:: 3fff:fff::1");
        check(Reach::Reserved, "fbff:ffff::1");
        check(Reach::Public, "2000:: 2001:200:: 2001:db7::1 2001:db9::1 2606:4700::1111 3ffe:ffff::1 3fff:1000::1");
    }

    #[test]
    fn what_stands_for_ipv4_is_judged_as_that() {
        check(Reach::Loopback, "::ffff:127.0.0.1 64:ff9b::127.0.0.1 2002:7f00:1::1");
        check(Reach::Private, "::ffff:10.0.0.1 64:ff9b::10.0.0.1 2002:c0a8:101::");
        check(Reach::Metadata, "::ffff:169.254.169.254 64:ff9b::169.254.169.254 2002:a9fe:a9fe::1");
        check(Reach::Nobody, "::ffff:0.0.0.0 64:ff9b:: 2002::1");
        check(Reach::Public, "::ffff:93.184.215.14 64:ff9b::93.184.215.14 2002:5db8:d70e::1");
    }

    #[test]
    fn where_clouds_hand_out_keys_is_told_apart() {
        check(Reach::Metadata, "169.254.169.254 fd00:ec2::254 100.100.100.200 168.63.129.16 192.0.0.192");
        check(Reach::Metadata, "169.254.170.2 169.254.170.23 fd00:ec2::23 fd20:ce::254 ::ffff:169.254.170.2");
    }

    proptest! {
        /// The registry of the standard library, as far as it is stable, is the oracle.
        #[test]
        fn nothing_that_is_known_to_be_special_is_public(bits in any::<u32>()) {
            let address = Ipv4Addr::from_bits(bits);
            let is_special = address.is_private() || address.is_loopback() || address.is_link_local() || address.is_multicast()
                || address.is_broadcast() || address.is_documentation() || address.is_unspecified();
            prop_assert!(!is_special || Reach::of(address.into()) != Reach::Public, "{}", address);
        }

        #[test]
        fn every_way_to_write_an_ipv4_address_is_judged_alike(bits in any::<u32>(), rest in any::<[u16; 5]>()) {
            let address = Ipv4Addr::from_bits(bits);
            let (high, low) = ((bits >> 16) as u16, bits as u16);
            let [a, b, c, d, e] = rest;
            for same in [
                address.to_ipv6_mapped(),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x2002, high, low, a, b, c, d, e),
            ] {
                prop_assert_eq!(Reach::of(same.into()), Reach::of(address.into()), "{}", same);
            }
        }

        #[test]
        fn only_global_unicast_is_public(segments in any::<[u16; 8]>()) {
            let address = Ipv6Addr::from(segments);
            let may_be = segments[0] >> 13 == 1 || segments[..2] == [0x64, 0xff9b] || address.to_ipv4_mapped().is_some();
            prop_assert!(may_be || Reach::of(address.into()) != Reach::Public, "{}", address);
        }
    }
}
