//! What a correlation counts, as a digest: remembered events are of use to the very same correlation only.
//!
//! It covers the correlation and, in turn, all that it builds on: events that an older version of a rule let through are not
//! to be counted under the new one. Titles, levels and other words for people are left out.

use std::fmt::{self, Debug, Write};

use cresset_event::hex;
use rsigma_parser::SigmaRule;
use sha2::{Digest as _, Sha256};

/// SHA-256 over a definition.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Digest([u8; 32]);

impl Digest {
    /// Returns the digest of the logic of a detection rule, filters included.
    pub(crate) fn of_rule(rule: &SigmaRule) -> Self {
        let source = &rule.logsource;
        let mut named: Vec<_> = rule.detection.named.iter().collect();
        named.sort_by_key(|(name, _)| *name);
        Self::of(&(&source.product, &source.category, &source.service, named, &rule.detection.conditions))
    }

    /// Returns the digest of a value. Its debugging form says all there is of it; where a later version writes it otherwise,
    /// what was remembered counts as of another rule, and no harm is done.
    pub(super) fn of(value: &dyn Debug) -> Self {
        let mut hashing = Hashing(Sha256::new());
        write!(hashing, "{value:?}").expect("hashing takes any text");
        Self(hashing.0.finalize().into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

struct Hashing(Sha256);

impl Write for Hashing {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}

/// Returns 64 bits that tell lists of texts apart, in every version of this program: they are remembered over a restart.
pub(super) fn digest_of_texts(texts: impl Iterator<Item = String>) -> u64 {
    let mut digest = Sha256::new();
    for text in texts {
        digest.update((text.len() as u64).to_le_bytes());
        digest.update(text.as_bytes());
    }
    let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(digest.finalize());
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}
