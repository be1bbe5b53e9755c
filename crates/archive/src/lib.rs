//! Events on disk.

mod error;
mod storage;

pub use error::ArchiveError;
