//! One watch: every source is read to its end, every event matched, everything that comes of it passed on.
//!
//! What is passed on, and its order, do not depend on the number of threads (`tests/it/threads.rs`).

use std::collections::HashSet;
use std::io;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cresset_archive::{ArchiveError, Pack, Writer};
use cresset_detect::{Detection, Detector, Dropped, EventMatcher, Matches};
use cresset_event::{Event, EventId, FieldNames, SourceIdentity, Timestamp};
use cresset_ingest::{Opener, Position, Skipped};
use crossbeam_channel::never;

use crate::crew;
use crate::detections::rows_of;
use crate::follow::{Delivered, Following};
use crate::read::{Pace, Reading, Step};
use crate::reload::Reloads;
use crate::report::{Report, Unreadable};
use crate::sources::SourcePath;
use crate::worker::{Seen, Work, Worker};

/// Where everything goes that a watch finds. The watch ends where it cannot be taken any more.
pub trait Sink {
    /// Takes a detection.
    fn detection(&mut self, detection: Detection) -> io::Result<()>;

    /// Takes a record that could not be read.
    fn skipped(&mut self, skipped: &Skipped) -> io::Result<()>;

    /// Takes a source that could not be read.
    fn unreadable(&mut self, unreadable: &Unreadable) -> io::Result<()>;

    /// Takes note of how far the watch is.
    fn progress(&mut self, progress: &Progress<'_>);

    /// Takes note of how many events were matched.
    fn seen(&mut self, _: &Seen) {}

    /// Takes note that an event was in the archive before: the place of one among all that were seen, counted from 0, and the
    /// number of its record.
    fn known(&mut self, _event: u64, _record: u64) {}

    /// Takes note that a delivery was read: all that there is to tell of it was told.
    fn delivered(&mut self, _: Delivered) {}

    /// Takes note that all that was told is settled: it is in the archive, where there is one, and on its disk.
    fn settled(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Takes how far files that are followed were read: all before was told, and is settled. The detector remembers what was
    /// before as well.
    fn mark(&mut self, _: &Detector, _: Vec<Position>) -> io::Result<()> {
        Ok(())
    }

    /// Takes note that the archive is full; the watch waits until there is room.
    fn archive_is_full(&mut self, _: &ArchiveError) {}

    /// Takes note that a correlation has changed, and what it remembered was forgotten.
    fn forgotten(&mut self, _: &Dropped) {}
}

/// How far a watch is.
#[derive(Debug)]
pub struct Progress<'p> {
    /// The source that is being read.
    pub source: &'p str,
    /// Bytes read of all sources.
    pub bytes: u64,
    /// Events read.
    pub events: u64,
}

/// What of the events is looked at, and by how many.
#[derive(Debug, Clone, Copy, Default)]
pub struct WatchOptions {
    /// Events before this are left out.
    pub since_inclusive: Option<Timestamp>,
    /// Events from this on are left out.
    pub until_exclusive: Option<Timestamp>,
    /// Threads that match, beside one that reads and one that passes on; 0 and 1: one thread does everything. Beside them
    /// one waits for each pipe that is open.
    pub threads: usize,
}

impl WatchOptions {
    /// Whether the event is looked at. One whose time is unknown is: leaving it out could hide it.
    fn wants(&self, event: &Event) -> bool {
        event.origin().time.known().is_none_or(|time| {
            self.since_inclusive.is_none_or(|since| since <= time)
                && self.until_exclusive.is_none_or(|until| time < until)
        })
    }
}

/// A watch that can be run over sources.
#[derive(Debug)]
pub struct Watch {
    opener: Opener,
    detector: Detector,
    options: WatchOptions,
    reloads: Option<Reloads>,
    archive: Option<Writer>,
    following: Option<Following>,
}

impl Watch {
    /// Returns a watch that numbers field names in `names`.
    pub fn new(names: Arc<FieldNames>, detector: Detector, options: WatchOptions) -> Self {
        Self { opener: Opener::new(names), detector, options, reloads: None, archive: None, following: None }
    }

    /// Follows files as they grow and are rotated, in place of reading each to its end.
    pub fn following(self, following: Following) -> Self {
        Self { following: Some(following), ..self }
    }

    /// Remembers every event that is looked at.
    pub fn with_archive(self, archive: Writer) -> Self {
        Self { archive: Some(archive), ..self }
    }

    /// Returns the archive, which is to be closed.
    pub fn take_archive(&mut self) -> Option<Writer> {
        self.archive.take()
    }

    /// Takes over rules as they change, in place of those of the detector.
    pub fn with_reloads(self, reloads: Reloads) -> Self {
        Self { reloads: Some(reloads), ..self }
    }

    /// Returns what events are matched against.
    pub fn detector(&self) -> &Detector {
        &self.detector
    }

    /// Reads every source to its end. `Err` only where the sink fails.
    pub fn run(&mut self, sources: &[SourcePath], sink: &mut dyn Sink) -> io::Result<Report> {
        let began = Instant::now();
        let Self { opener, detector, options, reloads, archive, following } = self;
        let reading = Reading {
            opener: opener.clone(),
            sources: sources.to_vec(),
            rules: reloads.as_ref().map_or_else(never, |reloads| reloads.sets.clone()),
            following: following.clone(),
        };
        let rules = Arc::clone(detector.rules());
        let matchers: Vec<_> = (0..options.threads.max(1)).map(|_| detector.matcher()).collect();
        let events = AtomicU64::new(0);
        let keep = archive.as_ref().map(Writer::keep);
        let work = Work { wants: &|event| options.wants(event), events: &events, keep };
        let (archive, report) = (archive.as_mut(), Report::default());
        let (found, counted) = (Vec::new(), HashSet::new());
        let packed = 0;
        let mut teller = Teller { detector, sink, events: &events, archive, packed, found, counted, report };
        let mut take = |step| teller.take(step);
        let seen = match <[EventMatcher; 1]>::try_from(matchers) {
            Ok([matcher]) => {
                let mut worker = Worker::new(&work, matcher);
                reading.run(&mut |piece, pace| {
                    let spare = worker.look(piece, &mut take)?;
                    let bytes_min = if pace == Pace::Live { 0 } else { PACK_BYTES };
                    worker.hand_on_pack(bytes_min, pace, &mut take)?;
                    Ok::<_, io::Error>(spare)
                })?;
                worker.hand_on_pack(0, Pace::Stored, &mut take)?;
                worker.into_report()
            }
            Err(matchers) => crew::run(reading, rules, matchers, &work, &mut take)?,
        };
        teller.archive_found()?;
        let mut report = teller.report;
        report.merge(seen);
        report.took = began.elapsed();
        Ok(report)
    }
}

/// Passes on what comes of the steps, in their order.
struct Teller<'t> {
    detector: &'t mut Detector,
    sink: &'t mut dyn Sink,
    /// Events that were matched so far.
    events: &'t AtomicU64,
    archive: Option<&'t mut Writer>,
    /// Events that the archive was given.
    packed: u64,
    /// Detections for the archive.
    found: Vec<Detection>,
    /// Delivered events that correlations have counted and that are not in the archive yet.
    counted: HashSet<EventId>,
    report: Report,
}

impl Teller<'_> {
    /// Takes a step, and gives back an event that is done with.
    fn take(&mut self, step: Step) -> io::Result<Option<Event>> {
        let Self { sink, report, .. } = self;
        match step {
            Step::Found(event, matches) => {
                self.tell(&event, matches)?;
                return Ok(Some(event));
            }
            Step::Skipped(skipped) => {
                report.skipped += 1;
                sink.skipped(&skipped)?;
            }
            Step::Unreadable(unreadable) => {
                sink.unreadable(&unreadable)?;
                report.unreadable.push(unreadable);
            }
            Step::Progress(source, bytes) => {
                report.bytes = bytes;
                let events = self.events.load(Ordering::Relaxed);
                sink.progress(&Progress { source: &source, bytes, events });
            }
            Step::Pack(pack, pace) => self.archive(&pack, pace)?,
            Step::Seen(seen) => sink.seen(&seen),
            Step::Delivered(delivered) => sink.delivered(delivered),
            Step::AllForNow(_settling) => {
                self.settle()?;
                self.sink.settled()?;
            }
            Step::Mark(positions) => {
                self.settle()?;
                self.sink.mark(self.detector, positions)?;
            }
            Step::SourceEnd => report.sources += 1,
            Step::Rules(rules) => {
                self.detector.change_rules(&rules).iter().for_each(|dropped| sink.forgotten(dropped));
            }
        }
        Ok(None)
    }

    /// Writes events to the archive, and what was found in them, and waits while that is full.
    fn archive(&mut self, pack: &Pack, pace: Pace) -> io::Result<()> {
        let Self { archive: Some(archive), sink, packed, report, .. } = self else { return Ok(()) };
        let (mut known, mut is_first_try) = (Vec::new(), true);
        let appended = while_full(*sink, || {
            // What a try that failed had begun is known to the next, and was new all the same.
            let tell = mem::take(&mut is_first_try);
            archive.append_telling(pack, |event| {
                if tell {
                    known.push(event)
                }
            })
        })?;
        known.iter().for_each(|event| sink.known(*packed + event.place, event.record));
        *packed += pack.len() as u64;
        report.archived += appended.new;
        self.counted.clear();
        report.archived_before += appended.known;
        self.archive_found()?;
        let Self { archive: Some(archive), sink, .. } = self else { return Ok(()) };
        if pace == Pace::Live { while_full(*sink, || archive.commit()) } else { Ok(()) }
    }

    /// Brings all that the archive was given to the disk.
    fn settle(&mut self) -> io::Result<()> {
        self.archive_found()?;
        let Self { archive: Some(archive), sink, .. } = self else { return Ok(()) };
        while_full(*sink, || archive.commit())
    }

    /// Writes what was found to the archive.
    fn archive_found(&mut self) -> io::Result<()> {
        let Self { archive: Some(archive), sink, found, report, .. } = self else { return Ok(()) };
        for some in found.chunks(FOUND_MAX) {
            let rows = rows_of(some);
            report.archived_detections += while_full(*sink, || archive.append_rows(&rows))?.new;
        }
        found.clear();
        Ok(())
    }

    fn tell(&mut self, event: &Event, matches: Matches) -> io::Result<()> {
        // However much an event comes to: what it is found in need not be in the archive before.
        if self.found.len() >= FOUND_MAX {
            self.archive_found()?;
        }
        let is_again = self.detector.feeds_correlations(&matches) && self.is_delivered_again(event)?;
        let Self { detector, sink, archive, found, .. } = self;
        let mut result = Ok(());
        let tell = |detection: Detection| {
            if archive.is_some() {
                found.push(detection.clone());
            }
            if result.is_ok() {
                result = sink.detection(detection);
            }
        };
        match is_again {
            true => detector.tell_again(event, matches, tell),
            false => detector.tell(event, matches, tell),
        }
        result
    }

    /// Returns whether an event was delivered before, as its sender's keys tell. What of a file is read again after a kill was read
    /// behind what correlations remember, and is counted.
    fn is_delivered_again(&mut self, event: &Event) -> io::Result<bool> {
        let Self { archive: Some(archive), sink, counted, .. } = self else { return Ok(false) };
        let identity = &event.origin().source.identity;
        if !matches!(identity, SourceIdentity::Request(_) | SourceIdentity::Keyed(_)) {
            return Ok(false);
        }
        Ok(!counted.insert(event.id()) || while_full(*sink, || archive.has(event))?)
    }
}

/// Detections that wait for the archive, and that it gets at once. Each has some kilobytes of values at most.
const FOUND_MAX: usize = 1024;
/// Packs for the archive have at least so many bytes, unless what is in them came live.
const PACK_BYTES: usize = 1 << 18;
/// Time between two tries while the archive is full.
const FULL_PAUSE: Duration = Duration::from_secs(1);

/// Tries again while the archive is full, which is told once.
fn while_full<T>(sink: &mut dyn Sink, mut write: impl FnMut() -> Result<T, ArchiveError>) -> io::Result<T> {
    let mut is_told = false;
    loop {
        match write() {
            Err(error) if error.is_full() => {
                if !is_told {
                    sink.archive_is_full(&error);
                    is_told = true;
                }
                thread::sleep(FULL_PAUSE);
            }
            written => return written.map_err(io::Error::other),
        }
    }
}
