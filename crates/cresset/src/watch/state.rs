//! `--state`: what correlations remember, kept in a file from run to run.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use cresset_detect::{Detector, Restored, Snapshot, SnapshotError};

use crate::escape;
use crate::output::rows::counted;
use crate::whole_file::{self, Readers};

/// Restores what the file holds, if it is there. `false` where it cannot be read: what it remembers is not to be lost unseen.
pub(super) fn load(path: &Path, detector: &mut Detector, err: &mut dyn Write) -> io::Result<bool> {
    let shown = path.display().to_string();
    let bytes = match read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => {
            writeln!(err, "cresset: cannot read the state `{}`: {error}", escape::terminal(&shown))?;
            return Ok(false);
        }
    };
    match detector.restore(&bytes) {
        Ok(restored) => tell_restored(&restored, err)?,
        Err(error) => {
            let remedy = match error {
                SnapshotError::NoSnapshot => "name another file",
                _ => "put a copy in its place, or remove it and begin anew",
            };
            let shown = escape::terminal(&shown);
            writeln!(err, "cresset: cannot restore `{shown}`: {error}; {remedy}")?;
            return Ok(false);
        }
    }
    Ok(true)
}

/// Writes the file anew. `false` where it cannot be written; the old one is there still.
pub(super) fn save(path: &Path, detector: &Detector, err: &mut dyn Write) -> io::Result<bool> {
    let snapshot = detector.snapshot();
    if snapshot.groups_left_out > 0 {
        let groups = counted(snapshot.groups_left_out as u64, "group");
        writeln!(err, "state: {groups} left out, those not touched for longest: the file would be too long")?;
    }
    // Users and addresses are in it.
    if let Err(error) = whole_file::write(path, Readers::Owner, &snapshot.bytes) {
        let shown = path.display().to_string();
        writeln!(err, "cresset: cannot write the state to `{}`: {error}", escape::terminal(&shown))?;
        return Ok(false);
    }
    Ok(true)
}

/// Reads the file, or a byte past the longest that can be restored.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(Snapshot::BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn tell_restored(restored: &Restored, err: &mut dyn Write) -> io::Result<()> {
    let count = |groups: usize, events: usize| {
        format!("{} with {}", counted(groups as u64, "group"), counted(events as u64, "event"))
    };
    writeln!(err, "state: correlations remember {} of earlier runs", count(restored.groups, restored.events))?;
    for dropped in &restored.dropped {
        let (title, lost) = (escape::terminal(&dropped.title), count(dropped.groups, dropped.events));
        writeln!(err, "state: {lost} dropped, of `{title}`: {}", dropped.reason)?;
    }
    Ok(())
}
