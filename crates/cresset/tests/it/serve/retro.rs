//! What is new looks into the past by itself, once; what is bad takes nothing down.

use std::fs;

use super::{Centre, wait_until};
use crate::RULE;

const LINE: &str =
    "{\"cmd\":\"whoami\",\"host\":\"h1\",\"query\":\"a.evil.example\",\"@timestamp\":\"2026-11-24T07:00:00Z\"}\n";

/// Returns titles of detections, the newest first, and whether they are of the past.
fn found(centre: &Centre) -> Vec<(String, bool)> {
    let detections = centre.get("/api/v1/detections").json();
    let found = detections["items"].as_array().expect("a list").iter();
    found.map(|one| (one["title"].as_str().unwrap_or_default().to_owned(), one["retro"] == true)).collect()
}

#[test]
fn a_new_rule_and_a_new_feed_find_what_is_in_the_past() {
    let mut centre = Centre::start_with("", &[]);
    assert_eq!(centre.deliver(&[], LINE).status, 200);
    assert_eq!(found(&centre), []);
    fs::write(centre.data().join("rules/r.yml"), RULE).expect("room");
    wait_until("what the rule finds", || found(&centre).contains(&("Whoami".into(), true)));
    fs::write(centre.data().join("indicators/list.txt"), "evil.example # seen in May\n").expect("room");
    wait_until("what the feed finds", || found(&centre).contains(&("seen in May".into(), true)));
    // From now on both are live, once the rule is taken over.
    wait_until("the rule", || centre.get("/api/v1/status").json()["rules"] == 4);
    assert_eq!(centre.deliver(&[], LINE.replace("h1", "h2")).status, 200);
    wait_until("what is found live", || found(&centre).iter().filter(|(_, is_retro)| !is_retro).count() == 2);
    assert_eq!(centre.get("/api/v1/status").json()["indicators"], 1);
    // What has hunted does not again; what came meanwhile does.
    centre.end();
    fs::write(centre.data().join("rules/s.yml"), RULE.replace("Whoami", "Later").replace('1', "2")).expect("room");
    centre.start_again();
    wait_until("what the later rule finds", || {
        found(&centre).iter().filter(|(title, _)| title == "Later").count() == 2
    });
    assert_eq!(found(&centre).len(), 6);
    wait_until("word of each", || centre.log().matches("looked into the past").count() == 3);
}

#[test]
fn a_bad_rule_takes_no_good_one_down() {
    let centre = Centre::start();
    fs::write(centre.data().join("rules/bad.yml"), "title: [\n").expect("room");
    wait_until("that it is told", || {
        let refused = &centre.get("/api/v1/status").json()["rules_refused"];
        refused
            .as_array()
            .is_some_and(|refused| refused.iter().any(|one| one.as_str().is_some_and(|one| one.contains("bad.yml"))))
    });
    centre.deliver(&[], LINE);
    assert_eq!(found(&centre), [("Whoami".to_owned(), false)]);
}

#[test]
fn a_source_that_falls_silent_is_a_detection() {
    let centre = Centre::start_with("[intake]\nsilent_after_seconds = 1\n", &[]);
    centre.deliver(&[], LINE);
    wait_until("that it is told", || found(&centre).contains(&("A Log Source Fell Silent".into(), false)));
    let incidents = centre.get("/api/v1/incidents").json();
    assert_eq!(incidents["items"].as_array().map(Vec::len), Some(1), "{incidents}");
}
