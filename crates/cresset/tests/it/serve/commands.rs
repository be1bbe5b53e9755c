//! What people do from the command line, over the API of a centre that runs.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use super::Centre;
use crate::{RULE, Ran};

const RULE_ID: &str = "11111111-1111-4111-8111-111111111111";

/// A line in which the rule finds something, on this host.
fn line(host: &str) -> String {
    format!("{{\"cmd\":\"whoami\",\"host\":\"{host}\",\"@timestamp\":\"2026-11-24T07:00:00Z\"}}\n")
}

/// A centre in which there is an incident on each of these hosts.
fn centre(hosts: &[&str]) -> Centre {
    let centre = Centre::start();
    hosts.iter().for_each(|host| assert_eq!(centre.deliver(&[], line(host)).status, 200));
    centre
}

#[track_caller]
fn good(ran: Ran) -> String {
    assert_eq!((ran.status, &*ran.err), (0, ""), "{}", ran.out);
    ran.out
}

#[track_caller]
fn bad(ran: Ran) -> String {
    assert_eq!((ran.status, &*ran.out), (1, ""), "{}", ran.err);
    assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
    ran.err
}

/// Returns the beginning of the id of the incident on a host.
#[track_caller]
fn incident_on(centre: &Centre, host: &str) -> String {
    let listed: Value = serde_json::from_str(&good(centre.cresset(&["incidents", "-o", "json"]))).expect("JSON");
    let on = |item: &&Value| item["title"].as_str().is_some_and(|title| title.ends_with(host));
    let found = listed["items"].as_array().expect("items").iter().find(on).unwrap_or_else(|| panic!("{listed}"));
    found["id"].as_str().expect("an id").trim_start_matches("incident--")[..8].to_owned()
}

#[test]
fn an_incident_is_worked_on_from_the_list_to_the_verdict() {
    let centre = centre(&["h1", "h2"]);
    let later = line("h1").replace("07:00:00Z", "07:00:05Z");
    assert_eq!(centre.deliver(&[], later).status, 200);
    let listed = good(centre.cresset(&["incidents"]));
    assert_eq!(listed.lines().count(), 3, "{listed}");
    assert!(listed.contains("Whoami on h1") && listed.contains("high") && !listed.contains('\x1b'), "{listed}");
    let id = incident_on(&centre, "h1");
    assert_eq!(good(centre.cresset(&["assign", &id, "ana"])), format!("{id}: ana works on it\n"));
    good(centre.cresset(&["note", &id, "off the network\nsince 07:40"]));
    good(centre.cresset(&["task", &id, "take an image"]));
    fs::write(centre.path().join("memory.txt"), "bytes").expect("room");
    good(centre.cresset(&["evidence", &id, "memory.txt"]));
    let shown = good(centre.cresset(&["show", &id]));
    for part in [
        "ana works on it",
        "off the network",
        "[ ] ",
        "take an image",
        "memory.txt, 5 bytes",
        "cmd: whoami",
        "5 s apart, by host h1",
        "Score",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let number = shown.split("[ ] ").nth(1).and_then(|rest| rest.split(' ').next()).expect("a number");
    good(centre.cresset(&["task", &id, "--done", number]));
    let other = incident_on(&centre, "h2");
    assert!(bad(centre.cresset(&["task", &other, "--done", number])).contains("has no task"));
    assert!(bad(centre.cresset(&["state", &id, "contained"])).contains("in one step"));
    good(centre.cresset(&["state", &id, "triage"]));
    good(centre.cresset(&["state", &id, "contained"]));
    good(centre.cresset(&["close", &id, "--verdict", "false-positive"]));
    let shown = good(centre.cresset(&["show", &id, "-o", "json"]));
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(shown["incident"]["incident"]["state"], "closed:false-positive");
    assert_eq!(shown["detections"][0]["record"]["matched"][0]["value"], "whoami");
    assert!(!good(centre.cresset(&["incidents"])).contains("Whoami on h1"));
    assert!(good(centre.cresset(&["incidents", "--state", "all"])).contains("Whoami on h1"));
    assert!(good(centre.cresset(&["incidents", "--owner", "ana", "--state", "closed"])).contains("ana"));
}

#[test]
fn what_belongs_together_is_merged_and_split_again() {
    let centre = centre(&["h1", "h2"]);
    let (one, other) = (incident_on(&centre, "h1"), incident_on(&centre, "h2"));
    good(centre.cresset(&["merge", &one, &other]));
    let merged = good(centre.cresset(&["show", &one]));
    assert!(merged.contains("2 detections") && merged.contains("\"kind\":\"hand\""), "{merged}");
    let detections = centre.get("/api/v1/detections?host=h2").json();
    let detection = detections["items"][0]["id"].as_str().expect("an id");
    good(centre.cresset(&["split", &one, &detection[..6]]));
    assert!(good(centre.cresset(&["show", &one])).contains("1 detection\n"));
    assert!(bad(centre.cresset(&["split", &one, "zz"])).contains("begins with `zz`"));
}

#[test]
fn a_problem_is_one_line_with_its_remedy() {
    let mut centre = centre(&["h1"]);
    assert!(bad(centre.cresset(&["show", "ffff"])).contains("no incident has an id that begins with `ffff`"));
    assert!(bad(centre.cresset(&["incidents", "--priority", "P9"])).contains("priority: one of P1, P2, P3 and P4"));
    let id = incident_on(&centre, "h1");
    assert!(bad(centre.cresset(&["close", &id, "--verdict", "no\x1b[2J"])).contains("\\x1b[2J"));
    let viewer = centre.token("v", "viewer");
    let refused = centre.cresset(&["note", &id, "text", "--url", &centre.url, "--token", &viewer]);
    assert!(bad(refused).contains("Not allowed: the token's role or scopes do not have the right `work`"));
    assert!(bad(centre.cresset(&["status", "--url", &centre.url])).contains("wants a token"));
    assert!(bad(centre.cresset(&["status", "--url", "http://192.0.2.1:1", "--token", "t"])).contains("in clear"));
    let local = centre.data().join("local.json");
    assert_eq!(fs::metadata(&local).expect("a file").permissions().mode() & 0o777, 0o600);
    centre.end();
    assert!(!local.exists());
    assert!(bad(centre.cresset(&["incidents"])).contains("no centre runs in `"));
}

#[test]
fn the_token_of_the_folder_is_another_one_at_each_start() {
    let mut centre = Centre::start();
    let token = |centre: &Centre| {
        let local: Value =
            serde_json::from_slice(&fs::read(centre.data().join("local.json")).expect("a file")).expect("JSON");
        local["token"].as_str().expect("a token").to_owned()
    };
    let first = token(&centre);
    centre.kill_and_start_again();
    assert!(bad(centre.cresset(&["status", "--url", &centre.url, "--token", &first])).contains("Nobody is signed in"));
    let second = token(&centre);
    centre.end();
    centre.start_again();
    assert!(bad(centre.cresset(&["status", "--url", &centre.url, "--token", &second])).contains("Nobody is signed in"));
    good(centre.cresset(&["status"]));
}

#[test]
fn the_owner_of_the_folder_is_not_the_first_administrator() {
    let folder = tempfile::tempdir().expect("a folder");
    let args = ["serve", "--data", "data", "--listen", "127.0.0.1:0"].map(str::to_owned);
    for _ in 0..2 {
        let (mut child, _, link) = super::spawn(folder.path(), &args, super::PATIENCE);
        child.kill().expect("it runs");
        child.wait().expect("it ends");
        assert!(link.is_some(), "nobody came in yet");
    }
}

#[test]
fn tokens_are_issued_listed_and_taken_back() {
    let centre = Centre::start();
    let issued = centre.cresset(&["token", "issue", "--name", "bad\x1bname", "--role", "viewer", "--scope", "read"]);
    assert!(issued.status == 0 && issued.err.contains("shown this once"), "{}", issued.err);
    let secret = issued.out.trim().to_owned();
    let id = secret.split('_').nth(1).expect("an id").to_owned();
    good(centre.cresset(&["status", "--url", &centre.url, "--token", &secret]));
    let listed = good(centre.cresset(&["token", "list"]));
    assert!(listed.contains(&id) && listed.contains("bad\\x1bname") && !listed.contains(&secret), "{listed}");
    good(centre.cresset(&["token", "revoke", &id]));
    assert!(!good(centre.cresset(&["token", "list"])).contains(&id));
    assert!(good(centre.cresset(&["token", "list", "--all"])).contains(&id));
    assert!(bad(centre.cresset(&["token", "issue", "--name", "n", "--role", "king"])).contains("roles are"));
}

#[test]
fn what_is_left_out_is_said_and_taken_back() {
    let centre = Centre::start();
    let held = good(centre.cresset(&[
        "exclude",
        "--rule",
        RULE_ID,
        "--host",
        "h1",
        "--reason",
        "the build",
        "--until",
        "2099-01-01",
    ]));
    let id = held.split(' ').next().expect("an id").to_owned();
    centre.deliver(&[], line("h1") + &line("h2"));
    let listed = good(centre.cresset(&["incidents"]));
    assert!(listed.contains("on h2") && !listed.contains("on h1"), "{listed}");
    assert!(good(centre.cresset(&["exclude", "--list"])).contains("the build"));
    good(centre.cresset(&["exclude", "--end", &id]));
    assert_eq!(good(centre.cresset(&["exclude", "--list"])), "nothing is left out\n");
    good(centre.cresset(&["silence", "--rule", RULE_ID, "--reason", "noise", "--until", "2099-01-01"]));
    assert!(good(centre.cresset(&["silence", "--list"])).contains(RULE_ID));
}

#[test]
fn status_says_what_comes_in_and_what_is_wrong() {
    let centre = Centre::start_with("", &[("data/rules/r.yml", RULE), ("data/rules/bad.yml", "title: [\n")]);
    centre.deliver(&[("cresset-source", "web")], line("h1"));
    let status = good(centre.cresset(&["status"]));
    for part in ["all is well", "4 rules", "refused:", "bad.yml", "last heard"] {
        assert!(status.contains(part), "{part}: {status}");
    }
    let status: Value = serde_json::from_str(&good(centre.cresset(&["status", "-o", "json"]))).expect("JSON");
    assert!(status["status"]["events"].as_u64() > Some(0) && status["sources"]["items"].is_array(), "{status}");
}

#[test]
fn the_audit_log_is_looked_at_with_and_without_its_centre() {
    let mut centre = centre(&["h1"]);
    let verified = good(centre.cresset(&["audit", "verify"]));
    let head = verified.trim().rsplit(' ').next().expect("a head").to_owned();
    centre.cresset(&["note", &incident_on(&centre, "h1"), "more"]);
    let (count, hash) = head.split_once(':').expect("count and digest");
    let other = format!("{count}:{}", hash.chars().rev().collect::<String>());
    let later = format!("999999:{hash}");
    let check = |centre: &Centre| {
        good(centre.cresset(&["audit", "verify", "--head", &head]));
        for (head, says) in [(&other, "is another one than was noted"), (&later, "is not there any more")] {
            let wrong = centre.cresset(&["audit", "verify", "--head", head]);
            assert!(wrong.status == 1 && wrong.out.contains(says), "{}{}", wrong.out, wrong.err);
        }
    };
    check(&centre);
    centre.end();
    check(&centre);
    let none = centre.cresset(&["audit", "verify", "--data", "nowhere"]);
    assert!(bad(none).contains("no centre keeps its records there"));
}

#[test]
fn over_tls_only_a_certificate_that_is_vouched_for_is_believed() {
    let run = crate::Run::new(&[("c.toml", "data = \"data\"\nlisten = \"127.0.0.1:0\"\n[tls]\non = true\n")]);
    let (mut child, url, _) =
        super::spawn(run.path(), &["serve", "--config", "c.toml"].map(str::to_owned), super::NO_LINK);
    let issued = run.cresset(&["token", "issue", "--name", "t", "--role", "viewer", "--data", "data"]);
    assert_eq!(issued.status, 0, "{}", issued.err);
    let token = issued.out.trim();
    let with = |more: &[&str]| run.cresset(&[&["status", "--url", &url, "--token", token][..], more].concat());
    let local: Value =
        serde_json::from_slice(&fs::read(run.path().join("data/local.json")).expect("a file")).expect("JSON");
    let fingerprint = local["fingerprint"].as_str().expect("a fingerprint");
    let believed = [with(&["--ca", "data/tls/certificate.pem"]), with(&["--fingerprint", fingerprint])];
    let refused = [with(&[]), with(&["--fingerprint", &vec!["00"; 32].join(":")])];
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    believed.into_iter().for_each(|ran| drop(good(ran)));
    refused.into_iter().for_each(|ran| assert!(bad(ran).contains("cannot reach the centre")));
}
