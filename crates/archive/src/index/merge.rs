//! One file of several, in as little memory as a megabyte of each, their names, the fences and the filter take.
//!
//! It has the same bytes as one that is made of all events at once, in whatever order and steps files are merged.

use std::io::{self, Write};
use std::ops::Range;
use std::path::Path;

use crate::error::{ArchiveError, with_causes};
use crate::index::file::IndexFile;
use crate::index::names::{Interner, Names};
use crate::index::scan::Scan;
use crate::index::sighting::{Renumbering, Sighting};
use crate::index::writer::FileWriter;

/// Writes what several files know together.
pub(crate) fn merge<W: Write>(files: &[IndexFile], out: W) -> Result<W, ArchiveError> {
    let (names, numbers) = unite(files)?;
    let times = files.iter().filter_map(IndexFile::times);
    let times = times.reduce(|(first, last), (its_first, its_last)| (first.min(its_first), last.max(its_last)));
    let keys_max = files.iter().map(IndexFile::keys).fold(0, u64::saturating_add);
    let mut writer = FileWriter::new(out, keys_max, times);
    let heads = files.iter().zip(&numbers).map(|(file, to)| Head::new(file, to));
    let mut heads: Vec<Head<'_>> = heads.filter_map(Result::transpose).collect::<Result<_, _>>()?;
    let mut key = Vec::new();
    while let Some(least) = heads.iter().map(|head| head.scan.key()).min() {
        key.clear();
        key.extend_from_slice(least);
        let sighting = take(&mut heads, &key)?;
        writer.push(&key, &sighting).map_err(failed)?;
    }
    writer.finish(&names).map_err(failed)
}

/// A file and the entry that is its next.
struct Head<'f> {
    file: &'f IndexFile,
    scan: Scan<'f, Range<usize>>,
    to: &'f Renumbering,
}

impl<'f> Head<'f> {
    /// Returns a file before its first entry; `None` where it has none.
    fn new(file: &'f IndexFile, to: &'f Renumbering) -> Result<Option<Self>, ArchiveError> {
        let mut scan = file.scan()?;
        Ok(scan.advance()?.then_some(Self { file, scan, to }))
    }

    fn sighting(&self) -> Result<Sighting, ArchiveError> {
        let mut sighting = self.scan.sighting()?;
        let known = sighting.renumber(self.to);
        known.ok_or_else(|| self.file.damaged("a value refers to a name that is not there"))?;
        Ok(sighting)
    }
}

/// Takes a key out of all files that have it as their next. A file that is at its end is left out from then on.
fn take(heads: &mut Vec<Head<'_>>, key: &[u8]) -> Result<Sighting, ArchiveError> {
    let mut sum: Option<Sighting> = None;
    let mut at = 0;
    while at < heads.len() {
        let head = &mut heads[at];
        let mut is_at_end = false;
        if head.scan.key() == key {
            let sighting = head.sighting()?;
            match &mut sum {
                Some(sum) => sum.absorb(sighting),
                None => sum = Some(sighting),
            }
            is_at_end = !head.scan.advance()?;
        }
        if is_at_end {
            drop(heads.swap_remove(at));
        } else {
            at += 1;
        }
    }
    Ok(sum.expect("the key is that of a file"))
}

/// Returns the names of all files, and by the numbers that each file has the new ones.
fn unite(files: &[IndexFile]) -> Result<(Names, Vec<Renumbering>), ArchiveError> {
    let (mut hosts, mut sources, mut fields) = (Interner::default(), Interner::default(), Interner::default());
    let mut numbers = Vec::with_capacity(files.len());
    for file in files {
        let names = file.names()?;
        numbers.push(Renumbering {
            hosts: names.hosts.iter().map(|name| hosts.number(name)).collect(),
            sources: names.sources.iter().map(|name| sources.number(name)).collect(),
            fields: names.fields.iter().map(|name| fields.number(name)).collect(),
        });
    }
    let (hosts, host_places) = hosts.into_sorted();
    let (sources, source_places) = sources.into_sorted();
    let (fields, field_places) = fields.into_sorted();
    for of in &mut numbers {
        of.hosts.iter_mut().for_each(|number| *number = host_places[*number as usize]);
        of.sources.iter_mut().for_each(|number| *number = source_places[*number as usize]);
        of.fields.iter_mut().for_each(|number| *number = field_places[*number as usize]);
    }
    Ok((Names { hosts, sources, fields }, numbers))
}

/// Says what kept the file from being written: what was read for it, or where it goes to.
fn failed(cause: io::Error) -> ArchiveError {
    match cause.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::FileTooLarge => ArchiveError::damaged("index", with_causes(&cause)),
        _ => ArchiveError::io(Path::new("index"), cause),
    }
}
