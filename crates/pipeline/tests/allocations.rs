//! What reading Windows events as JSON lines and matching them cost in allocations once they are warm: none, but for what
//! fits. A binary of its own, because the counter takes the place of the allocator.

use std::path::Path;
use std::sync::Arc;

use cresset_detect::{Detector, EventMatcher, IndicatorSet, RuleFilter, RuleSet};
use cresset_event::FieldNames;
use cresset_ingest::{Opener, Reader, Record};
use cresset_pipeline::load_rules;
use cresset_testing::corpus;

/// Events that raise some rules and fit none.
const LINES: &[&str] = &[
    r#"{"EventID":1,"Channel":"Microsoft-Windows-Sysmon/Operational","Computer":"ws1.example","TimeCreated":"2026-11-24T07:00:00.368863Z","Image":"C:\\Windows\\System32\\svchost.exe","CommandLine":"C:\\Windows\\System32\\svchost.exe -k netsvcs -p","Product":"Microsoft® Windows® Operating System","ParentImage":"C:\\Windows\\System32\\services.exe","User":"NT AUTHORITY\\SYSTEM","Hashes":"SHA1=B4E5,MD5=4289,SHA256=1A06,IMPHASH=40BE"}"#,
    r#"{"EventID":13,"Channel":"Microsoft-Windows-Sysmon/Operational","Computer":"ws1.example","TimeCreated":"2026-11-24T07:00:00Z","Image":"C:\\Windows\\System32\\svchost.exe","TargetObject":"HKLM\\Software\\Vendor\\Ärzte","Details":"DWORD (0x00000001)"}"#,
    r#"{"EventID":4624,"Channel":"Security","Computer":"ws1.example","LogonType":3,"IpAddress":"10.0.0.7","TargetUserName":"alice","TimeCreated":"2026-11-24T07:00:00Z"}"#,
];

/// Reads this many events, matches and gives them back; returns how many something fits.
fn watch(reader: &mut dyn Reader, matcher: &mut EventMatcher, events: usize) -> usize {
    let mut fitting = 0;
    for _ in 0..events {
        match reader.next_record() {
            Some(Record::Event(event)) => {
                fitting += usize::from(!matcher.matches(&event).is_empty());
                reader.recycle(event);
            }
            other => panic!("an event, not {other:?}"),
        }
    }
    fitting
}

#[track_caller]
fn check(rules: &Path) {
    const ROUNDS: usize = 100;
    let names = Arc::new(FieldNames::new());
    let opener = Opener::new(Arc::clone(&names));
    let sources = load_rules(&[rules.display().to_string()]);
    let (set, _) = RuleSet::compile(sources, &RuleFilter::default(), &names);
    assert!(!set.is_empty());
    let mut matcher = Detector::new(Arc::new(set), Arc::new(IndicatorSet::default())).matcher();
    let log = format!("{}\n", LINES.join("\n")).repeat(2 * ROUNDS);
    let mut reader = opener.open_bytes("events", log.into_bytes()).expect("JSON lines");
    let mut fitting = 0;
    let mut round = || fitting += watch(reader.as_mut(), &mut matcher, ROUNDS * LINES.len());
    let warming = allocation_counter::measure(&mut round);
    assert!(warming.count_total > 0, "the counter does not count");
    let counted = allocation_counter::measure(&mut round);
    assert_eq!(counted.count_total, 0, "{counted:?} for {} events", ROUNDS * LINES.len());
    assert_eq!(fitting, 0, "what fits may allocate");
}

#[test]
fn a_warm_watch_allocates_nothing_where_nothing_fits() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    check(&here.join("../../sample/rules"));
    if let Some(corpus) = corpus() {
        check(&corpus.join("sigma/rules"));
    }
}
