//! Indicators on the command line.

use crate::Run;

const LOG: &str = "{\"time\":\"2026-11-24T07:00:00Z\",\"host\":\"h1\",\"dst_ip\":\"203.0.113.7\",\"url\":\"http://a.evil.example/x\"}\n\
    {\"time\":\"2026-11-24T07:00:01Z\",\"host\":\"h1\",\"dst_ip\":\"10.0.0.1\"}\n";
const LIST: &str = "# seen today\nevil[.]example\n203.0.113.0/24\n10.0.0.1\nno value\n";

fn run() -> Run {
    Run::new(&[
        ("log.json", LOG),
        ("intel/list.txt", LIST),
        (
            "intel/feed.csv",
            "value,type,confidence,valid_until\nevil.example,domain,50,2020-01-01\nhxxp://a.evil.example/x,url,40,\n",
        ),
    ])
}

#[test]
fn they_are_found_with_field_value_and_level() {
    let ran = run().cresset(&["watch", "log.json", "-i", "intel", "-o", "jsonl"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    let found: Vec<serde_json::Value> = ran.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let mut shown: Vec<String> = found
        .iter()
        .map(|d| {
            format!(
                "{} {} {}={}",
                d["kind"].as_str().unwrap(),
                d["level"].as_str().unwrap(),
                d["matched"][0]["field"].as_str().unwrap(),
                d["matched"][0]["value"].as_str().unwrap()
            )
        })
        .collect();
    shown.sort();
    assert_eq!(
        shown,
        [
            "indicator high dst_ip=203.0.113.7",
            "indicator high url=a.evil.example",
            "indicator medium url=http://a.evil.example/x",
        ]
    );
    assert!(ran.err.contains("1 are on the warning list"), "{}", ran.err);
    assert!(ran.err.contains("list.txt: 1 entries"), "{}", ran.err);
}

#[test]
fn a_pattern_of_several_values_fires_where_one_event_has_all() {
    let bundle = r#"{"type":"bundle","id":"bundle--6f6a1c0e-0000-4000-8000-000000000001","objects":[{
        "type":"indicator","spec_version":"2.1","id":"indicator--6f6a1c0e-0000-4000-8000-000000000002",
        "created":"2026-01-01T00:00:00Z","modified":"2026-01-01T00:00:00Z","valid_from":"2026-01-01T00:00:00Z",
        "name":"Harbour C2","pattern_type":"stix",
        "pattern":"[network-traffic:dst_ref.value = '203.0.113.7' AND (url:value = 'http://a.evil.example/x' OR url:value = 'http://b.evil.example/x')]"}]}"#;
    let log = LOG.to_owned() + "{\"time\":\"2026-11-24T07:00:02Z\",\"host\":\"h2\",\"dst_ip\":\"203.0.113.7\"}\n";
    let ran = Run::new(&[("log.json", &log), ("intel.json", bundle)]).cresset(&[
        "watch",
        "log.json",
        "-i",
        "intel.json",
        "-o",
        "jsonl",
    ]);
    let [found] = &ran.out.lines().collect::<Vec<_>>()[..] else { panic!("{}\n{}", ran.out, ran.err) };
    let found: serde_json::Value = serde_json::from_str(found).expect("JSON");
    assert_eq!((found["title"].as_str(), found["host"].as_str()), (Some("Harbour C2"), Some("h1")));
    let matched = found["matched"].as_array().expect("a list");
    let shown: Vec<_> = matched.iter().map(|m| (m["field"].as_str().unwrap(), m["value"].as_str().unwrap())).collect();
    assert_eq!(shown, [("url", "http://a.evil.example/x"), ("dst_ip", "203.0.113.7")]);
}

#[test]
fn the_warning_list_can_be_left_out() {
    let ran = run().cresset(&["watch", "log.json", "-i", "intel", "-o", "jsonl", "--no-warning-list"]);
    assert!(ran.out.contains("10.0.0.1"), "{}", ran.err);
}

#[test]
fn check_says_what_loads_by_type_and_what_does_not() {
    let run = run();
    let ran = run.cresset(&["indicators", "check", "intel", "--output", "json"]);
    assert_eq!(ran.status, 1);
    let checked: serde_json::Value = serde_json::from_str(&ran.out).expect("one JSON object");
    assert_eq!(checked["loaded"], 5);
    assert_eq!(checked["files"][0]["expired"], 1);
    assert_eq!(checked["files"][1]["types"]["ipv4-addr"], 2);
    assert_eq!(checked["refused"][0]["line"], 5);
    assert_eq!(checked["held_back"][0]["value"], "10.0.0.1");
    let text = run.cresset(&["indicators", "check", "intel/list.txt"]).out;
    assert!(text.contains("intel/list.txt (list): 3 indicators (1 domain-name, 2 ipv4-addr)"), "{text}");
    assert_eq!(run.cresset(&["indicators", "check", "nowhere"]).status, 1);
}
