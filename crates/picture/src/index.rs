//! Which detections share a key, in the order of time.
//!
//! One ordered set for all keys: a detection is looked up next to the one before and the one after it, and that is enough.
//! Those that share a key and lie within its gap of each other are in one incident already, so that whoever is linked with
//! any of them is linked with the nearest. Where a person has taken some of them apart, the nearest is the one to go to.

use std::collections::BTreeSet;
use std::ops::RangeBounds;

use cresset_event::Timestamp;

use crate::member::{Member, Slot};
use crate::names::{Names, Sym};

/// Detections by key and time.
#[derive(Debug, Default)]
pub(crate) struct Index(BTreeSet<(Sym, Timestamp, Slot)>);

/// A detection that shares a key with another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Near {
    pub(crate) key: Sym,
    pub(crate) gap_nanos: u64,
    pub(crate) slot: Slot,
}

impl Index {
    pub(crate) fn insert(&mut self, slot: Slot, member: &Member, names: &Names) {
        self.0.extend(member.keys(names).map(|key| (key, member.time, slot)));
    }

    pub(crate) fn remove(&mut self, slot: Slot, member: &Member, names: &Names) {
        for key in member.keys(names) {
            self.0.remove(&(key, member.time, slot));
        }
    }

    /// Returns, of all that share a key with a detection within its gap, the nearest on both sides.
    pub(crate) fn near(&self, member: &Member, names: &Names) -> Vec<Near> {
        let mut near = Vec::new();
        for key in member.keys(names) {
            let Some((_, gap_max)) = names.get(key).kind.link() else { continue };
            let here = (key, member.time, Slot(u32::MAX));
            let sides = [self.range(..=here).next_back(), self.range(here..).next()];
            let of_key = sides.into_iter().flatten().filter(|(other, ..)| *other == key);
            near.extend(of_key.filter_map(|(_, time, slot)| {
                let gap_nanos = time.as_nanos().abs_diff(member.time.as_nanos());
                (gap_nanos <= gap_max).then_some(Near { key, gap_nanos, slot })
            }));
        }
        near
    }

    fn range(
        &self,
        range: impl RangeBounds<(Sym, Timestamp, Slot)>,
    ) -> impl DoubleEndedIterator<Item = (Sym, Timestamp, Slot)> {
        self.0.range(range).copied()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}
