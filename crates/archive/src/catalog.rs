//! The list of files that holds, shared by those who make files: segments on one thread, merged files on another.
//!
//! Files are made beside the list, each under a number that no other has, and the list names them once they are on the disk.
//! So neither waits for the other for longer than it takes to write a list.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cresset_event::Timestamp;

use crate::error::ArchiveError;
use crate::manifest::{IndexEntry, Manifest, TableFile};
use crate::storage::Storage;

/// The list that holds.
#[derive(Debug)]
pub(crate) struct Catalog {
    storage: Storage,
    held: Mutex<Held>,
    /// The number of the list that holds, for those who need not wait to see that it is another.
    number: AtomicU64,
}

#[derive(Debug)]
struct Held {
    manifest: Manifest,
    /// Whether the next one was begun and said to have failed: the store may have it nevertheless.
    is_unsure: bool,
}

/// Files that were made, and those that they stand for.
#[derive(Debug, Default)]
pub(crate) struct Change {
    pub(crate) tables: Vec<TableFile>,
    pub(crate) index: Vec<IndexEntry>,
    /// Files whose rows and entries are in these now.
    pub(crate) gone: Vec<String>,
    /// The write-ahead log that these are made of.
    pub(crate) wal_done: Option<u64>,
}

impl Catalog {
    /// Returns the one of a store whose highest list this is.
    pub(crate) fn new(storage: Storage, manifest: Manifest) -> Self {
        let number = AtomicU64::new(manifest.number);
        Self { storage, held: Mutex::new(Held { manifest, is_unsure: false }), number }
    }

    /// Returns where the files lie.
    pub(crate) fn storage(&self) -> &Storage {
        &self.storage
    }

    /// Returns the list that holds.
    pub(crate) fn manifest(&self) -> Result<Manifest, ArchiveError> {
        self.sure().map(|held| held.manifest.clone())
    }

    /// Returns the list that holds if that is not the one of this number; not while the next one is being written.
    pub(crate) fn manifest_unless(&self, number: u64) -> Option<Manifest> {
        if self.number.load(Ordering::Acquire) == number {
            return None;
        }
        self.held.try_lock().ok().filter(|held| !held.is_unsure).map(|held| held.manifest.clone())
    }

    /// Returns a number that no file has.
    pub(crate) fn take_number(&self) -> u64 {
        self.lock().manifest.take_number()
    }

    /// Writes the next list, which holds from then on, and takes files away that were dropped long ago. Where this fails it may
    /// hold or not, and can be tried again.
    pub(crate) fn change(&self, change: Change) -> Result<(), ArchiveError> {
        let mut held = self.sure()?;
        let mut next = held.manifest.clone();
        next.apply(change);
        delete_dropped(&self.storage, &mut next, Timestamp::now())?;
        held.is_unsure = true;
        held.manifest = next.commit(&self.storage)?;
        held.is_unsure = false;
        self.number.store(held.manifest.number, Ordering::Release);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        // Who panicked with it had not changed it, or has left it unsure.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what holds, read again where that is not known.
    fn sure(&self) -> Result<MutexGuard<'_, Held>, ArchiveError> {
        let mut held = self.lock();
        if held.is_unsure {
            let loaded = Manifest::load(&self.storage)?;
            // Numbers may have been taken for files that are being made.
            let next_file = loaded.next_file.max(held.manifest.next_file);
            held.manifest = Manifest { next_file, ..loaded };
            held.is_unsure = false;
            self.number.store(held.manifest.number, Ordering::Release);
        }
        Ok(held)
    }
}

/// Deletes files that were dropped so long ago that no reader holds them.
pub(crate) fn delete_dropped(storage: &Storage, manifest: &mut Manifest, now: Timestamp) -> Result<(), ArchiveError> {
    for file in manifest.dropped_before(now) {
        storage.retire(&file)?;
        storage.delete_retired(&file)?;
    }
    Ok(())
}

/// Puts dropped files aside. The manifest that drops them must be there.
pub(crate) fn retire_dropped(storage: &Storage, manifest: &Manifest) -> Result<(), ArchiveError> {
    manifest.dropped.iter().try_for_each(|(file, _)| storage.retire(file))
}
