//! Whatever a person does is in the audit log, and a line that is changed behind its back is found.

use std::process::Command;

use serde_json::{Value, json};

use super::Centre;

#[test]
fn what_people_do_is_in_the_audit_log_and_no_value_of_theirs() {
    let centre = Centre::start();
    let issued = centre.done("/api/v1/tokens", &json!({ "name": "Bob-the-name", "role": "viewer" }));
    let id = issued["token"]["id"].as_str().expect("an id");
    assert_eq!(centre.ask("DELETE", &format!("/api/v1/tokens/{id}"), &[], "").status, 204);
    let rows = centre.items("/api/v1/audit");
    let acts: Vec<&str> = rows.iter().rev().filter_map(|row| row["act"].as_str()).collect();
    // The link, the token of the folder, the first administrator's, and ours.
    assert_eq!(acts, ["make_first_run_link", "issue_token", "issue_token", "issue_token", "revoke_token"]);
    let mine = centre.get("/api/v1/whoami").json()["id"].clone();
    assert!(rows[..2].iter().all(|row| row["actor"] == mine && row["object"] == id), "{rows:?}");
    let text = centre.get("/api/v1/audit").body;
    assert!(!text.contains("Bob-the-name") && !text.contains(issued["secret"].as_str().expect("a secret")));
}

#[test]
fn a_line_that_was_changed_is_found() {
    let mut centre = Centre::start();
    for name in ["one", "two", "three"] {
        centre.token(name, "viewer");
    }
    let whole = centre.get("/api/v1/audit/verify").json();
    assert_eq!((&whole["whole"], &whole["lines"], &whole["wrong"]), (&true.into(), &6.into(), &Value::Null));
    centre.end();
    let change = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); \
                  db.execute(\"update audit set actor = 'somebody' where seq = 3\"); db.commit()";
    let changed = Command::new("python3").args(["-c", change]).arg(centre.data().join("records.db")).status();
    assert!(changed.expect("python3 runs").success());
    centre.start_again();
    let verified = centre.get("/api/v1/audit/verify").json();
    assert_eq!((&verified["whole"], &verified["lines"]), (&false.into(), &2.into()));
    assert!(verified["wrong"].as_str().is_some_and(|wrong| wrong.contains("row 3")), "{verified}");
}
