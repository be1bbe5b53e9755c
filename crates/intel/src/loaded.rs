//! What a feed gave: indicators, and everything that did not become one.
//!
//! Always: each entry of a feed is an indicator, a duplicate, refused (kept or counted) or an object of another kind.

use std::collections::BTreeMap;

use cresset_event::{Indicator, ObservableKind, Timestamp};

/// Most indicators that one file gives: at about 500 bytes each they fill 2 GiB. The rest is counted as refused.
pub const INDICATORS_MAX: usize = 4_000_000;
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

/// What a feed gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// What the caller named it.
    pub file: String,
    /// In what form it came.
    pub kind: FeedKind,
    /// The indicators, in the order of the file. A STIX pattern of n comparisons gives n of the same id.
    pub indicators: Vec<Indicator>,
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

impl Loaded {
    pub(crate) fn new(file: &str, kind: FeedKind) -> Self {
        Self {
            file: file.to_owned(),
            kind,
            indicators: Vec::new(),
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

    /// Returns how many indicators there are of each type.
    pub fn summary(&self) -> BTreeMap<ObservableKind, usize> {
        let mut by_kind = BTreeMap::new();
        for indicator in &self.indicators {
            *by_kind.entry(indicator.matcher.kind()).or_default() += 1;
        }
        by_kind
    }

    /// Returns how many entries were refused, listed or not.
    pub fn refused_count(&self) -> usize {
        self.refused.len() + self.refused_unlisted
    }

    /// Returns how many indicators count at `moment`, and why the others do not.
    pub fn standing(&self, moment: Timestamp) -> Standing {
        let mut standing = Standing::default();
        for Indicator { validity, .. } in &self.indicators {
            let place = if validity.revoked {
                &mut standing.revoked
            } else if validity.until_exclusive.is_some_and(|until| until <= moment) {
                &mut standing.expired
            } else if validity.holds_at(moment) {
                &mut standing.in_force
            } else {
                &mut standing.not_yet
            };
            *place += 1;
        }
        standing
    }
}
