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
