//! What is known of one value: how often it was seen, when, where, and some of the events.
//!
//! Two of them add up, in any order to the same (`parts_add_up_in_any_order`).

use std::collections::HashMap;

use cresset_event::EventId;

use crate::wire::{Taker, put_bytes, put_number};

/// Most events that are kept as examples of a value: the two first ones and the last.
pub(crate) const EXAMPLES_MAX: usize = 3;

/// What is known of one value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sighting {
    /// Events that have it.
    pub(crate) count: u64,
    /// First and last time, nanoseconds since 1970, of events whose time is known.
    pub(crate) times: Option<(i64, i64)>,
    /// Events by host, with the hosts' numbers, in order; those that name none are not among them.
    pub(crate) hosts: Vec<(u32, u64)>,
    /// Events by source, in the same way.
    pub(crate) sources: Vec<(u32, u64)>,
    /// By time, and those without one last.
    pub(crate) examples: Vec<Example>,
}

/// An event that has a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Example {
    pub(crate) id: EventId,
    pub(crate) time: Option<i64>,
    /// The number of the field's name.
    pub(crate) field: u32,
}

impl Example {
    fn order(&self) -> (bool, Option<i64>, EventId) {
        (self.time.is_none(), self.time, self.id)
    }
}

impl Sighting {
    /// Adds what is known from elsewhere, its numbers being those of the same names.
    pub(crate) fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.times = match (self.times, other.times) {
            (Some((first, last)), Some((its_first, its_last))) => Some((first.min(its_first), last.max(its_last))),
            (one, other) => one.or(other),
        };
        other.hosts.iter().for_each(|(host, count)| add_count(&mut self.hosts, *host, *count));
        other.sources.iter().for_each(|(source, count)| add_count(&mut self.sources, *source, *count));
        self.examples.extend_from_slice(&other.examples);
        self.examples.sort_unstable_by_key(Example::order);
        if self.examples.len() > EXAMPLES_MAX {
            let last = self.examples[self.examples.len() - 1];
            self.examples.truncate(EXAMPLES_MAX - 1);
            self.examples.push(last);
        }
    }

    /// Gives hosts, sources and fields the numbers that they have elsewhere; `None` where one is unknown there.
    pub(crate) fn renumber(&mut self, numbers: &NameNumbers) -> Option<()> {
        for (counts, numbers) in [(&mut self.hosts, &numbers.hosts), (&mut self.sources, &numbers.sources)] {
            for (number, _) in counts.iter_mut() {
                *number = *numbers.get(*number as usize)?;
            }
            counts.sort_unstable();
        }
        for example in &mut self.examples {
            example.field = *numbers.fields.get(example.field as usize)?;
        }
        Some(())
    }

    /// Writes it; times count from `base`, which is not later than any.
    pub(crate) fn put(&self, base: i64, out: &mut Vec<u8>) {
        put_number(out, self.count);
        put_time(self.times.map(|(first, _)| first), base, out);
        if let Some((first, last)) = self.times {
            put_number(out, last.wrapping_sub(first) as u64);
        }
        for counts in [&self.hosts, &self.sources] {
            put_number(out, counts.len() as u64);
            for (number, count) in counts {
                put_number(out, u64::from(*number) << 1 | u64::from(*count > 1));
                if *count > 1 {
                    put_number(out, *count);
                }
            }
        }
        put_number(out, self.examples.len() as u64);
        for example in &self.examples {
            out.extend_from_slice(example.id.as_bytes());
            put_number(out, u64::from(example.field));
            // Mostly the first time itself.
            put_time(example.time, self.times.map_or(base, |(first, _)| first), out);
        }
    }

    /// Reads one; `None` where there is none.
    pub(crate) fn take(base: i64, taker: &mut Taker<'_>) -> Option<Self> {
        let count = taker.number()?;
        let first = take_time(base, taker)?;
        let times = match first {
            Some(first) => Some((first, first.wrapping_add(taker.number()? as i64))),
            None => None,
        };
        let mut counts = || -> Option<Vec<(u32, u64)>> {
            let mut counts = Vec::new();
            for _ in 0..taker.len()? {
                let number = taker.number()?;
                let count = if number & 1 == 1 { taker.number()? } else { 1 };
                counts.push((u32::try_from(number >> 1).ok()?, count));
            }
            Some(counts)
        };
        let (hosts, sources) = (counts()?, counts()?);
        let mut examples = Vec::new();
        for _ in 0..taker.len()? {
            let id = EventId::from_bytes(taker.array()?);
            let field = u32::try_from(taker.number()?).ok()?;
            examples.push(Example { id, field, time: take_time(times.map_or(base, |(first, _)| first), taker)? });
        }
        Some(Self { count, times, hosts, sources, examples })
    }
}

/// Writes whether there is a time, and the nanoseconds since `base`.
fn put_time(time: Option<i64>, base: i64, out: &mut Vec<u8>) {
    match time.map(|time| time.wrapping_sub(base) as u64) {
        None => out.push(0),
        Some(since) => {
            out.push(1);
            put_number(out, since);
        }
    }
}

fn take_time(base: i64, taker: &mut Taker<'_>) -> Option<Option<i64>> {
    Some(match taker.byte()? {
        0 => None,
        1 => Some(base.wrapping_add(taker.number()? as i64)),
        _ => return None,
    })
}

pub(crate) fn add_count(counts: &mut Vec<(u32, u64)>, number: u32, count: u64) {
    match counts.binary_search_by_key(&number, |(number, _)| *number) {
        Ok(at) => counts[at].1 += count,
        Err(at) => counts.insert(at, (number, count)),
    }
}

/// The names that sightings refer to by number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) hosts: Texts,
    pub(crate) sources: Texts,
    pub(crate) fields: Texts,
}

/// The numbers of a file's names among those of another.
#[derive(Debug, Default)]
pub(crate) struct NameNumbers {
    hosts: Vec<u32>,
    sources: Vec<u32>,
    fields: Vec<u32>,
}

/// Texts by number, in the order in which they were added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Texts {
    texts: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u32, foldhash::fast::FixedState>,
}

impl Texts {
    /// Returns the number of a text, which is added where it is new.
    pub(crate) fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = u32::try_from(self.texts.len()).expect("there are far fewer names");
        self.texts.push(text.into());
        self.numbers.insert(text.into(), number);
        number
    }

    /// Returns the text of a number.
    pub(crate) fn text(&self, number: u32) -> Option<&str> {
        self.texts.get(number as usize).map(|text| &**text)
    }
}

impl Names {
    /// Adds the names of another file, and returns their numbers here.
    pub(crate) fn add(&mut self, other: &Self) -> NameNumbers {
        let numbers = |here: &mut Texts, there: &Texts| there.texts.iter().map(|text| here.number(text)).collect();
        NameNumbers {
            hosts: numbers(&mut self.hosts, &other.hosts),
            sources: numbers(&mut self.sources, &other.sources),
            fields: numbers(&mut self.fields, &other.fields),
        }
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        for texts in [&self.hosts, &self.sources, &self.fields] {
            put_number(out, texts.texts.len() as u64);
            texts.texts.iter().for_each(|text| put_bytes(out, text.as_bytes()));
        }
    }

    pub(crate) fn take(taker: &mut Taker<'_>) -> Option<Self> {
        let mut texts = || -> Option<Texts> {
            let mut texts = Texts::default();
            for _ in 0..taker.len()? {
                texts.number(taker.text()?);
            }
            Some(texts)
        };
        Some(Self { hosts: texts()?, sources: texts()?, fields: texts()? })
    }
}
