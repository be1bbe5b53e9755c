//! One event as tests look at it: its values by field, and its texts folded once.
//!
//! [`Lookup`] is what is worked out of one event and kept for the next, so that nothing is allocated again; [`View`] is the
//! event and its lookup together. Entries are numbered as in [`Event::entry`].

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt::Write;

use cresset_event::{Entry, Event, FieldId, Value, fold_into, is_folded};

use super::test::Case;

/// Stands for "none" in a chain of entries.
const END: u32 = u32::MAX;

/// Where an event's values are, by field. Reused from event to event.
#[derive(Debug, Default)]
pub(crate) struct Lookup {
    /// The event that `heads` speak of; chains of older ones are empty.
    round: u32,
    /// By field.
    heads: Vec<Chain>,
    /// By entry: the next one of the same field.
    next: Vec<u32>,
    /// By entry: its text, folded, in `folded`; empty where no test reads it.
    spans: Vec<(u32, u32)>,
    /// The event's buffer folded, and behind it the values whose folded text stands nowhere in it.
    folded: String,
    is_ascii: bool,
    /// A test was given up on, and nobody has asked yet.
    gave_up: Cell<bool>,
}

/// The entries of one field, which `next` joins.
#[derive(Debug, Clone, Copy, Default)]
struct Chain {
    /// The round it was written in.
    round: u32,
    first: u32,
    last: u32,
}

/// What is read of a field's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reads {
    /// That they are there, and numbers as numbers.
    Values,
    /// Also every value as text.
    Texts,
}

/// An event, and where its values are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'e> {
    event: &'e Event,
    lookup: &'e Lookup,
}

impl Lookup {
    /// Begins an event, whose values follow by [`Lookup::add`].
    pub(crate) fn begin(&mut self, event: &Event) {
        self.round = match self.round.checked_add(1) {
            Some(round) => round,
            None => {
                self.heads.clear();
                1
            }
        };
        let count = event.entry_count();
        self.next.clear();
        self.next.resize(count, END);
        self.spans.clear();
        self.spans.resize(count, (0, 0));
        // All text at once, which costs less than value by value; values with other letters follow in `add`.
        self.folded.clear();
        self.folded.push_str(event.buffer());
        self.folded.make_ascii_lowercase();
        self.is_ascii = self.folded.is_ascii();
    }

    /// Adds the value at a place of the event, behind those at places before.
    pub(crate) fn add(&mut self, at: usize, entry: Entry<'_>, reads: Reads) {
        if reads == Reads::Texts {
            self.spans[at] = match entry.text_range() {
                Some(range) if self.is_ascii || is_folded(&self.folded[range.clone()]) => {
                    (range.start as u32, range.end as u32)
                }
                _ => self.append(entry.value()),
            };
        }
        let Some(field) = entry.field() else { return };
        if self.heads.len() <= field.index() {
            self.heads.resize(field.index() + 1, Chain::default());
        }
        let chain = &mut self.heads[field.index()];
        if chain.round == self.round {
            self.next[chain.last as usize] = at as u32;
            chain.last = at as u32;
        } else {
            *chain = Chain { round: self.round, first: at as u32, last: at as u32 };
        }
    }

    /// Returns the folded text of a value that was added.
    pub(crate) fn folded(&self, at: usize) -> &str {
        let (start, end) = self.spans[at];
        &self.folded[start as usize..end as usize]
    }

    /// Returns the same as bytes, for those who only look for others in it.
    pub(crate) fn folded_bytes(&self, at: usize) -> &[u8] {
        let (start, end) = self.spans[at];
        &self.folded.as_bytes()[start as usize..end as usize]
    }

    /// Returns the event with what was added.
    pub(crate) fn view<'e>(&'e self, event: &'e Event) -> View<'e> {
        View { event, lookup: self }
    }

    /// Appends a value as it is compared, and returns where it stands.
    fn append(&mut self, value: Value<'_>) -> (u32, u32) {
        let start = self.folded.len() as u32;
        match value {
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
        (start, self.folded.len() as u32)
    }
}

impl<'e> View<'e> {
    /// Returns the entries of a field, in order.
    pub(crate) fn entries(&self, field: FieldId) -> impl Iterator<Item = usize> + use<'e> {
        let lookup = self.lookup;
        let chain = lookup.heads.get(field.index()).filter(|chain| chain.round == lookup.round);
        let mut at = chain.map_or(END, |chain| chain.first);
        std::iter::from_fn(move || {
            let entry = usize::try_from(at).ok().filter(|_| at != END)?;
            at = lookup.next[entry];
            Some(entry)
        })
    }

    /// Returns the entries that keywords are looked for in: every text once, without second names.
    pub(crate) fn texts(&self) -> impl Iterator<Item = usize> + use<'e> {
        let entries = self.event.entries().enumerate();
        entries.filter(|(_, entry)| !entry.is_alias() && entry.text_range().is_some()).map(|(at, _)| at)
    }

    /// Returns an entry's value.
    pub(crate) fn value(&self, entry: usize) -> Value<'e> {
        self.event.entry(entry).value()
    }

    /// Returns an entry's text as it is compared; `None` where it is null or empty. Folded only where [`Reads::Texts`] was said.
    pub(crate) fn text(&self, entry: usize, case: Case) -> Option<Cow<'e, str>> {
        match (case, self.value(entry)) {
            (_, Value::Null | Value::Empty) => None,
            (Case::Kept, value) => value.to_text(),
            (Case::Folded, _) => Some(Cow::Borrowed(self.lookup.folded(entry))),
        }
    }

    /// Gives up on a test, which for the time being does not hold.
    pub(crate) fn give_up(&self) -> bool {
        self.lookup.gave_up.set(true);
        false
    }

    /// Returns whether a test was given up on since this was last asked.
    pub(crate) fn gave_up(&self) -> bool {
        self.lookup.gave_up.take()
    }

    /// Returns the event.
    pub(crate) fn event(&self) -> &'e Event {
        self.event
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cresset_event::{EventBuilder, FieldNames, Origin};

    use super::*;

    #[test]
    fn nothing_is_left_of_older_events_when_rounds_begin_anew() {
        let names = Arc::new(FieldNames::new());
        let fields = ["a", "b"].map(|name| names.intern(name).expect("room for a name"));
        let mut builder = EventBuilder::new(names);
        let mut lookup = Lookup::default();
        for (has, lacks) in [(fields[0], fields[1]), (fields[1], fields[0])] {
            builder.push_by_id(has, Value::Int(1));
            let event = builder.finish(Origin::default());
            lookup.begin(&event);
            lookup.add(0, event.entry(0), Reads::Values);
            let view = lookup.view(&event);
            assert_eq!((view.entries(has).count(), view.entries(lacks).count()), (1, 0));
            // The last one before they begin anew.
            lookup.round = u32::MAX;
        }
    }
}
