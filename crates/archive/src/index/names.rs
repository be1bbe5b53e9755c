//! The names that sightings refer to by number: hosts, sources and fields.

use std::collections::HashMap;

use crate::wire::{Taker, put_bytes, put_number};

/// Most bytes of names that a file may have, before compression. Ten million hosts of twenty letters take a fifth of it.
const NAMES_BYTES_MAX: usize = 1 << 30;

/// The names of a file, each list in the order of its bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) hosts: NameList,
    pub(crate) sources: NameList,
    pub(crate) fields: NameList,
}

/// Names by their numbers, from 0; in one text, for there are many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct NameList {
    text: String,
    /// Where each ends.
    ends: Vec<u32>,
}

impl NameList {
    /// Adds the next name.
    fn push(&mut self, name: &str) {
        self.text.push_str(name);
        self.ends.push(u32::try_from(self.text.len()).expect("names have a bound"));
    }

    /// Returns how many there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns the name of a number.
    pub(crate) fn text(&self, number: u32) -> Option<&str> {
        let end = *self.ends.get(number as usize)?;
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before as usize]);
        Some(&self.text[start as usize..end as usize])
    }

    /// Returns the names in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..).map_while(|number| self.text(number))
    }
}

impl Names {
    /// Returns the bytes that they are stored as; `None` where they are too many.
    pub(crate) fn encode(&self) -> Option<Vec<u8>> {
        let mut plain = Vec::new();
        for list in [&self.hosts, &self.sources, &self.fields] {
            put_number(&mut plain, list.len() as u64);
            list.iter().for_each(|name| put_bytes(&mut plain, name.as_bytes()));
        }
        let len = u32::try_from(plain.len()).ok().filter(|len| *len as usize <= NAMES_BYTES_MAX)?;
        let mut stored = len.to_le_bytes().to_vec();
        stored.extend(zstd::bulk::compress(&plain, 3).ok()?);
        Some(stored)
    }

    /// Reads what [`Names::encode`] wrote; `None` where it cannot have.
    pub(crate) fn decode(stored: &[u8]) -> Option<Self> {
        let (len, compressed) = stored.split_first_chunk::<4>()?;
        let len = usize::try_from(u32::from_le_bytes(*len)).ok().filter(|len| *len <= NAMES_BYTES_MAX)?;
        let plain = zstd::bulk::decompress(compressed, len).ok()?;
        let mut reader = Taker::new(&plain);
        let mut list = || decode_list(&mut reader);
        let names = Self { hosts: list()?, sources: list()?, fields: list()? };
        reader.is_empty().then_some(names)
    }
}

fn decode_list(reader: &mut Taker<'_>) -> Option<NameList> {
    let mut list = NameList::default();
    let mut last = None;
    for _ in 0..reader.number()? {
        let name = reader.text()?;
        if last.replace(name).is_some_and(|last| last >= name) {
            return None;
        }
        list.push(name);
    }
    Some(list)
}

/// Numbers names in the order in which they come.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    numbers: HashMap<Box<str>, u32, foldhash::fast::RandomState>,
    /// The last, which most often is the next as well.
    last: String,
    last_number: Option<u32>,
}

impl Interner {
    /// Returns the number of a name.
    pub(crate) fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.last_number.filter(|_| self.last == name) {
            return number;
        }
        let number = match self.numbers.get(name) {
            Some(number) => *number,
            None => {
                let number = u32::try_from(self.numbers.len()).expect("names are fewer than bytes of memory");
                self.numbers.insert(name.into(), number);
                number
            }
        };
        self.last.clear();
        self.last.push_str(name);
        self.last_number = Some(number);
        number
    }

    /// Returns the names in order, and by the number of each its place among them.
    pub(crate) fn into_sorted(self) -> (NameList, Vec<u32>) {
        let mut names: Vec<(Box<str>, u32)> = self.numbers.into_iter().collect();
        names.sort_unstable();
        let mut places = vec![0; names.len()];
        for (place, (_, number)) in names.iter().enumerate() {
            places[*number as usize] = place as u32;
        }
        let mut list = NameList::default();
        names.iter().for_each(|(name, _)| list.push(name));
        (list, places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_in_order() {
        let mut interner = Interner::default();
        let numbers: Vec<u32> = ["b", "a", "a", "c", "b"].into_iter().map(|name| interner.number(name)).collect();
        let (hosts, places) = interner.into_sorted();
        assert_eq!((numbers, &*places), (vec![0, 1, 1, 2, 0], [1, 0, 2].as_slice()));
        let names = Names { hosts, ..Names::default() };
        assert_eq!(Names::decode(&names.encode().expect("few")), Some(names));
    }

    #[test]
    fn names_of_another_length_are_none() {
        let mut stored = Names::default().encode().expect("few");
        stored[0] += 1;
        assert!(Names::decode(&stored).is_some_and(|names| names == Names::default()));
        stored[0] -= 2;
        assert_eq!(Names::decode(&stored), None);
        assert_eq!(Names::decode(&[255; 20]), None);
    }
}
