//! Intelligence in: STIX 2.1, CSV feeds and plain lists become [`Indicator`](cresset_event::Indicator)s.
//!
//! [`read`] tells the format by the content and hands each to its module: `stix.rs` (with `pattern.rs` for STIX patterns),
//! `csv.rs`, `list.rs`. What is no indicator that can be matched is in [`Feed::refused`] with its place, a reason and a
//! quote; other objects are counted by type. No I/O, no clock; any bytes give a [`Feed`], in memory bounded by theirs.
//! [`read_on`] reads feeds of lines on several threads (`crew.rs`), and comes to the same.
//!
//! Markings (TLP and others) are counted in [`Feed::marked`] and not yet carried: what is loaded is for matching at home.
//! `tests/it/main.rs` proves it on bundles made by another implementation, on damaged ones and on random bytes.
//!
//! ```
//! use cresset_event::ObservableKind;
//! use cresset_intel::{FeedKind, load};
//!
//! let loaded = load("list.txt", b"# seen in May\nhxxp://evil[.]example/a\n198.51.100.0/24 # scanners\nnonsense\n");
//! assert_eq!(loaded.feed.kind, FeedKind::List);
//! assert_eq!(loaded.indicators[0].matcher.kind(), ObservableKind::Url);
//! assert_eq!(loaded.indicators[1].name.as_deref(), Some("scanners"));
//! assert_eq!(loaded.feed.refused[0].line, Some(4));
//! ```

mod collector;
mod crew;
mod csv;
mod feed;
mod findings;
mod identity;
mod list;
mod load;
mod moment;
mod pattern;
mod stix;
mod technique;
mod text;
mod value;
mod value_type;

pub use feed::{Feed, FeedKind, INDICATORS_MAX, Loaded, REFUSED_KEPT_MAX, Refused, Standing, Taken, Tally};
pub use load::{FILE_BYTES_MAX, indicators_expected, load, read, read_on};
