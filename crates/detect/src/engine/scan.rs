//! Which of many texts stand within another: all of them, in one pass.
//!
//! A gram is four bytes. The pass looks at the grams at every second place of the text that is searched, or at fewer where
//! all texts to look for are long; of each text as many grams in a row are chosen, those that the fewest other texts have,
//! so that the pass meets one of them. A bitmap, small enough for the nearest cache, says at once of nearly all grams that
//! they are none of the chosen; behind the others stands the text to compare. Texts of fewer than five bytes have an
//! automaton, and so have those that would have to be compared together with many others.
//!
//! Faster here than an Aho–Corasick automaton of all texts, whose states do not fit the caches (docs/decisions/003).

use std::collections::{BTreeSet, HashMap};

use aho_corasick::{AhoCorasick, MatchKind};
use foldhash::fast::FixedState;

/// Bytes that are looked at at once.
const GRAM: usize = 4;
/// Shortest text that is found by its grams: of a shorter one a gram would have to be looked for at every place.
const LONG: usize = GRAM + 1;
/// Farthest that two places which are looked at may be apart.
const STRIDE_MAX: usize = 8;
/// Bits of the bitmap for each gram: one in so many other grams is looked up in vain.
const BITS_EACH: usize = 64;
/// Most texts that are compared where one gram is met. Those of a gram that more have chosen are found by an automaton.
const COMPARED_MAX: usize = 32;
/// Most bytes of texts that are put into that automaton, which takes some thirty times as much. Past them all are compared.
const CROWDED_BYTES_MAX: usize = 1 << 24;
/// A bitmap of 64 bits to one of 8 MiB: the exponents of its bits.
const BITS_LOG_MIN: u32 = 6;
const BITS_LOG_MAX: u32 = 26;

/// Texts to look for, prepared.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    /// Exponent of the bitmap's bits; 0 where there is nothing to look for.
    bits_log: u32,
    /// How far apart the places are that are looked at.
    stride: usize,
    bitmap: Box<[u64]>,
    /// By the chosen bytes: where in `chosen` their texts begin and end.
    places: HashMap<u32, (u32, u32), FixedState>,
    chosen: Vec<Chosen>,
    /// Short texts of ASCII, and others, which a text of ASCII cannot have.
    short_ascii: Option<Automaton>,
    short_other: Option<Automaton>,
    crowded: Option<Automaton>,
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
struct Automaton {
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
        let short = |is_ascii| numbered().filter(move |(text, _)| text.len() < LONG && text.is_ascii() == is_ascii);
        let mut scanner = Self {
            short_ascii: Automaton::new(short(true)),
            short_other: Automaton::new(short(false)),
            ..Self::default()
        };
        let mut common: HashMap<u32, u32, FixedState> = HashMap::default();
        for (text, _) in numbered() {
            grams(text).for_each(|gram| *common.entry(gram).or_default() += 1);
        }
        let long = || numbered().filter(|(text, _)| text.len() >= LONG);
        let shortest = long().map(|(text, _)| text.len()).min().unwrap_or(LONG);
        scanner.stride = (shortest - GRAM + 1).min(STRIDE_MAX);
        let mut chosen: Vec<(u32, Chosen)> = Vec::new();
        for (text, number) in long() {
            let grams: Vec<u32> = grams(text).collect();
            let how_common = |grams: &[u32]| grams.iter().map(|gram| common[gram]).sum::<u32>();
            let rarest = grams.windows(scanner.stride).enumerate().min_by_key(|(_, grams)| how_common(grams));
            for (step, gram) in rarest.iter().flat_map(|(_, grams)| grams.iter().enumerate()) {
                let offset = rarest.map_or(0, |(offset, _)| offset) + step;
                chosen.push((*gram, Chosen { text: text.into(), offset, number }));
            }
        }
        let mut sharing: HashMap<u32, usize, FixedState> = HashMap::default();
        chosen.iter().for_each(|(gram, _)| *sharing.entry(*gram).or_default() += 1);
        let is_crowded = |(gram, _): &&(u32, Chosen)| sharing[gram] > COMPARED_MAX;
        let mut crowded: BTreeSet<u32> = chosen.iter().filter(is_crowded).map(|(_, chosen)| chosen.number).collect();
        if crowded.iter().map(|number| texts[*number as usize].len()).sum::<usize>() > CROWDED_BYTES_MAX {
            crowded.clear();
        }
        scanner.crowded = Automaton::new(crowded.iter().map(|number| (texts[*number as usize].as_bytes(), *number)));
        chosen.retain(|(_, chosen)| !crowded.contains(&chosen.number));
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
    pub(crate) fn scan(&self, text: &[u8], mut found: impl FnMut(Place)) {
        if self.bits_log > 0 {
            self.scan_long(text, &mut found);
        }
        for short in [&self.short_ascii, &self.crowded].into_iter().flatten() {
            short.scan(text, &mut found);
        }
        if let Some(short) = self.short_other.as_ref().filter(|_| !text.is_ascii()) {
            short.scan(text, &mut found);
        }
    }

    fn scan_long(&self, text: &[u8], found: &mut impl FnMut(Place)) {
        let mut at = 0;
        while let Some(gram) = gram_at(text, at) {
            if self.may_be_chosen(gram) {
                self.look_up(text, at, gram, found);
            }
            at += self.stride;
        }
    }

    #[inline(always)]
    fn may_be_chosen(&self, gram: u32) -> bool {
        let bit = self.bit(gram);
        self.bitmap[bit / 64] & (1 << (bit % 64)) != 0
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

impl Automaton {
    fn new<'t>(texts: impl Iterator<Item = (&'t [u8], u32)>) -> Option<Self> {
        let (texts, numbers): (Vec<&[u8]>, Vec<u32>) = texts.unzip();
        if texts.is_empty() {
            return None;
        }
        let automaton = AhoCorasick::builder().match_kind(MatchKind::Standard).build(texts);
        Some(Self { automaton: automaton.expect("rules are bounded"), numbers })
    }

    fn scan(&self, text: &[u8], found: &mut impl FnMut(Place)) {
        for place in self.automaton.find_overlapping_iter(text) {
            let number = self.numbers[place.pattern().as_usize()];
            found(Place { number, start: place.start(), end: place.end() });
        }
    }
}

fn gram_at(text: &[u8], at: usize) -> Option<u32> {
    text.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

fn grams(text: &[u8]) -> impl Iterator<Item = u32> {
    (0..).map_while(|at| gram_at(text, at))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn places(texts: &[&str], within: &str) -> Vec<Place> {
        let mut places = Vec::new();
        Scanner::new(texts).scan(within.as_bytes(), |place| places.push(place));
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

    #[test]
    fn texts_that_share_all_their_grams() {
        let alike: Vec<String> = (LONG..LONG + 2 * COMPARED_MAX).map(|length| "a".repeat(length)).collect();
        let texts: Vec<&str> = alike.iter().map(String::as_str).chain(["abcdef", "aab"]).collect();
        let within = format!("{}b{}bcdef", "a".repeat(50), "a".repeat(90));
        assert_eq!(places(&texts, &within), expected(&texts, &within));
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
