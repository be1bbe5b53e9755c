//! What every format gives: a [`Reader`] of records.

use std::fmt;
use std::sync::Arc;

use cresset_event::{Event, Source};

use crate::block::Block;

/// Most bytes of a bad record that are shown in its report.
const QUOTE_BYTES_MAX: usize = 120;

/// Reads one source to its end, a record at a time.
pub trait Reader: Send {
    /// Returns the next record; `None` at the end, and from then on.
    fn next_record(&mut self) -> Option<Record>;

    /// Returns what makes decoders, where records can be decoded apart from the reading: then [`Reader::next_block`] may be
    /// called in place of [`Reader::next_record`], and its blocks, decoded in their order, give the same.
    fn decoders(&self) -> Option<&Decoders> {
        None
    }

    /// Returns the next block, undecoded; `None` at the end, and where there is nothing that makes decoders.
    fn next_block(&mut self) -> Option<Result<Block, Skipped>> {
        None
    }

    /// Returns how far it is, where its records are lines: everything before that was given.
    fn place(&self) -> Option<LinePlace> {
        None
    }

    /// Takes an event back that nobody needs any more, so that its memory is used again.
    fn recycle(&mut self, event: Event);

    /// Returns the format of the last record, as `cresset formats` lists it; before the first it may be empty.
    fn format(&self) -> &'static str;

    /// Returns how many bytes of the source, as it lies on disk, were taken so far: for progress.
    fn bytes_taken(&self) -> u64;
}

/// A place between two lines of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LinePlace {
    /// Lines before it.
    pub lines: u64,
    /// Bytes before it.
    pub bytes: u64,
}

/// Decodes blocks that readers have read, on any thread.
pub trait Decoder: Send {
    /// Returns the next record of a block; `None` at its end. A block is decoded to its end before the next is begun.
    fn next_record(&mut self, block: &mut Block) -> Option<Record>;

    /// Takes an event back that nobody needs any more, so that its memory is used again.
    fn recycle(&mut self, event: Event);

    /// Returns the format of the last record.
    fn format(&self) -> &'static str;
}

/// Makes decoders for the blocks of all sources of one format.
#[derive(Clone)]
pub struct Decoders(Arc<dyn Fn() -> Box<dyn Decoder> + Send + Sync>);

impl Decoders {
    pub(crate) fn new(make: impl Fn() -> Box<dyn Decoder> + Send + Sync + 'static) -> Self {
        Self(Arc::new(make))
    }

    /// Makes a decoder.
    pub fn decoder(&self) -> Box<dyn Decoder> {
        (self.0)()
    }

    /// Returns whether the decoders of one are those of the other.
    pub fn are(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Decoders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decoders")
    }
}

/// What one step of a [`Reader`] gives.
#[derive(Debug)]
pub enum Record {
    /// A record that was read.
    Event(Event),
    /// A record, or a stretch of the source, that was not.
    Skipped(Skipped),
}

/// A record that could not be read: a reported fact, not a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Where it is.
    pub source: Arc<Source>,
    /// Its number in the source, counted as in [`Origin`](cresset_event::Origin); 0 where it is about the whole source.
    pub record: u64,
    /// What is wrong with it, for a person.
    pub reason: String,
    /// How it begins; empty where there is nothing to show. Hostile: escape it before showing it.
    pub quote: String,
}

impl Skipped {
    /// Returns a report about one record.
    pub(crate) fn new(source: &Arc<Source>, record: u64, reason: impl Into<String>, bytes: &[u8]) -> Self {
        let quote = String::from_utf8_lossy(&bytes[..bytes.len().min(QUOTE_BYTES_MAX)]).into_owned();
        Self { source: Arc::clone(source), record, reason: reason.into(), quote }
    }
}

impl fmt::Display for Skipped {
    /// `` `a.log` at record 17: not a JSON object ``, without the quote.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.source.name)?;
        if self.record > 0 {
            write!(f, " at record {}", self.record)?;
        }
        write!(f, ": {}", self.reason)
    }
}
