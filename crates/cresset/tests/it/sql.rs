//! `hunt --sql` as a user runs it.

use std::fs;
use std::process::Command;

use crate::{RULE, Run, duckdb};

/// Ten events, one of them with a text that a terminal would obey.
fn remembered() -> Run {
    let line = |n: u32| {
        let cmd = if n == 3 { "=1+1\\u001b[31m" } else { "plain" };
        format!("{{\"@timestamp\":\"2026-11-24T07:00:0{n}Z\",\"host\":\"web{}\",\"n\":{n},\"cmd\":\"{cmd}\"}}\n", n % 2)
    };
    let run = Run::new(&[("a.json", &(0..10).map(line).collect::<String>()), ("r.yml", RULE)]);
    let ran = run.cresset(&["watch", "a.json", "--archive", "past", "--rules", "r.yml"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    run
}

fn ask(run: &Run, query: &str, output: &str) -> String {
    let ran = run.cresset(&["hunt", "--archive", "past", "--sql", query, "-o", output]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    ran.out
}

#[test]
fn rows_are_shown_as_table_json_lines_and_csv() {
    let run = remembered();
    let query = "select host, count(*) as n from events group by host order by host";
    assert_eq!(ask(&run, query, "table"), "host  n\nweb0  5\nweb1  5\n");
    assert_eq!(ask(&run, query, "jsonl"), "{\"host\":\"web0\",\"n\":5}\n{\"host\":\"web1\",\"n\":5}\n");
    assert_eq!(ask(&run, query, "csv"), "host,n\nweb0,5\nweb1,5\n");
    let one = "select time, cmd, rest from events where n = 3";
    assert_eq!(ask(&run, one, "csv"), "time,cmd,rest\n2026-11-24T07:00:03.000000Z,'=1+1\\x1b[31m,[]\n");
    assert_eq!(
        ask(&run, one, "jsonl"),
        "{\"time\":\"2026-11-24T07:00:03.000000Z\",\"cmd\":\"=1+1\\u001b[31m\",\"rest\":[]}\n"
    );
    assert!(ask(&run, one, "table").contains("=1+1\\x1b[31m"));
    assert!(ask(&run, "select * from events limit 1", "table").contains("\n  host          web0\n"));
    // Lines stay lines, each where values stand.
    let plan = ask(&run, "explain select host from events", "table");
    assert!(plan.contains("SubqueryAlias: events\n               TableScan: events"), "{plan}");
    // A table without rows still has its columns.
    assert_eq!(ask(&run, "select host from events where false", "csv"), "host\n");
    assert_eq!(ask(&run, "select host from events where false", "table"), "host\n");
}

#[test]
fn detections_are_a_table_beside_events() {
    let whoami = "{\"@timestamp\":\"2026-11-24T07:00:00Z\",\"cmd\":\"whoami\",\"host\":\"web1\"}\n";
    let run = Run::new(&[("a.json", whoami), ("r.yml", RULE)]);
    assert_eq!(run.cresset(&["watch", "a.json", "--archive", "past"]).status, 0);
    assert_eq!(ask(&run, "select count(*) as n from detections", "csv"), "n\n0\n");
    assert_eq!(run.cresset(&["watch", "a.json", "--archive", "past", "--rules", "r.yml"]).status, 0);
    let query =
        "select title, level, detections.host, matched, raw from detections join events on event_id = events.id";
    let raw = whoami.trim().replace('"', "\\\"");
    let matched = "[{\"field\":\"cmd\",\"value\":\"whoami\"}]";
    let expected =
        format!("\"title\":\"Whoami\",\"level\":\"high\",\"host\":\"web1\",\"matched\":{matched},\"raw\":\"{raw}\"");
    assert_eq!(ask(&run, query, "jsonl"), format!("{{{expected}}}\n"));
    let techniques = "select unnest(techniques) as technique, count(*) as n from detections \
        where array_has(tactics, 'Discovery') and matched[1]['value'] = 'whoami' group by technique";
    assert_eq!(ask(&run, techniques, "csv"), "technique,n\nT1033,1\n");
    let shown = ask(&run, "select * from detections", "table");
    assert!(shown.contains("matched             [{field: cmd, value: whoami}]\n"), "{shown}");
    let stats = run.cresset(&["archive", "stats", "past"]);
    assert!(stats.out.contains("1 file of detections, 1 row, "), "{}", stats.out);
}

#[test]
fn parquet_is_read_by_duckdb() {
    let Some(python) = duckdb() else { return };
    let run = remembered();
    let query = ["hunt", "--archive", "past", "-o", "parquet", "--sql", "select host, n from events order by time"];
    let rows = fs::File::create(run.path().join("rows.parquet")).expect("room");
    let status = run.command(&query).stdout(rows).status().expect("it runs");
    assert!(status.success());
    let script = "import duckdb; print(duckdb.sql(\"select host, sum(cast(n as int)) from 'rows.parquet' group by host order by host\").fetchall())";
    let out = Command::new(python).args(["-c", script]).current_dir(run.path()).output().expect("it runs");
    assert_eq!(String::from_utf8_lossy(&out.stdout), "[('web0', 20), ('web1', 25)]\n", "{out:?}");
}

#[test]
fn what_cannot_be_asked_is_refused_and_what_was_left_out_is_said() {
    let run = remembered();
    let refuse = |args: &[&str], said: &str| {
        let ran = run.cresset(&[&["hunt", "--archive", "past"], args].concat());
        assert!(ran.status != 0 && ran.err.contains(said), "{args:?}: {}", ran.err);
        assert_eq!(ran.out, "");
    };
    refuse(&["--sql", "drop table events"], "one SELECT");
    refuse(&["--sql", "select nothing from events"], "No field named nothing");
    refuse(&["--sql", "select raw from events order by 1", "--memory-limit", "1K"], "memory");
    refuse(&["--sql", "select 1", "--rule", "r.yml"], "cannot be used with");
    refuse(&["--value", "192.0.2.1", "-o", "csv"], "--sql");
    let ran = run.cresset(&["hunt", "--archive", "past", "--sql", "select n from events where time < '2020-01-01'"]);
    assert!(
        ran.err.contains("0 rows") && ran.err.contains("0 of 1 file looked into, 1 left out by time"),
        "{}",
        ran.err
    );
}
