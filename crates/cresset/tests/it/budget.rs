//! A rule that takes too long is stopped and named; what is found does not depend on the number of threads.

use std::fmt::Write;

use crate::Run;

const RULES: &str = r"
title: Slow
logsource: {}
detection: {s: {a|re: 'a.{0,900}b.{0,900}[0-9]'}, condition: s}
---
title: Quick
logsource: {}
detection: {s: {b: x}, condition: s}
";

/// Twenty events; all but the first and the last have a value that the rule gives up on.
fn log() -> String {
    let mut state = 1_u32;
    let letters = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'a' + ((state >> 16) % 4) as u8)
    });
    let costly: String = letters.take(40_000).collect();
    (1..=20).fold(String::new(), |mut log, number| {
        let value = if number % 19 == 1 { "ab1" } else { &costly };
        let _ = writeln!(log, r#"{{"time":"2026-11-24T07:00:{number:02}Z","a":"{value}","b":"x"}}"#);
        log
    })
}

/// Detections without the time at which their event was read.
fn without_arrival(lines: &str) -> Vec<serde_json::Value> {
    let lines = lines.lines().map(|line| {
        let mut line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        line.as_object_mut().and_then(|line| line.remove("arrived")).expect("a time");
        line
    });
    lines.collect()
}

#[test]
fn a_rule_that_takes_too_long_is_stopped_and_named() {
    let run = Run::new(&[("log.json", &log()), ("rules/r.yml", RULES)]);
    let watch = |threads: &str| run.cresset(&["watch", "log.json", "-r", "rules", "-o", "jsonl", "--threads", threads]);
    let ran = watch("1");
    let count = |title: &str| ran.out.matches(&format!(r#""{title}""#)).count();
    assert_eq!((ran.status, count("Quick"), count("Slow")), (0, 20, 1), "{}", ran.err);
    let said = "rule `Slow` (rules/r.yml) took too long over 10 events and was stopped";
    assert!(ran.err.contains(said), "{}", ran.err);
    assert_eq!(without_arrival(&watch("3").out), without_arrival(&ran.out));
}
