//! Blocks: bytes of a source that were read and not decoded yet, so that another thread can do that.
//!
//! What a block holds is between the format's [`Blocks`], which cuts a source into them, and its [`Decoder`], which makes
//! records of them: whole lines, or a chunk of an event log. Decoded in their order they give what [`BlockReader`] gives.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use cresset_event::{Event, EventTime, LogSource, Origin, Source, Timestamp};

use crate::reader::{Decoder, Decoders, LinePlace, Reader, Record, Skipped};

/// Bytes of a source that were read and not decoded yet.
#[derive(Debug)]
pub struct Block {
    bytes: Vec<u8>,
    /// Where in `bytes` the next record begins, and its place in the source.
    next: usize,
    at: Place,
    whence: Whence,
}

/// Where a record is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// Counted from 1.
    pub(crate) number: u64,
    /// Of its first byte, unpacked.
    pub(crate) offset: u64,
}

/// Where records are from, and when they arrived: when the bytes that they are in were taken from the source.
#[derive(Debug, Clone)]
pub(crate) struct Whence {
    pub(crate) source: Arc<Source>,
    pub(crate) arrived: Timestamp,
    /// What stands for the offsets of records that have keys, by number; empty where they have none.
    pub(crate) keys: Arc<[u64]>,
}

/// Cuts a source into blocks.
pub(crate) trait Blocks: Send {
    /// Returns the next block; `None` at the end, and from then on.
    fn next_block(&mut self) -> Option<Result<Block, Skipped>>;

    /// Takes the memory of a block that was decoded, to use it again.
    fn reuse(&mut self, bytes: Vec<u8>);

    /// Returns how many bytes of the source were taken so far.
    fn bytes_taken(&self) -> u64;

    /// Returns the place behind what was given, where that is lines.
    fn place(&self) -> Option<LinePlace> {
        None
    }
}

/// Reads a source whose records can be decoded apart from the reading.
pub(crate) struct BlockReader<B> {
    blocks: B,
    decoders: Decoders,
    /// Made when it is wanted: others may decode.
    decoder: Option<Box<dyn Decoder>>,
    block: Option<Block>,
}

impl Block {
    pub(crate) fn new(bytes: Vec<u8>, at: Place, whence: Whence) -> Self {
        Self { bytes, next: 0, at, whence }
    }

    /// Returns where its records are from.
    pub(crate) fn whence(&self) -> &Whence {
        &self.whence
    }

    /// Takes all of it, with its place; `None` where that was done.
    pub(crate) fn take(&mut self) -> Option<(Place, Vec<u8>)> {
        let bytes = std::mem::take(&mut self.bytes);
        if bytes.is_empty() { None } else { Some((self.at, bytes)) }
    }

    /// Moves to the next line and says where it is, in the source and for [`Block::text`].
    pub(crate) fn next_line(&mut self) -> Option<(Place, Range<usize>)> {
        let rest = self.bytes.get(self.next..).filter(|rest| !rest.is_empty())?;
        let length = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        let (at, inner) = (self.at, inner(&rest[..length], self.at.number));
        let range = self.next + inner.start..self.next + inner.end;
        self.next += length;
        self.at = Place { number: at.number + 1, offset: at.offset + length as u64 };
        Some((at, range))
    }

    /// Returns a line, without its end.
    pub(crate) fn text(&self, line: Range<usize>) -> Cow<'_, str> {
        let line = &self.bytes[line];
        // The quick check first: the other one goes by characters.
        std::str::from_utf8(line).map_or_else(|_| String::from_utf8_lossy(line), Cow::Borrowed)
    }
}

/// What of a line is left without its end, and a first one without the byte order mark.
pub(crate) fn inner(line: &[u8], number: u64) -> Range<usize> {
    let rest = line.strip_suffix(b"\n").unwrap_or(line);
    let rest = rest.strip_suffix(b"\r").unwrap_or(rest);
    let mark = "\u{feff}".as_bytes();
    let start = if number == 1 && rest.starts_with(mark) { mark.len() } else { 0 };
    start..rest.len()
}

impl Whence {
    pub(crate) fn new(source: Arc<Source>) -> Self {
        Self { source, arrived: Timestamp::now(), keys: Arc::default() }
    }

    /// Notes that what is read from now on arrives now.
    pub(crate) fn arrives_now(&mut self) {
        self.arrived = Timestamp::now();
    }

    pub(crate) fn skipped(&self, record: u64, reason: impl Into<String>, bytes: &[u8]) -> Skipped {
        Skipped::new(&self.source, record, reason, bytes)
    }

    pub(crate) fn origin(&self, at: Place, time: EventTime, log_source: Arc<LogSource>) -> Origin {
        let (source, arrived) = (Arc::clone(&self.source), self.arrived);
        let key = usize::try_from(at.number).ok().and_then(|number| self.keys.get(number.wrapping_sub(1)));
        let offset = key.copied().unwrap_or(at.offset);
        Origin { source, record: at.number, offset, log_source, time, arrived }
    }
}

impl<B: Blocks> BlockReader<B> {
    /// Returns a reader of blocks that these decoders understand.
    pub(crate) fn new(blocks: B, decoders: &Decoders) -> Self {
        Self { blocks, decoders: decoders.clone(), decoder: None, block: None }
    }
}

impl<B: Blocks> Reader for BlockReader<B> {
    fn place(&self) -> Option<LinePlace> {
        self.blocks.place()
    }

    fn next_record(&mut self) -> Option<Record> {
        let decoder = self.decoder.get_or_insert_with(|| self.decoders.decoder());
        loop {
            if let Some(block) = &mut self.block {
                if let Some(record) = decoder.next_record(block) {
                    return Some(record);
                }
                self.block.take().into_iter().for_each(|block| self.blocks.reuse(block.bytes));
            }
            match self.blocks.next_block()? {
                Ok(block) => self.block = Some(block),
                Err(skipped) => return Some(Record::Skipped(skipped)),
            }
        }
    }

    fn next_block(&mut self) -> Option<Result<Block, Skipped>> {
        self.blocks.next_block()
    }

    fn decoders(&self) -> Option<&Decoders> {
        Some(&self.decoders)
    }

    fn recycle(&mut self, event: Event) {
        if let Some(decoder) = &mut self.decoder {
            decoder.recycle(event);
        }
    }

    fn format(&self) -> &'static str {
        self.decoder.as_ref().map_or("", |decoder| decoder.format())
    }

    fn bytes_taken(&self) -> u64 {
        self.blocks.bytes_taken()
    }
}
