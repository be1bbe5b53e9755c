//! Events, and rows of other tables, that are in the archive already: told by their id, over the whole of it.
//!
//! An event that is read again has the same id, time and log source. So only files of that log source need be looked at that
//! hold events of that time, and logs that are new cost a comparison of times. The ids of a file are loaded when they are
//! needed and kept while there is room.

use std::collections::{HashMap, HashSet, VecDeque};

use arrow_array::cast::AsArray;
use cresset_event::{EventId, Timestamp};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::error::ArchiveError;
use crate::manifest::{Manifest, TableFile};
use crate::segment;
use crate::storage::Storage;

/// Most ids that are kept in memory, 16 bytes each.
const IDS_MAX: usize = 8 << 20;

/// What is known of the events in the files.
#[derive(Debug, Default)]
pub(crate) struct Known {
    folders: HashMap<String, Vec<TableFile>>,
    loaded: Loaded,
}

/// The ids of some files.
#[derive(Debug, Default)]
struct Loaded {
    ids: HashMap<String, Vec<EventId>>,
    /// The files, the one that was loaded first in front.
    order: VecDeque<String>,
}

impl Known {
    /// Takes over what a new version of the manifest lists.
    pub(crate) fn set(&mut self, manifest: &Manifest) {
        self.folders.clear();
        for entry in &manifest.tables {
            self.folders.entry(entry.folder().to_owned()).or_default().push(entry.clone());
        }
        let listed: HashSet<&str> = manifest.tables.iter().map(|entry| entry.file.as_str()).collect();
        self.loaded.ids.retain(|file, _| listed.contains(file.as_str()));
        self.loaded.order.retain(|file| listed.contains(file.as_str()));
    }

    /// Returns whether an event, or a row of another table, is in one of the files of this folder.
    pub(crate) fn has(
        &mut self,
        storage: &Storage,
        folder: &str,
        id: EventId,
        time: Option<Timestamp>,
    ) -> Result<bool, ArchiveError> {
        let Self { folders, loaded } = self;
        let files = folders.get(folder).map_or(&[][..], Vec::as_slice);
        for entry in files.iter().filter(|entry| entry.may_hold(time)) {
            if loaded.ids_of(storage, entry)?.binary_search(&id).is_ok() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Loaded {
    fn ids_of(&mut self, storage: &Storage, entry: &TableFile) -> Result<&[EventId], ArchiveError> {
        if !self.ids.contains_key(&entry.file) {
            let ids = match load_ids(storage, entry) {
                // Of a file that is damaged nothing is known: better an event twice than never.
                Err(error) if error.is_damage() => Vec::new(),
                // One that cannot be read just now tells of its events later.
                ids => ids?,
            };
            let mut count = ids.len() + self.ids.values().map(Vec::len).sum::<usize>();
            while count > IDS_MAX
                && let Some(first) = self.order.pop_front()
            {
                count -= self.ids.remove(&first).map_or(0, |ids| ids.len());
            }
            self.order.push_back(entry.file.clone());
            self.ids.insert(entry.file.clone(), ids);
        }
        Ok(&self.ids[&entry.file])
    }
}

/// Returns the ids of a file, in order.
fn load_ids(storage: &Storage, entry: &TableFile) -> Result<Vec<EventId>, ArchiveError> {
    let damaged = |reason: String| ArchiveError::damaged(&entry.file, reason);
    let bytes = segment::bytes(storage, entry)?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|cause| damaged(cause.to_string()))?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), ["id"]);
    let reader = builder.with_projection(mask).build().map_err(|cause| damaged(cause.to_string()))?;
    let mut ids = Vec::new();
    for batch in reader {
        let batch = batch.map_err(|cause| damaged(cause.to_string()))?;
        let column = batch.column_by_name("id").and_then(|column| column.as_fixed_size_binary_opt());
        let column = column.ok_or_else(|| damaged("it has no ids".into()))?;
        for id in column.iter().flatten() {
            let id = id.try_into().map_err(|_| damaged("an id has another length than 16".into()))?;
            ids.push(EventId::from_bytes(id));
        }
    }
    ids.sort_unstable();
    Ok(ids)
}
