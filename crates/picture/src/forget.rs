//! What bounds the memory: incidents that are over are let go, and all that only they had.
//!
//! What stays gets new places without gaps, in the order that it had, so that everything goes on as if nothing had been
//! forgotten (`tests/it/memory.rs`, `tests/it/properties.rs`).

use cresset_event::Timestamp;

use crate::cases::Case;
use crate::incident::IncidentId;
use crate::member::{Member, Slot};
use crate::names::Sym;
use crate::picture::Picture;

impl Picture {
    /// Forgets what nothing new is linked with any more: incidents whose last event lies, and whose last detection arrived,
    /// before this moment. Closed ones are gone whole; of open ones what is shown stays, but they cannot be taken apart.
    ///
    /// The moment lies at least a day and the skew of clocks in the past; a detection that was forgotten and comes again is
    /// another one. Returns whether anything was forgotten.
    pub fn forget_before(&mut self, moment: Timestamp) -> bool {
        let is_over = |case: &&Case| case.summary.last < moment && case.summary.last_arrived < moment;
        let over: Vec<(IncidentId, bool)> =
            self.cases.iter().filter(is_over).map(|case| (case.id, case.state.is_closed())).collect();
        let mut forgotten = vec![false; self.members.len()];
        let is_any_closed = over.iter().any(|(_, is_closed)| *is_closed);
        for (id, is_closed) in over {
            let Some(place) = self.cases.find(id) else { continue };
            for slot in std::mem::take(&mut self.cases.get_mut(place).summary.members) {
                forgotten[slot.0 as usize] = true;
            }
            if is_closed {
                self.cases.forget(place);
            }
        }
        let is_any_forgotten = forgotten.contains(&true);
        if is_any_forgotten {
            self.drop_members(&forgotten);
            self.drop_names();
        }
        is_any_forgotten || is_any_closed
    }

    /// Lets go of detections, and gives those that stay new places without gaps.
    fn drop_members(&mut self, forgotten: &[bool]) {
        let mut stay = 0;
        let number = |forgotten: &bool| {
            (!forgotten).then(|| {
                stay += 1;
                Slot(stay - 1)
            })
        };
        let slots: Vec<Option<Slot>> = forgotten.iter().map(number).collect();
        let moved = |slot: Slot| slots[slot.0 as usize];
        let mut at = 0..;
        self.members.retain(|_| at.next().is_some_and(|at| moved(Slot(at)).is_some()));
        self.members.shrink_to_fit();
        self.number_members();
        let follows = std::mem::take(&mut self.follows);
        self.follows = follows.into_iter().filter_map(|(slot, ids)| Some((moved(slot)?, ids))).collect();
        for case in self.cases.iter_mut() {
            case.summary.renumber(|sym| sym, |slot| moved(slot).expect("an incident has no forgotten detection"));
        }
    }

    /// Lets go of names that nothing has any more, and indexes what there is by the new numbers.
    fn drop_names(&mut self) {
        let mut used = vec![false; self.names.len()];
        let of_members = self.members.iter().flat_map(Member::syms);
        let of_cases = self.cases.iter().flat_map(|case| case.summary.syms());
        of_members.chain(of_cases).chain(self.causes.syms()).for_each(|sym| used[sym.place()] = true);
        let moved = self.names.keep(&used);
        let number = |sym: Sym| moved[sym.place()].expect("a name that is used stays");
        self.causes.renumber(number);
        self.members.iter_mut().for_each(|member| member.renumber(number));
        self.cases.iter_mut().for_each(|case| case.summary.renumber(number, |slot| slot));
        self.index_members();
    }
}
