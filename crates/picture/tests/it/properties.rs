//! What holds for any detections in any order, compared with a slow twin.

use std::collections::{BTreeMap, BTreeSet};

use cresset_detect::DetectionId;
use cresset_event::fold;
use cresset_picture::{Assets, Facts, Incident, IncidentId, Picture, State, Verdict};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::{MINUTE_NANOS, found, holder, id, incident, partition, picture_of, shown};

const LEVELS: &[&str] = &["informational", "low", "low", "medium", "high", "critical"];
const TACTICS: &[&str] = &["Execution", "Discovery", "Lateral+Movement", "Exfiltration", "Unheard"];
const ASSETS: &str = "name,addresses,value\nA,,vital\nB,,low\nnet,10.0.0.0/8,high\n";

/// Words of a detection: few values, so that many are shared, in several spellings.
fn words() -> impl Strategy<Value = String> {
    let host = prop::sample::select(vec!["", "host=A", "host=a", "host=B", "host=C", "host=localhost"]);
    let user = prop::sample::select(vec!["", "", r"user=CORP\x", "user=X", "user=y", "user=SYSTEM"]);
    let process = prop::sample::select(vec!["", r"process=C:\p.exe", r"process=c:\P.EXE"]);
    let seen =
        prop::sample::select(vec!["", "", "ip=203.0.113.1", "ip=203.0.113.2", "ip=10.0.0.1", "domain=evil.example"]);
    let kind = (prop::sample::select(LEVELS), prop::sample::select(TACTICS), 0..3);
    (host, user, process, seen, kind).prop_map(|(host, user, process, seen, (level, tactic, title))| {
        format!("{level} {host} {user} {process} {seen} tactic={tactic} title=T{title}")
    })
}

/// Detections over three days, numbered from 1.
fn detections(max: usize) -> impl Strategy<Value = Vec<Facts>> {
    let minute = prop_oneof![0_i64..120, 0_i64..4320];
    prop::collection::vec((minute, words()), 1..max)
        .prop_map(|all| (1..).zip(all).map(|(number, (minute, words))| found(number, minute, &words)).collect())
}

/// What a person may do, at some detections.
#[derive(Debug, Clone)]
enum Hand {
    Merge(Index, Index),
    Split(Index, Vec<bool>),
    Set(Index, State),
}

fn hands(max: usize) -> impl Strategy<Value = Vec<(Index, Hand)>> {
    let state = prop::sample::select(vec![State::Triage, State::Contained, State::Closed(Verdict::Undetermined)]);
    let hand = prop_oneof![
        (any::<Index>(), any::<Index>()).prop_map(|(into, from)| Hand::Merge(into, from)),
        (any::<Index>(), prop::collection::vec(any::<bool>(), 1..8)).prop_map(|(at, which)| Hand::Split(at, which)),
        (any::<Index>(), state).prop_map(|(at, state)| Hand::Set(at, state)),
    ];
    prop::collection::vec((any::<Index>(), hand), 0..max)
}

/// A picture with what a person did between the detections.
fn worked(all: &[Facts], hands: &[(Index, Hand)]) -> Picture {
    let mut picture = Picture::new(Assets::from_csv(ASSETS).expect("a list"));
    for (at, facts) in all.iter().enumerate() {
        picture.add(facts);
        for (_, hand) in hands.iter().filter(|(when, _)| when.index(all.len()) == at) {
            act(&mut picture, hand);
        }
    }
    picture
}

/// Does it where it can be done.
fn act(picture: &mut Picture, hand: &Hand) {
    let ids: BTreeSet<IncidentId> = picture.incidents().collect();
    let ids: Vec<IncidentId> = ids.into_iter().collect();
    if ids.is_empty() {
        return;
    }
    let at = |index: &Index| ids[index.index(ids.len())];
    match hand {
        Hand::Merge(into, from) => drop(picture.merge(at(into), at(from))),
        Hand::Split(from, which) => {
            let leaving = some_of(picture, at(from), which);
            let _ = picture.split(at(from), &leaving);
        }
        Hand::Set(id, state) => drop(picture.set_state(at(id), *state)),
    }
}

fn some_of(picture: &Picture, of: IncidentId, which: &[bool]) -> Vec<DetectionId> {
    let all: BTreeSet<DetectionId> = picture.detections(of).collect();
    all.into_iter().zip(which.iter().cycle()).filter(|(_, leaves)| **leaves).map(|(id, _)| id).collect()
}

/// Looks at all pairs: which detections are connected.
fn twin(all: &[Facts]) -> BTreeSet<BTreeSet<u32>> {
    let all: Vec<(u32, &Facts)> = (1..).zip(all).filter(|(_, facts)| facts.level.as_str() != "informational").collect();
    let mut part: BTreeMap<u32, u32> = all.iter().map(|(number, _)| (*number, *number)).collect();
    for (one, a) in &all {
        for (other, b) in &all {
            let (from, into) = (part[one], part[other]);
            if from != into && are_linked(a, b) {
                part.values_mut().filter(|part| **part == from).for_each(|part| *part = into);
            }
        }
    }
    let parts: BTreeSet<u32> = part.values().copied().collect();
    parts
        .into_iter()
        .map(|of| part.iter().filter(|(_, part)| **part == of).map(|(number, _)| *number).collect())
        .collect()
}

/// Whether two detections share a key and are close enough, in the plainest words.
fn are_linked(a: &Facts, b: &Facts) -> bool {
    let minutes = a.time.as_nanos().abs_diff(b.time.as_nanos()) / MINUTE_NANOS.unsigned_abs();
    let host = |facts: &Facts| facts.host.as_deref().map(fold).filter(|host| host != "localhost");
    let user = |facts: &Facts| {
        let user = facts.user.as_deref().map(fold)?;
        let name = user.rsplit('\\').next().unwrap_or_default().to_owned();
        (name != "system").then_some(name)
    };
    let process = |facts: &Facts| Some((host(facts)?, fold(facts.process.as_deref()?)));
    let seen = |facts: &Facts| -> BTreeSet<String> {
        let public = facts.observables.iter().filter(|seen| !seen.value.starts_with("10."));
        public.map(|seen| seen.value.clone()).collect()
    };
    (minutes <= 30 && host(a).is_some() && host(a) == host(b))
        || (minutes <= 30 && user(a).is_some() && user(a) == user(b))
        || (minutes <= 240 && process(a).is_some() && process(a) == process(b))
        || (minutes <= 1440 && !seen(a).is_disjoint(&seen(b)))
}

/// An incident without what depends on who came first.
fn without_id(incident: Incident) -> Incident {
    Incident { id: IncidentId::from_bytes([0; 16]), ..incident }
}

fn shown_without_ids(picture: &Picture) -> Vec<String> {
    let mut all: Vec<String> =
        shown(picture).into_iter().map(|incident| format!("{:?}", without_id(incident))).collect();
    all.sort();
    all
}

proptest! {
    #[test]
    fn incidents_are_what_looking_at_all_pairs_finds(all in detections(40)) {
        prop_assert_eq!(partition(&picture_of(&all)), twin(&all));
    }

    #[test]
    fn the_order_of_arrival_changes_nothing_but_the_ids(
        (all, shuffled) in detections(40).prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
    ) {
        let (one, other) = (worked(&all, &[]), worked(&shuffled, &[]));
        prop_assert_eq!(partition(&one), partition(&other));
        prop_assert_eq!(shown_without_ids(&one), shown_without_ids(&other));
    }

    #[test]
    fn a_picture_that_is_built_again_from_its_records_is_the_same(all in detections(40), hands in hands(8)) {
        let records: Vec<String> = all.iter().map(|facts| serde_json::to_string(facts).expect("facts are JSON")).collect();
        let read: Vec<Facts> = records.iter().map(|text| serde_json::from_str(text).expect("what was written")).collect();
        let (one, other) = (worked(&all, &hands), worked(&read, &hands));
        prop_assert_eq!(partition(&one), partition(&other));
        prop_assert_eq!(shown(&one), shown(&other));
    }

    #[test]
    fn every_detection_is_in_one_incident_and_every_count_is_right(all in detections(40), hands in hands(12)) {
        let picture = worked(&all, &hands);
        let parts = partition(&picture);
        let counted: usize = parts.iter().map(BTreeSet::len).sum();
        let loud = all.iter().filter(|facts| facts.level.as_str() != "informational").count();
        prop_assert_eq!(counted, loud);
        for of in picture.incidents() {
            let members: Vec<DetectionId> = picture.detections(of).collect();
            let mut own = Picture::new(Assets::from_csv(ASSETS).expect("a list"));
            for facts in all.iter().filter(|facts| members.contains(&facts.id)) {
                own.add(facts);
            }
            // What is counted on the way is what counting its detections alone comes to.
            let ids: Vec<IncidentId> = own.incidents().collect();
            for other in &ids[1..] {
                own.merge(ids[0], *other).expect("two open incidents");
            }
            let (real, own) = (incident(&picture, of), incident(&own, ids[0]));
            let real = Incident { state: own.state, follows: Vec::new(), follows_more: 0, ..without_id(real) };
            let spelled = |incident: Incident| format!("{incident:?}").to_lowercase().replace("corp\\\\", "");
            prop_assert_eq!(spelled(real), spelled(without_id(own)));
        }
    }

    #[test]
    fn another_detection_never_lowers_a_priority(all in detections(40)) {
        let mut picture = Picture::new(Assets::from_csv(ASSETS).expect("a list"));
        let mut scores: BTreeMap<DetectionId, u8> = BTreeMap::new();
        for facts in &all {
            picture.add(facts);
            for (id, score) in &mut scores {
                let of = picture.incident_of(*id).expect("it is in an incident");
                let now = incident(&picture, of).priority;
                prop_assert!(now.score >= *score, "{:?}", now);
                prop_assert_eq!(now.reasons.iter().map(|(_, points)| *points).sum::<i16>(), i16::from(now.score));
                *score = now.score;
            }
            scores.entry(facts.id).or_insert(0);
            scores.retain(|id, _| picture.incident_of(*id).is_some());
        }
    }

    #[test]
    fn the_same_detection_twice_changes_nothing(all in detections(30), hands in hands(6), again in any::<Index>()) {
        let mut picture = worked(&all, &hands);
        let before = (partition(&picture), shown(&picture));
        picture.add(&all[again.index(all.len())]);
        prop_assert_eq!((partition(&picture), shown(&picture)), before);
    }

    #[test]
    fn a_merge_is_undone_by_a_split(all in detections(30), hands in hands(6), into in any::<Index>(), from in any::<Index>()) {
        let mut picture = worked(&all, &hands);
        let before = (partition(&picture), shown(&picture));
        let ids: Vec<IncidentId> = shown(&picture).iter().map(|incident| incident.id).collect();
        prop_assume!(!ids.is_empty());
        let (into, from) = (ids[into.index(ids.len())], ids[from.index(ids.len())]);
        if let Ok(merged) = picture.merge(into, from) {
            prop_assert_eq!(picture.split(into, &merged.detections), Ok(from));
        }
        prop_assert_eq!((partition(&picture), shown(&picture)), before);
    }

    #[test]
    fn a_split_is_undone_by_a_merge(
        all in detections(30), hands in hands(6), from in any::<Index>(), which in prop::collection::vec(any::<bool>(), 1..8),
    ) {
        let mut picture = worked(&all, &hands);
        let before = (partition(&picture), shown(&picture));
        let ids: Vec<IncidentId> = shown(&picture).iter().map(|incident| incident.id).collect();
        prop_assume!(!ids.is_empty());
        let from = ids[from.index(ids.len())];
        let leaving = some_of(&picture, from, &which);
        if let Ok(part) = picture.split(from, &leaving) {
            prop_assert_eq!(picture.detections(part).collect::<BTreeSet<_>>(), leaving.into_iter().collect());
            picture.merge(from, part).expect("two open incidents");
        }
        prop_assert_eq!((partition(&picture), shown(&picture)), before);
    }

    #[test]
    fn what_was_taken_apart_is_not_joined_by_what_comes(
        all in detections(40), cut in any::<Index>(), which in prop::collection::vec(any::<bool>(), 1..8),
    ) {
        let (before, after) = all.split_at(cut.index(all.len()));
        let mut picture = picture_of(before);
        let largest = shown(&picture).into_iter().max_by_key(|incident| incident.detections);
        let Some(from) = largest.map(|incident| incident.id) else { return Ok(()) };
        let leaving = some_of(&picture, from, &which);
        if picture.split(from, &leaving).is_err() {
            return Ok(());
        }
        let stays = picture.detections(from).next().expect("not all have left");
        for facts in after {
            picture.add(facts);
            prop_assert_ne!(picture.incident_of(stays), picture.incident_of(leaving[0]));
        }
    }

    #[test]
    fn a_picture_that_was_saved_goes_on_as_if_it_had_not_been(
        before in detections(30),
        after in prop::collection::vec((0_i64..4320, words()), 0..15),
        (hands, minute) in (hands(6), 0_i64..4320),
    ) {
        let mut picture = worked(&before, &hands);
        picture.forget_before(cresset_event::Timestamp::from_nanos(minute * MINUTE_NANOS));
        let assets = Assets::from_csv(ASSETS).expect("a list");
        let mut again = Picture::of_saved(&picture.save(), assets).expect("it was just saved");
        prop_assert_eq!(shown(&again), shown(&picture));
        for (number, (minute, words)) in (100..).zip(after) {
            let facts = found(number, minute, &words);
            prop_assert_eq!(again.add(&facts), picture.add(&facts));
        }
        hands.iter().for_each(|(_, hand)| act(&mut picture, hand));
        hands.iter().for_each(|(_, hand)| act(&mut again, hand));
        prop_assert_eq!(shown(&again), shown(&picture));
        prop_assert_eq!(again.save(), picture.save());
    }

    #[test]
    fn forgetting_changes_nothing_of_what_stays(all in detections(40), hands in hands(6), minute in 0_i64..4320) {
        let live = |facts: &Facts| Facts { arrived: facts.time, ..facts.clone() };
        let all: Vec<Facts> = all.iter().map(live).collect();
        let mut picture = worked(&all, &hands);
        let before: BTreeMap<IncidentId, Incident> = shown(&picture).into_iter().map(|incident| (incident.id, incident)).collect();
        let moment = found(1, minute, "").time;
        picture.forget_before(moment);
        for (id, incident) in before {
            let is_over = incident.last < moment && incident.state.is_closed();
            prop_assert_eq!(picture.incident(id), (!is_over).then_some(incident));
        }
    }
}

#[test]
fn a_split_that_was_made_holds_for_a_thousand_detections_after_it() {
    let mut picture = picture_of(&[found(1, 0, "host=A"), found(2, 1, "host=A")]);
    picture.split(holder(&picture, 1), &[id(2)]).expect("a part");
    for number in 3..1003 {
        picture.add(&found(number, i64::from(number), "host=A"));
    }
    assert_eq!(picture.incidents().count(), 2);
}
