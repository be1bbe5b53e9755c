//! What makes two records the same event.
//!
//! It depends on what the source can promise (`DESIGN.md` section 2): a Windows event log numbers its records; a file
//! has an identity and an offset; a stream has neither, and what is read from it twice counts twice. Content goes into
//! every id, so that a number used again after a log was cleared is another event. SHA-256, because an attacker who
//! could make two records of one id could hide the second.

use std::fmt;

use sha2::{Digest, Sha256};

/// The identity of an event: the same record read again has the same one. Shown as a UUID of version 8 (RFC 9562).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId([u8; 16]);

impl EventId {
    /// Returns the id of these 16 bytes, as [`EventId::as_bytes`] gave them.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the 16 bytes of the UUID.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Reads an id as it is shown, and in no other form.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = u128::from_str_radix(&text.replace('-', ""), 16).ok()?;
        Some(Self(digits.to_be_bytes())).filter(|id| id.to_string() == text)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_uuid(&self.0, f)
    }
}

/// Returns bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes 16 bytes in the form of a UUID.
pub fn write_uuid(bytes: &[u8; 16], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (i, byte) in bytes.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            f.write_str("-")?;
        }
        write!(f, "{byte:02x}")?;
    }
    Ok(())
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventId({self})")
    }
}

/// What a source can promise about the identity of its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceIdentity {
    /// The records number themselves (channel, computer, record number): the same wherever the file lies.
    Numbered,
    /// A file, told by a digest of its device, inode and how it begins; a record by its offset in it.
    File([u8; 32]),
    /// A request that may be sent again, told by a digest of its sender and the key that the sender gave it; a record by its
    /// number in it.
    Request([u8; 32]),
    /// Records that the sender has given keys, told by a digest of the sender and of what the keys are unique in; a record by
    /// 64 bits of its key, in place of an offset, wherever it stands. (Content goes into the id as well: what has the same
    /// bits and is not the same is another event.)
    Keyed([u8; 32]),
    /// A stream that cannot be read again, told by when its reading began: at least once, never merged.
    Stream {
        /// Nanoseconds since 1970 at which the reading began.
        began_nanos: i64,
    },
}

impl SourceIdentity {
    /// Returns the identity of a file with this device and inode, and with what tells it from others that had them.
    pub fn of_file(device: u64, inode: u64, first_bytes: &[u8]) -> Self {
        let mut digest = IdDigest::new("file");
        digest.part(&device.to_le_bytes());
        digest.part(&inode.to_le_bytes());
        digest.part(first_bytes);
        Self::File(digest.0.finalize().into())
    }

    /// Returns the identity of a request of this sender with this key of its own (`Idempotency-Key`).
    pub fn of_request(sender: &str, key: &str) -> Self {
        Self::Request(digest_of("request", &[sender, key]))
    }

    /// Returns the identity of records whose keys are unique in this space of this sender.
    pub fn of_keyed(sender: &str, space: &str) -> Self {
        Self::Keyed(digest_of("keyed", &[sender, space]))
    }

    /// Returns what of a record's key goes into its place.
    pub fn key_bits(key: &str) -> u64 {
        let digest = digest_of("key", &[key]);
        u64::from_le_bytes(digest[..8].try_into().expect("eight of them"))
    }
}

fn digest_of(kind: &str, parts: &[&str]) -> [u8; 32] {
    let mut digest = IdDigest::new(kind);
    parts.iter().for_each(|part| digest.part(part.as_bytes()));
    digest.0.finalize().into()
}

/// A digest over parts, each with its length before it, so that `ab`+`c` differs from `a`+`bc`.
pub struct IdDigest(Sha256);

impl IdDigest {
    /// Begins the digest of a thing of this kind.
    pub fn new(kind: &str) -> Self {
        let mut digest = Self(Sha256::new());
        digest.part(kind.as_bytes());
        digest
    }

    /// Adds a part.
    pub fn part(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    /// Returns the digest as a UUID of version 8 (RFC 9562).
    pub fn finish(self) -> [u8; 16] {
        let digest = self.0.finalize();
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        id[6] = (id[6] & 0x0f) | 0x80;
        id[8] = (id[8] & 0x3f) | 0x80;
        id
    }

    /// Returns the digest as such a UUID is shown.
    pub fn finish_text(self) -> String {
        EventId(self.finish()).to_string()
    }
}
