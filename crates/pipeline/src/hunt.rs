//! Rules over the past: what they would have found in what an archive remembers.
//!
//! Where every rule asks for values that the index of observables knows, only the events of times are looked at in which those
//! were seen. Of each file only the columns are decoded that the rules look at; events that a rule fits are read as a whole and given to
//! the same detector that a watch has. What is found is passed on as it is found. A hunt that was broken off goes on behind
//! the last file that it had read.

use std::collections::{BTreeSet, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use cresset_archive::{Archive, ArchiveError, EVENTS, Scan, Sieve, Sifted, TableFile};
use cresset_detect::{Detection, Detector, EventMatcher, IndicatorSet, RuleSet, SnapshotError};
use cresset_event::{Event, FieldNames, LogSource, Timestamp};

/// What is hunted, and where. It reads on the thread that runs it, which may be one of its own with a low priority.
pub struct Hunt<'h> {
    /// The past.
    pub archive: &'h Archive,
    /// Events of this time and later; those whose time is not known are always among them.
    pub since_inclusive: Option<Timestamp>,
    /// The rules.
    pub rules: Arc<RuleSet>,
    /// The table in which the rules' field names are numbered.
    pub names: &'h Arc<FieldNames>,
}

/// Who is told of a hunt as it goes on.
pub trait Hunting {
    /// Takes what was found; breaking off ends the hunt, within a file.
    fn found(&mut self, detection: Detection) -> ControlFlow<()>;

    /// Takes how far the hunt is, behind each file; breaking off ends it so that it can be gone on with.
    fn progress(&mut self, _progress: &HuntProgress<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// How far a hunt is.
pub struct HuntProgress<'p> {
    /// Bytes of files that are read, those that an earlier run read left out.
    pub bytes: u64,
    /// Bytes of all of these.
    pub bytes_total: u64,
    /// What was done until now.
    pub done: &'p HuntDone,
    detector: &'p Detector,
}

impl HuntProgress<'_> {
    /// Returns what correlations remember at this moment, for [`HuntDone::memory`].
    pub fn memory(&self) -> Vec<u8> {
        self.detector.snapshot().bytes
    }
}

/// What a hunt has done: given to another one with the same rules, it goes on behind it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct HuntDone {
    /// Files that were read to their end.
    pub files: HashSet<String>,
    /// Events that were looked at.
    pub events: u64,
    /// What correlations remembered; empty for nothing.
    pub memory: Vec<u8>,
}

/// What a hunt came to.
#[derive(Debug, Default)]
pub struct HuntReport {
    /// Events that were looked at: those of the time and of log sources that a rule looks at, which have a field that it must have.
    pub events: u64,
    /// First and last time of what there is of the time and of log sources that a rule looks at.
    pub times: Option<(Timestamp, Timestamp)>,
    /// Files that could not be read: what is in them is missing.
    pub damaged: Vec<ArchiveError>,
}

/// Why a hunt cannot be gone on with.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// Files were merged since.
    #[error("files that it had read were merged into others since")]
    Merged,
    /// What correlations remembered cannot be read.
    #[error("what its correlations remembered cannot be taken over")]
    Memory(#[from] SnapshotError),
}

impl Hunt<'_> {
    /// Hunts, behind what an earlier hunt with the same rules has done.
    pub fn run(&self, done: HuntDone, hunting: &mut impl Hunting) -> Result<HuntReport, ResumeError> {
        let listed: HashSet<&str> = self.archive.files_of(EVENTS).map(|entry| entry.file.as_str()).collect();
        if !done.files.iter().all(|file| listed.contains(file.as_str())) {
            return Err(ResumeError::Merged);
        }
        let mut detector = Detector::new(Arc::clone(&self.rules), Arc::new(IndicatorSet::default()));
        if !done.memory.is_empty() {
            detector.restore(&done.memory)?;
        }
        // What was never seen together no rule finds.
        let windows = self.rules.needs().and_then(|needs| self.archive.windows(&needs).ok());
        let wants = |log_source: &LogSource| self.rules.wants(log_source);
        let without = done.files.clone();
        let scan = Scan {
            since_inclusive: self.since_inclusive,
            until_exclusive: None,
            windows: windows.as_ref(),
            log_source: Some(&wants),
            without_files: Some(&without),
            without_raw: true,
        };
        // Of everything, also where a part of it was read before.
        let times = self.archive.scan_times(&Scan { windows: None, without_files: None, ..scan });
        let bytes_total = self.archive.scan_bytes(&scan);
        let matcher = detector.matcher();
        let mut at_work = AtWork { detector, matcher, hunting, done, bytes: 0, bytes_total, damaged: Vec::new() };
        self.archive.sift(&scan, self.names, &mut at_work);
        Ok(HuntReport { events: at_work.done.events, times, damaged: at_work.damaged })
    }
}

/// A hunt at work.
struct AtWork<'h, H> {
    detector: Detector,
    matcher: EventMatcher,
    hunting: &'h mut H,
    done: HuntDone,
    bytes: u64,
    bytes_total: u64,
    damaged: Vec<ArchiveError>,
}

impl<H: Hunting> Sieve for AtWork<'_, H> {
    fn sifted(&self, log_source: &Arc<LogSource>) -> Option<Sifted> {
        let reads = self.detector.rules().reads(log_source);
        let names = |names: BTreeSet<Arc<str>>| names.iter().map(|name| name.to_string()).collect();
        Some(Sifted { fields: reads.fields.map(names)?, one_of: reads.one_of.map(names) })
    }

    fn wants(&mut self, event: &Event) -> bool {
        !self.matcher.matches(event).is_empty()
    }

    fn take(&mut self, event: Event) -> ControlFlow<()> {
        let mut flow = ControlFlow::Continue(());
        self.detector.detect(&event, |detection| {
            if flow.is_continue() {
                flow = self.hunting.found(detection);
            }
        });
        flow
    }

    fn damaged(&mut self, error: ArchiveError) {
        self.damaged.push(error);
    }

    fn looked_at(&mut self, events: u64) {
        self.done.events += events;
    }

    fn done(&mut self, file: &TableFile) -> ControlFlow<()> {
        self.done.files.insert(file.file.clone());
        self.bytes += file.bytes;
        let Self { bytes, bytes_total, done, detector, .. } = self;
        self.hunting.progress(&HuntProgress { bytes: *bytes, bytes_total: *bytes_total, done, detector })
    }
}
