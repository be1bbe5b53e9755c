//! `cresset formats`.

use std::io::{self, Write};

use cresset_ingest::Opener;

use crate::Outcome;

/// Lists the formats, with an example of each.
pub(crate) fn run(out: &mut dyn Write) -> io::Result<Outcome> {
    writeln!(out, "Formats are told by content, not by name. gzip and zstd are unpacked.\n")?;
    for format in Opener::formats() {
        writeln!(out, "{}\n  {}", format.name, format.title)?;
        for line in format.example.lines() {
            writeln!(out, "    {line}")?;
        }
        writeln!(out)?;
    }
    Ok(Outcome::Done)
}
