//! Where the files lie: an object store, of which a folder is one.
//!
//! Everything but the write-ahead log goes through here, whole or by ranges, so that another kind of store is a matter of
//! opening it. A file is never changed once it is there. What was put into a folder is on the disk when `put` returns.

use std::fs::{self, File};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Name;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutPayload};
use tokio::runtime::{Builder, Runtime};

use crate::error::ArchiveError;

/// The files of an archive.
#[derive(Clone)]
pub(crate) struct Storage {
    store: Arc<dyn ObjectStore>,
    /// The folder that it is, whose files have to be brought to the disk.
    folder: PathBuf,
    runtime: Arc<Runtime>,
}

/// Bytes that are read by ranges.
pub(crate) trait ReadRanges: Send + Sync {
    /// Returns how many there are.
    fn byte_len(&self) -> u64;

    /// Reads some ranges at once.
    fn read_ranges(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, ArchiveError>;
}

/// A file of an archive.
#[derive(Clone)]
pub(crate) struct StoredFile {
    storage: Storage,
    name: String,
    byte_len: u64,
}

impl Storage {
    /// Opens a folder, which must be there.
    pub(crate) fn open(folder: &Path) -> Result<Self, ArchiveError> {
        let failed = |cause| ArchiveError::io(folder, cause);
        let runtime = Builder::new_current_thread().build().map_err(failed)?;
        let store = LocalFileSystem::new_with_prefix(folder).map_err(|cause| ArchiveError::store("", cause))?;
        Ok(Self { store: Arc::new(store), folder: folder.to_owned(), runtime: Arc::new(runtime) })
    }

    /// Returns a file of this name and length.
    pub(crate) fn file(&self, name: &str, byte_len: u64) -> StoredFile {
        StoredFile { storage: self.clone(), name: name.into(), byte_len }
    }

    /// Reads a file as a whole.
    pub(crate) fn get(&self, name: &str) -> Result<Bytes, ArchiveError> {
        let got = async { self.store.get(&Name::from(name)).await?.bytes().await };
        self.runtime.block_on(got).map_err(|cause| ArchiveError::store(name, cause))
    }

    /// Writes a file, in place of one that may be there.
    pub(crate) fn put(&self, name: &str, bytes: impl Into<PutPayload>) -> Result<(), ArchiveError> {
        let put = self.store.put(&Name::from(name), bytes.into());
        self.runtime.block_on(put).map_err(|cause| ArchiveError::store(name, cause))?;
        self.sync(name)
    }

    /// Writes a file; `false` where there is one of this name already.
    pub(crate) fn put_new(&self, name: &str, bytes: impl Into<PutPayload>) -> Result<bool, ArchiveError> {
        let (at, bytes) = (Name::from(name), bytes.into());
        let put = self.store.put_opts(&at, bytes, PutMode::Create.into());
        match self.runtime.block_on(put) {
            Ok(_) => self.sync(name).map(|()| true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(cause) => Err(ArchiveError::store(name, cause)),
        }
    }

    /// Returns the names of the files below a folder with their lengths, in the order of the names.
    pub(crate) fn list(&self, folder: &str) -> Result<Vec<(String, u64)>, ArchiveError> {
        let listed = async {
            let mut listed = Vec::new();
            let mut open = vec![Name::from(folder)];
            while let Some(folder) = open.pop() {
                let level = self.store.list_with_delimiter(Some(&folder)).await?;
                open.extend(level.common_prefixes);
                listed.extend(level.objects.into_iter().map(|object| (object.location.to_string(), object.size)));
            }
            Ok(listed)
        };
        let mut listed = self.runtime.block_on(listed).map_err(|cause| ArchiveError::store(folder, cause))?;
        listed.sort();
        Ok(listed)
    }

    /// Takes a file away; one that is gone already is none to complain of.
    pub(crate) fn delete(&self, name: &str) -> Result<(), ArchiveError> {
        match self.runtime.block_on(self.store.delete(&Name::from(name))) {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(cause) => Err(ArchiveError::store(name, cause)),
        }
    }

    /// Brings a file, and its name, to the disk.
    fn sync(&self, name: &str) -> Result<(), ArchiveError> {
        let path = self.folder.join(name);
        sync_file(&path)?;
        path.ancestors().skip(1).take_while(|folder| folder.starts_with(&self.folder)).try_for_each(sync_file)
    }
}

/// Brings a file, or the names in a folder, to the disk.
pub(crate) fn sync_file(path: &Path) -> Result<(), ArchiveError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(|cause| ArchiveError::io(path, cause))
}

/// Makes a folder where there is none.
pub(crate) fn make_folder(path: &Path) -> Result<(), ArchiveError> {
    fs::create_dir_all(path).map_err(|cause| ArchiveError::io(path, cause))
}

impl ReadRanges for StoredFile {
    fn byte_len(&self) -> u64 {
        self.byte_len
    }

    fn read_ranges(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, ArchiveError> {
        let Storage { store, runtime, .. } = &self.storage;
        let at = Name::from(self.name.as_str());
        let read = store.get_ranges(&at, ranges);
        runtime.block_on(read).map_err(|cause| ArchiveError::store(&self.name, cause))
    }
}

impl ReadRanges for Bytes {
    fn byte_len(&self) -> u64 {
        self.len() as u64
    }

    fn read_ranges(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, ArchiveError> {
        let slice = |range: &Range<u64>| {
            let (start, end) = (usize::try_from(range.start).ok()?, usize::try_from(range.end).ok()?);
            (start <= end && end <= self.len()).then(|| self.slice(start..end))
        };
        let read = ranges.iter().map(slice).collect::<Option<Vec<_>>>();
        read.ok_or_else(|| ArchiveError::damaged("", "a range lies outside of it"))
    }
}
