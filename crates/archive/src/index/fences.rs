//! Where blocks begin, and which keys are in which.
//!
//! Between each two blocks stands the shortest of the keys that are greater than all of the one and not greater than any
//! of the other. They lie so that a binary search reads them where they are.

use std::ops::Range;

use bytes::Bytes;

use crate::index::block::common_len;

/// Collects fences.
#[derive(Debug, Default)]
pub(crate) struct FencesWriter {
    starts: Vec<u64>,
    ends: Vec<u32>,
    fences: Vec<u8>,
}

/// Fences that were read.
#[derive(Debug, Clone)]
pub(crate) struct Fences {
    bytes: Bytes,
    blocks: usize,
}

impl FencesWriter {
    /// Adds a block that begins at `start` and with `key`, behind one that ended with `last_key`; `None` where there is no
    /// room for it.
    pub(crate) fn push(&mut self, start: u64, last_key: &[u8], key: &[u8]) -> Option<()> {
        if !self.starts.is_empty() {
            self.fences.extend_from_slice(&key[..key.len().min(common_len(last_key, key) + 1)]);
        }
        self.starts.push(start);
        self.ends.push(u32::try_from(self.fences.len()).ok()?);
        Some(())
    }

    pub(crate) fn len(&self) -> u64 {
        self.starts.len() as u64
    }

    /// Returns the bytes, the last block ending at `end`.
    pub(crate) fn finish(self, end: u64) -> Vec<u8> {
        let starts = self.starts.iter().chain([&end]).flat_map(|start| start.to_le_bytes());
        let ends = self.ends.iter().flat_map(|end| end.to_le_bytes());
        starts.chain(ends).chain(self.fences).collect()
    }
}

impl Fences {
    /// Takes the fences of so many blocks, which fill `0..end`; `None` where they are not that.
    pub(crate) fn new(bytes: Bytes, blocks: u64, end: u64) -> Option<Self> {
        let blocks = usize::try_from(blocks).ok()?;
        let numbers = blocks.checked_mul(12)?.checked_add(8)?;
        let fences = Self { bytes, blocks };
        let fence_bytes = fences.bytes.len().checked_sub(numbers)?;
        let rises = |at| fences.start(at) < fences.start(at + 1) && (at == 0 || fences.end(at - 1) <= fences.end(at));
        let is_whole = (0..blocks).all(rises)
            && (fences.start(0), fences.start(blocks)) == (if blocks == 0 { end } else { 0 }, end)
            && blocks.checked_sub(1).map_or(0, |last| fences.end(last)) == fence_bytes;
        is_whole.then_some(fences)
    }

    /// Returns how many blocks there are.
    pub(crate) fn blocks(&self) -> usize {
        self.blocks
    }

    /// Returns where a block lies.
    pub(crate) fn place(&self, block: usize) -> Range<u64> {
        self.start(block)..self.start(block + 1)
    }

    /// Returns the block that a key is in if it is in any, where there are blocks.
    pub(crate) fn block_of(&self, key: &[u8]) -> usize {
        self.count(|fence| fence <= key).saturating_sub(1)
    }

    /// Returns the blocks that keys from one to before another may be in.
    pub(crate) fn blocks_of(&self, first: &[u8], end_exclusive: &[u8]) -> Range<usize> {
        if first >= end_exclusive {
            return 0..0;
        }
        self.block_of(first)..self.count(|fence| fence < end_exclusive)
    }

    /// Returns how many of the first blocks have a fence for which that holds.
    fn count(&self, holds: impl Fn(&[u8]) -> bool) -> usize {
        let (mut low, mut high) = (0, self.blocks);
        while low < high {
            let middle = low + (high - low) / 2;
            if holds(self.fence(middle)) { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// Returns what stands before a block; nothing does before the first.
    fn fence(&self, block: usize) -> &[u8] {
        let start = if block == 0 { 0 } else { self.end(block - 1) };
        &self.bytes[self.blocks * 12 + 8..][start..self.end(block)]
    }

    fn start(&self, block: usize) -> u64 {
        u64::from_le_bytes(*self.bytes[block * 8..].first_chunk().expect("the length was checked"))
    }

    fn end(&self, block: usize) -> usize {
        let at = (self.blocks + 1) * 8 + block * 4;
        u32::from_le_bytes(*self.bytes[at..].first_chunk().expect("the length was checked")) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fences() -> Vec<u8> {
        let mut writer = FencesWriter::default();
        for (start, last_key, key) in [(0, "", "apple"), (10, "bar", "baz"), (30, "baz", "bazooka"), (31, "c", "e")] {
            writer.push(start, last_key.as_bytes(), key.as_bytes()).expect("room");
        }
        writer.finish(40)
    }

    #[test]
    fn a_key_has_its_block() {
        let fences = Fences::new(fences().into(), 4, 40).expect("whole");
        for (key, block) in [("", 0), ("apple", 0), ("bar", 0), ("baz", 1), ("bazo", 2), ("c", 2), ("e", 3), ("z", 3)] {
            assert_eq!(fences.block_of(key.as_bytes()), block, "{key}");
        }
        assert_eq!(fences.blocks_of(b"bar", b"baz"), 0..1);
        assert_eq!(fences.blocks_of(b"bar", b"baza"), 0..2);
        assert_eq!(fences.blocks_of(b"", b"zz"), 0..4);
        assert_eq!(fences.blocks_of(b"b", b"b"), 0..0);
        assert_eq!((fences.place(0), fences.place(3)), (0..10, 31..40));
    }

    #[test]
    fn fences_of_another_length_are_none() {
        let bytes = fences();
        assert!(Fences::new(bytes.clone().into(), 4, 41).is_none());
        assert!(Fences::new(bytes.clone().into(), u64::MAX, 40).is_none());
        (0..bytes.len()).for_each(|len| assert!(Fences::new(bytes[..len].to_vec().into(), 4, 40).is_none()));
        assert!(Fences::new(FencesWriter::default().finish(0).into(), 0, 0).is_some());
    }
}
