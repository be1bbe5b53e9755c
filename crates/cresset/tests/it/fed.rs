//! A watch that is fed while it runs.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::Run;

/// Long enough for the slowest machine; what is waited for comes in about a second.
const PATIENCE: Duration = Duration::from_secs(60);

/// A watch of a pipe, with the rules in `rules`.
pub(crate) struct Fed {
    child: Child,
    logs: ChildStdin,
    out: Receiver<String>,
    err: Receiver<String>,
}

impl Fed {
    pub(crate) fn start(run: &Run, args: &[&str]) -> Self {
        Self::start_writing_to(Stdio::piped(), run, args)
    }

    /// Starts one whose findings go elsewhere.
    pub(crate) fn start_writing_to(out: impl Into<Stdio>, run: &Run, args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_cresset"))
            .args(["watch", "-r", "rules", "-o", "jsonl"])
            .args(args)
            .current_dir(run.path())
            .stdin(Stdio::piped())
            .stdout(out)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command runs");
        let logs = child.stdin.take().expect("a pipe");
        let out = child.stdout.take().map_or_else(|| channel().1, lines);
        let err = lines(child.stderr.take().expect("a pipe"));
        Self { child, logs, out, err }
    }

    pub(crate) fn give(&mut self, command: &str) {
        let event = format!("{{\"cmd\":\"{command}\",\"user\":\"u\",\"@timestamp\":\"2026-11-24T07:00:00Z\"}}\n");
        self.give_bytes(event.as_bytes());
    }

    pub(crate) fn give_bytes(&mut self, bytes: &[u8]) {
        self.logs.write_all(bytes).expect("it reads");
    }

    /// Gives an event, and waits until a rule of this title finds it.
    #[track_caller]
    pub(crate) fn check_finds(&mut self, command: &str, title: &str) {
        self.give(command);
        self.check_found(title);
    }

    /// Waits until a rule of this title finds something.
    #[track_caller]
    pub(crate) fn check_found(&self, title: &str) {
        let found = self.out.recv_timeout(PATIENCE).expect("a detection");
        assert!(found.contains(&format!("\"{title}\"")), "{found}");
    }

    /// Waits until this is said.
    #[track_caller]
    pub(crate) fn wait_for(&self, said: &str) {
        while !self.err.recv_timeout(PATIENCE).expect(said).contains(said) {}
    }

    /// Waits for the next thing that is said.
    #[track_caller]
    pub(crate) fn said(&self) -> String {
        self.err.recv_timeout(PATIENCE).expect("something is said")
    }

    /// Sends it SIGHUP.
    #[cfg(unix)]
    pub(crate) fn hang_up(&self) {
        self.signal("HUP");
    }

    /// Sends it a signal.
    #[cfg(unix)]
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().expect("a shell").success());
    }

    /// Waits until it has ended, with its logs still open and quiet.
    #[track_caller]
    pub(crate) fn ended(mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("it was started") {
                return status;
            }
            if Instant::now() > until {
                self.child.kill().expect("it was started");
                panic!("it goes on");
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends the logs; returns what more was found.
    pub(crate) fn end(mut self) -> Vec<String> {
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
