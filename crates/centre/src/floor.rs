//! The watch that does not end, on a thread of its own: it follows files, takes deliveries, and passes what comes of them to
//! the desk, in order.

use std::collections::HashMap;
use std::io;
use std::mem;

use cresset_archive::ArchiveError;
use cresset_detect::{Detection, Detector, Dropped};
use cresset_event::{SourceIdentity, Timestamp};
use cresset_ingest::{Position, Skipped};
use cresset_pipeline::{Delivered, Progress, Seen, Sink, Unreadable};
use tokio::sync::{mpsc, oneshot};
use tracing::{info, warn};

use crate::intake::Taken;

/// Detections that are passed on at once; more go in several parts.
const FOUND_MAX: usize = 1024;
/// Parts that wait for the desk: while it writes one the next is made, and no more.
pub(crate) const PARTS_MAX: usize = 2;

/// What the watch passes to the desk.
#[derive(Debug)]
pub(crate) enum Part {
    /// What was found, and what was read.
    Found(Found),
    /// How far files were read, and what correlations remember; all before was passed on.
    Mark(Vec<Position>, Vec<u8>),
    /// Somebody waits until all before is recorded.
    Wait(oneshot::Sender<()>),
}

/// What was found in a stretch of what was read.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Whether they are of the past, found by a hunt.
    pub(crate) is_retro: bool,
    /// The detections, in their order.
    pub(crate) detections: Vec<Detection>,
    /// Deliveries that are in the archive: once this is recorded too they are acknowledged.
    pub(crate) delivered: Vec<(u64, Taken)>,
    /// What was read of each source, by name.
    pub(crate) read: HashMap<String, Read>,
}

/// What was read of a source.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Read {
    pub(crate) events: u64,
    pub(crate) skipped: u64,
    /// The latest time that an event says it happened.
    pub(crate) latest: Option<Timestamp>,
}

/// The sink of the watch.
pub(crate) struct Floor {
    desk: mpsc::Sender<Part>,
    found: Found,
    /// What was read since the last delivery.
    current: Taken,
    /// Events that were seen of all sources.
    seen: u64,
}

impl Floor {
    pub(crate) fn new(desk: mpsc::Sender<Part>) -> Self {
        Self { desk, found: Found::default(), current: Taken::default(), seen: 0 }
    }

    fn pass_on(&mut self) -> io::Result<()> {
        let found = mem::take(&mut self.found);
        self.send(Part::Found(found))
    }

    fn send(&self, part: Part) -> io::Result<()> {
        self.desk.blocking_send(part).map_err(|_| io::Error::other("the desk is closed"))
    }

    /// Begins what is delivered next behind all that was seen, unless there is some of it already.
    fn begin(&mut self) {
        if self.current.events == 0 {
            self.current.first = self.seen;
        }
    }

    fn read_of(&mut self, source: &str) -> &mut Read {
        if !self.found.read.contains_key(source) {
            self.found.read.insert(source.to_owned(), Read::default());
        }
        self.found.read.get_mut(source).expect("it is there now")
    }
}

impl Sink for Floor {
    fn detection(&mut self, detection: Detection) -> io::Result<()> {
        self.found.detections.push(detection);
        if self.found.detections.len() < FOUND_MAX {
            return Ok(());
        }
        // What was delivered is settled only later.
        let delivered = mem::take(&mut self.found.delivered);
        self.pass_on()?;
        self.found.delivered = delivered;
        Ok(())
    }

    fn skipped(&mut self, skipped: &Skipped) -> io::Result<()> {
        self.read_of(&skipped.source.name).skipped += 1;
        if !is_file(&skipped.source.identity) {
            self.current.skip(skipped.record, skipped.reason.clone());
        }
        Ok(())
    }

    fn unreadable(&mut self, unreadable: &Unreadable) -> io::Result<()> {
        warn!(source = unreadable.source, reason = unreadable.reason, "cannot be read");
        Ok(())
    }

    fn progress(&mut self, _: &Progress<'_>) {}

    fn seen(&mut self, seen: &Seen) {
        let read = self.read_of(&seen.source.name);
        read.events += seen.events;
        read.latest = read.latest.max(seen.latest);
        if !is_file(&seen.source.identity) {
            self.begin();
            self.current.events += seen.events;
        }
        self.seen += seen.events;
    }

    fn known(&mut self, event: u64, record: u64) {
        // Deliveries are read one after another.
        let delivered = &mut self.found.delivered;
        let at = delivered.partition_point(|(_, taken)| taken.first <= event).saturating_sub(1);
        let taken = delivered.get_mut(at).map(|(_, taken)| taken);
        // What is of none is of a file.
        if let Some(taken) = [Some(&mut self.current), taken].into_iter().flatten().find(|taken| taken.has(event)) {
            taken.know(record);
        }
    }

    fn delivered(&mut self, delivered: Delivered) {
        let Delivered { number, refused } = delivered;
        self.begin();
        self.found.delivered.push((number, Taken { refused, ..mem::take(&mut self.current) }));
    }

    fn settled(&mut self) -> io::Result<()> {
        self.pass_on()
    }

    fn mark(&mut self, detector: &Detector, positions: Vec<Position>) -> io::Result<()> {
        self.pass_on()?;
        let snapshot = detector.snapshot();
        if snapshot.groups_left_out > 0 {
            warn!(groups = snapshot.groups_left_out, "left out of what correlations remember: it would be too long");
        }
        self.send(Part::Mark(positions, snapshot.bytes))
    }

    fn archive_is_full(&mut self, error: &ArchiveError) {
        warn!(error = error.with_causes(), "the archive is full; the watch waits until there is room");
    }

    fn forgotten(&mut self, dropped: &Dropped) {
        info!(correlation = dropped.title, reason = %dropped.reason, "what it remembered is forgotten");
    }
}

/// Whether it is a file that is followed, and no delivery.
fn is_file(identity: &SourceIdentity) -> bool {
    matches!(identity, SourceIdentity::File(_))
}
