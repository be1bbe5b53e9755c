//! Killed under load, full, or told to end: what was acknowledged is there, once where it has an identity.
//!
//! `KILLS=N` kills N times instead of three.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use cresset_testing::skipped;
use serde_json::Value;
use tempfile::TempDir;
use ureq::Agent;
use ureq::http::Request;

use super::{Centre, PATIENCE, archived_in, free_ports, random, wait_until};
use crate::RULE;

/// Senders that each deliver one thing after another until they are told that it is enough.
struct Senders {
    is_enough: Arc<AtomicBool>,
    acknowledged: Vec<JoinHandle<u64>>,
}

/// How a sender gives its records an identity.
#[derive(Clone, Copy)]
enum Way {
    /// One delivery, and a key for it.
    Key,
    /// Documents of a bulk request, and an id for each.
    Ids,
}

impl Senders {
    fn start(centre: &Centre) -> Self {
        let is_enough = Arc::new(AtomicBool::new(false));
        let ways = [(Way::Key, "a"), (Way::Key, "b"), (Way::Ids, "c"), (Way::Ids, "d")];
        let start = |(way, name): (Way, &'static str)| {
            let (url, bearer, is_enough) = (centre.url.clone(), centre.bearer(), Arc::clone(&is_enough));
            thread::spawn(move || send(way, name, &url, &bearer, &is_enough))
        };
        Self { acknowledged: ways.into_iter().map(start).collect(), is_enough }
    }

    /// Returns how many records were acknowledged.
    fn end(self) -> u64 {
        self.is_enough.store(true, Ordering::Relaxed);
        self.acknowledged.into_iter().map(|sender| sender.join().expect("a sender that ends")).sum()
    }
}

/// Delivers three records at a time, one of which the rule finds something in, each until it is acknowledged.
fn send(way: Way, name: &str, url: &str, bearer: &str, is_enough: &AtomicBool) -> u64 {
    let agent: Agent = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(20)))
        .build()
        .into();
    let mut acknowledged = 0;
    for number in 0.. {
        let began = Instant::now();
        while !deliver(&agent, way, &format!("{name}{number}"), url, bearer) {
            assert!(began.elapsed() < PATIENCE * 2, "never acknowledged");
            thread::sleep(Duration::from_millis(20));
        }
        acknowledged += 3;
        if is_enough.load(Ordering::Relaxed) {
            break;
        }
    }
    acknowledged
}

fn record(command: &str, key: &str) -> String {
    format!("{{\"cmd\":\"{command} {key}\",\"host\":\"h1\",\"@timestamp\":\"2026-11-24T07:00:00Z\"}}\n")
}

/// Delivers once, and returns whether that was acknowledged.
fn deliver(agent: &Agent, way: Way, key: &str, url: &str, bearer: &str) -> bool {
    let records = ["whoami", "ls", "id"].map(|command| record(command, key));
    let (path, body) = match way {
        Way::Key => ("/api/v1/events", records.concat()),
        Way::Ids => {
            let action = |part: usize| format!("{{\"index\":{{\"_id\":\"{key}-{part}\"}}}}\n");
            ("/logs/_bulk", records.iter().enumerate().map(|(part, record)| action(part) + record).collect())
        }
    };
    let request = Request::post(format!("{url}{path}")).header("authorization", bearer).header("idempotency-key", key);
    let answered = agent.run(request.body(body).expect("a request"));
    let Ok(mut answered) = answered.map_err(drop) else { return false };
    let status = answered.status().as_u16();
    assert!(matches!(status, 200 | 429 | 503), "{status}");
    let body = answered.body_mut().read_to_string().unwrap_or_default();
    // An answer that broke off acknowledges nothing.
    let Ok(body) = serde_json::from_str::<Value>(&body) else { return false };
    status == 200 && (body["events"].is_number() || body["errors"] == false)
}

/// All detections and incidents, as they are told.
fn told(centre: &Centre) -> (BTreeSet<String>, Vec<Value>) {
    let (mut ids, mut path) = (BTreeSet::new(), "/api/v1/detections?limit=500".to_owned());
    loop {
        let page = centre.get(&path).json();
        for item in page["items"].as_array().into_iter().flatten() {
            assert!(ids.insert(item["id"].as_str().expect("an id").to_owned()), "told twice: {item}");
        }
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/api/v1/detections?limit=500&cursor={next}");
    }
    let incidents = centre.get("/api/v1/incidents?limit=500").json();
    (ids, incidents["items"].as_array().cloned().expect("a list"))
}

#[test]
fn what_was_acknowledged_outlives_kills_once() {
    let kills: u64 = std::env::var("KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(3);
    let (_, tcp, _) = free_ports();
    let mut centre =
        Centre::start_with(&format!("[intake]\nsyslog_tcp = \"127.0.0.1:{tcp}\"\n"), &[("data/rules/r.yml", RULE)]);
    centre.keep_address();
    let (senders, lines) = (Senders::start(&centre), Arc::new(AtomicU64::new(0)));
    let syslog = syslog_sender(tcp, Arc::clone(&senders.is_enough), Arc::clone(&lines));
    // Of what comes in the little time between two kills nothing may stay.
    wait_until("some of syslog", || centre.of_sources("syslog-tcp:", "events") > 0);
    let mut seed = 42;
    for kill in 1..=kills {
        thread::sleep(Duration::from_millis(100 + random(&mut seed) % 900));
        centre.kill_and_start_again();
        // Now and then it ends in good order, and keeps its picture: those that are killed later begin with that.
        if kill % 3 == 1 {
            thread::sleep(Duration::from_millis(100 + random(&mut seed) % 400));
            centre.end();
            centre.start_again();
        }
    }
    let acknowledged = senders.end();
    syslog.join().expect("a sender that ends");
    let (detections, incidents) = told(&centre);
    assert_eq!(detections.len() as u64 * 3, acknowledged, "a detection for each third record");
    let counted: u64 = incidents.iter().filter_map(|incident| incident["detections"].as_u64()).sum();
    assert_eq!(counted, detections.len() as u64, "each in one incident, once");
    centre.kill_and_start_again();
    assert_eq!(told(&centre), (detections.clone(), incidents.clone()), "what is told is the same after a start");
    // So is the picture: what comes next belongs where it would have.
    assert_eq!(centre.deliver(&[], record("whoami", "next")).status, 200);
    let (more, same) = told(&centre);
    let ids = |incidents: &[Value]| incidents.iter().map(|incident| incident["id"].clone()).collect::<Vec<_>>();
    assert_eq!((more.len(), ids(&same)), (detections.len() + 1, ids(&incidents)));
    centre.end();
    let archived = centre.archived() - 1;
    let of_syslog = archived.checked_sub(acknowledged).expect("what was acknowledged is there");
    assert!(of_syslog > 0, "some of syslog came");
    assert!(of_syslog <= lines.load(Ordering::Relaxed), "{of_syslog} lines of syslog: none is there twice");
    assert!(!centre.log().contains("panicked"));
}

/// Sends lines of syslog, over a new connection where one broke, and counts them. Nothing acknowledges them.
fn syslog_sender(port: u16, is_enough: Arc<AtomicBool>, sent: Arc<AtomicU64>) -> JoinHandle<()> {
    thread::spawn(move || {
        while !is_enough.load(Ordering::Relaxed) {
            let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
                thread::sleep(Duration::from_millis(20));
                continue;
            };
            while !is_enough.load(Ordering::Relaxed) {
                let number = sent.fetch_add(1, Ordering::Relaxed);
                if writeln!(stream, "<13>Nov 24 07:00:00 h2 app: line {number}").is_err() {
                    break;
                }
                thread::sleep(Duration::from_millis(5));
            }
        }
    })
}

#[test]
fn a_signal_ends_it_in_good_order_under_load_and_a_second_at_once() {
    let mut centre = Centre::start();
    centre.keep_address();
    let senders = Senders::start(&centre);
    thread::sleep(Duration::from_millis(700));
    let began = Instant::now();
    centre.end();
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    centre.start_again();
    let acknowledged = senders.end();
    // A body that does not come keeps it from ending; the second signal does not wait for that.
    let mut slow = TcpStream::connect(centre.address()).expect("a connection");
    let head = format!(
        "POST /api/v1/events HTTP/1.1\r\nHost: a\r\nAuthorization: {}\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n",
        centre.bearer()
    );
    slow.write_all(head.as_bytes()).expect("sent");
    // It waits for the body once it says so.
    assert!(slow.read(&mut [0; 64]).expect("an answer") > 0);
    centre.signal("TERM");
    wait_until("word that it ends", || centre.log().matches("ending").count() >= 2);
    centre.signal("TERM");
    let status = centre.child.wait().expect("it ends");
    assert_eq!(status.signal(), Some(rustix::process::Signal::TERM.as_raw()), "{status}");
    assert!(!centre.log().contains("did not end in time"), "{}", centre.log());
    centre.start_again();
    centre.end();
    assert_eq!(centre.archived(), acknowledged);
}

#[test]
fn a_second_one_on_the_same_folder_touches_nothing() {
    let centre = Centre::start();
    fs::create_dir_all(centre.data().join("arriving")).expect("room");
    fs::write(centre.data().join("arriving/piece"), "of a file on its way").expect("room");
    let second = centre.cresset_alone(&["serve", "--config", "centre.toml"]);
    assert!(second.status != 0 && second.err.contains("another centre has its data in"), "{}", second.err);
    assert!(centre.data().join("arriving/piece").exists());
}

/// A small file system in memory, as long as it lives.
struct Small(TempDir);

impl Small {
    fn mount(megabytes: usize) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let options = format!("size={megabytes}m");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &options, "cresset"]).arg(folder.path()).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // It is busy until the centre has ended.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

#[test]
fn a_full_disk_is_said_and_it_goes_on_once_there_is_room() {
    let Some(small) = Small::mount(24) else {
        return skipped("a full disk", "a file system in memory can be mounted by root only");
    };
    let config = "[intake]\nbody_bytes_max = 100000\nwaiting_bytes_max = 400000\n";
    let mut centre = Centre::start_with(config, &[]);
    centre.end();
    let file = centre.path().join("centre.toml");
    let text = fs::read_to_string(&file).expect("a configuration");
    let data = small.path().join("data");
    let copied = Command::new("cp").arg("-r").arg(centre.data()).arg(&data).status().expect("cp runs");
    assert!(copied.success());
    fs::write(&file, text.replace("data = \"data\"", &format!("data = {data:?}"))).expect("room");
    centre.start_again();
    centre.keep_address();
    let filler = small.path().join("filler");
    let room = fs::File::create(&filler).expect("room for a file");
    let mut room = std::io::BufWriter::new(room);
    // Until nothing goes in any more.
    while room.write_all(&[7; 4096]).is_ok() && room.flush().is_ok() {}
    drop(room.into_parts());
    let senders = Senders::start(&centre);
    wait_until("word that the disk is full", || {
        let log = centre.log();
        log.contains("is full") || log.contains("cannot be stored")
    });
    // Nothing of this size is taken while it is full.
    let statuses: Vec<u16> = (0..8)
        .map(|number| {
            let agent: Agent = Agent::config_builder()
                .http_status_as_error(false)
                .timeout_global(Some(Duration::from_secs(2)))
                .build()
                .into();
            let request =
                Request::post(format!("{}/api/v1/events", centre.url)).header("authorization", centre.bearer());
            let line = format!("{{\"cmd\":\"{number}\",\"pad\":\"{}\"}}\n", "x".repeat(90_000));
            agent.run(request.body(line).expect("a request")).map_or(0, |answered| answered.status().as_u16())
        })
        .collect();
    assert!(!statuses.contains(&200), "nothing is acknowledged: {statuses:?}");
    assert!(statuses.contains(&429), "and once its memory is full that is said: {statuses:?}");
    // Nor does it wait for room for ever when it is told to end.
    centre.signal("TERM");
    wait_until("the end", || centre.child.try_wait().expect("a process").is_some());
    assert!(centre.log().contains("not ended in good order"), "{}", centre.log());
    fs::remove_file(&filler).expect("room again");
    centre.start_again();
    // Each of them goes on, or this does not end.
    let acknowledged = senders.end();
    centre.end();
    let archived = archived_in(&data.join("archive"));
    // What was not acknowledged may be there as well.
    assert!((acknowledged..=acknowledged + 8).contains(&archived), "{archived} of {acknowledged}");
    assert!(!centre.log().contains("panicked"));
}
