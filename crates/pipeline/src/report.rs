//! What was read, and what was not: counted, so that nothing is missing unseen.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use cresset_event::{Event, EventTime, FieldId, LogSource, Timestamp};

/// A source that could not be read at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// What was asked for.
    pub source: String,
    /// Why it could not be read.
    pub reason: String,
}

/// What one watch read.
#[derive(Debug, Default)]
pub struct Report {
    /// Events that were read and matched.
    pub events: u64,
    /// Events outside `--since` and `--until`, read and not matched.
    pub events_outside: u64,
    /// Events that the archive took.
    pub archived: u64,
    /// Events that the archive had already.
    pub archived_before: u64,
    /// Detections that the archive took.
    pub archived_detections: u64,
    /// Records that could not be read.
    pub skipped: u64,
    /// Sources that were read.
    pub sources: u64,
    /// Sources that could not be.
    pub unreadable: Vec<Unreadable>,
    /// Bytes of the sources as they lie on disk.
    pub bytes: u64,
    /// Events by format.
    pub formats: BTreeMap<&'static str, u64>,
    /// Fields that were over the bound of their event and left out.
    pub fields_cut: u64,
    /// Events without a time that could be read.
    pub times_unknown: u64,
    /// Events dated more than five minutes after they were read.
    pub times_future: u64,
    /// The earliest and latest time of an event that is not in the future.
    pub span: Option<(Timestamp, Timestamp)>,
    /// How long reading and matching took.
    pub took: Duration,
    log_sources: HashSet<Arc<LogSource>>,
    log_source_last: Option<Arc<LogSource>>,
    fields_seen: Vec<bool>,
}

/// How far after its arrival an event may be dated before that is remarked: clocks differ by minutes, not by more.
const FUTURE_SLACK_NANOS: i64 = 300 * 1_000_000_000;

impl Report {
    pub(crate) fn add(&mut self, format: &'static str, event: &Event) {
        self.events += 1;
        *self.formats.entry(format).or_default() += 1;
        self.fields_cut += event.fields_cut();
        let origin = event.origin();
        // Readers share a log source, so most events have one that was just seen.
        if !self.log_source_last.as_ref().is_some_and(|last| Arc::ptr_eq(last, &origin.log_source)) {
            self.log_sources.insert(Arc::clone(&origin.log_source));
            self.log_source_last = Some(Arc::clone(&origin.log_source));
        }
        match origin.time {
            EventTime::Unknown(_) => {
                self.times_unknown += 1;
            }
            EventTime::Known(time) if time > origin.arrived.saturating_add_nanos(FUTURE_SLACK_NANOS) => {
                self.times_future += 1;
            }
            EventTime::Known(time) => {
                let (first, last) = self.span.unwrap_or((time, time));
                self.span = Some((first.min(time), last.max(time)));
            }
        }
        for id in event.field_ids() {
            self.see(id);
        }
    }

    /// Adds what another thread counted.
    pub(crate) fn merge(&mut self, other: Self) {
        let Self { events, events_outside, skipped, sources, unreadable, bytes, formats, .. } = other;
        self.events += events;
        self.events_outside += events_outside;
        self.skipped += skipped;
        self.sources += sources;
        self.unreadable.extend(unreadable);
        self.bytes = self.bytes.max(bytes);
        for (format, count) in formats {
            *self.formats.entry(format).or_default() += count;
        }
        self.fields_cut += other.fields_cut;
        self.times_unknown += other.times_unknown;
        self.times_future += other.times_future;
        self.span = match (self.span, other.span) {
            (Some((first, last)), Some((other_first, other_last))) => {
                Some((first.min(other_first), last.max(other_last)))
            }
            (one, other) => one.or(other),
        };
        self.log_sources.extend(other.log_sources);
        if self.fields_seen.len() < other.fields_seen.len() {
            self.fields_seen.resize(other.fields_seen.len(), false);
        }
        self.fields_seen.iter_mut().zip(other.fields_seen).for_each(|(seen, other)| *seen |= other);
    }

    fn see(&mut self, id: FieldId) {
        if self.fields_seen.len() <= id.index() {
            self.fields_seen.resize(id.index() + 1, false);
        }
        self.fields_seen[id.index()] = true;
    }

    /// Returns whether any event had a field.
    pub fn has_seen(&self, id: FieldId) -> bool {
        self.fields_seen.get(id.index()).copied().unwrap_or(false)
    }

    /// Returns the log sources of the events that were read.
    pub fn log_sources(&self) -> Vec<Arc<LogSource>> {
        self.log_sources.iter().cloned().collect()
    }

    /// Returns whether anything could not be read.
    pub fn has_unread(&self) -> bool {
        self.skipped > 0 || self.fields_cut > 0 || !self.unreadable.is_empty()
    }
}
