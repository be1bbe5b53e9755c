//! `cresset watch --state`.

use std::fs;

use crate::{Ran, Run};

pub(crate) const RULES: &str = "title: Failed\nname: failed\nlogsource: {product: linux, service: sshd}\ndetection:\n  \
    s: {action: failed_password}\n  condition: s\nlevel: low\n---\ntitle: Guessing\nname: guessing\ncorrelation:\n  \
    type: event_count\n  rules: [failed]\n  group-by: [src_ip]\n  timespan: 10m\n  condition: {gte: 4}\nlevel: high\n";

/// Failed logins at these times, which are minutes around midnight.
pub(crate) fn log(times: &[&str]) -> String {
    let line = |time: &&str| {
        format!("2026-11-{time}+00:00 host sshd[1]: Failed password for anna from 192.0.2.1 port 5 ssh2\n")
    };
    times.iter().map(line).collect()
}

/// Two days whose logs are one attack.
fn run() -> Run {
    let monday = log(&["23T23:57:00", "23T23:58:00", "23T23:59:00"]);
    Run::new(&[("monday.log", &monday), ("tuesday.log", &log(&["24T00:01:00"])), ("r.yml", RULES)])
}

fn watch(run: &Run, log: &str, rules: &str) -> Ran {
    run.cresset(&["watch", log, "-r", rules, "--state", "state", "-o", "jsonl"])
}

fn state(run: &Run) -> Vec<u8> {
    fs::read(run.path().join("state")).expect("the state")
}

#[test]
fn a_window_stays_open_over_midnight() {
    let run = run();
    let monday = watch(&run, "monday.log", "r.yml");
    assert_eq!((monday.status, monday.out.as_str()), (0, ""), "{}", monday.err);
    let tuesday = watch(&run, "tuesday.log", "r.yml");
    assert_eq!(tuesday.status, 0, "{}", tuesday.err);
    assert!(tuesday.out.contains("\"Guessing\"") && tuesday.out.lines().count() == 1, "{}", tuesday.out);
    assert!(tuesday.err.contains("remember 1 group with 3 events of earlier runs"), "{}", tuesday.err);
    // Without the state each day looks harmless.
    assert_eq!(run.cresset(&["watch", "tuesday.log", "-r", "r.yml", "-o", "jsonl"]).out, "");
}

#[test]
fn the_state_is_its_owners_and_no_log() {
    let run = run();
    watch(&run, "monday.log", "r.yml");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(run.path().join("state")).expect("the state").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let ran = run.cresset(&["watch", "*", "-r", "r.yml", "--state", "state", "-o", "jsonl"]);
    assert!(!ran.err.contains("`state`"), "{}", ran.err);
    assert_eq!(fs::read_dir(run.path()).expect("the folder").count(), 4, "nothing is left beside it");
}

#[test]
fn a_state_that_cannot_be_read_ends_the_run_and_stays() {
    let run = run();
    watch(&run, "monday.log", "r.yml");
    let mut damaged = state(&run);
    *damaged.last_mut().expect("bytes") ^= 1;
    for (bytes, said) in [
        (damaged.as_slice(), "`state`: the snapshot is damaged: its checksum differs; put a copy in its place"),
        (RULES.as_bytes(), "`state`: not a snapshot of correlations; name another file"),
    ] {
        fs::write(run.path().join("state"), bytes).expect("a file");
        let ran = watch(&run, "tuesday.log", "r.yml");
        assert_eq!((ran.status, ran.out.as_str()), (1, ""), "{}", ran.err);
        assert!(ran.err.contains(said), "{}", ran.err);
        assert_eq!(state(&run), bytes);
    }
    let nowhere = run.cresset(&["watch", "monday.log", "-r", "r.yml", "--state", "nowhere/state"]);
    assert_eq!(nowhere.status, 1);
    assert!(nowhere.err.contains("cannot write the state to `nowhere/state`"), "{}", nowhere.err);
    assert!(nowhere.out.contains("3 events"), "the findings are told all the same: {}", nowhere.out);
}

#[test]
fn what_belongs_to_a_rule_that_changed_is_dropped_and_told() {
    let run = run();
    watch(&run, "monday.log", "r.yml");
    fs::write(run.path().join("r.yml"), RULES.replace("gte: 4", "gte: 3")).expect("a rule");
    let ran = watch(&run, "tuesday.log", "r.yml");
    assert_eq!((ran.status, ran.out.as_str()), (0, ""), "{}", ran.err);
    let said = "state: 1 group with 3 events dropped, of `Guessing`: the rule, or one that it counts, has changed";
    assert!(ran.err.contains(said), "{}", ran.err);
}
