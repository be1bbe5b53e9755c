//! What the entries of a feed come to, in their order, before a [`Collector`](crate::collector::Collector) has seen them.

use std::hash::BuildHasher;
use std::sync::Arc;

use cresset_event::Indicator;
use foldhash::quality;

use crate::feed::Refused;
use crate::text::shortened;

/// Longest quote of a refused entry: a line of a terminal or two.
const QUOTE_BYTES_MAX: usize = 160;
/// Longest reason: it may quote a value or an error as well.
const REASON_BYTES_MAX: usize = 400;

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

/// What an entry comes to.
#[derive(Debug, Clone)]
pub(crate) enum Found {
    Indicator(Fingerprint, Indicator),
    Refused(Refused),
}

/// Stands for an indicator's id and what it looks for: the keys of the hashes are known to nobody, so that two that are alike cannot
/// be made, and are not met by chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint([u64; 2]);

/// Makes the fingerprints of one feed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fingerprints([quality::RandomState; 2]);

/// Collects what entries come to.
#[derive(Debug)]
pub(crate) struct Findings {
    file: Arc<str>,
    fingerprints: Fingerprints,
    pub(crate) found: Vec<Found>,
}

impl Fingerprint {
    /// Returns a hash of it.
    pub(crate) fn hash(self) -> u64 {
        self.0[0]
    }
}

impl Fingerprints {
    pub(crate) fn of(&self, indicator: &Indicator) -> Fingerprint {
        Fingerprint(
            self.0.each_ref().map(|hasher| hasher.hash_one((&indicator.id, &indicator.matcher, &indicator.also))),
        )
    }
}

impl Findings {
    pub(crate) fn new(file: &str, fingerprints: Fingerprints) -> Self {
        Self { file: file.into(), fingerprints, found: Vec::new() }
    }

    /// Returns empty ones for another thread: with a name of the file of its own, for a count of holders that two threads
    /// change goes to and fro between them.
    pub(crate) fn for_thread(&self) -> Self {
        Self::new(&self.file, self.fingerprints.clone())
    }

    /// Returns what the caller calls the file.
    pub(crate) fn file(&self) -> &Arc<str> {
        &self.file
    }

    /// Notes an indicator.
    pub(crate) fn offer(&mut self, indicator: Indicator) {
        self.found.push(Found::Indicator(self.fingerprints.of(&indicator), indicator));
    }

    /// Notes an entry that is not taken.
    pub(crate) fn refuse(&mut self, line: u64, reason: impl AsRef<str>, quote: &str) {
        self.found.push(Found::Refused(refused(&self.file, Place::Line(line), reason.as_ref(), quote)));
    }
}

/// Returns what is kept of an entry that is not taken.
pub(crate) fn refused(file: &str, place: Place<'_>, reason: &str, quote: &str) -> Refused {
    let (line, object) = match place {
        Place::Line(line) => (Some(line), None),
        Place::Object(id) => (None, id.map(|id| shortened(id, QUOTE_BYTES_MAX))),
        Place::File => (None, None),
    };
    let reason = shortened(reason, REASON_BYTES_MAX);
    let quote = shortened(quote.trim(), QUOTE_BYTES_MAX);
    Refused { file: file.to_owned(), line, object, reason, quote }
}
