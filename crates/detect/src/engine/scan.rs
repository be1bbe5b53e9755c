//! Which of many texts stand within another: all of them, in one pass.
//!
//! A gram is four bytes. The pass looks at the grams at every second place of the text that is searched, or at fewer where
//! all texts to look for are long; of each text as many grams in a row are chosen, those that the fewest other texts have,
//! so that the pass meets one of them. A bitmap, small enough for the nearest cache, says at once of nearly all grams that
//! they are none of the chosen; behind the others stands the text to compare. Texts of fewer than five bytes are found by
//! their first two ([`super::short`]), and those that would have to be compared together with many others by an automaton.
//!
//! Faster here than an Aho–Corasick automaton of all texts, whose states do not fit the caches (docs/decisions/003).

use std::collections::{BTreeSet, HashMap};

use aho_corasick::{AhoCorasick, MatchKind};
use foldhash::fast::FixedState;

use super::short::Short;

/// Bytes that are looked at at once.
const GRAM: usize = 4;
/// Shortest text that is found by its grams: of a shorter one a gram would have to be looked for at every place.
const LONG: usize = Short::LEN_MAX + 1;
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
    /// Those of ASCII.
    ascii: Option<Part>,
    /// The others, of which a text of ASCII has none.
    other: Option<Part>,
}

/// Where a text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The text's number.
    pub(crate) number: u32,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// A text to look for, with its number.
pub(crate) type Numbered<'t> = (&'t [u8], u32);

impl Scanner {
    /// Prepares texts, none of them empty; they are numbered in their order.
    pub(crate) fn new(texts: &[&str]) -> Self {
        let numbered = texts.iter().map(|text| text.as_bytes()).zip(0_u32..);
        let (ascii, other): (Vec<Numbered<'_>>, Vec<Numbered<'_>>) = numbered.partition(|(text, _)| text.is_ascii());
        Self { ascii: Part::new(&ascii), other: Part::new(&other) }
    }

    /// Finds every place of every text.
    pub(crate) fn scan(&self, text: &[u8], mut found: impl FnMut(Place)) {
        if let Some(ascii) = &self.ascii {
            ascii.scan(text, &mut found);
        }
        if let Some(other) = self.other.as_ref().filter(|_| !text.is_ascii()) {
            other.scan(text, &mut found);
        }
    }
}

/// Some of the texts, by their length.
#[derive(Debug)]
struct Part {
    long: Option<Long>,
    short: Option<Short>,
    crowded: Option<Automaton>,
}

impl Part {
    fn new(texts: &[Numbered<'_>]) -> Option<Self> {
        if texts.is_empty() {
            return None;
        }
        let (long, short): (Vec<Numbered<'_>>, Vec<Numbered<'_>>) =
            texts.iter().partition(|(text, _)| text.len() >= LONG);
        let (long, crowded) = Long::new(&long);
        Some(Self { long, short: Short::new(&short), crowded: Automaton::new(&crowded) })
    }

    fn scan(&self, text: &[u8], found: &mut impl FnMut(Place)) {
        if let Some(long) = &self.long {
            long.scan(text, found);
        }
        if let Some(short) = &self.short {
            short.scan(text, found);
        }
        if let Some(crowded) = &self.crowded {
            crowded.scan(text, found);
        }
    }
}

/// Long texts, by their grams. What one lookup needs lies close together.
#[derive(Debug)]
struct Long {
    /// How far apart the places are that are looked at.
    stride: usize,
    /// Exponent of the bitmap's bits.
    bits_log: u32,
    bitmap: Box<[u64]>,
    /// By the upper bits of a gram's hash: where in `chosen` such grams begin; and where the last ones end.
    starts: Box<[u32]>,
    chosen: Box<[Chosen]>,
    texts: Box<[u8]>,
}

#[derive(Debug, Clone, Copy)]
struct Chosen {
    gram: u32,
    /// Where the gram stands in the text.
    offset: u32,
    /// Where the text stands among all texts.
    from: u32,
    to: u32,
    /// The text's number.
    number: u32,
}

impl Long {
    /// Prepares texts; returns also those that an automaton is to look for.
    fn new<'t>(texts: &[Numbered<'t>]) -> (Option<Self>, Vec<Numbered<'t>>) {
        let mut common: HashMap<u32, u32, FixedState> = HashMap::default();
        for (text, _) in texts {
            grams(text).for_each(|gram| *common.entry(gram).or_default() += 1);
        }
        let shortest = texts.iter().map(|(text, _)| text.len()).min().unwrap_or(LONG);
        let stride = (shortest - GRAM + 1).min(STRIDE_MAX);
        let mut chosen: Vec<Chosen> = Vec::new();
        let mut joined: Vec<u8> = Vec::new();
        for (text, number) in texts {
            let from = joined.len() as u32;
            joined.extend_from_slice(text);
            let to = u32::try_from(joined.len()).expect("rules are bounded");
            let grams: Vec<u32> = grams(text).collect();
            let how_common = |grams: &[u32]| grams.iter().map(|gram| common[gram]).sum::<u32>();
            let rarest = grams.windows(stride).enumerate().min_by_key(|(_, grams)| how_common(grams));
            if let Some((offset, grams)) = rarest {
                let places = grams.iter().zip(offset as u32..);
                chosen.extend(places.map(|(gram, offset)| Chosen { gram: *gram, offset, from, to, number: *number }));
            }
        }
        let mut sharing: HashMap<u32, usize, FixedState> = HashMap::default();
        chosen.iter().for_each(|chosen| *sharing.entry(chosen.gram).or_default() += 1);
        let is_crowded = |chosen: &&Chosen| sharing[&chosen.gram] > COMPARED_MAX;
        let mut numbers: BTreeSet<u32> = chosen.iter().filter(is_crowded).map(|chosen| chosen.number).collect();
        let mut crowded: Vec<Numbered<'t>> =
            texts.iter().filter(|(_, number)| numbers.contains(number)).copied().collect();
        if crowded.iter().map(|(text, _)| text.len()).sum::<usize>() > CROWDED_BYTES_MAX {
            numbers.clear();
            crowded.clear();
        }
        chosen.retain(|chosen| !numbers.contains(&chosen.number));
        if chosen.is_empty() {
            return (None, crowded);
        }
        let bits = (chosen.len() * BITS_EACH).next_power_of_two();
        let bits_log = bits.trailing_zeros().clamp(BITS_LOG_MIN, BITS_LOG_MAX);
        // About as many buckets as grams.
        let buckets_log = bits_log - BITS_LOG_MIN;
        let mut bitmap = vec![0; 1 << (bits_log - 6)];
        for Chosen { gram, .. } in &chosen {
            let bit = upper_bits(*gram, bits_log);
            bitmap[bit / 64] |= 1 << (bit % 64);
        }
        let bucket = |chosen: &Chosen| upper_bits(chosen.gram, buckets_log);
        let starts = starts_of(1 << buckets_log, chosen.iter().map(bucket));
        chosen.sort_by_key(bucket);
        let (chosen, texts) = (chosen.into(), joined.into());
        (Some(Self { stride, bits_log, bitmap: bitmap.into(), starts, chosen, texts }), crowded)
    }

    fn scan(&self, text: &[u8], found: &mut impl FnMut(Place)) {
        let mut at = 0;
        while let Some(gram) = gram_at(text, at) {
            let bit = upper_bits(gram, self.bits_log);
            if self.bitmap[bit / 64] & (1 << (bit % 64)) != 0 {
                self.look_up(text, at, gram, found);
            }
            at += self.stride;
        }
    }

    #[inline(never)]
    fn look_up(&self, bytes: &[u8], at: usize, gram: u32, found: &mut impl FnMut(Place)) {
        let bucket = upper_bits(gram, self.bits_log - BITS_LOG_MIN);
        let (from, to) = (self.starts[bucket] as usize, self.starts[bucket + 1] as usize);
        for chosen in self.chosen[from..to].iter().filter(|chosen| chosen.gram == gram) {
            let Some(start) = at.checked_sub(chosen.offset as usize) else { continue };
            let text = &self.texts[chosen.from as usize..chosen.to as usize];
            if bytes[start..].starts_with(text) {
                found(Place { number: chosen.number, start, end: start + text.len() });
            }
        }
    }
}

/// Returns where those of each bucket begin once they are sorted by it, and where the last ones end.
pub(crate) fn starts_of(buckets: usize, each: impl Iterator<Item = usize>) -> Box<[u32]> {
    let mut starts = vec![0; buckets + 1];
    each.for_each(|bucket| starts[bucket + 1] += 1);
    for bucket in 1..=buckets {
        starts[bucket] += starts[bucket - 1];
    }
    starts.into()
}

/// Fibonacci hashing: the upper bits of the product depend on all of the factor's.
#[inline(always)]
fn upper_bits(gram: u32, count: u32) -> usize {
    (u64::from(gram.wrapping_mul(0x9e37_79b1)) >> (32 - count)) as usize
}

#[derive(Debug)]
struct Automaton {
    automaton: AhoCorasick,
    numbers: Vec<u32>,
}

impl Automaton {
    fn new(texts: &[Numbered<'_>]) -> Option<Self> {
        if texts.is_empty() {
            return None;
        }
        let (texts, numbers): (Vec<&[u8]>, Vec<u32>) = texts.iter().copied().unzip();
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
