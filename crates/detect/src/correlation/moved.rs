//! The memory of correlations under another rule set, in the same run.
//!
//! As over a restart ([`super::snapshot`]) a group belongs to the correlation of its digest, whatever place that has.

use std::collections::{HashMap, HashSet};

use super::compile::CorrelationSet;
use super::snapshot::{DropReason, Dropped};
use super::{Group, Memory};

impl Memory {
    /// Goes on under another set; returns what was remembered for correlations that are not there any more, or not the same,
    /// and is forgotten.
    pub(crate) fn move_to(&mut self, from: &CorrelationSet, to: &CorrelationSet) -> Vec<Dropped> {
        if std::ptr::eq(from, to) {
            return Vec::new();
        }
        let places: HashMap<_, usize> = to.all().iter().map(|correlation| correlation.digest).zip(0..).collect();
        let handles: HashSet<&str> = to.all().iter().map(|correlation| correlation.rule.handle()).collect();
        let mut dropped: HashMap<usize, Dropped> = HashMap::new();
        for (mut key, group) in std::mem::take(&mut self.groups) {
            let old = from.get(key.correlation);
            match places.get(&old.digest) {
                Some(place) => {
                    key.correlation = *place;
                    self.groups.insert(key, group);
                }
                None => {
                    let is_there = handles.contains(old.rule.handle());
                    let lost = dropped.entry(key.correlation).or_insert_with(|| Dropped {
                        title: old.rule.title.clone(),
                        groups: 0,
                        events: 0,
                        reason: if is_there { DropReason::Changed } else { DropReason::Gone },
                    });
                    lost.groups += 1;
                    lost.events += group.len();
                }
            }
        }
        self.entries = self.groups.values().map(Group::len).sum();
        dropped.into_values().collect()
    }
}
