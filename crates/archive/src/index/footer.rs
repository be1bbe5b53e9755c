//! What a file ends with: where its parts lie, their checksums, and what is in it.

use std::ops::Range;

use crate::wire::{Taker, has_crc32};

/// What every file ends with.
const MAGIC: &[u8; 8] = b"CRESSIDX";
/// The version of the format.
const VERSION: u32 = 1;
/// Bytes of the footer.
pub(crate) const FOOTER_BYTES: u64 = 14 * 8;

/// What the footer says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Footer {
    /// Bytes of the parts, which lie one behind another: blocks, filter, fences, names.
    pub(crate) lens: [u64; 4],
    /// Their checksums.
    pub(crate) crcs: [u32; 4],
    /// How many blocks and keys there are.
    pub(crate) blocks: u64,
    pub(crate) keys: u64,
    /// How often all values were seen together.
    pub(crate) sightings: u64,
    /// Earliest and latest time, where any is known.
    pub(crate) times: Option<(i64, i64)>,
}

/// A part of a file, in the order in which they lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Blocks,
    Filter,
    Fences,
    Names,
}

impl Part {
    /// Returns what a person calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Blocks => "blocks",
            Self::Filter => "filter",
            Self::Fences => "fences",
            Self::Names => "names",
        }
    }
}

impl Footer {
    /// Returns where a part lies.
    pub(crate) fn place(&self, part: Part) -> Range<u64> {
        let start = self.lens[..part as usize].iter().sum::<u64>();
        start..start + self.lens[part as usize]
    }

    /// Returns the time that the others are told from.
    pub(crate) fn base(&self) -> i64 {
        self.times.map_or(0, |(first, _)| first)
    }

    /// Returns the bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let (first, last) = self.times.unwrap_or((0, 0));
        let counts = [self.blocks, self.keys, self.sightings, first as u64, last as u64];
        let mut bytes: Vec<u8> = self.lens.into_iter().chain(counts).flat_map(u64::to_le_bytes).collect();
        let small = self.crcs.into_iter().chain([u32::from(self.times.is_some()), VERSION]);
        bytes.extend(small.flat_map(u32::to_le_bytes));
        // Room that is not used yet.
        bytes.extend([0; 4]);
        let crc = crc32fast::hash(&bytes);
        bytes.extend(crc.to_le_bytes());
        bytes.extend(MAGIC);
        bytes
    }

    /// Reads what ends a file of so many bytes, or says what is wrong with it.
    pub(crate) fn decode(bytes: &[u8], file_bytes: u64) -> Result<Self, &'static str> {
        let (fields, magic) = bytes.split_last_chunk::<8>().ok_or("its footer is missing")?;
        let (fields, crc) = fields.split_last_chunk::<4>().ok_or("its footer is missing")?;
        if magic != MAGIC {
            return Err("it does not end as an index does");
        }
        if !has_crc32(fields, u32::from_le_bytes(*crc)) {
            return Err("its footer has another checksum");
        }
        let (footer, version) = Self::take(&mut Taker::new(fields)).ok_or("its footer is cut")?;
        if version != VERSION {
            return Err("it is of a version that this program does not know");
        }
        let all = footer.lens.iter().try_fold(FOOTER_BYTES, |sum, len| sum.checked_add(*len));
        if all == Some(file_bytes) { Ok(footer) } else { Err("it is not as long as its footer says") }
    }

    fn take(fields: &mut Taker<'_>) -> Option<(Self, u32)> {
        let mut long = || fields.array().map(u64::from_le_bytes);
        let lens = [long()?, long()?, long()?, long()?];
        let (blocks, keys, sightings) = (long()?, long()?, long()?);
        let (first, last) = (long()? as i64, long()? as i64);
        let mut short = || fields.array().map(u32::from_le_bytes);
        let crcs = [short()?, short()?, short()?, short()?];
        let (has_times, version) = (short()?, short()?);
        let times = (has_times == 1).then_some((first, last));
        Some((Self { lens, crcs, blocks, keys, sightings, times }, version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_back_as_it_went_in() {
        let footer = Footer {
            lens: [1, 2, 3, 4],
            crcs: [5, 6, 7, 8],
            blocks: 9,
            keys: 10,
            sightings: 11,
            times: Some((-12, 13)),
        };
        let mut bytes = footer.encode();
        assert_eq!(bytes.len() as u64, FOOTER_BYTES);
        assert_eq!(Footer::decode(&bytes, FOOTER_BYTES + 10), Ok(footer));
        assert_eq!(footer.place(Part::Fences), 3..6);
        assert!(Footer::decode(&bytes, FOOTER_BYTES + 11).is_err());
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Footer::decode(&bytes, FOOTER_BYTES + 10).is_err());
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}
