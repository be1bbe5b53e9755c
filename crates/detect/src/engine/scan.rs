//! Which of many texts stand within another: all of them, in one pass.
//!
//! Of each text to look for four bytes are chosen, those that the fewest other texts have. The pass looks at each four bytes
//! of the text that is searched: a bitmap, small enough for the nearest cache, says at once of nearly all that they are none
//! of the chosen; behind the others stands the text to compare. Texts of fewer than four bytes have an automaton.
//!
//! Faster here than an Aho–Corasick automaton of all texts, whose states do not fit the caches (docs/decisions/003).

use std::collections::HashMap;

use aho_corasick::{AhoCorasick, MatchKind};

/// Bytes that are looked at at once.
const GRAM: usize = 4;
/// Bits of the bitmap for each text: one in so many other four bytes is looked up in vain.
const BITS_EACH: usize = 32;
/// A bitmap of 64 bits to one of 8 MiB: the exponents of its bits.
const BITS_LOG_MIN: u32 = 6;
const BITS_LOG_MAX: u32 = 26;

/// Texts to look for, prepared.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    /// Exponent of the bitmap's bits; 0 where there is nothing to look for.
    bits_log: u32,
    bitmap: Box<[u64]>,
    /// By the chosen bytes: where in `chosen` their texts begin and end.
    places: HashMap<u32, (u32, u32), foldhash::fast::FixedState>,
    chosen: Vec<Chosen>,
    short: Option<Short>,
}

#[derive(Debug)]
struct Chosen {
    text: Box<[u8]>,
    /// Where the chosen bytes stand in the text.
    offset: usize,
    /// The text's number.
    number: u32,
}

#[derive(Debug)]
struct Short {
    automaton: AhoCorasick,
    numbers: Vec<u32>,
}

/// Where a text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The text's number.
    pub(crate) number: u32,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Scanner {
    /// Prepares texts, none of them empty; they are numbered in their order.
    pub(crate) fn new(texts: &[&str]) -> Self {
        let numbered = || texts.iter().map(|text| text.as_bytes()).zip(0_u32..);
        let mut scanner =
            Self { short: Short::new(numbered().filter(|(text, _)| text.len() < GRAM)), ..Self::default() };
        let mut common: HashMap<u32, u32> = HashMap::new();
        for (text, _) in numbered() {
            text.windows(GRAM).for_each(|bytes| *common.entry(gram(bytes)).or_default() += 1);
        }
        let mut chosen: Vec<(u32, Chosen)> = numbered()
            .filter_map(|(text, number)| {
                let grams = text.windows(GRAM).map(gram).enumerate();
                let (offset, rarest) = grams.min_by_key(|(_, gram)| common.get(gram).copied().unwrap_or(0))?;
                Some((rarest, Chosen { text: text.into(), offset, number }))
            })
            .collect();
        if chosen.is_empty() {
            return scanner;
        }
        chosen.sort_by_key(|(gram, _)| *gram);
        let bits = (chosen.len() * BITS_EACH).next_power_of_two();
        scanner.bits_log = bits.trailing_zeros().clamp(BITS_LOG_MIN, BITS_LOG_MAX);
        scanner.bitmap = vec![0; 1 << (scanner.bits_log - 6)].into();
        for (at, (gram, chosen)) in chosen.into_iter().enumerate() {
            let bit = scanner.bit(gram);
            scanner.bitmap[bit / 64] |= 1 << (bit % 64);
            let place = scanner.places.entry(gram).or_insert((at as u32, at as u32));
            place.1 = at as u32 + 1;
            scanner.chosen.push(chosen);
        }
        scanner
    }

    /// Finds every place of every text.
    pub(crate) fn scan(&self, text: &str, mut found: impl FnMut(Place)) {
        let bytes = text.as_bytes();
        if self.bits_log > 0 {
            for (at, window) in bytes.windows(GRAM).enumerate() {
                let gram = gram(window);
                let bit = self.bit(gram);
                if self.bitmap[bit / 64] & (1 << (bit % 64)) != 0 {
                    self.look_up(bytes, at, gram, &mut found);
                }
            }
        }
        if let Some(short) = &self.short {
            for place in short.automaton.find_overlapping_iter(bytes) {
                let number = short.numbers[place.pattern().as_usize()];
                found(Place { number, start: place.start(), end: place.end() });
            }
        }
    }

    fn bit(&self, gram: u32) -> usize {
        // Fibonacci hashing: the upper bits of the product depend on all of the factor's.
        (gram.wrapping_mul(0x9e37_79b1) >> (32 - self.bits_log)) as usize
    }

    #[inline(never)]
    fn look_up(&self, bytes: &[u8], at: usize, gram: u32, found: &mut impl FnMut(Place)) {
        let Some((from, to)) = self.places.get(&gram) else { return };
        for chosen in &self.chosen[*from as usize..*to as usize] {
            let Some(start) = at.checked_sub(chosen.offset) else { continue };
            if bytes[start..].starts_with(&chosen.text) {
                found(Place { number: chosen.number, start, end: start + chosen.text.len() });
            }
        }
    }
}

impl Short {
    fn new<'t>(texts: impl Iterator<Item = (&'t [u8], u32)>) -> Option<Self> {
        let (texts, numbers): (Vec<&[u8]>, Vec<u32>) = texts.unzip();
        if texts.is_empty() {
            return None;
        }
        let automaton = AhoCorasick::builder().match_kind(MatchKind::Standard).build(texts);
        Some(Self { automaton: automaton.expect("texts of three bytes fit an automaton"), numbers })
    }
}

fn gram(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn places(texts: &[&str], within: &str) -> Vec<Place> {
        let mut places = Vec::new();
        Scanner::new(texts).scan(within, |place| places.push(place));
        places.sort_unstable();
        places
    }

    /// The slow twin: each text at each place.
    fn expected(texts: &[&str], within: &str) -> Vec<Place> {
        let mut places = Vec::new();
        for (text, number) in texts.iter().zip(0..) {
            let starts = (0..within.len()).filter(|start| within.as_bytes()[*start..].starts_with(text.as_bytes()));
            places.extend(starts.map(|start| Place { number, start, end: start + text.len() }));
        }
        places.sort_unstable();
        places
    }

    #[test]
    fn texts_of_every_length() {
        let texts = ["a", "bc", "abc", "abcd", "abcde", "bcde", "cdef"];
        for within in ["", "a", "abc", "abcd", "xxabcdefxx", "abcabcdabcde"] {
            assert_eq!(places(&texts, within), expected(&texts, within), "{within}");
        }
        assert!(places(&[], "abcd").is_empty());
    }

    proptest! {
        #[test]
        fn it_finds_what_a_plain_search_finds(
            texts in prop::collection::vec("[abé]{1,7}", 0..12),
            within in "[abé]{0,30}",
        ) {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            prop_assert_eq!(places(&texts, &within), expected(&texts, &within));
        }
    }
}
