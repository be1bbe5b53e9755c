//! Writing a file from the first key to the last.

use std::io::{self, Write};

use crc32fast::Hasher;

use crate::index::block::BlockWriter;
use crate::index::fences::FencesWriter;
use crate::index::filter::FilterWriter;
use crate::index::footer::{Footer, Part};
use crate::index::names::Names;
use crate::index::sighting::Sighting;

/// Writes a file. Blocks are passed on as they are full; the filter and the fences are in memory until the end.
pub(crate) struct FileWriter<W> {
    out: W,
    block: BlockWriter,
    filter: FilterWriter,
    fences: FencesWriter,
    last_key: Vec<u8>,
    value: Vec<u8>,
    blocks_crc: Hasher,
    footer: Footer,
}

impl<W: Write> FileWriter<W> {
    /// Begins a file of at most so many keys, seen between these times.
    pub(crate) fn new(out: W, keys_max: u64, times: Option<(i64, i64)>) -> Self {
        Self {
            out,
            block: BlockWriter::new(),
            filter: FilterWriter::new(keys_max),
            fences: FencesWriter::default(),
            last_key: Vec::new(),
            value: Vec::new(),
            blocks_crc: Hasher::new(),
            footer: Footer { times, ..Footer::default() },
        }
    }

    /// Adds a key, which is greater than those before.
    pub(crate) fn push(&mut self, key: &[u8], sighting: &Sighting) -> io::Result<()> {
        if self.footer.keys > 0 && self.last_key.as_slice() >= key {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the keys are not in order"));
        }
        if self.block.is_full() {
            self.finish_block()?;
        }
        if self.block.is_empty() {
            self.fences.push(self.footer.lens[Part::Blocks as usize], &self.last_key, key).ok_or_else(too_long)?;
        }
        self.value.clear();
        sighting.encode(self.footer.base(), &mut self.value);
        self.block.push(key, &self.value);
        self.filter.add(key);
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
        self.footer.keys += 1;
        self.footer.sightings = self.footer.sightings.saturating_add(sighting.count);
        Ok(())
    }

    fn finish_block(&mut self) -> io::Result<()> {
        let stored = self.block.finish().ok_or_else(too_long)?;
        self.blocks_crc.update(stored);
        self.footer.lens[Part::Blocks as usize] += stored.len() as u64;
        self.out.write_all(stored)
    }

    /// Writes what else there is.
    pub(crate) fn finish(mut self, names: &Names) -> io::Result<W> {
        if !self.block.is_empty() {
            self.finish_block()?;
        }
        let Self { mut out, filter, fences, mut footer, blocks_crc, .. } = self;
        footer.crcs[Part::Blocks as usize] = blocks_crc.finalize();
        footer.blocks = fences.len();
        let blocks_end = footer.lens[Part::Blocks as usize];
        let mut write = |part: Part, bytes: &[u8]| {
            footer.lens[part as usize] = bytes.len() as u64;
            footer.crcs[part as usize] = crc32fast::hash(bytes);
            out.write_all(bytes)
        };
        write(Part::Filter, &filter.finish())?;
        write(Part::Fences, &fences.finish(blocks_end))?;
        write(Part::Names, &names.encode().ok_or_else(too_long)?)?;
        out.write_all(&footer.encode())?;
        Ok(out)
    }
}

fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, "the format has no room for as much")
}
