//! A disk that is full: what was taken stays, what was not is refused, and all goes on once there is room.

use std::path::Path;
use std::process::Command;

use cresset_archive::{Keep, Writer, WriterOptions};
use cresset_testing::skipped;

use crate::{check_holds, event};

/// A small disk of its own, as long as it is held; only an administrator can have one.
struct Disk(tempfile::TempDir);

impl Disk {
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let is_there = run("mount", &["-t", "tmpfs", "-o", "size=400k", "tmpfs"], folder.path());
        if !is_there {
            skipped("a full disk", "a file system in memory can be mounted by root only");
        }
        is_there.then_some(Self(folder))
    }

    fn grow(&self) {
        assert!(run("mount", &["-o", "remount,size=40m"], self.0.path()));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run("umount", &[], self.0.path());
    }
}

fn run(command: &str, args: &[&str], folder: &Path) -> bool {
    Command::new(command).args(args).arg(folder).output().is_ok_and(|ran| ran.status.success())
}

/// Fills a disk whose logs become segments at so many bytes, gives it room, and fills on.
fn check_heals(log_bytes: u64) {
    let Some(disk) = Disk::new() else { return };
    let folder = disk.0.path().join("past");
    let options = WriterOptions { keep: Keep::Raw, log_bytes, sync_bytes: 1 };
    let (mut writer, _) = Writer::open(&folder, options).expect("room");
    let mut packer = writer.packer();
    let (mut taken, mut refused) = (0, 0);
    for number in 0..6_000 {
        packer.add(&event(number));
        if number % 50 < 49 {
            continue;
        }
        let pack = packer.take();
        while let Err(error) = writer.append(&pack).and_then(|_| writer.commit()) {
            assert!(error.is_full(), "{error}");
            // Whatever was refused may be there already, and nothing else.
            let there = crate::numbers(&folder);
            assert!(there.len() as u64 == taken || there.len() as u64 == taken + 50, "{} of {taken}", there.len());
            refused += 1;
            if refused == 5 {
                disk.grow();
            }
            assert!(refused < 10, "it does not heal");
        }
        taken += 50;
    }
    assert!(refused >= 5, "it was never full");
    writer.close().expect("room");
    check_holds(&folder, 0..6_000);
}

#[test]
fn a_log_that_finds_no_room_is_refused_and_goes_on() {
    check_heals(1 << 30);
}

#[test]
fn a_segment_that_finds_no_room_is_made_later() {
    check_heals(60_000);
}
