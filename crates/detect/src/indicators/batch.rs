//! Records that are put in together, with the hashes that their places are found by.
//!
//! The tables are in memory that is far away. Asked for one record after another they cost that way each time; asked for
//! all of a batch before the first is put in, several are on their way at once.

use std::ops::Range;

/// Records one behind another.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) bytes: Vec<u8>,
    records: Vec<Hashed>,
}

#[derive(Debug)]
struct Hashed {
    bytes: Range<usize>,
    hashes: Hashes,
}

/// Where a record stands in the tables by value and by id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hashes {
    pub(crate) value: u64,
    pub(crate) id: u64,
}

impl Batch {
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.records.clear();
    }

    /// Takes what was added to `bytes` from `start` on as a record.
    pub(crate) fn push(&mut self, start: usize, hashes: Hashes) {
        self.records.push(Hashed { bytes: start..self.bytes.len(), hashes });
    }

    /// Returns the hashes of each record.
    pub(crate) fn hashes(&self) -> impl Iterator<Item = Hashes> {
        self.records.iter().map(|record| record.hashes)
    }

    /// Returns each record with its hashes.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], Hashes)> {
        self.records.iter().map(|record| (&self.bytes[record.bytes.clone()], record.hashes))
    }
}
