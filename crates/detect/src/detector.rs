//! Everything that an event is matched against, in one place.

use std::sync::Arc;

use cresset_event::Event;

use crate::correlation::{CorrelationStats, Fired, Memory};
use crate::detection::{Cause, Detection, Matched};
use crate::rules::RuleSet;

/// Rules and indicators, ready; and the memory of the correlations.
#[derive(Debug)]
pub struct Detector {
    rules: Arc<RuleSet>,
    memory: Memory,
}

impl Detector {
    /// Returns a detector with an empty memory.
    pub fn new(rules: Arc<RuleSet>) -> Self {
        Self { rules, memory: Memory::default() }
    }

    /// Passes what comes of an event to `found`.
    pub fn detect(&mut self, event: &Event, mut found: impl FnMut(Detection)) {
        let mut fired = Vec::new();
        for fit in self.rules.matches(event) {
            self.memory.feed(self.rules.correlations(), fit.key, event, &mut fired);
            if fit.reports {
                found(Detection::new(Cause::Rule(fit.rule), event, fit.matched));
            }
        }
        for fired in fired {
            if self.rules.correlation_reports(fired.correlation) {
                found(self.correlated(fired, event));
            }
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
