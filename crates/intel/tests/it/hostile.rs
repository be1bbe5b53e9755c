//! Whatever the bytes, `load` returns, and what it returns keeps its promises.

use cresset_event::Timestamp;
use cresset_intel::{INDICATORS_MAX, Loaded, REFUSED_KEPT_MAX, Standing, Tally, load};
use proptest::prelude::*;

use crate::bundle::BUNDLE;
use crate::tally;

/// Loads and checks what holds of every result.
fn check_load(bytes: &[u8]) -> Loaded {
    let loaded = load("feed", bytes);
    assert!(loaded.indicators.len() <= INDICATORS_MAX && loaded.feed.refused.len() <= REFUSED_KEPT_MAX);
    let Tally { kinds, standing, .. } = tally(bytes, Timestamp::default());
    assert_eq!((kinds.values().sum(), loaded.feed.indicators), (loaded.indicators.len(), loaded.indicators.len()));
    let Standing { in_force, not_yet, expired, revoked } = standing;
    assert_eq!(in_force + not_yet + expired + revoked, loaded.indicators.len());
    assert!(loaded.indicators.iter().all(|indicator| indicator.id.text().starts_with("indicator--")));
    assert!(loaded.indicators.iter().all(|indicator| !indicator.matcher.to_string().is_empty()));
    assert!(loaded.feed.refused.iter().all(|refused| !refused.reason.is_empty() && refused.quote.len() <= 163));
    assert_eq!(load("feed", bytes), loaded, "the same bytes give the same");
    loaded
}

/// Words of the formats, so that random texts reach deeper than their first line.
fn fragment() -> impl Strategy<Value = String> {
    const WORDS: &[&str] = &[
        "[",
        "]",
        "(",
        ")",
        "'",
        "\"",
        "\\",
        "\\'",
        ",",
        ";",
        "\t",
        "\n",
        "\r\n",
        " ",
        "#",
        "//",
        "|",
        ":",
        ".",
        "=",
        "[*]",
        "OR",
        "AND",
        "IN",
        "LIKE",
        "ISSUBSET",
        "ipv4-addr:value",
        "file:hashes.",
        "'SHA-256'",
        "hxxp://",
        "evil[.]example",
        "evil.example",
        "192.0.2.1",
        "/24",
        "/33",
        "2001:db8::1",
        "value,type\n",
        "type",
        "domain|ip",
        "{",
        "}",
        "{\"type\":\"indicator\",",
        "\"objects\":[",
        "\"id\":\"indicator--1\",",
        "\"pattern\":\"",
        "0.0.0.0 ",
        "9999-12-31",
        "\u{feff}",
        "é",
        "d41d8cd98f00b204e9800998ecf8427e",
        "\u{1b}[31m",
        "\0",
    ];
    prop_oneof![4 => prop::sample::select(WORDS).prop_map(str::to_owned), 1 => any::<String>()]
}

proptest! {
    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..2048)) {
        check_load(&bytes);
    }

    #[test]
    fn random_words(words in prop::collection::vec(fragment(), 0..64)) {
        check_load(words.concat().as_bytes());
    }

    #[test]
    fn random_patterns(words in prop::collection::vec(fragment(), 0..32)) {
        let pattern = serde_json::Value::from(words.concat());
        let object = format!(r#"{{"type":"indicator","id":"indicator--1","pattern":{pattern}}}"#);
        let loaded = check_load(object.as_bytes());
        prop_assert!(loaded.indicators.len() + loaded.feed.refused_count() + loaded.feed.duplicates >= 1, "{pattern} was dropped");
    }

    #[test]
    fn damaged_bundles(at in 0..BUNDLE.len(), cut in any::<bool>(), with in prop::collection::vec(any::<u8>(), 0..8)) {
        let mut bytes = BUNDLE[..at].to_vec();
        bytes.extend(with);
        if !cut {
            bytes.extend(&BUNDLE[(at + 1)..]);
        }
        check_load(&bytes);
    }
}

#[test]
fn refusals_over_the_bound_are_counted() {
    let loaded = check_load("word\n".repeat(REFUSED_KEPT_MAX + 7).as_bytes());
    assert_eq!((loaded.feed.refused_unlisted, loaded.feed.refused_count()), (7, REFUSED_KEPT_MAX + 7));
}

#[test]
fn json_nested_without_end_is_refused() {
    let loaded = check_load(format!("[{{\"a\":{}", "[".repeat(100_000)).as_bytes());
    assert!(loaded.feed.refused[0].reason.contains("recursion limit"), "{:?}", loaded.feed.refused);
}
