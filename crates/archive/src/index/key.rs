//! A value as the bytes that it is filed under.
//!
//! A key is a number for the kind, one byte, and the value in normal form; keys are compared byte by byte. Addresses are
//! their bits. Domains are their labels from the last to the first, accounts the name before its domain, both parted by
//! [`PART`], so that a domain and all below it, and an account of whatever domain, are one range of keys. All else is what
//! [`push_observed`] gives. A key answers to a matcher exactly if the value does where events are matched as they come
//! (`detect/src/indicators`); `a_matcher_wants_what_it_matches` compares the two.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cresset_event::{HashAlgorithm, Matcher, Network, ObservableKind, RawObservable, push_observed};
use sha2::{Digest, Sha256};

/// Longest value in a key. One that would have as many bytes or more is cut to exactly as many: its beginning and the
/// SHA-256 of all of it. Paths and URLs of a page or more are searched for as a whole or not at all.
pub(crate) const VALUE_BYTES_MAX: usize = 512;
/// How much of a value that is cut stands in its key.
const CUT_BYTES: usize = VALUE_BYTES_MAX - 32;
/// Longest account, without its domain; a longer one is cut in the same way, with the SHA-256 as digits: no byte of it may
/// be a mark. No directory allows as many.
const ACCOUNT_BYTES_MAX: usize = 255;

/// Stands between the labels of a domain, and between an account and its domain.
const PART: u8 = 0x01;
/// Stands before a byte of the value that is zero or a mark itself, and has [`RAISED`] set then. It is greater than
/// [`PART`], so that nothing but what [`PART`] parts off lies between the two.
const ESCAPE: u8 = 0x02;
const RAISED: u8 = 0x40;

/// The number of each kind in a file: never changed, never used again.
const NUMBERS: [(ObservableKind, u8); ObservableKind::ALL.len()] = [
    (ObservableKind::Ipv4, 1),
    (ObservableKind::Ipv6, 2),
    (ObservableKind::Domain, 3),
    (ObservableKind::Url, 4),
    (ObservableKind::Email, 5),
    (ObservableKind::FileName, 6),
    (ObservableKind::RegistryKey, 7),
    (ObservableKind::User, 8),
    (ObservableKind::Process, 9),
    (ObservableKind::FileHash(HashAlgorithm::Md5), 16),
    (ObservableKind::FileHash(HashAlgorithm::Sha1), 17),
    (ObservableKind::FileHash(HashAlgorithm::Sha256), 18),
    (ObservableKind::FileHash(HashAlgorithm::Sha512), 19),
    (ObservableKind::FileHash(HashAlgorithm::ImpHash), 20),
];

/// Which keys are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// One key.
    Exact(Vec<u8>),
    /// All keys from one to before another; none where the first is not the smaller.
    Range {
        /// The smallest.
        first: Vec<u8>,
        /// The smallest that is too great.
        end_exclusive: Vec<u8>,
    },
}

impl Wanted {
    /// Returns the keys of the values that a matcher matches.
    pub(crate) fn of(matcher: &Matcher) -> Self {
        let kind = matcher.kind();
        let mut key = vec![number_of(kind)];
        match matcher {
            Matcher::Address(network) => return Self::of_network(network),
            Matcher::Domain(domain) => {
                push_domain(domain, &mut key);
                return Self::at_and_below(key);
            }
            Matcher::User(account) if !account.contains('\\') => {
                push_value(kind, account, &mut key);
                return Self::at_and_below(key);
            }
            _ => push_value(kind, &matcher.text(), &mut key),
        }
        Self::Exact(key)
    }

    fn of_network(network: &Network) -> Self {
        let mut first = Vec::with_capacity(17);
        push_address(network.address, &mut first);
        // A range that is not in normal form matches nothing where events come.
        if Network::of(network.address, network.prefix_bits) != *network {
            return Self::Range { end_exclusive: first.clone(), first };
        }
        if network.is_single() {
            return Self::Exact(first);
        }
        // The byte of the kind takes what the last address carries over.
        let mut end_exclusive = first.clone();
        let fixed_bits = 8 + usize::from(network.prefix_bits);
        let mut step = 1 << (7 - (fixed_bits - 1) % 8);
        for byte in end_exclusive[..fixed_bits.div_ceil(8)].iter_mut().rev() {
            let (sum, carries) = byte.overflowing_add(step);
            *byte = sum;
            if !carries {
                break;
            }
            step = 1;
        }
        Self::Range { first, end_exclusive }
    }

    /// The key and all that go on with [`PART`].
    fn at_and_below(first: Vec<u8>) -> Self {
        let mut end_exclusive = first.clone();
        end_exclusive.push(PART + 1);
        Self::Range { first, end_exclusive }
    }
}

/// Adds the key of an observable; `false` where it has no normal form, and nothing is added.
pub(crate) fn push_key(observable: &RawObservable<'_>, out: &mut Vec<u8>) -> bool {
    if let Some(address) = observable.address {
        push_address(address, out);
        return true;
    }
    let kind = observable.kind;
    let mut normal = String::with_capacity(observable.text.len());
    if matches!(kind, ObservableKind::Ipv4 | ObservableKind::Ipv6) || !push_observed(kind, observable.text, &mut normal)
    {
        return false;
    }
    if let ObservableKind::FileHash(algorithm) = kind
        && !is_hash(algorithm, &normal)
    {
        return false;
    }
    out.push(number_of(kind));
    push_value(kind, &normal, out);
    true
}

/// Returns the kind and the value of a key, of which the end may be missing (`…`); `None` where it is no key.
pub(crate) fn show_key(key: &[u8]) -> Option<(ObservableKind, String)> {
    let (number, value) = key.split_first()?;
    let (kind, _) = *NUMBERS.iter().find(|(_, known)| known == number)?;
    let is_cut = value.len() >= VALUE_BYTES_MAX;
    let kept = if is_cut { &value[..CUT_BYTES] } else { value };
    let mut text = match kind {
        ObservableKind::Ipv4 => Ipv4Addr::from(<[u8; 4]>::try_from(value).ok()?).to_string(),
        ObservableKind::Ipv6 => Ipv6Addr::from(<[u8; 16]>::try_from(value).ok()?).to_string(),
        ObservableKind::Domain => show_parts(kept, "."),
        ObservableKind::User => show_parts(kept, "\\"),
        _ => String::from_utf8_lossy(kept).into_owned(),
    };
    if is_cut {
        text.push('…');
    }
    Some((kind, text))
}

fn show_parts(value: &[u8], between: &str) -> String {
    let parts = value.split(|byte| *byte == PART).rev().map(unescape);
    parts.map(|part| String::from_utf8_lossy(&part).into_owned()).collect::<Vec<_>>().join(between)
}

fn number_of(kind: ObservableKind) -> u8 {
    NUMBERS.iter().find(|(known, _)| *known == kind).expect("every kind has a number").1
}

fn is_hash(algorithm: HashAlgorithm, hex: &str) -> bool {
    // An import hash has as many digits as MD5.
    let by_length = if algorithm == HashAlgorithm::ImpHash { HashAlgorithm::Md5 } else { algorithm };
    HashAlgorithm::of_hex(hex) == Some(by_length)
}

fn push_address(address: IpAddr, out: &mut Vec<u8>) {
    match address {
        IpAddr::V4(v4) => {
            out.push(number_of(ObservableKind::Ipv4));
            out.extend_from_slice(&v4.octets());
        }
        IpAddr::V6(v6) => {
            out.push(number_of(ObservableKind::Ipv6));
            out.extend_from_slice(&v6.octets());
        }
    }
}

/// Adds a value that is in normal form.
fn push_value(kind: ObservableKind, text: &str, out: &mut Vec<u8>) {
    let start = out.len();
    match kind {
        ObservableKind::Domain => push_domain(text, out),
        ObservableKind::User => push_user(text, out),
        _ => out.extend_from_slice(text.as_bytes()),
    }
    if out.len() - start >= VALUE_BYTES_MAX {
        let digest = Sha256::digest(&out[start..]);
        out.truncate(start + CUT_BYTES);
        out.extend_from_slice(&digest);
    }
}

fn push_domain(domain: &str, out: &mut Vec<u8>) {
    for (at, label) in domain.rsplit('.').enumerate() {
        if at > 0 {
            out.push(PART);
        }
        push_escaped(label, out);
    }
}

fn push_user(user: &str, out: &mut Vec<u8>) {
    let (domain, account) = user.rsplit_once('\\').map_or((None, user), |(domain, account)| (Some(domain), account));
    let start = out.len();
    push_escaped(account, out);
    if out.len() - start >= ACCOUNT_BYTES_MAX {
        let digest = Sha256::digest(&out[start..]);
        out.truncate(start + ACCOUNT_BYTES_MAX - 2 * digest.len());
        let digit = |nibble: u8| b"0123456789abcdef"[usize::from(nibble)];
        out.extend(digest.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
    }
    if let Some(domain) = domain {
        out.push(PART);
        push_escaped(domain, out);
    }
}

fn push_escaped(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        if byte <= ESCAPE {
            out.extend_from_slice(&[ESCAPE, byte | RAISED]);
        } else {
            out.push(byte);
        }
    }
}

fn unescape(escaped: &[u8]) -> Vec<u8> {
    let mut bytes = escaped.iter();
    let mut plain = Vec::with_capacity(escaped.len());
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            &ESCAPE => bytes.next().map_or(ESCAPE, |raised| raised & !RAISED),
            byte => *byte,
        });
    }
    plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::index::testing::{any_matcher, any_observable, contains, matches, raw};

    #[test]
    fn no_two_kinds_share_a_number() {
        for (at, kind) in ObservableKind::ALL.into_iter().enumerate() {
            let number = number_of(kind);
            assert!(number > 0 && ObservableKind::ALL[..at].iter().all(|other| number_of(*other) != number), "{kind}");
        }
    }

    #[test]
    fn a_domain_is_turned_round() {
        let mut key = Vec::new();
        assert!(push_key(&raw(ObservableKind::Domain, "WWW.evil.example"), &mut key));
        assert_eq!(key, b"\x03example\x01evil\x01www");
        assert_eq!(show_key(&key), Some((ObservableKind::Domain, "www.evil.example".into())));
    }

    #[test]
    fn a_hash_that_is_none_has_no_key() {
        let mut key = Vec::new();
        assert!(!push_key(&raw(ObservableKind::FileHash(HashAlgorithm::Sha1), "zz"), &mut key));
        assert!(!push_key(&raw(ObservableKind::Url, "no url"), &mut key));
        assert!(key.is_empty());
    }

    #[test]
    fn the_last_range_ends_behind_its_kind() {
        let of = |text: &str| Wanted::of(&Matcher::Address(Network::parse(text).expect("a range")));
        let range = |first: &[u8], end: &[u8]| Wanted::Range { first: first.into(), end_exclusive: end.into() };
        assert_eq!(of("0.0.0.0/0"), range(&[1, 0, 0, 0, 0], &[2, 0, 0, 0, 0]));
        assert_eq!(of("255.255.255.254/31"), range(&[1, 255, 255, 255, 254], &[2, 0, 0, 0, 0]));
        assert_eq!(of("10.0.255.0/24"), range(&[1, 10, 0, 255, 0], &[1, 10, 1, 0, 0]));
        assert_eq!(of("192.0.2.1"), Wanted::Exact(vec![1, 192, 0, 2, 1]));
    }

    #[test]
    fn long_values_are_cut_and_stay_apart() {
        for kind in [ObservableKind::FileName, ObservableKind::User, ObservableKind::Process] {
            let keys: Vec<Vec<u8>> = [254, 255, 256, 511, 512, 513, 5000]
                .into_iter()
                .map(|len| {
                    let mut key = Vec::new();
                    assert!(push_key(&raw(kind, &"a".repeat(len)), &mut key));
                    assert!(key.len() <= 1 + VALUE_BYTES_MAX && show_key(&key).is_some());
                    key
                })
                .collect();
            assert!(keys.iter().enumerate().all(|(at, key)| !keys[..at].contains(key)), "{kind}");
        }
    }

    #[test]
    fn an_account_of_any_length_is_found_without_its_domain() {
        for (domain, account) in [(1, 254), (1, 255), (1, 600), (600, 5), (600, 600)] {
            let (domain, account) = ("d".repeat(domain), "a".repeat(account));
            let observed = format!("{domain}\\{account}");
            for wanted in [&account, &observed] {
                let wanted = Wanted::of(&Matcher::User(wanted.clone()));
                assert!(contains(&wanted, &raw(ObservableKind::User, &observed)));
                assert!(!contains(&wanted, &raw(ObservableKind::User, &format!("{observed}b"))));
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn a_matcher_wants_what_it_matches(observable in any_observable(), matcher in any_matcher()) {
            let observable = observable.raw();
            prop_assert_eq!(contains(&Wanted::of(&matcher), &observable), matches(&matcher, &observable), "{:?}", matcher);
        }

        #[test]
        fn a_key_shows_what_it_was_made_of(observable in any_observable()) {
            let mut key = Vec::new();
            if push_key(&observable.raw(), &mut key) {
                let (kind, text) = show_key(&key).expect("a key");
                prop_assert_eq!(kind, observable.kind);
                let mut normal = String::new();
                if observable.raw().address.is_none() && push_observed(kind, &observable.text, &mut normal) && normal.len() < ACCOUNT_BYTES_MAX {
                    prop_assert_eq!(text, normal);
                }
            }
        }
    }
}
