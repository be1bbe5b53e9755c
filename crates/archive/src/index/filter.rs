//! Which keys may be in a file: a Bloom filter of blocks that are read one by one.
//!
//! All bits of a key are in one block of 32 bytes: seven words of 32 bits, of each of which it sets one bit, and a CRC-32
//! over them, so that a block that was read alone is known to be as it was written. There are as many blocks as a power of
//! two, and a key's block is told by the highest bits of its hash: a filter that was made for more keys than came is folded
//! to the size that fits, and no trace is left of what was expected.

use crate::wire::has_crc32;

/// Bytes of a block.
pub(crate) const BLOCK_BYTES: usize = 32;
const WORDS: usize = 7;
/// Fewest bits for a key, of which most files have more, up to twice as many: at most one in a hundred keys that are not
/// there is looked for in vain.
const KEY_BITS_MIN: u64 = 10;
/// Most blocks: 64 GiB.
const BLOCKS_MAX: u64 = 1 << 31;
/// Multipliers that pick the bit of each word (those of Parquet's split-block filter).
const SALTS: [u32; WORDS] = [0x47b6_137b, 0x4497_4d91, 0x8824_ad5b, 0xa2b7_289d, 0x7054_95c7, 0x2df1_424b, 0x9efc_4947];

/// A filter that is being made.
#[derive(Debug)]
pub(crate) struct FilterWriter {
    blocks: Vec<[u32; WORDS]>,
    keys: u64,
}

impl FilterWriter {
    /// Returns a filter with room for so many keys.
    pub(crate) fn new(keys_max: u64) -> Self {
        let blocks = usize::try_from(blocks_for(keys_max)).expect("the filter has room in memory");
        Self { blocks: vec![[0; WORDS]; blocks], keys: 0 }
    }

    /// Adds a key that is not in it.
    pub(crate) fn add(&mut self, key: &[u8]) {
        let hash = hash(key);
        let at = block_of(hash, self.blocks.len() as u64) as usize;
        self.blocks[at].iter_mut().zip(bits(hash)).for_each(|(word, bit)| *word |= bit);
        self.keys += 1;
    }

    /// Returns the bytes, of as many blocks as the keys need that came.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        let wanted = blocks_for(self.keys) as usize;
        while self.blocks.len() > wanted {
            self.fold();
        }
        let mut bytes = Vec::with_capacity(self.blocks.len() * BLOCK_BYTES);
        for block in &self.blocks {
            let start = bytes.len();
            block.iter().for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
            let crc = crc32fast::hash(&bytes[start..]);
            bytes.extend_from_slice(&crc.to_le_bytes());
        }
        bytes
    }

    /// Lays each two blocks that stand together over each other.
    fn fold(&mut self) {
        let half = self.blocks.len() / 2;
        for at in 0..half {
            let (low, high) = (self.blocks[2 * at], self.blocks[2 * at + 1]);
            self.blocks[at] = std::array::from_fn(|word| low[word] | high[word]);
        }
        self.blocks.truncate(half);
    }
}

/// Returns which block of so many a key is in.
pub(crate) fn block_of(hash: u64, blocks: u64) -> u64 {
    ((hash >> 32) * blocks) >> 32
}

/// Returns whether a block has the bits of a key; `None` where it is not as it was written.
pub(crate) fn may_hold(block: &[u8], hash: u64) -> Option<bool> {
    let (words, crc) = block.split_last_chunk::<4>()?;
    if words.len() != WORDS * 4 || !has_crc32(words, u32::from_le_bytes(*crc)) {
        return None;
    }
    let words = words.chunks_exact(4).map(|word| word.iter().rev().fold(0, |all, byte| all << 8 | u32::from(*byte)));
    Some(words.zip(bits(hash)).all(|(word, bit)| word & bit != 0))
}

/// Hashes a key: FNV-1a in 64 bits, and then the finaliser of MurmurHash3, for FNV leaves the highest bits too much alike.
pub(crate) fn hash(key: &[u8]) -> u64 {
    let mut hash = key
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ hash >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ hash >> 33
}

fn bits(hash: u64) -> [u32; WORDS] {
    SALTS.map(|salt| 1 << ((hash as u32).wrapping_mul(salt) >> 27))
}

/// Returns how many blocks a filter of so many keys has.
pub(crate) fn blocks_for(keys: u64) -> u64 {
    let bits = keys.saturating_mul(KEY_BITS_MIN);
    bits.div_ceil(WORDS as u64 * 32)
        .max(1)
        .checked_next_power_of_two()
        .map_or(BLOCKS_MAX, |blocks| blocks.min(BLOCKS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_as_it_is_written_down() {
        assert_eq!(hash(b""), 0xefd0_1f60_ba99_2926);
        assert_eq!(hash(b"a"), 0x82a2_a958_a9be_ce5b);
        assert_eq!(hash(b"\x03example\x01evil"), 0x32c8_37fc_66cb_ff4a);
    }

    #[test]
    fn a_filter_made_for_more_is_the_same() {
        for keys in [0_u32, 1, 22, 23, 1000] {
            let make = |keys_max| {
                let mut filter = FilterWriter::new(keys_max);
                (0..keys).for_each(|key| filter.add(&key.to_le_bytes()));
                filter.finish()
            };
            assert_eq!(make(keys.into()), make(100_000), "{keys}");
        }
    }

    #[test]
    fn what_is_in_is_found_and_little_else() {
        const KEYS: u32 = 22_900;
        let mut filter = FilterWriter::new(KEYS.into());
        (0..KEYS).for_each(|key| filter.add(&key.to_le_bytes()));
        let bytes = filter.finish();
        let holds = |key: u32| {
            let hash = hash(&key.to_le_bytes());
            let at = block_of(hash, (bytes.len() / BLOCK_BYTES) as u64) as usize * BLOCK_BYTES;
            may_hold(&bytes[at..at + BLOCK_BYTES], hash).expect("it is as it was written")
        };
        assert!((0..KEYS).all(holds));
        let wrong = (KEYS..KEYS * 10).filter(|key| holds(*key)).count();
        assert!(wrong < KEYS as usize * 9 / 70, "{wrong}");
    }

    #[test]
    fn a_block_with_another_bit_is_not_read() {
        let mut block = FilterWriter::new(1).finish();
        assert_eq!(may_hold(&block, 0), Some(false));
        (0..block.len() * 8).for_each(|bit| {
            block[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(may_hold(&block, 0), None);
            block[bit / 8] ^= 1 << (bit % 8);
        });
        assert_eq!(may_hold(&block[..31], 0), None);
    }
}
