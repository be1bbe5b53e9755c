//! What indicators must not name: the table `data/warning_list.toml`, compiled.
//!
//! A list and no judgement: an indicator that is held back stays in the set, is counted with its reason, and fires where
//! a person asks for that. A domain is held back itself; hosts below it are not. A URL is never held back.

use std::collections::HashMap;
use std::net::IpAddr;

use cresset_event::{Matcher, Network};
use serde::Deserialize;

/// Shortest prefixes that are taken: a wider range is a mistake, it would name a good part of all machines.
const IPV4_PREFIX_MIN: u8 = 8;
const IPV6_PREFIX_MIN: u8 = 16;

/// The compiled list.
#[derive(Debug)]
pub struct WarningList {
    reasons: Vec<String>,
    networks: Vec<(Network, usize)>,
    values: HashMap<String, usize, foldhash::fast::RandomState>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    list: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    reason: String,
    #[serde(default)]
    networks: Vec<String>,
    #[serde(default)]
    domains: Vec<String>,
    #[serde(default)]
    hashes: Vec<String>,
}

impl WarningList {
    /// Returns the list that ships.
    pub fn built_in() -> Self {
        let table: Table =
            toml::from_str(include_str!("../data/warning_list.toml")).expect("the built-in list is valid");
        let mut list = Self { reasons: Vec::new(), networks: Vec::new(), values: HashMap::default() };
        for row in table.list {
            let reason = list.reasons.len();
            list.reasons.push(row.reason);
            let parse = |text: &String| Network::parse(text).expect("the built-in list's networks are valid");
            list.networks.extend(row.networks.iter().map(|text| (parse(text), reason)));
            list.values.extend(row.domains.into_iter().chain(row.hashes).map(|value| (value, reason)));
        }
        list
    }

    /// Returns why an indicator that looks for this should not fire; `None` where nothing speaks against it.
    pub fn reason(&self, matcher: &Matcher) -> Option<&str> {
        match matcher {
            Matcher::Address(network) => self.network_reason(network),
            Matcher::Domain(value) | Matcher::FileHash(_, value) => self.value_reason(value),
            _ => None,
        }
    }

    fn value_reason(&self, value: &str) -> Option<&str> {
        self.values.get(value).map(|reason| self.reasons[*reason].as_str())
    }

    fn network_reason(&self, network: &Network) -> Option<&str> {
        let least = if matches!(network.address, IpAddr::V4(_)) { IPV4_PREFIX_MIN } else { IPV6_PREFIX_MIN };
        if network.prefix_bits < least {
            return Some("a range so wide that it names a good part of all machines");
        }
        let inside = |listed: &Network| listed.prefix_bits <= network.prefix_bits && listed.contains(network.address);
        self.networks.iter().find(|(listed, _)| inside(listed)).map(|(_, reason)| self.reasons[*reason].as_str())
    }
}

#[cfg(test)]
mod tests {
    use cresset_event::ObservableKind;

    use super::*;

    #[test]
    fn each_name_stands_in_one_row_in_the_form_that_indicators_have() {
        let table: Table = toml::from_str(include_str!("../data/warning_list.toml")).expect("it is valid");
        let mut seen = std::collections::HashSet::new();
        for domain in table.list.into_iter().flat_map(|row| row.domains) {
            let has_dot = domain.contains('.');
            assert!(!has_dot || Matcher::parse(&domain) == Some(Matcher::Domain(domain.clone())), "{domain}");
            assert!(seen.insert(domain.clone()), "{domain} stands twice");
        }
    }

    #[test]
    fn a_top_level_domain_is_no_indicator() {
        for text in ["com", "com.", ".com", "*.com"] {
            assert_eq!(Matcher::of_kind(ObservableKind::Domain, text), None, "{text}");
        }
    }

    #[test]
    fn what_is_held_back_and_what_is_not() {
        let list = WarningList::built_in();
        let held = |text: &str| list.reason(&Matcher::parse(text).expect("a value")).is_some();
        for text in [
            "10.1.2.3",
            "127.0.0.1",
            "192.168.0.0/24",
            "fe80::1",
            "8.8.8.8",
            "0.0.0.0/0",
            "2000::/3",
            "microsoft.com",
            "co.uk",
            "*.com.au",
            "duckdns.org",
            "d41d8cd98f00b204e9800998ecf8427e",
        ] {
            assert!(held(text), "{text}");
        }
        for text in ["192.0.2.1", "203.0.113.0/24", "11.0.0.0/8", "2001:db8::1", "9.9.9.11"] {
            assert!(!held(text), "{text}");
        }
        for text in ["evil.microsoft.com", "evil.co.uk", "evil.duckdns.org", "notco.uk"] {
            assert!(!held(text), "{text}");
        }
    }
}
