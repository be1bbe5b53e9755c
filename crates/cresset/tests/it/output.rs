//! What is shown: the schema holds, and hostile values are harmless.

use crate::{RULE, Run};

/// A log whose every value attacks.
fn hostile_log() -> String {
    let values = [
        "\u{1b}]0;owned\u{7}whoami",
        "=cmd|'/c whoami'!A1",
        "@whoami\r\n\u{9b}31m",
        "gpj.\u{202e}whoami",
        "-whoami,\"x\"\n",
    ];
    let line = |value: &&str| {
        let json = serde_json::json!({"time": "2026-11-24T07:00:00Z", "host": value, "user": value, "cmd": value});
        format!("{json}\n")
    };
    values.iter().map(line).collect()
}

fn run() -> Run {
    Run::new(&[("log.json", &hostile_log()), ("r.yml", RULE)])
}

/// Returns whether a terminal would do more than show this.
fn is_obeyed(text: &str) -> bool {
    text.chars()
        .any(|c| (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
}

#[test]
fn no_output_holds_what_a_terminal_obeys() {
    let run = run();
    for args in [&["-o", "table"][..], &["-o", "table", "--group-by", "host"], &["-o", "jsonl"], &["-o", "csv"]] {
        let ran = run.cresset(&[&["watch", "log.json", "-r", "r.yml"], args].concat());
        assert_eq!(ran.status, 0);
        assert!(ran.out.contains("whoami"), "{args:?}");
        assert!(
            !is_obeyed(&ran.out.replace("\r\n", "\n")) && !is_obeyed(&ran.err),
            "{args:?}: {}",
            ran.out.escape_debug()
        );
    }
}

#[test]
fn no_cell_is_a_formula() {
    let ran = run().cresset(&["watch", "log.json", "-r", "r.yml", "-o", "csv"]);
    let mut rows = csv::Reader::from_reader(ran.out.as_bytes());
    let mut count = 0;
    for row in rows.records() {
        count += 1;
        for cell in &row.expect("a row") {
            assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{cell:?}");
        }
    }
    assert_eq!(count, 5);
}

#[test]
fn json_lines_fit_their_schema_and_hold_the_true_values() {
    let schema = include_str!("../../../../docs/detection.schema.json");
    let schema = serde_json::from_str(schema).expect("the schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("the schema is one");
    let ran = run().cresset(&["watch", "log.json", "-r", "r.yml", "-o", "jsonl"]);
    assert_eq!(ran.out.lines().count(), 5);
    for line in ran.out.lines() {
        let detection = serde_json::from_str(line).expect("a line is JSON");
        let errors: Vec<String> = validator.iter_errors(&detection).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?} in {line}");
    }
    let first: serde_json::Value = serde_json::from_str(ran.out.lines().next().expect("a line")).expect("JSON");
    assert_eq!(first["matched"][0]["value"], "\u{1b}]0;owned\u{7}whoami");
    assert_eq!(first["techniques"][0], "T1033");
    assert_eq!(first["tactics"][0], "Discovery");
    assert_eq!(first["record"], 1);
}

#[test]
fn a_reader_who_has_seen_enough_is_no_error() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    let log = "{\"cmd\":\"whoami\"}\n".repeat(20_000);
    let run = Run::new(&[("log.json", &log), ("r.yml", RULE)]);
    for output in ["jsonl", "csv"] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_cresset"))
            .args(["watch", "log.json", "-r", "r.yml", "-o", output])
            .current_dir(run.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command runs");
        let mut first = String::new();
        let mut reader = BufReader::new(child.stdout.take().expect("a pipe"));
        reader.read_line(&mut first).expect("a line");
        drop(reader);
        let ended = child.wait_with_output().expect("the command ends");
        assert!(
            ended.status.success() && ended.stderr.is_empty(),
            "{output}: {}",
            String::from_utf8_lossy(&ended.stderr)
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_that_says_so() {
    let run = run();
    for output in ["table", "jsonl", "csv"] {
        let full = std::fs::File::options().write(true).open("/dev/full").expect("the device");
        let ended = std::process::Command::new(env!("CARGO_BIN_EXE_cresset"))
            .args(["watch", "log.json", "-r", "r.yml", "-o", output])
            .current_dir(run.path())
            .stdout(full)
            .output()
            .expect("the command runs");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{output}: {said}");
        assert!(said.contains("cannot write what was found: No space left"), "{output}: {said}");
    }
}

#[test]
fn colours_only_where_they_are_wanted() {
    let run = Run::new(&[("log.json", "{\"cmd\":\"whoami\"}\n"), ("r.yml", RULE)]);
    let args = ["watch", "log.json", "-r", "r.yml"];
    assert!(!run.cresset(&args).out.contains('\u{1b}'));
    assert!(run.cresset(&[&args[..], &["--color", "always"]].concat()).out.contains('\u{1b}'));
}

#[test]
fn the_table_says_where_who_what_and_the_summary_counts() {
    let log = "{\"time\":\"2026-11-24T07:00:00Z\",\"host\":\"ws1\",\"user\":\"alice\",\"cmd\":\"whoami /all\"}\n";
    let ran = Run::new(&[("log.json", log), ("r.yml", RULE)]).cresset(&["watch", "log.json", "-r", "r.yml"]);
    for said in [
        "high          Whoami",
        "T1033 · Discovery",
        "2026-11-24T07:00:00Z  host ws1  user alice",
        "cmd: whoami /all",
        "log.json record 1",
        "1 of 1 rules had a log source",
        "1 detection in 1 event of 1 source (1 json)",
        "events/s",
    ] {
        assert!(ran.out.contains(said), "{said:?} in:\n{}", ran.out);
    }
}
