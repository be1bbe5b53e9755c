//! Events, and rows of other tables, that are in the archive already: told by their id, over the whole of it.
//!
//! An event that is read again has the same id, time and log source. So only row groups of that log source need be looked at
//! that hold events of that time: logs that are new cost a comparison of times, and an event that comes late costs the ids of
//! those around its time. Ids are loaded when they are needed and kept while there is room.

use std::collections::{HashMap, HashSet, VecDeque};

use cresset_event::{EventId, Timestamp};

use crate::catalog::Catalog;
use crate::error::ArchiveError;
use crate::ids::IdGroup;
use crate::manifest::{Manifest, TableFile};
use crate::storage::Storage;

/// Most ids that are kept in memory, 16 bytes each.
const IDS_MAX: usize = 8 << 20;
/// Most row groups of which it is kept where their ids lie, some hundred bytes each.
const GROUPS_MAX: usize = 1 << 16;

/// What is known of the events in the files.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// The number of the list that this is taken from.
    number: u64,
    folders: HashMap<String, Vec<TableFile>>,
    loaded: Loaded,
}

/// What is in memory of some files.
#[derive(Debug, Default)]
struct Loaded {
    files: HashMap<String, Vec<Group>>,
    groups: usize,
    /// The row groups whose ids are there, the one that was loaded first in front.
    order: VecDeque<(String, usize)>,
    ids: usize,
}

/// A row group, and its ids in order where they are there.
#[derive(Debug)]
struct Group {
    place: IdGroup,
    ids: Option<Vec<EventId>>,
}

impl Known {
    /// Takes over what the catalog lists now, unless the next list is being written: then the one before will do, whose files are
    /// there for readers that hold them.
    pub(crate) fn keep_up(&mut self, catalog: &Catalog) {
        if let Some(manifest) = catalog.manifest_unless(self.number) {
            self.set(&manifest);
        }
    }

    /// Takes over what a list has.
    pub(crate) fn set(&mut self, manifest: &Manifest) {
        self.folders.clear();
        for entry in &manifest.tables {
            self.folders.entry(entry.folder().to_owned()).or_default().push(entry.clone());
        }
        let listed: HashSet<&str> = manifest.tables.iter().map(|entry| entry.file.as_str()).collect();
        self.loaded.retain(|file| listed.contains(file));
        self.number = manifest.number;
    }

    /// Returns whether an event, or a row of another table, is in one of the files of this folder.
    pub(crate) fn has(
        &mut self,
        storage: &Storage,
        folder: &str,
        id: EventId,
        time: Option<Timestamp>,
    ) -> Result<bool, ArchiveError> {
        let Self { folders, loaded, .. } = self;
        let files = folders.get(folder).map_or(&[][..], Vec::as_slice);
        for entry in files.iter().filter(|entry| entry.may_hold(time)) {
            if loaded.has(storage, entry, id, time)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Loaded {
    fn has(
        &mut self,
        storage: &Storage,
        entry: &TableFile,
        id: EventId,
        time: Option<Timestamp>,
    ) -> Result<bool, ArchiveError> {
        let groups = self.groups_of(storage, entry)?.iter().enumerate();
        let groups: Vec<usize> = groups.filter(|(_, group)| group.place.may_hold(time)).map(|(at, _)| at).collect();
        for group in groups {
            if self.ids_of(storage, entry, group)?.binary_search(&id).is_ok() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn groups_of(&mut self, storage: &Storage, entry: &TableFile) -> Result<&[Group], ArchiveError> {
        if !self.files.contains_key(&entry.file) {
            let places = unless_damaged(IdGroup::all(storage, entry))?;
            if self.groups + places.len() > GROUPS_MAX {
                *self = Self::default();
            }
            self.groups += places.len();
            let groups = places.into_iter().map(|place| Group { place, ids: None }).collect();
            self.files.insert(entry.file.clone(), groups);
        }
        Ok(&self.files[&entry.file])
    }

    /// Returns the ids of a row group, of which it is known where they lie.
    fn ids_of(&mut self, storage: &Storage, entry: &TableFile, group: usize) -> Result<&[EventId], ArchiveError> {
        let known = &self.files[&entry.file][group];
        if known.ids.is_none() {
            let ids = unless_damaged(known.place.read(storage, entry))?;
            self.make_room(ids.len());
            self.ids += ids.len();
            self.order.push_back((entry.file.clone(), group));
            self.files.get_mut(&entry.file).expect("a file that is known")[group].ids = Some(ids);
        }
        Ok(self.files[&entry.file][group].ids.as_deref().unwrap_or_default())
    }

    /// Lets go of ids until there is room for so many.
    fn make_room(&mut self, ids: usize) {
        while self.ids + ids > IDS_MAX
            && let Some((file, group)) = self.order.pop_front()
        {
            let group = self.files.get_mut(&file).and_then(|groups| groups.get_mut(group)?.ids.take());
            self.ids -= group.map_or(0, |ids| ids.len());
        }
    }

    /// Lets go of what is known of other files than these.
    fn retain(&mut self, is_listed: impl Fn(&str) -> bool) {
        self.files.retain(|file, _| is_listed(file));
        self.order.retain(|(file, _)| is_listed(file));
        self.groups = self.files.values().map(Vec::len).sum();
        self.ids = self.files.values().flatten().filter_map(|group| group.ids.as_ref()).map(Vec::len).sum();
    }
}

/// Of what is damaged nothing is known: better an event twice than never. What cannot be read just now tells of its events later.
fn unless_damaged<T>(read: Result<Vec<T>, ArchiveError>) -> Result<Vec<T>, ArchiveError> {
    read.or_else(|error| if error.is_damage() { Ok(Vec::new()) } else { Err(error) })
}

#[cfg(test)]
mod tests {
    use crate::catalog::Catalog;
    use crate::faults::event;
    use crate::manifest::Manifest;
    use crate::storage::Storage;
    use crate::writer::{Writer, WriterOptions};

    use super::Known;

    /// Events of a row group that is large enough to be copied as it is.
    const GROUP: u64 = 5_000;

    #[test]
    fn an_event_that_comes_late_costs_the_ids_of_its_row_group_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let options = WriterOptions { log_bytes: 1, ..WriterOptions::default() };
        let (mut writer, _) = Writer::open(folder.path(), options).expect("an archive");
        for group in 0..3 {
            let mut packer = writer.packer();
            (group * GROUP..(group + 1) * GROUP).for_each(|number| packer.add(&event(number)));
            writer.append(&packer.take()).expect("room");
        }
        writer.close().expect("room");
        let (mut writer, _) = Writer::open(folder.path(), options).expect("an archive");
        writer.compact().expect("room");
        writer.close().expect("room");
        let storage = Storage::open(folder.path()).expect("a folder");
        let manifest = Manifest::load(&storage).expect("a list");
        let catalog = Catalog::new(storage.clone(), manifest);
        let mut known = Known::default();
        known.keep_up(&catalog);

        let mut is_known = |number| {
            let (event, folder) = (event(number), known.folders.keys().next().expect("a folder").clone());
            let time = event.origin().time.known();
            known.has(&storage, &folder, event.id(), time).expect("a file")
        };
        assert!(is_known(GROUP + 7));
        assert!(!is_known(3 * GROUP));
        assert_eq!((known.loaded.files.len(), known.loaded.groups), (1, 3));
        assert_eq!((known.loaded.order.len(), known.loaded.ids), (1, GROUP as usize));
    }
}
