//! What is known of a value: how often, when, on which hosts, from which sources and in which events it was seen.
//!
//! Two sightings of one value are put together in any order with the same result. Of the events three are kept: the first,
//! the last, and of those between the one of the smallest id, which is as good as drawn by lot, for ids are digests. Which
//! three they are depends on nothing but the events: what was between the ends of a part and is no longer, and what was at
//! its ends and is now between, are all that the choice is among (`any_order_is_the_same`).

use cresset_event::EventId;

use crate::wire::{Taker, put_number};

/// Most events that are kept of a value.
pub(crate) const EXAMPLES_MAX: usize = 3;

/// There is a last event beside the first.
const HAS_LAST: u8 = 1;
/// There is one between.
const HAS_BETWEEN: u8 = 1 << 1;
/// Some event has a known time.
const HAS_TIMES: u8 = 1 << 2;
/// One host has seen all.
const ONE_HOST: u8 = 1 << 3;
/// All is from one source.
const ONE_SOURCE: u8 = 1 << 4;
/// The first time is the last.
const ONE_TIME: u8 = 1 << 5;
/// The event between has a known time.
const BETWEEN_HAS_TIME: u8 = 1 << 6;
/// Never set.
const RESERVED: u8 = 1 << 7;

/// What is known of a value. The numbers are those of the names of its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sighting {
    /// How many events have the value.
    pub(crate) count: u64,
    /// The earliest and the latest known time of them, in nanoseconds since 1970.
    pub(crate) times: Option<(i64, i64)>,
    /// How many are of each host, by its number; of some the host is not known.
    pub(crate) hosts: Vec<(u32, u64)>,
    /// How many are from each source, by its number.
    pub(crate) sources: Vec<(u32, u64)>,
    /// The first, one between and the last.
    pub(crate) examples: Vec<Example>,
}

/// An event that has the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Example {
    pub(crate) id: EventId,
    /// The number of the field that the value was read from.
    pub(crate) field: u32,
    /// Nanoseconds since 1970, where that is known.
    pub(crate) time: Option<i64>,
}

/// The new numbers of names, by the old.
#[derive(Debug, Clone, Default)]
pub(crate) struct Renumbering {
    pub(crate) hosts: Vec<u32>,
    pub(crate) sources: Vec<u32>,
    pub(crate) fields: Vec<u32>,
}

impl Sighting {
    /// Adds what another file knows of the same value, in the same numbers.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.times = match (self.times, other.times) {
            (Some((first, last)), Some((its_first, its_last))) => Some((first.min(its_first), last.max(its_last))),
            (times, its_times) => times.or(its_times),
        };
        self.hosts = sum(&self.hosts, &other.hosts);
        self.sources = sum(&self.sources, &other.sources);
        self.examples.extend(other.examples);
        let kept = choose(&mut self.examples);
        self.examples.truncate(kept);
    }

    /// Gives all names new numbers; `None` where one has none.
    pub(crate) fn renumber(&mut self, to: &Renumbering) -> Option<()> {
        let new = |numbers: &[u32], old: u32| numbers.get(old as usize).copied();
        for (counts, numbers) in [(&mut self.hosts, &to.hosts), (&mut self.sources, &to.sources)] {
            for (number, _) in &mut *counts {
                *number = new(numbers, *number)?;
            }
            counts.sort_unstable();
        }
        for example in &mut self.examples {
            example.field = new(&to.fields, example.field)?;
        }
        Some(())
    }

    /// Adds the bytes that it is stored as; times are told from `base`, which is no later than any.
    pub(crate) fn encode(&self, base: i64, out: &mut Vec<u8>) {
        let flags = self.flags();
        out.push(flags);
        put_number(out, self.count);
        if let Some((first, last)) = self.times {
            put_number(out, since(base, first));
            if first != last {
                put_number(out, since(first, last));
            }
        }
        encode_counts(&self.hosts, flags & ONE_HOST != 0, out);
        encode_counts(&self.sources, flags & ONE_SOURCE != 0, out);
        for (at, example) in self.examples.iter().enumerate() {
            out.extend_from_slice(example.id.as_bytes());
            put_number(out, example.field.into());
            if let (1, Some((first, _)), Some(time)) = (at, self.times, example.time)
                && flags & BETWEEN_HAS_TIME != 0
            {
                put_number(out, since(first, time));
            }
        }
    }

    fn flags(&self) -> u8 {
        let [example, rest @ ..] = self.examples.as_slice() else { unreachable!("a value was seen in some event") };
        // Where one time alone is known, its event is both the first and the last.
        let has_last = rest.last().is_some_and(|last| last.time.is_some() == example.time.is_some());
        let between = rest.first().filter(|_| rest.len() > usize::from(has_last));
        let flag = |holds: bool, flag: u8| if holds { flag } else { 0 };
        flag(has_last, HAS_LAST)
            | flag(between.is_some(), HAS_BETWEEN)
            | flag(self.times.is_some(), HAS_TIMES)
            | flag(matches!(*self.hosts, [(_, count)] if count == self.count), ONE_HOST)
            | flag(matches!(*self.sources, [(_, count)] if count == self.count), ONE_SOURCE)
            | flag(self.times.is_some_and(|(first, last)| first == last), ONE_TIME)
            | flag(between.is_some_and(|between| between.time.is_some()), BETWEEN_HAS_TIME)
    }

    /// Reads what [`Sighting::encode`] wrote; `None` where it cannot have.
    pub(crate) fn decode(bytes: &[u8], base: i64) -> Option<Self> {
        let mut reader = Taker::new(bytes);
        let flags = reader.byte()?;
        let count = reader.number().filter(|count| *count > 0 && flags & RESERVED == 0)?;
        let mut times = None;
        if flags & HAS_TIMES != 0 {
            let first = after(base, reader.number()?)?;
            let last = if flags & ONE_TIME == 0 { after(first, reader.number()?)? } else { first };
            times = Some((first, last));
        }
        let (first, last) = times.unzip();
        let hosts = decode_counts(&mut reader, count, flags & ONE_HOST != 0)?;
        let sources = decode_counts(&mut reader, count, flags & ONE_SOURCE != 0)?;
        let mut examples = vec![decode_example(&mut reader, first)?];
        if flags & HAS_BETWEEN != 0 {
            let mut between = decode_example(&mut reader, None)?;
            if flags & BETWEEN_HAS_TIME != 0 {
                between.time = Some(after(first?, reader.number()?)?);
            }
            examples.push(between);
        }
        if flags & HAS_LAST != 0 {
            examples.push(decode_example(&mut reader, last)?);
        }
        reader.is_empty().then_some(Self { count, times, hosts, sources, examples })
    }
}

/// Brings the events to the front that are kept, the first, one between and the last, and returns how many they are. An
/// event whose time is not known is between those whose time is.
pub(crate) fn choose(all: &mut [Example]) -> usize {
    let Some(first) = (0..all.len()).min_by_key(|at| (all[*at].time.is_none(), all[*at].time, all[*at].id)) else {
        return 0;
    };
    all.swap(0, first);
    let last = (0..all.len()).max_by_key(|at| (all[*at].time, all[*at].id)).unwrap_or(0);
    let mut between_end = all.len();
    if last > 0 {
        between_end -= 1;
        all.swap(last, between_end);
    }
    let Some(between) = (1..between_end).min_by_key(|at| all[*at].id) else { return all.len() };
    all.swap(1, between);
    if last == 0 {
        return 2;
    }
    all.swap(2, between_end);
    EXAMPLES_MAX
}

/// Returns the sums of counts that are in the order of their numbers.
fn sum(a: &[(u32, u64)], b: &[(u32, u64)]) -> Vec<(u32, u64)> {
    let (mut a, mut b) = (a.iter().copied().peekable(), b.iter().copied().peekable());
    let mut sums = Vec::with_capacity(a.len() + b.len());
    loop {
        let next = match (a.peek(), b.peek()) {
            (Some(x), Some(y)) if x.0 == y.0 => {
                let (number, count) = *x;
                let both = (number, count.saturating_add(y.1));
                a.next();
                b.next();
                Some(both)
            }
            (Some(x), Some(y)) if x.0 < y.0 => a.next(),
            (Some(_), None) => a.next(),
            _ => b.next(),
        };
        match next {
            Some(next) => sums.push(next),
            None => return sums,
        }
    }
}

fn encode_counts(counts: &[(u32, u64)], is_one_for_all: bool, out: &mut Vec<u8>) {
    if is_one_for_all {
        return put_number(out, counts[0].0.into());
    }
    put_number(out, counts.len() as u64);
    let mut before = 0;
    for (number, count) in counts {
        put_number(out, u64::from(number - before));
        put_number(out, *count);
        before = *number;
    }
}

fn decode_counts(reader: &mut Taker<'_>, all: u64, is_one_for_all: bool) -> Option<Vec<(u32, u64)>> {
    if is_one_for_all {
        return Some(vec![(take_u32(reader)?, all)]);
    }
    let len = reader.number()?;
    // Each takes two bytes and more.
    let mut counts = Vec::with_capacity(usize::try_from(len).ok()?.min(reader.len_left() / 2));
    let mut number = 0_u32;
    for at in 0..len {
        let step = take_u32(reader).filter(|step| *step > 0 || at == 0)?;
        number = number.checked_add(step)?;
        counts.push((number, reader.number()?));
    }
    Some(counts)
}

fn take_u32(reader: &mut Taker<'_>) -> Option<u32> {
    reader.number().and_then(|number| u32::try_from(number).ok())
}

fn decode_example(reader: &mut Taker<'_>, time: Option<i64>) -> Option<Example> {
    Some(Example { id: EventId::from_bytes(reader.array()?), field: take_u32(reader)?, time })
}

/// How many nanoseconds lie between; all that 64 bits of them hold have room.
fn since(base: i64, time: i64) -> u64 {
    time.wrapping_sub(base) as u64
}

fn after(base: i64, nanos: u64) -> Option<i64> {
    base.checked_add_unsigned(nanos)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(id: u8, time: Option<i64>, host: Option<u32>, source: u32) -> Sighting {
        Sighting {
            count: 1,
            times: time.map(|time| (time, time)),
            hosts: host.map(|host| (host, 1)).into_iter().collect(),
            sources: vec![(source, 1)],
            examples: vec![Example { id: EventId::from_bytes([id; 16]), field: id.into(), time }],
        }
    }

    fn put_together(parts: impl IntoIterator<Item = Sighting>) -> Sighting {
        let together = parts.into_iter().reduce(|mut all, part| {
            all.absorb(part);
            all
        });
        together.expect("there are some")
    }

    type Part = (Option<i64>, Option<u32>, u32);

    fn any_parts() -> impl Strategy<Value = Vec<Part>> {
        let time = prop_oneof![Just(None), (0_i64..6).prop_map(Some), Just(Some(i64::MAX)), Just(Some(i64::MIN))];
        proptest::collection::vec((time, proptest::option::of(0_u32..300), 0_u32..3), 1..12)
    }

    fn all_of(parts: &[Part]) -> Vec<Sighting> {
        let one_of = |(id, (time, host, source)): (usize, &Part)| one(id as u8, *time, *host, *source);
        parts.iter().enumerate().map(one_of).collect()
    }

    proptest! {
        #[test]
        fn any_order_is_the_same(parts in any_parts(), order in Just((0..12).collect::<Vec<usize>>()).prop_shuffle(), cut in 0_usize..12) {
            let all = all_of(&parts);
            let in_order = put_together(all.clone());
            let mut shuffled: Vec<Sighting> = order.iter().filter_map(|at| all.get(*at).cloned()).collect();
            prop_assert_eq!(&put_together(shuffled.clone()), &in_order);
            let rest = shuffled.split_off(cut.min(shuffled.len()));
            let halves = [shuffled, rest].into_iter().filter(|half| !half.is_empty()).map(put_together);
            prop_assert_eq!(&put_together(halves), &in_order);
        }

        #[test]
        fn it_comes_back_as_it_went_in(parts in any_parts()) {
            let all = put_together(all_of(&parts));
            let base = all.times.map_or(0, |(first, _)| first);
            let mut bytes = Vec::new();
            all.encode(base, &mut bytes);
            prop_assert_eq!(Sighting::decode(&bytes, base), Some(all));
            (0..bytes.len()).for_each(|len| assert_eq!(Sighting::decode(&bytes[..len], base), None));
        }

        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            Sighting::decode(&bytes, 0);
        }
    }

    #[test]
    fn the_first_the_last_and_one_between_are_kept() {
        let all = (0..9).map(|id| one(9 - id, (id != 4).then_some(id.into()), Some(7), 1));
        let all = put_together(all);
        let ids: Vec<u8> = all.examples.iter().map(|example| example.id.as_bytes()[0]).collect();
        assert_eq!((ids, all.count, all.hosts), (vec![9, 2, 1], 9, vec![(7, 9)]));
    }
}
