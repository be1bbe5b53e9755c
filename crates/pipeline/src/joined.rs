//! Indicators that join several values of one event, over the past: the index says when all of them were seen, and only the
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
    if indicators.is_empty() {
        return Hunted::default();
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
    let found = indicators.iter().map(|_| Found::default()).collect();
    let mut joined = Joined { indicators, detector, found, damaged };
    let scan = Scan { windows: windows.as_ref(), without_raw: true, ..Scan::default() };
    archive.sift(&scan, &names, &mut joined);
    Hunted { seen: joined.found.into_iter().map(Found::seen).collect(), damaged: joined.damaged }
}

/// A hunt at work.
struct Joined<'h> {
    indicators: &'h [Indicator],
    detector: Detector,
    found: Vec<Found>,
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

impl Sieve for Joined<'_> {
    fn take(&mut self, event: Event) -> ControlFlow<()> {
        let Self { indicators, detector, found, .. } = self;
        detector.detect(&event, |detection| {
            let Cause::Indicator(fired) = &detection.cause else { return };
            let is_it = |one: &&Indicator| one.id == fired.id && one.matcher == fired.matcher && one.also == fired.also;
            for (_, found) in indicators.iter().zip(found.iter_mut()).filter(|(one, _)| is_it(one)) {
                found.add(&detection);
            }
        });
        ControlFlow::Continue(())
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
