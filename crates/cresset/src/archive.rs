//! `cresset archive`: what an archive holds, whether it is whole, making few files of many, and all of it for other programs.

mod export;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use cresset_archive::{Archive, ArchiveError, Stats, TableStats, Writer, WriterOptions};
use cresset_event::LogSource;
use serde::Serialize;

pub(crate) use self::export::run as export;
use crate::Outcome;
use crate::args::{ArchiveStatsArgs, CheckOutput};
use crate::escape;
use crate::output::rows::{bar, counted};
use crate::watch::Bar;

/// Says why something cannot be done.
pub(crate) fn told(error: &ArchiveError, err: &mut dyn Write) -> io::Result<Outcome> {
    writeln!(err, "cresset: {}", escape::terminal(&error.with_causes()))?;
    Ok(Outcome::Failed)
}

/// What `--output json` gives: one object.
#[derive(Serialize)]
struct StatsOut {
    events: u64,
    events_in_log: u64,
    times_unknown: u64,
    first: Option<String>,
    last: Option<String>,
    event_files: u64,
    event_bytes: u64,
    index_files: u64,
    index_bytes: u64,
    log_sources: BTreeMap<String, u64>,
    tables: BTreeMap<String, TableStats>,
}

/// Says what an archive holds.
pub(crate) fn stats(args: &ArchiveStatsArgs, out: &mut dyn Write) -> io::Result<Outcome> {
    let mut err = io::stderr();
    let archive = match Archive::open(&args.folder) {
        Ok(archive) => archive,
        Err(error) => return told(&error, &mut err),
    };
    let stats = stats_out(&archive.stats());
    match args.output {
        CheckOutput::Json => writeln!(out, "{}", escape::json(&serde_json::to_string(&stats)?))?,
        CheckOutput::Text => write_stats(&stats, out)?,
    }
    for damage in archive.damages() {
        writeln!(err, "not counted: {}", escape::terminal(&damage.to_string()))?;
    }
    Ok(if archive.damages().is_empty() { Outcome::Done } else { Outcome::Failed })
}

fn stats_out(stats: &Stats) -> StatsOut {
    let mut log_sources: BTreeMap<String, u64> = BTreeMap::new();
    for (log_source, count) in &stats.log_sources {
        *log_sources.entry(name_of(log_source)).or_default() += count;
    }
    StatsOut {
        events: stats.events,
        events_in_log: stats.events_in_log,
        times_unknown: stats.times_unknown,
        first: stats.times.map(|(first, _)| first.to_string()),
        last: stats.times.map(|(_, last)| last.to_string()),
        event_files: stats.event_files.0,
        event_bytes: stats.event_files.1,
        index_files: stats.index_files.0,
        index_bytes: stats.index_files.1,
        log_sources,
        tables: stats.tables.clone(),
    }
}

/// `windows/sysmon process_creation`, or `other`.
fn name_of(log_source: &LogSource) -> String {
    let LogSource { product, service, categories } = log_source;
    let words: Vec<&str> = [product.as_deref(), service.as_deref()].into_iter().flatten().collect();
    let words = if words.is_empty() { "other".to_owned() } else { words.join("/") };
    if categories.is_empty() { words } else { format!("{words} {}", categories.join("+")) }
}

fn write_stats(stats: &StatsOut, out: &mut dyn Write) -> io::Result<()> {
    let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    writeln!(out, "{} in the archive, {} of them in the log", counted(stats.events, "event"), stats.events_in_log)?;
    if let (Some(first), Some(last)) = (&stats.first, &stats.last) {
        writeln!(out, "  from {first} to {last}")?;
    }
    if stats.times_unknown > 0 {
        writeln!(out, "  {} without a time", counted(stats.times_unknown, "event"))?;
    }
    let (events, index) = (counted(stats.event_files, "file"), counted(stats.index_files, "file"));
    writeln!(out, "  {events} of events, {}", megabytes(stats.event_bytes))?;
    writeln!(out, "  {index} of the index, {}", megabytes(stats.index_bytes))?;
    for (name, table) in &stats.tables {
        let (files, rows) = (counted(table.files, "file"), counted(table.rows, "row"));
        writeln!(out, "  {files} of {name}, {rows}, {}", megabytes(table.bytes))?;
    }
    let most = stats.log_sources.values().copied().max().unwrap_or(0);
    let mut log_sources: Vec<_> = stats.log_sources.iter().collect();
    log_sources.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    for (name, count) in log_sources {
        writeln!(out, "    {:<48} {count:>10}  {}", escape::terminal(name), bar(*count, most))?;
    }
    Ok(())
}

/// Reads every file and says which are not as they were written.
pub(crate) fn verify(folder: &Path, out: &mut dyn Write) -> io::Result<Outcome> {
    let mut err = io::stderr();
    let verified = Archive::open(folder).map(|archive| {
        let (bar, mut done) = (Bar::new(Some(archive.byte_len())), 0);
        let damages = archive.verify(|bytes| {
            done += bytes;
            bar.set_position(done);
        });
        bar.finish();
        (damages, archive.byte_len())
    });
    let (damages, bytes) = match verified {
        Ok(verified) => verified,
        Err(error) => return told(&error, &mut err),
    };
    for damage in &damages {
        writeln!(out, "damaged: {}: {}", escape::terminal(&damage.file), escape::terminal(&damage.reason))?;
    }
    let megabytes = bytes as f64 / 1e6;
    writeln!(out, "{} damaged; {megabytes:.1} MB were read", counted(damages.len() as u64, "file"))?;
    Ok(if damages.is_empty() { Outcome::Done } else { Outcome::Failed })
}

/// Makes few large files of many small ones.
pub(crate) fn compact(folder: &Path, out: &mut dyn Write) -> io::Result<Outcome> {
    // A writer would make an archive where there is none.
    let compacted = Archive::open(folder)
        .and_then(|_| Writer::open(folder, WriterOptions::default()))
        .and_then(|(mut writer, _)| writer.compact().and_then(|made| writer.close().map(|_| made)));
    match compacted {
        Ok(made) => writeln!(out, "{} made", counted(made, "file")).map(|()| Outcome::Done),
        Err(error) => told(&error, &mut io::stderr()),
    }
}
