//! One file of several, in as little memory as a block of each takes, their names and the filter.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::Write;

use super::file::{FileWriter, IndexFile};
use super::sighting::{Names, Sighting};
use crate::error::{ArchiveError, with_causes};

/// Writes what several files know together.
pub(crate) fn merge<W: Write>(files: &[IndexFile], out: W) -> Result<W, ArchiveError> {
    let failed = |cause: std::io::Error| ArchiveError::damaged("index", with_causes(&cause));
    let mut names = Names::default();
    let numbers = files.iter().map(|file| Ok(names.add(&*file.names()?))).collect::<Result<Vec<_>, ArchiveError>>()?;
    let keys_max = files.iter().map(IndexFile::keys).sum();
    let base = files.iter().filter(|file| file.keys() > 0).map(IndexFile::base).min().unwrap_or_default();
    let mut writer = FileWriter::new(out, keys_max, base);
    let mut entries: Vec<_> = files.iter().map(IndexFile::iter).collect();
    let mut next = |at: usize| -> Result<Option<(Vec<u8>, Sighting)>, ArchiveError> {
        let Some((key, mut sighting)) = entries[at].next().transpose()? else { return Ok(None) };
        let known = sighting.renumber(&numbers[at]);
        known.ok_or_else(|| ArchiveError::damaged("index", "a value refers to a name that is not there"))?;
        Ok(Some((key, sighting)))
    };
    let mut heads = BinaryHeap::new();
    let mut sightings: Vec<Sighting> = vec![Sighting::default(); files.len()];
    for (at, head) in sightings.iter_mut().enumerate() {
        if let Some((key, sighting)) = next(at)? {
            *head = sighting;
            heads.push(Reverse((key, at)));
        }
    }
    let mut open: Option<(Vec<u8>, Sighting)> = None;
    while let Some(Reverse((key, at))) = heads.pop() {
        let sighting = std::mem::take(&mut sightings[at]);
        match &mut open {
            Some((known, sum)) if *known == key => sum.add(&sighting),
            _ => {
                if let Some((known, sum)) = open.replace((key, sighting)) {
                    writer.add(&known, &sum).map_err(failed)?;
                }
            }
        }
        if let Some((key, sighting)) = next(at)? {
            sightings[at] = sighting;
            heads.push(Reverse((key, at)));
        }
    }
    if let Some((key, sum)) = open {
        writer.add(&key, &sum).map_err(failed)?;
    }
    writer.finish(&names).map_err(failed)
}
