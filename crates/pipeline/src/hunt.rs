//! Rules over the past: what they would have found in what an archive remembers.

use std::ops::ControlFlow;
use std::sync::Arc;

use cresset_archive::{Archive, ArchiveError, Scan};
use cresset_detect::{Detection, Detector};
use cresset_event::{FieldNames, LogSource, Timestamp};

/// What a hunt of rules read.
#[derive(Debug, Default)]
pub struct HuntReport {
    /// Events that were matched: those of the time and of log sources that a rule looks at.
    pub events: u64,
    /// Their first and last time.
    pub span: Option<(Timestamp, Timestamp)>,
    /// Files that could not be read: what is in them is missing.
    pub damaged: Vec<ArchiveError>,
}

/// Matches the events of an archive, from a time on, with the rules of a detector whose field names are numbered in `names`.
/// Passes detections to `found` until that breaks off. Of log sources that no rule looks at nothing is read.
pub fn hunt_rules(
    archive: &Archive,
    since_inclusive: Option<Timestamp>,
    detector: &mut Detector,
    names: &Arc<FieldNames>,
    mut found: impl FnMut(Detection) -> ControlFlow<()>,
) -> HuntReport {
    let rules = Arc::clone(detector.rules());
    let wants = |log_source: &LogSource| rules.wants(log_source);
    let scan = Scan { since_inclusive, until_exclusive: None, log_source: Some(&wants) };
    let mut report = HuntReport::default();
    let mut damaged = Vec::new();
    let take = |event: cresset_event::Event| {
        report.events += 1;
        if let Some(time) = event.origin().time.known() {
            let (first, last) = report.span.unwrap_or((time, time));
            report.span = Some((first.min(time), last.max(time)));
        }
        let mut flow = ControlFlow::Continue(());
        detector.detect(&event, |detection| {
            if flow.is_continue() {
                flow = found(detection);
            }
        });
        flow
    };
    archive.scan(&scan, names, take, |error| damaged.push(error));
    HuntReport { damaged, ..report }
}
