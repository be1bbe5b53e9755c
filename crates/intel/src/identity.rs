//! The id of an indicator that came without one: derived from its source, type and value.
//!
//! A UUID of version 8 (RFC 9562 §5.8) over SHA-256, so that a list that is loaded again gives the same ids. Such an id
//! tells whoever can guess the value that it is listed: it is for use at home and is replaced before anything is shared.

use cresset_event::{IndicatorId, Matcher};
use sha2::{Digest, Sha256};

/// Keeps these ids apart from others that are made of the same text.
const CONTEXT: &str = "cresset indicator 1";

/// Returns the id of `matcher` as `source` lists it.
pub(crate) fn derived_id(source: &str, matcher: &Matcher) -> IndicatorId {
    let mut digest = Sha256::new();
    for part in [CONTEXT, source, matcher.kind().stix_path(), &matcher.text()] {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.finalize()[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    IndicatorId::of_uuid(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_value_of_the_same_source_has_the_same_id() {
        let matcher = Matcher::parse("evil.example").unwrap();
        let derived = derived_id;
        let id = derived("list.txt", &matcher);
        assert_eq!(id, derived("list.txt", &Matcher::parse("EVIL[.]example").unwrap()));
        assert_ne!(id, derived("other.txt", &matcher));
        assert_ne!(id, derived("list.txt", &Matcher::parse("evil2.example").unwrap()));
        let id = id.to_string();
        let uuid = id.strip_prefix("indicator--").unwrap();
        let lengths: Vec<usize> = uuid.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert!(uuid[14..].starts_with('8') && "89ab".contains(&uuid[19..20]), "version 8, variant 2: {uuid}");
    }
}
