//! Each line of `docs/api.md` that is to be typed, as it stands there.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::Centre;
use cresset_testing::not_installed;

#[test]
fn what_the_page_says_works() {
    if Command::new("curl").arg("--version").output().is_err() {
        return not_installed("what the page says", "curl");
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/api.md");
    let page = fs::read_to_string(page).expect("the page");
    let examples: String = page.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(examples.lines().count() > 10, "it has examples");
    let centre = Centre::start_with("", &[("rule.yml", crate::RULE)]);
    // How long a rule takes until it is in effect depends on the machine.
    let in_effect = "until curl -H \"Authorization: Bearer $TOKEN\" \"$CRESSET/api/v1/status\" | grep -q '\"rules\":4'; do sleep 0.1; done\n";
    assert_eq!(examples.matches("sleep 5\n").count(), 1);
    let examples = examples.replace("sleep 5\n", in_effect);
    // A refusal, or an answer without what the next line takes from it, ends it.
    let script = format!("set -eu\ncurl() {{ command curl --fail-with-body -sS \"$@\"; }}\n{examples}");
    let run = Command::new("bash")
        .args(["-c", &script])
        .env("CRESSET", &centre.url)
        .env("TOKEN", &centre.token)
        .current_dir(centre.path())
        .output()
        .expect("bash runs");
    let (said, wrong) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{said}\n{wrong}");
    assert_eq!(centre.items("/api/v1/incidents?state=triage").len(), 1, "{said}");
}
