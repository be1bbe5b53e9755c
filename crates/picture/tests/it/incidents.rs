//! What an incident shows.

use cresset_detect::Level;
use cresset_picture::{Assets, Facts, Incident, IncidentId, Picture, PriorityClass};

use crate::{found, holder, id, incident, picture_of};

/// The incident that all of these are in.
#[track_caller]
fn shown_of(all: &[Facts]) -> Incident {
    let picture = picture_of(all);
    assert_eq!(picture.incidents().count(), 1);
    incident(&picture, holder(&picture, 1))
}

#[test]
fn it_is_named_for_the_worst_detection_the_earliest_of_them_and_for_where_that_was() {
    let title = |all: &[Facts]| shown_of(all).title;
    let low = found(1, 0, "low title=Low host=A ip=203.0.113.9");
    let late = found(2, 9, "high title=Late host=B ip=203.0.113.9");
    let early = found(3, 5, "high title=Early host=C ip=203.0.113.9");
    assert_eq!(title(std::slice::from_ref(&low)), "Low on A");
    assert_eq!(title(&[low.clone(), late.clone()]), "Late on B and 1 more host");
    assert_eq!(title(&[low, late, early]), "Early on C and 2 more hosts");
    assert_eq!(title(&[found(1, 0, "title=Nowhere")]), "Nowhere");
    let elsewhere = found(2, 1, "low host=A user=x");
    assert_eq!(title(&[found(1, 0, "high title=Somewhere user=x"), elsewhere]), "Somewhere on A");
}

#[test]
fn it_has_the_id_of_the_detection_that_opened_it_and_that_is_a_stix_id() {
    let one = shown_of(&[found(1, 0, "host=A"), found(2, 0, "host=A")]);
    assert_eq!(one.id, IncidentId::of(id(1)));
    let text = one.id.to_string();
    assert_eq!((&text[..10], text.len()), ("incident--", 46));
    assert_eq!(IncidentId::parse(&text), Some(one.id));
    assert_eq!(IncidentId::from_bytes(*one.id.as_bytes()), one.id);
    for other in ["", &text[10..], &text.to_uppercase(), &text.replace("incident", "indicator")] {
        assert_eq!(IncidentId::parse(other), None, "{other:?}");
    }
}

#[test]
fn its_times_are_those_of_the_events_and_of_the_first_arrival() {
    let (one, two) = (found(1, 20, "host=A"), found(2, 0, "host=A"));
    let shown = shown_of(&[one.clone(), two.clone()]);
    assert_eq!((shown.first, shown.last, shown.aware_at), (two.time, one.time, one.arrived));
}

#[test]
fn what_it_names_is_listed_by_how_often_and_bounded() {
    let mut all: Vec<Facts> = (1..=40).map(|i| found(i, 0, &format!("host=H{i:02} ip=203.0.113.9"))).collect();
    all.push(found(41, 0, "host=h40 ip=203.0.113.9 title=Other tactic=Execution technique=T1059 user=x"));
    let shown = shown_of(&all);
    assert_eq!((shown.hosts.len(), shown.hosts_more, &*shown.hosts[0], &*shown.hosts[1]), (16, 24, "H40", "H01"));
    assert_eq!(shown.rules, [("Found".to_owned(), 40), ("Other".to_owned(), 1)]);
    assert_eq!((shown.rules_more, shown.detections, shown.level), (0, 41, Level::Medium));
    assert_eq!(
        (shown.tactics, shown.techniques, shown.users),
        (vec!["Execution".into()], vec!["T1059".into()], vec!["x".into()])
    );
}

#[test]
fn accounts_that_link_nothing_are_told_all_the_same() {
    assert_eq!(shown_of(&[found(1, 0, r"user=NT+AUTHORITY\SYSTEM")]).users, [r"NT AUTHORITY\SYSTEM"]);
}

#[test]
fn its_priority_says_what_it_is_made_of() {
    let assets = Assets::from_toml("[[asset]]\nname='dc01'\nvalue='vital'\naddresses=['10.0.0.1']").expect("a list");
    let mut picture = Picture::new(assets);
    picture.add(&found(1, 0, "medium host=A tactic=Execution"));
    let class = |picture: &Picture| incident(picture, holder(picture, 1)).priority;
    assert_eq!((class(&picture).score, class(&picture).class), (35, PriorityClass::P3));
    picture.add(&found(2, 1, "low host=A ip=10.0.0.1 tactic=Lateral+Movement"));
    let priority = class(&picture);
    let reasons: Vec<(&str, i16)> = priority.reasons.iter().map(|(why, points)| (why.as_str(), *points)).collect();
    assert_eq!(
        reasons,
        [
            ("highest level: medium", 30),
            ("10.0.0.1 is of vital value", 25),
            ("2 tactics of ATT&CK", 4),
            ("as far as Lateral Movement", 4)
        ]
    );
    let changed = picture.set_assets(Assets::new());
    assert_eq!(changed, [holder(&picture, 1)]);
    assert_eq!(class(&picture).score, 30 + 5 + 4 + 4);
    assert!(picture.set_assets(Assets::new()).is_empty());
}

#[test]
fn a_flood_of_low_detections_stays_low() {
    let tactics = ["Execution", "Persistence", "Discovery", "Lateral+Movement", "Collection", "Exfiltration", "Impact"];
    let words = |i: u32| format!("low host=H{} ip=203.0.113.9 tactic={}", i % 100, tactics[i as usize % tactics.len()]);
    let all: Vec<Facts> = (1..2000).map(|i| found(i, i64::from(i / 10), &words(i))).collect();
    assert_eq!(shown_of(&all).priority.class, PriorityClass::P4);
}

#[test]
fn it_is_kept_as_json_and_read_back() {
    let shown = shown_of(&[found(1, 0, "high host=A user=x ip=203.0.113.9 tactic=Execution technique=T1059 a=b")]);
    let json = serde_json::to_string(&shown).expect("an incident is JSON");
    assert!(
        json.contains(r#""level":"high""#) && json.contains(r#""state":"new""#) && json.contains(r#""class":"P2""#),
        "{json}"
    );
    assert_eq!(serde_json::from_str::<Incident>(&json).expect("what was written"), shown);
}
