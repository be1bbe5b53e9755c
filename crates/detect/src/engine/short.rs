//! Texts of a few bytes within another, by their first two.
//!
//! A bitmap of all pairs of bytes says of each place whether a text may begin there; a text of one byte may with any byte
//! behind it.

use super::scan::{Numbered, Place};

/// Words of the bitmap for the pairs that begin with one byte.
const WORDS_EACH: usize = 256 / 64;

/// Short texts to look for.
#[derive(Debug)]
pub(crate) struct Short {
    /// By pair of bytes.
    bitmap: Box<[u64]>,
    /// By first byte: where in `texts` such texts begin; and where the last ones end.
    starts: Box<[u32]>,
    texts: Box<[Text]>,
}

#[derive(Debug)]
struct Text {
    bytes: [u8; Short::LEN_MAX],
    len: u8,
    number: u32,
}

impl Short {
    /// Longest text that is found so.
    pub(crate) const LEN_MAX: usize = 4;

    /// Prepares texts of at most [`Short::LEN_MAX`] bytes, none of them empty; `None` where there is none.
    pub(crate) fn new(texts: &[Numbered<'_>]) -> Option<Self> {
        if texts.is_empty() {
            return None;
        }
        let mut sorted = texts.to_vec();
        sorted.sort_unstable();
        let mut bitmap = vec![0; 256 * WORDS_EACH];
        let mut starts = vec![0; 257];
        let mut kept = Vec::with_capacity(sorted.len());
        for (text, number) in sorted {
            let first = usize::from(text[0]);
            starts[first + 1] += 1;
            match text.get(1) {
                Some(second) => bitmap[first * WORDS_EACH + usize::from(second / 64)] |= 1 << (second % 64),
                None => bitmap[first * WORDS_EACH..(first + 1) * WORDS_EACH].fill(u64::MAX),
            }
            let mut bytes = [0; Self::LEN_MAX];
            bytes[..text.len()].copy_from_slice(text);
            kept.push(Text { bytes, len: text.len() as u8, number });
        }
        for byte in 1..starts.len() {
            starts[byte] += starts[byte - 1];
        }
        Some(Self { bitmap: bitmap.into(), starts: starts.into(), texts: kept.into() })
    }

    /// Finds every place of every text.
    pub(crate) fn scan(&self, text: &[u8], found: &mut impl FnMut(Place)) {
        for (at, pair) in text.windows(2).enumerate() {
            let (first, second) = (usize::from(pair[0]), pair[1]);
            if self.bitmap[first * WORDS_EACH + usize::from(second / 64)] >> (second % 64) & 1 == 1 {
                self.look_up(text, at, first, found);
            }
        }
        if let Some(last) = text.last() {
            self.look_up(text, text.len() - 1, usize::from(*last), found);
        }
    }

    #[inline(never)]
    fn look_up(&self, text: &[u8], at: usize, first: usize, found: &mut impl FnMut(Place)) {
        for Text { bytes, len, number } in &self.texts[self.starts[first] as usize..self.starts[first + 1] as usize] {
            let bytes = &bytes[..usize::from(*len)];
            if text[at..].starts_with(bytes) {
                found(Place { number: *number, start: at, end: at + bytes.len() });
            }
        }
    }
}
