//! Lines: the reader of every format that has one record a line.
//!
//! A line may be as long as [`LINE_BYTES_MAX`]; a longer one is counted, quoted and passed over without being kept.
//! Bytes that are not UTF-8 are shown as U+FFFD. An error of the source ends it with a report; what was read stays.

use std::io::{self, BufRead};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use cresset_event::{Event, EventBuilder, EventTime, FieldNames, LogSource, Origin, Timestamp};

use crate::block::{Block, Blocks, Place, Whence, inner};
use crate::input::Input;
use crate::reader::{LinePlace, Reader, Record, Skipped};

/// Longest line that is read. A PowerShell script block as JSON has at most about 200 KiB.
pub(crate) const LINE_BYTES_MAX: usize = 4 << 20;

/// Most bytes of one block, unless a single line has more: enough to hand to another thread, little to wait for.
const BLOCK_BYTES_MAX: usize = 1 << 18;

/// One format whose records are lines.
pub(crate) trait LineFormat: Send {
    /// The format's name.
    const NAME: &'static str;

    /// Reads one line, without its end, into the builder, which holds the line as the raw record already.
    fn parse(&mut self, line: &str, when: &When, builder: &mut EventBuilder) -> Result<Parsed, BadLine>;
}

/// What a line is.
pub(crate) enum Parsed {
    /// A record; its fields are in the builder.
    Record { time: EventTime, log_source: Arc<LogSource> },
    /// A header or a comment.
    NotARecord,
}

/// Why a line is not a record of its format, for a person.
#[derive(Debug)]
pub(crate) struct BadLine(pub(crate) String);

impl From<&str> for BadLine {
    fn from(reason: &str) -> Self {
        Self(reason.into())
    }
}

/// What a format may need that is not in the line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct When {
    /// When the line was read.
    pub(crate) arrived: Timestamp,
    /// When the source was last written, where that is known: it cannot hold later records.
    pub(crate) modified: Option<Timestamp>,
}

/// Reads a source line by line.
pub(crate) struct LineReader<F> {
    lines: Lines,
    format: F,
    builder: EventBuilder,
    modified: Option<Timestamp>,
}

impl<F: LineFormat> LineReader<F> {
    pub(crate) fn new(input: Input, names: Arc<FieldNames>, format: F) -> Self {
        let modified = input.modified;
        Self { lines: Lines::new(input), format, builder: EventBuilder::new(names), modified }
    }

    fn read(&mut self, line: &str, at: Place) -> Option<Record> {
        self.builder.clear();
        self.builder.set_raw(line);
        let when = When { arrived: self.lines.whence().arrived, modified: self.modified };
        match self.format.parse(line, &when, &mut self.builder) {
            Ok(Parsed::NotARecord) => None,
            Ok(Parsed::Record { time, log_source }) => {
                let origin = self.lines.origin(at, time, log_source);
                Some(Record::Event(self.builder.finish(origin)))
            }
            Err(BadLine(reason)) => Some(Record::Skipped(self.lines.skipped(at.number, reason, line.as_bytes()))),
        }
    }
}

impl<F: LineFormat> Reader for LineReader<F> {
    fn place(&self) -> Option<LinePlace> {
        Some(self.lines.place())
    }

    fn next_record(&mut self) -> Option<Record> {
        loop {
            match self.lines.next_line()? {
                Line::Bad(skipped) => return Some(Record::Skipped(skipped)),
                Line::Text(at) => {
                    let line = self.lines.take_text();
                    let record = if line.trim().is_empty() { None } else { self.read(&line, at) };
                    self.lines.give_back(line);
                    if record.is_some() {
                        return record;
                    }
                }
            }
        }
    }

    fn recycle(&mut self, event: Event) {
        self.builder.recycle(event);
    }

    fn format(&self) -> &'static str {
        F::NAME
    }

    fn bytes_taken(&self) -> u64 {
        self.lines.bytes_taken()
    }
}

/// One step of [`Lines`].
pub(crate) enum Line {
    /// A line, to be had by [`Lines::take_text`].
    Text(Place),
    /// A line that is too long, or an error of the source.
    Bad(Skipped),
}

/// Splits a source into lines of bounded length.
pub(crate) struct Lines {
    input: Input,
    whence: Whence,
    bytes: Vec<u8>,
    number: u64,
    offset: u64,
    /// Bytes that can be had without waiting for more.
    buffered: usize,
    ended: bool,
}

impl Lines {
    pub(crate) fn new(input: Input) -> Self {
        let whence = Whence { keys: Arc::clone(&input.keys), ..Whence::new(Arc::clone(&input.source)) };
        let LinePlace { lines, bytes } = input.begins_at;
        Self { input, whence, bytes: Vec::new(), number: lines, offset: bytes, buffered: 0, ended: false }
    }

    /// Returns the place behind what was given.
    pub(crate) fn place(&self) -> LinePlace {
        LinePlace { lines: self.number, bytes: self.offset }
    }

    /// Returns where its records are from.
    pub(crate) fn whence(&self) -> &Whence {
        &self.whence
    }

    pub(crate) fn skipped(&self, record: u64, reason: impl Into<String>, bytes: &[u8]) -> Skipped {
        self.whence.skipped(record, reason, bytes)
    }

    pub(crate) fn origin(&self, at: Place, time: EventTime, log_source: Arc<LogSource>) -> Origin {
        self.whence.origin(at, time, log_source)
    }

    /// Moves to the next line; `None` at the end.
    pub(crate) fn next_line(&mut self) -> Option<Line> {
        Some(match self.fill()? {
            Ok(at) => {
                let inner = inner(&self.bytes, at.number);
                self.bytes.truncate(inner.end);
                self.bytes.drain(..inner.start);
                Line::Text(at)
            }
            Err(skipped) => Line::Bad(skipped),
        })
    }

    /// Reads the next line into `bytes`, with its end.
    fn fill(&mut self) -> Option<Result<Place, Skipped>> {
        if self.ended {
            return None;
        }
        self.bytes.clear();
        let at = Place { number: self.number + 1, offset: self.offset };
        let (length, error) = self.fill_line();
        if length == 0 && error.is_none() {
            self.ended = !self.input.grows;
            return None;
        }
        self.number += 1;
        self.offset += length;
        if let Some(cause) = error {
            self.ended = true;
            let reason = format!("the source could not be read further: {cause}");
            return Some(Err(self.skipped(at.number, reason, &self.bytes)));
        }
        if length > LINE_BYTES_MAX as u64 {
            let reason = format!("a line of {length} bytes; the longest that is read has {LINE_BYTES_MAX}");
            return Some(Err(self.skipped(at.number, reason, &self.bytes)));
        }
        Some(Ok(at))
    }

    /// Gives `take` the next bytes as they come, whatever lines they are, with their offset; `None` at the end.
    pub(crate) fn next_piece(&mut self, take: impl FnOnce(&[u8], u64)) -> Option<Result<(), Skipped>> {
        if self.ended {
            return None;
        }
        loop {
            let cause = match self.input.bytes.fill_buf() {
                Ok([]) => break,
                Ok(piece) => {
                    self.whence.arrives_now();
                    let length = piece.len();
                    take(piece, self.offset);
                    self.input.bytes.consume(length);
                    self.offset += length as u64;
                    return Some(Ok(()));
                }
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => continue,
                Err(cause) => cause,
            };
            self.ended = true;
            let reason = format!("the source could not be read further: {cause}");
            return Some(Err(self.skipped(self.number + 1, reason, &[])));
        }
        self.ended = true;
        None
    }

    /// Takes the line out, so that the reader itself can be used meanwhile; [`Lines::give_back`] saves the allocation.
    pub(crate) fn take_text(&mut self) -> String {
        let bytes = std::mem::take(&mut self.bytes);
        String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }

    pub(crate) fn give_back(&mut self, text: String) {
        self.bytes = text.into_bytes();
    }

    /// Takes bytes up to the end of the line; keeps no more than a bounded head of one that is too long.
    fn fill_line(&mut self) -> (u64, Option<io::Error>) {
        let mut length = 0;
        loop {
            let chunk = match self.input.bytes.fill_buf() {
                Ok(chunk) => chunk,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => continue,
                Err(cause) => return (length, Some(cause)),
            };
            if chunk.is_empty() {
                return (length, None);
            }
            if self.buffered == 0 {
                self.whence.arrives_now();
            }
            let end = memchr::memchr(b'\n', chunk);
            let taken = end.map_or(chunk.len(), |end| end + 1);
            let room = LINE_BYTES_MAX.saturating_sub(self.bytes.len());
            self.bytes.extend_from_slice(&chunk[..taken.min(room)]);
            self.buffered = chunk.len() - taken;
            self.input.bytes.consume(taken);
            length += taken as u64;
            if end.is_some() {
                return (length, None);
            }
        }
    }
}

impl Blocks for Lines {
    fn place(&self) -> Option<LinePlace> {
        Some(self.place())
    }

    /// Gives the next line, with all whole lines behind it that are there without waiting.
    fn next_block(&mut self) -> Option<Result<Block, Skipped>> {
        let at = match self.fill()? {
            Ok(at) => at,
            Err(skipped) => return Some(Err(skipped)),
        };
        let mut bytes = std::mem::take(&mut self.bytes);
        if self.buffered > 0
            && let Ok(more) = self.input.bytes.fill_buf()
        {
            let room = BLOCK_BYTES_MAX.saturating_sub(bytes.len()).min(more.len());
            let length = memchr::memrchr(b'\n', &more[..room]).map_or(0, |end| end + 1);
            let lines = &more[..length];
            bytes.extend_from_slice(lines);
            self.number += memchr::memchr_iter(b'\n', lines).count() as u64;
            self.offset += length as u64;
            self.buffered = more.len() - length;
            self.input.bytes.consume(length);
        }
        Some(Ok(Block::new(bytes, at, self.whence.clone())))
    }

    fn reuse(&mut self, bytes: Vec<u8>) {
        self.bytes = bytes;
    }

    fn bytes_taken(&self) -> u64 {
        self.input.taken.load(Ordering::Relaxed)
    }
}
