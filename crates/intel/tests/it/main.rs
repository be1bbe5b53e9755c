//! Feeds through the crate's face: bundles made by another implementation, damaged ones, random bytes.

mod bundle;
mod corpus;
mod hostile;

use cresset_event::{ObservableKind, Timestamp};
use cresset_intel::{FeedKind, Standing, Tally, load, read};
use proptest::prelude::*;

/// Made by `make_bundle.py` with the `stix2` library of OASIS.
const BUNDLE: &[u8] = include_bytes!("../data/bundle.json");

/// Counts the indicators of a feed as they are passed on.
fn tally(bytes: &[u8], moment: Timestamp) -> Tally {
    let mut tally = Tally::new(moment);
    read("feed", bytes, |taken| tally.add(&taken));
    tally
}

#[test]
fn what_a_pattern_asks_beyond_the_values_of_an_event_is_refused_by_name() {
    let loaded = load("bundle.json", BUNDLE);
    let reasons: Vec<&str> = loaded.feed.refused.iter().map(|refused| refused.reason.as_str()).collect();
    for construct in ["LIKE", "MATCHES", "FOLLOWEDBY", "WITHIN", "process:command_line", "yara"] {
        assert!(reasons.iter().any(|reason| reason.contains(construct)), "{construct} in {reasons:#?}");
    }
    assert_eq!(reasons.len(), 6, "{reasons:#?}");
    assert!(loaded.feed.refused.iter().all(|refused| refused.object.is_some()));
}

#[test]
fn csv_of_misp_and_lists_load_alike() {
    let csv = load(
        "misp.csv",
        b"uuid,event_id,category,type,value,comment,to_ids,date\n\
        \"1\",2,\"Network activity\",\"ip-dst|port\",\"192.0.2.1|443\",\"c2\",1,2026\n\
        \"2\",2,\"Payload delivery\",\"filename|md5\",\"a.exe|0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a\",\"\",1,2026\n",
    );
    assert_eq!(csv.feed.kind, FeedKind::Csv);
    assert!(csv.indicators.iter().any(|indicator| indicator.matcher.kind() == ObservableKind::Ipv4), "{csv:?}");
    let list = load(
        "list.txt",
        b"# comment\nhxxp://evil[.]example/a\nbad(at)evil.example\n198.51.100.0/24\nevil[.]example\n\xff\n",
    );
    assert_eq!((list.indicators.len(), list.feed.refused.len()), (4, 1), "{list:?}");
    assert_eq!(list.feed.refused[0].line, Some(6));
}

#[test]
fn one_that_holds_longer_takes_the_place_of_one_before() {
    let feed = b"value,expires\nevil.example,2024-01-01\nevil.example,2025-01-01\nevil.example,2023-01-01\n";
    let moment = |text| Timestamp::parse_rfc3339(text).expect("a time");
    let mut replaced = Vec::new();
    let read = read("feed.csv", feed, |taken| replaced.push(taken.replaces.map(|before| before.until_exclusive)));
    assert_eq!(replaced, [None, Some(Some(moment("2024-01-01T00:00:00Z")))]);
    assert_eq!((read.indicators, read.duplicates), (1, 2));
    let standing = tally(feed, moment("2024-06-01T00:00:00Z")).standing;
    assert_eq!(standing, Standing { in_force: 1, ..Standing::default() });
}

proptest! {
    #[test]
    fn any_pattern_gives_a_result(pattern in "(\\[|\\]|=|'|ipv4-addr:value|AND|OR|IN|\\(|\\)|,|\\\\|[a-z0-9:. ]){0,30}") {
        let bundle = format!(r#"{{"type":"indicator","spec_version":"2.1","id":"indicator--00000000-0000-4000-8000-000000000001","created":"2026-01-01T00:00:00Z","modified":"2026-01-01T00:00:00Z","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z","pattern":{}}}"#, serde_json::Value::from(pattern));
        let loaded = load("one", bundle.as_bytes());
        prop_assert!(!loaded.indicators.is_empty() || loaded.feed.refused_count() > 0);
    }
}
