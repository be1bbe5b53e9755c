//! The index of observables: for each value how often it was seen, when first and last, where, and in which events.
//!
//! One file a segment or for several (`file.rs`): values in the order of their keys (`key.rs`) with what is known of each
//! (`sighting.rs`), a filter that tells most absent values without looking, and what leads to the right block. Made of
//! events (`builder.rs`) or of such files (`merge.rs`). Written down in `docs/archive-index.md`.

mod builder;
mod file;
mod filter;
mod key;
mod merge;
mod sighting;

pub(crate) use builder::{IndexBuilder, Seen};
pub(crate) use file::IndexFile;
pub(crate) use key::{Wanted, push_key, show_key};
pub(crate) use merge::merge;
pub(crate) use sighting::{Example, Names, Sighting};

#[cfg(test)]
mod tests;
