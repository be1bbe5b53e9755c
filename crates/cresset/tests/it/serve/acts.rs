//! What people do to incidents, over HTTP; and that all of it is there after a kill.

use std::collections::HashSet;
use std::process::Command;

use cresset_event::Timestamp;
use cresset_testing::not_installed;
use serde_json::{Value, json};

use super::{Centre, wait_until};

fn whoami(host: &str) -> String {
    format!("{{\"cmd\":\"whoami\",\"host\":\"{host}\"}}\n")
}

/// Finds something on each of these machines, and returns the incidents, in their order.
fn incidents<const N: usize>(centre: &Centre, hosts: [&str; N]) -> [String; N] {
    hosts.map(|host| {
        assert_eq!(centre.deliver(&[], whoami(host)).status, 200);
        let item = centre.items(&format!("/api/v1/incidents?q={host}")).pop().expect("an incident");
        item["id"].as_str().expect("an id").to_owned()
    })
}

fn show(centre: &Centre, incident: &str) -> Value {
    centre.get(&format!("/api/v1/incidents/{incident}")).json()
}

fn acts(centre: &Centre, incident: &str) -> Vec<String> {
    let history = show(centre, incident)["history"].as_array().expect("a history").clone();
    history
        .iter()
        .filter(|row| !row["actor"].is_null())
        .map(|row| row["act"].as_str().unwrap_or("").to_owned())
        .collect()
}

fn soon(seconds: i64) -> String {
    Timestamp::now().saturating_add_nanos(seconds * 1_000_000_000).to_string()
}

#[test]
fn an_incident_is_worked_from_beginning_to_end() {
    let mut centre = Centre::start();
    let [incident] = incidents(&centre, ["h1"]);
    let path = |act: &str| format!("/api/v1/incidents/{incident}/{act}");
    centre.done(&path("assign"), &json!({ "owner": "Ada" }));
    centre.done(&path("notes"), &json!({ "text": "seen\nby me" }));
    let task = centre.done(&path("tasks"), &json!({ "title": "look" }))["number"].clone();
    centre.done(&format!("/api/v1/tasks/{task}/done"), &json!({}));
    assert_eq!(centre.post(&format!("/api/v1/tasks/{task}/done"), &json!({})).status, 409, "it is done already");
    centre.done(&format!("/api/v1/tasks/{task}/reopen"), &json!({}));
    assert_eq!(centre.post(&format!("/api/v1/tasks/{task}/reopen"), &json!({})).status, 409, "it is not done");
    assert_eq!(centre.post("/api/v1/tasks/999999/done", &json!({})).status, 404);
    let nowhere = "/api/v1/incidents/incident--00000000-0000-4000-8000-000000000000";
    assert_eq!(centre.post(&format!("{nowhere}/state"), &json!({ "state": "triage" })).status, 404);
    assert_eq!(centre.post(&format!("{nowhere}/merge"), &json!({ "from": incident })).status, 404);
    let (me, shown) = (centre.get("/api/v1/whoami").json(), show(&centre, &incident));
    assert_eq!(shown["notes"][0]["author"], me["id"]);
    assert_eq!(shown["names"], json!({ (me["id"].as_str().expect("an id")): me["name"] }));
    for (state, status) in [
        ("new", 409),
        ("recovered", 409),
        ("triage", 200),
        ("triage", 409),
        ("eradicated", 200),
        ("contained", 409),
        ("recovered", 200),
        ("closed:true-positive", 200),
        ("contained", 409),
        ("closed:benign-positive", 200),
        ("triage", 200),
        ("closed:duplicate", 200),
        ("closed", 400),
        ("closed:", 400),
    ] {
        assert_eq!(centre.post(&path("state"), &json!({ "state": state })).status, status, "{state}");
    }
    let expected = ["assign", "note", "add_task", "finish_task", "reopen_task"].into_iter().map(str::to_owned);
    let expected: Vec<String> = expected.chain((0..7).map(|_| "set_state".to_owned())).collect();
    assert_eq!(acts(&centre, &incident), expected);
    let audited: Vec<Value> = centre.items("/api/v1/audit?limit=500");
    let audited: Vec<&str> = audited.iter().rev().filter_map(|row| row["act"].as_str()).collect();
    assert_eq!(audited[3..], expected, "behind the link, the token of the folder and the first one");
    let before = show(&centre, &incident);
    assert_eq!(
        (&before["incident"]["owner"], &before["incident"]["state"]),
        (&"Ada".into(), &"closed:duplicate".into())
    );
    centre.kill_and_start_again();
    assert_eq!(show(&centre, &incident), before);
    // What is closed is not gone on with: what comes next is another incident, which follows it.
    let [next] = incidents(&centre, ["h1"]).map(|_| centre.items("/api/v1/incidents?state=open").remove(0));
    assert_ne!(next["id"], before["incident"]["id"]);
}

#[test]
fn a_merge_is_undone_by_a_split_also_after_a_kill() {
    let mut centre = Centre::start();
    let [one, two] = incidents(&centre, ["alpha", "bravo"]);
    let merge = format!("/api/v1/incidents/{one}/merge");
    assert_eq!(centre.post(&merge, &json!({ "from": one })).status, 409, "with itself");
    centre.done(&merge, &json!({ "from": two }));
    assert_eq!(show(&centre, &two)["incident"]["merged_into"], json!(one));
    // An act on what went up is done to what it went up in.
    let noted = centre.done(&format!("/api/v1/incidents/{two}/notes"), &json!({ "text": "t" }));
    assert_eq!(noted["incident"], json!(one));
    centre.kill_and_start_again();
    let bravo = centre.items("/api/v1/detections?host=bravo").remove(0);
    assert_eq!(bravo["incident"], json!(one));
    let split = format!("/api/v1/incidents/{one}/split");
    let none = json!({ "detections": ["00000000-0000-4000-8000-000000000001"] });
    assert!([404, 409].contains(&centre.post(&split, &none).status));
    centre.done(&split, &json!({ "detections": [bravo["id"]] }));
    let after = || {
        let of = |host: &str| centre.items(&format!("/api/v1/detections?host={host}")).remove(0)["incident"].clone();
        (of("alpha"), of("bravo"))
    };
    let places = after();
    assert_eq!(places.0, json!(one));
    assert_ne!(places.1, json!(one));
    assert_eq!(acts(&centre, &one), ["merge", "note", "split"]);
    centre.kill_and_start_again();
    incidents(&centre, ["bravo"]);
    let hosts = centre.items("/api/v1/detections?host=bravo");
    assert!(hosts.iter().all(|detection| detection["incident"] == places.1), "the picture is the same: {hosts:?}");
}

/// How much was told to the picture at the last start.
fn told_at_start(centre: &Centre) -> u64 {
    let log = centre.log();
    let started = log.lines().rev().find(|line| line.contains("the picture is that of the records"));
    let said: Value = serde_json::from_str(started.expect("it is said")).expect("JSON");
    said["fields"]["told_since"].as_u64().expect("a number")
}

#[test]
fn a_start_after_a_good_end_is_told_nothing_again_and_goes_on_all_the_same() {
    let mut centre = Centre::start();
    let [one, two] = incidents(&centre, ["alpha", "bravo"]);
    centre.done(&format!("/api/v1/incidents/{one}/merge"), &json!({ "from": two }));
    centre.end();
    centre.start_again();
    assert_eq!(told_at_start(&centre), 0);
    let incident_on = |centre: &Centre, host: &str| {
        assert_eq!(centre.deliver(&[], whoami(host)).status, 200);
        centre.items(&format!("/api/v1/detections?host={host}")).remove(0)["incident"].clone()
    };
    assert_eq!(incident_on(&centre, "bravo"), json!(one));
    // What came since is told again, behind what was kept.
    centre.kill_and_start_again();
    assert_eq!((told_at_start(&centre), incident_on(&centre, "alpha")), (1, json!(one)));
    // What was kept and is of no use is said, and all is told again.
    centre.end();
    let spoilt = "update saved_picture set bytes = x'00'";
    let Ok(ran) = Command::new("sqlite3").arg(centre.data().join("records.db")).arg(spoilt).output() else {
        return not_installed("a picture that was kept and is of no use", "sqlite3");
    };
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    centre.start_again();
    assert!(centre.log().contains("is of no use"), "{}", centre.log());
    assert_eq!((told_at_start(&centre), incident_on(&centre, "bravo")), (5, json!(one)));
}

#[test]
fn what_is_excluded_or_silenced_is_withheld_until_it_is_taken_back_or_has_expired() {
    let mut centre = Centre::start();
    let withheld = |centre: &Centre, host: &str| {
        assert_eq!(centre.deliver(&[], whoami(host)).status, 200);
        let found = centre.items(&format!("/api/v1/detections?host={host}")).remove(0);
        assert_eq!(found["withheld_by"].is_null(), !found["incident"].is_null(), "{found}");
        found["withheld_by"].as_str().map(str::to_owned)
    };
    let exclusion = json!({ "host": "quiet", "reason": "a test", "expires": soon(3600) });
    let id = centre.done("/api/v1/exclusions", &exclusion)["id"].as_str().expect("an id").to_owned();
    assert_eq!(withheld(&centre, "quiet"), Some(format!("exclusion:{id}")));
    assert_eq!(withheld(&centre, "loud"), None);
    centre.kill_and_start_again();
    assert_eq!(withheld(&centre, "quiet"), Some(format!("exclusion:{id}")));
    assert_eq!(centre.ask("DELETE", &format!("/api/v1/exclusions/{id}"), &[], "").status, 204);
    let built = |centre: &Centre| centre.log().matches("the picture is that of the records").count();
    let before = built(&centre);
    assert_eq!(centre.ask("DELETE", &format!("/api/v1/exclusions/{id}"), &[], "").status, 404);
    assert_eq!(built(&centre), before, "what the picture has nothing to do with does not have it built anew");
    assert_eq!(withheld(&centre, "quiet"), None);
    let listed = centre.items("/api/v1/exclusions");
    assert!(listed[0]["removed_at"].is_string() && listed[0]["definition"]["owner"] == "Ada", "{listed:?}");
    let cause = "11111111-1111-4111-8111-111111111111";
    let silence = |seconds| json!({ "cause": cause, "reason": "a test", "until": soon(seconds) });
    let id = centre.done("/api/v1/silences", &silence(3600))["id"].as_str().expect("an id").to_owned();
    assert_eq!(withheld(&centre, "still"), Some(format!("silence:{cause}")));
    assert_eq!(centre.ask("DELETE", &format!("/api/v1/silences/{id}"), &[], "").status, 204);
    assert_eq!(withheld(&centre, "still"), None);
    // One whose end has come before it is there is refused.
    wait_until("a short one", || centre.post("/api/v1/silences", &silence(2)).status == 201);
    wait_until("the end of the silence", || withheld(&centre, "still").is_none());
    for (path, body) in [
        ("exclusions", json!({ "host": "h", "reason": "r", "expires": "2020-01-01T00:00:00Z" })),
        ("exclusions", json!({ "reason": "no condition", "expires": soon(60) })),
        ("silences", json!({ "cause": "c", "reason": " ", "until": soon(60) })),
    ] {
        assert_eq!(centre.post(&format!("/api/v1/{path}"), &body).status, 422, "{body}");
    }
}

#[test]
fn a_false_positive_is_closed_and_excluded_in_one_act() {
    let mut centre = Centre::start();
    let [incident] = incidents(&centre, ["h1"]);
    let path = format!("/api/v1/incidents/{incident}/state");
    let exclude = json!({ "host": "h1", "reason": "the scanner", "expires": soon(3600) });
    let as_attack = json!({ "state": "closed:true-positive", "exclude": exclude });
    assert_eq!(centre.post(&path, &as_attack).status, 422, "an attack is not excluded");
    let expired = json!({ "host": "h1", "reason": "r", "expires": "2020-01-01T00:00:00Z" });
    assert_eq!(centre.post(&path, &json!({ "state": "closed:false-positive", "exclude": expired })).status, 422);
    assert_eq!(show(&centre, &incident)["incident"]["state"], "new", "neither was done");
    centre.done(&path, &json!({ "state": "closed:false-positive", "exclude": exclude }));
    centre.kill_and_start_again();
    assert_eq!(show(&centre, &incident)["incident"]["state"], "closed:false-positive");
    centre.deliver(&[], whoami("h1"));
    assert_eq!(centre.items("/api/v1/incidents?state=open"), Vec::<Value>::new());
    // Behind them the token of the folder was renewed.
    let audited = centre.items("/api/v1/audit?limit=4");
    let audited: HashSet<&str> = audited.iter().filter_map(|row| row["act"].as_str()).collect();
    assert_eq!(audited, HashSet::from(["add_exclusion", "set_state", "revoke_token", "issue_token"]));
}

#[test]
fn what_is_worth_more_comes_first() {
    let mut centre = Centre::start();
    let [one, two] = incidents(&centre, ["alpha", "bravo"]);
    let score = |centre: &Centre, id: &str| show(centre, id)["incident"]["score"].as_u64().expect("a score");
    let before = (score(&centre, &one), score(&centre, &two));
    let assets = json!({ "form": "csv", "text": "name,value\nalpha,vital\n" });
    let answered = centre.ask("PUT", "/api/v1/assets", &[("content-type", "application/json")], assets.to_string());
    assert_eq!(answered.status, 200, "{answered:?}");
    let after = (score(&centre, &one), score(&centre, &two));
    assert!(after.0 > before.0 && after.1 == before.1, "{before:?} {after:?}");
    assert_eq!(centre.items("/api/v1/incidents?order=priority")[0]["id"], json!(one));
    centre.kill_and_start_again();
    assert_eq!((score(&centre, &one), score(&centre, &two)), after);
    assert_eq!(centre.get("/api/v1/assets").json(), assets);
    let unreadable = json!({ "form": "csv", "text": "nothing" }).to_string();
    assert_eq!(centre.ask("PUT", "/api/v1/assets", &[("content-type", "application/json")], unreadable).status, 422);
}

#[test]
fn lists_are_read_to_their_end_without_gap_or_double_while_more_comes() {
    let centre = Centre::start();
    let hosts: String = (0..23).map(|host| whoami(&format!("first-{host}"))).collect();
    assert_eq!(centre.deliver(&[], hosts).status, 200);
    for list in ["detections?q=Whoami", "incidents?order=last", "incidents?order=priority&state=open", "audit?"] {
        let all: HashSet<String> = centre.items(&format!("/api/v1/{list}&limit=500")).iter().map(key).collect();
        let (mut seen, mut cursor, mut parts) = (Vec::new(), String::new(), 0);
        loop {
            let part = centre.get(&format!("/api/v1/{list}&limit=7{cursor}")).json();
            seen.extend(part["items"].as_array().expect("a list").iter().map(key));
            parts += 1;
            centre.deliver(&[], whoami(&format!("late-{parts}")));
            match part["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        let once: HashSet<String> = seen.iter().cloned().collect();
        assert_eq!(once.len(), seen.len(), "{list}: none twice");
        assert!(all.is_subset(&once), "{list}: none left out");
    }
    assert_eq!(centre.items("/api/v1/detections?host=first-3").len(), 1);
    assert_eq!(centre.items("/api/v1/detections?level=critical"), Vec::<Value>::new());
    assert_eq!(centre.items("/api/v1/detections?until=2020-01-01T00:00:00Z"), Vec::<Value>::new());
    let all = centre.items("/api/v1/incidents?limit=500").len();
    assert_eq!(centre.items("/api/v1/incidents?owner=&limit=500").len(), all, "nobody works on any");
    for wrong in ["detections?cursor=x", "detections?from=yesterday", "incidents?cursor=d.1.2"] {
        assert_eq!(centre.get(&format!("/api/v1/{wrong}")).status, 422, "{wrong}");
    }
    for wrong in ["detections?limit=0", "detections?limit=501", "detections?level=loud", "incidents?colour=red"] {
        assert_eq!(centre.get(&format!("/api/v1/{wrong}")).status, 400, "{wrong}");
    }
}

/// What an item of a list is known by.
fn key(item: &Value) -> String {
    item.get("id").or(item.get("number")).expect("an id or a number").to_string()
}
