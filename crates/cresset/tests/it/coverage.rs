//! `cresset rules coverage`.

use cresset_testing::corpus;
use serde_json::Value;

use crate::Run;

/// A rule of this title, level, log source and tags.
fn rule(title: &str, level: &str, source: &str, tags: &str) -> String {
    format!(
        "title: \"{title}\"\nlogsource: {{{source}}}\ndetection:\n  s: {{a: b}}\n  condition: s\nlevel: {level}\ntags: [{tags}]\n---\n"
    )
}

fn rules() -> String {
    rule("Shell", "high", "product: windows, category: process_creation", "attack.execution, attack.t1059.001")
        + &rule("Run key", "low", "product: windows, category: registry_set", "attack.persistence, attack.t1547.001")
        // Which of the two serves which tactic, the two rules above say.
        + &rule(
            "Both",
            "medium",
            "product: OSbornE",
            "attack.execution, attack.persistence, attack.t1059.001, attack.t1547.001",
        )
        + &rule("Tactic only", "medium", "product: linux, service: sshd", "attack.initial-access")
        + &rule("Web \\e[31m", "high", "category: webserver", "cve.2021-44228")
}

fn json(ran: &crate::Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error} in {} {}", ran.out, ran.err))
}

#[test]
fn it_counts_by_tactic_and_technique_and_names_what_has_no_tag() {
    let run = Run::new(&[("r.yml", &rules())]);
    let ran = run.cresset(&["rules", "coverage", "r.yml"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    for said in [
        "ATT&CK coverage: 2 techniques in 5 rules\n  3 name techniques, 1 a tactic only, 1 neither;",
        "    Initial Access                  0        1  ▪",
        "    Execution                       1        2  ▪",
        "    Persistence                     1        2  ▪",
        "    Impact                          0        0\n",
        "    T1059.001                                2  ▪",
        "    high          Web \\x1b[31m  r.yml",
        "           1  osborne\n\n  4 of 5 rules have a log source that can be read\n  1 rule wait",
    ] {
        assert!(ran.out.contains(said), "{said:?} in:\n{}", ran.out);
    }
    assert!(!ran.out.contains('\x1b') && !ran.out.contains("Evasion"), "{}", ran.out);
    assert!(run.cresset(&["rules", "coverage", "r.yml", "--color", "always"]).out.contains("\x1b[1m\x1b[31m▪"));
}

#[test]
fn logs_say_which_log_sources_are_missing() {
    let sshd = "Nov 24 07:00:00 host sshd[1]: Accepted password for anna from 192.0.2.1 port 5 ssh2\n";
    let run = Run::new(&[("rules/r.yml", &rules()), ("logs/auth.log", sshd), ("logs/noise", "\u{1}\u{2}\n")]);
    let ran = run.cresset(&["rules", "coverage", "rules", "-o", "json", "--logs", "logs/auth.log"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    let coverage = json(&ran);
    assert_eq!(coverage["fed_by"], "logs");
    assert_eq!(coverage["rules_fed"], 1);
    let missing = coverage["sources_missing"].as_array().expect("a list");
    assert_eq!(missing.len(), 4);
    assert_eq!(missing[0]["rules"], 1);
    assert_eq!(coverage["untagged"][0]["title"], "Web \u{1b}[31m");
    assert_eq!(coverage["levels"]["high"], 2);
    // What cannot be read is told, and the status says so.
    let ran = run.cresset(&["rules", "coverage", "rules", "--logs", "logs", "nowhere"]);
    assert_eq!(ran.status, 1);
    assert!(ran.err.contains("logs/noise") && ran.err.contains("nowhere"), "{}", ran.err);
    assert!(ran.out.contains("1 of 5 rules have a log source that is in these logs"), "{}", ran.out);
}

#[test]
fn a_correlation_over_rules_that_are_not_fed_is_counted() {
    let correlation =
        "title: Many\ncorrelation:\n  type: event_count\n  rules: [base]\n  timespan: 1m\n  condition: {gte: 2}\n";
    let base = rule("Base", "low", "product: osborne", "").replace("logsource", "name: base\nlogsource");
    let run = Run::new(&[("r.yml", &(base + correlation))]);
    let ran = run.cresset(&["rules", "coverage", "r.yml"]);
    assert!(ran.out.ends_with("  1 correlation cannot fire without them\n"), "{}", ran.out);
}

#[test]
fn rules_that_do_not_load_are_said() {
    let run = Run::new(&[("r.yml", &(rules() + "title: Bad\n")), ("none/a.txt", "")]);
    let ran = run.cresset(&["rules", "coverage", "r.yml"]);
    assert_eq!(ran.status, 1);
    assert!(ran.err.contains("1 rule refused") && ran.out.contains("in 5 rules"), "{}{}", ran.err, ran.out);
    assert_eq!(run.cresset(&["rules", "coverage", "none"]).status, 1);
}

/// Names and types after the definition of the layer format, version 4.5.
#[test]
fn the_layer_is_one_of_the_navigator() {
    let run = Run::new(&[("r.yml", &rules()), ("layer.json", "an old one")]);
    let ran = run.cresset(&["rules", "coverage", "r.yml", "--navigator", "layer.json"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    let text = std::fs::read_to_string(run.path().join("layer.json")).expect("the layer");
    let layer: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(layer["versions"], serde_json::json!({"navigator": "5.0.0", "layer": "4.5"}));
    assert_eq!(layer["domain"], "enterprise-attack");
    assert_eq!(layer["sorting"], 3);
    assert_eq!(layer["hideDisabled"], false);
    let gradient = &layer["gradient"];
    assert!(gradient["minValue"].as_u64() < gradient["maxValue"].as_u64());
    assert_eq!(
        gradient["colors"].as_array().expect("a list").len(),
        layer["legendItems"].as_array().expect("a list").len()
    );
    let expected = serde_json::json!({"techniqueID": "T1059.001", "score": 2, "comment": "Shell\nBoth", "enabled": true,
        "metadata": [{"name": "high", "value": "1"}, {"name": "medium", "value": "1"}]});
    assert_eq!(layer["techniques"][0], expected);
    let left: Vec<_> = std::fs::read_dir(run.path()).expect("the folder").collect();
    assert_eq!(left.len(), 2, "nothing is left beside it: {left:?}");

    let ran = run.cresset(&["rules", "coverage", "r.yml", "--navigator", "nowhere/layer.json"]);
    assert_eq!(ran.status, 1);
    assert!(ran.err.contains("cannot write the layer to `nowhere/layer.json`"), "{}", ran.err);
}

#[test]
fn sigmahq_covers_what_it_covers() {
    let Some(corpus) = corpus() else { return };
    let rules = corpus.join("sigma/rules");
    let ran = Run::new(&[]).cresset(&["rules", "coverage", rules.to_str().expect("UTF-8"), "-o", "json"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    let coverage = json(&ran);
    let sum =
        |list: &Value| -> u64 { list.as_array().expect("a list").iter().filter_map(|row| row["rules"].as_u64()).sum() };
    let rules = coverage["rules"].as_u64().expect("a number");
    assert!(rules > 3000);
    assert_eq!(rules, coverage["rules_fed"].as_u64().expect("a number") + sum(&coverage["sources_missing"]));
    assert_eq!(coverage["techniques"][0]["technique"], "T1059.001");
    assert!(sum(&coverage["tactics"]) > rules);
}
