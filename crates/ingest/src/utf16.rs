//! UTF-16 as UTF-8: what Windows' own tools write into files, told by its byte order mark.
//!
//! A piece at a time, in bounded memory. Half a surrogate pair, or half a unit at the end, is shown as U+FFFD.

use std::io::{self, BufRead, BufReader, Read};

use crate::compressed::HEAD_BYTES;

/// Bytes that are decoded at once.
const PIECE_BYTES: usize = 8 << 10;

/// Decodes a source that begins with UTF-16's mark; leaves any other as it is.
pub(crate) fn decode(mut bytes: Box<dyn BufRead + Send>) -> io::Result<Box<dyn BufRead + Send>> {
    let head = bytes.fill_buf()?;
    let unit = match head {
        [0xff, 0xfe, low, high, ..] if (low, high) != (&0, &0) => u16::from_le_bytes,
        [0xfe, 0xff, ..] => u16::from_be_bytes,
        _ => return Ok(bytes),
    };
    bytes.consume(2);
    let decoder = Decoder { inner: bytes, unit, units: Vec::new(), text: Vec::new(), given: 0 };
    Ok(Box::new(BufReader::with_capacity(HEAD_BYTES, decoder)))
}

struct Decoder {
    inner: Box<dyn BufRead + Send>,
    unit: fn([u8; 2]) -> u16,
    units: Vec<u16>,
    /// What is decoded, and how much of it was given.
    text: Vec<u8>,
    given: usize,
}

impl Decoder {
    fn fill(&mut self) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(PIECE_BYTES);
        let read = (&mut self.inner).take(PIECE_BYTES as u64).read_to_end(&mut bytes);
        if bytes.is_empty() {
            read?;
        }
        let (units, odd) = bytes.as_chunks::<2>();
        self.units.extend(units.iter().map(|unit| (self.unit)(*unit)));
        // The first half of a pair waits for the second, unless nothing comes.
        let is_half = self.units.last().is_some_and(|unit| (0xd800..0xdc00).contains(unit)) && !units.is_empty();
        let rest = if is_half { self.units.pop() } else { None };
        let chars = char::decode_utf16(self.units.drain(..)).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER));
        let mut text: String = chars.collect();
        if !odd.is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
        self.units.extend(rest);
        self.text = text.into_bytes();
        self.given = 0;
        Ok(())
    }
}

impl Read for Decoder {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.text.len() {
            self.fill()?;
            if self.text.is_empty() && self.units.is_empty() {
                return Ok(0);
            }
        }
        let read = (&self.text[self.given..]).read(buffer)?;
        self.given += read;
        Ok(read)
    }
}
