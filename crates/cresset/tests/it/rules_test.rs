//! `cresset rules test`.

use crate::Run;

const RULE: &str = "title: Whoami\nlogsource: {product: windows, category: process_creation}\ndetection:\n  \
    selection:\n    Image|endswith: '\\whoami.exe'\n    CommandLine|contains: [/all, /priv]\n  filter:\n    \
    User: SYSTEM\n  condition: selection and not filter\n";

fn event(user: &str, command: &str) -> String {
    let event = serde_json::json!({"EventID": 1, "Channel": "Microsoft-Windows-Sysmon/Operational", "User": user,
        "Image": "C:\\Windows\\System32\\whoami.exe", "CommandLine": command});
    format!("{event}\n")
}

#[test]
fn it_says_why_and_why_not() {
    let log = event("anna", "whoami /ALL") + &event("SYSTEM", "whoami /priv") + "{\"a\":\"\\u001b[31m\"}\n";
    let run = Run::new(&[("r.yml", RULE), ("e.json", &log)]);
    let ran = run.cresset(&["rules", "test", "r.yml", "--event", "e.json"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    for said in [
        "Whoami fits record 1\n  yes log source: the rule is for windows/process_creation, the event is windows/sysmon/process_creation",
        "yes CommandLine|contains: '/all' or '/priv'  (is whoami /ALL)",
        "Whoami does not fit record 2",
        "no  not\n      yes filter\n        yes User: 'SYSTEM'  (is SYSTEM)",
        "no  log source: the rule is for windows/process_creation, the event is of none that is known",
        "no  Image|endswith: '\\whoami.exe'  (the event has no such field)",
    ] {
        assert!(ran.out.contains(said), "{said:?} in:\n{}", ran.out);
    }
    assert_eq!(run.cresset(&["rules", "test", "r.yml", "--event", "e.json", "--record", "2"]).status, 1);
    assert_eq!(run.cresset(&["rules", "test", "r.yml", "--event", "nowhere.json"]).status, 1);
}
