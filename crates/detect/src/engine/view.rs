//! One event as tests look at it: its values by field, and its texts folded once.
//!
//! [`Lookup`] is what is worked out of one event and kept for the next, so that nothing is allocated again; [`View`] is the
//! event and its lookup together. Entries are numbered as in [`Event::entry`].

use std::borrow::Cow;
use std::fmt::Write;

use cresset_event::{Event, FieldId, Value};

use super::fold::fold_into;
use super::test::Case;

/// Stands for "none" in a chain of entries.
const END: u32 = u32::MAX;

/// Where an event's values are, by field. Reused from event to event.
#[derive(Debug, Default)]
pub(crate) struct Lookup {
    /// The event that `heads` speak of; older ones are empty.
    round: u32,
    /// By field: the round it was written in, and the first entry.
    heads: Vec<(u32, u32)>,
    /// By entry: the next one of the same field.
    next: Vec<u32>,
    /// By entry: its text, folded, in `folded`; empty where no test reads it.
    spans: Vec<(u32, u32)>,
    folded: String,
}

/// An event, and where its values are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'e> {
    event: &'e Event,
    lookup: &'e Lookup,
}

impl Lookup {
    /// Reads an event. `wants` says whether any test reads the texts of a field (`None`: a value without a field's number).
    pub(crate) fn read<'e>(&'e mut self, event: &'e Event, wants: impl Fn(Option<FieldId>) -> bool) -> View<'e> {
        self.round = match self.round.checked_add(1) {
            Some(round) => round,
            None => {
                self.heads.clear();
                1
            }
        };
        let count = event.entry_count();
        self.folded.clear();
        self.next.clear();
        self.next.resize(count, END);
        self.spans.clear();
        self.spans.resize(count, (0, 0));
        // Backwards, so that each chain ends up in the order of the event.
        for (at, entry) in event.entries().enumerate().rev() {
            if wants(entry.field) {
                let start = self.folded.len();
                match entry.value {
                    Value::Str(text) => fold_into(text, &mut self.folded),
                    Value::Int(number) => {
                        let _ = write!(self.folded, "{number}");
                    }
                    Value::Float(number) => {
                        let _ = write!(self.folded, "{number}");
                    }
                    Value::Bool(truth) => self.folded.push_str(if truth { "true" } else { "false" }),
                    Value::Null | Value::Empty => {}
                }
                self.spans[at] = (start as u32, self.folded.len() as u32);
            }
            let Some(field) = entry.field else { continue };
            if self.heads.len() <= field.index() {
                self.heads.resize(field.index() + 1, (0, END));
            }
            let head = &mut self.heads[field.index()];
            if head.0 == self.round {
                self.next[at] = head.1;
            }
            *head = (self.round, at as u32);
        }
        View { event, lookup: self }
    }
}

impl<'e> View<'e> {
    /// Returns the entries of a field, in order.
    pub(crate) fn entries(&self, field: FieldId) -> impl Iterator<Item = usize> + use<'e> {
        let lookup = self.lookup;
        let head = lookup.heads.get(field.index()).filter(|head| head.0 == lookup.round);
        let mut at = head.map_or(END, |head| head.1);
        std::iter::from_fn(move || {
            let entry = usize::try_from(at).ok().filter(|_| at != END)?;
            at = lookup.next[entry];
            Some(entry)
        })
    }

    /// Returns the entries that keywords are looked for in: every text once, without second names.
    pub(crate) fn texts(&self) -> impl Iterator<Item = usize> + use<'e> {
        let entries = self.event.entries().enumerate();
        entries.filter(|(_, entry)| !entry.is_alias && matches!(entry.value, Value::Str(_))).map(|(at, _)| at)
    }

    /// Returns an entry's value.
    pub(crate) fn value(&self, entry: usize) -> Value<'e> {
        self.event.entry(entry).value
    }

    /// Returns an entry's text as it is compared; `None` where it is null or empty. Folded only where it was wanted.
    pub(crate) fn text(&self, entry: usize, case: Case) -> Option<Cow<'e, str>> {
        match (case, self.value(entry)) {
            (_, Value::Null | Value::Empty) => None,
            (Case::Kept, value) => value.to_text(),
            (Case::Folded, _) => Some(Cow::Borrowed(self.folded(entry))),
        }
    }

    /// Returns an entry's folded text.
    pub(crate) fn folded(&self, entry: usize) -> &'e str {
        let (start, end) = self.lookup.spans[entry];
        &self.lookup.folded[start as usize..end as usize]
    }

    /// Returns the event.
    pub(crate) fn event(&self) -> &'e Event {
        self.event
    }
}
