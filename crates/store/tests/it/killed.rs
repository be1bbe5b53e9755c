//! A program that is killed at any moment: what was acknowledged is there, whole, and in order.
//!
//! `KILLS` says how many are killed (default 4; `./prove` kills 200).

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use cresset_store::{Act, AuditCheck, Store, StoreOptions, Told};

use crate::places::{Place, block_on};
use crate::{Batch, analyst, both, detection, incident, record};

both!(what_was_acknowledged_outlives_a_kill);

/// Names the database for the program that is killed.
const ADDRESS: &str = "CRESSET_TEST_KILLED_STORE";
/// Long enough for the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Detections a batch.
const BATCH: u64 = 40;

/// The program that is killed: it records for ever, and says how many detections and notes are on the disk.
#[test]
#[ignore = "started by the test below"]
fn records_until_it_is_killed() {
    let Ok(address) = std::env::var(ADDRESS) else { return };
    block_on(async {
        let store = Store::open(&address, StoreOptions::default()).await.expect("a store");
        record(&store, 0..0, 0..1).await;
        let (begin, mut notes) = (stored(&store).await, store.audit_head().await.expect("read").count);
        println!("acknowledged {begin} {notes}");
        for begin in (begin..).step_by(BATCH as usize) {
            let detections = (begin..begin + BATCH).map(detection).collect();
            let marks = vec![("log".into(), (begin + BATCH).to_le_bytes().into())];
            store.record(&Batch { detections, marks, ..Batch::default() }).await.expect("room");
            let note = Act::Note { incident: incident(0).id, text: begin.to_string() };
            store.act(&analyst(0), &note).await.expect("room");
            notes += 1;
            println!("acknowledged {} {notes}", begin + BATCH);
        }
    });
}

fn start(address: &str) -> Child {
    Command::new(std::env::current_exe().expect("a test"))
        .args(["--ignored", "--exact", "killed::records_until_it_is_killed", "--nocapture"])
        .env(ADDRESS, address)
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs")
}

/// Counts the detections that are stored, and checks that none of them is missing or twice.
async fn stored(store: &Store) -> u64 {
    let (mut count, mut after) = (0, 0);
    loop {
        let step = store.replay(after, 10_000).await.expect("read");
        let Some(last) = step.last() else { return count };
        after = last.seq;
        for replayed in &step {
            let Told::Detection { facts, .. } = &replayed.what else { panic!("{replayed:?}") };
            assert_eq!(facts.id, detection(count).facts.id, "detection {count}");
            count += 1;
        }
    }
}

async fn what_was_acknowledged_outlives_a_kill(place: Place) {
    let kills: u64 = std::env::var("KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(4);
    let mut acknowledged_most = 0;
    for kill in 0..kills {
        let mut child = start(&place.address);
        let out = BufReader::new(child.stdout.take().expect("a pipe"));
        let (begin, begun) = channel();
        let heard = thread::spawn(move || {
            let said = out.lines().map_while(Result::ok);
            let said = said.filter_map(|line| acknowledged(&line)).inspect(|_| {
                // It is asked for once.
                let _ = begin.send(());
            });
            said.last().unwrap_or_default()
        });
        // Different moments: one of four while it opens, the others while it writes.
        if kill % 4 > 0 {
            begun.recv_timeout(PATIENCE).expect("it records");
        }
        thread::sleep(Duration::from_millis(60 + kill * 97 % 500));
        child.kill().expect("it runs");
        child.wait().expect("it ended");
        let heard = heard.join().expect("it listens");
        place.others_are_gone().await;
        check_outlived(&place, heard, kill).await;
        acknowledged_most = acknowledged_most.max(heard.0);
    }
    assert!(acknowledged_most > 0, "none recorded anything");
}

/// Reads how many detections and notes are on the disk; a line that was cut off tells nothing.
fn acknowledged(line: &str) -> Option<(u64, u64)> {
    let (detections, notes) = line.strip_prefix("acknowledged ")?.split_once(' ')?;
    Some((detections.parse().ok()?, notes.parse().ok()?))
}

async fn check_outlived(place: &Place, (detections, notes): (u64, u64), kill: u64) {
    let store = place.open().await;
    let there = stored(&store).await;
    assert!(there >= detections && there % BATCH == 0, "{there} of {detections} detections, kill {kill}");
    // How far the log was read is of the same moment as what was found in it.
    let marks = store.marks().await.expect("read");
    assert_eq!(marks.first().map_or(0, |(_, read)| u64::from_le_bytes(read[..].try_into().expect("8"))), there);
    let AuditCheck::Whole(head) = store.audit_verify(None).await.expect("read") else {
        panic!("the chain, kill {kill}")
    };
    assert!(head.count >= notes, "{} of {notes} notes, kill {kill}", head.count);
    store.close().await;
}
