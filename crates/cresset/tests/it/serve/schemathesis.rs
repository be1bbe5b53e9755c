//! The API is what its description says: Schemathesis, with all its checks, finds nothing.
//!
//! It makes requests out of the description, such as fit it and such as do not, one by one and in chains along the links, and
//! looks whether the answers are those that are described. Skipped where it is not installed (`./setup`).

use std::fs;
use std::path::Path;
use std::process::Command;

use cresset_testing::not_installed;

use super::Centre;

/// Where `./setup` puts it.
const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.tools/python/bin/schemathesis");
/// Requests of each kind and operation, unless `SCHEMATHESIS_EXAMPLES` says otherwise: half a minute of them.
const EXAMPLES: &str = "5";
/// What fits the description and cannot be used all the same is 409, 415 or 422: logs in no known format, rules that do not
/// load, a moment that has passed. Links are those of the description, and no ids are taken from answers: it would take back
/// the token that it uses.
const CONFIG: &str = r#"
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "401", "403", "404", "409", "415", "422", "429", "503"]
[phases.stateful.inference]
algorithms = []
[phases.coverage.extra-data-sources]
responses = false
[phases.fuzzing.extra-data-sources]
responses = false
"#;

#[test]
fn schemathesis_finds_nothing() {
    if !Path::new(PROGRAM).exists() {
        return not_installed("the API", "Schemathesis");
    }
    // It presents tokens that are none by the hundred.
    let limits = "[limits]\nrequests_a_second = 100000\nwrong_tokens = 1000000\n";
    let centre = Centre::start_with(limits, &[("data/rules/r.yml", crate::RULE), ("schemathesis.toml", CONFIG)]);
    let log = "{\"cmd\":\"whoami\",\"host\":\"h1\",\"@timestamp\":\"2026-11-24T07:00:00Z\"}\n";
    assert_eq!(centre.deliver(&[], log).status, 200);
    check(&centre, &[]);
    // Once more what is done to an incident that is there.
    let incident = centre.items("/api/v1/incidents")[0]["id"].clone();
    let named =
        format!("[[operations]]\ninclude-path-regex = \"^/api/v1/incidents/\"\nparameters = {{ id = {incident} }}\n");
    fs::write(centre.path().join("schemathesis.toml"), CONFIG.to_owned() + &named).expect("a file");
    check(&centre, &["--include-path-regex", "^/api/v1/incidents/", "--phases", "coverage,fuzzing"]);
    assert_eq!(centre.get("/api/v1/whoami").status, 200, "its token let it in to the end");
    let log = fs::read_to_string(centre.path().join("log")).expect("its log");
    assert!(!log.contains("panicked") && !log.contains("ERROR"), "{log}");
}

#[track_caller]
fn check(centre: &Centre, args: &[&str]) {
    let examples = std::env::var("SCHEMATHESIS_EXAMPLES");
    // The gate asks the same each time; who looks for more asks something else.
    let seed = if examples.is_ok() { &[][..] } else { &["--seed", "1"] };
    let examples = examples.as_deref().unwrap_or(EXAMPLES);
    let found = Command::new(PROGRAM)
        .args(["run", &format!("{}/api/v1/openapi.json", centre.url), "--checks", "all", "--max-examples", examples])
        .args(seed)
        .args(["--header", &format!("Authorization: {}", centre.bearer()), "--no-color"])
        // It waits for the end of what has none.
        .args(["--exclude-path", "/api/v1/stream", "--request-timeout", "60", "--suppress-health-check", "all"])
        .args(args)
        .current_dir(centre.path())
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&found.stdout);
    assert!(found.status.success(), "{said}");
    // Where it could not come in nothing was tried.
    assert!(!said.contains("Authentication failed") && !said.contains("Rate limited"), "{said}");
}
