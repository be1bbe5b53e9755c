//! Rules and indicators, compiled: an [`Event`](cresset_event::Event) in, [`Detection`]s out.
//!
//! No I/O and no clock but the events'. [`RuleSources`] reads Sigma rules, [`RuleSet`] compiles them, [`Detector`] runs
//! them.
//!
//! ```
//! use std::sync::Arc;
//! use cresset_detect::{Detector, IndicatorSet, RuleFilter, RuleSet, RuleSources};
//! use cresset_event::{EventBuilder, FieldNames, Origin, Value};
//!
//! let mut sources = RuleSources::default();
//! sources.parse("whoami.yml", b"
//! title: Whoami
//! logsource: {}
//! detection:
//!     selection:
//!         CommandLine|contains: whoami
//!     condition: selection
//! level: low
//! ");
//! let names = Arc::new(FieldNames::new());
//! let (rules, refused) = RuleSet::compile(sources, &RuleFilter::default(), &names);
//! assert!(refused.is_empty(), "{refused:?}");
//!
//! let mut builder = EventBuilder::new(names);
//! builder.push("CommandLine", Value::Str("whoami /all"));
//! let event = builder.finish(Origin::default());
//! let mut found = Vec::new();
//! let indicators = Arc::new(IndicatorSet::default());
//! Detector::new(Arc::new(rules), indicators).detect(&event, |detection| found.push(detection));
//! assert_eq!(found[0].title(), "Whoami");
//! assert_eq!(found[0].matched[0].value.as_deref(), Some("whoami /all"));
//! ```

mod attack;
mod budget;
mod correlation;
mod detection;
mod detector;
mod engine;
mod explain;
mod filters;
mod indicators;
mod level;
mod rule;
mod rulebook;
mod rules;
mod wanted;
mod warning_list;

pub use attack::TACTICS;
pub use budget::{OVERRUNS_MAX, Overrun};
pub use correlation::{CorrelationStats, DropReason, Dropped, Restored, Snapshot, SnapshotError};
pub use detection::{Cause, Detection, DetectionId, Matched, Observed};
pub use detector::{Detector, EventMatcher, Matches};
pub use engine::OneOf;
pub use explain::{Explained, RuleExplained};
pub use indicators::{Adder, IndicatorSet, Warnings};
pub use level::{Level, Status};
pub use rule::{Refused, Rule, RuleSources};
pub use rulebook::{Changed, Rulebook};
pub use rules::{Coverage, FieldsRead, RuleFilter, RuleSet};
pub use wanted::WantedSource;
pub use warning_list::WarningList;
