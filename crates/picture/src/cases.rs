//! Incidents by their ids, and what became of those that went up in another.
//!
//! An id that was ever given is found, for people save and send it: it leads to the incident that its own went up in. Taking
//! the two apart again gives the id back (`tests/it/by_hand.rs`).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use cresset_detect::DetectionId;
use cresset_event::Timestamp;
use serde::{Deserialize, Serialize};

use crate::incident::IncidentId;
use crate::member::{Place, Slot};
use crate::names::Names;
use crate::state::State;
use crate::summary::{Opener, Summary};

/// An incident.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Case {
    pub(crate) id: IncidentId,
    pub(crate) state: State,
    pub(crate) summary: Summary,
    /// Those that a person has taken apart from it: nothing that comes later joins the two.
    pub(crate) apart: BTreeSet<IncidentId>,
    /// Those that went up in it, and in nothing else before.
    pub(crate) absorbed: Vec<IncidentId>,
}

/// An incident that went up in another.
#[derive(Debug, Serialize, Deserialize)]
struct Gone {
    into: IncidentId,
    opener: Opener,
    state: State,
    absorbed: Vec<IncidentId>,
}

/// All incidents.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Cases {
    places: Vec<Option<Case>>,
    free: Vec<Place>,
    #[serde(skip)]
    live: HashMap<IncidentId, Place, foldhash::fast::FixedState>,
    gone: BTreeMap<IncidentId, Gone>,
}

impl Case {
    pub(crate) fn new(id: IncidentId, state: State, summary: Summary) -> Self {
        Self { id, state, summary, apart: BTreeSet::new(), absorbed: Vec::new() }
    }

    /// Returns what tells which of two was opened earlier.
    pub(crate) fn age(&self) -> (Timestamp, IncidentId) {
        (self.summary.opener.arrived, self.id)
    }
}

impl Cases {
    /// Returns those that were read back, with where each id is.
    pub(crate) fn numbered(mut self) -> Self {
        let places = (0..).map(Place).zip(&self.places);
        self.live = places.filter_map(|(place, case)| Some((case.as_ref()?.id, place))).collect();
        self
    }

    /// Returns where the incident is that has this id now.
    pub(crate) fn find(&self, id: IncidentId) -> Option<Place> {
        let mut id = id;
        loop {
            match self.live.get(&id) {
                Some(place) => return Some(*place),
                None => id = self.gone.get(&id)?.into,
            }
        }
    }

    pub(crate) fn get(&self, place: Place) -> &Case {
        self.places[place.0 as usize].as_ref().expect("a place that a detection or an id has is taken")
    }

    pub(crate) fn get_mut(&mut self, place: Place) -> &mut Case {
        self.places[place.0 as usize].as_mut().expect("a place that a detection or an id has is taken")
    }

    pub(crate) fn insert(&mut self, case: Case) -> Place {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            Place(u32::try_from(self.places.len() - 1).expect("fewer incidents than fit in memory"))
        });
        self.put(place, case);
        place
    }

    /// Takes an incident out and leaves its place for whoever puts it back.
    fn take(&mut self, place: Place) -> Case {
        let case = self.places[place.0 as usize].take().expect("a place that a detection or an id has is taken");
        self.live.remove(&case.id);
        case
    }

    fn put(&mut self, place: Place, case: Case) {
        self.live.insert(case.id, place);
        self.places[place.0 as usize] = Some(case);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Case> {
        self.places.iter().flatten()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Case> {
        self.places.iter_mut().flatten()
    }

    /// Returns the id of an incident that this detection begins.
    pub(crate) fn fresh_id(&self, founder: DetectionId) -> IncidentId {
        let is_free = |id: &IncidentId| !self.live.contains_key(id) && !self.gone.contains_key(id);
        let first = std::iter::once(IncidentId::of(founder));
        let others = (1..).map(|time| IncidentId::again(founder, time));
        first.chain(others).find(is_free).expect("there are more ids than incidents")
    }

    /// Makes one of two: the first keeps its id and state.
    ///
    /// The larger one stays in its place and takes in what the other counted, so that few detections have to be told: over
    /// all that ever happens a detection moves no more often than the logarithm of their number.
    pub(crate) fn unite(&mut self, into: Place, from: Place, names: &Names) -> United {
        let mut loser = self.take(from);
        let mut survivor = self.take(into);
        self.hand_on_apart(&mut survivor, &loser);
        let is_larger = loser.summary.members.len() > survivor.summary.members.len();
        let (place, free) = if is_larger { (from, into) } else { (into, from) };
        let opener = loser.summary.opener;
        if is_larger {
            std::mem::swap(&mut survivor.summary, &mut loser.summary);
        }
        let moved = loser.summary.members.clone();
        survivor.summary.add(loser.summary, names);
        survivor.absorbed.push(loser.id);
        let gone = Gone { into: survivor.id, opener, state: loser.state, absorbed: loser.absorbed };
        self.gone.insert(loser.id, gone);
        self.put(place, survivor);
        self.free.push(free);
        United { place, moved, gone: loser.id }
    }

    /// What was apart from one of two stays apart from both.
    fn hand_on_apart(&mut self, survivor: &mut Case, loser: &Case) {
        survivor.apart.remove(&loser.id);
        for id in loser.apart.iter().filter(|id| **id != survivor.id) {
            survivor.apart.insert(*id);
            self.change_apart(*id, |apart| {
                apart.remove(&loser.id);
                apart.insert(survivor.id);
            });
        }
    }

    fn change_apart(&mut self, of: IncidentId, change: impl FnOnce(&mut BTreeSet<IncidentId>)) {
        if let Some(place) = self.live.get(&of) {
            change(&mut self.get_mut(*place).apart);
        }
    }

    /// Makes an incident of those that leave another. Where some of them were one before it went up in the other, it has its id
    /// and state again; else the id is that of the first of them, and the state is the other's.
    pub(crate) fn part(&mut self, from: Place, part: Summary, leaves: impl Fn(DetectionId) -> bool) -> Place {
        let other = self.get(from);
        let (from_id, from_state) = (other.id, other.state);
        let mut apart = other.apart.clone();
        apart.insert(from_id);
        let absorbed = std::mem::take(&mut self.get_mut(from).absorbed);
        let (mut theirs, stay) = absorbed.into_iter().partition(|id| leaves(self.gone[id].opener.id));
        self.get_mut(from).absorbed = stay;
        let mut case = self.again(&mut theirs, part, from_state);
        for id in &theirs {
            self.gone.entry(*id).and_modify(|gone| gone.into = case.id);
        }
        case.absorbed.extend(theirs);
        for id in &apart {
            self.change_apart(*id, |apart| apart.extend([case.id]));
        }
        self.insert(Case { apart, ..case })
    }

    fn again(&mut self, theirs: &mut Vec<IncidentId>, part: Summary, state: State) -> Case {
        let earliest = (0..theirs.len()).min_by_key(|at| self.gone[&theirs[*at]].opener);
        let known = earliest.map(|at| theirs.remove(at)).and_then(|id| Some((id, self.gone.remove(&id)?)));
        match known {
            Some((id, gone)) => Case { absorbed: gone.absorbed, ..Case::new(id, gone.state, part) },
            None => Case::new(self.fresh_id(part.opener.id), state, part),
        }
    }

    /// Forgets an incident, and those that went up in it.
    pub(crate) fn forget(&mut self, place: Place) {
        let case = self.take(place);
        self.free.push(place);
        for id in &case.apart {
            self.change_apart(*id, |apart| apart.retain(|other| *other != case.id));
        }
        let mut absorbed = case.absorbed;
        while let Some(id) = absorbed.pop() {
            absorbed.extend(self.gone.remove(&id).into_iter().flat_map(|gone| gone.absorbed));
        }
    }
}

/// Two incidents that have become one.
pub(crate) struct United {
    /// Where it is.
    pub(crate) place: Place,
    /// The detections that were in another place.
    pub(crate) moved: Vec<Slot>,
    /// The id that it does not have.
    pub(crate) gone: IncidentId,
}
