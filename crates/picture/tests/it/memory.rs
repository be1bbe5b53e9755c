//! What is forgotten, and what stays.

use cresset_event::Timestamp;
use cresset_picture::{Facts, HandError, State, Verdict};

use crate::{MINUTE_NANOS, found, holder, id, incident, picture_of, shown};

/// A detection that arrives when it happens.
fn live(number: u32, minute: i64, words: &str) -> Facts {
    let time = Timestamp::from_nanos(minute * MINUTE_NANOS);
    Facts { arrived: time, ..found(number, minute, words) }
}

fn at(minute: i64) -> Timestamp {
    Timestamp::from_nanos(minute * MINUTE_NANOS)
}

#[test]
fn closed_incidents_are_forgotten_whole_and_others_are_as_they_were() {
    let mut picture = picture_of(&[
        live(1, 0, "host=A user=x ip=203.0.113.9 title=Old"),
        live(2, 1, "host=B user=y technique=T1059"),
        live(3, 5000, "host=C user=z ip=203.0.113.7"),
    ]);
    let (old, quiet, new) = (holder(&picture, 1), holder(&picture, 2), holder(&picture, 3));
    picture.set_state(old, State::Closed(Verdict::TruePositive)).expect("a step");
    let before = (picture.incident(quiet), picture.incident(new));
    picture.forget_before(at(3000));
    assert_eq!(picture.incident(old), None);
    assert_eq!(picture.incident_of(id(1)), None);
    assert_eq!((picture.incident(quiet), picture.incident(new)), before);
    assert_eq!(picture.add(&live(4, 5001, "host=C")).incident, Some(new), "keys still lead to what is left");
    assert_eq!(picture.add(&live(5, 5001, r"user=CORP\Z")).incident, Some(new));
    assert_eq!(picture.add(&live(6, 5001, "host=A user=x")).links, []);
}

#[test]
fn an_open_incident_that_is_quiet_is_shown_and_worked_but_not_taken_apart() {
    let mut picture = picture_of(&[live(1, 0, "host=A"), live(2, 1, "host=A"), live(3, 5000, "host=B")]);
    let quiet = holder(&picture, 1);
    picture.forget_before(at(3000));
    assert_eq!(picture.split(quiet, &[id(1)]), Err(HandError::Forgotten(quiet)));
    picture.set_state(quiet, State::Triage).expect("a step");
    let new = holder(&picture, 3);
    picture.merge(new, quiet).expect("two open incidents");
    assert_eq!((incident(&picture, new).detections, incident(&picture, quiet).id), (3, new));
    assert_eq!(picture.add(&live(4, 5001, "host=B")).incident, Some(new));
}

#[test]
fn what_is_not_over_is_not_forgotten() {
    let mut picture = picture_of(&[live(1, 0, "host=A"), live(2, 29, "host=A")]);
    let before = shown(&picture);
    picture.forget_before(at(29));
    assert_eq!(shown(&picture), before);
    assert!(picture.split(holder(&picture, 1), &[id(1)]).is_ok());
}

#[test]
fn a_detection_that_was_forgotten_and_comes_again_takes_no_id_that_is_in_use() {
    let mut picture = picture_of(&[live(1, 0, "host=A")]);
    let quiet = holder(&picture, 1);
    picture.forget_before(at(3000));
    let again = picture.add(&live(1, 0, "host=A")).incident.expect("it is medium");
    assert_ne!(again, quiet);
    assert_eq!(picture.incidents().count(), 2);
}
