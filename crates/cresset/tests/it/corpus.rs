//! The corpus, where it is: real rules over real logs of attacks.

use std::collections::BTreeMap;
use std::path::Path;

use cresset_testing::corpus;

use crate::Run;

/// Rules of the corpus that do not load, each with the reason: none at present.
const REFUSED: &[&str] = &[];

#[test]
fn every_rule_loads() {
    let Some(corpus) = corpus() else { return };
    let ran = Run::new(&[]).cresset(&["rules", "check", path(&corpus.join("sigma")), "--output", "json"]);
    let checked: serde_json::Value = serde_json::from_str(&ran.out).expect("one JSON object");
    let refused: Vec<&str> =
        checked["refused"].as_array().expect("a list").iter().filter_map(|refused| refused["file"].as_str()).collect();
    assert_eq!(refused, REFUSED);
    assert_eq!(checked["loaded"], 3754);
}

#[test]
fn the_zeek_log_is_read_to_its_last_line() {
    let Some(corpus) = corpus() else { return };
    let log = corpus.join("zeek");
    let rules = corpus.join("sigma/rules/network");
    let ran = Run::new(&[]).cresset(&["watch", path(&log), "-r", path(&rules), "--strict"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(ran.out.contains("2140 events of 1 source (2140 zeek-json)"), "{}", ran.out);
}

/// Detections a file; a change must be explained in the commit that rewrites it (`UPDATE_GOLDEN=1`).
#[test]
fn detections_a_file_are_as_they_were() {
    let Some(corpus) = corpus() else { return };
    let (logs, rules) = (corpus.join("evtx-attack-samples"), corpus.join("sigma/rules"));
    let ran = Run::new(&[]).cresset(&["watch", path(&logs), "-r", path(&rules), "-o", "jsonl", "--strict"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(ran.err.contains("8255 events of 277 sources; 0 records and 0 sources not read"), "{}", ran.err);
    let mut counts: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    for line in ran.out.lines() {
        let detection: serde_json::Value = serde_json::from_str(line).expect("a detection");
        let file =
            detection["source"].as_str().expect("a source").rsplit("evtx-attack-samples/").next().expect("a file");
        let rule = detection["id"].as_str().expect("SigmaHQ's rules have ids");
        *counts.entry(file.into()).or_default().entry(rule.into()).or_default() += 1;
    }
    let mut summary = String::from("# detections a file: times, rule id (sigma/rules over evtx-attack-samples)\n");
    for (file, rules) in &counts {
        summary.push_str(&format!("{file}\n"));
        rules.iter().for_each(|(rule, count)| summary.push_str(&format!("  {count} {rule}\n")));
    }
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/corpus-detections.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(golden.parent().expect("a folder")).expect("a folder");
        std::fs::write(&golden, &summary).expect("the golden file");
    }
    let expected = std::fs::read_to_string(&golden).expect("the golden file");
    assert!(summary == expected, "detections have changed; look at the difference with UPDATE_GOLDEN=1 and `git diff`");
}

fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}
