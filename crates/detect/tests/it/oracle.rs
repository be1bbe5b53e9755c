//! The slow twin: `rsigma-eval`, which looks at every rule, must find what our engine finds.
//!
//! Rules and events are generated so that a good part fits; where the two differ on purpose the Sigma specification says
//! which is right, and the generator leaves the case out or a test of its own names it ([`exceptions`]).

mod event;

use std::collections::BTreeSet;
use std::sync::Arc;

use cresset_detect::{Detector, IndicatorSet, RuleFilter, RuleSet, RuleSources};
use cresset_event::{Event, EventBuilder, FieldNames, Origin, Value};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use rsigma_eval::Engine;

use self::event::OracleEvent;

/// A value of a generated event.
#[derive(Debug, Clone)]
enum Given {
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    Null,
    Empty,
}

/// Fields and values, a name more than once for an array.
type GivenEvent = Vec<(&'static str, Given)>;

const FIELDS: [&str; 4] = ["a", "b", "c", "d.e"];

/// Texts of rules and events are put together of few pieces, so that they meet.
fn text() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "b",
        "ab",
        "B",
        "-",
        "/",
        "\\",
        "cmd",
        "CMD",
        ".exe",
        " ",
        "é",
        "É",
        "漢",
        "1",
        "23",
        "'",
        "x-y",
        "ß",
        "",
        "𝔘",
        "192.0.2.7",
        "true",
        "–",
    ]);
    prop::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
}

/// A value of a rule: text, with wildcards and escapes now and then.
fn pattern() -> impl Strategy<Value = String> {
    let special = prop::sample::select(vec!["", "", "*", "*", "?", r"\*", r"\?", r"\\"]);
    (special.clone(), text(), special.clone(), text(), special)
        .prop_map(|(before, first, between, second, behind)| format!("{before}{first}{between}{second}{behind}"))
}

fn value() -> impl Strategy<Value = Given> {
    prop_oneof![
        8 => text().prop_map(Given::Text),
        2 => (-3_i64..30).prop_map(Given::Int),
        1 => prop::sample::select(vec![0.5, 1.0, -0.0, 23.0, 1e300]).prop_map(Given::Float),
        1 => any::<bool>().prop_map(Given::Bool),
        1 => Just(Given::Null),
        1 => Just(Given::Empty),
        1 => prop::sample::select(vec!["192.0.2.7", "2001:db8::1", "2026-11-24T07:05:00Z", "23", "1.0", "yes"])
            .prop_map(|text| Given::Text(text.into())),
    ]
}

/// Most fields have a value; some have several, and some none.
fn event() -> impl Strategy<Value = GivenEvent> {
    let field = |name: &'static str| {
        prop_oneof![
            1 => prop::collection::vec(value(), 0),
            6 => prop::collection::vec(value(), 1),
            2 => prop::collection::vec(value(), 2..4),
        ]
        .prop_map(move |values| values.into_iter().map(|value| (name, value)).collect::<Vec<_>>())
    };
    FIELDS.map(field).prop_map(|fields| fields.into_iter().flatten().collect())
}

/// One item of a selection, as YAML.
fn item() -> impl Strategy<Value = String> {
    let quoted = |text: String| format!("'{}'", text.replace('\'', "''"));
    let texts = move || {
        prop::collection::vec(pattern(), 1..4).prop_map(move |texts| {
            let texts: Vec<String> = texts.into_iter().map(quoted).collect();
            format!("[{}]", texts.join(", "))
        })
    };
    let plain_texts = move || {
        prop::collection::vec(text(), 1..3).prop_map(move |texts| {
            let texts: Vec<String> = texts.into_iter().map(quoted).collect();
            format!("[{}]", texts.join(", "))
        })
    };
    let field = || prop::sample::select(FIELDS.to_vec());
    let op = || prop::sample::select(vec!["", "|contains", "|contains", "|cased", "|contains|cased"]);
    let plain_op = || prop::sample::select(vec!["|contains", "|startswith", "|endswith", "|endswith|cased", ""]);
    prop_oneof![
        8 => (field(), op(), texts()).prop_map(|(field, op, texts)| format!("{field}{op}: {texts}")),
        2 => (field(), op(), text(), pattern()).prop_map(move |(field, op, one, two)| {
            format!("{field}{op}|all: [{}, {}]", quoted(one), quoted(two))
        }),
        4 => (field(), plain_op(), plain_texts()).prop_map(|(field, op, texts)| format!("{field}{op}: {texts}")),
        2 => (field(), plain_op(), plain_texts()).prop_map(|(field, op, texts)| format!("{field}{op}|neq: {texts}")),
        1 => (field(), plain_op(), plain_texts()).prop_map(|(field, op, texts)| {
            let texts = texts.replace(['/', '–'], "-");
            format!("{field}|windash{op}: {texts}")
        }),
        1 => (field(), plain_texts()).prop_map(|(field, texts)| format!("{field}|wide|base64: {texts}")),
        2 => (field(), -3_i64..30).prop_map(|(field, number)| format!("{field}: {number}")),
        1 => (field(), prop::sample::select(vec!["gt", "gte", "lt", "lte"]), -3_i64..30)
            .prop_map(|(field, op, number)| format!("{field}|{op}: {number}")),
        1 => (field(), any::<bool>()).prop_map(|(field, wanted)| format!("{field}|exists: {wanted}")),
        1 => (field(), any::<bool>()).prop_map(|(field, wanted)| format!("{field}: {wanted}")),
        1 => field().prop_map(|field| format!("{field}: null")),
        1 => (field(), prop::sample::select(vec!["192.0.2.0/24", "2001:db8::/32", "0.0.0.0/0"]))
            .prop_map(|(field, range)| format!("{field}|cidr: '{range}'")),
        2 => (field(), prop::sample::select(vec!["", "|i"]), prop::sample::select(vec![
            "cmd", "^a+b", "(a|cmd).*exe$", "[0-9]+", "b{2,}", "(?:CMD|x-y)", "é", ".", "", "a|longer", "\\.exe",
        ])).prop_map(move |(field, flag, regex)| format!("{field}|re{flag}: {}", quoted(regex.into()))),
        1 => (field(), prop::sample::select(vec!["hour: 7", "minute: 5", "week: 48", "year: 2026", "month: 1", "day: 1"]))
            .prop_map(|(field, part)| format!("{field}|{part}")),
    ]
}

/// Items that all must fit, as lines of YAML at some depth.
fn mapping(indent: &'static str) -> impl Strategy<Value = String> {
    prop_oneof![prop::collection::vec(item(), 1), prop::collection::vec(item(), 1..3)].prop_map(move |items| {
        // Two items of one key would be a broken mapping.
        let mut seen = BTreeSet::new();
        let kept = items.into_iter().filter(|item| seen.insert(item.split(':').next().unwrap_or_default().to_owned()));
        kept.collect::<Vec<_>>().join(indent)
    })
}

/// A selection, as YAML, to stand behind its name.
fn selection() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => mapping("\n      ").prop_map(|mapping| format!("\n      {mapping}")),
        1 => prop::collection::vec(mapping("\n        "), 1..3).prop_map(|mappings| {
            mappings.into_iter().map(|mapping| format!("\n      - {mapping}")).collect()
        }),
        1 => prop::collection::vec(text(), 1..3).prop_map(|texts| {
            texts.into_iter().map(|text| format!("\n      - '{}'", text.replace('\'', "''"))).collect()
        }),
    ]
}

fn rule() -> impl Strategy<Value = String> {
    let condition = prop::sample::select(vec![
        "s1",
        "s1 and s2",
        "s1 or s2",
        "s1 and not s2",
        "not s1",
        "s1 or s2 or not s3",
        "1 of s*",
        "all of s*",
        "2 of s*",
        "s1 or not (s2 or s3)",
        "all of them",
        "(s1 or s2) and (s2 or s3)",
        "not 1 of s*",
    ]);
    (selection(), selection(), selection(), condition).prop_map(|(s1, s2, s3, condition)| {
        format!("detection:\n    s1:{s1}\n    s2:{s2}\n    s3:{s3}\n    condition: {condition}\n")
    })
}

fn build(builder: &mut EventBuilder, given: &GivenEvent) -> Event {
    for (name, value) in given {
        builder.push(
            name,
            match value {
                Given::Text(text) => Value::Str(text),
                Given::Int(number) => Value::Int(*number),
                Given::Float(number) => Value::Float(*number),
                Given::Bool(truth) => Value::Bool(*truth),
                Given::Null => Value::Null,
                Given::Empty => Value::Empty,
            },
        );
    }
    builder.finish(Origin::default())
}

/// A rule file of these bodies, the rules numbered from 0.
fn file(bodies: &[String]) -> String {
    let rules = bodies
        .iter()
        .enumerate()
        .map(|(number, body)| format!("title: R{number}\nid: '{number}'\nlogsource: {{}}\n{body}"));
    rules.collect::<Vec<_>>().join("---\n")
}

/// Which rules fit each event, by our engine and by the oracle.
fn both(rules: &str, events: &[GivenEvent]) -> (Vec<BTreeSet<String>>, Vec<BTreeSet<String>>) {
    let names = Arc::new(FieldNames::new());
    let mut sources = RuleSources::default();
    sources.parse("generated.yml", rules.as_bytes());
    let (set, refused) = RuleSet::compile(sources, &RuleFilter::default(), &names);
    assert!(refused.is_empty(), "{refused:?} in\n{rules}");
    let mut detector = Detector::new(Arc::new(set), Arc::new(IndicatorSet::default()));
    let mut oracle = Engine::new();
    let parsed = rsigma_parser::parse_sigma_yaml(rules).expect("the rules are Sigma");
    oracle.add_collection(&parsed).expect("the oracle takes the rules");
    let mut builder = EventBuilder::new(names);
    let events = events.iter().map(|given| build(&mut builder, given));
    events
        .map(|event| {
            let mut ours = BTreeSet::new();
            detector.detect(&event, |detection| {
                ours.insert(detection.cause_id().expect("an id").to_owned());
            });
            let theirs = oracle.evaluate(&OracleEvent(&event));
            (ours, theirs.into_iter().map(|found| found.header.rule_id.expect("an id")).collect())
        })
        .unzip()
}

proptest! {
    #[test]
    fn it_finds_what_the_oracle_finds(
        bodies in prop::collection::vec(rule(), 1..8),
        events in prop::collection::vec(event(), 1..8),
    ) {
        let rules = file(&bodies);
        let (ours, theirs) = both(&rules, &events);
        for ((ours, theirs), event) in ours.iter().zip(&theirs).zip(&events) {
            prop_assert_eq!(ours, theirs, "left is ours\n{:?}\n{}", event, rules);
        }
    }
}

proptest! {
    #[test]
    fn an_explanation_comes_to_what_the_engine_finds(
        bodies in prop::collection::vec(rule(), 1..4),
        event in event(),
    ) {
        let rules = file(&bodies);
        let (ours, _) = both(&rules, std::slice::from_ref(&event));
        let mut sources = RuleSources::default();
        sources.parse("generated.yml", rules.as_bytes());
        let built = build(&mut EventBuilder::new(Arc::new(FieldNames::new())), &event);
        for (number, explained) in sources.explain(&built).into_iter().enumerate() {
            let explained = explained.expect("a rule that compiles");
            prop_assert_eq!(explained.holds(), ours[0].contains(&number.to_string()), "{:?}\n{}", event, rules);
        }
    }
}

#[test]
fn a_good_part_of_what_is_generated_fits() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut fitting, mut pairs) = (0, 0);
    for _ in 0..300 {
        let bodies = prop::collection::vec(rule(), 1..8).new_tree(&mut runner).expect("rules").current();
        let events = prop::collection::vec(event(), 1..8).new_tree(&mut runner).expect("events").current();
        let (ours, _) = both(&file(&bodies), &events);
        fitting += ours.iter().map(BTreeSet::len).sum::<usize>();
        pairs += bodies.len() * events.len();
    }
    assert!(fitting * 10 >= pairs * 3, "{fitting} of {pairs}");
}

/// Where we differ from the oracle on purpose: why, the selection `s`, and an event of which we say that it fits.
struct Exception(&'static str, &'static str, &'static [(&'static str, &'static str)]);

const EXCEPTIONS: &[Exception] = &[
    Exception(
        "`startswith` puts a `*` behind the value, whatever else is in it (modifiers appendix); the oracle pins the end",
        "\n      a|startswith: 'x*y'",
        &[("a", "x-y-z")],
    ),
    Exception("the same for `endswith`", "\n      a|endswith: 'x*y'", &[("a", "z-x-y")]),
    Exception(
        "`*` is any number of any characters (\"Wildcards\"); the oracle stops at the end of a line",
        "\n      a: 'x*y'",
        &[("a", "x\ny")],
    ),
    Exception("`?` is any one character", "\n      a: 'x?y'", &[("a", "x\ny")]),
    Exception(
        "values of a list are alternatives (\"Lists\"), and `null` holds for a field that is not there",
        "\n      a: [null, 'x']",
        &[("b", "1")],
    ),
    Exception(
        "keywords with `all` must all stand somewhere in the event; the oracle wants each to be the same whole value",
        "\n      '|all': ['one', 'two']",
        &[("a", "and one"), ("b", "two more")],
    ),
    Exception("a keyword that is a number stands in the text", "\n      - 4625", &[("a", "event 4625 came")]),
    Exception(
        "the last character of Base64 holds bits of what follows (pySigma cuts it)",
        "\n      a|base64offset|contains: 'abcd'",
        // "abcdxyz", whose Base64 shares only "YWJjZ" with that of "abcd".
        &[("a", "YWJjZHh5eg==")],
    ),
    Exception(
        "`windash` takes nothing from the wildcards of a value",
        "\n      a|windash: '* -x *'",
        &[("a", "cmd /x y")],
    ),
    Exception(
        "`windash` holds every dash and `/` for each other, whichever the rule wrote (modifiers appendix)",
        "\n      a|windash|contains: ' /x'",
        &[("a", "cmd -x y")],
    ),
    Exception(
        "a placeholder is filled in whatever the comparison; the oracle knows equality only",
        "\n      a|contains|expand: '<%b%>'",
        &[("a", "from <x>"), ("b", "x")],
    ),
    Exception(
        "a field that is compared with another of several values is compared with each",
        "\n      a|fieldref: b",
        &[("a", "x"), ("b", "y"), ("b", "x")],
    ),
    Exception("case is folded as Unicode folds it", "\n      a: 'kuſs'", &[("a", "KUSS")]),
];

#[test]
fn exceptions() {
    for Exception(reason, selection, fields) in EXCEPTIONS {
        let given: GivenEvent = fields
            .iter()
            .map(|(name, text)| {
                let name = FIELDS.iter().find(|field| *field == name).expect("a field");
                (*name, Given::Text((*text).to_owned()))
            })
            .collect();
        let rules = file(&[format!("detection:\n    s:{selection}\n    condition: s\n")]);
        let (ours, theirs) = both(&rules, &[given]);
        assert!(ours[0].contains("0"), "{reason}");
        assert_ne!(ours, theirs, "the oracle has come to agree, so this is no exception any more: {reason}");
    }
}
