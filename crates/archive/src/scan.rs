//! Reading events back: all of a time and of some log sources, file by file.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow_array::RecordBatch;
use cresset_event::{Event, EventBuilder, FieldNames, LogSource, Timestamp};

use crate::archive::{Archive, logged_columns};
use crate::error::ArchiveError;
use crate::manifest::EventFile;
use crate::rows::Rows;
use crate::segment;

/// Which events are read.
#[derive(Default)]
pub struct Scan<'s> {
    /// Those of this time and later.
    pub since_inclusive: Option<Timestamp>,
    /// Those before this time.
    pub until_exclusive: Option<Timestamp>,
    /// Those of log sources for which this says so.
    pub log_source: Option<&'s dyn Fn(&LogSource) -> bool>,
}

impl Scan<'_> {
    fn wants(&self, event: &Event) -> bool {
        // One whose time is unknown could lie anywhere.
        let is_in_time = event.origin().time.known().is_none_or(|time| self.has(time));
        is_in_time && self.log_source.is_none_or(|wants| wants(&event.origin().log_source))
    }

    fn has(&self, time: Timestamp) -> bool {
        self.since_inclusive.is_none_or(|since| since <= time) && self.until_exclusive.is_none_or(|until| time < until)
    }

    fn wants_file(&self, entry: &EventFile) -> bool {
        let is_in_time = entry.times_unknown > 0
            || entry.times.is_some_and(|(first, last)| {
                self.since_inclusive.is_none_or(|since| since.as_nanos() <= last)
                    && self.until_exclusive.is_none_or(|until| first < until.as_nanos())
            });
        let is_wanted = |wants: &dyn Fn(&LogSource) -> bool| entry.log_sources().any(|(log_source, _)| wants(&log_source));
        is_in_time && self.log_source.is_none_or(is_wanted)
    }
}

impl Archive {
    /// Passes events to `take`, until that breaks off: those of each file in the order of their times, what is in the log last.
    /// A file that cannot be read is passed to `damaged`, and the others are read.
    pub fn scan(
        &self,
        scan: &Scan<'_>,
        names: &Arc<FieldNames>,
        mut take: impl FnMut(Event) -> ControlFlow<()>,
        mut damaged: impl FnMut(ArchiveError),
    ) {
        let mut builder = EventBuilder::new(Arc::clone(names));
        for entry in self.manifest.events.iter().filter(|entry| scan.wants_file(entry)) {
            let read = segment::read(&self.storage, entry);
            let batches = read.unwrap_or_else(|error| {
                damaged(error);
                Vec::new()
            });
            for batch in batches {
                match take_batch(&batch, scan, &mut builder, &mut take) {
                    Some(ControlFlow::Continue(())) => {}
                    Some(ControlFlow::Break(())) => return,
                    None => damaged(ArchiveError::damaged(&entry.file, "a row is no event")),
                }
            }
        }
        for pack in &self.packs {
            match logged_columns(pack).map(|batch| take_batch(&batch, scan, &mut builder, &mut take)) {
                Ok(Some(ControlFlow::Continue(()))) => {}
                Ok(Some(ControlFlow::Break(()))) => return,
                Ok(None) => damaged(ArchiveError::damaged("wal", "a row is no event")),
                Err(error) => damaged(error),
            }
        }
    }
}

/// Passes the events of a batch on; `None` where a row is none.
fn take_batch(
    batch: &RecordBatch,
    scan: &Scan<'_>,
    builder: &mut EventBuilder,
    take: &mut impl FnMut(Event) -> ControlFlow<()>,
) -> Option<ControlFlow<()>> {
    let mut rows = Rows::new(batch)?;
    for row in 0..batch.num_rows() {
        let event = rows.event(row, builder)?;
        if scan.wants(&event) && take(event).is_break() {
            return Some(ControlFlow::Break(()));
        }
    }
    Some(ControlFlow::Continue(()))
}
