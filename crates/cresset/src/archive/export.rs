//! `cresset archive export`: the events that an archive holds, for other programs.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::sync::Arc;

use cresset_archive::{Archive, ArchiveError, Scan, Sieve, TableFile};
use cresset_event::{Event, EventTime, FieldNames, Subject, Value};
use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::Outcome;
use crate::archive::told;
use crate::args::ArchiveExportArgs;
use crate::escape;
use crate::output::rows::counted;
use crate::watch::Bar;

/// An event, as programs get it.
#[derive(Serialize)]
struct Record<'e> {
    event_id: String,
    time: Option<String>,
    arrived: String,
    host: Option<String>,
    user: Option<String>,
    product: Option<&'e str>,
    service: Option<&'e str>,
    categories: &'e [String],
    source: &'e str,
    record: u64,
    offset: u64,
    /// By name; a list where the event has several values of a name.
    fields: Map<String, Json>,
    raw: Option<&'e str>,
}

/// Writes events to standard output.
pub(crate) fn run(args: &ArchiveExportArgs, out: &mut dyn Write) -> io::Result<Outcome> {
    let mut err = io::stderr();
    let archive = match Archive::open(&args.folder) {
        Ok(archive) => archive,
        Err(error) => return told(&error, &mut err),
    };
    let scan = Scan { since_inclusive: args.since, until_exclusive: args.until, ..Scan::default() };
    let bar = Bar::new(Some(archive.scan_bytes(&scan)));
    let mut export =
        Export { raw_only: args.raw, out, bar: &bar, bytes: 0, counts: (0, 0), damaged: Vec::new(), failed: None };
    archive.sift(&scan, &Arc::new(FieldNames::new()), &mut export);
    let Export { counts: (written, without_raw), damaged, failed, .. } = export;
    bar.finish();
    if let Some(error) = failed {
        return Err(error);
    }
    writeln!(err, "{} written", counted(written, "event"))?;
    if without_raw > 0 {
        writeln!(err, "left out: {}, of which only the fields were kept", counted(without_raw, "event"))?;
    }
    for error in &damaged {
        writeln!(err, "not exported: {}", escape::terminal(&error.with_causes()))?;
    }
    Ok(if damaged.is_empty() { Outcome::Done } else { Outcome::Failed })
}

/// An export at work.
struct Export<'o> {
    raw_only: bool,
    out: &'o mut dyn Write,
    bar: &'o Bar,
    bytes: u64,
    /// Events that were written, and that had to be left out.
    counts: (u64, u64),
    damaged: Vec<ArchiveError>,
    failed: Option<io::Error>,
}

impl Sieve for Export<'_> {
    fn take(&mut self, event: Event) -> ControlFlow<()> {
        let written = match (self.raw_only, event.raw()) {
            (true, "") => {
                self.counts.1 += 1;
                return ControlFlow::Continue(());
            }
            (true, raw) => writeln!(self.out, "{raw}"),
            (false, _) => write_record(&event, self.out),
        };
        self.counts.0 += 1;
        self.failed = written.err();
        if self.failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn damaged(&mut self, error: ArchiveError) {
        self.damaged.push(error);
    }

    fn done(&mut self, file: &TableFile) -> ControlFlow<()> {
        self.bytes += file.bytes;
        self.bar.set_position(self.bytes);
        ControlFlow::Continue(())
    }
}

fn write_record(event: &Event, out: &mut dyn Write) -> io::Result<()> {
    let origin = event.origin();
    let subject = |subject| event.subject(subject).map(|text| text.to_string());
    let record = Record {
        event_id: event.id().to_string(),
        time: match origin.time {
            EventTime::Known(time) => Some(time.to_string()),
            EventTime::Unknown(_) => None,
        },
        arrived: origin.arrived.to_string(),
        host: subject(Subject::Host),
        user: subject(Subject::User),
        product: origin.log_source.product.as_deref(),
        service: origin.log_source.service.as_deref(),
        categories: &origin.log_source.categories,
        source: &origin.source.name,
        record: origin.record,
        offset: origin.offset,
        fields: fields(event),
        raw: Some(event.raw()).filter(|raw| !raw.is_empty()),
    };
    writeln!(out, "{}", escape::json(&serde_json::to_string(&record)?))
}

/// Returns the fields that the record has; second names are left out.
fn fields(event: &Event) -> Map<String, Json> {
    let mut fields = Map::new();
    for entry in event.entries().filter(|entry| !entry.is_alias()) {
        let value = json(entry.value());
        match fields.get_mut(&*entry.name()) {
            None => drop(fields.insert(entry.name().to_string(), value)),
            Some(Json::Array(values)) => values.push(value),
            Some(first) => *first = Json::Array(vec![first.take(), value]),
        }
    }
    fields
}

fn json(value: Value<'_>) -> Json {
    match value {
        Value::Str(text) => text.into(),
        Value::Int(number) => number.into(),
        Value::Float(number) => number.into(),
        Value::Bool(truth) => truth.into(),
        Value::Null => Json::Null,
        Value::Empty => Json::Array(Vec::new()),
    }
}
