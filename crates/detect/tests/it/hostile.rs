//! Rule sets and values made to be slow: what an event may cost is bounded by rules × bytes.
//!
//! The small form runs with the other tests and only shows that nothing hangs; the large one, which is timed, in `./prove`:
//!
//!     cargo test --release -p cresset-detect --test it hostile -- --ignored --nocapture

use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cresset_event::{Origin, Value};

use crate::{random_letters, ready};

/// What a byte of a value may cost for each rule, at most; several times what was measured. A slower machine sets
/// `HOSTILE_SLOWER` to how much slower it is.
const NANOS_EACH_MAX: f64 = 8.0;
/// What an event and a rule cost whatever the value.
const NANOS_EVENT: f64 = 20_000.0;
const NANOS_RULE: f64 = 5_000.0;
/// The same as the first for a large regular expression, where its thousands of states count.
const NANOS_EACH_LARGE_MAX: f64 = 2_000.0;
/// Longest that one event is measured for again and again.
const MEASURED: Duration = Duration::from_millis(200);

/// A kind of rule set: its name, and the detection of the rule with a number.
type Kind = (&'static str, fn(usize) -> String);

fn item(item: &str) -> String {
    format!("s: {{{item}}}, condition: s")
}

/// A word of letters for a number, all of one length.
fn word(number: usize, letters: u32) -> String {
    (0..letters).map(|place| char::from(b'a' + (number / 26_usize.pow(place) % 26) as u8)).collect()
}

const KINDS: &[Kind] = &[
    ("`*a*b*c*d*` of other letters", |n| {
        item(&format!("a: '*{}*'", word(n, 4).chars().map(String::from).collect::<Vec<_>>().join("*")))
    }),
    ("`*aaa?*aaa?*` and a number", |n| item(&format!("a: '*aaa?*aaa?*{n}*'"))),
    ("regex `(a+)+$`", |n| item(&format!("a|re: '({}a+)+$'", word(n, 3)))),
    ("regex `(a+)+` and a number", |n| item(&format!("a|re: '(a+)+{n}$'"))),
    ("`not` contains", |n| format!("s: {{a|contains: '{}'}}, condition: not s", word(n, 5))),
    ("contains 1 to 3 letters", |n| item(&format!("a|contains: '{}'", word(n, 1 + n as u32 % 3)))),
    ("contains `a` or another", |n| item(&format!("a|contains: [a, '{}']", word(n, 6)))),
    ("contains one beginning", |n| item(&format!("a|contains: 'aaaaaaaa{}'", word(n, 3)))),
    ("contains `aaaaa…` of other lengths", |n| item(&format!("a|contains: '{}'", "a".repeat(5 + n % 1000)))),
    ("ends with `aaaaa…` of other lengths", |n| item(&format!("a|endswith: '{}'", "a".repeat(5 + n % 1000)))),
    ("keywords", |n| format!("s: ['{}'], condition: s", word(n, 5))),
];

/// A few large expressions, which cost what the next hundred rules do: an alternation of a thousand, counted repetitions.
const LARGE: &[Kind] = &[
    ("regex of 1,000 alternatives", |n| {
        let words: Vec<String> = (0..1000).map(|word_number| word(n * 1000 + word_number, 5)).collect();
        item(&format!("a|re: '({})[0-9]'", words.join("|")))
    }),
    ("regex `.{0,900}x`", |n| item(&format!("a|re: 'a.{{0,900}}{}'", word(n, 3)))),
    ("regex `a.{0,900}b.{0,900}[0-9]`", |n| item(&format!("a|re: 'a.{{0,900}}{}.{{0,900}}[0-9]'", word(n, 1)))),
];

fn rule_file(rule: fn(usize) -> String, count: usize) -> String {
    (0..count).fold(String::new(), |mut file, number| {
        let _ = writeln!(file, "---\ntitle: R{number}\nlogsource: {{}}\ndetection: {{{}}}", rule(number));
        file
    })
}

fn values(bytes_max: usize) -> Vec<(String, String)> {
    let mut values = vec![("normal".to_owned(), r"C:\Windows\System32\cmd.exe /c whoami /all".to_owned())];
    for (name, bytes) in [("1 KB", 1 << 10), ("100 KB", 100 << 10), ("4 MB", 4 << 20)] {
        if bytes <= bytes_max {
            values.push((format!("{name} of a"), "a".repeat(bytes)));
            values.push((format!("{name} random"), random_letters(26, 0x9e37_79b9, bytes)));
            values.push((format!(r"{name} of \"), r"\".repeat(bytes)));
        }
    }
    values
}

/// Returns what each value costs, in nanoseconds, against so many rules of a kind.
fn measure(rules: &str, values: &[(String, String)]) -> Vec<f64> {
    let (mut builder, mut detector) = ready(rules, Arc::default());
    let nanos = values.iter().map(|(_, value)| {
        builder.push("a", Value::Str(value));
        let event = builder.finish(Origin::default());
        // Once for what is made at the first event; where that is slow already, it counts.
        let began = Instant::now();
        detector.detect(&event, |_| {});
        let first = began.elapsed();
        if first > MEASURED {
            return first.as_nanos() as f64;
        }
        let (began, mut times) = (Instant::now(), 0);
        while times < 1000 && began.elapsed() < MEASURED {
            detector.detect(&event, |_| {});
            times += 1;
        }
        began.elapsed().as_nanos() as f64 / f64::from(times)
    });
    nanos.collect()
}

#[expect(clippy::print_stdout, reason = "what it is run for")]
fn table(kinds: &[Kind], nanos_each: f64, rules: usize, bytes_max: usize) -> String {
    let slower: f64 = std::env::var("HOSTILE_SLOWER").map_or(1.0, |times| times.parse().expect("a number"));
    let values = values(bytes_max);
    let mut over = String::new();
    for (name, rule) in kinds {
        let nanos = measure(&rule_file(*rule, rules), &values);
        for ((value, text), nanos) in values.iter().zip(&nanos) {
            let pairs = (rules * text.len()) as f64;
            println!("| {rules} × {name} | {value} | {:.1} µs | {:.3} |", nanos / 1000.0, nanos / pairs);
            let allowed = NANOS_EVENT + NANOS_RULE * rules as f64 + nanos_each * pairs;
            if *nanos > allowed * slower {
                let _ = writeln!(over, "{name}, {value}: {nanos} ns of {allowed} allowed");
            }
        }
    }
    over
}

#[test]
fn hostile_rules_and_values_come_to_an_end() {
    let values = values(1 << 10);
    for (_, rule) in KINDS.iter().chain(LARGE) {
        measure(&rule_file(*rule, 20), &values);
    }
}

/// `HOSTILE_RULES` says how many of a kind (10,000), `HOSTILE_BYTES` how long values are at most (4 MB).
#[test]
#[ignore = "minutes; ./prove runs it"]
fn hostile_rules_cost_no_more_than_their_bound() {
    let number = |name: &str, or: usize| std::env::var(name).map_or(or, |number| number.parse().expect("a number"));
    let (rules, bytes_max) = (number("HOSTILE_RULES", 10_000), number("HOSTILE_BYTES", 4 << 20));
    println!("| rules | value | an event | ns a rule and byte |\n| --- | --- | --- | --- |");
    let over = table(KINDS, NANOS_EACH_MAX, rules, bytes_max)
        + &table(LARGE, NANOS_EACH_LARGE_MAX, rules.div_ceil(1000), bytes_max);
    assert!(over.is_empty(), "over the bound:\n{over}");
}
