//! `cresset watch - --reload`: rules change while the logs come in.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use crate::Run;

/// Long enough for the slowest machine; what is waited for comes in about a second.
const PATIENCE: Duration = Duration::from_secs(60);

/// Events that have more bytes than a format is told by.
const HEAD_EVENTS: usize = 2000;

/// A watch that is fed line by line.
struct Fed {
    child: Child,
    logs: ChildStdin,
    out: Receiver<String>,
    err: Receiver<String>,
}

impl Fed {
    fn start(run: &Run, args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_cresset"))
            .args(["watch", "-", "-r", "rules", "--reload", "-o", "jsonl"])
            .args(args)
            .current_dir(run.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command runs");
        let logs = child.stdin.take().expect("a pipe");
        let out = lines(child.stdout.take().expect("a pipe"));
        let err = lines(child.stderr.take().expect("a pipe"));
        let mut fed = Self { child, logs, out, err };
        // Enough for the format to be told by; until then nothing is read.
        (0..HEAD_EVENTS).for_each(|_| fed.give(""));
        fed
    }

    fn give(&mut self, command: &str) {
        writeln!(self.logs, "{{\"cmd\":\"{command}\",\"user\":\"u\",\"@timestamp\":\"2026-11-24T07:00:00Z\"}}")
            .expect("a line");
    }

    /// Gives an event, and waits until a rule of this title finds it.
    #[track_caller]
    fn check_finds(&mut self, command: &str, title: &str) {
        self.give(command);
        let found = self.out.recv_timeout(PATIENCE).expect("a detection");
        assert!(found.contains(&format!("\"{title}\"")), "{found}");
    }

    /// Waits until this is said.
    #[track_caller]
    fn wait_for(&self, said: &str) {
        while !self.err.recv_timeout(PATIENCE).expect(said).contains(said) {}
    }

    /// Ends the logs; returns what more was found.
    fn end(mut self) -> Vec<String> {
        drop(self.logs);
        assert!(self.child.wait().expect("it ends").success());
        self.out.iter().collect()
    }
}

fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (said, heard) = channel();
    thread::spawn(move || BufReader::new(from).lines().map_while(Result::ok).try_for_each(|line| said.send(line)));
    heard
}

/// A rule that finds a command.
fn rule(title: &str, command: &str) -> String {
    format!("title: {title}\nname: n\nlogsource: {{}}\ndetection:\n  s: {{cmd: {command}}}\n  condition: s\n")
}

fn check_takes_over_rules(threads: &str) {
    let run = Run::new(&[("rules/a.yml", &rule("First", "one"))]);
    let path = |name: &str| run.path().join("rules").join(name);
    let mut fed = Fed::start(&run, &["--threads", threads]);
    fed.check_finds("one", "First");

    fs::write(path("b.yml"), rule("Second", "two")).expect("a rule");
    fed.wait_for("rules: 1 file changed; 2 rules now");
    fed.check_finds("two", "Second");

    // Half a file: what was there goes on.
    fs::write(path("a.yml"), "title: First\nlogsource: {}\ndetection:\n  s: {cmd: [").expect("a rule");
    fed.wait_for("rule refused: rules/a.yml:");
    fed.wait_for("rules: the last good version of rules/a.yml goes on");
    fed.check_finds("one", "First");

    // The way of editors.
    fs::write(path("a.yml.new"), rule("Mended", "three")).expect("a rule");
    fs::rename(path("a.yml.new"), path("a.yml")).expect("a rename");
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
    let run = Run::new(&[("rules/a.yml", &format!("{}---\n{correlation}", rule("Base", "one")))]);
    let mut fed = Fed::start(&run, &[]);
    fed.give("one");
    // The first event was seen once this one is found.
    fs::write(run.path().join("rules/b.yml"), rule("Other", "two").replace("name: n", "name: m")).expect("a rule");
    fed.wait_for("rules: 1 file changed; 3 rules now");
    fed.check_finds("two", "Other");
    fs::write(run.path().join("rules/c.yml"), correlation.replace("Twice", "Thrice").replace("gte: 2", "gte: 3"))
        .expect("a rule");
    fed.wait_for("rules: 1 file changed; 4 rules now");
    fed.check_finds("one", "Twice");

    fed.give("one");
    fs::write(run.path().join("rules/c.yml"), correlation.replace("Twice", "Thrice").replace("gte: 2", "gte: 4"))
        .expect("a rule");
    fed.wait_for("rules: 1 file changed; 4 rules now");
    fed.check_finds("two", "Other");
    fed.wait_for("forgotten, of `Thrice`: the rule, or one that it counts, has changed");
    fed.end();
}

#[test]
fn there_is_nothing_to_reload_without_rules() {
    let run = Run::new(&[("i.csv", "type,value\n")]);
    assert_eq!(run.cresset(&["watch", "-", "-i", "i.csv", "--reload"]).status, 2);
}
