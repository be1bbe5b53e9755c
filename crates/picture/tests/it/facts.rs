//! What is taken of a detection.

use std::sync::Arc;

use cresset_detect::{Detection, Detector, IndicatorSet, RuleFilter, RuleSet, RuleSources};
use cresset_event::{EventBuilder, EventTime, FieldNames, Origin, Timestamp, UnknownTime, Value};
use cresset_picture::Facts;

use crate::{MINUTE_NANOS, found};

const ARRIVED: Timestamp = Timestamp::from_nanos(1_000_000 * MINUTE_NANOS);

/// What a rule finds in an event of this time.
fn detection(rule: &str, time: EventTime) -> Detection {
    let mut sources = RuleSources::default();
    sources.parse(
        "test.yml",
        format!("{rule}\nlogsource: {{}}\ndetection: {{s: {{CommandLine|contains: whoami}}, condition: s}}\n")
            .as_bytes(),
    );
    let names = Arc::new(FieldNames::new());
    let (rules, refused) = RuleSet::compile(sources, &RuleFilter::default(), &names);
    assert!(refused.is_empty(), "{refused:?}");
    let mut builder = EventBuilder::new(names);
    for (name, value) in [
        ("CommandLine", "whoami"),
        ("Computer", "WS01"),
        ("User", r"CORP\alice"),
        ("Image", r"C:\x.exe"),
        ("DestinationIp", "203.0.113.9"),
    ] {
        builder.push(name, Value::Str(value));
    }
    let event = builder.finish(Origin { time, arrived: ARRIVED, ..Origin::default() });
    let mut all = Vec::new();
    Detector::new(Arc::new(rules), Arc::new(IndicatorSet::default())).detect(&event, |detection| all.push(detection));
    all.remove(0)
}

#[test]
fn everything_that_is_needed_is_taken() {
    let detection =
        detection("title: T\nid: i\nlevel: high\ntags: [attack.execution, attack.t1059]", EventTime::Known(ARRIVED));
    let facts = Facts::of(&detection);
    let expected = Facts {
        id: detection.id(),
        time: ARRIVED,
        arrived: ARRIVED,
        ..found(
            1,
            0,
            r"high title=T cause=i tactic=Execution technique=T1059 host=WS01 user=CORP\alice process=C:\x.exe ip=203.0.113.9 CommandLine=whoami",
        )
    };
    assert_eq!(facts, expected);
    let json = serde_json::to_string(&facts).expect("facts are JSON");
    assert_eq!(serde_json::from_str::<Facts>(&json).expect("what was written"), facts);
}

#[test]
fn a_rule_without_an_id_goes_by_its_title() {
    assert_eq!(Facts::of(&detection("title: T", EventTime::Known(ARRIVED))).cause, "T");
}

#[test]
fn a_time_that_is_unknown_or_far_ahead_is_that_of_arrival() {
    let time = |time| Facts::of(&detection("title: T", time)).time;
    let ahead = |minutes: i64| EventTime::Known(ARRIVED.saturating_add_nanos(minutes * MINUTE_NANOS));
    assert_eq!(time(EventTime::Unknown(UnknownTime::Missing)), ARRIVED);
    assert_eq!(time(ahead(6)), ARRIVED);
    assert_eq!(time(ahead(5)), ARRIVED.saturating_add_nanos(5 * MINUTE_NANOS));
    assert_eq!(time(ahead(-500_000)), ARRIVED.saturating_add_nanos(-500_000 * MINUTE_NANOS));
}

#[test]
fn facts_that_are_none_are_refused_with_what_was_expected() {
    let json = serde_json::to_string(&found(1, 0, "high")).expect("facts are JSON");
    for (from, to, expected) in
        [("high", "huge", "a level"), ("1970-01-01", "1600-13-01", "a time"), ("-0000", "-", "the id of a detection")]
    {
        let error = serde_json::from_str::<Facts>(&json.replacen(from, to, 1)).expect_err(to).to_string();
        assert!(error.contains(expected), "{error}");
    }
}
