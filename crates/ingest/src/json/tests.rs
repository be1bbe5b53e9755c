//! `quick.rs` against `full.rs`, on written, generated and spoilt JSON: the same fields, the same errors.

use std::sync::Arc;

use cresset_event::FieldNames;
use proptest::prelude::*;

use super::agree::check_json_readers_agree;
use super::*;

#[track_caller]
fn check_same(texts: &[&str]) {
    check_json_readers_agree(texts.iter().copied());
}

/// Whether the quick reader alone reads it.
fn is_quick(text: &str) -> bool {
    let mut builder = EventBuilder::new(Arc::new(FieldNames::new()));
    quick::read_object(text, &mut Scratch::default(), &mut builder).is_some()
}

#[test]
fn what_logs_have_is_read_quickly() {
    for text in [
        r#"{"EventID": 1, "Image": "C:\\Windows\\whoami.exe", "Correlation": null, "ok": true, "no": false}"#,
        r#"{"ts":1764000000.25,"id.orig_h":"192.0.2.7","answers":["a","b"],"n":-7,"huge":18446744073709551615}"#,
        "{\n\t\"Event\": {\"System\": {\"EventID\": 1, \"Empty\": {}, \"List\": []}},\r\n\"big\": 1e30\n}\n",
        r#" {"text":"é\u00e9\ud83d\ude00\n\"quoted\"\/","":{"":[[1],{"a":2}]}} "#,
    ] {
        assert!(is_quick(text), "{text}");
        check_same(&[text, text]);
    }
}

#[test]
fn numbers_are_what_they_are_to_serde_json() {
    let texts: Vec<String> = [
        "0",
        "-0",
        "00",
        "01",
        "-01",
        "-",
        "--1",
        "+1",
        "1.",
        ".5",
        "0.5",
        "-0.0",
        "1e",
        "1e5",
        "1E+5",
        "1e-5",
        "1e400",
        "-1e400",
        "1e-400",
        "123456789012345678",
        "-999999999999999999",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "-9223372036854775809",
        "18446744073709551615",
        "18446744073709551616",
        "1.7976931348623157e308",
        "0.1234567890123456789012345",
        "1-2",
        "1e5e5",
        "0x10",
        "NaN",
        "Infinity",
        "1_000",
        "٣",
    ]
    .iter()
    .flat_map(|number| [format!(r#"{{"n":{number}}}"#), format!(r#"{{"n":[{number} ,{number}]}}"#)])
    .collect();
    check_same(&texts.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn strings_with_and_without_escapes() {
    let texts: Vec<String> = [
        "",
        "\\",
        "\\\\",
        "\\\"",
        "\\/\\b\\f\\n\\r\\t",
        "\\u0000",
        "\\u00e9x",
        "\\ud83d\\ude00",
        "\\ud83d",
        "\\ude00",
        "\\ud83dx",
        "\\ud83d\\u0041",
        "\\ud83d\\ud83d",
        "\\u12",
        "\\u+123",
        "\\uFFFF",
        "\\x",
        "\\U0041",
        "\u{0}",
        "\t",
        "\u{1f}",
        "\u{7f}",
        "é",
        "x\u{1f600}y",
        "sixteen bytes 16",
        "sixteen bytes 16\\\\",
        "thirty two bytes of text, or more\n",
        "\"",
    ]
    .iter()
    .flat_map(|string| {
        [format!(r#"{{"s":"{string}"}}"#), format!(r#"{{"{string}":1,"b":{{"{string}":["{string}"]}}}}"#)]
    })
    .collect();
    check_same(&texts.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn a_name_that_had_escapes_is_not_taken_for_one_that_has_them() {
    check_same(&[r#"{"a\"b":1}"#, r#"{"a"b":1}"#, r#"{"a\\b":1}"#, r#"{"a\b":1}"#, r#"{"a\tb":1}"#, "{\"a\tb\":1}"]);
}

#[test]
fn a_guess_that_is_wrong_costs_nothing() {
    check_same(&[
        r#"{"a":1,"b":{"c":2,"d":3}}"#,
        r#"{"a":{"a":1},"b":2}"#,
        r#"{"b":{"c":2,"d":3},"a":1}"#,
        r#"{"b":{"c.d":2},"b.c":{"d":3},"b.c.d":4}"#,
        r#"{"bb":1,"b":2,"b":3,"":{"b":4}}"#,
        r#"{"b":[{"c":1},{"c":2}],"b":[]}"#,
    ]);
}

#[test]
fn depth_and_names_have_the_same_bounds() {
    for depth in [1, 31, 32, 33, 34, 126, 127, 128, 129, 1000] {
        let array = format!(r#"{{"a":{}1{}}}"#, "[".repeat(depth), "]".repeat(depth));
        let object = format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
        check_same(&[&array, &object, r#"{"a":1}"#]);
    }
    for len in [510, 511, 512, 513, 1023, 1024, 1025] {
        let name = "n".repeat(len);
        check_same(&[&format!(r#"{{"{name}":1,"{name}":{{"{name}":1}}}}"#), &format!(r#"{{"{name}":1}}"#)]);
    }
}

#[test]
fn fields_over_the_bound_are_counted_alike() {
    let many = format!(r#"{{"a":[{}"last"],"b":"c\n","d":null}}"#, "\"x\",".repeat(4095));
    check_same(&[&many, r#"{"a":["x"]}"#]);
}

/// Pieces of JSON, right and wrong, so that they meet in every order.
const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    " ",
    "\n",
    "\u{b}",
    "\"",
    "\\",
    "\"a\"",
    "\"b\"",
    "\"a.b\"",
    "\"\"",
    "\"\\u0061\"",
    "\"é\"",
    "\"C:\\\\x\\\\y\"",
    "\"a\":",
    "\"a\":{",
    "\"b\":[",
    "1",
    "-1",
    "0",
    "1.5",
    "1e3",
    "true",
    "false",
    "null",
    "nul",
    "\\ud83d",
    "\\ude00",
    "\u{1}",
    "é",
    "\"a\":1",
    "\"b\":\"x\"",
    "{\"a\":1}",
    "{}",
    "[]",
];

fn json() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null".to_string()),
        any::<bool>().prop_map(|truth| truth.to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<u64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(|number| format!("{number:?}")),
        "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?",
        string(),
    ];
    let value = scalar.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|list| format!("[{}]", list.join(" ,"))),
            object(inner)
        ]
    });
    object(value)
}

fn object(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let name = prop_oneof![4 => Just("\"a\"".to_string()), 4 => Just("\"b.c\"".into()), 1 => string()];
    prop::collection::vec((name, value), 0..6).prop_map(|members| {
        let members: Vec<String> = members.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        format!("{{{}}}", members.join(","))
    })
}

fn string() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>().prop_map(|text| serde_json::to_string(&text).expect("text is JSON")),
        "([ -!#-\\[\\]-~]|\\\\[\"\\\\/bfnrt]|\\\\u[0-9a-fA-F]{4}|\\\\u[dD][89abAB][0-9a-f]{2}\\\\u[dD][c-f][0-9a-f]{2}){0,40}"
            .prop_map(|text| format!("\"{text}\"")),
    ]
}

/// A text with a few bytes changed, taken out or put in.
fn spoilt(text: String, changes: &[(prop::sample::Index, Option<char>, bool)]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for (at, char, is_put_in) in changes.iter().filter(|_| !text.is_empty()) {
        let at = at.index(chars.len().max(1)).min(chars.len());
        let end = if *is_put_in { at } else { chars.len().min(at + 1) };
        chars.splice(at..end, *char);
    }
    chars.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn whole_objects_are_read_alike(texts in prop::collection::vec(json(), 1..4)) {
        check_same(&texts.iter().map(String::as_str).collect::<Vec<_>>());
    }

    #[test]
    fn spoilt_objects_are_read_alike(
        texts in prop::collection::vec(json(), 1..3),
        changes in prop::collection::vec(
            (any::<prop::sample::Index>(), prop::option::of(prop::sample::select(vec!['"', '\\', '{', '}', '[', ',', ':', '0', '.', '-', 'u', '\t', '\u{1}', 'é'])), any::<bool>()),
            1..4,
        ),
    ) {
        let spoilt: Vec<String> = texts.iter().map(|text| spoilt(text.clone(), &changes)).collect();
        check_same(&texts.iter().chain(&spoilt).map(String::as_str).collect::<Vec<_>>());
    }

    #[test]
    fn pieces_of_json_are_read_alike(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..24)) {
        let inside = pieces.concat();
        check_same(&[&inside, &format!("{{{inside}}}"), &format!("{{\"a\":{inside}}}"), &format!("{{\"a\":\"{inside}\"}}")]);
    }
}
