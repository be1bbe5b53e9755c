//! Logs that are followed: what is added is found at once, through rotations, until a signal ends the watch in good order.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::thread;
use std::time::Duration;

use crate::fed::Fed;
use crate::state::{RULES, log};
use crate::{RULE, Run};

/// Adds a line to a log that the rule finds something in, or nothing.
fn add(run: &Run, log: &str, command: &str) {
    let line = format!("{{\"cmd\":\"{command}\",\"@timestamp\":\"2026-11-24T07:00:00Z\"}}\n");
    let file = OpenOptions::new().create(true).append(true).open(run.path().join(log));
    file.and_then(|mut file| file.write_all(line.as_bytes())).expect("room");
}

/// Checks that so many events are remembered, at the latest a moment after something was found in the last.
#[track_caller]
fn check_archived(run: &Run, events: u64) {
    let are_there = (0..600).any(|_| {
        let stats = run.cresset(&["archive", "stats", "past", "-o", "json"]);
        // There may be no archive yet.
        let stats: serde_json::Value = serde_json::from_str(&stats.out).unwrap_or_default();
        thread::sleep(Duration::from_millis(10));
        stats["events"] == events
    });
    assert!(are_there, "there are not {events} events");
}

#[test]
fn what_is_added_is_found_at_once_through_rotations_until_a_signal() {
    for (threads, signal) in [("1", "TERM"), ("3", "INT")] {
        let run = Run::new(&[("rules/r.yml", RULE)]);
        add(&run, "a.log", "whoami");
        let logs = ["--follow", "a.log", "b.log", "--archive", "past", "--threads", threads];
        // What is not there yet is followed once it is.
        fs::write(run.path().join("b.log"), "").expect("room");
        let fed = Fed::start(&run, &logs);
        fed.check_found("Whoami");
        add(&run, "b.log", "whoami");
        fed.check_found("Whoami");
        add(&run, "a.log", "ls");
        add(&run, "a.log", "whoami");
        fed.check_found("Whoami");
        fs::rename(run.path().join("a.log"), run.path().join("a.log.1")).expect("a file");
        // What goes on in a file that was renamed is read until some time after another has its name.
        add(&run, "a.log.1", "whoami");
        add(&run, "a.log", "whoami");
        fed.check_found("Whoami");
        fed.check_found("Whoami");
        check_archived(&run, 6);
        fed.signal(signal);
        fed.wait_for("6 events and 5 detections archived");
        assert_eq!(fed.ended().code(), Some(0), "{threads} threads");
        // Read again, as a whole, nothing is new.
        let ran = run.cresset(&["watch", "a.log", "a.log.1", "b.log", "--archive", "past", "-o", "jsonl"]);
        assert!(ran.err.contains("0 events and 0 detections archived; 6 were there already"), "{}", ran.err);
    }
}

#[test]
fn what_is_new_in_a_folder_is_followed_as_well() {
    let run = Run::new(&[("rules/r.yml", RULE)]);
    fs::create_dir(run.path().join("logs")).expect("room");
    add(&run, "logs/a.log", "whoami");
    let fed = Fed::start(&run, &["--follow", "logs", "--state", "logs/state", "--archive", "logs/past"]);
    fed.check_found("Whoami");
    add(&run, "logs/b.log", "whoami");
    fed.check_found("Whoami");
    add(&run, "logs/b.log", "whoami");
    fed.check_found("Whoami");
    fed.signal("TERM");
    // Its own files, which are in there as well, were not read.
    fed.wait_for("3 events and 3 detections archived");
    assert_eq!(fed.ended().code(), Some(0));
}

/// Adds failed logins at these times.
fn add_failed(run: &Run, file: &str, times: &[&str]) {
    let file = OpenOptions::new().create(true).append(true).open(run.path().join(file));
    file.and_then(|mut file| file.write_all(log(times).as_bytes())).expect("room");
}

#[test]
fn a_watch_that_was_killed_goes_on_where_it_had_read_to_also_after_a_rotation() {
    let watch = ["--follow", "a.log", "--state", "state", "--archive", "past"];
    for signal in ["KILL", "TERM"] {
        let run = Run::new(&[("rules/r.yml", RULES)]);
        add_failed(&run, "a.log", &["23T23:57:00", "23T23:58:00", "23T23:59:00"]);
        let fed = Fed::start(&run, &watch);
        check_archived(&run, 3);
        let is_kept = || fs::metadata(run.path().join("state")).is_ok();
        // Every few seconds; at a signal at once.
        while signal == "KILL" && !is_kept() {
            thread::sleep(Duration::from_millis(10));
        }
        fed.signal(signal);
        assert_eq!(fed.ended().success(), signal == "TERM");
        assert!(is_kept());
        // While nobody looks.
        add_failed(&run, "a.log", &["24T00:01:00"]);
        fs::rename(run.path().join("a.log"), run.path().join("a.log.1")).expect("a file");
        add_failed(&run, "a.log", &["24T02:00:00"]);
        let fed = Fed::start(&run, &watch);
        fed.wait_for("remember 1 group with 3 events of earlier runs");
        fed.check_found("Guessing");
        check_archived(&run, 5);
        fed.signal("TERM");
        // What was read before was not read again.
        fed.wait_for("1 detection in 2 events of 1 source");
        fed.wait_for("2 events and 1 detection archived");
        assert!(fed.ended().success());
    }
}

#[test]
fn people_see_each_detection_as_it_comes_and_the_summary_at_the_end() {
    let run = Run::new(&[("rules/r.yml", RULE)]);
    add(&run, "a.log", "whoami");
    let mut child = run.command(&["watch", "--follow", "a.log", "-r", "rules"]);
    let mut child = child.stdout(std::process::Stdio::piped()).spawn().expect("it runs");
    let mut out = std::io::BufReader::new(child.stdout.take().expect("a pipe"));
    let shown: Vec<String> =
        (0..4).map(|_| std::io::BufRead::lines(&mut out).next().expect("a line").expect("UTF-8")).collect();
    assert_eq!(
        shown,
        [
            "high          Whoami  T1033 · Discovery",
            "    2026-11-24T07:00:00Z",
            "      cmd: whoami",
            "      a.log record 1",
        ]
    );
    let kill = format!("kill -INT {}", child.id());
    assert!(std::process::Command::new("sh").args(["-c", &kill]).status().expect("a shell").success());
    let rest = std::io::read_to_string(out).expect("UTF-8");
    assert!(rest.contains("1 detection in 1 event of 1 source"), "{rest}");
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn what_cannot_be_followed_is_said() {
    let run = Run::new(&[("rules/r.yml", RULE), ("a.json", "{\n\"cmd\": 1\n}\n")]);
    let ran = run.cresset(&["watch", "--follow", "-", "-r", "rules"]);
    assert!(ran.status == 1 && ran.err.contains("leave out --follow"), "{}", ran.err);
    let fed = Fed::start(&run, &["--follow", "a.json"]);
    fed.wait_for("not read: `a.json`: no log of lines, and cannot be followed");
    fed.signal("TERM");
    // Nothing was read.
    assert_eq!(fed.ended().code(), Some(1));
}
