//! The indicators of a run, and the finding of them in events.
//!
//! A value is looked up in normal form: addresses by their bits and then by each length of prefix that the set has;
//! domains by each of their suffixes; everything else as a whole, in lower case. The set can be added to and taken from
//! while others match: what was added is seen by the next event.
//!
//! An indicator counts where it is valid at the time of the event, or of its arrival where the event's time is unknown.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use cresset_event::{Event, FieldId, Indicator, Matcher, Network, Observable, ObservableKind};

use crate::warning_list::WarningList;

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
    warnings: Option<WarningList>,
}

/// An indicator and the value that it was found by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IndicatorMatch {
    pub(crate) indicator: Arc<Indicator>,
    /// The field that held the value; `None` where the table of names was full.
    pub(crate) field: Option<FieldId>,
    pub(crate) value: String,
}

#[derive(Debug, Default)]
struct Index {
    by_value: HashMap<Matcher, BTreeSet<ById>>,
    /// Each value of each id, firing or held back: an indicator as it was first added, whatever its version is by now.
    by_id: HashMap<ById, Vec<Arc<Indicator>>>,
    /// How many ranges there are of each length of prefix: (is IPv4, bits).
    prefixes: BTreeMap<(bool, u8), usize>,
    /// How many indicators there are of each kind; addresses count as both.
    kinds: BTreeMap<ObservableKind, usize>,
    held_back: BTreeMap<Matcher, BTreeSet<ById>>,
    len: usize,
}

/// An indicator that is found, compared and ordered by its id alone.
#[derive(Debug, Clone)]
struct ById(Arc<Indicator>);

impl Borrow<str> for ById {
    fn borrow(&self) -> &str {
        &self.0.id
    }
}

impl PartialEq for ById {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for ById {}

impl PartialOrd for ById {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ById {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.id.cmp(&other.0.id)
    }
}

impl Hash for ById {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.id.hash(state);
    }
}

impl IndicatorSet {
    /// Returns an empty set.
    pub fn new(warnings: Warnings) -> Self {
        let warnings = (warnings == Warnings::Apply).then(WarningList::built_in);
        Self { index: RwLock::default(), warnings }
    }

    /// Adds an indicator; one that the warning list names is kept apart. It takes the place of an
    /// older version: the same id with the same value.
    pub fn add(&self, indicator: Indicator) {
        self.add_all([indicator]);
    }

    /// Adds many indicators as [`IndicatorSet::add`] does; events wait until the last is in.
    pub fn add_all(&self, indicators: impl IntoIterator<Item = Indicator>) {
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        for indicator in indicators {
            match self.reason(&indicator.matcher) {
                Some(_) => index.hold_back(Arc::new(indicator)),
                None => index.add(Arc::new(indicator)),
            }
        }
    }

    /// Takes every indicator of this id out, and returns how many there were.
    pub fn remove(&self, id: &str) -> usize {
        self.index.write().unwrap_or_else(PoisonError::into_inner).remove(id)
    }

    /// Returns how many indicators can fire.
    pub fn len(&self) -> usize {
        self.index.read().unwrap_or_else(PoisonError::into_inner).len
    }

    /// Returns whether none can.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the indicators that the warning list holds back, with the reasons, by value and id.
    pub fn held_back(&self) -> Vec<(Arc<Indicator>, String)> {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        let all = index.held_back.values().flatten();
        all.map(|ById(held)| (Arc::clone(held), self.reason(&held.matcher).unwrap_or_default().to_owned())).collect()
    }

    fn reason(&self, matcher: &Matcher) -> Option<&str> {
        self.warnings.as_ref()?.reason(matcher)
    }

    /// Adds to `found` every indicator that an observable of the event fulfils, each once for each value.
    pub(crate) fn matches(&self, event: &Event, found: &mut Vec<IndicatorMatch>) {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        if index.len == 0 {
            return;
        }
        let moment = event.origin().time.known().unwrap_or(event.origin().arrived);
        event.visit_observables(|observable| {
            if !index.kinds.contains_key(&observable.kind) || self.is_warned(&observable) {
                return;
            }
            // A value that comes again has all its indicators in `found`, or none: the first of them tells.
            let mut came_before = None;
            index.look_up(&observable, |indicator| {
                if !indicator.validity.holds_at(moment) {
                    return;
                }
                let is_found =
                    |has: &IndicatorMatch| Arc::ptr_eq(&has.indicator, indicator) && has.value == observable.value;
                if !*came_before.get_or_insert_with(|| found.iter().any(is_found)) {
                    let value = observable.value.clone().into_owned();
                    found.push(IndicatorMatch { indicator: Arc::clone(indicator), field: observable.field, value });
                }
            });
        });
    }

    /// Whether an address is on the warning list itself: a range around it must not fire on it either.
    fn is_warned(&self, observable: &Observable<'_>) -> bool {
        let Some(list) = &self.warnings else { return false };
        let is_address = matches!(observable.kind, ObservableKind::Ipv4 | ObservableKind::Ipv6);
        is_address
            && Network::parse(&observable.value)
                .is_some_and(|network| list.reason(&Matcher::Address(network)).is_some())
    }
}

impl Index {
    fn add(&mut self, indicator: Arc<Indicator>) {
        let same = self.by_value.entry(indicator.matcher.clone()).or_default();
        if same.replace(ById(Arc::clone(&indicator))).is_some() {
            return;
        }
        if let Matcher::Address(network) = indicator.matcher {
            *self.prefixes.entry((network.address.is_ipv4(), network.prefix_bits)).or_default() += 1;
        }
        *self.kinds.entry(indicator.matcher.kind()).or_default() += 1;
        self.len += 1;
        self.note_id(indicator);
    }

    fn hold_back(&mut self, indicator: Arc<Indicator>) {
        let same = self.held_back.entry(indicator.matcher.clone()).or_default();
        if same.replace(ById(Arc::clone(&indicator))).is_none() {
            self.note_id(indicator);
        }
    }

    fn note_id(&mut self, indicator: Arc<Indicator>) {
        self.by_id.entry(ById(Arc::clone(&indicator))).or_default().push(indicator);
    }

    fn remove(&mut self, id: &str) -> usize {
        let removed = self.by_id.remove(id).unwrap_or_default();
        for indicator in &removed {
            if !self.remove_held_back(indicator) {
                self.remove_firing(indicator);
            }
        }
        removed.len()
    }

    fn remove_held_back(&mut self, indicator: &Indicator) -> bool {
        let Some(same) = self.held_back.get_mut(&indicator.matcher) else { return false };
        same.remove(indicator.id.as_str());
        if same.is_empty() {
            self.held_back.remove(&indicator.matcher);
        }
        true
    }

    fn remove_firing(&mut self, indicator: &Indicator) {
        let Some(same) = self.by_value.get_mut(&indicator.matcher) else { return };
        same.remove(indicator.id.as_str());
        if same.is_empty() {
            self.by_value.remove(&indicator.matcher);
        }
        if let Matcher::Address(network) = indicator.matcher {
            take_one(&mut self.prefixes, (network.address.is_ipv4(), network.prefix_bits));
        }
        take_one(&mut self.kinds, indicator.matcher.kind());
        self.len -= 1;
    }

    /// Passes every indicator for an observable to `visit`, valid or not.
    fn look_up(&self, observable: &Observable<'_>, mut visit: impl FnMut(&Arc<Indicator>)) {
        let value: &str = &observable.value;
        match observable.kind {
            ObservableKind::Ipv4 | ObservableKind::Ipv6 => {
                if let Ok(address) = value.parse() {
                    self.look_up_address(address, visit);
                }
            }
            ObservableKind::Domain => {
                let mut rest = Some(value);
                while let Some(domain) = rest {
                    self.visit(&Matcher::Domain(domain.to_owned()), &mut visit);
                    rest = domain.split_once('.').map(|(_, parent)| parent);
                }
            }
            ObservableKind::User => {
                let account = value.rsplit_once('\\').map(|(_, account)| account);
                let forms: HashSet<&str> = [Some(value), account].into_iter().flatten().collect();
                for form in forms {
                    self.visit_kind(observable.kind, form, &mut visit);
                }
            }
            kind => self.visit_kind(kind, value, &mut visit),
        }
    }

    fn look_up_address(&self, address: IpAddr, mut visit: impl FnMut(&Arc<Indicator>)) {
        for (is_ipv4, bits) in self.prefixes.keys() {
            if *is_ipv4 == address.is_ipv4() {
                self.visit(&Matcher::Address(Network::of(address, *bits)), &mut visit);
            }
        }
    }

    fn visit_kind(&self, kind: ObservableKind, value: &str, visit: &mut impl FnMut(&Arc<Indicator>)) {
        if let Some(matcher) = Matcher::of_observed(kind, value) {
            self.visit(&matcher, visit);
        }
    }

    fn visit(&self, matcher: &Matcher, visit: &mut impl FnMut(&Arc<Indicator>)) {
        self.by_value.get(matcher).into_iter().flatten().for_each(|ById(indicator)| visit(indicator));
    }
}

fn take_one<K: Ord>(counts: &mut BTreeMap<K, usize>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}
