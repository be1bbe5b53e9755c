//! What to look for in the values of an event, and what it means that it is there.

use std::collections::HashMap;

use cresset_event::{Entry, FieldId, Value};
use foldhash::fast::FixedState;

use super::scan::Scanner;
use super::test::{TextOp, number};
use super::view::Reads;

/// Most that a text may mean for it to be applied at each place where it stands. One that means more is applied once an event,
/// and at the edges of a value: rules that all ask for `a` would cost their number for each `a` of an event.
const HITS_FEW: usize = 4;

/// What to look for in the values of one field.
#[derive(Debug)]
pub(crate) struct FieldIndex {
    /// What of its values any test or this index reads.
    pub(crate) reads: Reads,
    texts: TextIndex,
    /// By the number's bits.
    numbers: HashMap<u64, Vec<u32>, FixedState>,
    /// Rules that could fit because the field is there.
    present: Vec<u32>,
}

/// Texts to look for.
#[derive(Debug, Default)]
pub(crate) struct TextIndex {
    /// Bit `n` is set where a text of `n` bytes is among `equal`; the last one stands for all that are longer.
    lengths: u64,
    /// By whole text: where its hits begin and end in `hits`.
    equal: HashMap<Box<[u8]>, (u32, u32), FixedState>,
    within: Scanner,
    /// By the number of the scanner's text: where its hits begin in `hits`; and where the last ones end.
    starts: Vec<u32>,
    hits: Vec<Hit>,
    /// Where `hits` have their rules.
    rules: Vec<u32>,
    /// The scanner's texts that mean much are the first so many, and have numbers among those of the plan from here on.
    crowds: u32,
    crowds_from: u32,
}

/// What it means that a text was found.
#[derive(Debug, Clone, Copy)]
struct Hit {
    at: Anchor,
    /// The test that holds thereby, by its number in the plan.
    decides: Option<u32>,
    /// The rules that could fit, as a range.
    rules: (u32, u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Anchor {
    Anywhere,
    Start,
    End,
}

/// Takes what the index finds.
pub(crate) trait Found {
    /// A test holds.
    fn holds(&mut self, test: u32);
    /// Rules could fit.
    fn raise(&mut self, rules: &[u32]);
    /// Returns whether a text that means much, by its number in the plan, was not found before in this event.
    fn is_first(&mut self, crowd: u32) -> bool;
}

impl FieldIndex {
    /// Looks into one value of the field; `folded` is its text, empty where it has none or nothing reads it.
    pub(crate) fn look(&self, entry: Entry<'_>, folded: &[u8], found: &mut impl Found) {
        found.raise(&self.present);
        if !self.numbers.is_empty()
            && let Some(number) = number(entry.value())
            && let Some(rules) = self.numbers.get(&number.to_bits())
        {
            found.raise(rules);
        }
        let has_text = || !matches!(entry.value(), Value::Null | Value::Empty);
        if self.reads == Reads::Texts && (!folded.is_empty() || has_text()) {
            self.texts.look(folded, found);
        }
    }
}

impl TextIndex {
    /// Looks for every text.
    pub(crate) fn look(&self, text: &[u8], found: &mut impl Found) {
        if self.lengths & length_bit(text) != 0
            && let Some((from, to)) = self.equal.get(text)
        {
            self.hits[*from as usize..*to as usize].iter().for_each(|hit| self.apply(hit, found));
        }
        self.within.scan(text, |place| {
            let number = place.number as usize;
            let is_edge = place.start == 0 || place.end == text.len();
            if place.number < self.crowds && !is_edge && !found.is_first(self.crowds_from + place.number) {
                return;
            }
            for hit in &self.hits[self.starts[number] as usize..self.starts[number + 1] as usize] {
                let fits = match hit.at {
                    Anchor::Anywhere => true,
                    Anchor::Start => place.start == 0,
                    Anchor::End => place.end == text.len(),
                };
                if fits {
                    self.apply(hit, found);
                }
            }
        });
    }

    fn apply(&self, hit: &Hit, found: &mut impl Found) {
        if let Some(test) = hit.decides {
            found.holds(test);
        }
        found.raise(&self.rules[hit.rules.0 as usize..hit.rules.1 as usize]);
    }

    /// Appends hits, and returns where they end.
    fn push(&mut self, hits: HitsBuilder) -> u32 {
        let count = |of: usize| u32::try_from(of).expect("rules are bounded");
        for (at, decides, rules) in hits {
            let from = count(self.rules.len());
            self.rules.extend(rules);
            self.hits.push(Hit { at, decides, rules: (from, count(self.rules.len())) });
        }
        count(self.hits.len())
    }
}

fn length_bit(text: &[u8]) -> u64 {
    1 << text.len().min(63)
}

/// Collects what to look for.
#[derive(Debug, Default)]
pub(crate) struct IndexBuilder {
    fields: HashMap<FieldId, FieldBuilder>,
    anywhere: TextBuilder,
}

#[derive(Debug, Default)]
struct FieldBuilder {
    reads: Option<Reads>,
    texts: TextBuilder,
    numbers: HashMap<u64, Vec<u32>>,
    present: Vec<u32>,
}

#[derive(Debug, Default)]
struct TextBuilder {
    equal: HashMap<Box<str>, HitsBuilder, FixedState>,
    within: HashMap<Box<str>, HitsBuilder, FixedState>,
}

type HitsBuilder = Vec<(Anchor, Option<u32>, Vec<u32>)>;

impl IndexBuilder {
    /// Raises a rule where a text stands so in a value of the field (`None`: anywhere); a test then holds.
    pub(crate) fn text(&mut self, field: Option<FieldId>, op: TextOp, literal: &str, decides: Option<u32>, rule: u32) {
        match field {
            Some(field) => {
                self.reads(field, Reads::Texts);
                self.field(field).texts.add(op, literal, decides, rule);
            }
            None => self.anywhere.add(op, literal, decides, rule),
        }
    }

    /// Raises a rule where a value of the field is this number.
    pub(crate) fn number(&mut self, field: FieldId, number: f64, rule: u32) {
        // Both zeros are equal and have other bits.
        let keys = if number == 0.0 { vec![0.0, -0.0] } else { vec![number] };
        for key in keys {
            self.field(field).numbers.entry(f64::to_bits(key)).or_default().push(rule);
        }
    }

    /// Raises a rule where the field is there.
    pub(crate) fn present(&mut self, field: FieldId, rule: u32) {
        self.field(field).present.push(rule);
    }

    /// Notes what a test reads of a field.
    pub(crate) fn reads(&mut self, field: FieldId, reads: Reads) {
        let known = &mut self.field(field).reads;
        *known = (*known).max(Some(reads));
    }

    fn field(&mut self, field: FieldId) -> &mut FieldBuilder {
        self.fields.entry(field).or_default()
    }

    /// Returns the index of each field, that of texts anywhere, and how many texts there are that mean much.
    pub(crate) fn finish(self) -> (Vec<(FieldId, FieldIndex)>, TextIndex, u32) {
        let mut crowds = 0;
        let fields = self.fields.into_iter().map(|(field, builder)| {
            let FieldBuilder { reads, texts, numbers, present } = builder;
            let reads = reads.unwrap_or(Reads::Values);
            (
                field,
                FieldIndex { reads, texts: texts.finish(&mut crowds), numbers: numbers.into_iter().collect(), present },
            )
        });
        let fields = fields.collect();
        let anywhere = self.anywhere.finish(&mut crowds);
        (fields, anywhere, crowds)
    }
}

impl TextBuilder {
    fn add(&mut self, op: TextOp, literal: &str, decides: Option<u32>, rule: u32) {
        let (map, at) = match op {
            TextOp::Equals => (&mut self.equal, Anchor::Anywhere),
            TextOp::Contains => (&mut self.within, Anchor::Anywhere),
            TextOp::StartsWith => (&mut self.within, Anchor::Start),
            TextOp::EndsWith => (&mut self.within, Anchor::End),
        };
        let hits = match map.get_mut(literal) {
            Some(hits) => hits,
            None => map.entry(literal.into()).or_default(),
        };
        match hits.iter_mut().find(|hit| (hit.0, hit.1) == (at, decides)) {
            Some(hit) => hit.2.push(rule),
            None => hits.push((at, decides, vec![rule])),
        }
    }

    fn finish(self, crowds: &mut u32) -> TextIndex {
        let means_much =
            |hits: &HitsBuilder| hits.iter().map(|(_, _, rules)| 1 + rules.len()).sum::<usize>() > HITS_FEW;
        let (crowded, others): (Vec<_>, Vec<_>) = self.within.into_iter().partition(|(_, hits)| means_much(hits));
        let mut index = TextIndex { starts: vec![0], crowds_from: *crowds, ..TextIndex::default() };
        index.crowds = u32::try_from(crowded.len()).expect("rules are bounded");
        *crowds += index.crowds;
        let mut patterns = Vec::new();
        for (pattern, hits) in crowded.into_iter().chain(others) {
            patterns.push(pattern);
            let end = index.push(hits);
            index.starts.push(end);
        }
        let patterns: Vec<&str> = patterns.iter().map(|pattern| &**pattern).collect();
        index.within = Scanner::new(&patterns);
        index.lengths = self.equal.keys().fold(0, |lengths, text| lengths | length_bit(text.as_bytes()));
        for (text, hits) in self.equal {
            let from = index.hits.len() as u32;
            let to = index.push(hits);
            index.equal.insert(text.into_boxed_bytes(), (from, to));
        }
        index
    }
}
