//! `cresset watch - --reload`: rules change while the logs come in.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use cresset_testing::skipped;

use crate::Run;
use crate::fed::Fed;

/// A rule that finds a command.
fn rule(title: &str, command: &str) -> String {
    format!("title: {title}\nname: n\nlogsource: {{}}\ndetection:\n  s: {{cmd: {command}}}\n  condition: s\n")
}

/// Puts another file in the place of one, as editors do: an empty one is never there.
fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, text).expect("a rule");
    fs::rename(&beside, path).expect("a rename");
}

fn check_takes_over_rules(threads: &str) {
    let run = Run::new(&[("rules/a.yml", &rule("First", "one"))]);
    let path = |name: &str| run.path().join("rules").join(name);
    let mut fed = Fed::start(&run, &["-", "--reload", "--threads", threads]);
    fed.check_finds("one", "First");

    fs::write(path("b.yml"), rule("Second", "two")).expect("a rule");
    fed.wait_for("rules: 1 file changed; 2 rules now");
    fed.check_finds("two", "Second");

    // Half a file: what was there goes on.
    replace(&path("a.yml"), "title: First\nlogsource: {}\ndetection:\n  s: {cmd: [");
    fed.wait_for("rule refused: rules/a.yml:");
    fed.wait_for("rules: the last good version of rules/a.yml goes on");
    fed.check_finds("one", "First");

    replace(&path("a.yml"), &rule("Mended", "three"));
    fed.wait_for("rules: 1 file changed; 2 rules now");
    fed.give("one");
    fed.check_finds("three", "Mended");

    fs::remove_file(path("b.yml")).expect("it was there");
    fed.wait_for("rules: 1 file changed; 1 rule now");
    fed.give("two");
    assert_eq!(fed.end(), [""; 0]);
}

#[test]
fn the_next_event_is_judged_by_the_new_rules() {
    check_takes_over_rules("1");
}

#[test]
fn all_threads_go_over_to_the_new_rules() {
    check_takes_over_rules("3");
}

#[test]
fn correlations_remember_over_a_reload() {
    let correlation = "title: Twice\ncorrelation:\n  type: event_count\n  rules: [n]\n  group-by: [user]\n  timespan: 1m\n  condition: {gte: 2}\n";
    let base = format!("{}---\n{correlation}", rule("Base", "one"));
    let started = rule("Started", "start").replace("name: n", "name: s");
    let run = Run::new(&[("rules/a.yml", &base), ("rules/s.yml", &started)]);
    let mut fed = Fed::start(&run, &["-", "--reload"]);
    fed.check_finds("start", "Started");
    fed.give("one");
    // The first event was seen once this one is found.
    fs::write(run.path().join("rules/b.yml"), rule("Other", "two").replace("name: n", "name: m")).expect("a rule");
    fed.wait_for("rules: 1 file changed; 4 rules now");
    fed.check_finds("two", "Other");
    fs::write(run.path().join("rules/c.yml"), correlation.replace("Twice", "Thrice").replace("gte: 2", "gte: 3"))
        .expect("a rule");
    fed.wait_for("rules: 1 file changed; 5 rules now");
    fed.check_finds("one", "Twice");

    fed.give("one");
    let changed = correlation.replace("Twice", "Thrice").replace("gte: 2", "gte: 4");
    replace(&run.path().join("rules/c.yml"), &changed);
    fed.wait_for("rules: 1 file changed; 5 rules now");
    fed.check_finds("two", "Other");
    fed.wait_for("forgotten, of `Thrice`: the rule, or one that it counts, has changed");
    fed.end();
}

#[cfg(unix)]
#[test]
fn sighup_has_the_files_looked_at_and_ends_nothing() {
    let run = Run::new(&[("rules/a.yml", &rule("First", "one"))]);
    let mut fed = Fed::start(&run, &["-", "--reload"]);
    fed.check_finds("one", "First");
    fed.hang_up();
    fed.wait_for("rules: no file has changed; 1 rule now");
    fs::write(run.path().join("rules/b.yml"), rule("Second", "two")).expect("a rule");
    fed.hang_up();
    fed.wait_for("rules: 1 file changed; 2 rules now");
    fed.check_finds("two", "Second");
    assert_eq!(fed.end(), [""; 0]);
}

#[cfg(unix)]
#[test]
fn sighup_is_answered_when_a_file_that_is_being_written_is_whole() {
    const WRITTEN_FOR: Duration = Duration::from_millis(700);
    let run = Run::new(&[("rules/a.yml", &rule("First", "one"))]);
    let mut fed = Fed::start(&run, &["-", "--reload"]);
    fed.check_finds("one", "First");
    let mut file = fs::OpenOptions::new().append(true).open(run.path().join("rules/a.yml")).expect("a file");
    let began = Instant::now();
    let mut is_asked = false;
    while began.elapsed() < WRITTEN_FOR {
        file.write_all(b"# more\n").expect("a line");
        thread::sleep(Duration::from_millis(10));
        if !is_asked {
            fed.hang_up();
            is_asked = true;
        }
    }
    let said = fed.said();
    assert!(said.contains("rules: 1 file changed; 1 rule now"), "{said}");
}

/// Whether the signal is ignored where the tests run (`nohup`), and so in all that they start.
#[cfg(unix)]
fn is_sighup_ignored() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

#[cfg(unix)]
#[test]
fn sighup_ends_a_watch_that_does_not_reload() {
    use std::os::unix::process::ExitStatusExt;

    if is_sighup_ignored() {
        return skipped("SIGHUP", "it is ignored here");
    }
    let run = Run::new(&[("rules/a.yml", &rule("First", "one"))]);
    let mut fed = Fed::start(&run, &["-"]);
    fed.check_finds("one", "First");
    fed.hang_up();
    assert_eq!(fed.ended().signal(), Some(1));
}

#[test]
fn there_is_nothing_to_reload_without_rules() {
    let run = Run::new(&[("i.csv", "type,value\n")]);
    assert_eq!(run.cresset(&["watch", "-", "-i", "i.csv", "--reload"]).status, 2);
}
