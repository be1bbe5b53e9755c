//! The picture: which detections are one incident, kept as they come.
//!
//! Two detections of at least level low belong together where they share a key within its gap (`keys.rs`); incidents are
//! the connected components of that. The order in which detections arrive changes nothing but the ids: an incident has the
//! one that its first detection gave it, and of several that are joined the one opened earliest survives.
//!
//! Adding a detection looks at its neighbours under each of its keys, and at no other incident (`index.rs`); where it joins
//! two, the smaller goes over to the larger (`cases.rs`); what is shown is counted on the way (`summary.rs`). What a person
//! decided is in `by_hand.rs`.
//!
//! `tests/it/properties.rs` compares it with a twin that looks at all pairs, over random detections in random orders.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use cresset_detect::{DetectionId, Level, WarningList};

use crate::assets::Assets;
use crate::cases::{Case, Cases};
use crate::facts::Facts;
use crate::incident::{Incident, IncidentId, Link, LinkKind};
use crate::index::{Index, Near};
use crate::member::{Causes, Member, Place, Slot};
use crate::names::{Names, Sym};
use crate::state::State;
use crate::summary::{Books, Summary};
use crate::tally::{LISTED_MAX, Tally};

/// The least level that opens or joins an incident. Informational rules are not meant to (Sigma specification, rules: "no
/// case or alerting should be triggered").
const LEVEL_MIN: Level = Level::Low;
/// Most links that are told of a detection, the nearest in time: with more nobody reads them.
const LINKS_MAX: usize = 16;

/// Detections, and the incidents that they are in.
#[derive(Debug)]
pub struct Picture {
    pub(crate) names: Names,
    pub(crate) causes: Causes,
    pub(crate) members: Vec<Member>,
    pub(crate) slots: HashMap<DetectionId, Slot, foldhash::fast::FixedState>,
    pub(crate) cases: Cases,
    /// Detections of open incidents, which new ones join.
    pub(crate) open: Index,
    /// Detections of closed incidents, which new ones follow.
    pub(crate) closed: Index,
    pub(crate) follows: Follows,
    warnings: WarningList,
}

/// Closed incidents that a detection has something in common with; most have none.
pub(crate) type Follows = BTreeMap<Slot, BTreeSet<IncidentId>>;

/// Where a detection went.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Placed {
    /// The incident that it is in; `None` where it is informational.
    pub incident: Option<IncidentId>,
    /// What it shares with those that were there before, the nearest in time first; at most 16.
    pub links: Vec<Link>,
    /// Incidents that it joined to that one, and which went up in it.
    pub merged: Vec<IncidentId>,
    /// Closed incidents that it has something in common with.
    pub follows: Vec<IncidentId>,
}

impl Picture {
    /// Returns a picture without detections.
    pub fn new(assets: Assets) -> Self {
        Self {
            names: Names::new(assets),
            causes: Causes::default(),
            members: Vec::new(),
            slots: HashMap::default(),
            cases: Cases::default(),
            open: Index::default(),
            closed: Index::default(),
            follows: Follows::default(),
            warnings: WarningList::built_in(),
        }
    }

    /// Takes a detection in. One that is there already, or is informational, changes nothing.
    pub fn add(&mut self, facts: &Facts) -> Placed {
        if facts.level < LEVEL_MIN {
            return Placed::default();
        }
        if let Some(incident) = self.incident_of(facts.id) {
            return Placed { incident: Some(incident), ..Placed::default() };
        }
        let member = Member::of(facts, &mut self.names, &mut self.causes, &self.warnings);
        let near = self.open.near(&member, &self.names);
        let follows = self.followed(&member);
        let chosen = self.choose(&near);
        let links = self.links(near.into_iter().filter(|near| chosen.contains(&self.place_of(near.slot))));
        let (place, merged) = self.join(&chosen);
        let incident = self.enter(member, place, &follows);
        Placed { incident: Some(incident), links, merged, follows: follows.into_iter().collect() }
    }

    /// Returns the incident that a detection is in.
    pub fn incident_of(&self, detection: DetectionId) -> Option<IncidentId> {
        self.slots.get(&detection).map(|slot| self.cases.get(self.place_of(*slot)).id)
    }

    /// Returns an incident by its id, or by that of one that went up in it.
    pub fn incident(&self, id: IncidentId) -> Option<Incident> {
        self.cases.find(id).map(|place| self.show(self.cases.get(place)))
    }

    /// Returns the ids of all incidents, in no order.
    pub fn incidents(&self) -> impl Iterator<Item = IncidentId> {
        self.cases.iter().map(|case| case.id)
    }

    /// Returns the detections of an incident, in no order; none where there is no such incident.
    pub fn detections(&self, id: IncidentId) -> impl Iterator<Item = DetectionId> {
        let case = self.cases.find(id).map(|place| self.cases.get(place));
        let slots = case.into_iter().flat_map(|case| &case.summary.members);
        slots.map(|slot| self.member(*slot).id)
    }

    /// Returns the list of assets.
    pub fn assets(&self) -> &Assets {
        self.names.assets()
    }

    /// Takes another list of assets, and returns the incidents whose priority it changed. Of an incident whose detections were
    /// forgotten the priority stays.
    pub fn set_assets(&mut self, assets: Assets) -> Vec<IncidentId> {
        let before: Vec<_> = self.cases.iter().map(|case| case.summary.priority(&self.names)).collect();
        self.names.set_assets(assets);
        let mut changed = Vec::new();
        for (case, before) in self.cases.iter_mut().zip(before) {
            if !case.summary.is_partial() {
                case.summary.appraise(&self.members, &self.names);
            }
            if case.summary.priority(&self.names) != before {
                changed.push(case.id);
            }
        }
        changed.sort_unstable();
        changed
    }

    /// Notes where each detection is.
    pub(crate) fn number_members(&mut self) {
        self.slots = self.members.iter().map(|member| member.id).zip((0..).map(Slot)).collect();
    }

    /// Indexes all detections anew.
    pub(crate) fn index_members(&mut self) {
        self.open.clear();
        self.closed.clear();
        for (member, slot) in self.members.iter().zip((0..).map(Slot)) {
            let is_closed = self.cases.get(member.place).state.is_closed();
            let index = if is_closed { &mut self.closed } else { &mut self.open };
            index.insert(slot, member, &self.names);
        }
    }

    pub(crate) fn member(&self, slot: Slot) -> &Member {
        &self.members[slot.0 as usize]
    }

    pub(crate) fn place_of(&self, slot: Slot) -> Place {
        self.member(slot).place
    }

    fn followed(&self, member: &Member) -> BTreeSet<IncidentId> {
        let near = self.closed.near(member, &self.names);
        near.into_iter().map(|near| self.cases.get(self.place_of(near.slot)).id).collect()
    }

    /// Returns the incidents that those near by are in and that may become one. Where a person has taken two of them apart, the
    /// one with more links goes first, then that with the nearer, then the older.
    fn choose(&self, near: &[Near]) -> Vec<Place> {
        let mut found: BTreeMap<Place, (usize, u64)> = BTreeMap::new();
        for near in near {
            let (links, gap) = found.entry(self.place_of(near.slot)).or_insert((0, u64::MAX));
            *links += 1;
            *gap = near.gap_nanos.min(*gap);
        }
        let mut found: Vec<(Place, (usize, u64))> = found.into_iter().collect();
        found.sort_by_key(|(place, (links, gap))| (std::cmp::Reverse(*links), *gap, self.cases.get(*place).age()));
        let mut chosen: Vec<Place> = Vec::new();
        for (place, _) in found {
            let apart = &self.cases.get(place).apart;
            if chosen.iter().all(|other| !apart.contains(&self.cases.get(*other).id)) {
                chosen.push(place);
            }
        }
        chosen
    }

    /// Makes one of several incidents, and returns where it is and which have gone up in it.
    fn join(&mut self, chosen: &[Place]) -> (Option<Place>, Vec<IncidentId>) {
        let mut by_age = chosen.to_vec();
        by_age.sort_by_key(|place| self.cases.get(*place).age());
        let mut places = by_age.into_iter();
        let Some(mut place) = places.next() else { return (None, Vec::new()) };
        let mut merged = Vec::new();
        for other in places {
            // Somebody is at work on one of them already.
            if self.cases.get(place).state == State::New && self.cases.get(other).state != State::New {
                self.cases.get_mut(place).state = State::Triage;
            }
            let (now, gone) = self.unite(place, other);
            place = now;
            merged.push(gone);
        }
        (Some(place), merged)
    }

    /// Makes one of two incidents, and returns where it is and which id is gone.
    pub(crate) fn unite(&mut self, into: Place, from: Place) -> (Place, IncidentId) {
        let united = self.cases.unite(into, from, &self.names);
        for slot in united.moved {
            self.members[slot.0 as usize].place = united.place;
        }
        (united.place, united.gone)
    }

    /// Puts a detection into an incident, or opens one with it.
    fn enter(&mut self, member: Member, place: Option<Place>, follows: &BTreeSet<IncidentId>) -> IncidentId {
        let slot = Slot(u32::try_from(self.members.len()).expect("fewer detections than fit in memory"));
        let books = Books { names: &self.names, causes: &self.causes };
        let place = match place {
            Some(place) => {
                self.cases.get_mut(place).summary.count(slot, &member, books);
                place
            }
            None => {
                let summary = Summary::of(slot, &member, books);
                self.cases.insert(Case::new(self.cases.fresh_id(member.id), State::New, summary))
            }
        };
        if !follows.is_empty() {
            self.cases.get_mut(place).summary.follows.extend(follows);
            self.follows.insert(slot, follows.clone());
        }
        self.open.insert(slot, &member, &self.names);
        self.slots.insert(member.id, slot);
        self.members.push(Member { place, ..member });
        self.cases.get(place).id
    }

    fn links(&self, near: impl Iterator<Item = Near>) -> Vec<Link> {
        let mut links: Vec<Link> = near.filter_map(|near| self.link(near)).collect();
        links.sort_by(|one, other| {
            let rank = |link: &Link| (link.gap_nanos, link.kind, link.to);
            rank(one).cmp(&rank(other)).then_with(|| one.value.cmp(&other.value))
        });
        links.truncate(LINKS_MAX);
        links
    }

    fn link(&self, near: Near) -> Option<Link> {
        let name = self.names.get(near.key);
        let (kind, _): (LinkKind, u64) = name.kind.link()?;
        let to = self.member(near.slot).id;
        Some(Link { kind, value: name.shown().to_owned(), gap_nanos: near.gap_nanos, to })
    }

    fn show(&self, case: &Case) -> Incident {
        let summary = &case.summary;
        let counted = summary.tallies();
        let listed = |tally: &Tally| tally.top().iter().map(|(sym, _)| self.names.shown(*sym).to_owned()).collect();
        let times = |(sym, times): &(Sym, u32)| (self.names.shown(*sym).to_owned(), u64::from(*times));
        let follows = summary.follows.iter().take(LISTED_MAX);
        Incident {
            id: case.id,
            title: summary.title(&self.names),
            level: summary.level(),
            priority: summary.priority(&self.names),
            first: summary.first,
            last: summary.last,
            aware_at: summary.opener.arrived,
            detections: summary.detections,
            hosts: listed(counted.hosts),
            hosts_more: counted.hosts.more(),
            users: listed(counted.users),
            users_more: counted.users.more(),
            tactics: listed(counted.tactics),
            tactics_more: counted.tactics.more(),
            techniques: listed(counted.techniques),
            techniques_more: counted.techniques.more(),
            rules: counted.titles.top().iter().map(times).collect(),
            rules_more: counted.titles.more(),
            state: case.state,
            follows: follows.copied().collect(),
            follows_more: summary.follows.len().saturating_sub(LISTED_MAX) as u64,
        }
    }
}
