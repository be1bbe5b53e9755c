//! A pipe that is quiet: what is found in a line is told while it is still open.

use std::io::{self, Write};
use std::process::Stdio;

use crate::fed::Fed;
use crate::{RULE, Run};

/// Gives a watch these bytes and nothing more, and checks that the rule is told to find something in them.
#[track_caller]
fn check_finds_while_open(bytes: &[u8], args: &[&str]) {
    let run = Run::new(&[("rules/r.yml", RULE)]);
    let mut fed = Fed::start(&run, args);
    fed.give_bytes(bytes);
    fed.check_found("Whoami");
    assert_eq!(fed.end(), [""; 0], "{args:?}");
}

#[test]
fn what_is_found_in_the_first_line_is_told_at_once() {
    let line = b"{\"cmd\":\"whoami\",\"@timestamp\":\"2026-11-24T07:00:00Z\"}\n";
    for threads in ["1", "3"] {
        check_finds_while_open(line, &["-", "--threads", threads]);
    }
    check_finds_while_open(b"{\n  \"cmd\": \"whoami\"\n}\n", &["-"]);
    check_finds_while_open(b"[\n  {\"cmd\": \"whoami\"},\n", &["-"]);
}

#[test]
fn what_is_found_in_a_packed_line_is_told_at_once() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(b"{\"cmd\":\"whoami\"}\n").and_then(|()| gzip.flush()).expect("memory");
    check_finds_while_open(gzip.get_ref(), &["-"]);
}

/// As with `<(…)`.
#[cfg(unix)]
#[test]
fn what_is_found_in_a_pipe_with_a_name_is_told_at_once() {
    check_finds_while_open(b"{\"cmd\":\"whoami\"}\n", &["/dev/stdin"]);
}

#[test]
fn what_is_found_in_a_file_is_told_before_a_pipe_says_anything() {
    for threads in ["1", "3"] {
        let run = Run::new(&[("rules/r.yml", RULE), ("logs/a.json", "{\"cmd\":\"whoami\"}\n"), ("logs/b.json", "")]);
        let fed = Fed::start(&run, &["logs", "-", "--threads", threads]);
        fed.check_found("Whoami");
        assert_eq!(fed.end(), [""; 0], "{threads} threads");
    }
}

/// Checks that a watch whose findings go there ends, although its logs are open and quiet.
#[track_caller]
fn check_ends_while_open(out: impl Into<Stdio>, args: &[&str], status: i32) {
    let run = Run::new(&[("rules/r.yml", RULE)]);
    let mut fed = Fed::start_writing_to(out, &run, args);
    fed.give("whoami");
    assert_eq!(fed.ended().code(), Some(status), "{args:?}");
}

#[test]
fn a_watch_that_nobody_hears_ends_although_a_pipe_is_quiet() {
    for threads in ["1", "3"] {
        let (hears, out) = io::pipe().expect("a pipe");
        drop(hears);
        check_ends_while_open(out, &["-", "--threads", threads], 0);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_watch_whose_output_is_full_ends_although_a_pipe_is_quiet() {
    for threads in ["1", "3"] {
        let full = std::fs::File::create("/dev/full").expect("a device");
        check_ends_while_open(full, &["-", "--threads", threads], 1);
    }
}
