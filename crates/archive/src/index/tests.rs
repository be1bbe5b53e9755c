//! The index against looking at every observation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use cresset_event::{
    EventId, HashAlgorithm, Matcher, Network, ObservableKind, RawObservable, Timestamp, push_observed,
};
use proptest::prelude::*;

use super::*;
use crate::error::ArchiveError;

/// An observable of an event.
#[derive(Debug, Clone)]
struct Given {
    kind: ObservableKind,
    text: String,
    event: u8,
    time: Option<i64>,
    host: Option<u8>,
    source: u8,
}

impl Given {
    fn observable(&self) -> RawObservable<'_> {
        RawObservable { kind: self.kind, text: &self.text, address: self.text.parse().ok(), field: None }
    }

    fn id(&self) -> EventId {
        EventId::from_bytes([self.event; 16])
    }

    /// Whether a matcher looks for it, as `detect` has it.
    fn fits(&self, matcher: &Matcher) -> bool {
        if let (Matcher::Address(network), Some(address)) = (matcher, self.observable().address) {
            return network.contains(address);
        }
        let (wanted, mut text) = (matcher.text(), String::new());
        if self.kind != matcher.kind() || !push_observed(self.kind, &self.text, &mut text) {
            return false;
        }
        match self.kind {
            ObservableKind::Domain => text == *wanted || text.ends_with(&format!(".{wanted}")),
            ObservableKind::User => text == *wanted || text.rsplit_once('\\').is_some_and(|(_, name)| name == wanted),
            _ => text == *wanted,
        }
    }
}

fn value() -> impl Strategy<Value = (ObservableKind, String)> {
    let of = |kind| move |text: String| (kind, text);
    prop_oneof![
        (0..4_u8, 250..=255_u8).prop_map(|(a, b)| (ObservableKind::Ipv4, format!("10.255.{a}.{b}"))),
        (0..4_u16).prop_map(|a| (ObservableKind::Ipv6, format!("2001:db8::{a:x}"))),
        "([ab]{1,2}\\.){0,2}[ab]{1,2}\\.(example|Example|example-x)".prop_map(of(ObservableKind::Domain)),
        "(a|A|b)(\\\\[ab]{1,2}){0,2}".prop_map(of(ObservableKind::User)),
        "(http|HTTP)://[ab](\\.example)?(:80)?/[ab]{0,3}".prop_map(of(ObservableKind::Url)),
        "[ab]{1,2}\\.exe".prop_map(of(ObservableKind::FileName)),
        "[ab]{250,260}".prop_map(of(ObservableKind::Process)),
        "[0-1a-bA-B]{32}".prop_map(of(ObservableKind::FileHash(HashAlgorithm::Md5))),
        prop::sample::select(vec!["0", "a", "B"])
            .prop_map(|digit| { (ObservableKind::FileHash(HashAlgorithm::ImpHash), digit.repeat(32)) }),
    ]
}

fn given() -> impl Strategy<Value = Given> {
    let time = prop::option::of(prop_oneof![Just(i64::MIN), Just(i64::MAX), 0..100_i64]);
    (value(), 0..30_u8, time, prop::option::of(0..4_u8), 0..3_u8)
        .prop_map(|((kind, text), event, time, host, source)| Given { kind, text, event, time, host, source })
}

fn matcher() -> impl Strategy<Value = Matcher> {
    let range = (0..4_u8, 250..=255_u8, 0..=32_u8)
        .prop_map(|(a, b, bits)| Matcher::Address(Network::of([10, 255, a, b].into(), bits)));
    let range_6 = (0..4_u16, 0..=128_u8)
        .prop_map(|(a, bits)| Matcher::Address(Network::of([0x2001, 0xdb8, 0, 0, 0, 0, 0, a].into(), bits)));
    let value = value().prop_filter_map("a value that can be looked for", |(kind, text)| Matcher::of_kind(kind, &text));
    prop_oneof![range, range_6, value]
}

/// The observables that an index takes: of each event the first with a key.
fn distinct(given: &[Given]) -> Vec<(Vec<u8>, &Given)> {
    let mut seen = BTreeSet::new();
    let keys = given.iter().filter_map(|given| {
        let mut key = Vec::new();
        push_key(&given.observable(), &mut key).then_some((key, given))
    });
    keys.filter(|(key, given)| seen.insert((key.clone(), given.event))).collect()
}

fn file_of(given: &[(Vec<u8>, &Given)]) -> Vec<u8> {
    let mut builder = IndexBuilder::new();
    for (key, given) in given {
        let host = given.host.map(|host| format!("host{host}"));
        builder.add(
            key,
            Seen {
                id: given.id(),
                time: given.time.map(Timestamp::from_nanos),
                field: "f",
                host: host.as_deref(),
                source: &format!("source{}", given.source),
            },
        );
    }
    builder.finish()
}

fn open(bytes: Vec<u8>) -> Result<IndexFile, ArchiveError> {
    IndexFile::open("test", Arc::new(Bytes::from(bytes)))
}

type Answer = BTreeMap<usize, (u64, Option<(i64, i64)>, BTreeMap<String, u64>, BTreeMap<String, u64>)>;

fn answer(file: &IndexFile, wanted: &[Wanted]) -> Result<Answer, ArchiveError> {
    let names = file.names()?;
    let mut answer = Answer::new();
    file.look_up(wanted, |at, key, sighting| {
        assert!(show_key(key).is_some());
        let (count, times, hosts, sources) = answer.entry(at).or_default();
        *count += sighting.count;
        if let Some((first, last)) = sighting.times {
            let (one, other) = times.unwrap_or((first, last));
            *times = Some((first.min(one), last.max(other)));
        }
        let name = |texts: &sighting::Texts, number| texts.text(number).expect("a name").to_owned();
        sighting.hosts.iter().for_each(|(host, count)| *hosts.entry(name(&names.hosts, *host)).or_default() += count);
        let named = sighting.sources.iter().map(|(source, count)| (name(&names.sources, *source), count));
        named.for_each(|(source, count)| *sources.entry(source).or_default() += count);
    })?;
    Ok(answer)
}

fn by_looking_at_all(given: &[(Vec<u8>, &Given)], matchers: &[Matcher]) -> Answer {
    let mut answer = Answer::new();
    for (at, matcher) in matchers.iter().enumerate() {
        for (_, given) in given.iter().filter(|(_, given)| given.fits(matcher)) {
            let (count, times, hosts, sources) = answer.entry(at).or_default();
            *count += 1;
            if let Some(time) = given.time {
                let (first, last) = times.unwrap_or((time, time));
                *times = Some((first.min(time), last.max(time)));
            }
            if let Some(host) = given.host {
                *hosts.entry(format!("host{host}")).or_default() += 1;
            }
            *sources.entry(format!("source{}", given.source)).or_default() += 1;
        }
    }
    answer
}

proptest! {
    #[test]
    fn it_finds_what_looking_at_all_finds(
        given in prop::collection::vec(given(), 0..200),
        matchers in prop::collection::vec(matcher(), 1..20),
        cut in 0..4_usize,
    ) {
        let given = distinct(&given);
        let wanted: Vec<Wanted> = matchers.iter().map(Wanted::of).collect();
        let whole = file_of(&given);
        let expected = by_looking_at_all(&given, &matchers);
        prop_assert_eq!(&answer(&open(whole).expect("whole"), &wanted).expect("whole"), &expected);

        // Merged of parts it is the same.
        let parts = given.chunks(given.len() / (cut + 1) + 1).map(|part| open(file_of(part)).expect("whole"));
        let merged = merge(&parts.collect::<Vec<_>>(), Vec::new()).expect("whole");
        prop_assert_eq!(&answer(&open(merged).expect("whole"), &wanted).expect("whole"), &expected);
    }

    #[test]
    fn parts_add_up_in_any_order(given in prop::collection::vec(given(), 1..20).prop_shuffle()) {
        let mut given: Vec<Given> = given.into_iter().map(|given| Given { kind: ObservableKind::User, text: "a".into(), ..given }).collect();
        given.sort_by_key(|given| given.event);
        given.dedup_by_key(|given| given.event);
        let all = |given: Vec<Given>| {
            let file = open(file_of(&distinct(&given))).expect("whole");
            file.iter().map(|entry| entry.expect("whole").1.examples).collect::<Vec<_>>()
        };
        let turned = given.iter().rev().cloned().collect();
        let ids = |examples: Vec<Vec<Example>>| examples.concat().iter().map(|example| example.id).collect::<Vec<_>>();
        prop_assert_eq!(ids(all(given)), ids(all(turned)));
    }

    #[test]
    fn what_was_changed_is_an_error_or_makes_no_difference(
        given in prop::collection::vec(given(), 0..60),
        matchers in prop::collection::vec(matcher(), 1..8),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..8_u8), 1..20),
    ) {
        let given = distinct(&given);
        let wanted: Vec<Wanted> = matchers.iter().map(Wanted::of).collect();
        let whole = file_of(&given);
        let expected = answer(&open(whole.clone()).expect("whole"), &wanted).expect("whole");
        for (at, bit) in changes {
            let mut changed = whole.clone();
            let at = at.index(changed.len());
            changed[at] ^= 1 << bit;
            if let Ok(answer) = open(changed).and_then(|file| answer(&file, &wanted)) {
                prop_assert_eq!(&answer, &expected, "bit {} of byte {} of {}", bit, at, whole.len());
            }
            let cut = open(whole[..at].to_vec()).and_then(|file| answer(&file, &wanted));
            prop_assert!(cut.is_err());
        }
    }
}

#[test]
fn what_fills_many_blocks_is_found() {
    let given: Vec<Given> = (0..20_000_u32)
        .map(|number| Given {
            kind: ObservableKind::Ipv4,
            text: std::net::Ipv4Addr::from(0x0a00_0000 + number * 3).to_string(),
            event: (number % 200) as u8,
            time: Some(i64::from(number)),
            host: Some((number % 7) as u8),
            source: 0,
        })
        .collect();
    let file = open(file_of(&distinct(&given))).expect("whole");
    assert_eq!((file.keys(), file.iter().count()), (20_000, 20_000));
    for bits in [0, 7, 8, 16, 20, 24, 30, 32] {
        let network = Network::of([10, 0, 100, 2].into(), bits);
        let expected = given.iter().filter(|given| network.contains(given.text.parse().expect("an address"))).count();
        let answer = answer(&file, &[Wanted::of(&Matcher::Address(network))]).expect("whole");
        assert_eq!(answer.get(&0).map_or(0, |answer| answer.0), expected as u64, "{network}");
    }
}
