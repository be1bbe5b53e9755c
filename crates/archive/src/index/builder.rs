//! Making a file of events, in memory.

use std::collections::HashMap;

use cresset_event::{EventId, Timestamp};

use super::file::FileWriter;
use super::sighting::{Example, Names, Sighting};

/// Collects what is known of values.
#[derive(Debug, Default)]
pub(crate) struct IndexBuilder {
    names: Names,
    seen: HashMap<Box<[u8]>, Sighting, foldhash::fast::FixedState>,
    /// The earliest time.
    base: Option<i64>,
}

/// An event that has a value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'s> {
    pub(crate) id: EventId,
    pub(crate) time: Option<Timestamp>,
    /// The field that has it.
    pub(crate) field: &'s str,
    pub(crate) host: Option<&'s str>,
    pub(crate) source: &'s str,
}

impl IndexBuilder {
    /// Returns a builder that has seen nothing.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a value of an event; once for each value of an event.
    pub(crate) fn add(&mut self, key: &[u8], seen: Seen<'_>) {
        let time = seen.time.map(Timestamp::as_nanos);
        self.base = [self.base, time].into_iter().flatten().min();
        let one = Sighting {
            count: 1,
            times: time.map(|time| (time, time)),
            hosts: seen.host.iter().map(|host| (self.names.hosts.number(host), 1)).collect(),
            sources: vec![(self.names.sources.number(seen.source), 1)],
            examples: vec![Example { id: seen.id, time, field: self.names.fields.number(seen.field) }],
        };
        match self.seen.get_mut(key) {
            Some(known) => known.add(&one),
            None => drop(self.seen.insert(key.into(), one)),
        }
    }

    /// Returns the file's bytes.
    pub(crate) fn finish(self) -> Vec<u8> {
        let mut seen: Vec<(Box<[u8]>, Sighting)> = self.seen.into_iter().collect();
        seen.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let mut writer = FileWriter::new(Vec::new(), seen.len() as u64, self.base.unwrap_or_default());
        let written = seen.iter().try_for_each(|(key, sighting)| writer.add(key, sighting));
        written.and_then(|()| writer.finish(&self.names)).expect("memory takes what is written")
    }
}
