//! `tests/data/bundle.json`, made by `make_bundle.py` with the reference implementation of STIX 2.1.

use cresset_event::{HashAlgorithm, Indicator, Matcher, ObservableKind, Timestamp};
use cresset_intel::{FeedKind, Loaded, Standing, load};

use crate::tally;

pub(crate) const BUNDLE: &[u8] = include_bytes!("../data/bundle.json");

fn bundle() -> Loaded {
    load("bundle.json", BUNDLE)
}

fn named<'l>(loaded: &'l Loaded, name: &str) -> Vec<&'l Indicator> {
    loaded.indicators.iter().filter(|indicator| indicator.title() == name).collect()
}

fn values(indicators: &[&Indicator]) -> Vec<String> {
    indicators.iter().map(|indicator| indicator.matcher.to_string()).collect()
}

#[test]
fn what_loads_by_type() {
    let loaded = bundle();
    assert_eq!(loaded.feed.kind, FeedKind::Stix);
    let summary: Vec<(ObservableKind, usize)> = tally(BUNDLE, Timestamp::default()).kinds.into_iter().collect();
    let hash = ObservableKind::FileHash;
    assert_eq!(
        summary,
        [
            (ObservableKind::Ipv4, 4),
            (ObservableKind::Ipv6, 1),
            (ObservableKind::Domain, 3),
            (ObservableKind::Url, 1),
            (ObservableKind::Email, 1),
            (ObservableKind::FileName, 1),
            (hash(HashAlgorithm::Md5), 2),
            (hash(HashAlgorithm::Sha1), 1),
            (hash(HashAlgorithm::Sha256), 1),
            (hash(HashAlgorithm::Sha512), 1),
            (ObservableKind::RegistryKey, 1),
            (ObservableKind::User, 1),
        ]
    );
    assert_eq!((loaded.feed.duplicates, loaded.feed.marked), (0, 1));
}

#[test]
fn alternatives_share_their_id_and_are_normal() {
    let loaded = bundle();
    let infrastructure = named(&loaded, "Infrastructure");
    assert_eq!(values(&infrastructure), ["evil.example", "https://evil.example/a?b='c'", "2001:db8::7"]);
    assert!(infrastructure.iter().all(|one| one.id == infrastructure[0].id));
    assert_eq!(values(&named(&loaded, "Dropper"))[2], "0c".repeat(32));
    assert_eq!(values(&named(&loaded, "Ranges")), ["203.0.113.0/24"]);
    assert_eq!(values(&named(&loaded, "Mail or account"))[2], r"hklm\software\example\run");
}

#[test]
fn what_and_joins_is_one_indicator_found_by_its_rarest_part() {
    let loaded = bundle();
    let [joined] = named(&loaded, "AND")[..] else { panic!("one indicator") };
    assert_eq!(joined.matcher.to_string(), "0a".repeat(16));
    assert_eq!(joined.also, [Matcher::FileName("evil.exe".into())]);
}

#[test]
fn what_an_indicator_refers_to_is_resolved() {
    let loaded = bundle();
    let address = named(&loaded, "C2 address")[0];
    assert_eq!(address.author.as_deref(), Some("Example CERT"));
    assert_eq!(address.confidence, Some(85));
    assert_eq!(address.techniques, ["T1071.001"]);
    assert_eq!(address.references, ["https://reports.example/1"]);
    assert_eq!(&*address.loaded_from, "bundle.json");
    assert_eq!(named(&loaded, "Dropper")[0].techniques, ["T1204.002"]);
}

#[test]
fn times_and_revocation_are_read() {
    let moment = |text| Timestamp::parse_rfc3339(text).expect("a time");
    let standing = |text| tally(BUNDLE, moment(text)).standing;
    assert_eq!(standing("2023-12-31T23:59:59Z"), Standing { not_yet: 17, revoked: 1, ..Standing::default() });
    assert_eq!(standing("2024-01-01T00:00:00Z"), Standing { in_force: 17, revoked: 1, ..Standing::default() });
    let after = Standing { in_force: 16, expired: 1, revoked: 1, ..Standing::default() };
    assert_eq!(standing("2024-02-01T00:00:00Z"), after);
}

#[test]
fn what_is_refused_says_why_and_where() {
    let loaded = bundle();
    let reasons = ["`LIKE`", "`MATCHES`", "`FOLLOWEDBY`", "`WITHIN`", "`process:command_line`", "`yara`"];
    assert_eq!(loaded.feed.refused.len(), reasons.len());
    for reason in reasons {
        let refused = loaded.feed.refused.iter().find(|refused| refused.reason.contains(reason)).expect(reason);
        assert!(refused.object.as_ref().is_some_and(|id| id.starts_with("indicator--")) && refused.line.is_none());
        assert!(!refused.quote.is_empty());
    }
    let others: Vec<&str> = loaded.feed.other_objects.keys().map(String::as_str).collect();
    assert_eq!(others, ["attack-pattern", "identity", "malware", "marking-definition", "relationship"]);
}
