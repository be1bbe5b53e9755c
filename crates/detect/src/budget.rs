//! What a rule may cost: its time.
//!
//! Size and state are bounded where a rule is compiled and where a correlation remembers. Time is counted in values that a
//! regular expression of the rule had to give up on (`engine/pattern.rs`), in the order of the events and by no clock: the
//! same input stops the same rules at the same place, on any number of threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::rule::Rule;

/// Events on which a rule may give up before it is stopped: at some tens of milliseconds each, about a second in all.
pub const OVERRUNS_MAX: u32 = 10;

/// How much of its time a rule has used. Only whoever tells detections in order counts; those that match look.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    overruns: AtomicU32,
}

impl Budget {
    /// Counts an event on which the rule gave up.
    pub(crate) fn overrun(&self) {
        self.overruns.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns whether the rule is stopped.
    pub(crate) fn is_used_up(&self) -> bool {
        is_stopped(self.overruns())
    }

    pub(crate) fn overruns(&self) -> u32 {
        self.overruns.load(Ordering::Relaxed)
    }
}

/// A rule that gave up on events.
#[derive(Debug, Clone)]
pub struct Overrun {
    /// The rule.
    pub rule: Arc<Rule>,
    /// On how many events: whether it fits these nobody knows. From [`OVERRUNS_MAX`] on the rule is stopped.
    pub events: u32,
}

impl Overrun {
    /// Returns whether the rule is stopped.
    pub fn is_stopped(&self) -> bool {
        is_stopped(self.events)
    }
}

fn is_stopped(overruns: u32) -> bool {
    overruns >= OVERRUNS_MAX
}
