//! Everything that an event is matched against, in one place.
//!
//! Matching an event needs nothing of the events before it and can be done on any thread ([`EventMatcher`]); what comes of
//! it, with the correlations, is told in the order of the events ([`Detector::tell`]).

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use cresset_event::{Event, FieldId};

use crate::correlation::{CorrelationStats, Dropped, Fired, Memory, Restored, Snapshot, SnapshotError};
use crate::detection::{Cause, Detection, Known, Matched};
use crate::indicators::{IndicatorMatch, IndicatorSet, LookUpScratch};
use crate::rules::{MatchScratch, RuleMatches, RuleSet};

/// Rules and indicators, ready; and the memory of the correlations.
#[derive(Debug)]
pub struct Detector {
    matcher: EventMatcher,
    memory: Memory,
}

/// Rules and indicators, ready to be matched against events in any order. Each thread has its own; what it finds is told by
/// a detector that has the same rules.
#[derive(Debug)]
pub struct EventMatcher {
    rules: Arc<RuleSet>,
    indicators: Arc<IndicatorSet>,
    scratch: MatchScratch,
    look_up: LookUpScratch,
}

/// What fits one event.
#[derive(Debug, Default)]
pub struct Matches {
    rules: RuleMatches,
    indicators: Vec<IndicatorMatch>,
}

impl Matches {
    /// Returns whether nothing fits, and no rule gave up.
    pub fn is_empty(&self) -> bool {
        self.rules.fitting.is_empty() && self.rules.gave_up.is_empty() && self.indicators.is_empty()
    }
}

impl EventMatcher {
    fn new(rules: Arc<RuleSet>, indicators: Arc<IndicatorSet>) -> Self {
        Self { rules, indicators, scratch: MatchScratch::default(), look_up: LookUpScratch::default() }
    }

    /// Matches with other rules from now on.
    pub fn change_rules(&mut self, rules: &Arc<RuleSet>) {
        if !Arc::ptr_eq(&self.rules, rules) {
            self.rules = Arc::clone(rules);
            self.scratch = MatchScratch::default();
        }
    }

    /// Finds what fits an event.
    pub fn matches(&mut self, event: &Event) -> Matches {
        let mut indicators = Vec::new();
        self.indicators.matches(event, &mut self.look_up, &mut indicators);
        Matches { rules: self.rules.matches(event, &mut self.scratch), indicators }
    }
}

impl Detector {
    /// Returns a detector with an empty memory.
    pub fn new(rules: Arc<RuleSet>, indicators: Arc<IndicatorSet>) -> Self {
        Self { matcher: EventMatcher::new(rules, indicators), memory: Memory::default() }
    }

    /// Passes what comes of an event to `found`.
    pub fn detect(&mut self, event: &Event, found: impl FnMut(Detection)) {
        let matches = self.matcher.matches(event);
        self.tell(event, matches, found);
    }

    /// Returns a matcher for another thread.
    pub fn matcher(&self) -> EventMatcher {
        EventMatcher::new(Arc::clone(&self.matcher.rules), Arc::clone(&self.matcher.indicators))
    }

    /// Passes what comes of an event to `found`, given what fits it. Events come in the order in which they were read.
    pub fn tell(&mut self, event: &Event, matches: Matches, found: impl FnMut(Detection)) {
        self.tell_as(event, matches, false, found);
    }

    /// Passes what comes of an event that was told before: the same, but that correlations do not count it again.
    pub fn tell_again(&mut self, event: &Event, matches: Matches, found: impl FnMut(Detection)) {
        self.tell_as(event, matches, true, found);
    }

    /// Returns whether correlations count what fits.
    pub fn feeds_correlations(&self, matches: &Matches) -> bool {
        let correlations = self.rules().correlations();
        matches.rules.fitting.iter().any(|fit| correlations.is_correlated(fit.key))
    }

    fn tell_as(&mut self, event: &Event, matches: Matches, is_again: bool, mut found: impl FnMut(Detection)) {
        let mut fired = Vec::new();
        let known = OnceCell::new();
        let known = || known.get_or_init(|| Known::of(event));
        let rules = matches.rules;
        // Those that matched this event may not have known yet that the rule was stopped.
        for fit in rules.fitting.into_iter().filter(|fit| !self.matcher.rules.is_stopped(fit.key)) {
            if !is_again {
                self.memory.feed(self.matcher.rules.correlations(), fit.key, event, &mut fired);
            }
            if fit.reports {
                let matched = self.rules().explain(event, &fit.reasons);
                found(Detection::new(Cause::Rule(fit.rule), event, known(), matched));
            }
        }
        rules.gave_up.into_iter().for_each(|key| self.matcher.rules.overrun(key));
        for found_by in matches.indicators {
            let name = |field: Option<FieldId>| field.map_or("unknown".into(), |id| event.names().name(id));
            let all = std::iter::once((found_by.field, found_by.value)).chain(found_by.also);
            let matched = all.map(|(field, value)| Matched::new(&*name(field), Some(&value))).collect();
            found(Detection::new(Cause::Indicator(found_by.indicator), event, known(), matched));
        }
        for fired in fired {
            if self.rules().correlation_reports(fired.correlation) {
                found(self.correlated(fired, event, known()));
            }
        }
    }

    /// Goes on with other rules. What correlations remember is kept, but for those that are not there any more or not the
    /// same, which are returned.
    pub fn change_rules(&mut self, rules: &Arc<RuleSet>) -> Vec<Dropped> {
        let dropped = self.memory.move_to(self.matcher.rules.correlations(), rules.correlations());
        self.matcher.change_rules(rules);
        dropped
    }

    /// Returns the rules.
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.matcher.rules
    }

    /// Returns what the correlations left out so far.
    pub fn correlation_stats(&self) -> CorrelationStats {
        self.memory.stats()
    }

    /// Returns how many groups of each correlation were forgotten because there were too many, by title.
    pub fn correlations_shed(&self) -> &BTreeMap<String, u64> {
        self.memory.shed()
    }

    /// Returns what the correlations remember, as bytes for [`Detector::restore`].
    pub fn snapshot(&self) -> Snapshot {
        self.memory.snapshot(self.rules().correlations())
    }

    /// Remembers what a snapshot says, in place of what is remembered now. What belongs to correlations that are not there
    /// any more, or not the same, is left out; where the snapshot cannot be read nothing is changed.
    pub fn restore(&mut self, snapshot: &[u8]) -> Result<Restored, SnapshotError> {
        self.memory.restore(self.matcher.rules.correlations(), snapshot)
    }

    fn correlated(&self, fired: Fired, event: &Event, known: &Known) -> Detection {
        let matched = fired.group.iter().map(|(field, value)| Matched::new(field.clone(), Some(value))).collect();
        let cause = Cause::Correlation {
            rule: Arc::clone(self.rules().correlations().rule(fired.correlation)),
            group: fired.group,
            value: fired.window.value,
            events: fired.window.events,
            first: fired.window.first,
            last: fired.window.last,
        };
        Detection::new(cause, event, known, matched)
    }
}
