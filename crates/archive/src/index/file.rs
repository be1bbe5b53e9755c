//! The file: blocks of keys with what is known of them, a filter, fences between the blocks, names, a footer.
//!
//! Only the footer and the fences are read when it is opened; a look-up reads the blocks that it needs, and the names when
//! something is found. Every part has a CRC-32: what has changed is an error, never another answer
//! (`what_was_changed_is_an_error_or_makes_no_difference`).

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::filter::{FilterBuilder, may_have, place_of};
use super::key::Wanted;
use super::sighting::{Names, Sighting};
use crate::error::ArchiveError;
use crate::storage::ReadRanges;
use crate::wire::{Taker, put_bytes, put_number};

/// What a file ends with; the last digit is the version.
const MAGIC: &[u8; 8] = b"CRSTIDX1";
/// Bytes of a block before it is compressed: little to read for one value, enough to compress.
const BLOCK_BYTES: usize = 4096;
/// How hard blocks are compressed: reading them again is what counts.
const ZSTD_LEVEL: i32 = 1;
/// Longest block. A value that was seen on a million hosts has some megabytes.
const BLOCK_BYTES_MAX: usize = 1 << 30;
/// Bytes of blocks that are read at once.
const READ_BYTES: u64 = 4 << 20;
/// Bytes of the footer.
const FOOTER_BYTES: u64 = 80;

/// Writes a file from the first key to the last.
pub(crate) struct FileWriter<W> {
    out: W,
    written: u64,
    base: i64,
    block: Vec<u8>,
    /// The last key of the block.
    last: Vec<u8>,
    filter: FilterBuilder,
    fences: Fences,
    keys: u64,
    sightings: u64,
}

/// Where blocks begin: their first keys and their places.
#[derive(Debug, Default)]
struct Fences {
    keys: Vec<u8>,
    key_ends: Vec<u32>,
    places: Vec<u64>,
}

/// What the footer says.
#[derive(Debug, Clone, Copy, Default)]
struct Footer {
    /// Where the filter, the fences and the names begin, and where those end.
    filter: u64,
    fences: u64,
    names: u64,
    names_end: u64,
    blocks: u64,
    keys: u64,
    sightings: u64,
    base: i64,
    fences_crc: u32,
}

impl<W: Write> FileWriter<W> {
    /// Begins a file of at most so many keys, none of whose times lies before `base`.
    pub(crate) fn new(out: W, keys_max: u64, base: i64) -> Self {
        Self {
            out,
            written: 0,
            base,
            block: Vec::new(),
            last: Vec::new(),
            filter: FilterBuilder::new(keys_max),
            fences: Fences::default(),
            keys: 0,
            sightings: 0,
        }
    }

    /// Adds a key, which is larger than those before.
    pub(crate) fn add(&mut self, key: &[u8], sighting: &Sighting) -> io::Result<()> {
        if self.block.len() >= BLOCK_BYTES {
            self.finish_block()?;
        }
        if self.block.is_empty() {
            self.fences.add(key, self.written);
            self.last.clear();
        }
        debug_assert!(self.last.is_empty() || &self.last[..] < key, "keys come in order, each once");
        let shared = self.last.iter().zip(key).take_while(|(one, other)| one == other).count();
        put_number(&mut self.block, shared as u64);
        put_bytes(&mut self.block, &key[shared..]);
        sighting.put(self.base, &mut self.block);
        self.last.clear();
        self.last.extend_from_slice(key);
        self.filter.add(key);
        self.keys += 1;
        self.sightings += sighting.count;
        Ok(())
    }

    fn finish_block(&mut self) -> io::Result<()> {
        let packed = pack(&self.block)?;
        self.block.clear();
        self.write(&packed)
    }

    /// Writes what else there is.
    pub(crate) fn finish(mut self, names: &Names) -> io::Result<W> {
        if !self.block.is_empty() {
            self.finish_block()?;
        }
        let mut footer = Footer { filter: self.written, base: self.base, keys: self.keys, ..Footer::default() };
        footer.sightings = self.sightings;
        footer.blocks = self.fences.places.len() as u64;
        let filter = std::mem::replace(&mut self.filter, FilterBuilder::new(0)).finish();
        self.write(&filter)?;
        footer.fences = self.written;
        let fences = std::mem::take(&mut self.fences).finish(footer.filter);
        footer.fences_crc = crc32fast::hash(&fences);
        self.write(&fences)?;
        footer.names = self.written;
        let mut texts = Vec::new();
        names.put(&mut texts);
        self.write(&pack(&texts)?)?;
        footer.names_end = self.written;
        self.write(&footer.to_bytes())?;
        Ok(self.out)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written += bytes.len() as u64;
        self.out.write_all(bytes)
    }
}

impl Fences {
    fn add(&mut self, key: &[u8], place: u64) {
        self.keys.extend_from_slice(key);
        self.key_ends.push(u32::try_from(self.keys.len()).expect("a file has fewer than 16 million blocks"));
        self.places.push(place);
    }

    /// The places of the blocks and of their end, 8 bytes each; where their first keys end, 4 bytes each; the keys.
    fn finish(self, end: u64) -> Vec<u8> {
        let places = self.places.iter().chain([&end]).flat_map(|place| place.to_le_bytes());
        let ends = self.key_ends.iter().flat_map(|end| end.to_le_bytes());
        places.chain(ends).chain(self.keys).collect()
    }
}

impl Footer {
    fn to_bytes(self) -> Vec<u8> {
        let Self { filter, fences, names, names_end, blocks, keys, sightings, base, fences_crc } = self;
        let numbers = [filter, fences, names, names_end, blocks, keys, sightings, base as u64];
        let mut bytes: Vec<u8> = numbers.into_iter().flat_map(u64::to_le_bytes).collect();
        bytes.extend(fences_crc.to_le_bytes());
        let crc = crc32fast::hash(&bytes);
        bytes.extend(crc.to_le_bytes());
        bytes.extend(MAGIC);
        bytes
    }

    fn parse(bytes: &[u8], file_bytes: u64) -> Option<Self> {
        let (fields, end) = bytes.split_at_checked(bytes.len().checked_sub(12)?)?;
        if end[..4] != crc32fast::hash(fields).to_le_bytes() || end[4..] != *MAGIC {
            return None;
        }
        let mut taker = Taker::new(fields);
        let mut number = || taker.array().map(u64::from_le_bytes);
        let footer = Self {
            filter: number()?,
            fences: number()?,
            names: number()?,
            names_end: number()?,
            blocks: number()?,
            keys: number()?,
            sightings: number()?,
            base: number()? as i64,
            fences_crc: taker.array().map(u32::from_le_bytes)?,
        };
        let places = [footer.filter, footer.fences, footer.names, footer.names_end, file_bytes];
        (places.is_sorted() && footer.blocks <= file_bytes).then_some(footer)
    }
}

/// A file that is looked into.
pub(crate) struct IndexFile {
    name: String,
    bytes: Arc<dyn ReadRanges>,
    footer: Footer,
    fences: Bytes,
    names: OnceLock<Arc<Names>>,
}

impl IndexFile {
    /// Opens a file, which is called so where something is wrong with it.
    pub(crate) fn open(name: &str, bytes: Arc<dyn ReadRanges>) -> Result<Self, ArchiveError> {
        let damaged = |reason: &str| ArchiveError::damaged(name, reason);
        let file_bytes = bytes.byte_len();
        let start = file_bytes.checked_sub(FOOTER_BYTES).ok_or_else(|| damaged("it is too short"))?;
        let footer = read_one(&*bytes, start..file_bytes)?;
        let footer = Footer::parse(&footer, start).ok_or_else(|| damaged("its end is none of an index"))?;
        let fences = read_one(&*bytes, footer.fences..footer.names)?;
        let file = Self { name: name.into(), bytes, footer, fences, names: OnceLock::new() };
        let is_whole = crc32fast::hash(&file.fences) == footer.fences_crc
            && file.fences.len() as u64 >= footer.blocks.saturating_mul(12).saturating_add(8);
        if is_whole { Ok(file) } else { Err(damaged("its fences are not as they were written")) }
    }

    /// Returns how many keys there are.
    pub(crate) fn keys(&self) -> u64 {
        self.footer.keys
    }

    /// Returns a time that is not later than any in the file.
    pub(crate) fn base(&self) -> i64 {
        self.footer.base
    }

    /// Returns the names that sightings refer to.
    pub(crate) fn names(&self) -> Result<Arc<Names>, ArchiveError> {
        if let Some(names) = self.names.get() {
            return Ok(Arc::clone(names));
        }
        let packed = read_one(&*self.bytes, self.footer.names..self.footer.names_end)?;
        let names = unpack(&packed).and_then(|bytes| Names::take(&mut Taker::new(&bytes)));
        let names = Arc::new(names.ok_or_else(|| self.damaged("its names"))?);
        Ok(Arc::clone(self.names.get_or_init(|| names)))
    }

    /// Passes to `found` what is known of each key that is looked for, with the place of what looks for it.
    pub(crate) fn look_up(
        &self,
        wanted: &[Wanted],
        mut found: impl FnMut(usize, &[u8], Sighting),
    ) -> Result<(), ArchiveError> {
        let mut by_block: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for at in self.may_be_there(wanted)? {
            for block in self.blocks_of(&wanted[at]) {
                by_block.entry(block).or_default().push(at);
            }
        }
        let mut blocks = by_block.into_iter().peekable();
        while blocks.peek().is_some() {
            let mut bytes = 0;
            let some: Vec<(u64, Vec<usize>)> = std::iter::from_fn(|| {
                let next = blocks.next_if(|_| bytes < READ_BYTES)?;
                let place = self.place(next.0);
                bytes += place.end - place.start;
                Some(next)
            })
            .collect();
            let places: Vec<Range<u64>> = some.iter().map(|(block, _)| self.place(*block)).collect();
            for ((_, wants), packed) in some.iter().zip(self.bytes.read_ranges(&places)?) {
                self.look_into(&packed, wants.iter().map(|at| (*at, &wanted[*at])), &mut found)?;
            }
        }
        Ok(())
    }

    /// Returns the places of those that the filter does not deny.
    fn may_be_there(&self, wanted: &[Wanted]) -> Result<Vec<usize>, ArchiveError> {
        let filter_bytes = self.footer.fences - self.footer.filter;
        let exact = wanted.iter().enumerate().filter_map(|(at, wanted)| match wanted {
            Wanted::Exact(key) => Some((at, key)),
            Wanted::Range { .. } => None,
        });
        let exact: Vec<(usize, &Vec<u8>)> = exact.collect();
        let place = |key: &[u8]| {
            let place = place_of(key, filter_bytes);
            self.footer.filter + place.start..self.footer.filter + place.end
        };
        let places: Vec<Range<u64>> = exact.iter().map(|(_, key)| place(key)).collect();
        let is_range = |(at, wanted): (usize, &Wanted)| matches!(wanted, Wanted::Range { .. }).then_some(at);
        let mut may_be: Vec<usize> = wanted.iter().enumerate().filter_map(is_range).collect();
        for ((at, key), block) in exact.into_iter().zip(self.bytes.read_ranges(&places)?) {
            if may_have(&block, key).ok_or_else(|| self.damaged("its filter"))? {
                may_be.push(at);
            }
        }
        Ok(may_be)
    }

    /// Returns the blocks in which what is looked for may lie.
    fn blocks_of(&self, wanted: &Wanted) -> Range<u64> {
        let first = self.blocks_up_to(|key| key <= wanted.first());
        let end = match wanted {
            Wanted::Exact(_) => first,
            Wanted::Range { end_exclusive, .. } => self.blocks_up_to(|key| key < &end_exclusive[..]),
        };
        // Those that begin with a smaller key may hold it at their end.
        first.saturating_sub(1)..end
    }

    /// Returns how many blocks have a first key for which this holds, which is so for a beginning of them.
    fn blocks_up_to(&self, holds: impl Fn(&[u8]) -> bool) -> u64 {
        let (mut low, mut high) = (0, self.footer.blocks);
        while low < high {
            let middle = low.midpoint(high);
            if holds(self.first_key(middle)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    fn first_key(&self, block: u64) -> &[u8] {
        let ends = 8 * (self.footer.blocks + 1);
        let keys = ends + 4 * self.footer.blocks;
        let end = |block: u64| u64::from(u32::from_le_bytes(self.fence(ends + 4 * block)));
        let start = if block == 0 { 0 } else { end(block - 1) };
        let range = (keys + start) as usize..(keys + end(block)) as usize;
        self.fences.get(range).unwrap_or_default()
    }

    fn place(&self, block: u64) -> Range<u64> {
        let place = |block: u64| u64::from_le_bytes(self.fence(8 * block));
        place(block)..place(block + 1).max(place(block))
    }

    /// Their checksum was right, so that they are as they were written.
    fn fence<const N: usize>(&self, at: u64) -> [u8; N] {
        let at = at as usize;
        self.fences.get(at..at + N).and_then(|bytes| bytes.try_into().ok()).unwrap_or([0; N])
    }

    fn look_into<'w>(
        &self,
        packed: &[u8],
        wanted: impl Iterator<Item = (usize, &'w Wanted)>,
        found: &mut impl FnMut(usize, &[u8], Sighting),
    ) -> Result<(), ArchiveError> {
        let entries = self.entries(packed)?;
        for (at, wanted) in wanted {
            let first = entries.partition_point(|(key, _)| &key[..] < wanted.first());
            let these = entries[first..].iter().take_while(|(key, _)| match wanted {
                Wanted::Exact(wanted) => key == wanted,
                Wanted::Range { .. } => !wanted.ends_before(key),
            });
            these.for_each(|(key, sighting)| found(at, key, sighting.clone()));
        }
        Ok(())
    }

    /// Reads a block.
    fn entries(&self, packed: &[u8]) -> Result<Vec<(Vec<u8>, Sighting)>, ArchiveError> {
        let entries = unpack(packed).and_then(|bytes| self.parse_entries(&bytes));
        entries.ok_or_else(|| self.damaged("a block"))
    }

    fn parse_entries(&self, bytes: &[u8]) -> Option<Vec<(Vec<u8>, Sighting)>> {
        let mut taker = Taker::new(bytes);
        let mut entries: Vec<(Vec<u8>, Sighting)> = Vec::new();
        while !taker.is_empty() {
            let shared = taker.len()?;
            let mut key = match entries.last() {
                Some((last, _)) => last.get(..shared)?.to_vec(),
                None => Vec::new(),
            };
            key.extend_from_slice(taker.bytes()?);
            entries.push((key, Sighting::take(self.footer.base, &mut taker)?));
        }
        Some(entries)
    }

    /// Passes every key with what is known of it to `take`, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Result<(Vec<u8>, Sighting), ArchiveError>> + '_ {
        (0..self.footer.blocks).flat_map(|block| {
            let entries = read_one(&*self.bytes, self.place(block)).and_then(|packed| self.entries(&packed));
            let (entries, error) = match entries {
                Ok(entries) => (entries, None),
                Err(error) => (Vec::new(), Some(Err(error))),
            };
            entries.into_iter().map(Ok).chain(error)
        })
    }

    fn damaged(&self, part: &str) -> ArchiveError {
        ArchiveError::damaged(&self.name, format!("{part} is not as it was written"))
    }
}

fn read_one(bytes: &dyn ReadRanges, range: Range<u64>) -> Result<Bytes, ArchiveError> {
    Ok(bytes.read_ranges(&[range])?.pop().unwrap_or_default())
}

/// Compresses bytes, and puts in front their length and the CRC-32 of what they come to.
fn pack(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    let packed = zstd::bulk::compress(bytes, ZSTD_LEVEL)?;
    Ok([&length.to_le_bytes()[..], &crc32fast::hash(&packed).to_le_bytes(), &packed].concat())
}

/// Unpacks what has its length and CRC-32 in front; `None` where it is not as it was packed.
fn unpack(packed: &[u8]) -> Option<Vec<u8>> {
    let mut taker = Taker::new(packed);
    let mut number = || taker.array().map(u32::from_le_bytes);
    let (length, crc) = (number()? as usize, number()?);
    let packed = taker.rest();
    if crc32fast::hash(packed) != crc || length > BLOCK_BYTES_MAX {
        return None;
    }
    zstd::bulk::decompress(packed, length).ok().filter(|bytes| bytes.len() == length)
}
