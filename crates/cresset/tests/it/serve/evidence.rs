//! Files of evidence: larger than memory should hold, kept whole or not at all, and had again as they were.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use ureq::http::Request;

use super::{Answered, Centre, PATIENCE, memory, wait_until};
use crate::RULE;

/// A file that a centre has no memory for: more than it has by itself.
const LARGE_BYTES: usize = 96 << 20;

fn centre(config: &str) -> (Centre, String) {
    let centre = Centre::start_with(config, &[("data/rules/r.yml", RULE)]);
    assert_eq!(centre.deliver(&[], "{\"cmd\":\"whoami\",\"host\":\"h1\"}\n").status, 200);
    let incident = centre.items("/api/v1/incidents")[0]["id"].as_str().expect("an id").to_owned();
    (centre, incident)
}

fn keep(centre: &Centre, incident: &str, name: &str, headers: &[(&str, &str)], bytes: &[u8]) -> Answered {
    centre.ask("POST", &format!("/api/v1/incidents/{incident}/evidence?name={name}"), headers, bytes)
}

/// What is told of the files of an incident.
fn listed(centre: &Centre, incident: &str) -> Vec<Value> {
    let page = centre.get(&format!("/api/v1/incidents/{incident}")).json();
    page["evidence"].as_array().expect("files").clone()
}

/// How many files lie in a folder of the centre.
fn files(centre: &Centre, folder: &str) -> usize {
    fs::read_dir(centre.data().join(folder)).map_or(0, Iterator::count)
}

/// Bytes that do not repeat.
fn bytes(count: usize) -> Vec<u8> {
    (0..count as u64 / 8).flat_map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()).collect()
}

#[test]
fn it_lies_under_its_digest() {
    let (mut centre, incident) = centre("[evidence]\nbytes_max = 5000000\n");
    assert_eq!(keep(&centre, &incident, "a.bin", &[], b"\0\x01bytes").status, 201);
    assert_eq!(keep(&centre, &incident, "b.bin", &[], b"\0\x01bytes").status, 201, "the same file again");
    assert_eq!(files(&centre, "evidence"), 1);
    let known = listed(&centre, &incident);
    assert_eq!(known.iter().map(|file| &file["name"]).collect::<Vec<_>>(), ["a.bin", "b.bin"]);
    assert_eq!(known[0]["sha256"], known[1]["sha256"]);
    let sha256 = known[0]["sha256"].as_str().expect("a digest");
    let folder = centre.data().join("evidence");
    assert_eq!(fs::read(folder.join(sha256)).expect("it is there"), b"\0\x01bytes");
    let none = "incident--00000000-0000-4000-8000-000000000000";
    assert_eq!(keep(&centre, none, "n", &[], b"other").status, 404);
    let large = keep(&centre, &incident, "c.bin", &[], &bytes(5_000_008));
    assert_eq!((large.status, &large.json()["type"]), (413, &"/problems/too-large".into()));
    assert_eq!((files(&centre, "evidence"), files(&centre, "arriving")), (1, 0), "what belongs nowhere is not kept");
    assert_eq!(keep(&centre, &incident, "c.bin", &[], &bytes(5_000_000)).status, 201, "just as large as may be");
    fs::write(centre.data().join("arriving/left"), "by a centre that was killed").expect("room");
    centre.kill_and_start_again();
    assert_eq!((listed(&centre, &incident).len(), files(&centre, "arriving")), (3, 0));
}

#[test]
fn a_large_file_goes_there_and_back_and_is_never_in_memory() {
    let (centre, incident) = centre("");
    let before = memory(&centre);
    let image = bytes(LARGE_BYTES);
    fs::write(centre.path().join("image.raw"), &image).expect("room");
    let kept = centre.cresset(&["evidence", &incident, "image.raw"]);
    assert_eq!((kept.status, &*kept.err), (0, ""), "{}", kept.out);
    let number = listed(&centre, &incident)[0]["number"].as_u64().expect("a number");
    let shown = centre.cresset(&["show", &incident]).out;
    assert!(shown.contains(&format!("  {number}  ")) && shown.contains("image.raw"), "{shown}");
    let number = number.to_string();
    let fetch = |number: &str, file: &str| centre.cresset(&["evidence", &incident, file, "--fetch", number]);
    let fetched = fetch(&number, "again.raw");
    assert_eq!((fetched.status, &*fetched.err), (0, ""), "{}", fetched.out);
    assert!(fs::read(centre.path().join("again.raw")).expect("it is there") == image);
    assert!(memory(&centre) < before + LARGE_BYTES as u64 / 2, "{before}, then {}", memory(&centre));
    assert!(fetch(&number, "again.raw").err.contains("is there already"));
    assert!(fetch("999999", "other.raw").err.contains("there is no evidence 999999"));
    // What is not the file that was kept gets no name.
    let digest = listed(&centre, &incident)[0]["sha256"].as_str().expect("a digest").to_owned();
    fs::write(centre.data().join("evidence").join(digest), "changed").expect("room");
    assert!(fetch(&number, "other.raw").err.contains("not the one that was kept"));
    assert!(!centre.path().join("other.raw").exists());
}

#[test]
fn what_is_fetched_is_to_be_saved_under_a_harmless_name() {
    let (centre, incident) = centre("");
    assert_eq!(keep(&centre, &incident, "%22%0D%0Aa%2F..%C3%BC.html", &[], b"<script>").status, 201);
    let number = listed(&centre, &incident)[0]["number"].clone();
    let path = format!("/api/v1/incidents/{incident}/evidence/{number}");
    let fetched = centre.get(&path);
    assert_eq!((fetched.status, &*fetched.body), (200, "<script>"));
    assert_eq!(fetched.header("content-type"), Some("application/octet-stream"));
    assert_eq!(fetched.header("content-length"), Some("8"));
    let saved = Some("attachment; filename*=UTF-8''%22%0D%0Aa%2F..%C3%BC.html");
    assert_eq!(fetched.header("content-disposition"), saved);
    assert_eq!(centre.deliver(&[], "{\"cmd\":\"whoami\",\"host\":\"h2\"}\n").status, 200);
    let other = centre.items("/api/v1/incidents").into_iter().find_map(|item| {
        let id = item["id"].as_str().expect("an id");
        (id != incident).then(|| id.to_owned())
    });
    let other = other.expect("an incident of the other machine");
    let elsewhere = format!("/api/v1/incidents/{other}/evidence/{number}");
    for none in [&elsewhere, &format!("/api/v1/incidents/{incident}/evidence/1000000")] {
        assert_eq!(centre.get(none).status, 404, "{none}");
    }
    // What goes up in another takes its files with it.
    centre.done(&format!("/api/v1/incidents/{other}/merge"), &json!({ "from": incident }));
    assert_eq!(centre.get(&elsewhere).body, "<script>");
    let viewer = centre.token("v", "viewer");
    let request = Request::get(format!("{}{path}", centre.url)).header("authorization", format!("Bearer {viewer}"));
    assert_eq!(centre.send(request.body(()).expect("a request")).status, 403, "memory has passwords in it");
}

/// Begins to send a file that is said to have so many bytes.
fn begin(centre: &Centre, incident: &str, bytes: u64) -> TcpStream {
    let mut stream = TcpStream::connect(centre.address()).expect("it listens");
    let head = format!(
        "POST /api/v1/incidents/{incident}/evidence?name=n HTTP/1.1\r\nhost: h\r\nauthorization: {}\r\n\
         content-length: {bytes}\r\n\r\n",
        centre.bearer()
    );
    stream.write_all(head.as_bytes()).expect("it reads");
    stream
}

#[test]
fn what_breaks_off_leaves_nothing_behind() {
    let (centre, incident) = centre("");
    let mut stream = begin(&centre, &incident, 2_000_000);
    stream.write_all(&bytes(1_000_000)).expect("it reads");
    wait_until("it is being written", || files(&centre, "arriving") == 1);
    drop(stream);
    wait_until("it is gone", || files(&centre, "arriving") == 0);
    assert_eq!((files(&centre, "evidence"), listed(&centre, &incident).len()), (0, 0));
}

#[test]
fn a_file_that_drips_is_not_waited_for() {
    let (centre, incident) = centre("");
    let mut stream = begin(&centre, &incident, 2_000_000);
    let mut drip = stream.try_clone().expect("another of it");
    // Often enough not to count as silent.
    let dripping = thread::spawn(move || {
        while drip.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(200));
        }
    });
    stream.set_read_timeout(Some(PATIENCE * 4)).expect("a time-out");
    let mut answer = [0; 64];
    let read = stream.read(&mut answer).expect("an answer");
    assert!(answer[..read].starts_with(b"HTTP/1.1 408 "), "{}", String::from_utf8_lossy(&answer));
    wait_until("it is gone", || files(&centre, "arriving") == 0);
    drop((stream, centre));
    dripping.join().expect("it ends with the connection");
}

#[test]
fn only_some_files_arrive_at_once() {
    let (centre, incident) = centre("");
    let mut arriving: Vec<TcpStream> = (0..4).map(|_| begin(&centre, &incident, 2_000_000)).collect();
    arriving.iter_mut().for_each(|stream| stream.write_all(b"begun").expect("it reads"));
    wait_until("they are being written", || files(&centre, "arriving") == 4);
    let refused = keep(&centre, &incident, "n", &[], b"one more");
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("5")));
    drop(arriving.pop());
    wait_until("one is gone", || files(&centre, "arriving") == 3);
    wait_until("there is room", || keep(&centre, &incident, "n", &[], b"one more").status == 201);
}

#[test]
fn what_the_disk_has_no_room_for_is_told_before_it_is_sent() {
    let (centre, incident) = centre("[evidence]\nbytes_max = 9000000000000000000\n");
    let mut stream = begin(&centre, &incident, 1 << 60);
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("\"/problems/full\""), "{answer}");
    assert_eq!(files(&centre, "arriving"), 0);
}

#[test]
fn one_that_is_sent_again_with_its_key_is_kept_once() {
    let (centre, incident) = centre("");
    let key = [("idempotency-key", "k")];
    // More than any other body may have.
    let image = bytes(5 << 20);
    let first = keep(&centre, &incident, "a", &key, &image);
    let again = keep(&centre, &incident, "a", &key, &image);
    assert_eq!((first.status, again.status, &first.body), (201, 201, &again.body));
    assert_eq!(listed(&centre, &incident).len(), 1);
    for other in [keep(&centre, &incident, "b", &key, &image), keep(&centre, &incident, "a", &key, b"other")] {
        assert_eq!((other.status, &other.json()["type"]), (422, &"/problems/key-reused".into()));
    }
    assert_eq!((files(&centre, "evidence"), files(&centre, "arriving")), (1, 0));
    assert_eq!(keep(&centre, &incident, "a", &[("idempotency-key", "a b")], b"other").status, 400);
}
