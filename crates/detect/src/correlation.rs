//! Sigma correlation rules (Sigma correlation rules specification 2.1): several events that mean more than each of them.
//!
//! [`CorrelationSet`] is what was compiled, [`Memory`] what is remembered. A window is `timespan` long, both ends
//! included, and lies over the time that events say they happened, in whatever order they arrive: an event that comes late
//! is put where it belongs, and every window that holds it is looked at again.
//!
//! Always: (1) an event counts in at most one firing of a correlation and group: a firing takes in the events of its
//! window and those of one more `timespan` behind it, so that a long attack fires once a `timespan` and not at each event.
//! (2) For conditions that more events can only fulfil (`gte`, `gt`, the temporal types), a group fires in every order of
//! arrival if it fires in one. (3) An event whose time is unknown, or dated past [`FUTURE_SKEW_NANOS`] after its arrival,
//! takes no part and moves nothing. (4) An event that lacks a `group-by` field has nothing in common with others and takes
//! no part. `tests/it/correlations.rs` holds each.

mod compile;
mod identity;
mod moved;
mod snapshot;
mod window;

use std::collections::{BTreeMap, HashMap};

use cresset_event::{Event, EventTime, Timestamp};

pub(crate) use compile::CorrelationSet;
use compile::{Correlation, Input};
pub(crate) use identity::Digest;
use identity::digest_of_texts;
pub use snapshot::{DropReason, Dropped, Restored, Snapshot, SnapshotError};
use window::{Entry, Group, Window};

/// How far after its arrival an event may be dated and still take part: clocks differ by minutes, not by more.
const FUTURE_SKEW_NANOS: i64 = 300 * 1_000_000_000;
/// Most groups that are remembered over all correlations; past it a tenth is shed, of those correlations that have most.
const GROUPS_MAX: usize = 100_000;
/// Most events that are remembered over all groups, about 50 MB; past it groups are shed in the same way.
const ENTRIES_TOTAL_MAX: usize = 2_000_000;
/// Longest text of a group's values together; an event with a longer one takes no part.
const GROUP_BYTES_MAX: usize = 4096;

/// What correlations remember.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    groups: HashMap<GroupKey, Group>,
    entries: usize,
    touches: u64,
    stats: CorrelationStats,
    /// Groups shed, by the title of their correlation.
    shed: BTreeMap<String, u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct GroupKey {
    correlation: usize,
    values: Vec<String>,
}

/// What correlations left out, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CorrelationStats {
    /// Events of correlated rules without a time that can be read.
    pub times_unknown: u64,
    /// Events of correlated rules dated in the future.
    pub times_future: u64,
    /// Events of correlated rules without a field to group by, or with one that is too long.
    pub ungrouped: u64,
    /// Events of correlated rules without the number or value that a correlation asks for.
    pub valueless: u64,
    /// Groups that were forgotten because there were too many.
    pub groups_shed: u64,
    /// Events that came so late that not every window with them was looked at.
    pub windows_left: u64,
    /// Events that were forgotten within their window because a group had too many.
    pub entries_shed: u64,
}

/// A correlation whose condition is fulfilled.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fired {
    /// Its place in the set.
    pub(crate) correlation: usize,
    /// The values in common: (field, value).
    pub(crate) group: Vec<(String, String)>,
    pub(crate) window: Window,
}

impl Memory {
    /// Takes in that a rule fits an event; correlations that this fulfils are added to `fired`.
    pub(crate) fn feed(&mut self, set: &CorrelationSet, rule: usize, event: &Event, fired: &mut Vec<Fired>) {
        if !set.is_correlated(rule) {
            return;
        }
        let origin = event.origin();
        match origin.time {
            EventTime::Unknown(_) => self.stats.times_unknown += 1,
            EventTime::Known(time) if time > origin.arrived.saturating_add_nanos(FUTURE_SKEW_NANOS) => {
                self.stats.times_future += 1;
            }
            EventTime::Known(time) => {
                let field = |name: &str| event.text(name).map(|text| text.into_owned());
                self.feed_input(set, Input::Rule(rule), &field, time, fired);
            }
        }
    }

    /// Returns what was left out so far.
    pub(crate) fn stats(&self) -> CorrelationStats {
        self.stats
    }

    fn feed_input(
        &mut self,
        set: &CorrelationSet,
        input: Input,
        field: &dyn Fn(&str) -> Option<String>,
        time: Timestamp,
        fired: &mut Vec<Fired>,
    ) {
        for (correlation, position) in set.fed_by(input) {
            let Some(found) = self.feed_one(set, *correlation, *position, field, time) else { continue };
            // A correlation may build on others; compiling made sure that none builds on itself.
            let group = found.group.clone();
            let of_group = |name: &str| group.iter().find(|(has, _)| has == name).map(|(_, value)| value.clone());
            let last = found.window.last;
            fired.push(found);
            self.feed_input(set, Input::Correlation(*correlation), &of_group, last, fired);
        }
    }

    fn feed_one(
        &mut self,
        set: &CorrelationSet,
        index: usize,
        position: usize,
        field: &dyn Fn(&str) -> Option<String>,
        time: Timestamp,
    ) -> Option<Fired> {
        let correlation = set.get(index);
        let Some(values) = group_values(correlation, position, field) else {
            self.stats.ungrouped += 1;
            return None;
        };
        let Some(value) = entry_value(correlation, field) else {
            self.stats.valueless += 1;
            return None;
        };
        self.make_room(set);
        self.touches += 1;
        let group = self.groups.entry(GroupKey { correlation: index, values: values.clone() }).or_default();
        group.touched = self.touches;
        let entry = Entry { time: time.as_nanos(), position, value };
        let before = group.len();
        let window = group.add(entry, correlation, &mut self.stats);
        self.entries = self.entries + group.len() - before;
        let window = window?;
        let names = correlation.group_by.iter().map(|by| by.name.clone());
        Some(Fired { correlation: index, group: names.zip(values).collect(), window })
    }

    /// Returns how many groups of each correlation were forgotten because there were too many, by title.
    pub(crate) fn shed(&self) -> &BTreeMap<String, u64> {
        &self.shed
    }

    /// Sheds a tenth at a time, so that the cost is spread.
    fn make_room(&mut self, set: &CorrelationSet) {
        if self.groups.len() >= GROUPS_MAX {
            self.shed_down_to(set, GROUPS_MAX / 10 * 9, |_| 1);
        }
        if self.entries >= ENTRIES_TOTAL_MAX {
            self.shed_down_to(set, ENTRIES_TOTAL_MAX / 10 * 9, Group::len);
        }
    }

    /// Sheds groups until all together weigh no more than this: of those correlations that take most room, and only as far as
    /// to make them alike, the groups that were not touched for longest. One that takes less than its share loses nothing.
    fn shed_down_to(&mut self, set: &CorrelationSet, room: usize, weight: impl Fn(&Group) -> usize) {
        let mut weights: HashMap<usize, Vec<(u64, usize)>> = HashMap::new();
        for (key, group) in &self.groups {
            weights.entry(key.correlation).or_default().push((group.touched, weight(group)));
        }
        let total = |of: &Vec<(u64, usize)>| of.iter().map(|(_, weight)| weight).sum::<usize>();
        let share = share(weights.values().map(total).collect(), room);
        let mut limits: HashMap<usize, u64> = HashMap::new();
        for (correlation, mut of) in weights {
            let mut over = total(&of).saturating_sub(share);
            of.sort_unstable();
            for (touched, weight) in of {
                if over == 0 {
                    break;
                }
                limits.insert(correlation, touched);
                over = over.saturating_sub(weight);
            }
        }
        for (key, _) in self
            .groups
            .extract_if(|key, group| limits.get(&key.correlation).is_some_and(|limit| group.touched <= *limit))
        {
            *self.shed.entry(set.rule(key.correlation).title.clone()).or_default() += 1;
            self.stats.groups_shed += 1;
        }
        self.entries = self.groups.values().map(Group::len).sum();
    }
}

/// Returns how much each may have at most, so that all together have no more than `room`.
fn share(mut wanted: Vec<usize>, mut room: usize) -> usize {
    wanted.sort_unstable();
    for (at, wants) in wanted.iter().enumerate() {
        let each = room / (wanted.len() - at);
        if *wants > each {
            return each;
        }
        room -= wants;
    }
    usize::MAX
}

/// Returns the values that an event is grouped by; `None` where it lacks one.
fn group_values(
    correlation: &Correlation,
    position: usize,
    field: &dyn Fn(&str) -> Option<String>,
) -> Option<Vec<String>> {
    let values: Option<Vec<String>> = correlation.group_by.iter().map(|by| field(by.field_of(position))).collect();
    values.filter(|values| values.iter().map(String::len).sum::<usize>() <= GROUP_BYTES_MAX)
}

/// Returns what a correlation keeps of an event: nothing, a digest of the values that it tells apart, or a number.
fn entry_value(correlation: &Correlation, field: &dyn Fn(&str) -> Option<String>) -> Option<f64> {
    use rsigma_parser::CorrelationType as Type;
    match correlation.kind {
        Type::EventCount | Type::Temporal | Type::TemporalOrdered => Some(0.0),
        Type::ValueCount => {
            let values: Option<Vec<String>> = correlation.fields.iter().map(|name| field(name)).collect();
            // Only told apart, never computed with: 64 bits are kept as they are.
            Some(f64::from_bits(digest_of_texts(values?.into_iter())))
        }
        Type::ValueSum | Type::ValueAvg | Type::ValuePercentile | Type::ValueMedian => {
            let number: f64 = field(correlation.fields.first()?)?.trim().parse().ok()?;
            number.is_finite().then_some(number)
        }
    }
}
