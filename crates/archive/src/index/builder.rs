//! Making a file of events, in memory.
//!
//! Most values are seen once. Such a value takes its key, 64 bytes, and a slot of eight in the table that leads to it: 32
//! bits of a hash keyed at random, and the number of the entry. What is seen again has its counts elsewhere.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};

use cresset_event::{EventId, Timestamp};

use crate::index::names::{Interner, Names};
use crate::index::sighting::{EXAMPLES_MAX, Example, Renumbering, Sighting, choose};
use crate::index::writer::FileWriter;

/// Bytes of keys that lie together.
const PAGE_BYTES: usize = 1 << 20;
/// Most counts in a list that is looked through; more are in a map.
const FEW_MAX: usize = 16;
/// Stands for a number that is not there.
const NONE: u32 = u32::MAX;

/// Collects what is known of values.
#[derive(Debug, Default)]
pub(crate) struct IndexBuilder {
    names: Interners,
    pages: Vec<Vec<u8>>,
    entries: Vec<Entry>,
    repeats: Vec<Repeat>,
    /// In the upper half of each slot bits of a hash, in the lower the number of an entry and one; 0 where there is none.
    table: Vec<u64>,
    hasher: foldhash::fast::RandomState,
    times: Option<(i64, i64)>,
}

#[derive(Debug, Default)]
struct Interners {
    hosts: Interner,
    sources: Interner,
    fields: Interner,
}

/// An event that has a value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'s> {
    pub(crate) id: EventId,
    pub(crate) time: Option<Timestamp>,
    /// The field that has it.
    pub(crate) field: &'s str,
    pub(crate) host: Option<&'s str>,
    pub(crate) source: &'s str,
}

/// A value, and the first event that came with it.
#[derive(Debug)]
struct Entry {
    page: u32,
    start: u32,
    len: u32,
    /// Where what came later is.
    repeat: u32,
    one: One,
}

/// An event, with the numbers of its names.
#[derive(Debug, Clone, Copy)]
struct One {
    example: Example,
    /// [`NONE`] where it is not known.
    host: u32,
    source: u32,
}

/// What is known of a value that came more than once.
#[derive(Debug)]
struct Repeat {
    count: u64,
    times: Option<(i64, i64)>,
    hosts: Counts,
    sources: Counts,
    /// Room for one more than are kept.
    examples: [Example; EXAMPLES_MAX + 1],
    kept: usize,
}

/// How many events there are by a number.
#[derive(Debug)]
enum Counts {
    One(u32, u64),
    Few(Vec<(u32, u64)>),
    Many(HashMap<u32, u64, foldhash::fast::RandomState>),
}

impl IndexBuilder {
    /// Returns a builder that has seen nothing.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a value of an event; at most once for each value of an event.
    pub(crate) fn add(&mut self, key: &[u8], seen: Seen<'_>) {
        let time = seen.time.map(Timestamp::as_nanos);
        self.times = with_time(self.times, time);
        let one = One {
            example: Example { id: seen.id, field: self.names.fields.number(seen.field), time },
            host: seen.host.map_or(NONE, |host| self.names.hosts.number(host)),
            source: self.names.sources.number(seen.source),
        };
        let Some(at) = self.find_or_insert(key, one) else { return };
        let entry = &mut self.entries[at];
        if entry.repeat == NONE {
            entry.repeat = u32::try_from(self.repeats.len()).expect("there are no more than entries");
            self.repeats.push(Repeat::new(&entry.one));
        }
        self.repeats[entry.repeat as usize].add(&one);
    }

    /// Returns the number of the entry of a key; `None` where it was not there, and is now.
    fn find_or_insert(&mut self, key: &[u8], one: One) -> Option<usize> {
        if self.entries.len() * 3 >= self.table.len() * 2 {
            self.grow();
        }
        let bits = {
            let mut hasher = self.hasher.build_hasher();
            hasher.write(key);
            (hasher.finish() >> 32) as u32
        };
        let mask = self.table.len() - 1;
        let mut slot = bits as usize & mask;
        while self.table[slot] != 0 {
            let (its_bits, number) = ((self.table[slot] >> 32) as u32, (self.table[slot] as u32 - 1) as usize);
            if its_bits == bits && self.key(&self.entries[number]) == key {
                return Some(number);
            }
            slot = (slot + 1) & mask;
        }
        self.table[slot] = u64::from(bits) << 32 | (self.entries.len() as u64 + 1);
        self.insert(key, one);
        None
    }

    fn insert(&mut self, key: &[u8], one: One) {
        assert!(self.entries.len() < NONE as usize - 1, "a file is made of fewer than four billion values");
        if self.pages.last().is_none_or(|page| page.capacity() - page.len() < key.len()) {
            self.pages.push(Vec::with_capacity(PAGE_BYTES.max(key.len())));
        }
        let number = self.pages.len() - 1;
        let page = &mut self.pages[number];
        let entry = Entry { page: number as u32, start: page.len() as u32, len: key.len() as u32, repeat: NONE, one };
        page.extend_from_slice(key);
        self.entries.push(entry);
    }

    /// Makes the table twice as large. The bits in the slots tell where they go.
    fn grow(&mut self) {
        let len = (self.table.len() * 2).max(1 << 10);
        let old = std::mem::replace(&mut self.table, vec![0; len]);
        for held in old.into_iter().filter(|held| *held != 0) {
            let mut slot = (held >> 32) as usize & (len - 1);
            while self.table[slot] != 0 {
                slot = (slot + 1) & (len - 1);
            }
            self.table[slot] = held;
        }
    }

    fn key(&self, entry: &Entry) -> &[u8] {
        let start = entry.start as usize;
        &self.pages[entry.page as usize][start..start + entry.len as usize]
    }

    /// Returns the file's bytes.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.table = Vec::new();
        let order = self.order();
        let (hosts, host_numbers) = std::mem::take(&mut self.names.hosts).into_sorted();
        let (sources, source_numbers) = std::mem::take(&mut self.names.sources).into_sorted();
        let (fields, field_numbers) = std::mem::take(&mut self.names.fields).into_sorted();
        let to = Renumbering { hosts: host_numbers, sources: source_numbers, fields: field_numbers };
        let mut writer = FileWriter::new(Vec::new(), order.len() as u64, self.times);
        let written = order.iter().try_for_each(|number| {
            let entry = &self.entries[*number as usize];
            let mut sighting = match self.repeats.get_mut(entry.repeat as usize) {
                Some(repeat) => repeat.take_sighting(),
                None => entry.one.sighting(),
            };
            sighting.renumber(&to).expect("every name has a number");
            writer.push(self.key(entry), &sighting)
        });
        let names = Names { hosts, sources, fields };
        written.and_then(|()| writer.finish(&names)).expect("memory takes what is written")
    }

    /// Returns the numbers of the entries in the order of their keys. Most comparisons are of the first eight bytes, which
    /// lie where the sort is.
    fn order(&self) -> Vec<u32> {
        let head = |key: &[u8]| {
            let mut head = [0; 8];
            let len = key.len().min(8);
            head[..len].copy_from_slice(&key[..len]);
            u64::from_be_bytes(head)
        };
        let numbered = self.entries.iter().zip(0_u32..);
        let mut order: Vec<(u64, u32)> = numbered.map(|(entry, number)| (head(self.key(entry)), number)).collect();
        let key = |number: u32| self.key(&self.entries[number as usize]);
        order.sort_unstable_by(|(one_head, one), (other_head, other)| {
            one_head.cmp(other_head).then_with(|| key(*one).cmp(key(*other)))
        });
        order.into_iter().map(|(_, number)| number).collect()
    }
}

impl One {
    fn sighting(&self) -> Sighting {
        Sighting {
            count: 1,
            times: with_time(None, self.example.time),
            hosts: if self.host == NONE { Vec::new() } else { vec![(self.host, 1)] },
            sources: vec![(self.source, 1)],
            examples: vec![self.example],
        }
    }
}

impl Repeat {
    fn new(one: &One) -> Self {
        Self {
            count: 1,
            times: with_time(None, one.example.time),
            hosts: if one.host == NONE { Counts::Few(Vec::new()) } else { Counts::One(one.host, 1) },
            sources: Counts::One(one.source, 1),
            examples: [one.example; EXAMPLES_MAX + 1],
            kept: 1,
        }
    }

    fn add(&mut self, one: &One) {
        self.count += 1;
        self.times = with_time(self.times, one.example.time);
        if one.host != NONE {
            self.hosts.add(one.host);
        }
        self.sources.add(one.source);
        self.examples[self.kept] = one.example;
        self.kept = choose(&mut self.examples[..=self.kept]);
    }

    fn take_sighting(&mut self) -> Sighting {
        Sighting {
            count: self.count,
            times: self.times,
            hosts: self.hosts.take_list(),
            sources: self.sources.take_list(),
            examples: self.examples[..self.kept].to_vec(),
        }
    }
}

impl Counts {
    fn add(&mut self, number: u32) {
        match self {
            Self::One(only, count) if *only == number => *count += 1,
            Self::One(only, count) => *self = Self::Few(vec![(*only, *count), (number, 1)]),
            Self::Few(counts) => match counts.iter().position(|(known, _)| *known == number) {
                Some(at) => counts[at].1 += 1,
                None if counts.len() < FEW_MAX => counts.push((number, 1)),
                None => *self = Self::Many(counts.drain(..).chain([(number, 1)]).collect()),
            },
            Self::Many(counts) => *counts.entry(number).or_default() += 1,
        }
    }

    /// Takes the counts, in no order.
    fn take_list(&mut self) -> Vec<(u32, u64)> {
        match std::mem::replace(self, Self::Few(Vec::new())) {
            Self::One(number, count) => vec![(number, count)],
            Self::Few(counts) => counts,
            Self::Many(counts) => counts.into_iter().collect(),
        }
    }
}

fn with_time(times: Option<(i64, i64)>, time: Option<i64>) -> Option<(i64, i64)> {
    let Some(time) = time else { return times };
    let (first, last) = times.unwrap_or((time, time));
    Some((first.min(time), last.max(time)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_takes_a_line_of_the_cache() {
        assert!(size_of::<Entry>() <= 64, "{}", size_of::<Entry>());
    }

    #[test]
    fn counts_are_the_same_in_a_list_and_in_a_map() {
        for numbers in [1_u32, 2, 16, 17, 100] {
            let mut counts = Counts::One(0, 1);
            (1..numbers * 3).for_each(|at| counts.add(at % numbers));
            let mut list = counts.take_list();
            list.sort_unstable();
            assert_eq!(list, (0..numbers).map(|number| (number, 3)).collect::<Vec<_>>());
        }
    }
}
