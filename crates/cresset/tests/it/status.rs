//! Exit status, and what is said of bad input.

use crate::{RULE, Ran, Run};

const FOUND: &str = "{\"time\":\"2026-11-24T07:00:00Z\",\"host\":\"h1\",\"cmd\":\"whoami /all\"}\n";

fn run() -> Run {
    Run::new(&[
        ("log.json", FOUND),
        ("bad.json", &format!("{FOUND}garbage\n")),
        ("rules/r.yml", RULE),
        ("empty.json", ""),
    ])
}

#[test]
fn found_is_no_error_unless_asked() {
    let run = run();
    assert_eq!(run.cresset(&["watch", "log.json", "-r", "rules"]).status, 0);
    assert_eq!(run.cresset(&["watch", "log.json", "-r", "rules", "--fail-level", "high"]).status, 10);
    assert_eq!(run.cresset(&["watch", "log.json", "-r", "rules", "--fail-level", "critical"]).status, 0);
    assert_eq!(
        run.cresset(&["watch", "log.json", "-r", "rules", "--fail-level", "high", "--exclude", "Whoami"]).status,
        0
    );
}

#[test]
fn strict_wins_over_found() {
    let run = run();
    assert_eq!(run.cresset(&["watch", "bad.json", "-r", "rules"]).status, 0);
    assert_eq!(run.cresset(&["watch", "bad.json", "-r", "rules", "--strict", "--fail-level", "high"]).status, 1);
    assert_eq!(run.cresset(&["watch", "log.json", "-r", "rules", "--strict"]).status, 0);
}

#[test]
fn wrong_arguments_are_2_and_what_is_not_there_is_1() {
    let run = run();
    assert_eq!(run.cresset(&["watch"]).status, 2);
    assert_eq!(run.cresset(&["watch", "log.json", "-r", "rules", "--min-level", "loud"]).status, 2);
    let missing = run.cresset(&["watch", "nowhere.json", "-r", "rules"]);
    assert_eq!(missing.status, 1);
    assert!(missing.err.contains("nowhere.json"), "{}", missing.err);
    assert_eq!(run.cresset(&["watch", "log.json"]).status, 1);
    assert_eq!(run.cresset(&["watch", "log.json", "-r", "log.json"]).status, 1);
    assert_eq!(run.cresset(&["watch", "log*.json", "-r", "rules"]).status, 0);
    assert_eq!(run.cresset(&["watch", "none*.json", "-r", "rules"]).status, 1);
    assert_eq!(run.cresset(&["watch", "empty.json", "-r", "rules", "--strict"]).status, 0);
}

#[test]
fn what_was_typed_and_is_not_there_is_an_error() {
    let run = run();
    let check = |args: &[&str], said: &str| {
        let ran = run.cresset(&[&["watch", "log.json"], args].concat());
        assert_eq!(ran.status, 1, "{args:?}: {}", ran.err);
        assert!(ran.err.contains(said), "{args:?}: {}", ran.err);
    };
    check(&["-r", "rules", "-i", "nope"], "No such file");
    check(&["-r", "rules", "-r", "nope"], "cannot be read");
    check(&["-r", "rules", "-i", "empty.json", "-i", "rules/r.yml"], "no indicator of");
    let ran = run.cresset(&["watch", "log.json", "-r", "rules", "--tag", "attack.t9999"]);
    assert!(ran.status == 0 && ran.err.contains("leave no rule"), "{}", ran.err);
    let ran = run.cresset(&["watch", "log.json", "-r", "rules", "--exclude", "Nobody"]);
    assert!(ran.status == 0 && ran.err.contains("no rule has this id or title"), "{}", ran.err);
}

#[test]
fn the_file_that_the_output_goes_to_is_not_read() {
    let run = Run::new(&[("logs/a.json", FOUND), ("r.yml", RULE)]);
    let out = std::fs::File::create(run.path().join("logs/zout.jsonl")).expect("a file");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_cresset"));
    command.args(["watch", "logs", "-r", "r.yml", "-o", "jsonl"]).current_dir(run.path()).stdout(out);
    let ran = Ran::of(command.output().expect("the command runs"));
    assert!(ran.err.contains("zout.jsonl`: the output goes there"), "{}", ran.err);
    let written = std::fs::read_to_string(run.path().join("logs/zout.jsonl")).expect("the output");
    assert_eq!(written.lines().count(), 1);
}

#[test]
fn a_bad_record_is_named_with_file_number_and_reason() {
    let ran = run().cresset(&["watch", "bad.json", "-r", "rules"]);
    assert!(ran.err.contains("not read: `bad.json` at record 2: not a JSON object"), "{}", ran.err);
    assert!(ran.err.contains("garbage"), "{}", ran.err);
    assert!(ran.out.contains("1 record and 0 sources could not be read"), "{}", ran.out);
}

#[test]
fn fields_that_are_cut_are_counted() {
    let fields: Vec<String> = (0..5_000).map(|number| format!("\"f{number}\":1")).collect();
    let run = Run::new(&[("log.json", &format!("{{{},\"cmd\":\"whoami\"}}\n", fields.join(","))), ("r.yml", RULE)]);
    let ran = run.cresset(&["watch", "log.json", "-r", "r.yml", "--strict"]);
    assert_eq!(ran.status, 1);
    assert!(ran.out.contains("905 fields left out, since their event has too many"), "{}", ran.out);
}

#[test]
fn time_bounds_are_inclusive_below_and_exclusive_above() {
    let run = run();
    let found = |args: &[&str]| {
        let ran = run.cresset(&[&["watch", "log.json", "-r", "rules", "-o", "jsonl"], args].concat());
        ran.out.lines().count()
    };
    assert_eq!(found(&["--since", "2026-11-24T07:00:00Z"]), 1);
    assert_eq!(found(&["--until", "2026-11-24T07:00:00Z"]), 0);
    assert_eq!(found(&["--since", "2026-11-24", "--until", "2026-11-25"]), 1);
    assert_eq!(found(&["--since", "2026-11-25"]), 0);
}

#[test]
fn rules_are_chosen_by_level_status_and_tag() {
    let run = run();
    let found = |args: &[&str]| {
        let ran = run.cresset(&[&["watch", "log.json", "-r", "rules", "-o", "jsonl"], args].concat());
        ran.out.lines().count()
    };
    assert_eq!(found(&["--min-level", "high"]), 1);
    assert_eq!(found(&["--min-level", "critical"]), 0);
    assert_eq!(found(&["--status", "test", "--tag", "attack.t1033"]), 1);
    assert_eq!(found(&["--status", "stable"]), 0);
    assert_eq!(found(&["--tag", "attack.t103"]), 0);
    assert_eq!(found(&["--exclude", "11111111-1111-4111-8111-111111111111"]), 0);
}

#[test]
fn rules_check_names_file_line_and_reason() {
    let bad =
        format!("{RULE}---\ntitle: Bad\nlogsource: {{}}\ndetection:\n  sel:\n    a|nosuch: 1\n  condition: sel\n");
    let run = Run::new(&[("r.yml", &bad), ("good.yml", RULE)]);
    let ran = run.cresset(&["rules", "check", ".", "--output", "json"]);
    assert_eq!(ran.status, 1);
    let checked: serde_json::Value = serde_json::from_str(&ran.out).expect("one JSON object");
    assert_eq!(checked["loaded"], 2);
    assert_eq!(checked["refused"].as_array().map(Vec::len), Some(1));
    assert_eq!(checked["refused"][0]["file"], "./r.yml");
    assert!(checked["refused"][0]["line"].as_u64().is_some_and(|line| line > RULE.lines().count() as u64));
    assert!(checked["refused"][0]["reason"].as_str().is_some_and(|reason| reason.contains("nosuch")));
    assert_eq!(run.cresset(&["rules", "check", "good.yml"]).status, 0);
}

#[test]
fn formats_has_an_example_of_each_that_is_read_as_that() {
    let ran = Run::new(&[]).cresset(&["formats"]);
    assert_eq!(ran.status, 0);
    for name in ["evtx", "windows-json", "suricata-eve", "zeek-json", "zeek-tsv", "syslog", "access-log", "json"] {
        assert!(ran.out.lines().any(|line| line == name), "{name}");
    }
}

#[test]
fn a_folder_that_cannot_be_entered_is_reported_and_the_rest_read() {
    let run = Run::new(&[("logs/a.json", FOUND), ("rules/r.yml", RULE)]);
    std::os::unix::fs::symlink("nowhere", run.path().join("logs/broken")).expect("a link");
    std::os::unix::fs::symlink(".", run.path().join("logs/circle")).expect("a link");
    let ran = run.cresset(&["watch", "logs", "-r", "rules", "-o", "jsonl"]);
    assert_eq!(ran.out.lines().count(), 1, "{}", ran.err);
    assert!(ran.err.contains("logs/broken"), "{}", ran.err);
}

/// Root may read everything, so there the command runs as another user.
#[cfg(unix)]
#[test]
fn a_folder_and_a_file_without_permission_are_reported_and_the_rest_read() {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;

    let run =
        Run::new(&[("logs/a.json", FOUND), ("logs/shut.json", FOUND), ("logs/shut/b.json", FOUND), ("r.yml", RULE)]);
    let binary = run.path().join("cresset");
    // By another process: a file that this one has open to write cannot be run while a child that it forks meanwhile has it as well.
    let copied = std::process::Command::new("cp").arg(env!("CARGO_BIN_EXE_cresset")).arg(&binary).status();
    assert!(copied.is_ok_and(|copied| copied.success()), "a copy that another user may run");
    set_permissions(run.path(), Permissions::from_mode(0o755)).expect("permissions");
    for shut in ["logs/shut", "logs/shut.json"] {
        set_permissions(run.path().join(shut), Permissions::from_mode(0o000)).expect("permissions");
    }
    let mut command = std::process::Command::new(&binary);
    command.args(["watch", "logs", "-r", "r.yml", "-o", "jsonl"]).current_dir(run.path());
    let is_root = std::fs::read_dir(run.path().join("logs/shut")).is_ok();
    if is_root {
        const NOBODY: u32 = 65_534;
        command.uid(NOBODY).gid(NOBODY);
    }
    let ran = Ran::of(command.output().expect("the command runs"));
    set_permissions(run.path().join("logs/shut"), Permissions::from_mode(0o755)).expect("permissions");
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert_eq!(ran.out.lines().count(), 1, "{}", ran.err);
    for shut in ["not read: `logs/shut`: Permission denied", "not read: `logs/shut.json`: Permission denied"] {
        assert!(ran.err.contains(shut), "{}", ran.err);
    }
    assert!(ran.err.contains("0 records and 2 sources not read"), "{}", ran.err);
}
