//! The wiring of one watch: sources → `ingest` → `detect` → a [`Sink`], and a [`Report`] of what was read.
//!
//! [`find_sources`] turns what a person typed into files; [`load_rules`] and [`find_feeds`] read what to look for;
//! [`Watch::run`] reads every source to its end. A source that cannot be read is a reported fact, and the others go on.

mod crew;
mod detections;
mod feeds;
mod follow;
mod hunt;
mod hunt_indicators;
mod load;
mod read;
mod reload;
mod report;
mod sources;
mod stamps;
mod state;
mod watch;
pub mod whole_file;
mod worker;

pub use detections::{DETECTIONS, detection_columns};
pub use feeds::{FeedChanged, Feeds, read_indicators};
pub use follow::{Delivered, Delivery, Following};
pub use hunt::{Hunt, HuntDone, HuntProgress, HuntReport, Hunting, ResumeError};
pub use hunt_indicators::{hunt_indicators, hunt_joined};
pub use load::{FeedSource, find_feeds, load_rule_files, load_rules};
pub use reload::{Reloaded, Reloader, Reloads, RuleFiles};
pub use report::{Report, Unreadable};
pub use sources::{SourcePath, find_sources};
pub use state::{StateError, load_state, save_state};
pub use watch::{Progress, Sink, Watch, WatchOptions};
pub use worker::Seen;
