//! From a hash to the places of the records that have it: open addressing, five bytes a slot.
//!
//! A table is made of many small ones, so that the one that grows does so in well under a millisecond. Records that are
//! alike (of one value, or of one id) share a slot, which then names a group: ten thousand indicators of one address take
//! no longer than as many of different ones.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::indicators::arena::Place;

/// Marks the number of a group.
const GROUP: u32 = 1 << 31;

/// Places by hash. Whoever asks says which records are alike.
#[derive(Debug)]
pub(crate) struct Places {
    shards: Box<[HashTable<Place>]>,
    /// Each in ascending order, of two places at least unless it is free.
    groups: Vec<Vec<Place>>,
    groups_free: Vec<u32>,
}

impl Places {
    pub(crate) fn new(shards: usize) -> Self {
        let shards = (0..shards).map(|_| HashTable::new()).collect();
        Self { shards, groups: Vec::new(), groups_free: Vec::new() }
    }

    /// Returns the places of the alike records of this hash, in ascending order.
    pub(crate) fn get(&self, hash: u64, is_alike: impl Fn(Place) -> bool) -> &[Place] {
        let slot = self.shards[self.shard(hash)].find(hash, |slot| is_alike(first(&self.groups, *slot)));
        match slot {
            None => &[],
            Some(slot) => match group(*slot) {
                None => std::slice::from_ref(slot),
                Some(group) => &self.groups[group],
            },
        }
    }

    /// Returns whether a place may be one of this hash, by the seven bits that its table has of it.
    pub(crate) fn meets(&self, hash: u64) -> bool {
        self.shards[self.shard(hash)].find(hash, |_| true).is_some()
    }

    /// Lays one of its tables out for its part of so many places in all; `hash_of` is asked for those that are in. An
    /// eighth is left to growth: a table that was laid out for a few too many would stay twice as large as it has to be.
    pub(crate) fn lay_out(&mut self, shard: usize, places: usize, hash_of: impl Fn(Place) -> u64) {
        let Self { shards, groups, .. } = self;
        let part = places / shards.len() * 7 / 8;
        let Some(shard) = shards.get_mut(shard) else { return };
        shard.reserve(part.saturating_sub(shard.len()), |slot| hash_of(first(groups, *slot)));
    }

    /// Adds a place. `hash_of` is asked for others where a table grows.
    pub(crate) fn insert(
        &mut self,
        hash: u64,
        place: Place,
        is_alike: impl Fn(Place) -> bool,
        hash_of: impl Fn(Place) -> u64,
    ) {
        let shard = self.shard(hash);
        let Self { shards, groups, groups_free } = self;
        let is_same = |slot: &Place| is_alike(first(groups, *slot));
        let mut slot = match shards[shard].entry(hash, is_same, |slot| hash_of(first(groups, *slot))) {
            Entry::Occupied(slot) => slot,
            Entry::Vacant(slot) => {
                slot.insert(place);
                return;
            }
        };
        let slot = slot.get_mut();
        if let Some(group) = group(*slot) {
            let group = &mut groups[group];
            group.insert(group.partition_point(|other| *other < place), place);
            return;
        }
        let pair = vec![place.min(*slot), place.max(*slot)];
        let number = match groups_free.pop() {
            Some(number) => {
                groups[number as usize] = pair;
                number
            }
            None => {
                groups.push(pair);
                u32::try_from(groups.len() - 1).expect("there are fewer groups than places")
            }
        };
        *slot = Place(number | GROUP);
    }

    /// Takes a place out that is in.
    pub(crate) fn remove(&mut self, hash: u64, place: Place, is_alike: impl Fn(Place) -> bool) {
        let shard = self.shard(hash);
        let Self { shards, groups, groups_free } = self;
        let Ok(mut entry) = shards[shard].find_entry(hash, |slot| is_alike(first(groups, *slot))) else { return };
        let Some(number) = group(*entry.get()) else {
            entry.remove();
            return;
        };
        let group = &mut groups[number];
        if let Ok(at) = group.binary_search(&place) {
            group.remove(at);
        }
        if let [last] = group[..] {
            groups[number] = Vec::new();
            groups_free.push(entry.get().0 & !GROUP);
            *entry.get_mut() = last;
        }
    }

    /// Returns of how many tables it is made.
    pub(crate) fn shard_count(&self) -> usize {
        self.shards.len()
    }

    /// Returns every place, table by table.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Place> {
        (0..self.shard_count()).flat_map(|shard| self.iter_shard(shard))
    }

    /// Returns every place of one of its tables.
    pub(crate) fn iter_shard(&self, shard: usize) -> impl Iterator<Item = Place> {
        self.shards[shard]
            .iter()
            .flat_map(|slot| match group(*slot) {
                None => std::slice::from_ref(slot),
                Some(group) => &self.groups[group],
            })
            .copied()
    }

    /// The tables themselves use the lowest and the topmost bits.
    fn shard(&self, hash: u64) -> usize {
        let middle = (hash >> 20) & u64::from(u32::MAX);
        ((middle * self.shards.len() as u64) >> 32) as usize
    }
}

fn group(slot: Place) -> Option<usize> {
    (slot.0 & GROUP != 0).then_some((slot.0 & !GROUP) as usize)
}

fn first(groups: &[Vec<Place>], slot: Place) -> Place {
    group(slot).map_or(slot, |group| groups[group][0])
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARDS: usize = 16;

    fn hash(place: Place) -> u64 {
        u64::from(place.0 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn filled(laid_out_for: usize, places: u32) -> Places {
        let mut table = Places::new(SHARDS);
        (0..SHARDS).for_each(|shard| table.lay_out(shard, laid_out_for, hash));
        (0..places).map(Place).for_each(|place| table.insert(hash(place), place, |other| other == place, hash));
        table
    }

    fn capacity(table: &Places) -> usize {
        table.shards.iter().map(HashTable::capacity).sum()
    }

    #[test]
    fn what_is_laid_out_holds_the_same_in_no_more_room() {
        for places in [0, 1_000, 14_000, 14_336, 15_000, 28_000] {
            let (laid_out, grown) = (filled(places as usize, places), filled(0, places));
            assert!(capacity(&laid_out) <= capacity(&grown), "{places}");
            let all =
                |table: &Places| (0..places).all(|place| table.get(hash(Place(place)), |at| at.0 == place).len() == 1);
            assert!(all(&laid_out) && all(&grown));
            assert_eq!(laid_out.iter().count(), places as usize);
        }
    }

    #[test]
    fn a_table_that_is_laid_out_late_keeps_what_is_in() {
        let mut table = filled(0, 1_000);
        (0..SHARDS + 1).for_each(|shard| table.lay_out(shard, 50_000, hash));
        assert!(capacity(&table) >= 43_750);
        assert!((0..1_000).all(|place| table.meets(hash(Place(place)))));
        assert_eq!(table.iter().count(), 1_000);
    }
}
