//! `cresset watch --archive`, and hunts over what it remembers.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::fed::Fed;
use crate::{RULE, Ran, Run, duckdb};

fn lines(ran: &Ran) -> Vec<Value> {
    assert!([0, 1].contains(&ran.status), "{}", ran.err);
    ran.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// How often each value was seen.
fn hunt(run: &Run, args: &[&str]) -> BTreeMap<String, u64> {
    let seen = lines(&run.cresset(&[&["hunt", "--archive", "past", "-o", "jsonl"], args].concat()));
    let text = |seen: &Value| seen["value"].as_str().expect("a value").to_owned();
    seen.iter().map(|seen| (text(seen), seen["count"].as_u64().expect("a count"))).collect()
}

fn events(run: &Run) -> u64 {
    let stats = &lines(&run.cresset(&["archive", "stats", "past", "-o", "json"]))[0];
    stats["events"].as_u64().expect("a count")
}

/// Lines with an address and a host each.
fn log(count: u32) -> String {
    (0..count).fold(String::new(), |mut log, n| {
        let time = format!("2026-11-24T07:{:02}:{:02}Z", n / 60 % 60, n % 60);
        writeln!(
            log,
            "{{\"@timestamp\":\"{time}\",\"src_ip\":\"198.51.100.{}\",\"host\":\"web{}\",\"n\":{n}}}",
            n % 7,
            n % 2
        )
        .expect("memory");
        log
    })
}

#[test]
fn what_a_watch_finds_in_the_sample_a_hunt_finds_in_its_past() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sample");
    let path = |name: &str| sample.join(name).display().to_string();
    let run = Run::new(&[]);
    let (logs, intel) = (path("logs"), path("intel"));
    let found = lines(&run.cresset(&["watch", &logs, "-i", &intel, "-o", "jsonl", "--archive", "past"]));
    assert!(!found.is_empty());
    let seen = lines(&run.cresset(&["hunt", "--archive", "past", "-i", &intel, "-o", "jsonl"]));
    let mut by_id: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for detection in &found {
        by_id.entry(detection["id"].as_str().expect("an id")).or_default().push(detection);
    }
    for (id, detections) in by_id {
        let seen = seen.iter().find(|seen| seen["id"] == id).unwrap_or_else(|| panic!("{id} was not seen"));
        // Of the past all counts, whatever the dates of the indicator.
        assert!(seen["count"].as_u64() >= Some(detections.len() as u64), "{seen} {}", detections.len());
        let time = |value: &Value| value.as_str().map(|time| time.trim_end_matches('Z').to_owned());
        let times = detections.iter().map(|detection| time(&detection["time"]));
        assert!(time(&seen["first_seen"]) <= times.clone().min().flatten(), "{seen}");
        assert!(time(&seen["last_seen"]) >= times.max().flatten(), "{seen}");
        let is_told = |event: &Value| detections.iter().any(|detection| detection["event_id"] == event["event_id"]);
        assert!(seen["examples"].as_array().expect("examples").iter().any(is_told), "{seen}");
    }
}

#[test]
fn what_is_read_again_is_remembered_once() {
    let run = Run::new(&[("a.json", &log(500)), ("r.yml", RULE)]);
    for (threads, said) in [
        ("1", "500 events and 0 detections archived\n"),
        ("2", "0 events and 0 detections archived; 500 were there already\n"),
    ] {
        let ran = run.cresset(&["watch", "a.json", "--archive", "past", "--threads", threads, "-o", "jsonl"]);
        assert!(ran.err.contains(said), "{}", ran.err);
    }
    assert_eq!(events(&run), 500);
    let expected = |value: &str, count| BTreeMap::from([(value.to_owned(), count)]);
    assert_eq!(hunt(&run, &["--value", "198.51.100.3", "--value", "198.51.100.9"]), expected("198.51.100.3", 71));
    assert_eq!(hunt(&run, &["--value", "198.51.100.0/24"]), expected("198.51.100.0/24", 500));
    // The archive itself is no log.
    let ran = run.cresset(&["watch", ".", "--archive", "past", "-o", "jsonl", "--strict"]);
    assert_eq!(events(&run), 500, "{}", ran.err);
    assert!(!ran.err.contains("past/"), "{}", ran.err);
}

#[test]
fn what_comes_through_a_pipe_is_remembered_at_once() {
    for threads in ["1", "3"] {
        let run = Run::new(&[("rules/r.yml", RULE)]);
        let mut fed = Fed::start(&run, &["-", "--archive", "past", "--threads", threads]);
        for count in 1..4 {
            fed.give("whoami");
            fed.check_found("Whoami");
            // The pack may be a moment behind the detection.
            let is_there = (0..600).any(|_| {
                thread::sleep(Duration::from_millis(10));
                events(&run) == count
            });
            assert!(is_there, "{} of {count} events", events(&run));
        }
    }
}

#[test]
fn duckdb_reads_the_events_without_us() {
    const QUERY: &str = "import duckdb\nfor row in duckdb.sql('''select _host, host, n, src_ip, strftime(time, '%H:%M:%S'), \
        octet_length(id), raw like '{%}', \"Image\" from read_parquet('past/events/*/*.parquet', union_by_name = true) \
        where n in ('3', '299') order by time''').fetchall(): print(*row)\n";
    let Some(python) = duckdb() else { return };
    let more = "{\"@timestamp\":\"2026-11-24T09:00:00Z\",\"Image\":\"a.exe\",\"EventID\":1,\"Channel\":\"Microsoft-Windows-Sysmon/Operational\"}\n";
    let run = Run::new(&[("a.json", &log(300)), ("b.json", more)]);
    assert_eq!(run.cresset(&["watch", "a.json", "b.json", "--archive", "past"]).status, 0);
    let ran = Command::new(python).args(["-c", QUERY]).current_dir(run.path()).output().expect("it runs");
    let out = String::from_utf8(ran.stdout).expect("UTF-8");
    let expected = "web1 web1 3 198.51.100.3 07:00:03 16 True None\nweb1 web1 299 198.51.100.5 07:04:59 16 True None\n";
    assert_eq!(out, expected, "{}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn duckdb_reads_the_detections_without_us() {
    const QUERY: &str = "import duckdb\nfor row in duckdb.sql('''select octet_length(found.id), kind, level, title, cause_id, \
        matched[1].field, matched[1].value, techniques[1], events.n from read_parquet('past/tables/detections/*.parquet', \
        union_by_name = true) found join read_parquet('past/events/*/*.parquet') events on event_id = events.id \
        ''').fetchall(): print(*row)\n";
    let Some(python) = duckdb() else { return };
    let log = log(9) + "{\"@timestamp\":\"2026-11-24T09:00:00Z\",\"cmd\":\"whoami /all\",\"n\":9}\n";
    let run = Run::new(&[("a.json", &log), ("r.yml", RULE)]);
    for said in ["10 events and 1 detection archived\n", "0 events and 0 detections archived; 10 were there already\n"]
    {
        let ran = run.cresset(&["watch", "a.json", "--rules", "r.yml", "--archive", "past", "-o", "jsonl"]);
        assert!(ran.err.contains(said), "{}", ran.err);
    }
    let ran = Command::new(python).args(["-c", QUERY]).current_dir(run.path()).output().expect("it runs");
    let out = String::from_utf8(ran.stdout).expect("UTF-8");
    let expected = "16 rule high Whoami 11111111-1111-4111-8111-111111111111 cmd whoami /all T1033 9\n";
    assert_eq!(out, expected, "{}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn a_watch_that_is_killed_goes_on_where_it_was() {
    let run = Run::new(&[("a.json", &log(60_000))]);
    let watch = ["watch", "a.json", "--archive", "past", "-o", "jsonl"];
    for delay in [30, 90, 200, 400] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_cresset"))
            .args(watch)
            .current_dir(run.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it runs");
        thread::sleep(Duration::from_millis(delay));
        child.kill().expect("it was started");
        child.wait().expect("it was started");
    }
    assert_eq!(run.cresset(&watch).status, 0);
    assert_eq!(events(&run), 60_000);
    assert_eq!(hunt(&run, &["--value", "198.51.100.0/24"]).values().sum::<u64>(), 60_000);
    assert_eq!(run.cresset(&["archive", "verify", "past"]).status, 0);
}

#[test]
fn a_damaged_file_is_told_and_the_rest_is_served() {
    let run = Run::new(&[("a.json", &log(300))]);
    run.cresset(&["watch", "a.json", "--archive", "past"]);
    fs::write(run.path().join("b.json"), log(400).replace("198.51", "203.0")).expect("room");
    run.cresset(&["watch", "b.json", "--archive", "past"]);
    let index = run.path().join("past/index");
    let first = fs::read_dir(&index).expect("a folder").map(|entry| entry.expect("an entry").path()).min();
    let first = first.expect("a file");
    let mut bytes = fs::read(&first).expect("a file");
    bytes[30] ^= 4;
    fs::write(&first, bytes).expect("room");
    let verified = run.cresset(&["archive", "verify", "past"]);
    assert_eq!(verified.status, 1);
    assert!(verified.out.contains("damaged: index/"), "{}", verified.out);
    let hunted = run.cresset(&["hunt", "--archive", "past", "--value", "203.0.100.3", "--value", "198.51.100.3"]);
    assert_eq!(hunted.status, 1);
    assert!(hunted.out.contains("203.0.100.3 ipv4-addr\n  seen 57 times"), "{}", hunted.out);
    assert!(hunted.err.contains("is damaged: block 0"), "{}", hunted.err);
}

#[test]
fn a_hunt_for_rules_finds_what_a_watch_finds() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sample");
    let path = |name: &str| sample.join(name).display().to_string();
    let (logs, rules) = (path("logs"), path("rules"));
    let run = Run::new(&[]);
    let mut found: BTreeMap<String, u64> = BTreeMap::new();
    for detection in lines(&run.cresset(&["watch", &logs, "-r", &rules, "-o", "jsonl", "--archive", "past"])) {
        if detection["correlation"].is_null() {
            *found.entry(detection["id"].as_str().expect("an id").to_owned()).or_default() += 1;
        }
    }
    assert!(found.len() > 2, "{found:?}");
    let hunted = lines(&run.cresset(&["hunt", "--archive", "past", "--rule", &rules, "-o", "jsonl"]));
    for (id, count) in found {
        let hunted = hunted.iter().find(|hunted| hunted["rule"] == id).unwrap_or_else(|| panic!("{id}"));
        assert_eq!(hunted["count"], count, "{hunted}");
        assert_eq!(hunted["days"], serde_json::json!({"2026-11-24": count}), "{hunted}");
    }
    let refused = run.cresset(&["hunt", "--archive", "past", "--value", "192.0.2.1", "--last", "3d"]);
    assert!(refused.status == 1 && refused.err.contains("--last is for --rule"), "{}", refused.err);
}

#[test]
fn wrong_folders_are_refused() {
    let run = Run::new(&[("a.json", &log(3)), ("other/thesis.txt", "years of work")]);
    let refused = run.cresset(&["watch", "a.json", "--archive", "other"]);
    assert_eq!(refused.status, 1);
    assert!(refused.err.contains("`other` is no archive, and not empty"), "{}", refused.err);
    for args in [&["hunt", "--archive", "missing", "--value", "192.0.2.1"][..], &["archive", "stats", "missing"]] {
        let refused = run.cresset(args);
        assert_eq!(refused.status, 1);
        assert!(refused.err.contains("`missing` is no archive"), "{}", refused.err);
        assert!(!run.path().join("missing").exists());
    }
}

#[test]
fn what_is_exported_is_what_was_read_and_can_be_read_again() {
    let run = Run::new(&[("a.json", &log(300))]);
    run.cresset(&["watch", "a.json", "--archive", "past"]);
    let raw = run.cresset(&["archive", "export", "past", "--raw"]);
    let mut exported: Vec<&str> = raw.out.lines().collect();
    let log = log(300);
    let mut logged: Vec<&str> = log.lines().collect();
    exported.sort_unstable();
    logged.sort_unstable();
    assert_eq!(exported, logged);
    let since = ["archive", "export", "past", "--since", "2026-11-24T07:04:00Z", "--until", "2026-11-24T07:04:10Z"];
    let events = lines(&run.cresset(&since));
    assert_eq!(events.len(), 10);
    assert_eq!(events[3]["time"], "2026-11-24T07:04:03Z");
    assert_eq!((&events[3]["fields"]["n"], &events[3]["host"]), (&serde_json::json!(243), &serde_json::json!("web1")));
    assert_eq!(events[3]["raw"], log.lines().nth(243).expect("a line"));

    run.cresset(&["watch", "a.json", "--archive", "fields", "--archive-fields-only"]);
    let raw = run.cresset(&["archive", "export", "fields", "--raw"]);
    assert!(raw.out.is_empty() && raw.err.contains("left out: 300 events"), "{}", raw.err);
}

/// A STIX bundle with one indicator of this pattern.
fn bundle(pattern: &str) -> String {
    let id = "00000000-0000-4000-8000-000000000001";
    format!(
        "{{\"type\":\"bundle\",\"id\":\"bundle--{id}\",\"objects\":[{{\"type\":\"indicator\",\"spec_version\":\"2.1\",\
         \"id\":\"indicator--{id}\",\"created\":\"2026-01-01T00:00:00Z\",\"modified\":\"2026-01-01T00:00:00Z\",\
         \"valid_from\":\"2030-01-01T00:00:00Z\",\"pattern_type\":\"stix\",\"pattern\":\"{pattern}\"}}]}}"
    )
}

#[test]
fn values_that_an_indicator_joins_are_seen_in_one_event_only() {
    let pair = |n: u32| {
        format!(
            "{{\"@timestamp\":\"2026-11-24T07:00:{n:02}Z\",\"src_ip\":\"198.51.100.{}\",\"dst_ip\":\"203.0.113.{}\",\"host\":\"web{n}\"}}\n",
            n % 5,
            n % 4
        )
    };
    let log: String = (0..40).map(pair).collect();
    let pattern = |one, other| {
        bundle(&format!("[ipv4-addr:value = '198.51.100.{one}' AND ipv4-addr:value = '203.0.113.{other}']"))
    };
    let run = Run::new(&[("a.json", &log), ("both.json", &pattern(3, 3)), ("never.json", &pattern(3, 9))]);
    run.cresset(&["watch", "a.json", "--archive", "past"]);
    let hunt = ["hunt", "--archive", "past", "-o", "jsonl", "--no-warning-list"];
    let seen = lines(&run.cresset(&[&hunt[..], &["-i", "both.json", "-i", "never.json"]].concat()));
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(seen[0]["value"], "198.51.100.3 AND 203.0.113.3");
    // 3 and 23: not the six other events of each address.
    assert_eq!((&seen[0]["count"], &seen[0]["hosts"]), (&serde_json::json!(2), &serde_json::json!(["web23", "web3"])));
    assert_eq!(seen[0]["first_seen"], "2026-11-24T07:00:03Z");
    assert_eq!(seen[0]["last_seen"], "2026-11-24T07:00:23Z");
}

#[test]
fn a_hunt_that_was_broken_off_is_gone_on_with() {
    let run = Run::new(&[("a.json", &log(300)), ("r.yml", RULE), ("other.yml", &RULE.replace("Whoami", "Other"))]);
    run.cresset(&["watch", "a.json", "--archive", "past"]);
    let hunt =
        |rule| run.cresset(&["hunt", "--archive", "past", "--rule", rule, "--state", "hunt.state", "-o", "jsonl"]);
    assert_eq!(hunt("r.yml").status, 0);
    assert!(!run.path().join("hunt.state").exists());
    for (state, said) in [("{}", "no state of a hunt"), ("rubbish", "no state of a hunt")] {
        fs::write(run.path().join("hunt.state"), state).expect("room");
        let ran = hunt("r.yml");
        assert!(ran.status == 1 && ran.err.contains(said), "{}", ran.err);
        assert_eq!(fs::read_to_string(run.path().join("hunt.state")).expect("it is there"), state);
    }
}
