//! Events on disk: what was acknowledged stays, and is found in a second.
//!
//! A [`Packer`] packs events on whichever thread has them; the one [`Writer`] takes packs into a write-ahead log and makes
//! segments of it: Parquet files of events by log source, and an index of their observables. An [`Archive`] is what any
//! number of readers see at one moment. The files are written down in `docs/archive-format.md`.

mod append;
mod archive;
mod catalog;
mod columns;
mod compact;
mod error;
#[cfg(test)]
mod faults;
#[cfg(any(test, fuzzing))]
mod fuzzed;
mod hunt;
mod ids;
mod index;
mod known;
mod manifest;
mod merger;
mod pack;
mod prevalence;
mod read_only;
mod rows;
mod scan;
mod segment;
mod snapshot;
mod storage;
mod table;
mod table_rows;
mod wal;
mod windows;
mod wire;
mod writer;

pub use archive::{Archive, Damage, Stats, TableStats};
pub use error::{ArchiveError, with_causes};
#[cfg(any(test, fuzzing))]
pub use fuzzed::{read_index, read_pack};
pub use hunt::{Hunted, Seen, SeenExample};
pub use manifest::TableFile;
pub use pack::{Keep, Pack, Packer};
pub use prevalence::{Common, Prevalence};
pub use scan::{Scan, Sieve, Sifted};
pub use snapshot::{Snapshot, SnapshotFile};
pub use table_rows::{EVENTS, TableRows};
pub use windows::Windows;
pub use writer::{Appended, KnownEvent, Repaired, Writer, WriterOptions};
