//! What is sent again with its key is done once, whatever happens in between.

use std::thread;

use serde_json::{Value, json};

use super::{Answered, Centre};

const JSON: (&str, &str) = ("content-type", "application/json");

fn with_key(centre: &Centre, key: &str, path: &str, body: &Value) -> Answered {
    centre.ask("POST", path, &[JSON, ("idempotency-key", key)], body.to_string())
}

fn incident(centre: &Centre) -> String {
    centre.deliver(&[], "{\"cmd\":\"whoami\",\"host\":\"h1\"}\n");
    centre.items("/api/v1/incidents")[0]["id"].as_str().expect("an id").to_owned()
}

fn notes(centre: &Centre, incident: &str) -> usize {
    centre.get(&format!("/api/v1/incidents/{incident}")).json()["notes"].as_array().expect("notes").len()
}

#[test]
fn an_act_that_comes_again_is_answered_and_not_done_again() {
    let mut centre = Centre::start();
    let incident = incident(&centre);
    let path = format!("/api/v1/incidents/{incident}/notes");
    let first = with_key(&centre, "k", &path, &json!({ "text": "once" }));
    assert_eq!(first.status, 200, "{first:?}");
    for _ in 0..2 {
        let again = with_key(&centre, "k", &path, &json!({ "text": "once" }));
        assert_eq!((again.status, &again.body), (200, &first.body));
        centre.kill_and_start_again();
    }
    assert_eq!(notes(&centre, &incident), 1);
    let other = with_key(&centre, "k", &path, &json!({ "text": "other" }));
    assert_eq!((other.status, &other.json()["type"]), (422, &"/problems/key-reused".into()));
    let elsewhere = format!("/api/v1/incidents/{incident}/tasks");
    assert_eq!(with_key(&centre, "k", &elsewhere, &json!({ "title": "once" })).status, 422);
    assert_eq!(with_key(&centre, "k2", &path, &json!({ "text": "once" })).status, 200);
    assert_eq!(centre.post(&path, &json!({ "text": "once" })).status, 200);
    assert_eq!(notes(&centre, &incident), 3, "another key, or none, is another act");
    for key in ["", "a b", &"x".repeat(201)] {
        assert_eq!(with_key(&centre, key, &path, &json!({ "text": "t" })).status, 400, "{key}");
    }
}

#[test]
fn of_those_that_come_at_the_same_moment_one_is_done() {
    let centre = Centre::start();
    let incident = incident(&centre);
    for round in 0..5 {
        let (path, key) = (format!("/api/v1/incidents/{incident}/notes"), format!("k{round}"));
        let bodies: Vec<String> = thread::scope(|scope| {
            let ask = || scope.spawn(|| with_key(&centre, &key, &path, &json!({ "text": "t" })));
            let asked: Vec<_> = (0..8).map(|_| ask()).collect();
            asked.into_iter().map(|asked| asked.join().expect("no panic").body).collect()
        });
        assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
        assert_eq!(notes(&centre, &incident), round + 1);
    }
}

#[test]
fn what_was_refused_was_not_done_and_is_tried_again() {
    let centre = Centre::start();
    let incident = incident(&centre);
    let path = format!("/api/v1/incidents/{incident}/state");
    let contained = json!({ "state": "contained" });
    assert_eq!(with_key(&centre, "k", &path, &contained).status, 409, "nobody has looked at it");
    centre.done(&path, &json!({ "state": "triage" }));
    assert_eq!(with_key(&centre, "k", &path, &contained).status, 200);
    assert_eq!(with_key(&centre, "k", &path, &contained).status, 200, "as before");
}

#[test]
fn a_secret_is_told_once() {
    let centre = Centre::start();
    let body = json!({ "name": "n", "role": "viewer" });
    let first = with_key(&centre, "k", "/api/v1/tokens", &body);
    assert_eq!(first.status, 201, "{first:?}");
    let again = with_key(&centre, "k", "/api/v1/tokens", &body);
    assert_eq!((again.status, &again.json()["type"]), (409, &"/problems/told-once".into()));
    assert!(again.body.contains(first.json()["token"]["id"].as_str().expect("an id")), "it says which: {again:?}");
    assert_eq!(centre.items("/api/v1/tokens").len(), 3, "and it is one, beside the first and that of the folder");
}

#[test]
fn a_key_belongs_to_whoever_sends_it() {
    let centre = Centre::start();
    let incident = incident(&centre);
    let path = format!("/api/v1/incidents/{incident}/notes");
    assert_eq!(with_key(&centre, "k", &path, &json!({ "text": "t" })).status, 200);
    let other = format!("Bearer {}", centre.token("other", "analyst"));
    let request = ureq::http::Request::post(format!("{}{path}", centre.url)).header("authorization", other);
    let request = request.header("content-type", "application/json").header("idempotency-key", "k");
    assert_eq!(centre.send(request.body("{\"text\":\"t\"}").expect("a request")).status, 200);
    assert_eq!(notes(&centre, &incident), 2);
}

#[test]
fn a_long_one_is_taken_with_a_key_as_it_is_without() {
    let centre = Centre::start();
    let body = json!({ "form": "toml", "text": format!("# {}\n", "x".repeat(3 << 20)) });
    let put = |headers: &[(&str, &str)]| centre.ask("PUT", "/api/v1/assets", headers, body.to_string()).status;
    assert_eq!((put(&[JSON]), put(&[JSON, ("idempotency-key", "k")])), (200, 200));
    let longer = json!({ "form": "csv", "text": "x".repeat(5 << 20) }).to_string();
    assert_eq!(centre.ask("PUT", "/api/v1/assets", &[JSON, ("idempotency-key", "l")], longer).status, 413);
}
