//! Texts of a few bytes within another, by their first two.
//!
//! A bitmap of all pairs of bytes says of each place whether a text may begin there; a text of one byte may with any byte
//! behind it.

use super::scan::{Numbered, Place, starts_of};

/// Words of the bitmap for the pairs that begin with one byte.
const WORDS_EACH: usize = 256 / 64;

/// Short texts to look for.
#[derive(Debug)]
pub(crate) struct Short {
    /// By pair of bytes.
    bitmap: Box<[u64]>,
    /// By first byte: where in `texts` such texts begin; and where the last ones end.
    starts: Box<[u32]>,
    /// In order.
    texts: Box<[Text]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Text {
    /// With zeros behind what it lacks.
    bytes: [u8; Short::LEN_MAX],
    len: u8,
    number: u32,
}

impl Text {
    fn new(text: &[u8], number: u32) -> Self {
        let mut bytes = [0; Short::LEN_MAX];
        bytes[..text.len()].copy_from_slice(text);
        Self { bytes, len: text.len() as u8, number }
    }
}

impl Short {
    /// Longest text that is found so.
    pub(crate) const LEN_MAX: usize = 4;

    /// Prepares texts of at most [`Short::LEN_MAX`] bytes, none of them empty; `None` where there is none.
    pub(crate) fn new(texts: &[Numbered<'_>]) -> Option<Self> {
        if texts.is_empty() {
            return None;
        }
        let mut bitmap = vec![0; 256 * WORDS_EACH];
        for (text, _) in texts {
            let first = usize::from(text[0]);
            match text.get(1) {
                Some(second) => bitmap[first * WORDS_EACH + usize::from(second / 64)] |= 1 << (second % 64),
                None => bitmap[first * WORDS_EACH..(first + 1) * WORDS_EACH].fill(u64::MAX),
            }
        }
        let starts = starts_of(256, texts.iter().map(|(text, _)| usize::from(text[0])));
        let mut texts: Vec<Text> = texts.iter().map(|(text, number)| Text::new(text, *number)).collect();
        texts.sort_unstable();
        Some(Self { bitmap: bitmap.into(), starts, texts: texts.into() })
    }

    /// Finds every place of every text.
    pub(crate) fn scan(&self, text: &[u8], found: &mut impl FnMut(Place)) {
        for (at, pair) in text.windows(2).enumerate() {
            let (first, second) = (usize::from(pair[0]), pair[1]);
            if self.bitmap[first * WORDS_EACH + usize::from(second / 64)] >> (second % 64) & 1 == 1 {
                self.look_up(text, at, found);
            }
        }
        if !text.is_empty() {
            self.look_up(text, text.len() - 1, found);
        }
    }

    /// Finds the texts that stand at a place: of each length those that are alike, among the many that may begin alike.
    #[inline(never)]
    fn look_up(&self, text: &[u8], at: usize, found: &mut impl FnMut(Place)) {
        let first = usize::from(text[at]);
        let mut texts = &self.texts[self.starts[first] as usize..self.starts[first + 1] as usize];
        for len in 1..=Self::LEN_MAX.min(text.len() - at) {
            let least = Text::new(&text[at..at + len], 0);
            texts = &texts[texts.partition_point(|text| *text < least)..];
            for Text { number, .. } in
                texts.iter().take_while(|text| (text.bytes, text.len) == (least.bytes, least.len))
            {
                found(Place { number: *number, start: at, end: at + len });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_within_a_text_are_not_those_behind_a_shorter_one() {
        let texts: [Numbered<'_>; 4] = [(b"a", 0), (b"a\0", 1), (b"a\0\0", 2), (b"ab", 3)];
        let short = Short::new(&texts).expect("texts");
        let found = |text: &[u8]| {
            let mut found = Vec::new();
            short.scan(text, &mut |place| found.push((place.number, place.start)));
            found
        };
        assert_eq!(found(b"a"), [(0, 0)]);
        assert_eq!(found(b"xa\0"), [(0, 1), (1, 1)]);
        assert_eq!(found(b"a\0\0ab"), [(0, 0), (1, 0), (2, 0), (0, 3), (3, 3)]);
        assert!(found(b"").is_empty());
    }
}
