//! The API is what its description says: Schemathesis, with all its checks, finds nothing.
//!
//! It makes requests out of the description, such as fit it and such as do not, one by one and in chains along the links, and
//! looks whether the answers are those that are described. Skipped where it is not installed (`./setup`).

use std::fs;
use std::path::Path;
use std::process::Command;

use super::Centre;

/// Where `./setup` puts it.
const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.tools/python/bin/schemathesis");
/// Requests of each kind and operation, unless `SCHEMATHESIS_EXAMPLES` says otherwise: half a minute of them.
const EXAMPLES: &str = "5";
/// What fits the description and cannot be used all the same is 409, 415 or 422: logs in no known format, rules that do not
/// load, a moment that has passed. Links are those of the description: with its own guesses it takes back its own token.
const CONFIG: &str = "[checks.positive_data_acceptance]\n\
    expected-statuses = [\"2xx\", \"401\", \"403\", \"404\", \"409\", \"415\", \"422\", \"429\", \"503\"]\n\
    [phases.stateful.inference]\nalgorithms = []\n";

#[test]
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn schemathesis_finds_nothing() {
    if !Path::new(PROGRAM).exists() {
        eprintln!("skipped: Schemathesis is not installed (./setup)");
        return;
    }
    // It presents tokens that are none by the hundred.
    let limits = "[limits]\nrequests_a_second = 100000\nwrong_tokens = 1000000\n";
    let centre = Centre::start_with(limits, &[("data/rules/r.yml", crate::RULE), ("schemathesis.toml", CONFIG)]);
    let log = "{\"cmd\":\"whoami\",\"host\":\"h1\",\"@timestamp\":\"2026-11-24T07:00:00Z\"}\n";
    assert_eq!(centre.deliver(&[], log).status, 200);
    let examples = std::env::var("SCHEMATHESIS_EXAMPLES").unwrap_or_else(|_| EXAMPLES.to_owned());
    let found = Command::new(PROGRAM)
        .args(["run", &format!("{}/api/v1/openapi.json", centre.url), "--checks", "all", "--max-examples", &examples])
        .args(["--header", &format!("Authorization: {}", centre.bearer()), "--no-color"])
        // It waits for the end of what has none.
        .args(["--exclude-path", "/api/v1/stream", "--request-timeout", "10"])
        .current_dir(centre.path())
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&found.stdout);
    assert!(found.status.success(), "{said}");
    // Nothing was tested where it could not come in.
    assert!(!said.contains("Authentication failed") && !said.contains("Rate limited"), "{said}");
    let log = fs::read_to_string(centre.path().join("log")).expect("its log");
    assert!(!log.contains("panicked") && !log.contains("ERROR"), "{log}");
}
