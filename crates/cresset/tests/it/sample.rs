//! The sample that ships: every step of its attack is found, and in the recording without one nothing is.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use cresset_testing::corpus;
use serde_json::Value;

use crate::{Ran, Run};

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sample")
}

/// Watches a recording with rules and indicators from these folders.
fn watch(recording: &str, rules: &Path, more: &[&str]) -> Ran {
    let (logs, intel) = (sample().join(recording), sample().join("intel"));
    let [logs, rules, intel] = [&logs, rules, &intel].map(|path| path.to_str().expect("UTF-8"));
    let ran = Run::new(&[]).cresset(&[&["watch", logs, "-r", rules, "-i", intel, "--strict"], more].concat());
    assert_eq!(ran.status, 0, "{}", ran.err);
    ran
}

fn detections(recording: &str, rules: &Path, more: &[&str]) -> Vec<Value> {
    let ran = watch(recording, rules, &[&["-o", "jsonl"], more].concat());
    ran.out.lines().map(|line| serde_json::from_str(line).expect("a detection")).collect()
}

/// One step of the attack, as the script that played it wrote it down.
struct Step {
    name: String,
    /// When it began, and when the one after it did (or the recording ended): RFC 3339 in UTC, so that text sorts as time.
    began: String,
    ended: String,
    found_by: String,
    expected: String,
}

fn story() -> Vec<Step> {
    let story = std::fs::read_to_string(sample().join("story.json")).expect("the story");
    let story: Value = serde_json::from_str(&story).expect("JSON");
    let steps = story["steps"].as_array().expect("steps");
    let text = |step: &Value, key: &str| step[key].as_str().expect("text").to_owned();
    let next = |at: usize| steps.get(at + 1).map_or("9999".into(), |next| text(next, "began"));
    let step = |(at, step): (usize, &Value)| Step {
        name: text(step, "step"),
        began: text(step, "began"),
        ended: next(at),
        found_by: text(step, "found_by"),
        expected: text(step, "expected"),
    };
    steps.iter().enumerate().map(step).collect()
}

/// Checks that each step that these detections should tell is told while it went on; returns the files it was seen in.
#[track_caller]
fn check_told(steps: &[Step], detections: &[Value]) -> HashSet<String> {
    assert!(!steps.is_empty());
    let mut files = HashSet::new();
    for step in steps {
        let names = |detection: &&Value| {
            detection["id"] == *step.expected
                || (detection["kind"] == "indicator" && detection["matched"][0]["value"] == *step.expected)
        };
        // Seconds are compared: an access log knows no finer time.
        let in_time = |detection: &&Value| {
            let time = &detection["time"].as_str().expect("a time")[..19];
            step.began[..19] <= *time && *time < step.ended[..]
        };
        let told: Vec<&Value> = detections.iter().filter(names).filter(in_time).collect();
        assert!(!told.is_empty(), "{} is not found by {} from {}", step.name, step.expected, step.began);
        files.extend(told.iter().map(|detection| detection["source"].as_str().expect("a source").to_owned()));
    }
    files
}

#[test]
fn the_steps_that_need_only_what_ships_are_found() {
    let steps: Vec<Step> = story().into_iter().filter(|step| step.found_by != "sigmahq").collect();
    let files = check_told(&steps, &detections("logs", &sample().join("rules"), &[]));
    assert!(files.len() >= 3, "{files:?}");
}

#[test]
fn every_other_step_is_found_by_a_named_rule_of_sigmahq() {
    let Some(corpus) = corpus() else { return };
    let steps: Vec<Step> = story().into_iter().filter(|step| step.found_by == "sigmahq").collect();
    assert!(steps.len() >= 4);
    let files = check_told(&steps, &detections("logs", &corpus.join("sigma/rules"), &[]));
    assert_eq!(files.len(), 4, "each daemon's log tells some of it: {files:?}");
}

#[test]
fn the_attack_hides_among_tens_of_thousands_of_events() {
    let steps = story();
    assert!(steps.len() >= 8);
    let ran = watch("logs", &sample().join("rules"), &[]);
    assert!(ran.out.contains("in 54185 events of 4 sources"), "{}", ran.out);
    for kind in ["10644 access-log", "26800 suricata-eve", "16741 syslog"] {
        assert!(ran.out.contains(kind), "{kind} in {}", ran.out);
    }
}

/// One that comes is looked at, and then the rule or the taxonomy changes; up to 20 at medium or above would be borne.
#[test]
fn nothing_is_found_where_there_is_no_attack() {
    assert_eq!(detections("logs-quiet", &sample().join("rules"), &[]), Vec::<Value>::new());
    let Some(corpus) = corpus() else { return };
    assert_eq!(detections("logs-quiet", &corpus.join("sigma/rules"), &[]), Vec::<Value>::new());
}

#[test]
fn the_summary_says_for_how_many_rules_there_was_a_log_source() {
    let ran = watch("logs-quiet", &sample().join("rules"), &[]);
    assert!(ran.out.contains("8 of 8 rules had a log source that feeds them"), "{}", ran.out);
    let Some(corpus) = corpus() else { return };
    let ran = watch("logs-quiet", &corpus.join("sigma/rules"), &[]);
    assert!(ran.out.contains("66 of 3141 rules had a log source that feeds them"), "{}", ran.out);
}
