//! Reading some of the blocks of a file, or all, from the first to the last and some megabytes at a time.

use std::collections::VecDeque;
use std::iter::Peekable;
use std::ops::Range;

use bytes::Bytes;

use crate::error::ArchiveError;
use crate::index::block::{BlockDecoder, Position};
use crate::index::fences::Fences;
use crate::index::file::IndexFile;
use crate::index::sighting::Sighting;

/// Goes through blocks, whose numbers rise, and through the entries of each.
///
/// What follows an error is read on: the next block.
pub(crate) struct Scan<'f, I: Iterator<Item = usize>> {
    file: &'f IndexFile,
    fences: &'f Fences,
    numbers: Peekable<I>,
    /// Bytes that are read at once; a block that is longer is read alone.
    bytes_max: u64,
    read: VecDeque<(usize, Bytes)>,
    decoder: BlockDecoder,
    block: usize,
    position: Position,
}

impl<'f, I: Iterator<Item = usize>> Scan<'f, I> {
    pub(crate) fn new(file: &'f IndexFile, fences: &'f Fences, numbers: I, bytes_max: u64) -> Self {
        Self {
            file,
            fences,
            numbers: numbers.peekable(),
            bytes_max,
            read: VecDeque::new(),
            decoder: BlockDecoder::new(),
            block: 0,
            position: Position::default(),
        }
    }

    /// Goes before the first entry of the next block and returns its number; `None` at the end.
    pub(crate) fn next_block(&mut self) -> Option<Result<usize, ArchiveError>> {
        self.position = Position::default();
        if self.read.is_empty()
            && let Err(error) = self.read_some()
        {
            return Some(Err(error));
        }
        let (block, stored) = self.read.pop_front()?;
        self.block = block;
        let entered = self.decoder.decode(&stored).and_then(|()| self.position.enter(self.decoder.plain()));
        Some(entered.map(|()| block).ok_or_else(|| self.damaged()))
    }

    /// Goes to the next entry of this block; `false` at its end.
    pub(crate) fn next_in_block(&mut self) -> Result<bool, ArchiveError> {
        if !self.position.has_next() {
            return Ok(false);
        }
        self.position.advance(self.decoder.plain()).map(|()| true).ok_or_else(|| self.damaged())
    }

    /// Goes to the next entry of all; `false` at the end.
    pub(crate) fn advance(&mut self) -> Result<bool, ArchiveError> {
        while !self.next_in_block()? {
            match self.next_block() {
                Some(block) => block?,
                None => return Ok(false),
            };
        }
        Ok(true)
    }

    /// Returns the key of the entry.
    pub(crate) fn key(&self) -> &[u8] {
        self.position.key()
    }

    /// Returns what is known of it.
    pub(crate) fn sighting(&self) -> Result<Sighting, ArchiveError> {
        let value = self.position.value(self.decoder.plain());
        Sighting::decode(value, self.file.base()).ok_or_else(|| self.damaged())
    }

    fn damaged(&self) -> ArchiveError {
        let Range { start, end } = self.fences.place(self.block);
        self.file.damaged(&format!("block {}, bytes {start} to {end}, is not as it was written", self.block))
    }

    fn read_some(&mut self) -> Result<(), ArchiveError> {
        let (mut blocks, mut ranges, mut bytes) = (Vec::new(), Vec::<Range<u64>>::new(), 0);
        while let Some(block) = self.numbers.peek() {
            let place = self.fences.place(*block);
            bytes += place.end - place.start;
            if bytes > self.bytes_max && !blocks.is_empty() {
                break;
            }
            blocks.extend(self.numbers.next());
            match ranges.last_mut() {
                Some(last) if last.end == place.start => last.end = place.end,
                _ => ranges.push(place),
            }
        }
        if blocks.is_empty() {
            return Ok(());
        }
        let read = self.file.read(&ranges)?;
        let mut parts = ranges.iter().zip(&read).peekable();
        for block in blocks {
            let place = self.fences.place(block);
            while parts.next_if(|(range, _)| range.end <= place.start).is_some() {}
            let (range, bytes) = parts.peek().expect("each block is in what was read");
            let (start, end) = ((place.start - range.start) as usize, (place.end - range.start) as usize);
            self.read.push_back((block, bytes.slice(start..end)));
        }
        Ok(())
    }
}
