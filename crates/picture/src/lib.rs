//! What belongs together: detections in, incidents out.
//!
//! Pure functions over records: no I/O, no clock, no randomness.

mod facts;
mod incident;
mod priority;
mod state;
mod text;

pub use facts::{Facts, ObservedFact};
pub use incident::{Incident, IncidentId, Link, LinkKind};
pub use priority::{Priority, PriorityClass};
pub use state::{State, Verdict};
