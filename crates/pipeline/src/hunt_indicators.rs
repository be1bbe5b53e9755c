//! Indicators over the past, those that join several values of one event too: the index says when all of them were seen, and only the
//! events of that time are read.

use std::collections::BTreeMap;
use std::iter;
use std::ops::ControlFlow;
use std::sync::Arc;

use cresset_archive::{Archive, ArchiveError, Hunted, Scan, Seen, SeenExample, Sieve};
use cresset_detect::{Cause, Detection, Detector, IndicatorSet, RuleFilter, RuleSet, RuleSources, Warnings};
use cresset_event::{Event, EventId, FieldNames, Indicator, Matcher, Validity};

/// Most events that are told as examples of what was seen: early ones and the last.
const EXAMPLES_MAX: usize = 3;

/// Looks for indicators that ask several values of one event, whenever they are valid. A count is of events.
pub fn hunt_joined(archive: &Archive, indicators: &[Indicator]) -> Hunted {
    let mut found: Vec<Found> = indicators.iter().map(|_| Found::default()).collect();
    let damaged = hunt_indicators(archive, indicators, |detection| {
        let Cause::Indicator(fired) = &detection.cause else { return ControlFlow::Continue(()) };
        let is_it = |one: &&Indicator| one.id == fired.id && one.matcher == fired.matcher && one.also == fired.also;
        for (_, found) in indicators.iter().zip(found.iter_mut()).filter(|(one, _)| is_it(one)) {
            found.add(&detection);
        }
        ControlFlow::Continue(())
    });
    Hunted { seen: found.into_iter().map(Found::seen).collect(), damaged }
}

/// Passes what indicators would have found in the past to `found`, whenever they are valid, until that breaks off. Returns which
/// files could not be read.
pub fn hunt_indicators(
    archive: &Archive,
    indicators: &[Indicator],
    found: impl FnMut(Detection) -> ControlFlow<()>,
) -> Vec<ArchiveError> {
    if indicators.is_empty() {
        return Vec::new();
    }
    let parts = |indicator: &Indicator| iter::once(&indicator.matcher).chain(&indicator.also).cloned().collect();
    let parts = indicators.iter().map(parts);
    let each_alone = |parts: Vec<Matcher>| parts.into_iter().map(|part| vec![part]).collect();
    // Where the index cannot be read all events are.
    let (windows, damaged) = match archive.windows(&parts.map(each_alone).collect::<Vec<_>>()) {
        Ok(windows) => (Some(windows), Vec::new()),
        Err(damaged) => (None, damaged),
    };
    let set = IndicatorSet::new(Warnings::Ignore);
    for indicator in indicators {
        set.add(Indicator { validity: Validity::default(), ..indicator.clone() });
    }
    let names = Arc::new(FieldNames::new());
    let (rules, _) = RuleSet::compile(RuleSources::default(), &RuleFilter::default(), &names);
    let detector = Detector::new(Arc::new(rules), Arc::new(set));
    let mut at_work = AtWork { detector, found, damaged };
    let scan = Scan { windows: windows.as_ref(), without_raw: true, ..Scan::default() };
    archive.sift(&scan, &names, &mut at_work);
    at_work.damaged
}

/// A hunt at work.
struct AtWork<F> {
    detector: Detector,
    found: F,
    damaged: Vec<ArchiveError>,
}

/// What was seen of an indicator.
#[derive(Default)]
struct Found {
    seen: Seen,
    hosts: BTreeMap<Arc<str>, u64>,
    sources: BTreeMap<Arc<str>, u64>,
    /// The event that was counted last: it can fulfil an indicator in several ways.
    last: Option<EventId>,
}

impl<F: FnMut(Detection) -> ControlFlow<()>> Sieve for AtWork<F> {
    fn take(&mut self, event: Event) -> ControlFlow<()> {
        let Self { detector, found, .. } = self;
        let mut flow = ControlFlow::Continue(());
        detector.detect(&event, |detection| {
            if flow.is_continue() {
                flow = found(detection);
            }
        });
        flow
    }

    fn damaged(&mut self, error: ArchiveError) {
        self.damaged.push(error);
    }
}

impl Found {
    fn add(&mut self, detection: &Detection) {
        if self.last.replace(detection.event) == Some(detection.event) {
            return;
        }
        let Self { seen, hosts, sources, .. } = self;
        seen.count += 1;
        let time = detection.time.known();
        if let Some(time) = time {
            let (first, last) = seen.times.unwrap_or((time, time));
            seen.times = Some((first.min(time), last.max(time)));
        }
        if let Some(host) = detection.host.as_deref() {
            *hosts.entry(host.into()).or_default() += 1;
        }
        *sources.entry(detection.source.name.as_str().into()).or_default() += 1;
        let matched = detection.matched.iter();
        let text =
            |text: fn(&cresset_detect::Matched) -> &str| matched.clone().map(text).collect::<Vec<_>>().join(", ");
        let value = text(|matched| matched.value.as_deref().unwrap_or_default());
        *seen.values.entry(value.clone()).or_default() += 1;
        seen.examples.truncate(EXAMPLES_MAX - 1);
        seen.examples.push(SeenExample { time, id: detection.event, field: text(|matched| &matched.field), value });
    }

    /// Returns what was seen, where anything was.
    fn seen(self) -> Option<Seen> {
        let most_first = |counts: BTreeMap<Arc<str>, u64>| {
            let mut counts: Vec<(Arc<str>, u64)> = counts.into_iter().collect();
            counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
            counts
        };
        let Self { seen, hosts, sources, .. } = self;
        (seen.count > 0).then(|| Seen { hosts: most_first(hosts), sources: most_first(sources), ..seen })
    }
}
