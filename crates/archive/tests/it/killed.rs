//! A program that is killed at any moment: what was committed is there, once.
//!
//! `KILLS` says how many are killed (default 5; `./prove` kills 200).

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use cresset_archive::{Archive, Keep, Writer, WriterOptions};

use crate::{note_numbers, notes, numbers, write};

/// Names the folder for the program that is killed.
const FOLDER: &str = "CRESSET_TEST_KILLED_FOLDER";
/// Long enough for the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Events a pack.
const EVENTS: u64 = 20;

/// The program that is killed: it writes packs for ever, and says how many events are on the disk.
#[test]
#[ignore = "started by the test below"]
fn writes_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let options = WriterOptions { keep: Keep::Raw, log_bytes: 20_000, sync_bytes: 1 << 20 };
    let (mut writer, _) = Writer::open(Path::new(&folder), options).expect("an archive");
    // From the beginning: what is there already is not to be stored again.
    for begin in (0..).step_by(EVENTS as usize) {
        write(&mut writer, begin..begin + EVENTS);
        writer.append_rows(&notes([begin / EVENTS])).expect("room");
        writer.commit().expect("room");
        println!("committed {}", begin + EVENTS);
    }
}

fn start(folder: &Path) -> Child {
    Command::new(std::env::current_exe().expect("a test"))
        .args(["--ignored", "--exact", "killed::writes_until_it_is_killed", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs")
}

#[test]
fn what_was_committed_outlives_a_kill_and_is_there_once() {
    let kills: u64 = std::env::var("KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(5);
    let folder = tempfile::tempdir().expect("a folder");
    let mut committed_most = 0;
    for kill in 0..kills {
        let mut child = start(folder.path());
        let out = BufReader::new(child.stdout.take().expect("a pipe"));
        let (begin, begun) = channel();
        let heard = thread::spawn(move || {
            let said = out.lines().map_while(Result::ok);
            let counts = said.filter_map(|line| line.strip_prefix("committed ")?.parse::<u64>().ok());
            let counts = counts.inspect(|_| {
                // It is asked for once.
                let _ = begin.send(());
            });
            counts.last().unwrap_or(0)
        });
        // Different moments: one of four while it opens, the others while it writes segments.
        if kill % 4 > 0 {
            begun.recv_timeout(PATIENCE).expect("it commits");
        }
        thread::sleep(Duration::from_millis(20 + kill * 97 % 400));
        child.kill().expect("it runs");
        child.wait().expect("it ended");
        let committed = heard.join().expect("it listens");
        let notes = note_numbers(&Archive::open(folder.path()).expect("an archive"));
        assert!(notes.len() as u64 >= committed / EVENTS, "{} notes, {committed} events, kill {kill}", notes.len());
        assert_eq!(notes, (0..notes.len() as u64).collect::<Vec<_>>(), "kill {kill}");
        let numbers = numbers(folder.path());
        assert!(numbers.len() as u64 >= committed, "{} of {committed} events, kill {kill}", numbers.len());
        assert_eq!(numbers, (0..numbers.len() as u64).collect::<Vec<_>>(), "kill {kill}");
        committed_most = committed_most.max(committed);
    }
    assert!(committed_most > 0, "none committed anything");
}
