//! Who may do what: every operation of the description, and every role, over HTTP.
//!
//! What is expected is one table, written out by hand: an operation that is not in it fails the test.

use std::collections::BTreeMap;

use cresset_event::Timestamp;
use serde_json::{Value, json};
use ureq::http::Request;

use super::{Answered, Centre, headers_of, wait_until};

/// The roles, as the columns of [`TABLE`] have them.
const ROLES: [&str; 6] =
    ["viewer", "analyst", "watch_officer", "intelligence_officer", "exercise_director", "administrator"];

/// An operation, the right that it takes (empty: any token), and who has it (`x`), in the order of [`ROLES`].
#[rustfmt::skip]
const TABLE: &[(&str, &str, &str)] = &[
    ("get /api/v1/incidents",                "read",   "xxxxxx"),
    ("get /api/v1/incidents/{id}",           "read",   "xxxxxx"),
    ("post /api/v1/incidents/{id}/assign",   "work",   ".xxx.x"),
    ("post /api/v1/incidents/{id}/notes",    "work",   ".xxx.x"),
    ("post /api/v1/incidents/{id}/tasks",    "work",   ".xxx.x"),
    ("post /api/v1/tasks/{number}/done",     "work",   ".xxx.x"),
    ("post /api/v1/tasks/{number}/reopen",   "work",   ".xxx.x"),
    ("post /api/v1/incidents/{id}/state",    "work",   ".xxx.x"),
    ("post /api/v1/incidents/{id}/merge",    "work",   ".xxx.x"),
    ("post /api/v1/incidents/{id}/split",    "work",   ".xxx.x"),
    ("post /api/v1/incidents/{id}/evidence", "work",   ".xxx.x"),
    ("get /api/v1/incidents/{id}/evidence/{number}", "work", ".xxx.x"),
    ("get /api/v1/detections",               "read",   "xxxxxx"),
    ("get /api/v1/detections/{id}",          "read",   "xxxxxx"),
    ("get /api/v1/stream",                   "read",   "xxxxxx"),
    ("post /api/v1/events",                  "ingest", "....xx"),
    ("get /api/v1/exclusions",               "read",   "xxxxxx"),
    ("post /api/v1/exclusions",              "tune",   ".xx..x"),
    ("delete /api/v1/exclusions/{id}",       "tune",   ".xx..x"),
    ("get /api/v1/silences",                 "read",   "xxxxxx"),
    ("post /api/v1/silences",                "tune",   ".xx..x"),
    ("delete /api/v1/silences/{id}",         "tune",   ".xx..x"),
    ("get /api/v1/assets",                   "read",   "xxxxxx"),
    ("put /api/v1/assets",                   "assets", "..x..x"),
    ("get /api/v1/rules",                    "read",   "xxxxxx"),
    ("put /api/v1/rules/{name}",             "arm",    "...x.x"),
    ("delete /api/v1/rules/{name}",          "arm",    "...x.x"),
    ("get /api/v1/indicators",               "read",   "xxxxxx"),
    ("put /api/v1/indicators/{name}",        "arm",    "...x.x"),
    ("delete /api/v1/indicators/{name}",     "arm",    "...x.x"),
    ("get /api/v1/tokens",                   "tokens", ".....x"),
    ("post /api/v1/tokens",                  "tokens", ".....x"),
    ("delete /api/v1/tokens/{id}",           "tokens", ".....x"),
    ("get /api/v1/whoami",                   "",       "xxxxxx"),
    ("get /api/v1/audit",                    "audit",  "..x..x"),
    ("get /api/v1/audit/verify",             "audit",  "..x..x"),
    ("post /api/v1/backup",                  "backup", ".....x"),
    ("get /api/v1/status",                   "read",   "xxxxxx"),
    ("get /api/v1/sources",                  "read",   "xxxxxx"),
];

/// What is asked beside the API, of which whoever made its protocol has the description.
#[rustfmt::skip]
const BESIDE: &[(&str, &str, &str)] = &[
    ("post /_bulk",                          "ingest", "....xx"),
    ("put /logs/_bulk",                      "ingest", "....xx"),
    ("post /logs/doc/_bulk",                 "ingest", "....xx"),
    ("post /logs/_doc",                      "ingest", "....xx"),
    ("put /logs/_doc/1",                     "ingest", "....xx"),
    ("put /logs/_create/1",                  "ingest", "....xx"),
    ("post /logs/doc",                       "ingest", "....xx"),
    ("post /v1/logs",                        "ingest", "....xx"),
    ("get /metrics",                         "read",   "xxxxxx"),
];

/// Every right there is, as a scope.
const RIGHTS: [&str; 9] = ["read", "ingest", "work", "tune", "assets", "arm", "audit", "tokens", "backup"];

#[test]
fn every_role_may_do_what_the_table_says_and_no_more() {
    let centre = Centre::start_with("[limits]\nrequests_a_second = 10000\nwrong_tokens = 10000\n", &[]);
    assert_eq!(described(&centre), TABLE.iter().map(|(operation, ..)| (*operation).to_owned()).collect::<Vec<_>>());
    for (column, role) in ROLES.iter().enumerate() {
        let token = centre.token(role, role);
        for (operation, right, who) in TABLE.iter().chain(BESIDE) {
            let may = who.as_bytes()[column] == b'x';
            check(&centre, operation, Some(&token), may, role);
            // Of its role's rights a token has those of its scopes.
            if may && !right.is_empty() {
                let others: Vec<&str> = RIGHTS.into_iter().filter(|other| other != right).collect();
                check(&centre, operation, Some(&scoped(&centre, role, &[right])), true, role);
                check(&centre, operation, Some(&scoped(&centre, role, &others)), false, role);
            }
        }
        // A scope gives nothing that its role has not.
        let all = scoped(&centre, role, &RIGHTS);
        for (operation, _, who) in TABLE.iter().chain(BESIDE) {
            check(&centre, operation, Some(&all), who.as_bytes()[column] == b'x', role);
        }
    }
}

#[test]
fn who_is_not_signed_in_may_do_nothing() {
    let centre = Centre::start_with("[limits]\nrequests_a_second = 10000\nwrong_tokens = 10000\n", &[]);
    let revoked = centre.post("/api/v1/tokens", &json!({ "name": "gone", "role": "administrator" })).json();
    let id = revoked["token"]["id"].as_str().expect("an id");
    assert_eq!(ask(&centre, &format!("delete /api/v1/tokens/{id}"), Some(&centre.token)).status, 204);
    let mut expired = Value::Null;
    // One whose end has come before it is there is refused.
    wait_until("one that ends soon", || {
        let soon = Timestamp::now().saturating_add_nanos(2_000_000_000);
        let issue = json!({ "name": "short", "role": "administrator", "expires": soon.to_string() });
        let issued = centre.post("/api/v1/tokens", &issue);
        expired = issued.json();
        issued.status == 201
    });
    let [revoked, expired] = [revoked, expired].map(|issued| issued["secret"].as_str().expect("a secret").to_owned());
    wait_until("its end", || ask(&centre, "get /api/v1/whoami", Some(&expired)).status == 401);
    let other_secret = format!("{}0", centre.token);
    let others = [None, Some("none"), Some("cresset_0_0"), Some(&*other_secret), Some(&revoked), Some(&expired)];
    for (operation, ..) in TABLE.iter().chain(BESIDE) {
        for token in others {
            let answered = ask(&centre, operation, token);
            assert_eq!(answered.status, 401, "{operation} with {token:?}: {answered:?}");
            if is_ours(operation) {
                assert_eq!(answered.header("content-type"), Some("application/problem+json"));
                assert_eq!(answered.header("www-authenticate"), Some("Bearer"));
            }
        }
    }
}

#[test]
fn the_last_who_can_issue_tokens_cannot_be_taken_back_over_the_network() {
    let centre = Centre::start();
    let revoke = |id: &str| ask(&centre, &format!("delete /api/v1/tokens/{id}"), Some(&centre.token));
    let refused = revoke(&id_of(&centre, "Ada"));
    assert_eq!((refused.status, &refused.json()["type"]), (409, &"/problems/conflict".into()));
    assert!(refused.json()["detail"].as_str().is_some_and(|detail| detail.contains("issue one of the role")));
    centre.token("Bob", "administrator");
    assert_eq!(revoke(&id_of(&centre, "Ada")).status, 204);
    // Whoever owns the folder gets in again whatever happens.
    let revoked = centre.cresset(&["token", "revoke", &id_of(&centre, "Bob")]);
    assert_eq!(revoked.status, 0, "{}", revoked.err);
    assert_eq!(centre.cresset(&["token", "issue", "--name", "Eve", "--role", "administrator"]).status, 0);
}

/// Whether we say how a refusal of this operation looks.
fn is_ours(operation: &str) -> bool {
    TABLE.iter().any(|(known, ..)| *known == operation)
}

/// Finds a token by its name, as whoever owns the folder.
fn id_of(centre: &Centre, name: &str) -> String {
    let listed: Value = serde_json::from_str(&centre.cresset(&["token", "list", "-o", "json"]).out).expect("JSON");
    let tokens = listed["items"].as_array().expect("a list");
    let token = tokens.iter().find(|token| token["name"] == name).expect("a token");
    token["id"].as_str().expect("an id").to_owned()
}

fn scoped(centre: &Centre, role: &str, scopes: &[&str]) -> String {
    let answered = centre.post("/api/v1/tokens", &json!({ "name": "scoped", "role": role, "scopes": scopes }));
    answered.json()["secret"].as_str().expect("a secret").to_owned()
}

/// Returns the operations of the description, in the order of the table as far as it has them.
fn described(centre: &Centre) -> Vec<String> {
    let description = centre.get("/api/v1/openapi.json").json();
    let paths: BTreeMap<String, Value> = serde_json::from_value(description["paths"].clone()).expect("paths");
    let place = |operation: &String| TABLE.iter().position(|(known, ..)| known == operation).unwrap_or(usize::MAX);
    let of_path = |(path, item): (String, Value)| {
        let methods: Vec<String> = item.as_object().into_iter().flatten().map(|(method, _)| method.clone()).collect();
        let is_method = |method: &String| ["get", "put", "post", "delete", "patch"].contains(&method.as_str());
        methods.into_iter().filter(is_method).map(move |method| format!("{method} {path}"))
    };
    let mut operations: Vec<String> = paths.into_iter().flat_map(of_path).collect();
    operations.sort_by_key(place);
    operations
}

/// Checks whether somebody may do that. What is asked is nowhere to be found or says nothing, so that nothing is changed: who
/// may not is told so before that is looked at.
#[track_caller]
fn check(centre: &Centre, operation: &str, token: Option<&str>, may: bool, who: &str) {
    let answered = ask(centre, operation, token);
    if may {
        assert!(![401, 403].contains(&answered.status), "{who} may {operation}: {answered:?}");
        assert!(answered.status < 500, "{operation}: {answered:?}");
    } else {
        assert_eq!(answered.status, 403, "{who} may not {operation}: {answered:?}");
        if is_ours(operation) {
            assert_eq!(answered.header("content-type"), Some("application/problem+json"));
        }
    }
}

fn ask(centre: &Centre, operation: &str, token: Option<&str>) -> Answered {
    let (method, path) = operation.split_once(' ').expect("a method and a path");
    let query = if path.ends_with("/evidence") { "?name=n" } else { "" };
    let path = format!("{path}{query}")
        .replace("{id}", "incident--00000000-0000-4000-8000-000000000000")
        .replace("{number}", "1")
        .replace("{name}", "none.yml");
    let mut request = Request::builder().method(method.to_uppercase().as_str()).uri(format!("{}{path}", centre.url));
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    if method == "get" {
        return if path.ends_with("/stream") {
            head_of(centre, request)
        } else {
            centre.send(request.body(()).expect("one"))
        };
    }
    centre.send(request.header("content-type", "application/json").body(body_of(&path)).expect("a request"))
}

/// A body that can be read and is of no use.
fn body_of(path: &str) -> &'static str {
    match path.rsplit('/').next().unwrap_or_default() {
        "assign" => r#"{"owner":null}"#,
        "notes" => r#"{"text":"n"}"#,
        "tasks" => r#"{"title":"t"}"#,
        "state" => r#"{"state":"triage"}"#,
        "merge" => r#"{"from":"incident--00000000-0000-4000-8000-000000000001"}"#,
        "split" => r#"{"detections":["00000000-0000-4000-8000-000000000001"]}"#,
        "exclusions" => r#"{"reason":"r","expires":"2000-01-01T00:00:00Z"}"#,
        "silences" => r#"{"cause":"c","reason":"r","until":"2000-01-01T00:00:00Z"}"#,
        "assets" => r#"{"form":"toml","text":"="}"#,
        "backup" => r#"{"passphrase":"none"}"#,
        "tokens" => r#"{"name":"n","role":"none"}"#,
        _ => "",
    }
}

/// Asks for what has no end, and reads its head alone.
fn head_of(centre: &Centre, request: ureq::http::request::Builder) -> Answered {
    let response = centre.agent.run(request.body(()).expect("a request")).expect("an answer");
    Answered { status: response.status().as_u16(), headers: headers_of(response.headers()), body: String::new() }
}
