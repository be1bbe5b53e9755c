//! A byte that changes in any file: it is told, nothing is read that was not there, and the rest is read.
//!
//! `ROT` says in how many places of a file (default 12; `./prove` takes all).

use std::fs;
use std::path::Path;

use cresset_archive::{Archive, Keep, Writer, WriterOptions};
use cresset_event::Matcher;

use crate::{event, notes, read, write};

/// A segment for each pack.
const SMALL: WriterOptions = WriterOptions { keep: Keep::Raw, log_bytes: 20, sync_bytes: 1 };
/// Events of an archive, and of a pack.
const EVENTS: u64 = 40;
const PACK: u64 = 10;

/// Writes an archive with segments, and with two packs in its log.
fn build(folder: &Path) {
    let (mut writer, _) = Writer::open(folder, SMALL).expect("an archive");
    write(&mut writer, 0..PACK);
    write(&mut writer, PACK..2 * PACK);
    writer.append_rows(&notes(0..PACK)).expect("room");
    writer.close().expect("room");
    let (mut writer, _) = Writer::open(folder, WriterOptions::default()).expect("an archive");
    write(&mut writer, 2 * PACK..3 * PACK);
    write(&mut writer, 3 * PACK..EVENTS);
}

/// Returns the files of an archive by their names.
fn files(folder: &Path, below: &str) -> Vec<String> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder.join(below)).expect("a folder") {
        let entry = entry.expect("an entry");
        let name = format!("{below}/{}", entry.file_name().to_str().expect("plain"));
        if entry.path().is_dir() { files.extend(self::files(folder, &name)) } else { files.push(name) }
    }
    files.sort();
    files
}

/// Turns a bit of a file in one place after another, and has `check` look at each.
fn turn_bits(folder: &Path, file: &str, mut check: impl FnMut(&str)) {
    let places = std::env::var("ROT").ok().and_then(|places| places.parse().ok()).unwrap_or(12);
    let path = folder.join(file);
    let bytes = fs::read(&path).expect("a file");
    let middle = (0..bytes.len()).step_by((bytes.len() / places).max(1));
    for place in middle.chain(bytes.len().saturating_sub(12)..bytes.len()) {
        let mut turned = bytes.clone();
        turned[place] ^= 1 << (place % 8);
        fs::write(&path, turned).expect("room");
        check(&format!("{file}, byte {place} of {}", bytes.len()));
    }
    fs::write(&path, bytes).expect("room");
}

/// Checks that what is read was there, and that at most so many events are missing; returns which files are named.
#[track_caller]
fn check_reads(folder: &Path, missing_max: u64, context: &str) -> Vec<String> {
    let archive = Archive::open(folder).unwrap_or_else(|error| panic!("{error}, {context}"));
    let mut named: Vec<String> = archive.verify(|_| {}).into_iter().map(|damage| damage.file).collect();
    let (numbers, damaged) = read(&archive);
    assert!(numbers.is_sorted_by(|one, other| one < other), "{numbers:?}, {context}");
    assert!(numbers.iter().all(|number| *number < EVENTS), "{numbers:?}, {context}");
    let missing = EVENTS - numbers.len() as u64;
    assert!(missing <= missing_max, "{missing} are missing, {context}");
    // A log that seems to be cut at its end is none to complain of for those who only read.
    let is_told = !damaged.is_empty() || context.starts_with("wal/") && missing == PACK;
    assert!(missing == 0 || is_told, "{damaged:?}, {context}");
    assert!(archive.stats().events <= EVENTS, "{context}");

    let ids: Vec<_> = (0..EVENTS).map(|number| event(number).id()).collect();
    let texts = ["10.0.0.0/8", "10.0.0.3", "10.0.0.33", "10.9.9.9"];
    let hunted = archive.hunt(&texts.map(|text| Matcher::parse(text).expect("a value")));
    let seen = |at: usize| hunted.seen[at].as_ref().map_or(0, |seen| seen.count);
    assert!(seen(0) <= EVENTS && seen(1) <= 1 && seen(2) <= 1 && seen(3) == 0, "{context}");
    assert!(seen(0) == EVENTS || is_told || !hunted.damaged.is_empty(), "{context}");
    let examples = hunted.seen.iter().flatten().flat_map(|seen| &seen.examples);
    assert!(examples.into_iter().all(|example| ids.contains(&example.id)), "{context}");
    named.dedup();
    named
}

/// Turns bits of the files below a folder; at most so many events are missing then.
fn check_rot(below: &str, missing_max: u64) {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    build(folder);
    assert_eq!(check_reads(folder, 0, "as it was written"), [""; 0]);
    for file in files(folder, below) {
        turn_bits(folder, &file, |context| {
            assert_eq!(check_reads(folder, missing_max, context), [&*file], "{context}");
        });
    }
}

#[test]
fn a_byte_of_a_file_of_events_costs_that_file() {
    check_rot("events", PACK / 2);
}

#[test]
fn a_byte_of_a_file_of_another_table_costs_no_event() {
    check_rot("tables", 0);
}

#[test]
fn a_byte_of_the_index_costs_no_event() {
    check_rot("index", 0);
}

#[test]
fn a_byte_of_the_list_brings_back_the_list_before_it_for_those_who_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    build(folder);
    let lists = files(folder, "manifest");
    let [before, highest] = &*lists else { panic!("{lists:?}") };
    turn_bits(folder, before, |context| assert_eq!(check_reads(folder, 0, context), [""; 0], "{context}"));
    turn_bits(folder, highest, |context| {
        let named = check_reads(folder, PACK, context);
        // A letter of the checksum's name may be another: the rest is as it was.
        assert!(named == [&**highest] || Archive::open(folder).expect("a list").stats().events == EVENTS, "{context}");
        let written = Writer::open(folder, SMALL);
        assert!(named.is_empty() || written.is_err_and(|error| error.to_string().contains(&**highest)), "{context}");
    });
}

#[test]
fn a_byte_of_the_log_costs_a_pack() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    build(folder);
    let log = &files(folder, "wal")[0];
    turn_bits(folder, log, |context| {
        let named = check_reads(folder, PACK, context) == [&**log];
        let copy = tempfile::tempdir().expect("a folder");
        copy_folder(folder, copy.path());
        let (writer, repaired) = Writer::open(copy.path(), SMALL).expect("an archive");
        assert_eq!(named, repaired.damaged_parts > 0, "{context}");
        assert!(named || repaired.torn_bytes > 0, "{context}");
        writer.close().expect("room");
        assert_eq!(copy.path().join(log).with_extension("damaged").exists(), named, "{context}");
        let (numbers, damaged) = read(&Archive::open(copy.path()).expect("an archive"));
        assert!(damaged.is_empty() && EVENTS - numbers.len() as u64 <= PACK, "{numbers:?}, {context}");
    });
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("room");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy_folder(&from, &to);
        } else {
            fs::copy(from, to).expect("room");
        }
    }
}

#[test]
fn files_are_not_merged_with_one_that_is_damaged() {
    // So many events that row groups are copied as they are.
    const MANY: u64 = 9_000;
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    for begin in [0, MANY] {
        let (mut writer, _) = Writer::open(folder, WriterOptions::default()).expect("an archive");
        write(&mut writer, begin..begin + MANY);
        writer.close().expect("room");
    }
    let file = &files(folder, "events")[0];
    let path = folder.join(file);
    let mut bytes = fs::read(&path).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).expect("room");
    let (mut writer, _) = Writer::open(folder, WriterOptions::default()).expect("an archive");
    let error = writer.compact().expect_err("a file is damaged");
    assert!(error.to_string().contains(&**file), "{error}");
    drop(writer);
    let damages = Archive::open(folder).expect("an archive").verify(|_| {});
    assert_eq!(damages.iter().map(|damage| &damage.file).collect::<Vec<_>>(), [file]);
}
