//! What was appended is there at once, stays, and is there once.

use std::fs;
use std::path::Path;

use cresset_archive::{Appended, Archive, ArchiveError, Repaired, Writer, WriterOptions};
use cresset_event::Matcher;

use crate::{check_holds, write};

/// A segment every few events.
const SMALL: WriterOptions = WriterOptions { keep: cresset_archive::Keep::Raw, log_bytes: 2_000, sync_bytes: 500 };

fn open(folder: &Path, options: WriterOptions) -> Writer {
    Writer::open(folder, options).expect("an archive").0
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

#[test]
fn what_was_appended_is_read_before_and_after_it_is_a_segment() {
    let folder = folder();
    let mut writer = open(folder.path(), WriterOptions::default());
    assert_eq!(write(&mut writer, 0..100), Appended { new: 100, known: 0 });
    check_holds(folder.path(), 0..100);
    assert_eq!(Archive::open(folder.path()).expect("an archive").stats().events_in_log, 100);
    writer.close().expect("room");
    check_holds(folder.path(), 0..100);
    assert_eq!(Archive::open(folder.path()).expect("an archive").stats().events_in_log, 0);
}

#[test]
fn a_task_that_has_had_its_turn_may_write_and_read() {
    let (done, is_done) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let (give, mut take) = tokio::sync::mpsc::unbounded_channel();
            while tokio::task::coop::has_budget_remaining() {
                give.send(()).expect("it is taken");
                take.recv().await;
            }
            let folder = folder();
            let mut writer = open(folder.path(), SMALL);
            write(&mut writer, 0..100);
            writer.close().expect("room");
            check_holds(folder.path(), 0..100);
        });
        done.send(()).expect("it is waited for");
    });
    is_done.recv_timeout(std::time::Duration::from_secs(60)).expect("it waits for no other turn");
}

#[test]
fn many_segments_are_one_archive() {
    let folder = folder();
    let mut writer = open(folder.path(), SMALL);
    for begin in 0..50 {
        write(&mut writer, begin * 10..begin * 10 + 10);
        check_holds(folder.path(), 0..begin * 10 + 10);
    }
    writer.close().expect("room");
    check_holds(folder.path(), 0..500);
    let stats = Archive::open(folder.path()).expect("an archive").stats();
    // Of each of the two log sources seven small files may wait to be merged.
    assert!((2..=14).contains(&stats.event_files.0), "{stats:?}");
    assert_eq!(stats.log_sources.values().copied().collect::<Vec<_>>(), [250, 250]);

    let mut writer = open(folder.path(), SMALL);
    assert!(writer.compact().expect("room") > 0);
    writer.close().expect("room");
    check_holds(folder.path(), 0..500);
    let stats = Archive::open(folder.path()).expect("an archive").stats();
    assert_eq!((stats.event_files.0, stats.index_files.0), (2, 1));
}

#[test]
fn what_is_read_while_files_are_merged_is_read_to_its_end() {
    let folder = folder();
    let mut writer = open(folder.path(), SMALL);
    for begin in 0..5 {
        write(&mut writer, begin * 10..begin * 10 + 10);
    }
    let archive = Archive::open(folder.path()).expect("an archive");
    writer.compact().expect("room");
    writer.close().expect("room");
    open(folder.path(), SMALL).close().expect("room");
    assert_eq!(archive.verify(|_| {}), []);
}

/// What is looked for, as a person writes it, and how often it was seen.
#[track_caller]
fn check_seen(folder: &Path, expected: &[(&str, u64)]) {
    let matchers: Vec<Matcher> = expected.iter().map(|(text, _)| Matcher::parse(text).expect("a value")).collect();
    let hunted = Archive::open(folder).expect("an archive").hunt(&matchers);
    assert!(hunted.damaged.is_empty(), "{:?}", hunted.damaged);
    let counts = hunted.seen.iter().map(|seen| seen.as_ref().map_or(0, |seen| seen.count));
    let found: Vec<(&str, u64)> = expected.iter().map(|(text, _)| *text).zip(counts).collect();
    assert_eq!(found, expected);
}

#[test]
fn what_was_ever_seen_is_found_in_logs_segments_and_merged_ones() {
    let folder = folder();
    let mut writer = open(folder.path(), SMALL);
    for begin in 0..30 {
        write(&mut writer, begin * 20..begin * 20 + 20);
    }
    let expected = [("10.0.0.7", 1), ("10.0.1.0/24", 256), ("10.0.2.0/24", 88), ("0.0.0.0/0", 600), ("10.9.9.9", 0)];
    check_seen(folder.path(), &expected);
    writer.compact().expect("room");
    check_seen(folder.path(), &expected);
    writer.close().expect("room");
    check_seen(folder.path(), &expected);

    let archive = Archive::open(folder.path()).expect("an archive");
    let prevalence = archive.prevalence().expect("an index");
    for (text, _) in expected {
        let matcher = Matcher::parse(text).expect("a value");
        let seen = archive.hunt(std::slice::from_ref(&matcher)).seen.remove(0);
        let common = prevalence.of(&matcher).expect("it is whole");
        let seen = seen.map(|seen| (seen.count, seen.hosts.len() as u64, seen.times)).unwrap_or_default();
        assert_eq!((common.count, common.hosts, common.times), seen, "{text}");
    }
    let seen = archive.hunt(&[Matcher::parse("10.0.1.0/24").expect("a range")]).seen.remove(0).expect("it was seen");
    let mut hosts: Vec<(&str, u64)> = seen.hosts.iter().map(|(name, count)| (&**name, *count)).collect();
    assert!(hosts.is_sorted_by(|(_, one), (_, other)| one >= other), "{hosts:?}");
    hosts.sort_unstable();
    assert_eq!(hosts, [("web0", 85), ("web1", 86), ("web2", 85)]);
    assert_eq!(seen.sources, [("a.log".into(), 256)]);
    let (first, last) = seen.times.expect("times");
    assert_eq!((last.as_nanos() - first.as_nanos()) / 1_000_000_000, 255);
    assert_eq!(seen.examples[0].id, crate::event(256).id());
    assert_eq!(seen.examples[2].id, crate::event(511).id());
    assert_eq!((&*seen.examples[0].field, &*seen.examples[0].value), ("src_ip", "10.0.1.0"));
}

#[test]
fn what_is_given_again_is_stored_once() {
    let folder = folder();
    let mut writer = open(folder.path(), SMALL);
    write(&mut writer, 0..100);
    // In the log, in the same pack, in a segment.
    assert_eq!(write(&mut writer, 90..110), Appended { new: 10, known: 10 });
    assert_eq!(write(&mut writer, [200, 200, 200]), Appended { new: 1, known: 2 });
    writer.close().expect("room");
    let mut writer = open(folder.path(), SMALL);
    assert_eq!(write(&mut writer, 0..111), Appended { new: 1, known: 110 });
    writer.close().expect("room");
    check_holds(folder.path(), (0..111).chain([200]));
}

#[test]
fn what_a_writer_left_behind_is_saved_by_the_next() {
    let folder = folder();
    let mut writer = open(folder.path(), WriterOptions::default());
    write(&mut writer, 0..100);
    drop(writer);
    let (writer, repaired) = Writer::open(folder.path(), WriterOptions::default()).expect("an archive");
    assert_eq!(repaired, Repaired { events: 100, ..Repaired::default() });
    check_holds(folder.path(), 0..100);
    writer.close().expect("room");
    check_holds(folder.path(), 0..100);
}

/// The only log of an archive.
fn log(folder: &Path) -> std::path::PathBuf {
    let logs = fs::read_dir(folder.join("wal")).expect("a folder").map(|entry| entry.expect("an entry").path());
    logs.filter(|path| path.extension().is_some_and(|extension| extension == "wal")).last().expect("a log")
}

#[test]
fn a_log_that_is_cut_anywhere_gives_its_whole_packs() {
    let folder = folder();
    let mut writer = open(folder.path(), WriterOptions::default());
    write(&mut writer, 0..3);
    write(&mut writer, 3..6);
    drop(writer);
    let path = log(folder.path());
    let bytes = fs::read(&path).expect("a log");
    for cut in (0..bytes.len()).rev().step_by(7) {
        fs::write(&path, &bytes[..cut]).expect("room");
        let numbers = crate::numbers(folder.path());
        assert!([0, 3].contains(&numbers.len()), "{} events of {cut} bytes", numbers.len());
        assert_eq!(numbers, (0..numbers.len() as u64).collect::<Vec<_>>());
    }
}

#[test]
fn a_log_with_a_bit_turned_loses_that_pack_alone() {
    let folder = folder();
    let mut writer = open(folder.path(), WriterOptions::default());
    for numbers in [0..3, 3..6, 6..9] {
        write(&mut writer, numbers);
    }
    drop(writer);
    let path = log(folder.path());
    let bytes = fs::read(&path).expect("a log");
    let second = bytes.len() / 2;
    let mut turned = bytes.clone();
    turned[second] ^= 1;
    fs::write(&path, turned).expect("room");
    let (numbers, damaged) = crate::read(&Archive::open(folder.path()).expect("an archive"));
    assert_eq!((numbers, damaged.len()), ((0..3).chain(6..9).collect(), 1));
    let (writer, repaired) = Writer::open(folder.path(), WriterOptions::default()).expect("an archive");
    assert_eq!(repaired, Repaired { events: 6, damaged_parts: 1, ..Repaired::default() });
    writer.close().expect("room");
    check_holds(folder.path(), (0..3).chain(6..9));
    assert!(path.with_extension("damaged").exists());
}

/// Turns a bit in the middle of the first file of a folder.
fn damage(folder: &Path) {
    let files = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let file = files.min().expect("a file");
    let mut bytes = fs::read(&file).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).expect("room");
}

#[test]
fn a_damaged_file_stops_neither_writing_nor_what_is_read_of_the_others() {
    let folder = folder();
    let mut writer = open(folder.path(), SMALL);
    write(&mut writer, 0..20);
    writer.close().expect("room");
    damage(&folder.path().join("index"));
    damage(&folder.path().join("events/test-one"));
    let mut writer = open(folder.path(), SMALL);
    // What cannot be told to be there is taken once more.
    write(&mut writer, 0..20);
    for begin in 1..30 {
        write(&mut writer, begin * 20..begin * 20 + 20);
    }
    let not_merged = writer.close().expect("room");
    assert!(not_merged.is_some());
    let archive = Archive::open(folder.path()).expect("an archive");
    assert_eq!(archive.verify(|_| {}).len(), 2);
    let hunted = archive.hunt(&[Matcher::parse("10.0.1.0/24").expect("a range")]);
    assert_eq!(hunted.damaged.len(), 1, "{:?}", hunted.damaged);
    assert_eq!(hunted.seen[0].as_ref().map(|seen| seen.count), Some(256));
}

#[test]
fn one_writes_at_a_time_and_others_read() {
    let folder = folder();
    let writer = open(folder.path(), SMALL);
    let second = Writer::open(folder.path(), SMALL).expect_err("one writes");
    assert!(matches!(second, ArchiveError::InUse { .. }), "{second}");
    check_holds(folder.path(), []);
    writer.close().expect("room");
    open(folder.path(), SMALL).close().expect("room");
}

#[test]
#[cfg(unix)]
fn a_new_archive_is_its_owners() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let past = folder.path().join("past");
    open(&past, SMALL).close().expect("room");
    let mode = fs::metadata(&past).expect("a folder").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn a_folder_of_something_else_is_no_archive() {
    let folder = folder();
    fs::write(folder.path().join("thesis.txt"), "years of work").expect("room");
    let refused = Writer::open(folder.path(), SMALL).expect_err("no archive");
    assert!(matches!(refused, ArchiveError::NoArchive { .. }), "{refused}");
    assert!(matches!(Archive::open(folder.path()), Err(ArchiveError::NoArchive { .. })));
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
}

#[test]
fn a_byte_that_has_changed_is_found_and_the_rest_is_read() {
    let folder = folder();
    let mut writer = open(folder.path(), SMALL);
    for begin in 0..5 {
        write(&mut writer, begin * 10..begin * 10 + 10);
    }
    writer.close().expect("room");
    let archive = Archive::open(folder.path()).expect("an archive");
    assert_eq!(archive.verify(|_| {}), []);
    damage(&folder.path().join("events/test-one"));
    let damages = archive.verify(|_| {});
    assert_eq!(damages.len(), 1, "{damages:?}");
    assert!(damages[0].reason.contains("checksum"), "{damages:?}");
}
