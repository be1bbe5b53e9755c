//! The slow twin: `rsigma-eval`, which looks at every rule, must find what our engine finds.
//!
//! Rules and events are generated so that a good part fits; where the two differ on purpose the Sigma specification says
//! which is right, and the generator leaves the case out or a test of its own names it ([`exceptions`]). `CRESSET_PAIRS=1`
//! says how many pairs of a rule and an event were compared; `./mutants` holds the generator to what it has to meet.

mod event;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cresset_detect::{Detector, IndicatorSet, RuleFilter, RuleSet, RuleSources};
use cresset_event::{Event, EventBuilder, FieldNames, LogSource, Origin, Value};
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

/// A generated event.
#[derive(Debug, Clone, Default)]
struct GivenEvent {
    source: LogSource,
    /// A name more than once for an array.
    fields: Vec<(&'static str, Given)>,
}

const FIELDS: [&str; 4] = ["a", "b", "c", "d.e"];
/// A field that the record does not have: rules find it by name, and keywords do not.
const DERIVED: &str = "derived";
/// Fields of one value, which are compared with each other: of several the oracle compares none.
const PAIR: [&str; 2] = ["one", "other"];
/// A field of texts with line ends, for regular expressions.
const LINES: &str = "lines";

/// Texts of rules and events are put together of few pieces, so that they meet.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![12 => pieces(), 1 => prop_oneof![cut(5..10), cut(60..71)]]
}

/// A beginning or an end of one long text.
fn cut(bytes: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    const WHOLE: &str = r"c:\programdata\x-y\cmd.exe /k ab23 c:\programdata\x-y\cmd.exe /k ab23 1";
    (bytes, any::<bool>()).prop_map(|(bytes, is_beginning)| {
        let (beginning, end) = (&WHOLE[..bytes], &WHOLE[WHOLE.len() - bytes..]);
        if is_beginning { beginning.into() } else { end.into() }
    })
}

fn pieces() -> impl Strategy<Value = String> {
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
        "k",
        "\u{212a}",
        "®",
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
        2 => prop::sample::select(vec![
            "192.0.2.7", "192.0.2.128", "192.0.3.0", "2001:db8::1", "2026-11-24T07:05:00Z", "23", "1.0", "yes", "007",
            "1e3", "+5", "-0", " 5", "0x7",
        ])
        .prop_map(|text| Given::Text(text.into())),
    ]
}

fn log_source() -> impl Strategy<Value = LogSource> {
    let source = |product: &str, service: Option<&str>, categories: &[&str]| LogSource {
        product: Some(product.into()),
        service: service.map(Into::into),
        categories: categories.iter().map(|category| (*category).into()).collect(),
    };
    prop::sample::select(vec![
        LogSource::default(),
        source("p", None, &[]),
        source("p", None, &["x", "y"]),
        source("q", Some("s"), &["y"]),
    ])
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
    let lines = prop::collection::vec(prop::sample::select(vec!["a", "cmd", "x.exe", "\n", "\r\n"]), 0..5);
    let lines = lines.prop_map(|lines| (LINES, Given::Text(lines.concat())));
    (log_source(), FIELDS.map(field), field(DERIVED), (text(), text()), lines).prop_map(
        |(source, fields, derived, (one, other), lines)| {
            let mut fields: Vec<_> = fields.into_iter().chain([derived]).flatten().collect();
            fields.push((PAIR[0], Given::Text(one)));
            fields.push((PAIR[1], Given::Text(other)));
            fields.push(lines);
            GivenEvent { source, fields }
        },
    )
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
        prop_oneof![8 => prop::collection::vec(text(), 1..3), 1 => prop::collection::vec(text(), 10..14)].prop_map(
            move |texts| {
                let texts: Vec<String> = texts.into_iter().map(quoted).collect();
                format!("[{}]", texts.join(", "))
            },
        )
    };
    let field = || prop_oneof![8 => prop::sample::select(FIELDS.to_vec()), 1 => Just(DERIVED)];
    let number = || prop_oneof![2 => -3_i64..30, 1 => prop::sample::select(vec![0, 5, 7, 23, 1000])];
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
        2 => (field(), number()).prop_map(|(field, number)| format!("{field}: {number}")),
        1 => (field(), prop::sample::select(vec!["0.0", "-0.0", "0.5", "1.0"]))
            .prop_map(|(field, number)| format!("{field}: {number}")),
        1 => (field(), prop::sample::select(vec!["gt", "gte", "lt", "lte"]), number())
            .prop_map(|(field, op, number)| format!("{field}|{op}: {number}")),
        1 => (field(), any::<bool>()).prop_map(|(field, wanted)| format!("{field}|exists: {wanted}")),
        1 => (field(), any::<bool>()).prop_map(|(field, wanted)| format!("{field}: {wanted}")),
        1 => field().prop_map(|field| format!("{field}: null")),
        1 => (field(), prop::sample::select(vec!["192.0.2.0/24", "192.0.2.0/25", "2001:db8::/32", "0.0.0.0/0"]))
            .prop_map(|(field, range)| format!("{field}|cidr: '{range}'")),
        2 => (field(), prop::sample::select(vec!["", "|i"]), prop::sample::select(vec![
            "cmd", "^a+b", "(a|cmd).*exe$", "[0-9]+", "b{2,}", "(?:CMD|x-y)", "é", ".", "", "a|longer", "\\.exe",
            "(cmd|ab23)+.?", "K(-|cmd)", "(?:cmd)*x",
        ])).prop_map(move |(field, flag, regex)| format!("{field}|re{flag}: {}", quoted(regex.into()))),
        1 => (prop::sample::select(vec!["", "|i", "|m", "|s", "|m|s", "|i|m"]), prop::sample::select(vec![
            "^cmd", "exe$", "a.cmd", "^A.*EXE$", "cmd..a", "^$",
        ])).prop_map(move |(flags, regex)| format!("{LINES}|re{flags}: '{regex}'")),
        1 => prop::sample::select(vec!["", "|contains", "|startswith", "|endswith"])
            .prop_map(|op| format!("{}|fieldref{op}: {}", PAIR[0], PAIR[1])),
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
    let source = prop_oneof![
        20 => Just("{}"),
        2 => prop::sample::select(vec![
            "{product: p}", "{product: P, category: x}", "{category: y}", "{product: q, service: s}",
        ]),
    ];
    (source, selection(), selection(), selection(), condition).prop_map(|(source, s1, s2, s3, condition)| {
        let selections = format!("s1:{s1}\n    s2:{s2}\n    s3:{s3}");
        format!("logsource: {source}\ndetection:\n    {selections}\n    condition: {condition}\n")
    })
}

/// Few rules, and now and then so many that they share what is looked for.
fn rules() -> impl Strategy<Value = Vec<String>> {
    prop_oneof![15 => prop::collection::vec(rule(), 1..8), 1 => prop::collection::vec(rule(), 30..40)]
}

fn build(builder: &mut EventBuilder, given: &GivenEvent) -> Event {
    for (name, value) in &given.fields {
        let value = match value {
            Given::Text(text) => Value::Str(text),
            Given::Int(number) => Value::Int(*number),
            Given::Float(number) => Value::Float(*number),
            Given::Bool(truth) => Value::Bool(*truth),
            Given::Null => Value::Null,
            Given::Empty => Value::Empty,
        };
        if *name == DERIVED {
            let id = builder.intern(name).expect("room for a name");
            builder.derive(id, value);
        } else {
            builder.push(name, value);
        }
    }
    builder.finish(Origin { log_source: Arc::new(given.source.clone()), ..Origin::default() })
}

/// A rule file of these bodies, the rules numbered from 0.
fn file(bodies: &[String]) -> String {
    let rules = bodies.iter().enumerate().map(|(number, body)| format!("title: R{number}\nid: '{number}'\n{body}"));
    rules.collect::<Vec<_>>().join("---\n")
}

/// Which rules fit each event, by our engine and by the oracle.
fn both(rules: &str, events: &[GivenEvent]) -> (Vec<BTreeSet<String>>, Vec<BTreeSet<String>>) {
    (ours(rules, events), theirs(rules, events))
}

fn ours(rules: &str, events: &[GivenEvent]) -> Vec<BTreeSet<String>> {
    let names = Arc::new(FieldNames::new());
    let mut sources = RuleSources::default();
    sources.parse("generated.yml", rules.as_bytes());
    let (set, refused) = RuleSet::compile(sources, &RuleFilter::default(), &names);
    assert!(refused.is_empty(), "{refused:?} in\n{rules}");
    let mut detector = Detector::new(Arc::new(set), Arc::new(IndicatorSet::default()));
    let mut builder = EventBuilder::new(names);
    let events = events.iter().map(|given| {
        let mut ours = BTreeSet::new();
        detector.detect(&build(&mut builder, given), |detection| {
            ours.insert(detection.cause_id().expect("an id").into_owned());
        });
        ours
    });
    events.collect()
}

fn theirs(rules: &str, events: &[GivenEvent]) -> Vec<BTreeSet<String>> {
    let parsed = rsigma_parser::parse_sigma_yaml(rules).expect("the rules are Sigma");
    let mut oracle = Engine::new();
    oracle.add_collection(&parsed).expect("the oracle takes the rules");
    let mut builder = EventBuilder::new(Arc::default());
    let events = events.iter().map(|given| {
        let found = oracle.evaluate(&OracleEvent(&build(&mut builder, given)));
        let ids = found.into_iter().map(|found| found.header.rule_id.expect("an id"));
        ids.filter(|id| {
            let wanted = &parsed.rules[id.parse::<usize>().expect("rules are numbered")].logsource;
            given.source.fits(wanted.product.as_deref(), wanted.category.as_deref(), wanted.service.as_deref())
        })
        .collect()
    });
    events.collect()
}

/// How many pairs of a rule and an event were compared.
static PAIRS: AtomicU64 = AtomicU64::new(0);

/// Counts pairs, and tells where that is asked.
#[expect(clippy::print_stderr, reason = "where it is asked")]
fn count(rules: usize, events: usize) {
    let pairs = PAIRS.fetch_add((rules * events) as u64, Ordering::Relaxed) + (rules * events) as u64;
    if std::env::var_os("CRESSET_PAIRS").is_some() {
        eprintln!("pairs {pairs}");
    }
}

proptest! {
    #[test]
    fn it_finds_what_the_oracle_finds(
        bodies in rules(),
        events in prop::collection::vec(event(), 1..8),
    ) {
        count(bodies.len(), events.len());
        let rules = file(&bodies);
        let (ours, theirs) = both(&rules, &events);
        for ((ours, theirs), event) in ours.iter().zip(&theirs).zip(&events) {
            prop_assert_eq!(ours, theirs, "left is ours\n{:?}\n{}", event, rules);
        }
    }
}

/// Letters that fold to one another, each beside the letter that stands for it in the oracle's rules and events: the oracle
/// folds as `str::to_lowercase` does, which depends on what stands beside a letter.
const LETTERS: [(&str, &str); 12] = [
    ("k", "k"),
    ("K", "k"),
    ("\u{212a}", "k"),
    ("s", "s"),
    ("S", "s"),
    ("ſ", "s"),
    ("σ", "z"),
    ("Σ", "z"),
    ("ς", "z"),
    ("İ", "y"),
    ("®", "r"),
    ("é", "e"),
];

/// Rules that compare without regard to case, and texts of letters that fold.
fn letters() -> impl Strategy<Value = (String, Vec<GivenEvent>)> {
    let word = || prop::collection::vec(prop::sample::select(LETTERS.map(|(letter, _)| letter).to_vec()), 1..9);
    let word = move || word().prop_map(|letters| letters.concat());
    let op = prop::sample::select(vec!["", "|contains", "|contains", "|startswith", "|endswith"]);
    let item = (op, prop::sample::select(vec!["", "*"]), word(), prop::sample::select(vec!["", "*", "?"]), word());
    let rule = item.prop_map(|(op, before, one, between, two)| {
        // The oracle's `startswith` and `endswith` take other wildcards another way, see `exceptions`.
        let value = if op == "|startswith" || op == "|endswith" { one } else { format!("{before}{one}{between}{two}") };
        format!("logsource: {{}}\ndetection:\n    s:\n      a{op}: '{value}'\n    condition: s\n")
    });
    let event = word().prop_map(|text| GivenEvent { fields: vec![("a", Given::Text(text))], ..GivenEvent::default() });
    (prop::collection::vec(rule, 1..8).prop_map(|bodies| file(&bodies)), prop::collection::vec(event, 1..8))
}

proptest! {
    #[test]
    fn letters_that_fold_to_one_another_are_one((rules, events) in letters()) {
        let stand_in = |text: &str| LETTERS.iter().fold(text.to_owned(), |text, (letter, one)| {
            if letter.is_ascii() { text } else { text.replace(letter, one) }
        });
        let plain: Vec<GivenEvent> = events.iter().map(|event| {
            let [(name, Given::Text(text))] = &event.fields[..] else { unreachable!("events of one text") };
            GivenEvent { fields: vec![(*name, Given::Text(stand_in(text)))], ..GivenEvent::default() }
        }).collect();
        prop_assert_eq!(ours(&rules, &events), theirs(&stand_in(&rules), &plain), "{:?}\n{}", events, rules);
    }
}

proptest! {
    #[test]
    fn an_explanation_comes_to_what_the_engine_finds(
        bodies in prop::collection::vec(rule(), 1..4),
        event in event(),
    ) {
        let rules = file(&bodies);
        let ours = ours(&rules, std::slice::from_ref(&event));
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
        let bodies = rules().new_tree(&mut runner).expect("rules").current();
        let events = prop::collection::vec(event(), 1..8).new_tree(&mut runner).expect("events").current();
        let ours = ours(&file(&bodies), &events);
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
        let fields = fields
            .iter()
            .map(|(name, text)| {
                let name = FIELDS.iter().find(|field| *field == name).expect("a field");
                (*name, Given::Text((*text).to_owned()))
            })
            .collect();
        let given = GivenEvent { fields, ..GivenEvent::default() };
        let rules = file(&[format!("logsource: {{}}\ndetection:\n    s:{selection}\n    condition: s\n")]);
        let (ours, theirs) = both(&rules, &[given]);
        assert!(ours[0].contains("0"), "{reason}");
        assert_ne!(ours, theirs, "the oracle has come to agree, so this is no exception any more: {reason}");
    }
}

#[test]
fn both_zeros_are_found_by_either() {
    let zeros = [0.0, -0.0].map(Given::Float).into_iter().chain([Given::Int(0)]);
    let events: Vec<GivenEvent> =
        zeros.map(|zero| GivenEvent { fields: vec![(FIELDS[0], zero)], ..GivenEvent::default() }).collect();
    for asked in ["0", "0.0", "-0.0"] {
        let rules =
            file(&[format!("logsource: {{}}\ndetection:\n    s:\n        {}: {asked}\n    condition: s\n", FIELDS[0])]);
        let (ours, theirs) = both(&rules, &events);
        assert_eq!(ours, theirs, "{asked}");
        assert!(ours.iter().all(|found| found.contains("0")), "{asked}: {ours:?}");
    }
}
