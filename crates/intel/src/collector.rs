//! Gathers what the readers of the formats find: counts duplicates, keeps the bounds of [`Loaded`].

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::BuildHasher;

use cresset_event::{Indicator, Validity};

use crate::loaded::{FeedKind, INDICATORS_MAX, Loaded, REFUSED_KEPT_MAX, Refused};
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
#[derive(Debug)]
pub(crate) struct Collector<'n> {
    name: &'n str,
    loaded: Loaded,
    /// Position of an indicator by the hash of its id and matcher: the pair itself would double the memory.
    seen: HashMap<u64, usize>,
    hasher: RandomState,
    indicators_over: usize,
}

impl<'n> Collector<'n> {
    pub(crate) fn new(name: &'n str, kind: FeedKind) -> Self {
        let hasher = RandomState::new();
        Self { name, loaded: Loaded::new(name, kind), seen: HashMap::new(), hasher, indicators_over: 0 }
    }

    /// Returns what the caller calls the file.
    pub(crate) fn name(&self) -> &'n str {
        self.name
    }

    /// Takes an indicator. Of two with the same id and matcher the one that holds longer is kept.
    pub(crate) fn offer(&mut self, indicator: Indicator) {
        let key = self.hasher.hash_one((&indicator.id, &indicator.matcher));
        let position = self.loaded.indicators.len();
        match self.seen.entry(key) {
            Entry::Occupied(entry) => {
                let known = &mut self.loaded.indicators[*entry.get()];
                if known.id == indicator.id && known.matcher == indicator.matcher {
                    if holds_longer(indicator.validity, known.validity) {
                        *known = indicator;
                    }
                    self.loaded.duplicates += 1;
                    return;
                }
            }
            Entry::Vacant(entry) if position < INDICATORS_MAX => {
                entry.insert(position);
            }
            Entry::Vacant(_) => {}
        }
        if position < INDICATORS_MAX {
            self.loaded.indicators.push(indicator);
        } else {
            self.indicators_over += 1;
        }
    }

    /// Notes an entry that is not taken.
    pub(crate) fn refuse(&mut self, place: Place<'_>, reason: impl AsRef<str>, quote: &str) {
        if self.loaded.refused.len() >= REFUSED_KEPT_MAX {
            self.loaded.refused_unlisted += 1;
            return;
        }
        let (line, object) = match place {
            Place::Line(line) => (Some(line), None),
            Place::Object(id) => (None, id.map(|id| shortened(id, QUOTE_BYTES_MAX))),
            Place::File => (None, None),
        };
        let reason = shortened(reason.as_ref(), REASON_BYTES_MAX);
        let quote = shortened(quote.trim(), QUOTE_BYTES_MAX);
        self.loaded.refused.push(Refused { file: self.name.to_owned(), line, object, reason, quote });
    }

    /// Counts entries that said what another one of the file says.
    pub(crate) fn count_duplicate(&mut self) {
        self.loaded.duplicates += 1;
    }

    /// Counts an indicator that carries a marking.
    pub(crate) fn count_marked(&mut self) {
        self.loaded.marked += 1;
    }

    /// Counts an object that is no indicator.
    pub(crate) fn count_other(&mut self, stix_type: &str) {
        let others = &mut self.loaded.other_objects;
        let mut name = shortened(stix_type, TYPE_BYTES_MAX);
        if others.len() >= OTHER_TYPES_MAX && !others.contains_key(&name) {
            name = "(others)".to_owned();
        }
        *others.entry(name).or_default() += 1;
    }

    /// Returns all that was found.
    pub(crate) fn finish(mut self) -> Loaded {
        if self.indicators_over > 0 {
            let over = self.indicators_over;
            let reason = format!("{over} indicators are over the bound of {INDICATORS_MAX} a file; split it");
            self.refuse(Place::File, reason, "");
            self.loaded.refused_unlisted += over - 1;
        }
        self.loaded
    }
}

fn holds_longer(one: Validity, other: Validity) -> bool {
    let end = |validity: Validity| (!validity.revoked, validity.until_exclusive.is_none(), validity.until_exclusive);
    end(one) > end(other)
}
