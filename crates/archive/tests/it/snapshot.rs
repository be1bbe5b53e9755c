//! A snapshot, copied while the archive is written to and merged, is the archive as it was.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use cresset_archive::{Archive, Keep, Snapshot, Writer, WriterOptions};

use crate::{check_holds, numbers, write};

/// A segment every few events.
const SMALL: WriterOptions = WriterOptions { keep: Keep::Raw, log_bytes: 2_000, sync_bytes: 500 };

/// Copies what belongs to a snapshot.
fn copy(snapshot: &Snapshot, to: &Path) {
    for file in snapshot.files() {
        let path = to.join(&file.name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        let mut bytes = Vec::new();
        File::open(&file.path).expect("a file").take(file.bytes).read_to_end(&mut bytes).expect("bytes");
        assert_eq!(bytes.len() as u64, file.bytes, "{}", file.name);
        fs::write(path, bytes).expect("room");
    }
    fs::create_dir_all(to.join("wal")).expect("a folder");
}

#[test]
fn what_is_written_and_merged_behind_it_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (archive, copied) = (folder.path().join("a"), folder.path().join("b"));
    let (mut writer, _) = Writer::open(&archive, SMALL).expect("an archive");
    (0..20).for_each(|begin| assert_eq!(write(&mut writer, begin * 10..begin * 10 + 10).new, 10));
    writer.commit().expect("room");
    let snapshot = Snapshot::take(&archive).expect("a snapshot");
    (20..30).for_each(|begin| assert_eq!(write(&mut writer, begin * 10..begin * 10 + 10).new, 10));
    writer.compact().expect("room");
    copy(&snapshot, &copied);
    check_holds(&copied, 0..200);
    assert_eq!(Archive::open(&copied).expect("an archive").verify(|_| {}), []);
    drop(snapshot);
    assert!(!archive.join("snapshot").exists());
    writer.close().expect("room");
    check_holds(&archive, 0..300);
    // It is an archive like any other.
    let (mut writer, _) = Writer::open(&copied, SMALL).expect("an archive");
    assert_eq!(write(&mut writer, 0..210).new, 10);
    writer.close().expect("room");
    check_holds(&copied, 0..210);
}

#[test]
fn one_that_is_taken_at_full_speed_lacks_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().expect("a folder");
    let archive = folder.path().join("a");
    let (mut writer, _) = Writer::open(&archive, SMALL).expect("an archive");
    std::thread::scope(|scope| {
        let writing = scope.spawn(move || {
            (0..150).for_each(|begin| {
                write(&mut writer, begin * 5..begin * 5 + 5);
                writer.commit().expect("room");
            });
            writer.close().expect("room");
        });
        for number in 0.. {
            if writing.is_finished() {
                break;
            }
            let before = Archive::open(&archive).map(|archive| archive.stats().events).unwrap_or_default();
            // A writer of tiny logs may be quicker than ten looks.
            let Ok(snapshot) = Snapshot::take(&archive) else { continue };
            let copied = folder.path().join(format!("copy-{number}"));
            copy(&snapshot, &copied);
            let found = numbers(&copied);
            assert!(found.len() as u64 >= before, "{} of {before}", found.len());
            assert!(found.iter().copied().eq(0..found.len() as u64), "there is a gap");
            fs::remove_dir_all(&copied).expect("it goes");
        }
    });
}

#[test]
fn one_that_was_left_by_a_program_that_was_killed_is_taken_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut writer, _) = Writer::open(folder.path(), SMALL).expect("an archive");
    write(&mut writer, 0..100);
    writer.close().expect("room");
    std::mem::forget(Snapshot::take(folder.path()).expect("a snapshot"));
    assert!(folder.path().join("snapshot").exists());
    Writer::open(folder.path(), SMALL).expect("an archive").0.close().expect("room");
    assert!(!folder.path().join("snapshot").exists());
    check_holds(folder.path(), 0..100);
}
