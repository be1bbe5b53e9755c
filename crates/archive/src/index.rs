//! The index of observables: did we ever see this value, how often, when, where, and in which events?
//!
//! A file holds, in the order of their keys (`key.rs`), what is known of each value (`sighting.rs`). It is written from
//! the first key to the last (`writer.rs`): of events (`builder.rs`), or of other files (`merge.rs`), with the same bytes
//! either way. It is read by ranges (`file.rs`): blocks of some 80 values (`block.rs`), a filter that tells most values
//! that are not there (`filter.rs`), fences that tell the block of a value (`fences.rs`), names of hosts, sources and
//! fields (`names.rs`), and a footer that tells where all that is (`footer.rs`). Every part has a CRC-32: what was changed
//! is an error or makes no difference, and the rest can still be read.
//!
//! `tests.rs` compares it with a list that is looked through. `docs/archive-index.md` is the format written down.

mod block;
mod builder;
mod fences;
mod file;
mod filter;
mod footer;
mod key;
mod merge;
mod names;
mod scan;
mod sighting;
mod writer;

#[cfg(test)]
mod speed;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub(crate) use builder::{IndexBuilder, Seen};
pub(crate) use file::IndexFile;
pub(crate) use key::{Wanted, push_key, show_key};
pub(crate) use merge::merge;
pub(crate) use names::{NameList, Names};
pub(crate) use sighting::{Example, Sighting};
