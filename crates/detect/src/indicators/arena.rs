//! The bytes of records, in pages that never move: a record added never copies the others.
//!
//! A place that is given back is kept by its length and given to the next record of that length: feeds renew themselves
//! with values of the same kinds, so that a set that is added to and expires stays as large as it is.

use std::fmt;

/// Bytes of a page. Whole pages are asked for, and the system fills them as they are written to.
const PAGE_BYTES: usize = 1 << 20;
/// Records begin at multiples of this, so that 31 bits address 4 GiB.
const UNIT_BYTES: usize = 2;
const PAGE_UNITS: usize = PAGE_BYTES / UNIT_BYTES;
/// Most pages: 4 GiB, about 90 million indicators. A record past it finds no room.
const PAGES_MAX: usize = (1 << 31) / PAGE_UNITS;
/// Longest record. What `intel` reads stays below 16 KiB: a value of 8 KiB, eight references, a name.
pub(crate) const RECORD_BYTES_MAX: usize = 1 << 16;

/// Where a record stands. The topmost bit is free.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place(pub(crate) u32);

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// The pages.
#[derive(Debug, Default)]
pub(crate) struct Arena {
    pages: Vec<Box<[u8]>>,
    /// Where in the last page the unwritten part begins.
    end: usize,
    /// By length in units: the place that was given back last. Each holds the number of the one before, 0 for none, and is
    /// one more than that place.
    free: Vec<u32>,
}

impl Arena {
    /// Writes a record, and returns where; `None` where there is no room for it.
    pub(crate) fn store(&mut self, record: &[u8]) -> Option<Place> {
        if record.len() > RECORD_BYTES_MAX {
            return None;
        }
        let place = match self.take_free(units(record.len())) {
            Some(place) => place,
            None => self.take_new(units(record.len()))?,
        };
        self.bytes_mut(place)[..record.len()].copy_from_slice(record);
        Some(place)
    }

    /// Writes a record over one of the same length.
    pub(crate) fn overwrite(&mut self, place: Place, record: &[u8]) {
        self.bytes_mut(place)[..record.len()].copy_from_slice(record);
    }

    /// Returns the record at a place and what stands behind it.
    pub(crate) fn bytes(&self, place: Place) -> &[u8] {
        let (page, at) = position(place);
        &self.pages[page][at..]
    }

    fn bytes_mut(&mut self, place: Place) -> &mut [u8] {
        let (page, at) = position(place);
        &mut self.pages[page][at..]
    }

    /// Takes back the place of a record of `len` bytes.
    pub(crate) fn give_back(&mut self, place: Place, len: usize) {
        let units = units(len);
        if self.free.len() <= units {
            self.free.resize(units + 1, 0);
        }
        let before = std::mem::replace(&mut self.free[units], place.0 + 1);
        self.bytes_mut(place)[..4].copy_from_slice(&before.to_le_bytes());
    }

    fn take_free(&mut self, units: usize) -> Option<Place> {
        let place = Place(self.free.get(units)?.checked_sub(1)?);
        let link = self.bytes(place).first_chunk().expect("every record has four bytes");
        self.free[units] = u32::from_le_bytes(*link);
        Some(place)
    }

    fn take_new(&mut self, units: usize) -> Option<Place> {
        if self.pages.is_empty() || self.end + units > PAGE_UNITS {
            if self.pages.len() == PAGES_MAX {
                return None;
            }
            self.pages.push(vec![0; PAGE_BYTES].into_boxed_slice());
            self.end = 0;
        }
        let unit = (self.pages.len() - 1) * PAGE_UNITS + self.end;
        self.end += units;
        Some(Place(u32::try_from(unit).expect("the bound of pages fits")))
    }
}

fn units(len: usize) -> usize {
    len.max(4).div_ceil(UNIT_BYTES)
}

fn position(place: Place) -> (usize, usize) {
    let unit = place.0 as usize;
    (unit / PAGE_UNITS, unit % PAGE_UNITS * UNIT_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_is_used_again() {
        let mut arena = Arena::default();
        let places: Vec<Place> = (0..3_u8).map(|n| arena.store(&[n; 9]).expect("room")).collect();
        arena.give_back(places[0], 9);
        arena.give_back(places[2], 9);
        assert_ne!(arena.store(&[7; 21]), Some(places[0]), "another length");
        assert_eq!(arena.store(&[8; 10]), Some(places[2]), "as long, in units");
        assert_eq!(arena.store(&[9; 9]), Some(places[0]));
        assert!(arena.store(&[9; 9]) > Some(places[2]));
        assert_eq!((arena.bytes(places[1])[..9].to_vec(), arena.bytes(places[2])[0]), (vec![1; 9], 8));
    }

    #[test]
    fn records_do_not_cross_pages_and_have_a_longest() {
        let mut arena = Arena::default();
        let long = vec![1; RECORD_BYTES_MAX];
        for _ in 0..40 {
            let place = arena.store(&long).expect("room");
            assert_eq!(arena.bytes(place)[..long.len()], long);
        }
        assert_eq!(arena.store(&vec![1; RECORD_BYTES_MAX + 1]), None);
    }
}
