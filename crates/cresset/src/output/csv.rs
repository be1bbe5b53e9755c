//! Comma-separated values with a header; lists are joined by ` | `, matches are `field=value`.

use std::io::{self, Write};

use cresset_detect::{Detection, DetectionRecord};

use super::{Closing, Output};
use crate::escape;

/// The columns, in this order within a version of the schema; new ones come last.
const COLUMNS: [&str; 19] = [
    "time",
    "level",
    "kind",
    "title",
    "id",
    "techniques",
    "tactics",
    "host",
    "user",
    "process",
    "matched",
    "source",
    "record",
    "event_id",
    "author",
    "references",
    "arrived",
    "log_source",
    "events",
];

/// Writes detections as they come.
pub(crate) struct CsvOutput<'o> {
    writer: csv::Writer<&'o mut dyn Write>,
    began: bool,
}

impl<'o> CsvOutput<'o> {
    pub(crate) fn new(out: &'o mut dyn Write) -> Self {
        Self { writer: csv::WriterBuilder::new().from_writer(out), began: false }
    }

    fn begin(&mut self) -> io::Result<()> {
        if !std::mem::replace(&mut self.began, true) {
            self.writer.write_record(COLUMNS).map_err(csv_error)?;
        }
        Ok(())
    }
}

impl Output for CsvOutput<'_> {
    fn detection(&mut self, detection: &Detection) -> io::Result<()> {
        self.begin()?;
        let record = DetectionRecord::new(detection);
        let matched: Vec<String> =
            record.matched.iter().map(|m| format!("{}={}", m.field, m.value.unwrap_or("(none)"))).collect();
        let source = &detection.log_source;
        let words = [source.product.as_deref(), source.service.as_deref()];
        let words: Vec<&str> =
            words.into_iter().flatten().chain(source.categories.iter().map(String::as_str)).collect();
        let events = match &detection.cause {
            cresset_detect::Cause::Correlation { events, .. } => *events,
            _ => 1,
        };
        let row = [
            record.time.as_deref().unwrap_or_default(),
            record.level,
            record.kind,
            &record.title,
            record.id.as_deref().unwrap_or_default(),
            &record.techniques.join(" | "),
            &record.tactics.join(" | "),
            record.host.unwrap_or_default(),
            record.user.unwrap_or_default(),
            record.process.unwrap_or_default(),
            &matched.join(" | "),
            record.source,
            &record.record.to_string(),
            &record.event_id,
            record.author.unwrap_or_default(),
            &record.references.join(" | "),
            &record.arrived,
            &words.join("/"),
            &events.to_string(),
        ];
        self.writer.write_record(row.map(|cell| escape::csv_cell(cell).into_owned())).map_err(csv_error)
    }

    fn finish(mut self: Box<Self>, closing: &Closing<'_>) -> io::Result<()> {
        self.begin()?;
        self.writer.flush()?;
        closing.write_short(&mut io::stderr())
    }
}

/// The error of the output itself, so that a reader who has seen enough is told from a full disk.
pub(crate) fn csv_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(cause) => cause,
        _ => io::Error::other("a row of another length than the header"),
    }
}
