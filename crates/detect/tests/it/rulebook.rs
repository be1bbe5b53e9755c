//! Rules that change while they are at work.

use std::collections::BTreeMap;
use std::sync::Arc;

use cresset_detect::{Cause, Changed, Detector, DropReason, Refused, RuleFilter, RuleSet, RuleSources, Rulebook};
use cresset_event::{Event, EventBuilder, EventTime, FieldNames, LogSource, Origin, Timestamp, Value};
use proptest::prelude::*;

use crate::{event, show};

const X: &str = "title: X\nname: x\nlogsource: {}\ndetection:\n  s: {e: x}\n  condition: s\n";
const Y: &str = "title: Y\nlogsource: {}\ndetection:\n  s: {e: y}\n  condition: s\n";
const TWO_X: &str = "title: Two\ncorrelation:\n  type: event_count\n  rules: [x]\n  group-by: [u]\n  timespan: 1m\n  condition: {gte: 2}\n";
const BROKEN: &str = "title: Broken\nlogsource: {}\ndetection:\n  s: {e|re: '['}\n  condition: s\n";

fn sources(file: &str, text: &str) -> RuleSources {
    let mut sources = RuleSources::default();
    sources.parse(file, text.as_bytes());
    sources
}

/// Rules of named files at work, and the events that they see.
struct Live {
    builder: EventBuilder,
    book: Rulebook,
    detector: Detector,
}

impl Live {
    fn new(files: &[(&str, &str)]) -> Self {
        let names = Arc::new(FieldNames::new());
        let files = files.iter().map(|(file, text)| ((*file).to_owned(), sources(file, text)));
        let book = Rulebook::new(files, RuleFilter::default(), &names);
        let detector = Detector::new(Arc::clone(book.set()), Arc::default());
        Self { builder: EventBuilder::new(names), book, detector }
    }

    fn change(&mut self, file: &str, text: Option<&str>) -> Changed {
        self.book.change([(file.to_owned(), text.map(|text| sources(file, text)))])
    }

    #[track_caller]
    fn check_detects(&mut self, seconds: i64, fields: &str, expected: &[&str]) {
        let mut found = Vec::new();
        self.detector.detect(&event(&mut self.builder, (seconds, fields)), |detection| found.push(show(&detection)));
        assert_eq!(found, expected);
    }
}

#[test]
fn a_rule_comes_changes_and_goes() {
    let mut live = Live::new(&[("x.yml", X)]);
    live.check_detects(1, "e=y", &[]);
    assert!(live.change("y.yml", Some(Y)).is_changed);
    live.check_detects(1, "e=y", &[]);
    live.detector.change_rules(live.book.set());
    live.check_detects(1, "e=y", &["Y"]);
    live.change("y.yml", Some(&Y.replace("{e: y}", "{e: z}")));
    live.detector.change_rules(live.book.set());
    live.check_detects(1, "e=y", &[]);
    live.check_detects(1, "e=z", &["Y"]);
    live.change("y.yml", None);
    live.detector.change_rules(live.book.set());
    live.check_detects(1, "e=z", &[]);
    live.check_detects(1, "e=x", &["X"]);
    assert!(!live.change("y.yml", None).is_changed, "what is not there cannot go");
}

/// Invariant 2.
#[test]
fn the_last_good_version_goes_on() {
    let mut live = Live::new(&[("x.yml", X)]);
    for broken in [BROKEN, "title: [", &format!("{Y}---\n{BROKEN}"), &format!("{TWO_X}---\n{BROKEN}")] {
        let changed = live.change("x.yml", Some(broken));
        assert_eq!((changed.is_changed, changed.kept), (false, vec!["x.yml".to_owned()]), "{broken}");
        assert_eq!(changed.refused.len(), if broken.contains("Two") { 2 } else { 1 }, "{:?}", changed.refused);
    }
    live.detector.change_rules(live.book.set());
    live.check_detects(1, "e=x", &["X"]);
    // Of a file that was never good, the rules that load do; and it is told of once.
    let changed = live.change("new.yml", Some(&format!("{Y}---\n{BROKEN}")));
    assert_eq!((changed.is_changed, changed.refused.len(), changed.kept.len()), (true, 1, 0));
    let changed = live.change("x.yml", Some(&format!("{X}---\n{TWO_X}")));
    assert_eq!((changed.is_changed, changed.refused.len()), (true, 0));
    live.detector.change_rules(live.book.set());
    live.check_detects(1, "e=y", &["Y"]);
}

#[test]
fn a_broken_file_keeps_no_other_from_changing() {
    let mut live = Live::new(&[("x.yml", X), ("y.yml", Y)]);
    let good = Y.replace("{e: y}", "{e: z}");
    let changes = [("x.yml", BROKEN), ("y.yml", good.as_str())];
    let changed = live.book.change(changes.map(|(file, text)| (file.to_owned(), Some(sources(file, text)))));
    assert_eq!((changed.is_changed, changed.kept), (true, vec!["x.yml".to_owned()]));
    live.detector.change_rules(live.book.set());
    live.check_detects(1, "e=x", &["X"]);
    live.check_detects(1, "e=z", &["Y"]);
}

#[test]
fn correlations_remember_over_a_change_that_is_not_theirs() {
    let mut live = Live::new(&[("x.yml", X), ("two.yml", TWO_X)]);
    live.check_detects(1, "e=x;u=a", &[]);
    // Once with the correlations as they are, and once with all compiled anew and another one before this.
    live.change("y.yml", Some(Y));
    assert!(live.detector.change_rules(live.book.set()).is_empty());
    let other = TWO_X.replace("Two", "Three").replace("gte: 2", "gte: 3");
    live.change("a.yml", Some(&other));
    assert!(live.detector.change_rules(live.book.set()).is_empty());
    live.check_detects(2, "e=x;u=a", &["Two u=a 2 over 2"]);

    live.check_detects(200, "e=x;u=b", &[]);
    live.change("two.yml", Some(&TWO_X.replace("gte: 2", "gte: 4")));
    let dropped = live.detector.change_rules(live.book.set());
    let told: Vec<_> = dropped.iter().map(|dropped| (dropped.title.as_str(), dropped.groups, dropped.reason)).collect();
    assert_eq!(told, [("Two", 2, DropReason::Changed)]);
    // The base rule goes, and with it what counts it.
    let changed = live.change("x.yml", None);
    assert_eq!((changed.is_changed, changed.refused.len()), (true, 2), "{:?}", changed.refused);
}

/// One file's rules: a few that meet, some that a correlation counts or a filter narrows, some that do not load.
fn text() -> impl Strategy<Value = String> {
    let source = prop::sample::select(vec!["{}", "{product: linux}", "{product: windows}", "{category: c}"]);
    let item = prop::sample::select(vec![
        "a: x",
        "a|contains: [x, yy]",
        "b|re: 'x+y'",
        "b: 1",
        "a|endswith: y",
        "b|exists: false",
    ]);
    let condition = prop::sample::select(vec!["s", "not s", "s or t", "s and not t", "all of them"]);
    let name = prop::sample::select(vec!["", "", "", "name: x\n", "name: y\n"]);
    let rule = (source, item.clone(), item, condition, name, 0..9_u8).prop_map(|(source, s, t, condition, name, title)| {
        format!("title: R{title}\n{name}logsource: {source}\ndetection:\n  s: {{{s}}}\n  t: {{{t}}}\n  condition: {condition}\n")
    });
    let correlation = prop::sample::select(vec!["x", "y"]).prop_map(|name| TWO_X.replace("[x]", &format!("[{name}]")));
    let filter = prop::sample::select(vec!["[x]", "[R1]", "any"])
        .prop_map(|rules| format!("title: F\nfilter: {{rules: {rules}, f: {{b: 1}}, condition: not f}}\n"));
    let document = prop_oneof![
        20 => rule,
        1 => correlation,
        1 => filter,
        1 => Just(BROKEN.to_owned()),
    ];
    prop::collection::vec(document, 1..3).prop_map(|documents| documents.join("---\n"))
}

/// What events have: values of two fields, and a log source.
fn given() -> impl Strategy<Value = (&'static str, &'static str, bool)> {
    let value = || prop::sample::select(vec!["", "x", "xy", "yy", "1", "xxyy"]);
    (value(), value(), any::<bool>())
}

fn build(builder: &mut EventBuilder, (a, b, is_linux): (&str, &str, bool)) -> Event {
    [("a", a), ("b", b), ("u", "u")].into_iter().filter(|(_, value)| !value.is_empty()).for_each(|(name, value)| {
        builder.push(name, Value::Str(value));
    });
    let log_source = if is_linux {
        LogSource { product: Some("linux".into()), ..LogSource::default() }
    } else {
        LogSource { product: Some("windows".into()), categories: vec!["c".into()], ..LogSource::default() }
    };
    let time = Timestamp::from_nanos(1_000_000_000);
    let (time, arrived) = (EventTime::Known(time), time);
    builder.finish(Origin { log_source: Arc::new(log_source), time, arrived, ..Origin::default() })
}

/// What a detector finds in events, by event, in no order; correlations only where that is asked.
fn found(detector: &mut Detector, events: &[Event], with_correlations: bool) -> Vec<Vec<String>> {
    let of_event = |event: &Event| {
        let mut found = Vec::new();
        detector.detect(event, |detection| {
            let is_correlation = matches!(detection.cause, Cause::Correlation { .. });
            found.extend(
                (with_correlations || !is_correlation).then(|| format!("{} {:?}", show(&detection), detection.matched)),
            );
        });
        found.sort();
        found
    };
    events.iter().map(of_event).collect()
}

fn sorted(refused: &[Refused]) -> Vec<String> {
    let mut shown: Vec<String> = refused.iter().map(|refused| format!("{refused:?}")).collect();
    shown.sort();
    shown
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 128 } else { 1024 }))]

    /// Invariant 1, with the versions that serve; and a detector that went through every change.
    #[test]
    fn a_changed_set_finds_what_one_compiled_from_scratch_finds(
        changes in prop::collection::vec(prop::collection::vec((0..5_usize, prop::option::weighted(0.75, text())), 1..3), 1..12),
        given in prop::collection::vec(given(), 1..8),
    ) {
        let mut live = Live::new(&[]);
        let mut served: BTreeMap<String, String> = BTreeMap::new();
        let events: Vec<Event> = given.iter().map(|given| build(&mut live.builder, *given)).collect();
        for change in changes {
            let change: BTreeMap<String, Option<String>> =
                change.into_iter().map(|(file, text)| (format!("{file}.yml"), text)).collect();
            let parsed = change.iter().map(|(file, text)| {
                (file.clone(), text.as_ref().map(|text| sources(file, text)))
            });
            let changed = live.book.change(parsed);
            for (file, text) in change.into_iter().filter(|(file, _)| !changed.kept.contains(file)) {
                match text {
                    Some(text) => served.insert(file, text),
                    None => served.remove(&file),
                };
            }
            let mut all = RuleSources::default();
            served.iter().for_each(|(file, text)| all.parse(file, text.as_bytes()));
            let (scratch, refused) = RuleSet::compile(all, &RuleFilter::default(), live.builder.names());
            prop_assert_eq!(sorted(live.book.refused()), sorted(&refused));
            let scratch = Arc::new(scratch);
            let fresh = |rules: &Arc<RuleSet>| found(&mut Detector::new(Arc::clone(rules), Arc::default()), &events, true);
            prop_assert_eq!(fresh(live.book.set()), fresh(&scratch), "{:#?}", served);
            live.detector.change_rules(live.book.set());
            let scratch = found(&mut Detector::new(scratch, Arc::default()), &events, false);
            prop_assert_eq!(found(&mut live.detector, &events, false), scratch, "{:#?}", served);
        }
    }
}
