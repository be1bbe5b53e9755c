//! Everything that an event is matched against, in one place.

use std::sync::Arc;

use cresset_event::Event;

use crate::detection::{Cause, Detection};
use crate::rules::RuleSet;

/// Rules and indicators, ready; and the memory of the correlations.
#[derive(Debug)]
pub struct Detector {
    rules: Arc<RuleSet>,
}

impl Detector {
    /// Returns a detector with an empty memory.
    pub fn new(rules: Arc<RuleSet>) -> Self {
        Self { rules }
    }

    /// Passes what comes of an event to `found`.
    pub fn detect(&mut self, event: &Event, mut found: impl FnMut(Detection)) {
        for fit in self.rules.matches(event) {
            if fit.reports {
                found(Detection::new(Cause::Rule(fit.rule), event, fit.matched));
            }
        }
    }

    /// Returns the rules.
    pub fn rules(&self) -> &RuleSet {
        &self.rules
    }
}
