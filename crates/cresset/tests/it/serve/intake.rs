//! What was acknowledged is there, once, whatever happens behind it; what cannot be taken is said.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use cresset_event::Timestamp;
use serde_json::{Value, json};

use super::{Centre, PATIENCE, wait_until};

/// A line that the rule finds something in, or nothing.
fn line(command: &str) -> String {
    format!("{{\"cmd\":\"{command}\",\"host\":\"h1\",\"@timestamp\":\"2026-11-24T07:00:00Z\"}}\n")
}

#[test]
fn a_delivery_is_found_in_remembered_and_an_incident() {
    let mut centre = Centre::start();
    let answered = centre.deliver(&[], line("whoami") + &line("ls") + "{\"cmd\":\n");
    assert_eq!(answered.status, 200, "{answered:?}");
    let taken = answered.json();
    assert_eq!(
        (&taken["events"], &taken["skipped"], &taken["reasons"][0]["record"]),
        (&2.into(), &1.into(), &3.into())
    );
    // What was acknowledged is there at once.
    let detections = centre.get("/api/v1/detections").json();
    assert_eq!(detections["items"].as_array().map(Vec::len), Some(1));
    let id = detections["items"][0]["id"].as_str().expect("an id");
    let full = centre.get(&format!("/api/v1/detections/{id}")).json();
    assert_eq!(full["record"]["matched"][0]["value"], "whoami");
    let incidents = centre.get("/api/v1/incidents").json();
    assert_eq!(incidents["items"][0]["detections"], 1);
    assert!(
        incidents["items"][0]["title"].as_str().is_some_and(|title| title.starts_with("Whoami on ")),
        "{incidents}"
    );
    centre.end();
    assert_eq!(centre.archived(), 2);
}

#[test]
fn with_a_key_it_is_once_without_one_each_time() {
    let mut centre = Centre::start();
    for _ in 0..3 {
        assert_eq!(centre.deliver(&[("idempotency-key", "k1")], line("whoami")).status, 200);
    }
    centre.kill_and_start_again();
    assert_eq!(centre.deliver(&[("idempotency-key", "k1")], line("whoami")).status, 200);
    assert_eq!(centre.get("/api/v1/detections").json()["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(centre.deliver(&[], line("whoami")).status, 200);
    assert_eq!(centre.deliver(&[], line("whoami")).status, 200);
    assert_eq!(centre.get("/api/v1/detections").json()["items"].as_array().map(Vec::len), Some(3));
    centre.end();
    assert_eq!(centre.archived(), 3);
}

#[test]
fn what_cannot_be_taken_is_said() {
    let centre = Centre::start_with("[intake]\nbody_bytes_max = 1000\nwaiting_bytes_max = 5000\n", &[]);
    let unknown = centre.deliver(&[], "in no format\n");
    assert_eq!((unknown.status, unknown.header("content-type")), (415, Some("application/problem+json")));
    assert_eq!(centre.deliver(&[], "x".repeat(1001)).status, 413);
    assert_eq!(centre.deliver(&[("content-encoding", "gzip")], "no gzip").status, 400);
    assert_eq!(centre.deliver(&[("content-encoding", "br")], "x").status, 415);
    assert_eq!(centre.deliver(&[], "").status, 200, "nothing was delivered, and all of it is there");
}

#[test]
fn who_finds_no_room_is_told_to_come_again() {
    let centre = Centre::start_with("[intake]\nbody_bytes_max = 1000\nwaiting_bytes_max = 5000\n", &[]);
    // It takes room for as long as it is on its way, and there is room for one.
    let mut slow = TcpStream::connect(centre.address()).expect("a connection");
    let body = line("ls");
    let head = format!(
        "POST /api/v1/events HTTP/1.1\r\nHost: a\r\nAuthorization: {}\r\nContent-Length: {}\r\n\
         Expect: 100-continue\r\n\r\n",
        centre.bearer(),
        body.len()
    );
    slow.write_all(head.as_bytes()).expect("sent");
    // It is asked for its body once it has its room.
    let mut answer = [0; 256];
    let read = slow.read(&mut answer).expect("an answer");
    assert!(answer[..read].starts_with(b"HTTP/1.1 100 "), "{}", String::from_utf8_lossy(&answer));
    slow.write_all(&body.as_bytes()[..1]).expect("sent");
    let refused = centre.deliver(&[], line("ls"));
    assert_eq!(refused.status, 429, "{refused:?}");
    assert_eq!((refused.header("retry-after"), &refused.json()["type"]), (Some("1"), &"/problems/too-many".into()));
    // Nothing is taken of what is refused, and the first is.
    slow.write_all(&body.as_bytes()[1..]).expect("sent");
    let read = slow.read(&mut answer).expect("an answer");
    assert!(answer[..read].starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
    wait_until("that there is room again", || centre.deliver(&[], line("ls")).status == 200);
}

#[test]
fn files_that_are_followed_are_read_on_after_a_kill() {
    let mut centre = Centre::start_with(
        "[intake]\nfollow = [\"logs\"]\n",
        &[("data/rules/r.yml", crate::RULE), ("logs/a.log", &line("whoami"))],
    );
    let count = |centre: &Centre| centre.get("/api/v1/detections").json()["items"].as_array().map(Vec::len);
    wait_until("the first detection", || count(&centre) == Some(1));
    centre.kill_and_start_again();
    fs::write(centre.path().join("logs/b.log"), line("whoami").replace("h1", "h2")).expect("room");
    wait_until("that of a new file", || count(&centre) == Some(2));
    let mut known = fs::OpenOptions::new().append(true).open(centre.path().join("logs/a.log")).expect("it is there");
    known.write_all(line("whoami").replace("h1", "h3").as_bytes()).expect("room");
    wait_until("that of the known one", || count(&centre) == Some(3));
    let sources = centre.get("/api/v1/sources").json();
    let names: Vec<&str> =
        sources["items"].as_array().into_iter().flatten().filter_map(|s| s["name"].as_str()).collect();
    assert!(names.iter().any(|name| name.ends_with("logs/b.log")), "{names:?}");
    centre.end();
    assert_eq!(centre.archived(), 3);
}

#[test]
fn detections_are_streamed_as_they_come() {
    let centre = Centre::start();
    let stream = ureq::get(format!("{}/api/v1/stream", centre.url)).header("authorization", centre.bearer());
    let mut told = super::lines(stream.call().expect("a stream").into_body().into_reader());
    centre.deliver(&[], line("whoami"));
    let (_, detection) = next(&mut told);
    assert_eq!((&detection["title"], &detection["seq"].is_u64()), (&"Whoami".into(), &true));
    let (_, incident) = next(&mut told);
    assert_eq!(incident["state"], "new");
    // What came while nobody listened is told to who says where it left off.
    centre.deliver(&[], line("whoami"));
    let last = detection["seq"].to_string();
    let stream = ureq::get(format!("{}/api/v1/stream", centre.url))
        .header("authorization", centre.bearer())
        .header("last-event-id", &last);
    let mut told = super::lines(stream.call().expect("a stream").into_body().into_reader());
    let (_, missed) = next(&mut told);
    assert!(missed["seq"].as_u64() > detection["seq"].as_u64(), "{missed}");
    // Who saw more than there is, before a backup was restored, is told to look, and hears what comes.
    let stream = ureq::get(format!("{}/api/v1/stream", centre.url))
        .header("authorization", centre.bearer())
        .header("last-event-id", "1000000");
    let mut told = super::lines(stream.call().expect("a stream").into_body().into_reader());
    assert_eq!(next(&mut told).0, "missed");
    centre.deliver(&[], line("whoami"));
    assert_eq!(next(&mut told).0, "detection");
}

#[test]
fn a_token_that_is_taken_back_or_ends_hears_no_more() {
    let centre = Centre::start();
    let listen = |token: &str| {
        let stream =
            ureq::get(format!("{}/api/v1/stream", centre.url)).header("authorization", format!("Bearer {token}"));
        super::lines(stream.call().expect("a stream").into_body().into_reader())
    };
    let soon = || Timestamp::now().saturating_add_nanos(10_000_000_000).to_string();
    let issue = |name: &str, expires: Option<&str>| {
        let asked = json!({ "name": name, "role": "viewer", "expires": expires });
        let issued = centre.done("/api/v1/tokens", &asked);
        let text = |of: &Value| of.as_str().expect("a text").to_owned();
        (text(&issued["token"]["id"]), text(&issued["secret"]))
    };
    let [(id, gone), (_, kept)] = [issue("gone", None), issue("kept", None)];
    let [gone, mut kept] = [&gone, &kept].map(|token| listen(token));
    let short = listen(&issue("short", Some(&soon())).1);
    assert_eq!(centre.ask("DELETE", &format!("/api/v1/tokens/{id}"), &[], "").status, 204);
    for ended in [gone, short] {
        wait_until("the end of the stream", || {
            matches!(ended.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Disconnected))
        });
    }
    centre.deliver(&[], line("whoami"));
    assert_eq!(next(&mut kept).1["title"], "Whoami");
}

/// Waits for what a stream tells next, and returns the event and its data.
#[track_caller]
fn next(lines: &mut Receiver<String>) -> (String, Value) {
    let (began, mut event) = (Instant::now(), String::new());
    while began.elapsed() < PATIENCE {
        let line = lines.recv_timeout(PATIENCE).expect("more of the stream");
        if let Some(name) = line.strip_prefix("event: ") {
            name.clone_into(&mut event);
        }
        if let Some(data) = line.strip_prefix("data: ").filter(|_| event != "alive") {
            return (event, serde_json::from_str(data).expect("JSON"));
        }
    }
    panic!("nothing but signs of life");
}
