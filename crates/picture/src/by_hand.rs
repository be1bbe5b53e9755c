//! What a person decides: that incidents are one, that one is several, how far it is worked.
//!
//! A decision stands. Parts that were taken apart are not joined by what comes later: a detection that links to both goes
//! to the one with more links, then to the nearer (`Picture::choose`). Taking apart what was put together gives both back,
//! with their ids, and putting together what was taken apart gives back the one (`tests/it/by_hand.rs`).
//!
//! What is closed is closed: nothing is taken in or out until somebody opens it again.

use std::collections::HashSet;

use cresset_detect::DetectionId;

use crate::cases::Case;
use crate::incident::{IncidentId, Link, LinkKind};
use crate::member::{Place, Slot};
use crate::picture::Picture;
use crate::state::State;
use crate::summary::{Books, Summary};

/// Why something cannot be done by hand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandError {
    /// There is none of this id, or it was forgotten.
    #[error("there is no incident {0}")]
    NoIncident(IncidentId),
    /// It is closed.
    #[error("{0} is closed; set it to triage first")]
    Closed(IncidentId),
    /// The two are the same, or have become the same.
    #[error("{0} cannot be merged into itself")]
    Same(IncidentId),
    /// A detection is not in the incident.
    #[error("detection {0} is not in {1}")]
    NotInIt(DetectionId, IncidentId),
    /// None of its detections, or all of them, would leave.
    #[error("a part of {0} is at least one of its detections and not all of them")]
    NoPart(IncidentId),
    /// Its detections are not held any more.
    #[error("{0} is too old to be taken apart: its detections are not held in memory any more")]
    Forgotten(IncidentId),
    /// No such step is allowed.
    #[error("{id} is {from} and cannot become {to} in one step")]
    Step {
        /// The incident.
        id: IncidentId,
        /// Its state.
        from: State,
        /// The state that it cannot take.
        to: State,
    },
}

/// Two incidents that a person made one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// The incident that there is now.
    pub into: IncidentId,
    /// The one that went up in it.
    pub from: IncidentId,
    /// Its detections, in no order.
    pub detections: Vec<DetectionId>,
    /// What links them from now on: from the detection that opened the one to that which opened the other.
    pub link: Link,
}

impl Picture {
    /// Makes one of two incidents, which keeps the id and the state of `into`, also where they were taken apart before.
    pub fn merge(&mut self, into: IncidentId, from: IncidentId) -> Result<Merged, HandError> {
        let (to, gone) = (self.open_place(into)?, self.open_place(from)?);
        if to == gone {
            return Err(HandError::Same(into));
        }
        let (one, other) = (self.cases.get(to), self.cases.get(gone));
        let (opener, joins) = (one.summary.opener, other.summary.opener);
        let merged = Merged {
            into: one.id,
            from: other.id,
            detections: self.detections(other.id).collect(),
            link: Link {
                kind: LinkKind::Hand,
                value: String::new(),
                gap_nanos: opener.time.as_nanos().abs_diff(joins.time.as_nanos()),
                to: opener.id,
            },
        };
        self.unite(to, gone);
        Ok(merged)
    }

    /// Takes detections out of an incident and makes one of their own of them, whose id is returned.
    pub fn split(&mut self, from: IncidentId, detections: &[DetectionId]) -> Result<IncidentId, HandError> {
        let place = self.open_place(from)?;
        let leaving = self.leaving(place, detections)?;
        let case = self.cases.get(place);
        let (part, rest): (Vec<Slot>, Vec<Slot>) =
            case.summary.members.iter().partition(|slot| leaving.contains(&self.member(**slot).id));
        let (part, rest) = (self.summary_of(&part), self.summary_of(&rest));
        let no_part = HandError::NoPart(case.id);
        let (Some(part), Some(rest)) = (part, rest) else { return Err(no_part) };
        let slots = part.members.clone();
        self.cases.get_mut(place).summary = rest;
        let new = self.cases.part(place, part, |id| leaving.contains(&id));
        for slot in slots {
            self.members[slot.0 as usize].place = new;
        }
        Ok(self.cases.get(new).id)
    }

    /// Says how far an incident is worked.
    pub fn set_state(&mut self, id: IncidentId, state: State) -> Result<(), HandError> {
        let place = self.cases.find(id).ok_or(HandError::NoIncident(id))?;
        let Case { id, state: from, .. } = *self.cases.get(place);
        if !from.may_become(state) {
            return Err(HandError::Step { id, from, to: state });
        }
        self.cases.get_mut(place).state = state;
        if from.is_closed() != state.is_closed() {
            self.move_keys(place);
        }
        Ok(())
    }

    /// Lets new detections find those of an incident among the open or the closed ones, after it became the other.
    fn move_keys(&mut self, place: Place) {
        let case = self.cases.get(place);
        let (leave, come) = match case.state.is_closed() {
            true => (&mut self.open, &mut self.closed),
            false => (&mut self.closed, &mut self.open),
        };
        for slot in &case.summary.members {
            let member = &self.members[slot.0 as usize];
            leave.remove(*slot, member, &self.names);
            come.insert(*slot, member, &self.names);
        }
    }

    fn open_place(&self, id: IncidentId) -> Result<Place, HandError> {
        let place = self.cases.find(id).ok_or(HandError::NoIncident(id))?;
        let case = self.cases.get(place);
        if case.state.is_closed() { Err(HandError::Closed(case.id)) } else { Ok(place) }
    }

    /// Returns the detections that are to leave, each of which is in the incident.
    fn leaving(&self, place: Place, detections: &[DetectionId]) -> Result<HashSet<DetectionId>, HandError> {
        let case = self.cases.get(place);
        if case.summary.is_partial() {
            return Err(HandError::Forgotten(case.id));
        }
        let is_in = |id: &DetectionId| self.slots.get(id).is_some_and(|slot| self.place_of(*slot) == place);
        match detections.iter().find(|id| !is_in(id)) {
            Some(other) => Err(HandError::NotInIt(*other, case.id)),
            None => Ok(detections.iter().copied().collect()),
        }
    }

    fn summary_of(&self, slots: &[Slot]) -> Option<Summary> {
        let books = Books { names: &self.names, causes: &self.causes };
        let (first, others) = slots.split_first()?;
        let mut summary = Summary::of(*first, self.member(*first), books);
        others.iter().for_each(|slot| summary.count(*slot, self.member(*slot), books));
        summary.follows = slots.iter().filter_map(|slot| self.follows.get(slot)).flatten().copied().collect();
        Some(summary)
    }
}
