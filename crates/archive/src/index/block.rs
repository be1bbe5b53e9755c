//! A block: some keys in order, each without what it has in common with the one before, and behind them what is known of each.
//!
//! It is decoded as a whole and then gone through from the front. A value that is not looked for is stepped over unread.

use zstd::bulk::{Compressor, Decompressor};

use crate::wire::{Taker, has_crc32, put_bytes, put_number};

/// Bytes at which a block is full, before compression: little to read for one value, and enough to compress.
pub(crate) const BLOCK_BYTES: usize = 4096;
/// Longest block, before compression. A value has a block for itself where it must: seen on ten million hosts it takes
/// 50 MB.
pub(crate) const BLOCK_BYTES_MAX: usize = 1 << 28;
/// Bytes around what is stored: how, how long before, and the CRC-32.
const FRAME_BYTES: usize = 1 + 4 + 4;
/// How hard blocks are compressed: reading them again is what counts.
const ZSTD_LEVEL: i32 = 1;

const STORED_AS_IS: u8 = 0;
const STORED_BY_ZSTD: u8 = 1;

/// Collects the entries of a block.
pub(crate) struct BlockWriter {
    compressor: Compressor<'static>,
    keys: Vec<u8>,
    values: Vec<u8>,
    last_key: Vec<u8>,
    entries: u64,
    /// Memory for the block as it is stored.
    plain: Vec<u8>,
    stored: Vec<u8>,
}

impl BlockWriter {
    pub(crate) fn new() -> Self {
        Self {
            compressor: Compressor::new(ZSTD_LEVEL).expect("it is a level that there is"),
            keys: Vec::new(),
            values: Vec::new(),
            last_key: Vec::new(),
            entries: 0,
            plain: Vec::new(),
            stored: Vec::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries == 0
    }

    pub(crate) fn is_full(&self) -> bool {
        self.keys.len() + self.values.len() >= BLOCK_BYTES
    }

    /// Adds a key and the bytes of what is known of it.
    pub(crate) fn push(&mut self, key: &[u8], value: &[u8]) {
        let shared = if self.is_empty() { 0 } else { common_len(&self.last_key, key) };
        put_number(&mut self.keys, shared as u64);
        put_number(&mut self.keys, value.len() as u64);
        put_bytes(&mut self.keys, &key[shared..]);
        self.values.extend_from_slice(value);
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
        self.entries += 1;
    }

    /// Returns the block as it is stored, and begins the next; `None` where it is too long.
    pub(crate) fn finish(&mut self) -> Option<&[u8]> {
        self.plain.clear();
        put_number(&mut self.plain, self.entries);
        put_bytes(&mut self.plain, &self.keys);
        self.plain.extend_from_slice(&self.values);
        self.keys.clear();
        self.values.clear();
        self.entries = 0;
        let len = u32::try_from(self.plain.len()).ok().filter(|len| *len as usize <= BLOCK_BYTES_MAX)?;
        let compressed = self.compressor.compress(&self.plain).ok().filter(|bytes| bytes.len() < self.plain.len());
        self.stored.clear();
        self.stored.push(if compressed.is_some() { STORED_BY_ZSTD } else { STORED_AS_IS });
        self.stored.extend_from_slice(&len.to_le_bytes());
        self.stored.extend_from_slice(compressed.as_deref().unwrap_or(&self.plain));
        let crc = crc32fast::hash(&self.stored);
        self.stored.extend_from_slice(&crc.to_le_bytes());
        Some(&self.stored)
    }
}

/// Decodes blocks, one after another into the same memory.
pub(crate) struct BlockDecoder {
    decompressor: Decompressor<'static>,
    plain: Vec<u8>,
}

impl BlockDecoder {
    pub(crate) fn new() -> Self {
        Self { decompressor: Decompressor::new().expect("there is memory for it"), plain: Vec::new() }
    }

    /// Decodes a block; `None` where it is not as it was written.
    pub(crate) fn decode(&mut self, stored: &[u8]) -> Option<()> {
        self.plain.clear();
        let (body, crc) = stored.split_last_chunk::<4>()?;
        if body.len() < FRAME_BYTES - 4 || !has_crc32(body, u32::from_le_bytes(*crc)) {
            return None;
        }
        let mut body = Taker::new(body);
        let how = body.byte()?;
        let len = usize::try_from(u32::from_le_bytes(body.array()?)).ok().filter(|len| *len <= BLOCK_BYTES_MAX)?;
        let bytes = body.rest();
        match how {
            STORED_AS_IS => self.plain.extend_from_slice(bytes),
            STORED_BY_ZSTD => {
                self.plain.reserve(len);
                self.decompressor.decompress_to_buffer(bytes, &mut self.plain).ok()?;
            }
            _ => return None,
        }
        (self.plain.len() == len).then_some(())
    }

    /// Returns the block that was decoded last.
    pub(crate) fn plain(&self) -> &[u8] {
        &self.plain
    }
}

/// A place in a block: an entry, of which the key is at hand.
#[derive(Debug, Default)]
pub(crate) struct Position {
    key: Vec<u8>,
    entries_left: u64,
    /// Where the next key stands, and where the keys end.
    next_key: usize,
    keys_end: usize,
    /// Where the value of this entry stands.
    value: std::ops::Range<usize>,
}

impl Position {
    /// Goes before the first entry of a block; `None` where it is none.
    pub(crate) fn enter(&mut self, plain: &[u8]) -> Option<()> {
        // Whatever fails, nothing is left to go to.
        *self = Self { key: std::mem::take(&mut self.key), ..Self::default() };
        self.key.clear();
        let mut reader = Taker::new(plain);
        let entries = reader.number()?;
        let keys = reader.bytes()?.len();
        self.keys_end = plain.len() - reader.rest().len();
        self.next_key = self.keys_end - keys;
        self.value = self.keys_end..self.keys_end;
        self.entries_left = entries;
        Some(())
    }

    /// Returns whether the block has another entry.
    pub(crate) fn has_next(&self) -> bool {
        self.entries_left > 0
    }

    /// Goes to the next entry; `None`, and to the end, where the block does not say what it is.
    pub(crate) fn advance(&mut self, plain: &[u8]) -> Option<()> {
        let entries_left = std::mem::take(&mut self.entries_left).checked_sub(1)?;
        let mut reader = Taker::new(plain.get(self.next_key..self.keys_end)?);
        let (shared, value_len) = (reader.len()?, reader.len()?);
        let rest = reader.bytes()?;
        self.next_key = self.keys_end - reader.rest().len();
        if shared > self.key.len() {
            return None;
        }
        self.key.truncate(shared);
        self.key.extend_from_slice(rest);
        let end = self.value.end.checked_add(value_len).filter(|end| *end <= plain.len())?;
        self.value = self.value.end..end;
        self.entries_left = entries_left;
        Some(())
    }

    /// Returns the key of the entry.
    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }

    /// Returns the bytes of what is known of it.
    pub(crate) fn value<'p>(&self, plain: &'p [u8]) -> &'p [u8] {
        plain.get(self.value.clone()).unwrap_or_default()
    }
}

/// Returns how many bytes two keys begin with alike.
pub(crate) fn common_len(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn entries_come_back_as_they_went_in(entries in proptest::collection::btree_map(
            proptest::collection::vec(0_u8..4, 0..12),
            proptest::collection::vec(any::<u8>(), 0..40),
            1..60,
        )) {
            let mut writer = BlockWriter::new();
            entries.iter().for_each(|(key, value)| writer.push(key, value));
            let stored = writer.finish().expect("it is short").to_vec();
            let (mut decoder, mut at) = (BlockDecoder::new(), Position::default());
            decoder.decode(&stored).expect("as it was written");
            at.enter(decoder.plain()).expect("a block");
            for (key, value) in &entries {
                prop_assert!(at.has_next() && at.advance(decoder.plain()).is_some());
                prop_assert_eq!((at.key(), at.value(decoder.plain())), (&**key, &**value));
            }
            prop_assert!(!at.has_next());
        }

        #[test]
        fn any_bytes_are_gone_through(plain in proptest::collection::vec(prop_oneof![0_u8..8, any::<u8>()], 0..80)) {
            let mut at = Position::default();
            let mut steps = 0;
            if at.enter(&plain).is_some() {
                while at.has_next() && at.advance(&plain).is_some() {
                    at.value(&plain);
                    steps += 1;
                }
            }
            prop_assert!(steps <= plain.len());
        }
    }
}
