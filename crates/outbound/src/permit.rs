//! What an operator has listed: private places that may be gone to, and places that are spoken to in clear.
//!
//! A name that is listed may lead to private networks. This machine, the same wire, a cloud's metadata and reserved addresses must be
//! listed by address: whoever answers for a name could point it there. A network with the metadata service in it does not list that;
//! only its very address does.

use std::net::IpAddr;

use ipnet::IpNet;
use url::Host;

use crate::address::Reach;

/// What an operator has listed; nothing, by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Permit {
    networks: Vec<IpNet>,
    names: Vec<Host>,
    clear: Vec<Host>,
}

/// An entry that names no place.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no address, network or name of a host: write 10.1.2.3, 10.1.0.0/16 or feeds.example")]
pub struct NoPlace(pub String);

impl Permit {
    /// Reads what is listed: addresses, networks and names that may be private, and hosts that are spoken to in clear.
    pub fn parse(private: &[String], clear: &[String]) -> Result<Self, NoPlace> {
        let mut permit = Self::default();
        for text in private {
            match parse_network(text) {
                Some(network) => permit.networks.push(network),
                None => permit.names.push(parse_host(text)?),
            }
        }
        permit.clear = clear.iter().map(|text| parse_host(text)).collect::<Result<_, _>>()?;
        Ok(permit)
    }

    /// Returns whether a host may be spoken to in clear.
    pub(crate) fn is_clear(&self, host: &Host) -> bool {
        self.clear.contains(host)
    }

    /// Returns whether a host stands in the list of private ones itself.
    pub(crate) fn is_listed(&self, host: &Host) -> bool {
        match address_of(host) {
            Some(address) => self.has_address(address),
            None => self.names.contains(host),
        }
    }

    /// Returns what an address leads to where one may not go there, asked for by the name of `host`.
    pub fn check(&self, host: &Host, address: IpAddr) -> Result<(), Reach> {
        let reach = Reach::of(address);
        let may = match reach {
            Reach::Public => true,
            Reach::Nobody => false,
            Reach::Private | Reach::Shared => self.names.contains(host) || self.has_address(address),
            Reach::Metadata => self.networks.contains(&IpNet::from(address.to_canonical())),
            Reach::Loopback | Reach::LinkLocal | Reach::Reserved => self.has_address(address),
        };
        if may { Ok(()) } else { Err(reach) }
    }

    fn has_address(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(&address))
    }
}

/// Returns the address that a host is, where it is none by name.
pub(crate) fn address_of(host: &Host) -> Option<IpAddr> {
    match host {
        Host::Ipv4(address) => Some((*address).into()),
        Host::Ipv6(address) => Some((*address).into()),
        Host::Domain(_) => None,
    }
}

fn parse_network(text: &str) -> Option<IpNet> {
    let address = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.map(|address| IpNet::from(address.to_canonical())).ok().or_else(|| text.parse().ok())
}

/// Reads a host as it stands in an address; a dot behind it says nothing.
fn parse_host(text: &str) -> Result<Host, NoPlace> {
    let no_place = || NoPlace(text.to_owned());
    if text.contains(['/', '*', ' ']) {
        return Err(no_place());
    }
    Host::parse(text.trim_end_matches('.')).map_err(|_| no_place())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permit(private: &[&str]) -> Permit {
        let private: Vec<String> = private.iter().map(|&text| text.to_owned()).collect();
        Permit::parse(&private, &[]).expect("places")
    }

    #[track_caller]
    fn check(private: &[&str], host: &str, address: &str, expected: Result<(), Reach>) {
        let address = address.parse().expect("an address");
        assert_eq!(permit(private).check(&parse_host(host).expect("a host"), address), expected, "{private:?} {host}");
    }

    #[test]
    fn only_what_is_listed_may_be_private() {
        check(&[], "a.example", "93.184.215.14", Ok(()));
        check(&[], "a.example", "10.0.0.1", Err(Reach::Private));
        check(&["a.example"], "a.example", "10.0.0.1", Ok(()));
        check(&["A.Example."], "a.example", "100.64.0.1", Ok(()));
        check(&["a.example"], "b.a.example", "10.0.0.1", Err(Reach::Private));
        check(&["10.0.0.0/8"], "b.example", "10.255.0.1", Ok(()));
        check(&["10.0.0.0/8"], "b.example", "11.0.0.1", Ok(()));
        check(&["10.0.0.0/8"], "b.example", "192.168.0.1", Err(Reach::Private));
        check(&["fd00::/8"], "b.example", "fd12::1", Ok(()));
        check(&["127.0.0.1"], "b.example", "127.0.0.1", Ok(()));
        check(&["127.0.0.1"], "b.example", "::ffff:127.0.0.1", Ok(()));
        check(&["127.0.0.1"], "b.example", "127.0.0.2", Err(Reach::Loopback));
        check(&["[::1]"], "b.example", "::1", Ok(()));
    }

    #[test]
    fn a_name_leads_to_private_networks_and_no_further() {
        check(&["localhost"], "localhost", "127.0.0.1", Err(Reach::Loopback));
        check(&["a.example"], "a.example", "169.254.1.1", Err(Reach::LinkLocal));
        check(&["a.example"], "a.example", "fd00:ec2::254", Err(Reach::Metadata));
        check(&["a.example"], "a.example", "fd20:ce::254", Err(Reach::Metadata));
        check(&["a.example"], "a.example", "192.0.2.1", Err(Reach::Reserved));
    }

    #[test]
    fn metadata_and_nobody_are_not_listed_by_a_network() {
        check(&["0.0.0.0/0"], "a.example", "169.254.169.254", Err(Reach::Metadata));
        check(&["169.254.169.254"], "a.example", "169.254.169.254", Ok(()));
        check(&["0.0.0.0/0", "0.0.0.0"], "a.example", "0.0.0.0", Err(Reach::Nobody));
    }

    #[test]
    fn what_is_no_place_is_told() {
        for wrong in ["", "10.0.0.0/33", "*.example", "http://a.example", "a b", "a.example:80"] {
            let error = Permit::parse(&[wrong.to_owned()], &[]).expect_err(wrong);
            assert!(error.to_string().contains(&format!("`{wrong}`")), "{error}");
        }
    }
}
