//! `--state`: what correlations remember, kept in a file from run to run; with `--follow` also how far files were read.
//!
//! The file is a snapshot. Where files were followed a line is in front: [`MARK`], and the positions as JSON.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use cresset_detect::{Detector, Restored, Snapshot, SnapshotError};
use cresset_event::SourceIdentity;
use cresset_ingest::{LinePlace, Position};
use serde::{Deserialize, Serialize};

use crate::escape;
use crate::output::rows::counted;
use crate::whole_file::{self, Readers};

/// What a line of positions begins with; the digit is the version.
const MARK: &[u8] = b"cresset positions 1 ";
/// Longest such line: tens of thousands of files.
const POSITIONS_BYTES_MAX: usize = 1 << 24;

/// A position as the file has it.
#[derive(Serialize, Deserialize)]
struct PositionKept {
    path: PathBuf,
    file: String,
    lines: u64,
    bytes: u64,
}

/// Restores what the file holds, if it is there, and returns how far files were read. `None` where it cannot be read: what it
/// remembers is not to be lost unseen.
pub(super) fn load(path: &Path, detector: &mut Detector, err: &mut dyn Write) -> io::Result<Option<Vec<Position>>> {
    let shown = path.display().to_string();
    let bytes = match read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(Vec::new())),
        Err(error) => {
            writeln!(err, "cresset: cannot read the state `{}`: {error}", escape::terminal(&shown))?;
            return Ok(None);
        }
    };
    let Some((positions, snapshot)) = split(&bytes) else {
        let shown = escape::terminal(&shown);
        writeln!(
            err,
            "cresset: cannot restore `{shown}`: its positions cannot be read; put a copy in its place, or remove it"
        )?;
        return Ok(None);
    };
    match detector.restore(snapshot) {
        Ok(restored) => tell_restored(&restored, err)?,
        Err(error) => {
            let remedy = match error {
                SnapshotError::NoSnapshot => "name another file",
                _ => "put a copy in its place, or remove it and begin anew",
            };
            let shown = escape::terminal(&shown);
            writeln!(err, "cresset: cannot restore `{shown}`: {error}; {remedy}")?;
            return Ok(None);
        }
    }
    Ok(Some(positions))
}

/// Writes the file anew. `false` where it cannot be written; the old one is there still.
pub(super) fn save(path: &Path, detector: &Detector, positions: &[Position], err: &mut dyn Write) -> io::Result<bool> {
    let snapshot = detector.snapshot();
    if snapshot.groups_left_out > 0 {
        let groups = counted(snapshot.groups_left_out as u64, "group");
        writeln!(err, "state: {groups} left out, those not touched for longest: the file would be too long")?;
    }
    // Users and addresses are in it.
    let mut bytes = line_of(positions)?;
    bytes.extend(snapshot.bytes);
    if let Err(error) = whole_file::write(path, Readers::Owner, &bytes) {
        let shown = path.display().to_string();
        writeln!(err, "cresset: cannot write the state to `{}`: {error}", escape::terminal(&shown))?;
        return Ok(false);
    }
    Ok(true)
}

/// Returns the line that says how far files were read; nothing where none was followed.
fn line_of(positions: &[Position]) -> io::Result<Vec<u8>> {
    let kept = positions.iter().filter_map(|Position { path, file, place }| {
        let SourceIdentity::File(digest) = file else { return None };
        let file = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Some(PositionKept { path: path.clone(), file, lines: place.lines, bytes: place.bytes })
    });
    let kept: Vec<PositionKept> = kept.collect();
    if kept.is_empty() {
        return Ok(Vec::new());
    }
    Ok([MARK, &serde_json::to_vec(&kept)?, b"\n"].concat())
}

/// Returns the positions and the snapshot behind them; `None` where the positions cannot be read.
fn split(bytes: &[u8]) -> Option<(Vec<Position>, &[u8])> {
    let Some(rest) = bytes.strip_prefix(MARK) else { return Some((Vec::new(), bytes)) };
    let end = rest.iter().take(POSITIONS_BYTES_MAX).position(|byte| *byte == b'\n')?;
    let kept: Vec<PositionKept> = serde_json::from_slice(&rest[..end]).ok()?;
    let position = |PositionKept { path, file, lines, bytes }| {
        let digit = |at: usize| u8::from_str_radix(file.get(2 * at..2 * at + 2)?, 16).ok();
        let digest: Vec<u8> = (0..32).map(digit).collect::<Option<_>>()?;
        let file = SourceIdentity::File(digest.try_into().ok()?);
        Some(Position { path, file, place: LinePlace { lines, bytes } })
    };
    Some((kept.into_iter().map(position).collect::<Option<_>>()?, &rest[end + 1..]))
}

/// Reads the file, or a byte past the longest that can be restored.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take((POSITIONS_BYTES_MAX + Snapshot::BYTES_MAX) as u64 + 1).read_to_end(&mut bytes)?;
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
