//! Feeds through the crate's face: bundles made by another implementation, damaged ones, random bytes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cresset_event::{ObservableKind, Timestamp};
use cresset_intel::{FeedKind, load};
use proptest::prelude::*;

/// Made by `make_bundle.py` with the `stix2` library of OASIS.
const BUNDLE: &[u8] = include_bytes!("../data/bundle.json");

#[test]
fn a_bundle_made_by_stix2_loads() {
    let loaded = load("bundle.json", BUNDLE);
    assert_eq!(loaded.kind, FeedKind::Stix);
    let counts: BTreeMap<String, usize> =
        loaded.summary().into_iter().map(|(kind, count)| (kind.to_string(), count)).collect();
    let expected = [
        ("domain-name", 3),
        ("email-addr", 1),
        ("file:hashes.'SHA-1'", 1),
        ("file:hashes.'SHA-256'", 1),
        ("file:hashes.'SHA-512'", 1),
        ("file:hashes.MD5", 1),
        ("file:name", 1),
        ("ipv4-addr", 4),
        ("ipv6-addr", 1),
        ("url", 1),
        ("user-account", 1),
        ("windows-registry-key", 1),
    ];
    assert_eq!(counts, expected.map(|(kind, count)| (kind.to_owned(), count)).into());
}

#[test]
fn what_a_pattern_asks_beyond_single_values_is_refused_by_name() {
    let loaded = load("bundle.json", BUNDLE);
    let reasons: Vec<&str> = loaded.refused.iter().map(|refused| refused.reason.as_str()).collect();
    for construct in ["AND", "LIKE", "MATCHES", "FOLLOWEDBY", "WITHIN", "process:command_line", "yara"] {
        assert!(reasons.iter().any(|reason| reason.contains(construct)), "{construct} in {reasons:#?}");
    }
    assert_eq!(reasons.len(), 7, "{reasons:#?}");
    assert!(loaded.refused.iter().all(|refused| refused.object.is_some()));
}

#[test]
fn times_revocation_author_and_techniques_are_read() {
    let loaded = load("bundle.json", BUNDLE);
    let now = Timestamp::parse_rfc3339("2026-11-24T00:00:00Z").expect("a time");
    let standing = loaded.standing(now);
    assert_eq!((standing.expired, standing.revoked), (1, 1));
    assert!(loaded.indicators.iter().any(|indicator| indicator.author.is_some()));
    assert!(loaded.indicators.iter().any(|indicator| !indicator.techniques.is_empty()));
}

#[test]
fn csv_of_misp_and_lists_load_alike() {
    let csv = load(
        "misp.csv",
        b"uuid,event_id,category,type,value,comment,to_ids,date\n\
        \"1\",2,\"Network activity\",\"ip-dst|port\",\"192.0.2.1|443\",\"c2\",1,2026\n\
        \"2\",2,\"Payload delivery\",\"filename|md5\",\"a.exe|0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a\",\"\",1,2026\n",
    );
    assert_eq!(csv.kind, FeedKind::Csv);
    assert!(csv.summary().contains_key(&ObservableKind::Ipv4), "{csv:?}");
    let list = load(
        "list.txt",
        b"# comment\nhxxp://evil[.]example/a\nbad(at)evil.example\n198.51.100.0/24\nevil[.]example\n\xff\n",
    );
    assert_eq!((list.indicators.len(), list.refused.len()), (4, 1), "{list:?}");
    assert_eq!(list.refused[0].line, Some(6));
}

#[test]
fn the_bundle_of_att_ck_loads_and_holds_no_indicator() {
    let named = std::env::var_os("CRESSET_CORPUS").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    let Ok(bytes) = std::fs::read(named.unwrap_or(beside).join("stix/ics-attack.json")) else { return };
    let loaded = load("ics-attack.json", &bytes);
    assert!(loaded.indicators.is_empty() && loaded.refused.is_empty(), "{:?}", loaded.refused);
    assert!(loaded.other_objects["attack-pattern"] > 50);
}

proptest! {
    #[test]
    fn any_bytes_give_a_result(bytes in proptest::collection::vec(any::<u8>(), 0..2048)) {
        load("any", &bytes);
    }

    #[test]
    fn a_damaged_bundle_gives_a_result(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let mut bytes = BUNDLE.to_vec();
        bytes[at.index(BUNDLE.len())] = byte;
        load("damaged", &bytes);
        load("cut", &BUNDLE[..cut.index(BUNDLE.len())]);
    }

    #[test]
    fn any_pattern_gives_a_result(pattern in "(\\[|\\]|=|'|ipv4-addr:value|AND|OR|IN|\\(|\\)|,|\\\\|[a-z0-9:. ]){0,30}") {
        let bundle = format!(r#"{{"type":"indicator","spec_version":"2.1","id":"indicator--00000000-0000-4000-8000-000000000001","created":"2026-01-01T00:00:00Z","modified":"2026-01-01T00:00:00Z","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z","pattern":{}}}"#, serde_json::Value::from(pattern));
        let loaded = load("one", bundle.as_bytes());
        prop_assert!(!loaded.indicators.is_empty() || loaded.refused_count() > 0);
    }
}
