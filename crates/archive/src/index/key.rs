//! Keys: observables as bytes, in an order in which what an indicator looks for lies together.
//!
//! The first byte is the kind. Addresses and hashes follow as their bytes, highest first. The labels of a domain stand in
//! reverse, and an account before its domain, with [`PART`] between: so that all below a domain, and all accounts of a name,
//! are one range. Everything else is the text in the form that indicators have.

use std::net::IpAddr;

use cresset_event::{HashAlgorithm, Matcher, Network, ObservableKind, RawObservable, push_observed};
use sha2::{Digest, Sha256};

/// Stands between the parts of a name; no name has it.
const PART: u8 = 1;
/// Longest key. A domain has at most 253 bytes; of what is longer, URLs mostly, the beginning is kept and a digest.
const KEY_BYTES_MAX: usize = 255;
/// How much of a longer key is kept.
const KEPT_BYTES: usize = KEY_BYTES_MAX - 32;

/// What an indicator looks for among keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// One key.
    Exact(Vec<u8>),
    /// All keys from one to another.
    Range { first: Vec<u8>, end_exclusive: Vec<u8> },
}

/// The kinds by the byte that a key begins with: part of the format.
const KINDS: [(u8, ObservableKind); 14] = [
    (1, ObservableKind::Ipv4),
    (2, ObservableKind::Ipv6),
    (3, ObservableKind::Domain),
    (4, ObservableKind::Url),
    (5, ObservableKind::Email),
    (6, ObservableKind::FileName),
    (7, ObservableKind::RegistryKey),
    (8, ObservableKind::User),
    (9, ObservableKind::Process),
    (16, ObservableKind::FileHash(HashAlgorithm::Md5)),
    (17, ObservableKind::FileHash(HashAlgorithm::Sha1)),
    (18, ObservableKind::FileHash(HashAlgorithm::Sha256)),
    (19, ObservableKind::FileHash(HashAlgorithm::Sha512)),
    (20, ObservableKind::FileHash(HashAlgorithm::ImpHash)),
];

fn byte_of(kind: ObservableKind) -> u8 {
    KINDS.iter().find(|(_, known)| *known == kind).map(|(byte, _)| *byte).expect("every kind is listed")
}

/// Adds the key of an observable; `false` where no indicator could look for such a value.
pub(crate) fn push_key(observable: &RawObservable<'_>, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    out.push(byte_of(observable.kind));
    match (observable.address, observable.kind) {
        (Some(address), _) => push_address(address, out),
        (None, ObservableKind::FileHash(_)) => {
            if !push_hex(observable.text, out) {
                return false;
            }
        }
        (None, kind) => {
            let mut text = String::new();
            if !push_observed(kind, observable.text, &mut text) || text.bytes().any(|byte| byte <= PART) {
                return false;
            }
            push_text(kind, &text, out);
        }
    }
    shorten(out, start);
    true
}

fn push_text(kind: ObservableKind, text: &str, out: &mut Vec<u8>) {
    match kind {
        ObservableKind::Domain => {
            for (at, label) in text.rsplit('.').enumerate() {
                out.extend((at > 0).then_some(PART));
                out.extend_from_slice(label.as_bytes());
            }
        }
        ObservableKind::User => match text.rsplit_once('\\') {
            Some((domain, account)) => {
                out.extend_from_slice(account.as_bytes());
                out.push(PART);
                out.extend_from_slice(domain.as_bytes());
            }
            None => out.extend_from_slice(text.as_bytes()),
        },
        _ => out.extend_from_slice(text.as_bytes()),
    }
}

fn push_address(address: IpAddr, out: &mut Vec<u8>) {
    match address {
        IpAddr::V4(address) => out.extend(address.octets()),
        IpAddr::V6(address) => out.extend(address.octets()),
    }
}

fn push_hex(hex: &str, out: &mut Vec<u8>) -> bool {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    for pair in hex.as_bytes().chunks(2) {
        match pair {
            [high, low] => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => out.push(high << 4 | low),
                _ => return false,
            },
            _ => return false,
        }
    }
    true
}

/// Cuts a key that is too long.
fn shorten(out: &mut Vec<u8>, start: usize) {
    if out.len() - start > KEY_BYTES_MAX {
        let digest = Sha256::digest(&out[start..]);
        out.truncate(start + KEPT_BYTES);
        out.extend_from_slice(&digest);
    }
}

impl Wanted {
    /// Returns what a matcher looks for: the keys of just those observables that it matches.
    pub(crate) fn of(matcher: &Matcher) -> Self {
        let mut key = vec![byte_of(matcher.kind())];
        match matcher {
            Matcher::Address(network) if !network.is_single() => return Self::of_network(network, key),
            Matcher::Address(network) => push_address(network.address, &mut key),
            Matcher::FileHash(_, hex) => assert!(push_hex(hex, &mut key), "a matcher's hash is one"),
            _ => push_text(matcher.kind(), &matcher.text(), &mut key),
        }
        let is_range = match matcher {
            Matcher::Domain(_) => true,
            Matcher::User(user) => !user.contains('\\'),
            _ => false,
        };
        shorten(&mut key, 0);
        if !is_range {
            return Self::Exact(key);
        }
        let mut end_exclusive = key.clone();
        end_exclusive.push(PART + 1);
        Self::Range { first: key, end_exclusive }
    }

    fn of_network(network: &Network, mut first: Vec<u8>) -> Self {
        let kind = first[0];
        push_address(network.address, &mut first);
        // The last address, and one more.
        let mut end_exclusive = first.clone();
        for (at, byte) in end_exclusive[1..].iter_mut().enumerate() {
            let fixed = usize::from(network.prefix_bits).saturating_sub(at * 8).min(8);
            *byte |= 0xff_u8.checked_shr(fixed as u32).unwrap_or(0);
        }
        match end_exclusive[1..].iter().rposition(|byte| *byte != 0xff) {
            Some(last) => {
                end_exclusive.truncate(last + 2);
                end_exclusive[last + 1] += 1;
            }
            None => end_exclusive = vec![kind + 1],
        }
        Self::Range { first, end_exclusive }
    }

    /// Returns the first key that is looked for.
    pub(crate) fn first(&self) -> &[u8] {
        match self {
            Self::Exact(key) | Self::Range { first: key, .. } => key,
        }
    }

    /// Returns whether a key lies behind all that is looked for.
    pub(crate) fn ends_before(&self, key: &[u8]) -> bool {
        match self {
            Self::Exact(wanted) => &wanted[..] < key,
            Self::Range { end_exclusive, .. } => &end_exclusive[..] <= key,
        }
    }
}

/// Returns the kind and the value of a key, for a person; `None` where it is none.
pub(crate) fn show_key(key: &[u8]) -> Option<(ObservableKind, String)> {
    let (byte, value) = key.split_first()?;
    let kind = KINDS.iter().find(|(known, _)| known == byte)?.1;
    let parts = || value.split(|byte| *byte == PART).map(String::from_utf8_lossy).rev().collect::<Vec<_>>();
    let text = match kind {
        ObservableKind::Ipv4 => IpAddr::from(<[u8; 4]>::try_from(value).ok()?).to_string(),
        ObservableKind::Ipv6 => IpAddr::from(<[u8; 16]>::try_from(value).ok()?).to_string(),
        ObservableKind::FileHash(_) => value.iter().map(|byte| format!("{byte:02x}")).collect(),
        ObservableKind::Domain => parts().join("."),
        ObservableKind::User => parts().join("\\"),
        _ => String::from_utf8_lossy(value).into_owned(),
    };
    Some((kind, text))
}
