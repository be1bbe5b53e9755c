//! Takes what the readers of the formats find: passes indicators on, counts duplicates, keeps the bounds of [`Feed`].

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::BuildHasher;

use cresset_event::{Indicator, Timestamp, Validity};
use foldhash::{fast, quality};

use crate::feed::{Feed, FeedKind, INDICATORS_MAX, REFUSED_KEPT_MAX, Refused, Taken};
use crate::text::shortened;

/// Longest quote of a refused entry: a line of a terminal or two.
const QUOTE_BYTES_MAX: usize = 160;
/// Longest reason: it may quote a value or an error as well.
const REASON_BYTES_MAX: usize = 400;
/// Most types of other objects that are told apart. STIX 2.1 defines 41; ATT&CK adds 9. The rest is one type `(others)`.
const OTHER_TYPES_MAX: usize = 128;
/// Longest name of a type (STIX 2.1 §3.1 allows 250 characters; the known ones have 30 at most).
const TYPE_BYTES_MAX: usize = 64;

/// Where a refused entry stands.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place<'p> {
    /// A line, counted from 1.
    Line(u64),
    /// An object, by its id where it has one.
    Object(Option<&'p str>),
    /// The file as a whole.
    File,
}

/// What was found so far.
pub(crate) struct Collector<'n> {
    name: &'n str,
    feed: Feed,
    take: &'n mut dyn FnMut(Taken),
    /// Until when an indicator counts, by its id and matcher, of which 128 bits stand for the two: the keys of the hashes
    /// are known to nobody, so that two that are alike cannot be made, and are not met by chance.
    seen: HashMap<[u64; 2], Span, fast::RandomState>,
    hashers: [quality::RandomState; 2],
    indicators_over: usize,
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
    pub(crate) fn new(name: &'n str, kind: FeedKind, take: &'n mut dyn FnMut(Taken)) -> Self {
        let (seen, hashers) = (HashMap::default(), Default::default());
        Self { name, feed: Feed::new(name, kind), take, seen, hashers, indicators_over: 0 }
    }

    /// Returns what the caller calls the file.
    pub(crate) fn name(&self) -> &'n str {
        self.name
    }

    /// Takes an indicator. Of two with the same id and matcher the one that holds longer counts.
    pub(crate) fn offer(&mut self, indicator: Indicator) {
        let key = self.hashers.each_ref().map(|hasher| hasher.hash_one((&indicator.id, &indicator.matcher)));
        let span = Span::of(indicator.validity);
        let replaces = match self.seen.entry(key) {
            Entry::Occupied(mut known) => {
                self.feed.duplicates += 1;
                if span.until_exclusive <= known.get().until_exclusive {
                    return;
                }
                Some(known.insert(span).validity())
            }
            Entry::Vacant(_) if self.feed.indicators >= INDICATORS_MAX => {
                self.indicators_over += 1;
                return;
            }
            Entry::Vacant(entry) => {
                entry.insert(span);
                self.feed.indicators += 1;
                None
            }
        };
        (self.take)(Taken { indicator, replaces });
    }

    /// Notes an entry that is not taken.
    pub(crate) fn refuse(&mut self, place: Place<'_>, reason: impl AsRef<str>, quote: &str) {
        if self.feed.refused.len() >= REFUSED_KEPT_MAX {
            self.feed.refused_unlisted += 1;
            return;
        }
        let (line, object) = match place {
            Place::Line(line) => (Some(line), None),
            Place::Object(id) => (None, id.map(|id| shortened(id, QUOTE_BYTES_MAX))),
            Place::File => (None, None),
        };
        let reason = shortened(reason.as_ref(), REASON_BYTES_MAX);
        let quote = shortened(quote.trim(), QUOTE_BYTES_MAX);
        self.feed.refused.push(Refused { file: self.name.to_owned(), line, object, reason, quote });
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
