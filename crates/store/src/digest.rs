//! Digests and random secrets, as texts.

use cresset_event::hex;
use sha2::{Digest, Sha256};

use crate::error::StoreError;

/// Bytes of a secret: 256 bits, which nobody tries out.
const SECRET_BYTES: usize = 32;
/// Bytes of a public id.
const ID_BYTES: usize = 8;

/// Returns the SHA-256 of parts, each with its length before it, so that `ab`+`c` differs from `a`+`bc`.
pub(crate) fn digest(parts: &[&[u8]]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    hex(&digest.finalize())
}

/// Returns a new secret.
pub(crate) fn secret() -> Result<String, StoreError> {
    random::<SECRET_BYTES>()
}

/// Returns a new id that is guessed by nobody and shared by no two.
pub(crate) fn new_id() -> Result<String, StoreError> {
    random::<ID_BYTES>()
}

fn random<const N: usize>() -> Result<String, StoreError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| StoreError::io("the system's randomness".as_ref(), error.into()))?;
    Ok(hex(&bytes))
}
