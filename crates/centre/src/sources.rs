//! Sources: how much each gave, how fast, and when last.
//!
//! What is counted here is saved with the records every few seconds, so that totals outlive a restart. Rates are of the last
//! minute and begin anew.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cresset_event::Timestamp;
use cresset_store::SourceRow;

use crate::floor::Read;

/// Sources that are told apart. A sender that takes another name each time is counted with the others as [`OTHERS`].
const SOURCES_MAX: usize = 10_000;
/// The name under which sources past that are counted.
const OTHERS: &str = "(others)";
/// Time over which a rate is smoothed, in seconds.
const RATE_SECONDS: f64 = 60.0;
const NANOS_A_SECOND: f64 = 1e9;

/// What is known of a source.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) row: SourceRow,
    /// When it gave something last.
    pub(crate) arrived: Option<Timestamp>,
    /// Events a second, smoothed, as of `arrived`.
    rate: f64,
    /// Whether it was told that it has fallen silent.
    is_told: bool,
}

/// All sources, by name.
#[derive(Debug, Default)]
pub(crate) struct Sources(Mutex<BTreeMap<String, Source>>);

impl Sources {
    /// Returns sources with the totals of earlier runs. Silence is counted from now on.
    pub(crate) fn new(rows: Vec<SourceRow>, now: Timestamp) -> Self {
        let source = |row: SourceRow| {
            let arrived = (row.events > 0).then_some(now);
            (row.name.clone(), Source { row, arrived, rate: 0.0, is_told: false })
        };
        Self(Mutex::new(rows.into_iter().map(source).collect()))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Source>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Source)) {
        let mut sources = self.lock();
        let name = if sources.contains_key(name) || sources.len() < SOURCES_MAX { name } else { OTHERS };
        change(sources.entry(name.to_owned()).or_insert_with(|| Source::new(name)));
    }

    /// Adds what was read of a source.
    pub(crate) fn add(&self, name: &str, read: &Read, now: Timestamp) {
        self.change(name, |source| {
            source.decay(now);
            source.rate += read.events as f64 / RATE_SECONDS;
            source.row.events += read.events;
            source.row.skipped += read.skipped;
            source.row.last_event = source.row.last_event.max(read.latest);
            source.is_told &= read.events == 0;
        });
    }

    /// Adds bytes that came of a source.
    pub(crate) fn add_bytes(&self, name: &str, bytes: u64) {
        self.change(name, |source| source.row.bytes += bytes);
    }

    /// Adds messages of a source that were lost before they were read.
    pub(crate) fn add_lost(&self, name: &str, messages: u64) {
        self.change(name, |source| source.row.lost += messages);
    }

    /// Returns all of them, by name.
    pub(crate) fn all(&self) -> Vec<Source> {
        self.lock().values().cloned().collect()
    }

    /// Returns what is to be saved.
    pub(crate) fn rows(&self) -> Vec<SourceRow> {
        self.lock().values().map(|source| source.row.clone()).collect()
    }

    /// Returns those that have given nothing for so long and are not told yet, with how long; they count as told then.
    pub(crate) fn fallen_silent(&self, after_seconds: u64, now: Timestamp) -> Vec<(String, u64)> {
        let mut silent = Vec::new();
        for (name, source) in self.lock().iter_mut() {
            let seconds = source.silent_seconds(now).unwrap_or(0);
            if source.row.events > 0 && !source.is_told && seconds >= after_seconds && !is_own(name) {
                source.is_told = true;
                silent.push((name.clone(), seconds));
            }
        }
        silent
    }
}

/// What the names of the centre's own events begin with: nobody waits for those.
pub(crate) const OWN: &str = "cresset:";

fn is_own(name: &str) -> bool {
    name.starts_with(OWN)
}

impl Source {
    fn new(name: &str) -> Self {
        let kind = name.split_once(':').map_or("file", |(kind, _)| kind).to_owned();
        let row = SourceRow { name: name.to_owned(), kind, events: 0, bytes: 0, skipped: 0, lost: 0, last_event: None };
        Self { row, arrived: None, rate: 0.0, is_told: false }
    }

    fn decay(&mut self, now: Timestamp) {
        self.rate = self.rate_at(now);
        self.arrived = Some(now);
    }

    /// Returns events a second of about the last minute.
    pub(crate) fn rate_at(&self, now: Timestamp) -> f64 {
        let Some(arrived) = self.arrived else { return 0.0 };
        let seconds = now.as_nanos().saturating_sub(arrived.as_nanos()).max(0) as f64 / NANOS_A_SECOND;
        self.rate * (-seconds / RATE_SECONDS).exp()
    }

    /// Returns for how long it has given nothing.
    pub(crate) fn silent_seconds(&self, now: Timestamp) -> Option<u64> {
        let nanos = now.as_nanos().saturating_sub(self.arrived?.as_nanos());
        Some(u64::try_from(nanos).unwrap_or(0) / 1_000_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }

    fn read(events: u64) -> Read {
        Read { events, ..Read::default() }
    }

    #[test]
    fn a_source_that_falls_silent_is_told_once_and_again_after_it_spoke() {
        let sources = Sources::default();
        sources.add("http:a", &read(1), at(0));
        sources.add("cresset:centre", &read(1), at(0));
        assert!(sources.fallen_silent(60, at(59)).is_empty());
        assert_eq!(sources.fallen_silent(60, at(61)), [("http:a".to_owned(), 61)]);
        assert!(sources.fallen_silent(60, at(90)).is_empty());
        sources.add("http:a", &read(1), at(100));
        assert_eq!(sources.fallen_silent(60, at(170)), [("http:a".to_owned(), 70)]);
    }

    #[test]
    fn a_steady_source_has_its_rate() {
        let sources = Sources::default();
        (0..600).for_each(|second| sources.add("http:a", &read(10), at(second)));
        let rate = sources.all()[0].rate_at(at(600));
        assert!((9.0..11.0).contains(&rate), "{rate}");
        assert!(sources.all()[0].rate_at(at(900)) < 0.1);
    }

    #[test]
    fn names_without_end_are_counted_together() {
        let sources = Sources::default();
        (0..SOURCES_MAX + 5).for_each(|name| sources.add_lost(&format!("syslog-udp:{name}"), 1));
        let all = sources.all();
        assert_eq!(all.len(), SOURCES_MAX + 1);
        assert_eq!(all.iter().find(|source| source.row.name == OTHERS).map(|source| source.row.lost), Some(5));
    }
}
