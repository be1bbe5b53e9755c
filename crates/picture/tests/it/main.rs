//! Detections in, incidents out. One test vocabulary: [`found`] writes a detection, [`check_incidents`] says which belong
//! together.

mod assets;
mod by_hand;
mod facts;
mod incidents;
mod links;
mod memory;
mod properties;
mod saved;
mod tuning;

use std::collections::BTreeSet;

use cresset_detect::{DetectionId, Level};
use cresset_event::{HashAlgorithm, ObservableKind, Timestamp};
use cresset_picture::{Assets, Facts, Incident, IncidentId, ObservedFact, Picture};

const MINUTE_NANOS: i64 = 60_000_000_000;

/// A detection of a test: its number, the minute of its event, and words: a level, or `name=value` with `+` for a space.
/// It arrives in the order of the numbers, long after it happened. Where no level is given it is medium.
fn found(number: u32, minute: i64, words: &str) -> Facts {
    let mut facts = Facts {
        id: id(number),
        time: Timestamp::from_nanos(minute * MINUTE_NANOS),
        arrived: Timestamp::from_nanos(i64::from(number) + 1_000_000 * MINUTE_NANOS),
        level: Level::Medium,
        title: "Found".into(),
        cause: "rule".into(),
        tactics: Vec::new(),
        techniques: Vec::new(),
        host: None,
        user: None,
        process: None,
        observables: Vec::new(),
        matched: Vec::new(),
    };
    words.split_whitespace().for_each(|word| say(&mut facts, word));
    facts
}

fn say(facts: &mut Facts, word: &str) {
    let Some((name, value)) = word.split_once('=') else {
        facts.level = word.parse().expect("a level");
        return;
    };
    let value = value.replace('+', " ");
    let mut observe = |kind, value| facts.observables.push(ObservedFact { kind, value, is_ours: false });
    match name {
        "title" => facts.title = value,
        "cause" => facts.cause = value,
        "tactic" => facts.tactics.push(value),
        "technique" => facts.techniques.push(value),
        "host" => facts.host = Some(value),
        "user" => facts.user = Some(value),
        "process" => facts.process = Some(value),
        "ip" if value.contains(':') => observe(ObservableKind::Ipv6, value),
        "ip" => observe(ObservableKind::Ipv4, value),
        "domain" => observe(ObservableKind::Domain, value),
        "url" => observe(ObservableKind::Url, value),
        "email" => observe(ObservableKind::Email, value),
        "imphash" => observe(ObservableKind::FileHash(HashAlgorithm::ImpHash), value),
        "hash" => observe(ObservableKind::FileHash(HashAlgorithm::of_hex(&value).expect("a hash")), value),
        field => facts.matched.push((field.into(), Some(value))),
    }
}

/// The id of the detection of this number. Its first bytes are in no order, as those of real ones are not.
fn id(number: u32) -> DetectionId {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&number.wrapping_mul(0x9e37_79b1).to_be_bytes());
    bytes[12..].copy_from_slice(&number.to_be_bytes());
    DetectionId::from_bytes(bytes)
}

fn number(id: DetectionId) -> u32 {
    let bytes = id.as_bytes();
    u32::from_be_bytes([bytes[12], bytes[13], bytes[14], bytes[15]])
}

fn picture_of(all: &[Facts]) -> Picture {
    let mut picture = Picture::new(Assets::new());
    all.iter().for_each(|facts| drop(picture.add(facts)));
    picture
}

/// Which detections are in one incident, by their numbers.
fn partition(picture: &Picture) -> BTreeSet<BTreeSet<u32>> {
    picture.incidents().map(|id| picture.detections(id).map(number).collect()).collect()
}

/// All incidents, in the order of their ids.
fn shown(picture: &Picture) -> Vec<Incident> {
    let ids: BTreeSet<IncidentId> = picture.incidents().collect();
    ids.into_iter().map(|id| incident(picture, id)).collect()
}

fn incident(picture: &Picture, id: IncidentId) -> Incident {
    picture.incident(id).expect("an id of the picture")
}

/// The incident that a detection is in.
fn holder(picture: &Picture, of: u32) -> IncidentId {
    picture.incident_of(id(of)).expect("it is in an incident")
}

/// Checks which detections, given as (minute, words) and numbered from 1, are in one incident.
#[track_caller]
fn check_incidents(given: &[(i64, &str)], expected: &[&[u32]]) {
    let all: Vec<Facts> =
        given.iter().zip(1..).map(|((minute, words), number)| found(number, *minute, words)).collect();
    let expected: BTreeSet<BTreeSet<u32>> = expected.iter().map(|part| part.iter().copied().collect()).collect();
    assert_eq!(partition(&picture_of(&all)), expected, "{given:?}");
    let backwards: Vec<Facts> = all.into_iter().rev().collect();
    assert_eq!(partition(&picture_of(&backwards)), expected, "{given:?}, from the last to the first");
}

/// Checks that two detections of the same minute with these words are one incident.
#[track_caller]
fn check_linked(one: &str, other: &str) {
    check_incidents(&[(0, one), (0, other)], &[&[1, 2]]);
}

/// Checks that two detections of the same minute with these words are two incidents.
#[track_caller]
fn check_apart(one: &str, other: &str) {
    check_incidents(&[(0, one), (0, other)], &[&[1], &[2]]);
}
