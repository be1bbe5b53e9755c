//! What reading costs in allocations once a reader is warm: none. A binary of its own, because the counter takes the place
//! of the allocator.

use cresset_ingest::{Opener, Reader, Record};

/// Events of several kinds in turn, as a log has them: numbers of all sizes, escapes, hashes, derived values.
const LINES: &[&str] = &[
    r#"{"EventID":1,"Channel":"Microsoft-Windows-Sysmon/Operational","Computer":"ws1.example","EventRecordID":6577,"Keywords":9223372036854775808,"Correlation":null,"TimeCreated":"2026-11-24T07:00:00.368863Z","Image":"C:\\Users\\a\\Downloads\\x.exe","CommandLine":"\"C:\\x.exe\" \u00e9","Hashes":"SHA1=B4E5,MD5=4289,SHA256=1A06,IMPHASH=40BE"}"#,
    r#"{"EventID":5156,"Channel":"Security","Hostname":"ws1.example","Application":"\\device\\harddiskvolume2\\a.exe","Direction":"%%14593","TimeCreated":"2026-11-24 07:00:00.5"}"#,
    r#"{"EventID":4688,"Channel":"Security","Computer":"ws1.example","NewProcessName":"C:\\a.exe","MandatoryLabel":"S-1-16-8192","TimeCreated":"2026-11-24T07:00:00Z"}"#,
    r#"{"EventID":4624,"Channel":"Security","Computer":"ws1.example","LogonProcessName":"Advapi  ","Elevated":true,"TimeCreated":"2026-11-24T07:00:00Z"}"#,
    r#"{"EventID":7045,"Channel":"Unknown-To-The-Table/Operational","Computer":"ws1.example","TimeCreated":"2026-11-24T07:00:00Z"}"#,
    r#"{"Event":{"System":{"EventID":3,"Channel":"Microsoft-Windows-Sysmon/Operational","Provider_attributes":{"Name":"Microsoft-Windows-Sysmon"}},"EventData":{"DestinationIp":"192.0.2.7","Ports":[80,443]}}}"#,
];

/// Reads and gives back this many events.
fn read(reader: &mut dyn Reader, events: usize) {
    for _ in 0..events {
        match reader.next_record() {
            Some(Record::Event(event)) => reader.recycle(event),
            other => panic!("an event, not {other:?}"),
        }
    }
}

#[test]
fn a_warm_reader_of_windows_events_allocates_nothing() {
    const ROUNDS: usize = 100;
    let log = format!("{}\n", LINES.join("\n")).repeat(2 * ROUNDS);
    let mut reader = Opener::new(Default::default()).open_bytes("events", log.into_bytes()).expect("JSON lines");
    let warming = allocation_counter::measure(|| read(reader.as_mut(), ROUNDS * LINES.len()));
    assert!(warming.count_total > 0, "the counter does not count");
    let counted = allocation_counter::measure(|| read(reader.as_mut(), ROUNDS * LINES.len()));
    assert_eq!(counted.count_total, 0, "{counted:?} for {} events", ROUNDS * LINES.len());
}
