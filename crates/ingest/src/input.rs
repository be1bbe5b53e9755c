//! An opened source: its bytes, its identity, and how far it was read.

use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cresset_event::{Source, Timestamp};

use crate::reader::LinePlace;

/// Bytes to read, unpacked already.
pub(crate) struct Input {
    pub(crate) source: Arc<Source>,
    pub(crate) bytes: Box<dyn BufRead + Send>,
    /// Bytes taken of the source as it lies on disk.
    pub(crate) taken: Arc<AtomicU64>,
    /// When the source was last written, where it is a file: the year of times that have none.
    pub(crate) modified: Option<Timestamp>,
    /// Where in the source they begin.
    pub(crate) begins_at: LinePlace,
    /// Whether there may be more behind the end.
    pub(crate) grows: bool,
    /// What stands for the offsets of lines that have keys; empty where they have none.
    pub(crate) keys: Arc<[u64]>,
}

impl Input {
    /// Returns an input that is there as a whole, and of which nothing more is known.
    pub(crate) fn new(source: Source, bytes: Box<dyn BufRead + Send>) -> Self {
        Self {
            source: Arc::new(source),
            bytes,
            taken: Arc::default(),
            modified: None,
            begins_at: LinePlace::default(),
            grows: false,
            keys: Arc::default(),
        }
    }
}

/// Counts what passes through it.
pub(crate) struct Counted<R> {
    inner: R,
    taken: Arc<AtomicU64>,
}

impl<R> Counted<R> {
    pub(crate) fn new(inner: R, taken: Arc<AtomicU64>) -> Self {
        Self { inner, taken }
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.taken.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
