//! Takes what the readers of the formats find: passes indicators on, counts duplicates, keeps the bounds of [`Feed`].

use std::hint::black_box;

use cresset_event::{Indicator, Timestamp, Validity};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::feed::{Feed, FeedKind, INDICATORS_MAX, REFUSED_KEPT_MAX, Refused, Taken};
use crate::findings::{Findings, Fingerprint, Fingerprints, Found, Place, refused};
use crate::text::shortened;

/// Most types of other objects that are told apart. STIX 2.1 defines 41; ATT&CK adds 9. The rest is one type `(others)`.
const OTHER_TYPES_MAX: usize = 128;
/// Longest name of a type (STIX 2.1 §3.1 allows 250 characters; the known ones have 30 at most).
const TYPE_BYTES_MAX: usize = 64;

/// What was found so far.
pub(crate) struct Collector<'n> {
    name: &'n str,
    feed: Feed,
    take: &'n mut (dyn FnMut(Taken) + Send),
    /// What was taken, in its order.
    seen: Vec<Seen>,
    /// Where in `seen` an indicator is, by its fingerprint: small, for each look into it is one into memory far away.
    positions: HashTable<u32>,
    fingerprints: Fingerprints,
    indicators_over: usize,
}

/// Until when an indicator counts.
#[derive(Debug, Clone, Copy)]
struct Seen {
    fingerprint: Fingerprint,
    span: Span,
}

/// A validity in 16 bytes. One that is revoked lasts from the end of time to its beginning.
#[derive(Debug, Clone, Copy)]
struct Span {
    from_inclusive: Timestamp,
    until_exclusive: Timestamp,
}

const FIRST: Timestamp = Timestamp::from_nanos(i64::MIN);
const LAST: Timestamp = Timestamp::from_nanos(i64::MAX);

impl Span {
    fn of(validity: Validity) -> Self {
        if validity.revoked {
            return Self { from_inclusive: LAST, until_exclusive: FIRST };
        }
        Self {
            from_inclusive: validity.from_inclusive.unwrap_or(FIRST),
            until_exclusive: validity.until_exclusive.unwrap_or(LAST),
        }
    }

    fn validity(self) -> Validity {
        if self.from_inclusive > self.until_exclusive {
            return Validity { revoked: true, ..Validity::default() };
        }
        let bound = |time: Timestamp, open: Timestamp| (time != open).then_some(time);
        Validity {
            from_inclusive: bound(self.from_inclusive, FIRST),
            until_exclusive: bound(self.until_exclusive, LAST),
            revoked: false,
        }
    }
}

impl<'n> Collector<'n> {
    /// Returns one that has seen nothing; it is laid out for about so many indicators.
    pub(crate) fn new(
        name: &'n str,
        kind: FeedKind,
        indicators_expected: usize,
        take: &'n mut (dyn FnMut(Taken) + Send),
    ) -> Self {
        // An eighth is left to growth: a table for a few too many would stay twice as large as it has to be.
        let expected = indicators_expected.min(INDICATORS_MAX) / 8 * 7;
        Self {
            name,
            feed: Feed::new(name, kind),
            take,
            seen: Vec::with_capacity(expected),
            positions: HashTable::with_capacity(expected),
            fingerprints: Fingerprints::default(),
            indicators_over: 0,
        }
    }

    /// Returns what the caller calls the file.
    pub(crate) fn name(&self) -> &'n str {
        self.name
    }

    /// Returns where entries can be noted elsewhere, to be taken later.
    pub(crate) fn findings(&self) -> Findings {
        Findings::new(self.name, self.fingerprints.clone())
    }

    /// Takes what was noted.
    pub(crate) fn take(&mut self, findings: &mut Findings) {
        self.bring_near(findings);
        for found in findings.found.drain(..) {
            match found {
                Found::Indicator(fingerprint, indicator) => self.offer_as(fingerprint, indicator),
                Found::Refused(refused) => self.keep(refused),
            }
        }
    }

    /// Asks for all at once what will be asked for one by one: several looks into the memory are then on their way together.
    fn bring_near(&self, findings: &Findings) {
        let is_met = |found: &&Found| match found {
            Found::Indicator(fingerprint, _) => self.positions.find(fingerprint.hash(), |_| true).is_some(),
            Found::Refused(_) => false,
        };
        // The answer does not matter, and must not be found to be of no use.
        black_box(findings.found.iter().filter(is_met).count());
    }

    /// Takes an indicator. Of two with the same id and matcher the one that holds longer counts.
    pub(crate) fn offer(&mut self, indicator: Indicator) {
        self.offer_as(self.fingerprints.of(&indicator), indicator);
    }

    fn offer_as(&mut self, fingerprint: Fingerprint, indicator: Indicator) {
        let span = Span::of(indicator.validity);
        let Self { seen, positions, .. } = self;
        let at = |position: &u32| seen[*position as usize].fingerprint;
        let entry = positions.entry(fingerprint.hash(), |other| at(other) == fingerprint, |other| at(other).hash());
        let replaces = match entry {
            Entry::Occupied(position) => {
                self.feed.duplicates += 1;
                let known = &mut seen[*position.get() as usize].span;
                if span.until_exclusive <= known.until_exclusive {
                    return;
                }
                Some(std::mem::replace(known, span).validity())
            }
            Entry::Vacant(_) if self.feed.indicators >= INDICATORS_MAX => {
                self.indicators_over += 1;
                return;
            }
            Entry::Vacant(entry) => {
                entry.insert(seen.len() as u32);
                seen.push(Seen { fingerprint, span });
                self.feed.indicators += 1;
                None
            }
        };
        (self.take)(Taken { indicator, replaces });
    }

    /// Notes an entry that is not taken.
    pub(crate) fn refuse(&mut self, place: Place<'_>, reason: impl AsRef<str>, quote: &str) {
        self.keep(refused(self.name, place, reason.as_ref(), quote));
    }

    fn keep(&mut self, refused: Refused) {
        if self.feed.refused.len() < REFUSED_KEPT_MAX {
            self.feed.refused.push(refused);
        } else {
            self.feed.refused_unlisted += 1;
        }
    }

    /// Counts entries that said what another one of the file says.
    pub(crate) fn count_duplicate(&mut self) {
        self.feed.duplicates += 1;
    }

    /// Counts an indicator that carries a marking.
    pub(crate) fn count_marked(&mut self) {
        self.feed.marked += 1;
    }

    /// Counts an object that is no indicator.
    pub(crate) fn count_other(&mut self, stix_type: &str) {
        let others = &mut self.feed.other_objects;
        let mut name = shortened(stix_type, TYPE_BYTES_MAX);
        if others.len() >= OTHER_TYPES_MAX && !others.contains_key(&name) {
            name = "(others)".to_owned();
        }
        *others.entry(name).or_default() += 1;
    }

    /// Returns all that was found.
    pub(crate) fn finish(mut self) -> Feed {
        if self.indicators_over > 0 {
            let over = self.indicators_over;
            let reason = format!("{over} indicators are over the bound of {INDICATORS_MAX} a file; split it");
            self.refuse(Place::File, reason, "");
            self.feed.refused_unlisted += over - 1;
        }
        self.feed
    }
}
