//! What a person decides: merge, split, states.

use std::collections::BTreeSet;

use cresset_picture::{HandError, LinkKind, Picture, State, Verdict};

use crate::{check_incidents, found, holder, id, incident, number, partition, picture_of, shown};

const CLOSED: State = State::Closed(Verdict::FalsePositive);

/// Two incidents: 1 and 2 on A, 3 on B.
fn two() -> Picture {
    picture_of(&[found(1, 0, "host=A title=One"), found(2, 1, "host=A user=x"), found(3, 2, "host=B high user=y")])
}

fn numbers(picture: &Picture, of: u32) -> BTreeSet<u32> {
    picture.detections(holder(picture, of)).map(number).collect()
}

#[test]
fn two_incidents_are_one_when_a_person_says_so() {
    let mut picture = two();
    let (one, other) = (holder(&picture, 1), holder(&picture, 3));
    picture.set_state(other, State::Triage).expect("a step");
    let merged = picture.merge(one, other).expect("two open incidents");
    assert_eq!((merged.into, merged.from), (one, other));
    assert_eq!(merged.detections, [id(3)]);
    assert_eq!((merged.link.kind, merged.link.to), (LinkKind::Hand, id(1)));
    let now = incident(&picture, one);
    assert_eq!((now.detections, now.state, &*now.title), (3, State::New, "Found on B and 1 more host"));
    assert_eq!(incident(&picture, other), now, "the old id still leads to it");
}

#[test]
fn a_merge_is_undone_by_a_split_and_both_have_their_ids_and_states_again() {
    for (into, from) in [(1, 3), (3, 1)] {
        let mut picture = two();
        picture.set_state(holder(&picture, 3), State::Triage).expect("a step");
        let before = shown(&picture);
        let (into, from) = (holder(&picture, into), holder(&picture, from));
        let merged = picture.merge(into, from).expect("two open incidents");
        assert_eq!(picture.split(into, &merged.detections), Ok(from));
        assert_eq!(shown(&picture), before);
    }
}

#[test]
fn a_split_is_undone_by_a_merge() {
    for leaving in [&[1][..], &[2], &[1, 3], &[2, 3]] {
        let mut picture = picture_of(&[1, 2, 3].map(|i| found(i, i64::from(i), "host=A")));
        let before = shown(&picture);
        let one = holder(&picture, 1);
        let leaving: Vec<_> = leaving.iter().map(|number| id(*number)).collect();
        let part = picture.split(one, &leaving).expect("a part");
        assert_eq!(picture.detections(part).collect::<BTreeSet<_>>(), leaving.iter().copied().collect());
        picture.merge(one, part).expect("two open incidents");
        assert_eq!(shown(&picture), before);
        assert_eq!(picture.split(one, &leaving), Ok(part), "taken apart once more it has the same id");
    }
}

#[test]
fn what_was_joined_by_itself_has_its_id_again_when_it_is_taken_apart() {
    let mut picture = picture_of(&[found(1, 0, "host=A"), found(2, 0, "user=x")]);
    let (one, two) = (holder(&picture, 1), holder(&picture, 2));
    picture.add(&found(3, 0, "host=A user=x"));
    assert_eq!(holder(&picture, 2), one);
    assert_eq!(picture.split(one, &[id(2)]), Ok(two));
}

#[test]
fn parts_stay_apart_whatever_comes_later() {
    let mut picture = picture_of(&[found(1, 0, "host=A"), found(2, 10, "host=A")]);
    let (one, part) = (holder(&picture, 1), picture.split(holder(&picture, 1), &[id(2)]).expect("a part"));
    let placed = picture.add(&found(3, 4, "host=A"));
    assert_eq!(placed.incident, Some(one), "1 is nearer");
    assert_eq!(placed.links.len(), 1, "only what it went to is told");
    assert_eq!(picture.add(&found(4, 8, "host=A")).incident, Some(part), "2 is nearer");
    assert_eq!(numbers(&picture, 1), BTreeSet::from([1, 3]));
}

#[test]
fn more_links_count_before_nearer_ones() {
    let mut picture = picture_of(&[found(1, 0, "host=A user=x"), found(2, 10, "host=A ip=203.0.113.9")]);
    let (one, part) = (holder(&picture, 1), picture.split(holder(&picture, 1), &[id(2)]).expect("a part"));
    assert_eq!(picture.add(&found(3, 9, "host=A user=x")).incident, Some(one));
    assert_eq!(picture.add(&found(4, 9, "host=B ip=203.0.113.9")).incident, Some(part));
}

#[test]
fn what_joins_a_part_stays_apart_from_the_other_too() {
    let mut picture = picture_of(&[found(1, 1, "host=A"), found(2, 0, "host=A user=x"), found(3, 0, "host=C")]);
    picture.split(holder(&picture, 1), &[id(2)]).expect("a part");
    picture.merge(holder(&picture, 3), holder(&picture, 2)).expect("two open incidents");
    picture.add(&found(4, 2, "host=A ip=203.0.113.9"));
    picture.add(&found(5, 2, "host=C ip=203.0.113.9"));
    assert_eq!(numbers(&picture, 1), BTreeSet::from([1, 4, 5]));
    assert_eq!(numbers(&picture, 3), BTreeSet::from([2, 3]));
    picture.merge(holder(&picture, 1), holder(&picture, 3)).expect("a person may put them together again");
    assert_eq!(numbers(&picture, 1).len(), 5);
}

#[test]
fn closed_incidents_take_nothing_in_and_what_comes_says_which_it_follows() {
    let mut picture = picture_of(&[found(1, 0, "host=A"), found(2, 1, "host=A")]);
    let one = holder(&picture, 1);
    picture.set_state(one, CLOSED).expect("a step");
    let placed = picture.add(&found(3, 2, "host=A"));
    assert_ne!(placed.incident, Some(one));
    assert_eq!((placed.follows, placed.links.len()), (vec![one], 0));
    assert_eq!(incident(&picture, holder(&picture, 3)).follows, [one]);
    assert_eq!(incident(&picture, one).detections, 2);
    let next = picture.add(&found(4, 31, "host=A"));
    assert_eq!(next.incident, Some(holder(&picture, 3)), "past the closed ones it finds the open one");
}

#[test]
fn one_that_is_opened_again_takes_in_again() {
    let mut picture = picture_of(&[found(1, 0, "host=A")]);
    let one = holder(&picture, 1);
    picture.set_state(one, CLOSED).expect("a step");
    picture.set_state(one, State::Triage).expect("a step");
    let placed = picture.add(&found(2, 2, "host=A"));
    assert_eq!((placed.incident, placed.follows), (Some(one), Vec::new()));
}

#[test]
fn a_merge_of_somebodys_work_with_new_things_is_in_triage() {
    let mut picture = picture_of(&[found(1, 0, "host=A"), found(2, 0, "user=x")]);
    picture.set_state(holder(&picture, 2), State::Triage).expect("a step");
    picture.set_state(holder(&picture, 2), State::Contained).expect("a step");
    picture.add(&found(3, 0, "host=A user=x"));
    assert_eq!(incident(&picture, holder(&picture, 1)).state, State::Triage);
}

#[test]
fn what_cannot_be_done_is_refused_with_the_reason() {
    let mut picture = two();
    let (one, other) = (holder(&picture, 1), holder(&picture, 3));
    let none = cresset_picture::IncidentId::of(id(99));
    assert_eq!(picture.merge(one, none), Err(HandError::NoIncident(none)));
    assert_eq!(picture.merge(one, one), Err(HandError::Same(one)));
    assert_eq!(picture.split(one, &[]), Err(HandError::NoPart(one)));
    assert_eq!(picture.split(one, &[id(1), id(2)]), Err(HandError::NoPart(one)));
    assert_eq!(picture.split(one, &[id(1), id(3)]), Err(HandError::NotInIt(id(3), one)));
    let step = HandError::Step { id: one, from: State::New, to: State::Recovered };
    assert_eq!(picture.set_state(one, State::Recovered), Err(step));
    picture.set_state(other, CLOSED).expect("a step");
    assert_eq!(picture.merge(one, other), Err(HandError::Closed(other)));
    assert_eq!(picture.merge(other, one), Err(HandError::Closed(other)));
    assert_eq!(picture.split(other, &[id(3)]), Err(HandError::Closed(other)));
    assert_eq!(HandError::Closed(other).to_string(), format!("{other} is closed; set it to triage first"));
    assert_eq!(partition(&picture), partition(&two()));
}

#[test]
fn ids_that_were_given_are_not_given_to_another() {
    let mut picture = picture_of(&[1, 2, 3].map(|i| found(i, 0, "host=A")));
    let one = holder(&picture, 1);
    let ab = picture.split(one, &[id(2), id(3)]).expect("a part");
    let a = picture.split(ab, &[id(2)]).expect("a part");
    picture.merge(one, a).expect("two open incidents");
    let again = picture.split(one, &[id(2)]).expect("a part");
    assert_eq!(again, a);
    assert_eq!(BTreeSet::from([one, ab, a]).len(), 3);
    assert_eq!(picture.incidents().count(), 3);
}

#[test]
fn the_partition_is_by_links_where_nobody_decided() {
    check_incidents(&[(0, "host=A"), (29, "host=A user=x"), (50, "user=x")], &[&[1, 2, 3]]);
}
