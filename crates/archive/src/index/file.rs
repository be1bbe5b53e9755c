//! A file that is looked into: the footer first, the fences with the first look, the names when something is to be shown.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::error::ArchiveError;
use crate::index::fences::Fences;
use crate::index::filter::{self, BLOCK_BYTES, block_of, may_hold};
use crate::index::footer::{FOOTER_BYTES, Footer, Part};
use crate::index::key::Wanted;
use crate::index::names::Names;
use crate::index::scan::Scan;
use crate::index::sighting::Sighting;
use crate::storage::ReadRanges;
use crate::wire::has_crc32;

/// Bytes of blocks that a look-up reads at once.
const LOOK_UP_BYTES: u64 = 16 << 20;
/// Bytes that are read at once where all is read.
const STREAM_BYTES: u64 = 1 << 20;
/// Blocks of the filter that are read at once: 2 MB.
const FILTER_BLOCKS_AT_ONCE: usize = 1 << 16;

/// A file of the index.
pub(crate) struct IndexFile {
    /// What it is called where something is wrong with it.
    name: String,
    file: Arc<dyn ReadRanges>,
    footer: Footer,
    fences: OnceLock<Fences>,
    names: OnceLock<Arc<Names>>,
}

impl IndexFile {
    /// Opens a file, of which it reads the footer.
    pub(crate) fn open(name: &str, file: Arc<dyn ReadRanges>) -> Result<Self, ArchiveError> {
        let damaged = |reason: &str| ArchiveError::damaged(name, reason);
        let file_bytes = file.byte_len();
        let start = file_bytes.checked_sub(FOOTER_BYTES).ok_or_else(|| damaged("it is shorter than a footer"))?;
        let footer = Footer::decode(&file.read_range(start..file_bytes)?, file_bytes).map_err(damaged)?;
        let filter_bytes = footer.lens[Part::Filter as usize];
        if filter_bytes == 0 || filter_bytes % BLOCK_BYTES as u64 != 0 || filter_bytes / BLOCK_BYTES as u64 > 1 << 32 {
            return Err(damaged("its filter is not of whole blocks"));
        }
        if filter::blocks_for(footer.keys) > filter_bytes / BLOCK_BYTES as u64 {
            return Err(damaged("its filter is too small for its keys"));
        }
        Ok(Self { name: name.into(), file, footer, fences: OnceLock::new(), names: OnceLock::new() })
    }

    /// Returns how many keys there are.
    pub(crate) fn keys(&self) -> u64 {
        self.footer.keys
    }

    /// Returns the earliest and the latest time, in nanoseconds since 1970, where any is known.
    pub(crate) fn times(&self) -> Option<(i64, i64)> {
        self.footer.times
    }

    /// Returns the time that those in the file are told from.
    pub(crate) fn base(&self) -> i64 {
        self.footer.base()
    }

    /// Returns the names that sightings refer to.
    pub(crate) fn names(&self) -> Result<Arc<Names>, ArchiveError> {
        if let Some(names) = self.names.get() {
            return Ok(Arc::clone(names));
        }
        let names = Names::decode(&self.part(Part::Names)?);
        let names = Arc::new(names.ok_or_else(|| self.damaged("its names are not as they were written"))?);
        Ok(Arc::clone(self.names.get_or_init(|| names)))
    }

    /// Returns the fences, which are read once.
    pub(crate) fn fences(&self) -> Result<&Fences, ArchiveError> {
        if let Some(fences) = self.fences.get() {
            return Ok(fences);
        }
        let fences = Fences::new(self.part(Part::Fences)?, self.footer.blocks, self.footer.lens[Part::Blocks as usize]);
        let fences = fences.ok_or_else(|| self.damaged("its fences are not as they were written"))?;
        Ok(self.fences.get_or_init(|| fences))
    }

    /// Passes each key that is looked for to `found`, with the place in `wanted` of what looks for it and with what is known
    /// of it.
    ///
    /// Where a block is damaged all others are looked into, and the first error is returned at the end. A block of the filter
    /// that is damaged makes no difference but in time: [`IndexFile::verify`] tells of it.
    pub(crate) fn look_up(
        &self,
        wanted: &[Wanted],
        mut found: impl FnMut(usize, &[u8], Sighting),
    ) -> Result<(), ArchiveError> {
        let fences = self.fences()?;
        if wanted.is_empty() || fences.blocks() == 0 {
            return Ok(());
        }
        let mut look_up = LookUp::new(self.may_be_there(wanted)?, wanted, fences);
        let mut scan = Scan::new(self, fences, look_up.blocks().into_iter().flatten(), LOOK_UP_BYTES);
        let mut outcome = Ok(());
        while let Some(block) = scan.next_block() {
            let looked = block.and_then(|block| look_up.look_into(block, &mut scan, &mut found));
            outcome = outcome.and(looked);
        }
        outcome
    }

    /// Returns the keys that are looked for one by one and that the filter does not deny, with their places.
    fn may_be_there<'w>(&self, wanted: &'w [Wanted]) -> Result<Vec<(&'w [u8], usize)>, ArchiveError> {
        let place = self.footer.place(Part::Filter);
        let blocks = (place.end - place.start) / BLOCK_BYTES as u64;
        let mut asked: Vec<(u64, u64, &[u8], usize)> = Vec::new();
        for (at, wanted) in wanted.iter().enumerate() {
            if let Wanted::Exact(key) = wanted {
                let hash = filter::hash(key);
                asked.push((block_of(hash, blocks), hash, key, at));
            }
        }
        asked.sort_unstable();
        let mut by_block = asked.chunk_by(|one, other| one.0 == other.0).peekable();
        let mut not_denied = Vec::new();
        while by_block.peek().is_some() {
            let some: Vec<&[_]> = by_block.by_ref().take(FILTER_BLOCKS_AT_ONCE).collect();
            let start = |block: u64| place.start + block * BLOCK_BYTES as u64;
            let ranges: Vec<Range<u64>> = some.iter().map(|of| start(of[0].0)..start(of[0].0 + 1)).collect();
            for (of, block) in some.iter().zip(self.read(&ranges)?) {
                let kept = of.iter().filter(|(_, hash, ..)| may_hold(&block, *hash).unwrap_or(true));
                not_denied.extend(kept.map(|(_, _, key, at)| (*key, *at)));
            }
        }
        Ok(not_denied)
    }

    /// Returns all keys in order with what is known of each. What follows an error is the next that can be read.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Result<(Vec<u8>, Sighting), ArchiveError>> {
        let (mut scan, mut failed) = match self.scan() {
            Ok(scan) => (Some(scan), None),
            Err(error) => (None, Some(error)),
        };
        std::iter::from_fn(move || {
            if let Some(error) = failed.take() {
                return Some(Err(error));
            }
            let scan = scan.as_mut()?;
            match scan.advance() {
                Ok(true) => Some(scan.sighting().map(|sighting| (scan.key().to_vec(), sighting))),
                Ok(false) => None,
                Err(error) => Some(Err(error)),
            }
        })
    }

    /// Goes through all blocks.
    pub(crate) fn scan(&self) -> Result<Scan<'_, Range<usize>>, ArchiveError> {
        let fences = self.fences()?;
        Ok(Scan::new(self, fences, 0..fences.blocks(), STREAM_BYTES))
    }

    /// Reads all of the file, and returns what is wrong with it.
    #[cfg_attr(not(any(test, fuzzing)), expect(dead_code, reason = "an archive checks its files as a whole so far"))]
    pub(crate) fn verify(&self) -> Vec<ArchiveError> {
        let mut wrong = Vec::new();
        let others = [Part::Filter, Part::Fences, Part::Names].into_iter();
        wrong.extend(others.filter_map(|part| self.verify_part(part).err()));
        wrong.extend(self.names().err().filter(|_| wrong.is_empty()));
        let (mut keys, mut sightings, mut last) = (0, 0_u64, None);
        let intact = wrong.len();
        for entry in self.iter() {
            match entry {
                Ok((key, sighting)) => {
                    if last.as_ref().is_some_and(|last| *last >= key) {
                        wrong.push(self.damaged("its keys are not in order"));
                    }
                    (keys, sightings) = (keys + 1, sightings.saturating_add(sighting.count));
                    last = Some(key);
                }
                Err(error) => wrong.push(error),
            }
        }
        if wrong.len() == intact && (keys, sightings) != (self.footer.keys, self.footer.sightings) {
            wrong.push(self.damaged("it has not as many values as its footer says"));
        }
        wrong
    }

    fn verify_part(&self, part: Part) -> Result<(), ArchiveError> {
        let (mut place, mut crc) = (self.footer.place(part), crc32fast::Hasher::new());
        while place.start < place.end {
            let next = place.end.min(place.start + STREAM_BYTES);
            self.read(std::slice::from_ref(&(place.start..next)))?.iter().for_each(|bytes| crc.update(bytes));
            place.start = next;
        }
        if crc.finalize() == self.footer.crcs[part as usize] { Ok(()) } else { Err(self.other_checksum(part)) }
    }

    /// Reads a part as a whole.
    fn part(&self, part: Part) -> Result<Bytes, ArchiveError> {
        let bytes = self.read(&[self.footer.place(part)])?.pop().unwrap_or_default();
        let is_whole = has_crc32(&bytes, self.footer.crcs[part as usize]);
        if is_whole { Ok(bytes) } else { Err(self.other_checksum(part)) }
    }

    fn other_checksum(&self, part: Part) -> ArchiveError {
        self.damaged(&format!("its {} have another checksum", part.name()))
    }

    /// Reads ranges at once, each in full.
    pub(crate) fn read(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, ArchiveError> {
        let read = self.file.read_ranges(ranges)?;
        let is_full = |(range, bytes): (&Range<u64>, &Bytes)| range.end - range.start == bytes.len() as u64;
        if read.len() == ranges.len() && ranges.iter().zip(&read).all(is_full) {
            Ok(read)
        } else {
            Err(self.damaged("it is shorter than it was"))
        }
    }

    /// Returns the error that something is wrong with it.
    pub(crate) fn damaged(&self, reason: &str) -> ArchiveError {
        ArchiveError::damaged(&self.name, reason)
    }
}

/// What is looked for, in the order in which it comes.
struct LookUp<'w> {
    exact: Vec<(usize, &'w [u8], usize)>,
    ranges: Vec<WantedRange<'w>>,
    /// How many of them were met.
    exact_met: usize,
    ranges_met: usize,
    /// The ranges that this block may have keys of.
    open: Vec<WantedRange<'w>>,
}

#[derive(Debug, Clone)]
struct WantedRange<'w> {
    blocks: Range<usize>,
    first: &'w [u8],
    end_exclusive: &'w [u8],
    at: usize,
}

impl<'w> LookUp<'w> {
    fn new(exact: Vec<(&'w [u8], usize)>, wanted: &'w [Wanted], fences: &Fences) -> Self {
        let mut exact: Vec<_> = exact.into_iter().map(|(key, at)| (fences.block_of(key), key, at)).collect();
        exact.sort_unstable();
        let range = |(at, wanted): (usize, &'w Wanted)| match wanted {
            Wanted::Exact(_) => None,
            Wanted::Range { first, end_exclusive } => {
                let blocks = fences.blocks_of(first, end_exclusive);
                Some(WantedRange { blocks, first, end_exclusive, at })
            }
        };
        let mut ranges: Vec<_> = wanted.iter().enumerate().filter_map(range).collect();
        ranges.sort_unstable_by_key(|range| range.blocks.start);
        Self { exact, ranges, exact_met: 0, ranges_met: 0, open: Vec::new() }
    }

    /// Returns the blocks that are needed, in order, each once.
    fn blocks(&self) -> Vec<Range<usize>> {
        let exact = self.exact.iter().map(|(block, ..)| *block..block + 1);
        let mut all: Vec<Range<usize>> = exact.chain(self.ranges.iter().map(|range| range.blocks.clone())).collect();
        all.retain(|blocks| !blocks.is_empty());
        all.sort_unstable_by_key(|blocks| blocks.start);
        all.dedup_by(|next, before| {
            let meets = next.start <= before.end;
            if meets {
                before.end = before.end.max(next.end);
            }
            meets
        });
        all
    }

    /// Passes what is found in the block that the scan is in to `found`.
    fn look_into(
        &mut self,
        block: usize,
        scan: &mut Scan<'_, impl Iterator<Item = usize>>,
        found: &mut impl FnMut(usize, &[u8], Sighting),
    ) -> Result<(), ArchiveError> {
        self.enter(block);
        while self.looks_for_more(block) && scan.next_in_block()? {
            let key = scan.key();
            while self.next_exact(block).is_some_and(|(wanted, _)| wanted < key) {
                self.exact_met += 1;
            }
            while let Some((_, at)) = self.next_exact(block).filter(|(wanted, _)| *wanted == key) {
                self.exact_met += 1;
                found(at, key, scan.sighting()?);
            }
            for range in self.open.iter().filter(|range| range.first <= key && key < range.end_exclusive) {
                found(range.at, key, scan.sighting()?);
            }
        }
        Ok(())
    }

    fn enter(&mut self, block: usize) {
        while self.exact.get(self.exact_met).is_some_and(|(of, ..)| *of < block) {
            self.exact_met += 1;
        }
        let begun = self.ranges[self.ranges_met..].iter().take_while(|range| range.blocks.start <= block);
        let before = self.open.len();
        self.open.extend(begun.cloned());
        self.ranges_met += self.open.len() - before;
        self.open.retain(|range| block < range.blocks.end);
    }

    fn looks_for_more(&self, block: usize) -> bool {
        !self.open.is_empty() || self.next_exact(block).is_some()
    }

    fn next_exact(&self, block: usize) -> Option<(&'w [u8], usize)> {
        let (of, key, at) = *self.exact.get(self.exact_met)?;
        (of == block).then_some((key, at))
    }
}
