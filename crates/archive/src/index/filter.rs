//! A filter over the keys of a file: what it denies is not there; of a hundred absent keys it lets one or two pass.
//!
//! A split-block Bloom filter, as Parquet has them: one block of 32 bytes a key, with one bit in each of seven words; the
//! eighth is the block's CRC-32, so that a bit that has turned hides nothing. Hashes are XXH64 with seed 0.

use std::ops::Range;

use twox_hash::XxHash64;

/// Bytes of a block.
pub(crate) const BLOCK_BYTES: usize = 32;
/// Words of a block that have bits of keys.
const WORDS: usize = 7;
/// Bits a key.
const BITS_A_KEY: u64 = 12;
/// Odd numbers that choose a bit in each word: the salts of Parquet's filter.
const SALTS: [u32; WORDS] = [0x47b6_137b, 0x4497_4d91, 0x8824_ad5b, 0xa2b7_289d, 0x7054_95c7, 0x2df1_424b, 0x9efc_4947];

/// A filter that is being made.
#[derive(Debug)]
pub(crate) struct FilterBuilder {
    blocks: Vec<[u32; WORDS]>,
}

impl FilterBuilder {
    /// Returns an empty filter for at most so many keys.
    pub(crate) fn new(keys_max: u64) -> Self {
        let blocks = (keys_max * BITS_A_KEY).div_ceil(32 * WORDS as u64).max(1);
        Self { blocks: vec![[0; WORDS]; usize::try_from(blocks).expect("it fits the memory")] }
    }

    /// Adds a key.
    pub(crate) fn add(&mut self, key: &[u8]) {
        let hash = XxHash64::oneshot(0, key);
        let block = block_of(hash, self.blocks.len() as u64) as usize;
        for (word, salt) in self.blocks[block].iter_mut().zip(SALTS) {
            *word |= bit_of(hash, salt);
        }
    }

    /// Returns its bytes.
    pub(crate) fn finish(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.blocks.len() * BLOCK_BYTES);
        for block in self.blocks {
            let start = bytes.len();
            block.iter().for_each(|word| bytes.extend(word.to_le_bytes()));
            let crc = crc32fast::hash(&bytes[start..]);
            bytes.extend(crc.to_le_bytes());
        }
        bytes
    }
}

/// Returns where in a filter of so many bytes the block of a key lies.
pub(crate) fn place_of(key: &[u8], filter_bytes: u64) -> Range<u64> {
    let start = block_of(XxHash64::oneshot(0, key), filter_bytes / BLOCK_BYTES as u64) * BLOCK_BYTES as u64;
    start..start + BLOCK_BYTES as u64
}

/// Returns whether a key may be there; `None` where the block is damaged.
pub(crate) fn may_have(block: &[u8], key: &[u8]) -> Option<bool> {
    let (words, crc) = block.split_at_checked(4 * WORDS)?;
    if crc32fast::hash(words).to_le_bytes() != *crc {
        return None;
    }
    let hash = XxHash64::oneshot(0, key);
    let mut words = words.chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().expect("four bytes")));
    Some(SALTS.into_iter().all(|salt| words.next().is_some_and(|word| word & bit_of(hash, salt) != 0)))
}

/// The upper half of the hash chooses the block, the lower one the bits.
fn block_of(hash: u64, blocks: u64) -> u64 {
    ((hash >> 32) * blocks) >> 32
}

fn bit_of(hash: u64, salt: u32) -> u32 {
    1 << ((hash as u32).wrapping_mul(salt) >> 27)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_there_and_nearly_nothing_else() {
        let mut filter = FilterBuilder::new(10_000);
        let key = |number: u32| number.to_le_bytes();
        (0..10_000).for_each(|number| filter.add(&key(number)));
        let bytes = filter.finish();
        let may_have = |number: u32| {
            let place = place_of(&key(number), bytes.len() as u64);
            may_have(&bytes[place.start as usize..place.end as usize], &key(number)).expect("it is whole")
        };
        assert!((0..10_000).all(may_have));
        let passed = (10_000..110_000).filter(|number| may_have(*number)).count();
        assert!(passed < 2_000, "{passed} of 100,000 pass");
    }
}
