//! `--state`: what correlations remember, kept in a file from run to run; with `--follow` also how far files were read.

use std::io::{self, Write};
use std::path::Path;

use cresset_detect::{Detector, Restored, SnapshotError};
use cresset_ingest::Position;
use cresset_pipeline::{StateError, load_state, save_state};

use crate::escape;
use crate::output::rows::counted;

/// Restores what the file holds, if it is there, and returns how far files were read. `None` where it cannot be read: what it
/// remembers is not to be lost unseen.
pub(super) fn load(path: &Path, detector: &mut Detector, err: &mut dyn Write) -> io::Result<Option<Vec<Position>>> {
    let error = match load_state(path, detector) {
        Ok(None) => return Ok(Some(Vec::new())),
        Ok(Some((positions, restored))) => {
            tell_restored(&restored, err)?;
            return Ok(Some(positions));
        }
        Err(error) => error,
    };
    let shown = path.display().to_string();
    let shown = escape::terminal(&shown);
    let remedy = match error {
        StateError::Io(error) => {
            writeln!(err, "cresset: cannot read the state `{shown}`: {error}")?;
            return Ok(None);
        }
        StateError::Positions => "put a copy in its place, or remove it",
        StateError::Snapshot(SnapshotError::NoSnapshot) => "name another file",
        StateError::Snapshot(_) => "put a copy in its place, or remove it and begin anew",
    };
    writeln!(err, "cresset: cannot restore `{shown}`: {error}; {remedy}")?;
    Ok(None)
}

/// Writes the file anew. `false` where it cannot be written; the old one is there still.
pub(super) fn save(path: &Path, detector: &Detector, positions: &[Position], err: &mut dyn Write) -> io::Result<bool> {
    let snapshot = detector.snapshot();
    if snapshot.groups_left_out > 0 {
        let groups = counted(snapshot.groups_left_out as u64, "group");
        writeln!(err, "state: {groups} left out, those not touched for longest: the file would be too long")?;
    }
    if let Err(error) = save_state(path, positions, &snapshot.bytes) {
        let shown = path.display().to_string();
        writeln!(err, "cresset: cannot write the state to `{}`: {error}", escape::terminal(&shown))?;
        return Ok(false);
    }
    Ok(true)
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
