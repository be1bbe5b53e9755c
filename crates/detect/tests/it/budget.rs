//! A rule that takes too long is stopped, at the same event however the events are matched; the others go on.

use std::sync::Arc;

use cresset_detect::{Detection, Detector, OVERRUNS_MAX, RuleSources};
use cresset_event::{Event, EventBuilder, Origin, Value};

use crate::{random_letters, ready, show};

/// `Slow` has a regular expression that meets a new state at nearly every byte of [`costly`].
const RULES: &str = r#"
title: Slow
logsource: {product: linux}
detection: {s: {a|re: 'a.{0,900}b.{0,900}[0-9]'}, condition: s}
---
title: Slower where it is not there
logsource: {product: linux}
detection: {s: {a|re: 'a.{0,900}b.{0,900}[0-9]'}, t: {b: x}, condition: t and not s}
---
title: Quick
logsource: {product: linux}
detection: {s: {b: x}, condition: s}
"#;

/// A hundred kilobytes of four letters in no order.
fn costly() -> String {
    random_letters(4, 1, 100_000)
}

fn events(builder: &mut EventBuilder) -> Vec<Event> {
    let costly = costly();
    let values =
        ["ab1", &costly].into_iter().chain(std::iter::repeat_n(&*costly, OVERRUNS_MAX as usize)).chain(["ab1"]);
    values
        .map(|value| {
            builder.push("a", Value::Str(value));
            builder.push("b", Value::Str("x"));
            let log_source = cresset_event::LogSource { product: Some("linux".into()), ..Default::default() };
            builder.finish(Origin { log_source: Arc::new(log_source), ..Origin::default() })
        })
        .collect()
}

fn overruns(detector: &Detector) -> Vec<(String, u32, bool)> {
    let overruns = detector.rules().overruns();
    overruns.map(|overrun| (overrun.rule.title.clone(), overrun.events, overrun.is_stopped())).collect()
}

#[test]
fn a_rule_that_takes_too_long_is_stopped_and_the_others_go_on() {
    let (mut builder, mut detector) = ready(RULES, Arc::default());
    let mut found = Vec::new();
    let events = events(&mut builder);
    events.iter().for_each(|event| detector.detect(event, |detection| found.push(show(&detection))));
    let expected = std::iter::once("Slow").chain(std::iter::repeat_n("Quick", events.len()));
    assert_eq!(found, expected.collect::<Vec<_>>());
    let stopped = |title: &str| (title.to_owned(), OVERRUNS_MAX, true);
    assert_eq!(overruns(&detector), [stopped("Slow"), stopped("Slower where it is not there")]);
}

#[test]
fn an_explanation_says_what_took_too_long() {
    let (mut builder, _) = ready(RULES, Arc::default());
    let mut sources = RuleSources::default();
    sources.parse("test.yml", RULES.as_bytes());
    let explained = |event: &Event| -> Vec<String> {
        let rules = sources.explain(event).into_iter().map(|rule| rule.expect("a rule"));
        rules.map(|rule| format!("{:?}", rule.condition)).collect()
    };
    let took_too_long =
        |event: &Event| explained(event).iter().map(|rule| rule.contains("took too long")).collect::<Vec<_>>();
    let events = events(&mut builder);
    assert_eq!(took_too_long(&events[0]), [false, false, false]);
    assert_eq!(took_too_long(&events[1]), [true, true, false]);
}

#[test]
fn where_it_is_stopped_does_not_depend_on_who_matches_when() {
    let (mut builder, mut detector) = ready(RULES, Arc::default());
    let events = events(&mut builder);
    let mut in_turn: Vec<Detection> = Vec::new();
    events.iter().for_each(|event| detector.detect(event, |detection| in_turn.push(detection)));

    let (mut builder, mut detector) = ready(RULES, Arc::default());
    let events = self::events(&mut builder);
    let mut matcher = detector.matcher();
    // All are matched, the last one first, before any is told.
    let mut matches: Vec<_> = events.iter().rev().map(|event| matcher.matches(event)).collect();
    let mut apart: Vec<Detection> = Vec::new();
    for event in &events {
        let matches = matches.pop().expect("one for each");
        detector.tell(event, matches, |detection| apart.push(detection));
    }
    let titles = |found: &[Detection]| found.iter().map(show).collect::<Vec<_>>();
    assert_eq!(titles(&apart), titles(&in_turn));
    assert!(overruns(&detector).iter().all(|(_, events, _)| *events == OVERRUNS_MAX + 1), "{:?}", overruns(&detector));
}
