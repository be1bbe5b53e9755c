//! How what was seen is shown: a table for people, JSON lines for programs.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use cresset_archive::{Seen, SeenExample, Stats};
use serde::Serialize;

use super::wanted::{Found, Wanted};
use crate::escape;
use crate::output::Style;
use crate::output::rows::counted;

/// Names that a line of the table shows; all are in `--output jsonl`.
const NAMES_MAX: usize = 5;

/// An indicator that was seen, as programs get it.
#[derive(Serialize)]
struct Record<'f> {
    value: String,
    r#type: &'static str,
    id: Option<String>,
    name: Option<&'f str>,
    author: Option<&'f str>,
    count: u64,
    first_seen: Option<String>,
    last_seen: Option<String>,
    hosts: Vec<&'f str>,
    sources: Vec<&'f str>,
    values: &'f BTreeMap<String, u64>,
    examples: Vec<ExampleRecord<'f>>,
}

#[derive(Serialize)]
struct ExampleRecord<'f> {
    event_id: String,
    time: Option<String>,
    field: &'f str,
    value: &'f str,
}

/// Writes one object a line.
pub(super) fn write_jsonl(found: &[Found<'_>], out: &mut dyn Write) -> io::Result<()> {
    for found in found {
        let line = serde_json::to_string(&record(found))?;
        writeln!(out, "{}", escape::json(&line))?;
    }
    out.flush()
}

fn record<'f>(found: &Found<'f>) -> Record<'f> {
    let (indicator, seen) = (found.indicator, found.seen);
    let example = |example: &'f SeenExample| ExampleRecord {
        event_id: example.id.to_string(),
        time: example.time.map(|time| time.to_string()),
        field: &example.field,
        value: &example.value,
    };
    Record {
        value: found.text(),
        r#type: found.matcher.kind().stix_path(),
        id: indicator.map(|indicator| indicator.id.to_string()),
        name: indicator.and_then(|indicator| indicator.name.as_deref()),
        author: indicator.and_then(|indicator| indicator.author.as_deref()),
        count: seen.count,
        first_seen: seen.times.map(|(first, _)| first.to_string()),
        last_seen: seen.times.map(|(_, last)| last.to_string()),
        hosts: seen.hosts.iter().map(|(name, _)| &**name).collect(),
        sources: seen.sources.iter().map(|(name, _)| &**name).collect(),
        values: &seen.values,
        examples: seen.examples.iter().map(example).collect(),
    }
}

/// Writes each indicator that was seen with where, and some events.
pub(super) fn write_table(found: &[Found<'_>], style: Style, out: &mut dyn Write) -> io::Result<()> {
    for one in found {
        let (matcher, text) = (one.matcher, one.text());
        let about = one.indicator.map(|indicator| {
            let name = indicator.name.as_deref().filter(|name| *name != text);
            [name, indicator.author.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(", ")
        });
        let about = about.filter(|about| !about.is_empty()).map_or(String::new(), |about| format!("  {about}"));
        writeln!(
            out,
            "{} {}{}",
            style.bold(escape::terminal(&text)),
            matcher.kind(),
            style.dim(escape::terminal(&about))
        )?;
        write_seen(one.seen, style, out)?;
        writeln!(out)?;
    }
    Ok(())
}

fn write_seen(seen: &Seen, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let times = match seen.times {
        Some((first, last)) if first == last => format!("at {first}"),
        Some((first, last)) => format!("from {first} to {last}"),
        None => "at a time that is not known".into(),
    };
    writeln!(out, "  seen {} {times}", style.matched(counted(seen.count, "time")))?;
    let mut values: Vec<(&str, u64)> = seen.values.iter().map(|(value, count)| (value.as_str(), *count)).collect();
    values.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    write_names("on", seen.hosts.iter().map(|(name, count)| (&**name, *count)), out)?;
    write_names("in", seen.sources.iter().map(|(name, count)| (&**name, *count)), out)?;
    if values.len() > 1 {
        write_names("as", values.into_iter(), out)?;
    }
    for SeenExample { time, id, field, value } in &seen.examples {
        let time = time.map_or_else(|| "time not known".to_owned(), |time| time.to_string());
        let shown = format!("{time}  {field}={value}");
        writeln!(out, "    {}  {}", escape::terminal(&shown), style.dim(format_args!("event {id}")))?;
    }
    Ok(())
}

fn write_names<'n>(
    what: &str,
    mut names: impl ExactSizeIterator<Item = (&'n str, u64)>,
    out: &mut dyn Write,
) -> io::Result<()> {
    if names.len() == 0 {
        return Ok(());
    }
    let shown: Vec<String> = names.by_ref().take(NAMES_MAX).map(|(name, count)| format!("{name} ({count})")).collect();
    let more = if names.len() > 0 { format!(" and {} more", names.len()) } else { String::new() };
    writeln!(out, "  {what} {}{more}", escape::terminal(&shown.join(", ")))
}

/// What a hunt came to, in a line.
pub(super) struct Closing<'h> {
    pub(super) wanted: &'h Wanted,
    pub(super) found: usize,
    pub(super) stats: Stats,
    pub(super) took: Duration,
}

impl Closing<'_> {
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self { wanted, found, stats, took } = self;
        let wanted = counted(wanted.count() as u64, "indicator");
        let span = stats.times.map_or(String::new(), |(first, last)| format!(", {first} to {last}"));
        let seconds = took.as_secs_f64();
        writeln!(out, "{found} of {wanted} seen in {}{span}; {seconds:.3} s", counted(stats.events, "event"))
    }
}
