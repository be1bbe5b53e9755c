//! Rules and indicators that are added over the API.

use std::fs;

use super::{Centre, wait_until};

#[test]
fn a_rule_is_added_takes_effect_and_is_taken_away() {
    let centre = Centre::start_with("", &[]);
    let put = |name: &str, text: &str| centre.ask("PUT", &format!("/api/v1/rules/{name}"), &[], text);
    let answered = put("whoami.yml", crate::RULE);
    assert_eq!(answered.status, 200, "{answered:?}");
    assert_eq!(fs::read_to_string(centre.data().join("rules/whoami.yml")).expect("it is there"), crate::RULE);
    assert_eq!(centre.items("/api/v1/rules")[0]["name"], "whoami.yml");
    wait_until("what it finds", || {
        centre.deliver(&[], "{\"cmd\":\"whoami\"}\n");
        !centre.items("/api/v1/detections").is_empty()
    });
    let refused = put("bad.yml", "title: Bad\nlogsource: {}\ndetection:\n  sel: {a: 1}\n  condition: other\n");
    assert_eq!((refused.status, &refused.json()["type"]), (422, &"/problems/content".into()));
    let detail = refused.json()["detail"].as_str().expect("why").to_owned();
    assert!(detail.starts_with("bad.yml:1: "), "file, line and reason: {detail}");
    assert_eq!(put("empty.yml", "").status, 422);
    assert_eq!(put("rule.txt", crate::RULE).status, 422);
    for name in ["..%2Fx.yml", ".x.yml", "X.yml", "%00.yml"] {
        assert_eq!(put(name, crate::RULE).status, 400, "{name}");
    }
    assert_eq!(
        fs::read_dir(centre.data().join("rules")).expect("a folder").count(),
        1,
        "what is refused is not written"
    );
    assert_eq!(centre.ask("DELETE", "/api/v1/rules/whoami.yml", &[], "").status, 204);
    assert_eq!(centre.ask("DELETE", "/api/v1/rules/whoami.yml", &[], "").status, 404);
    let audited: Vec<_> = centre.items("/api/v1/audit?limit=2").iter().map(|row| row["act"].clone()).collect();
    assert_eq!(audited, ["delete_rules", "put_rules"]);
}

#[test]
fn indicators_are_added_and_taken_away() {
    let centre = Centre::start();
    let answered = centre.ask("PUT", "/api/v1/indicators/list.txt", &[], "198.51.100.7\n");
    assert_eq!(answered.status, 200, "{answered:?}");
    assert_eq!(fs::read_to_string(centre.data().join("indicators/list.txt")).expect("it is there"), "198.51.100.7\n");
    assert_eq!(centre.ask("PUT", "/api/v1/indicators/none.txt", &[], "\n").status, 422);
    // The folder of those that are fetched is no file that could be replaced.
    let taken = centre.ask("PUT", "/api/v1/indicators/fetched", &[], "198.51.100.7\n");
    assert_eq!(taken.status, 409, "{taken:?}");
    assert_eq!(centre.ask("DELETE", "/api/v1/indicators/list.txt", &[], "").status, 204);
    assert!(centre.items("/api/v1/indicators").is_empty());
}
