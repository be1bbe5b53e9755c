//! Rules and events in, detections out. One test vocabulary: [`check_detects`].

mod budget;
mod correlations;
mod hostile;
mod indicators;
mod oracle;
mod rulebook;
mod rules;
mod snapshots;

use std::sync::Arc;

use cresset_detect::{Cause, Detection, Detector, IndicatorSet, RuleFilter, RuleSet, RuleSources};
use cresset_event::{Event, EventBuilder, EventTime, FieldNames, LogSource, Origin, Timestamp, UnknownTime, Value};

/// When the events of a test arrive: long after they happened.
const ARRIVED_SECONDS: i64 = 2_000_000_000;

/// An event of a test: its time in seconds, and fields as `name=value` separated by `;`.
type Given<'a> = (i64, &'a str);

fn compile(rules: &str, names: &Arc<FieldNames>) -> RuleSet {
    let mut sources = RuleSources::default();
    sources.parse("test.yml", rules.as_bytes());
    let (rules, refused) = RuleSet::compile(sources, &RuleFilter::default(), names);
    assert!(refused.is_empty(), "{refused:?}");
    rules
}

/// A builder of events, and a detector for them.
fn ready(rules: &str, indicators: Arc<IndicatorSet>) -> (EventBuilder, Detector) {
    let names = Arc::new(FieldNames::new());
    let detector = Detector::new(Arc::new(compile(rules, &names)), indicators);
    (EventBuilder::new(names), detector)
}

/// So many of the first letters of the alphabet, in no order that shows; the same for one seed.
fn random_letters(of: u32, seed: u32, count: usize) -> String {
    let mut state = seed;
    let letters = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'a' + ((state >> 16) % of) as u8)
    });
    letters.take(count).collect()
}

/// Returns why rules are refused.
fn refused(rules: &str) -> Vec<String> {
    let mut sources = RuleSources::default();
    sources.parse("test.yml", rules.as_bytes());
    RuleSet::compile(sources, &RuleFilter::default(), &Arc::default())
        .1
        .into_iter()
        .map(|refused| refused.reason)
        .collect()
}

fn event(builder: &mut EventBuilder, (seconds, fields): Given<'_>) -> Event {
    for field in fields.split(';').filter(|field| !field.is_empty()) {
        let (name, value) = field.split_once('=').expect("name=value");
        builder.push(name, Value::Str(value));
    }
    let nanos = |seconds: i64| Timestamp::from_nanos(seconds * 1_000_000_000);
    let time = match seconds {
        i64::MIN => EventTime::Unknown(UnknownTime::Missing),
        seconds => EventTime::Known(nanos(seconds)),
    };
    let log_source = Arc::new(LogSource { product: Some("linux".into()), ..LogSource::default() });
    builder.finish(Origin { time, arrived: nanos(ARRIVED_SECONDS), log_source, ..Origin::default() })
}

fn detect(rules: &str, events: &[Given<'_>]) -> (Vec<Detection>, Detector) {
    let (mut builder, mut detector) = ready(rules, Arc::default());
    let mut found = Vec::new();
    for given in events {
        detector.detect(&event(&mut builder, *given), |detection| found.push(detection));
    }
    (found, detector)
}

/// A detection as `title` for a rule, and `title group=value… value over events` for a correlation.
fn show(detection: &Detection) -> String {
    match &detection.cause {
        Cause::Correlation { rule, group, value, events, .. } => {
            let group: Vec<String> = group.iter().map(|(field, value)| format!("{field}={value} ")).collect();
            format!("{} {}{value} over {events}", rule.title, group.concat())
        }
        _ => detection.title().into_owned(),
    }
}

/// Checks what rules find in events, in order.
#[track_caller]
fn check_detects(rules: &str, events: &[Given<'_>], expected: &[&str]) {
    let (found, _) = detect(rules, events);
    assert_eq!(found.iter().map(show).collect::<Vec<_>>(), expected);
}
