//! Bad input of every kind: a counted report, and every good record around it is still read.

use std::io::{self, Read};

use cresset_ingest::{Opener, Record};
use proptest::prelude::*;

use crate::{gzip, read};

const GOOD: &str = r#"{"time":"2026-11-24T07:00:00Z","n":1}"#;

/// How many events and how many skipped records come of some bytes.
fn counts(bytes: impl Into<Vec<u8>>) -> (usize, usize) {
    let records = read(bytes);
    let skipped =
        records.iter().filter(|record| record.starts_with("skipped") || record.starts_with("not opened")).count();
    (records.len() - skipped, skipped)
}

#[test]
fn garbage_lines_cost_themselves_alone() {
    assert_eq!(counts(format!("{GOOD}\n\x00\x01garbage\n{{\"a\":\n[1,2]\n\"text\"\n17\n{GOOD}\n")), (2, 5));
    let mut bytes = format!("{GOOD}\n").into_bytes();
    bytes.extend(b"{\"a\":\"\xff\xfe\"}\n\xff\xfe\xfd\n");
    bytes.extend(GOOD.bytes());
    assert_eq!(counts(bytes), (3, 1));
    assert_eq!(counts("Nov 24 07:00:00 h p: m\nno syslog\nNov 99 07:00:00 h p: m\nNov 24 07:00:01 h p: m\n").0, 3);
}

#[test]
fn garbage_in_front_does_not_hide_the_format() {
    assert_eq!(counts(format!("garbage\n{GOOD}\n{GOOD}\n")), (2, 1));
    assert_eq!(counts(format!("{{\"cut\":\"off\n{GOOD}\n{GOOD}\n")).0, 2);
}

#[test]
fn deep_json_is_skipped() {
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(counts(format!("{GOOD}\n{deep}\n{GOOD}\n")), (2, 1));
    let deep = "{\"a\":".repeat(10_000) + "1" + &"}".repeat(10_000);
    assert_eq!(counts(format!("{GOOD}\n{deep}\n{GOOD}\n")), (2, 1));
}

#[test]
fn an_object_that_is_never_closed_ends_in_a_report() {
    assert_eq!(counts(format!("[\n{GOOD},\n{{\"a\":\n")), (1, 1));
    let (events, skipped) = counts(format!("[\n{GOOD},\n{{\"a\": \"\n\n{GOOD}\n{GOOD}\n"));
    assert!(events >= 1 && skipped >= 1, "{events} {skipped}");
}

#[test]
fn a_bad_object_of_a_list_costs_itself_alone() {
    assert_eq!(counts(format!("{{\"Records\":[{GOOD},{{\"a\":bad}},{GOOD}]}}")), (2, 1));
    assert_eq!(counts(format!("{{\"Records\":[{GOOD},{GOOD}")), (2, 1));
    assert_eq!(counts(format!("{GOOD}\n{{\"Records\":[{GOOD},{{\"a\":\n{GOOD}\n")), (3, 1));
}

#[test]
fn a_line_of_many_objects_may_be_long_and_one_object_may_not() {
    let many = vec![GOOD; 300_000].join(",");
    let long = format!("{{\"a\":[{}1]}}", "[\"}\"],".repeat(1_000_000));
    for (open, close) in [("[", "]"), ("{\"Records\":[", "]}")] {
        assert_eq!(counts(format!("{open}{many}{close}")), (300_000, 0));
        assert_eq!(counts(format!("{open}{GOOD},{long},{many}{close}\n")), (300_001, 1));
    }
}

#[test]
fn braces_that_are_never_closed_do_not_take_the_square_of_the_time() {
    let (events, skipped) = counts("{\"a\":\n{}\n".repeat(2_000_000));
    assert!(events > 0 && skipped > 0, "{events} {skipped}");
}

#[test]
fn a_gzip_that_is_cut_short_gives_what_was_read() {
    let many: String = (0..5_000)
        .map(|n| format!("{{\"time\":\"2026-11-24T07:00:00Z\",\"n\":{n},\"x\":\"{}\"}}\n", n * 7919))
        .collect();
    let packed = gzip(many.as_bytes());
    let records = read(&packed[..packed.len() / 2]);
    let last = records.last().expect("records");
    assert!(last.contains("could not be read further"), "{last}");
    assert!(records.len() > 1_000, "only {} records", records.len());
}

#[test]
fn a_decompression_bomb_is_stopped() {
    let bomb = {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).expect("memory");
        io::copy(&mut io::repeat(b'\n').take(400 << 20), &mut encoder).expect("memory");
        encoder.finish().expect("memory")
    };
    let mut head = zstd::encode_all(format!("{GOOD}\n").as_bytes(), 1).expect("memory");
    head.extend(bomb);
    let records = read(head);
    assert_eq!(records.len(), 2, "{records:?}");
    assert!(records[1].contains("decompression bomb"), "{}", records[1]);
}

/// Gives bytes without holding them.
struct Made<R>(R);

impl<R: Read> Read for Made<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

#[test]
fn a_line_of_2_gib_is_counted_and_the_next_one_read() {
    let line = io::repeat(b'x').take(2 << 30);
    let log = io::Cursor::new(format!("{GOOD}\n")).chain(line).chain(io::Cursor::new(format!("\n{GOOD}\n")));
    let mut reader = Opener::new(Default::default()).open_stream("big", Box::new(Made(log))).expect("JSON lines");
    assert!(matches!(reader.next_record(), Some(Record::Event(_))));
    let Some(Record::Skipped(skipped)) = reader.next_record() else { panic!("a skipped line") };
    assert!(skipped.reason.contains("2147483649 bytes"), "{}", skipped.reason);
    assert!(matches!(reader.next_record(), Some(Record::Event(_))));
    assert!(reader.next_record().is_none());
}

#[test]
fn times_that_cannot_be_are_unknown_and_the_event_is_kept() {
    for time in
        ["1601-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "yesterday", "", "-62135596800", "99999999999999999999"]
    {
        let records = read(format!(r#"{{"time":"{time}","n":1}}"#));
        assert_eq!(records, [format!("-/-/ unknown | time={time} n=1")]);
    }
}

#[test]
fn fields_over_the_bound_are_counted() {
    let members = vec!["1"; 5_000].join(",");
    let bytes = format!("{{\"n\":[{members}]}}\n{GOOD}\n").into_bytes();
    let mut reader = Opener::new(Default::default()).open_bytes("many", bytes).expect("JSON lines");
    for cut in [5_000 - 4_096, 0] {
        let Some(Record::Event(event)) = reader.next_record() else { panic!("an event") };
        assert_eq!(event.fields_cut(), cut);
    }
}

#[test]
fn an_event_log_that_is_no_log_is_reported() {
    for bytes in [b"ElfFile\0".to_vec(), [b"ElfFile\0".to_vec(), vec![0xff; 100_000]].concat()] {
        let records = read(bytes);
        assert!(!records.is_empty());
        assert!(
            records.iter().all(|record| record.starts_with("skipped") || record.starts_with("not opened")),
            "{records:?}"
        );
    }
}

#[test]
fn what_is_no_log_is_not_opened() {
    for bytes in ["", "\x7fELF\x02\x01\x01\0", "just some prose\nin two lines\n", "\0\0\0\0"] {
        assert!(read(bytes)[0].starts_with("not opened"), "{bytes:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_end_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
        read(bytes);
    }

    #[test]
    fn any_bytes_behind_a_known_beginning_end_without_a_panic(
        head in prop::sample::select(vec![
            "ElfFile\0", "#separator \\x09\n#fields\ta\tb\n", "{\"a\":1}\n", "[{\"a\":1},", "\u{feff}{\"a\":1}\n", "{\"Records\":[{\"a\":1},", "<13>1 ",
            "Nov 24 07:00:00 h sshd[1]: Failed password for ", "1.1.1.1 - - [24/Nov/2026:07:00:00 +0000] \"",
            "{\"event_type\":\"dns\",\"timestamp\":", "{\"Event\":{\"System\":{\"EventID\":1},\"EventData\":",
        ]),
        tail in "\\PC{0,200}",
        bytes in proptest::collection::vec(any::<u8>(), 0..512),
    ) {
        read([head.as_bytes(), tail.as_bytes(), b"\n", head.as_bytes(), &bytes].concat());
    }
}
