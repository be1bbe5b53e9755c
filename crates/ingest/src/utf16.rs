//! UTF-16 as UTF-8: what Windows' own tools write into files, told by its byte order mark.
//!
//! A piece at a time, in bounded memory. Half a surrogate pair, or half a unit at the end, is shown as U+FFFD.

use std::io::{self, BufRead, BufReader, Read};

use crate::compressed::{HEAD_BYTES, with_head};

/// Most bytes that are decoded at once.
const PIECE_BYTES: usize = 8 << 10;

/// Decodes a source that begins with UTF-16's mark; leaves any other as it is.
pub(crate) fn decode(bytes: Box<dyn BufRead + Send>) -> io::Result<Box<dyn BufRead + Send>> {
    let mut bytes = with_head(bytes)?;
    let head = bytes.fill_buf()?;
    let unit = match head {
        [0xff, 0xfe, low, high, ..] if (low, high) != (&0, &0) => u16::from_le_bytes,
        [0xfe, 0xff, ..] => u16::from_be_bytes,
        _ => return Ok(bytes),
    };
    bytes.consume(2);
    let decoder = Decoder { inner: bytes, unit, bytes: Vec::new(), units: Vec::new(), text: Vec::new(), given: 0 };
    Ok(Box::new(BufReader::with_capacity(HEAD_BYTES, decoder)))
}

struct Decoder {
    inner: Box<dyn BufRead + Send>,
    unit: fn([u8; 2]) -> u16,
    /// Half a unit, and half a pair, that wait for their second halves.
    bytes: Vec<u8>,
    units: Vec<u16>,
    /// What is decoded, and how much of it was given.
    text: Vec<u8>,
    given: usize,
}

impl Decoder {
    /// Decodes what is there; `false` at the end.
    fn fill(&mut self) -> io::Result<bool> {
        let piece = self.inner.fill_buf()?;
        let piece = &piece[..piece.len().min(PIECE_BYTES)];
        let taken = piece.len();
        self.bytes.extend_from_slice(piece);
        self.inner.consume(taken);
        let has_ended = taken == 0;

        let (units, odd) = self.bytes.as_chunks::<2>();
        self.units.extend(units.iter().map(|unit| (self.unit)(*unit)));
        let odd = odd.to_vec();
        let is_half = self.units.last().is_some_and(|unit| (0xd800..0xdc00).contains(unit)) && !has_ended;
        let half = if is_half { self.units.pop() } else { None };
        let chars = char::decode_utf16(self.units.drain(..)).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER));
        let mut text: String = chars.collect();
        self.units.extend(half);
        if has_ended && !odd.is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
        self.bytes = if has_ended { Vec::new() } else { odd };
        self.text = text.into_bytes();
        self.given = 0;
        Ok(!has_ended)
    }
}

impl Read for Decoder {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.text.len() {
            if !self.fill()? && self.text.is_empty() {
                return Ok(0);
            }
        }
        let read = (&self.text[self.given..]).read(buffer)?;
        self.given += read;
        Ok(read)
    }
}
