//! The indicators of a run, and the finding of them in events: as many as ten million, at about sixty bytes each.
//!
//! A value is looked up in normal form: addresses by their bits and then by each length of prefix that the set has;
//! domains by each of their suffixes; everything else as a whole, in lower case. An indicator counts where it is valid at
//! the time of the event, or of its arrival where the event's time is unknown. One that looks for several values is found by
//! the rarest of them; then the event is searched for the others.
//!
//! # Layout
//!
//! Everything that is known of an indicator stands in one record of about 46 bytes (`record.rs`), in pages that never move
//! (`arena.rs`). What the indicators of a feed have in common is kept once and numbered (`shared.rs`). Two tables lead to a
//! record, by its value and by its id, each with five bytes a slot (`places.rs`): four for the place, one for seven bits of
//! a hash keyed at random, so that a value that nobody looks for costs one look into the memory. A record that is reached
//! is compared with the value itself: nothing is found by a hash alone.
//!
//! # Changes
//!
//! The set can be added to and taken from while others match: what was added is seen by the next event. All of it is under
//! one lock, which an event takes once, to read. Changes hold it for [`CHANGES_AT_ONCE`] indicators at most, and go on when
//! those who waited had their turn; each of the many small tables that a large one is made of doubles by itself. What is
//! added together is encoded and hashed before the first of it is put in (`batch.rs`).
//!
//! `tests/it/indicators.rs` compares it with a list that is looked through, under random changes, and changes it while it is
//! matched against.

mod arena;
mod batch;
mod index;
mod key;
mod places;
mod record;
mod shared;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};

use cresset_event::{Event, FieldId, Indicator, IndicatorId, Matcher, Network, RawObservable, Timestamp};

use crate::indicators::arena::Place;
use crate::indicators::index::Index;
pub(crate) use crate::indicators::index::LookUpScratch;
use crate::indicators::record::Standing;
use crate::warning_list::WarningList;

/// Most indicators that are added or taken out while events wait: some tens of microseconds.
const CHANGES_AT_ONCE: usize = 64;
/// Fewest indicators for which it is worth while to go through all tables, and most that a set is laid out for (a feed has
/// no more): 168 MB of tables, which fill as they are used.
const EXPECTED_MIN: usize = 1 << 16;
const EXPECTED_MAX: usize = 1 << 24;

/// Whether indicators that the warning list names may fire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Warnings {
    /// They are kept and do not.
    #[default]
    Apply,
    /// They may.
    Ignore,
}

/// A set of indicators that can be matched and changed at the same time.
#[derive(Debug, Default)]
pub struct IndicatorSet {
    index: RwLock<Index>,
    /// How many wait for a change to end.
    waiting: AtomicUsize,
    warnings: Option<WarningList>,
}

/// An indicator and the value that it was found by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IndicatorMatch {
    pub(crate) indicator: Arc<Indicator>,
    /// The field that held the value; `None` where the table of names was full.
    pub(crate) field: Option<FieldId>,
    pub(crate) value: String,
    /// What else it looks for, by field and value.
    pub(crate) also: Vec<(Option<FieldId>, String)>,
}

impl IndicatorSet {
    /// Returns an empty set.
    pub fn new(warnings: Warnings) -> Self {
        let warnings = (warnings == Warnings::Apply).then(WarningList::built_in);
        Self { warnings, ..Self::default() }
    }

    /// Adds an indicator; one that the warning list names is kept apart. It takes the place of an
    /// older version: the same id with the same value. `false` where there is no room: it has more than 64 KiB, or the set
    /// 4 GiB, which is about 90 million indicators.
    pub fn add(&self, indicator: Indicator) -> bool {
        self.add_all([indicator]) == 0
    }

    /// Adds many indicators as [`IndicatorSet::add`] does, and returns for how many there was no room. Events are matched
    /// meanwhile, against those that are in.
    pub fn add_all(&self, indicators: impl IntoIterator<Item = Indicator>) -> usize {
        let indicators = indicators.into_iter();
        self.expect(indicators.size_hint().0);
        let mut adder = self.adder();
        indicators.for_each(|indicator| adder.push(indicator));
        adder.finish()
    }

    /// Returns what adds indicators one by one as [`IndicatorSet::add_all`] does: for those that do not come as an iterator.
    pub fn adder(&self) -> Adder<'_> {
        Adder { set: self, some: Vec::new(), left_out: 0 }
    }

    /// Lays an empty set out for about as many indicators as are to come: they are then added in half the time, and take no
    /// more memory. A set that has some already grows as it must, for those to come may be in it.
    pub fn expect(&self, indicators: usize) {
        if indicators < EXPECTED_MIN || !self.is_empty() {
            return;
        }
        let steps = self.read().lay_out_steps();
        (0..steps).for_each(|step| self.change(|index| index.lay_out(step, indicators.min(EXPECTED_MAX))));
    }

    /// Takes every indicator of this id out, and returns how many there were.
    pub fn remove(&self, id: &IndicatorId) -> usize {
        let mut removed = 0;
        loop {
            let some = self.change(|index| index.remove(id, CHANGES_AT_ONCE));
            removed += some;
            if some < CHANGES_AT_ONCE {
                return removed;
            }
        }
    }

    /// Takes every indicator out whose validity is over at `now`, and returns how many there were. They did not fire on
    /// events from then on anyway; now they do not on earlier ones either, which may still come.
    pub fn expire(&self, now: Timestamp) -> usize {
        let steps = self.read().expire_steps();
        (0..steps).map(|step| self.change(|index| index.expire(step, now))).sum()
    }

    /// Returns how many indicators can fire.
    pub fn len(&self) -> usize {
        self.read().len()
    }

    /// Returns whether none can.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the indicators that the warning list holds back, with the reasons, by value and id.
    pub fn held_back(&self) -> Vec<(Arc<Indicator>, String)> {
        let mut held: Vec<Indicator> = self.read().held_back().collect();
        held.sort_unstable_by(|a, b| (&a.matcher, &a.id).cmp(&(&b.matcher, &b.id)));
        let reason = |held: &Indicator| self.reason(&held.matcher).unwrap_or_default().to_owned();
        held.into_iter().map(|held| (reason(&held), held)).map(|(reason, held)| (Arc::new(held), reason)).collect()
    }

    fn reason(&self, matcher: &Matcher) -> Option<&str> {
        self.warnings.as_ref()?.reason(matcher)
    }

    fn standing(&self, matcher: &Matcher) -> Standing {
        self.reason(matcher).map_or(Standing::Fires, |_| Standing::HeldBack)
    }

    /// Adds to `found` every indicator that an observable of the event fulfils, each once for each value.
    pub(crate) fn matches(&self, event: &Event, scratch: &mut LookUpScratch, found: &mut Vec<IndicatorMatch>) {
        let index = self.read();
        if index.len() == 0 {
            return;
        }
        let moment = event.origin().time.known().unwrap_or(event.origin().arrived);
        event.visit_raw_observables(index.wanted(), |observable| {
            let mut hit = Hit { index: &index, event, observable, moment, found, value: None };
            index.look_up(&observable, scratch, |places| {
                if !self.is_warned(&observable) {
                    hit.take(places);
                }
            });
        });
    }

    /// Whether an address is on the warning list itself: a range around it must not fire on it either.
    fn is_warned(&self, observable: &RawObservable<'_>) -> bool {
        let (Some(list), Some(address)) = (&self.warnings, observable.address) else { return false };
        list.reason(&Matcher::Address(Network::of(address, u8::MAX))).is_some()
    }

    fn read(&self) -> RwLockReadGuard<'_, Index> {
        match self.index.try_read() {
            Ok(index) => index,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                self.waiting.fetch_add(1, Ordering::SeqCst);
                let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
                self.waiting.fetch_sub(1, Ordering::SeqCst);
                index
            }
        }
    }

    /// Changes the set, and then lets those match who waited: a lock alone would give itself to the next change.
    fn change<T>(&self, change: impl FnOnce(&mut Index) -> T) -> T {
        let mut index: RwLockWriteGuard<'_, Index> = self.index.write().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut index);
        drop(index);
        while self.waiting.load(Ordering::SeqCst) > 0 {
            std::thread::yield_now();
        }
        changed
    }
}

/// Adds indicators to a set, as many at once as events may wait for.
#[derive(Debug)]
#[must_use = "`finish` adds the last"]
pub struct Adder<'s> {
    set: &'s IndicatorSet,
    some: Vec<(Indicator, Standing)>,
    left_out: usize,
}

impl Adder<'_> {
    /// Adds an indicator, now or with those that come next.
    pub fn push(&mut self, indicator: Indicator) {
        let standing = self.set.standing(&indicator.matcher);
        self.some.push((indicator, standing));
        if self.some.len() == CHANGES_AT_ONCE {
            self.add_some();
        }
    }

    /// Adds what is left, and returns for how many there was no room.
    pub fn finish(mut self) -> usize {
        self.add_some();
        self.left_out
    }

    fn add_some(&mut self) {
        let Self { set, some, left_out } = self;
        *left_out += set.change(|index| index.add(some));
        some.clear();
    }
}

/// An observable that some indicators look for, one or another way.
struct Hit<'h, 'e> {
    index: &'h Index,
    event: &'e Event,
    observable: RawObservable<'e>,
    moment: Timestamp,
    found: &'h mut Vec<IndicatorMatch>,
    /// The value in normal form, and whether it came before in the event, with all its indicators; once that is known.
    value: Option<(String, bool)>,
}

impl Hit<'_, '_> {
    /// Takes the indicators of one value that count, in the order of their ids.
    fn take(&mut self, places: &[Place]) {
        let counting = places.iter().copied().filter(|place| self.index.holds_at(*place, self.moment));
        let whole = counting.filter_map(|place| {
            let also = self.index.also(place, self.event)?;
            Some((self.index.indicator_at(place), also))
        });
        let mut indicators: Vec<(Indicator, Vec<RawObservable<'_>>)> = whole.collect();
        indicators.sort_by(|(a, _), (b, _)| (&a.id, &a.also).cmp(&(&b.id, &b.also)));
        let Some((first, _)) = indicators.first() else { return };
        let (value, came_before) = self.value.get_or_insert_with(|| {
            let value = self.observable.normal().value.into_owned();
            let is_known = |has: &IndicatorMatch| has.value == value && *has.indicator == *first;
            let came_before = self.found.iter().any(is_known);
            (value, came_before)
        });
        if !*came_before {
            let normal = |also: RawObservable<'_>| (also.field, also.normal().value.into_owned());
            self.found.extend(indicators.into_iter().map(|(indicator, also)| IndicatorMatch {
                indicator: Arc::new(indicator),
                field: self.observable.field,
                value: value.clone(),
                also: also.into_iter().map(normal).collect(),
            }));
        }
    }
}
