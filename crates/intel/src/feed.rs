//! What a feed gave: indicators, one by one, and everything that did not become one.
//!
//! Always: each entry of a feed is an indicator, a duplicate, refused (kept or counted) or an object of another kind.

use std::collections::BTreeMap;

use cresset_event::{Indicator, ObservableKind, Timestamp, Validity};

/// Most indicators that one file gives: what is kept of each to tell duplicates comes to 40 bytes, and 640 MB for as many.
/// The rest is counted as refused.
pub const INDICATORS_MAX: usize = 1 << 24;
/// Most refusals that are kept with their quote: more than a person reads. The rest is counted in
/// [`Loaded::refused_unlisted`].
pub const REFUSED_KEPT_MAX: usize = 1_000;

/// In what form a feed came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedKind {
    /// STIX objects as JSON: a bundle, an envelope of TAXII, an array, or objects one after another.
    Stix,
    /// Columns divided by comma, semicolon or tab.
    Csv,
    /// One value a line.
    List,
}

/// What a feed gave beside its indicators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feed {
    /// What the caller named it.
    pub file: String,
    /// In what form it came.
    pub kind: FeedKind,
    /// How many indicators there are; those that took the place of another do not count again.
    pub indicators: usize,
    /// What could not become one, in the order it was met, [`REFUSED_KEPT_MAX`] at most.
    pub refused: Vec<Refused>,
    /// How many more were refused.
    pub refused_unlisted: usize,
    /// How many entries said again what another of the same file says: the same value of the same source, or an object
    /// in another version (the newest counts).
    pub duplicates: usize,
    /// How many objects are no indicators, by their STIX type.
    pub other_objects: BTreeMap<String, usize>,
    /// How many STIX indicators carry a marking, which is not kept yet.
    pub marked: usize,
}

/// An indicator of a feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The indicator. A STIX pattern of n comparisons gives n of the same id.
    pub indicator: Indicator,
    /// When the one counted whose place it takes: of the same feed, id and value, and no longer valid than this one.
    pub replaces: Option<Validity>,
}

/// A small feed with all its indicators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The indicators, in the order of the file.
    pub indicators: Vec<Indicator>,
    /// Everything else.
    pub feed: Feed,
}

/// An entry that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The file, as the caller named it.
    pub file: String,
    /// Its line, counted from 1; `None` for a STIX object.
    pub line: Option<u64>,
    /// Its STIX id, where it has one.
    pub object: Option<String>,
    /// Why, and the remedy where there is one.
    pub reason: String,
    /// What it said, shortened. As hostile as the file: whoever shows it escapes it.
    pub quote: String,
}

/// How many indicators count at a moment. Each indicator is in exactly one of the four.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// Counts now.
    pub in_force: usize,
    /// Its `valid_from` is still to come.
    pub not_yet: usize,
    /// Its `valid_until` has passed.
    pub expired: usize,
    /// Taken back by its author, whatever its times say.
    pub revoked: usize,
}

/// Indicators counted, by type and by what they are at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// How many there are of each type.
    pub kinds: BTreeMap<ObservableKind, usize>,
    /// How many count.
    pub standing: Standing,
    moment: Timestamp,
}

impl Feed {
    pub(crate) fn new(file: &str, kind: FeedKind) -> Self {
        Self {
            file: file.to_owned(),
            kind,
            indicators: 0,
            refused: Vec::new(),
            refused_unlisted: 0,
            duplicates: 0,
            other_objects: BTreeMap::new(),
            marked: 0,
        }
    }

    /// Returns a feed that could not be read at all, for the list of what was refused.
    pub fn unreadable(file: &str, reason: impl Into<String>) -> Self {
        let refused =
            Refused { file: file.to_owned(), line: None, object: None, reason: reason.into(), quote: String::new() };
        Self { refused: vec![refused], ..Self::new(file, FeedKind::List) }
    }

    /// Returns how many entries were refused, listed or not.
    pub fn refused_count(&self) -> usize {
        self.refused.len() + self.refused_unlisted
    }
}

impl Tally {
    /// Returns a count of nothing, as it is at `moment`.
    pub fn new(moment: Timestamp) -> Self {
        Self { kinds: BTreeMap::new(), standing: Standing::default(), moment }
    }

    /// Counts an indicator, and no longer the one whose place it takes.
    pub fn add(&mut self, taken: &Taken) {
        match taken.replaces {
            Some(before) => *self.place(before) -= 1,
            None => *self.kinds.entry(taken.indicator.matcher.kind()).or_default() += 1,
        }
        *self.place(taken.indicator.validity) += 1;
    }

    fn place(&mut self, validity: Validity) -> &mut usize {
        let Self { standing, moment, .. } = self;
        if validity.revoked {
            &mut standing.revoked
        } else if validity.until_exclusive.is_some_and(|until| until <= *moment) {
            &mut standing.expired
        } else if validity.holds_at(*moment) {
            &mut standing.in_force
        } else {
            &mut standing.not_yet
        }
    }
}
