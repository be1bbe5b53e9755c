//! Everything that an event is matched against, in one place.

use std::sync::Arc;

use cresset_event::Event;

use crate::correlation::{CorrelationStats, Fired, Memory};
use crate::detection::{Cause, Detection, Matched};
use crate::indicators::IndicatorSet;
use crate::rules::{MatchScratch, RuleSet};

/// Rules and indicators, ready; and the memory of the correlations.
#[derive(Debug)]
pub struct Detector {
    rules: Arc<RuleSet>,
    indicators: Arc<IndicatorSet>,
    memory: Memory,
    scratch: MatchScratch,
}

impl Detector {
    /// Returns a detector with an empty memory.
    pub fn new(rules: Arc<RuleSet>, indicators: Arc<IndicatorSet>) -> Self {
        Self { rules, indicators, memory: Memory::default(), scratch: MatchScratch::default() }
    }

    /// Passes what comes of an event to `found`.
    pub fn detect(&mut self, event: &Event, mut found: impl FnMut(Detection)) {
        let mut fired = Vec::new();
        for fit in self.rules.matches(event, &mut self.scratch) {
            self.memory.feed(self.rules.correlations(), fit.key, event, &mut fired);
            if fit.reports {
                found(Detection::new(Cause::Rule(fit.rule), event, fit.matched));
            }
        }
        self.find_indicators(event, &mut found);
        for fired in fired {
            if self.rules.correlation_reports(fired.correlation) {
                found(self.correlated(fired, event));
            }
        }
    }

    fn find_indicators(&self, event: &Event, found: &mut impl FnMut(Detection)) {
        let mut matches = Vec::new();
        self.indicators.matches(event, &mut matches);
        for found_by in matches {
            let field = found_by.field.map_or_else(|| "unknown".to_owned(), |id| event.names().name(id).to_string());
            let matched = vec![Matched::new(field, Some(found_by.value))];
            found(Detection::new(Cause::Indicator(found_by.indicator), event, matched));
        }
    }

    /// Returns the rules.
    pub fn rules(&self) -> &RuleSet {
        &self.rules
    }

    /// Returns what the correlations left out so far.
    pub fn correlation_stats(&self) -> CorrelationStats {
        self.memory.stats()
    }

    fn correlated(&self, fired: Fired, event: &Event) -> Detection {
        let matched =
            fired.group.iter().map(|(field, value)| Matched::new(field.clone(), Some(value.clone()))).collect();
        let cause = Cause::Correlation {
            rule: Arc::clone(self.rules.correlations().rule(fired.correlation)),
            group: fired.group,
            value: fired.window.value,
            events: fired.window.events,
            first: fired.window.first,
            last: fired.window.last,
        };
        Detection::new(cause, event, matched)
    }
}
