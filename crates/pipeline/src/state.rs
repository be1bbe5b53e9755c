//! What a watch remembers from run to run, in a file: what correlations remember, and how far files that are followed were read.
//!
//! The file is a snapshot. Where files were followed a line is in front: [`MARK`], and the positions as JSON.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use cresset_detect::{Detector, Restored, Snapshot, SnapshotError};
use cresset_event::{SourceIdentity, hex};
use cresset_ingest::{LinePlace, Position};
use serde::{Deserialize, Serialize};

use crate::whole_file::{self, Readers};

/// What a line of positions begins with; the digit is the version.
const MARK: &[u8] = b"cresset positions 1 ";
/// Longest such line: tens of thousands of files.
const POSITIONS_BYTES_MAX: usize = 1 << 24;

/// Why a state cannot be restored: what it remembers is not to be lost unseen.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The line in front is damaged.
    #[error("its positions cannot be read")]
    Positions,
    /// What correlations remember is damaged, or the file is none of ours.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
}

/// A position as the file has it.
#[derive(Serialize, Deserialize)]
struct PositionKept {
    path: PathBuf,
    file: String,
    lines: u64,
    bytes: u64,
}

/// Restores what the file holds, and returns how far files were read; `None` where there is no such file.
pub fn load_state(path: &Path, detector: &mut Detector) -> Result<Option<(Vec<Position>, Restored)>, StateError> {
    let bytes = match read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read?,
    };
    let (positions, snapshot) = split(&bytes).ok_or(StateError::Positions)?;
    Ok(Some((positions, detector.restore(snapshot)?)))
}

/// Writes the file anew, for its owner alone: users and addresses are in it. Where that fails the old one is there still.
pub fn save_state(path: &Path, positions: &[Position], snapshot: &[u8]) -> io::Result<()> {
    let mut bytes = line_of(positions)?;
    bytes.extend(snapshot);
    whole_file::write(path, Readers::Owner, &bytes)
}

/// Returns the line that says how far files were read; nothing where none was followed.
fn line_of(positions: &[Position]) -> io::Result<Vec<u8>> {
    let kept = positions.iter().filter_map(|Position { path, file, place }| {
        let SourceIdentity::File(digest) = file else { return None };
        let file = hex(digest);
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
