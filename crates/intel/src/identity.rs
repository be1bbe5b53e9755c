//! The id of an indicator that came without one: derived from its source, type and value.
//!
//! A UUID of version 8 (RFC 9562 §5.8) over SHA-256, so that a list that is loaded again gives the same ids. Such an id
//! tells whoever can guess the value that it is listed: it is for use at home and is replaced before anything is shared.

use std::sync::Arc;

use cresset_event::{IndicatorId, Matcher, ObservableKind};
use hashbrown::HashMap;
use sha2::{Digest, Sha256};

use crate::text::{NAME_BYTES_MAX, shortened};

/// Keeps these ids apart from others that are made of the same text.
const CONTEXT: &str = "cresset indicator 1";

/// Most sources that are remembered: feeds have a few, and where each line has its own, remembering them is of no use.
const SOURCES_MAX: usize = 256;

/// What the indicators of each source have alike, for one thread: counts of holders that two threads change would go to and
/// fro between them.
#[derive(Debug, Default)]
pub(crate) struct Sources(HashMap<String, Source, foldhash::fast::RandomState>);

/// A source of indicators.
#[derive(Debug)]
pub(crate) struct Source {
    /// Its name, shortened.
    pub(crate) author: Arc<str>,
    /// What the digests of all its ids begin with.
    named: Sha256,
    /// And what they go on with before the value, by [`ObservableKind::index`].
    typed: [Option<Sha256>; ObservableKind::ALL.len()],
}

impl Sources {
    /// Returns a source by its name.
    pub(crate) fn get(&mut self, name: &str) -> &mut Source {
        if self.0.len() >= SOURCES_MAX && !self.0.contains_key(name) {
            self.0.clear();
        }
        self.0.entry_ref(name).or_insert_with(|| Source {
            author: shortened(name, NAME_BYTES_MAX).into(),
            named: Sha256::new().with(CONTEXT).with(name),
            typed: [const { None }; ObservableKind::ALL.len()],
        })
    }
}

impl Source {
    /// Returns the id of `matcher` as this source lists it.
    pub(crate) fn derived_id(&mut self, matcher: &Matcher) -> IndicatorId {
        let kind = matcher.kind();
        let typed = self.typed[kind.index()].get_or_insert_with(|| self.named.clone().with(kind.stix_path()));
        let digest = typed.clone().with(&matcher.text());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest.finalize()[..16]);
        bytes[6] = bytes[6] & 0x0f | 0x80;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        IndicatorId::of_uuid(bytes)
    }
}

/// A digest of parts, each with its length before it.
trait Parts {
    fn with(self, part: &str) -> Self;
}

impl Parts for Sha256 {
    fn with(mut self, part: &str) -> Self {
        self.update((part.len() as u64).to_le_bytes());
        self.update(part);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_value_of_the_same_source_has_the_same_id() {
        let matcher = Matcher::parse("evil.example").unwrap();
        let mut sources = Sources::default();
        let mut derived = |source, matcher: &Matcher| sources.get(source).derived_id(matcher);
        let id = derived("list.txt", &matcher);
        assert_eq!(id, derived("list.txt", &Matcher::parse("EVIL[.]example").unwrap()));
        assert_ne!(id, derived("other.txt", &matcher));
        assert_ne!(id, derived("list.txt", &Matcher::parse("evil2.example").unwrap()));
        let id = id.to_string();
        assert_eq!(id, "indicator--9c21c798-b1ba-85c4-a153-2300530d0e56", "as in earlier versions");
        let uuid = id.strip_prefix("indicator--").unwrap();
        let lengths: Vec<usize> = uuid.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert!(uuid[14..].starts_with('8') && "89ab".contains(&uuid[19..20]), "version 8, variant 2: {uuid}");
    }
}
