//! What the tests of the index share: values, what looks for them, and what that should find.

use std::net::IpAddr;

use cresset_event::{HashAlgorithm, Matcher, Network, ObservableKind, RawObservable, push_observed};
use proptest::prelude::*;

use crate::index::key::{Wanted, push_key};

/// An observable that owns its text.
#[derive(Debug, Clone)]
pub(crate) struct Value {
    pub(crate) kind: ObservableKind,
    pub(crate) text: String,
}

impl Value {
    pub(crate) fn raw(&self) -> RawObservable<'_> {
        raw(self.kind, &self.text)
    }
}

/// Returns an observable as an event gives it.
pub(crate) fn raw(kind: ObservableKind, text: &str) -> RawObservable<'_> {
    let is_address = matches!(kind, ObservableKind::Ipv4 | ObservableKind::Ipv6);
    let address = is_address.then(|| text.parse().expect("an address"));
    RawObservable { kind, text, address, field: None }
}

/// Returns whether a key is among those that are looked for.
pub(crate) fn contains(wanted: &Wanted, observable: &RawObservable<'_>) -> bool {
    let mut key = Vec::new();
    push_key(observable, &mut key)
        && match wanted {
            Wanted::Exact(wanted) => *wanted == key,
            Wanted::Range { first, end_exclusive } => *first <= key && key < *end_exclusive,
        }
}

/// Returns whether a matcher matches an observable, as plainly as it can be said.
pub(crate) fn matches(matcher: &Matcher, observable: &RawObservable<'_>) -> bool {
    if let Some(address) = observable.address {
        return matches!(matcher, Matcher::Address(network) if network.contains(address));
    }
    let mut normal = String::new();
    if matcher.kind() != observable.kind || !push_observed(observable.kind, observable.text, &mut normal) {
        return false;
    }
    let wanted = matcher.text();
    match observable.kind {
        ObservableKind::Domain => normal == *wanted || normal.ends_with(&format!(".{wanted}")),
        ObservableKind::User => {
            normal == *wanted || normal.rsplit_once('\\').is_some_and(|(_, account)| account == wanted)
        }
        _ => normal == *wanted,
    }
}

/// Values that are much alike, so that they are met.
pub(crate) fn any_observable() -> impl Strategy<Value = Value> {
    let of = |kind| move |text: String| Value { kind, text };
    let hash = |algorithm: HashAlgorithm, digits: usize| {
        let kind = ObservableKind::FileHash(algorithm);
        prop::sample::select(vec!["a", "A", "0"]).prop_map(move |digit| Value { kind, text: digit.repeat(digits) })
    };
    prop_oneof![
        any_address().prop_map(|address| {
            let kind = if address.is_ipv4() { ObservableKind::Ipv4 } else { ObservableKind::Ipv6 };
            Value { kind, text: address.to_string() }
        }),
        any_domain().prop_map(of(ObservableKind::Domain)),
        any_user().prop_map(of(ObservableKind::User)),
        any_url().prop_map(of(ObservableKind::Url)),
        "[ab]@[ab]\\.(example|Example)".prop_map(of(ObservableKind::Email)),
        any_name().prop_map(of(ObservableKind::FileName)),
        any_name().prop_map(of(ObservableKind::Process)),
        "(HKLM|HKEY_LOCAL_MACHINE|\\\\REGISTRY\\\\MACHINE)\\\\[aAb]{1,2}".prop_map(of(ObservableKind::RegistryKey)),
        hash(HashAlgorithm::Md5, 32),
        hash(HashAlgorithm::ImpHash, 32),
        hash(HashAlgorithm::Sha256, 64),
        hash(HashAlgorithm::Sha512, 128),
    ]
}

/// What looks for such values, in normal form mostly.
pub(crate) fn any_matcher() -> impl Strategy<Value = Matcher> {
    let of_value =
        any_observable().prop_filter_map("in normal form", |value| Matcher::of_kind(value.kind, &value.text));
    let network = (any_address(), 0_u8..=128).prop_map(|(address, bits)| Matcher::Address(Network::of(address, bits)));
    let odd_network = (any_address(), 0_u8..=32)
        .prop_map(|(address, prefix_bits)| Matcher::Address(Network { address, prefix_bits }));
    prop_oneof![
        4 => of_value,
        2 => network,
        1 => odd_network,
        1 => any_domain().prop_map(Matcher::Domain),
        1 => any_user().prop_map(|user| Matcher::User(user.to_lowercase())),
        1 => any_name().prop_map(Matcher::Process),
    ]
}

fn any_address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        (0_u8..3, 253_u8..=255).prop_map(|(a, b)| IpAddr::from([10, 255, a, b])),
        prop::sample::select(vec![[0; 4], [255; 4], [127, 255, 255, 255], [128, 0, 0, 0]]).prop_map(IpAddr::from),
        (0_u16..3).prop_map(|a| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, a])),
        prop::sample::select(vec![[0_u16; 8], [0xffff; 8], [0x7fff; 8]]).prop_map(IpAddr::from),
    ]
}

fn any_domain() -> impl Strategy<Value = String> {
    let label = prop::sample::select(vec!["a", "A", "b", "a-b", "example", "Évil", "ΑΣ", "x_y"]);
    proptest::collection::vec(label, 1..5).prop_map(|labels| labels.join("."))
}

fn any_user() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "".to_owned(),
        "bob".into(),
        "BOB".into(),
        "corp".into(),
        "bob\u{0}".into(),
        "bob\u{1}corp".into(),
        "\u{2}".into(),
        "bob\u{3}".into(),
        "b".repeat(254),
        "b".repeat(255),
        "b".repeat(500),
    ]);
    proptest::collection::vec(part, 1..4).prop_map(|parts| parts.join("\\"))
}

fn any_url() -> impl Strategy<Value = String> {
    "(http|HTTP|https)://(a|B)\\.example(:80|:443)?(/|/a|/A|#b|/a#b)?|no url"
}

fn any_name() -> impl Strategy<Value = String> {
    let name = |letter: &'static str, len: usize| letter.repeat(len);
    prop_oneof![
        "[aAb]{1,3}",
        (prop::sample::select(vec!["a", "b", "é"]), 470_usize..530).prop_map(move |(letter, len)| name(letter, len)),
    ]
}
