//! `--archive`: every event that is looked at is remembered.

use std::io::{self, Write};
use std::path::Path;

use cresset_archive::{Keep, Repaired, Writer, WriterOptions};
use cresset_pipeline::SourcePath;

use crate::archive::told;
use crate::args::WatchArgs;
use crate::escape;
use crate::output::rows::counted;

/// Opens the archive, or makes one, and says what was mended; `None` where that cannot be done.
pub(super) fn open(folder: &Path, args: &WatchArgs, err: &mut dyn Write) -> io::Result<Option<Writer>> {
    let keep = if args.archive_fields_only { Keep::Fields } else { Keep::Raw };
    match Writer::open(folder, WriterOptions { keep, ..WriterOptions::default() }) {
        Ok((writer, repaired)) => {
            tell_repaired(repaired, err)?;
            Ok(Some(writer))
        }
        Err(error) => told(&error, err).map(|_| None),
    }
}

fn tell_repaired(repaired: Repaired, err: &mut dyn Write) -> io::Result<()> {
    let Repaired { events, rows, torn_bytes, damaged_parts } = repaired;
    if events > 0 || rows > 0 || torn_bytes > 0 {
        let (events, rows) = (counted(events, "event"), counted(rows, "detection"));
        writeln!(err, "archive: the last run was cut off; {events} and {rows} of its log were saved")?;
    }
    if torn_bytes > 0 {
        let bytes = counted(torn_bytes, "byte");
        writeln!(err, "archive: {bytes} at the end of the log were not written to their end, and are left out")?;
    }
    if damaged_parts > 0 {
        let parts = counted(damaged_parts, "part");
        writeln!(err, "archive: {parts} of the log cannot be read; the log is kept beside the others, as .damaged")?;
    }
    Ok(())
}

/// Brings everything to the disk. `false` where that cannot be done; what is in the log already stays there.
pub(super) fn close(writer: Writer, err: &mut dyn Write) -> io::Result<bool> {
    match writer.close() {
        Ok(None) => Ok(true),
        Ok(Some(error)) => {
            let error = error.with_causes();
            writeln!(err, "archive: all events are there, and files were not merged: {}", escape::terminal(&error))?;
            Ok(true)
        }
        Err(error) => {
            let error = error.with_causes();
            writeln!(err, "cresset: {}; run it again to finish the archive", escape::terminal(&error))?;
            Ok(false)
        }
    }
}

/// Leaves the archive's own files out of what is read, where it lies among the logs.
pub(super) fn leave_own_files(folder: &Path, sources: &mut Vec<SourcePath>) {
    let Ok(folder) = folder.canonicalize() else { return };
    let is_own = |path: &Path| path.canonicalize().is_ok_and(|path| path.starts_with(&folder));
    sources.retain(|source| !matches!(source, SourcePath::File(path, _) if is_own(path)));
}
