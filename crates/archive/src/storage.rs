//! Where the files lie: an object store, of which a folder is one.
//!
//! Everything but the write-ahead log goes through here, whole or by ranges, so that another kind of store is a matter of
//! opening it. A file is never changed once it is there. What was put into a folder is on the disk when `put` returns.
//!
//! The store is asynchronous and we are not: a folder is read on the thread that asks.

use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use crc32fast::Hasher;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Name;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutPayload};
use tokio::task::unconstrained;

use crate::error::ArchiveError;

/// The folder of files that are put aside.
pub(crate) const RETIRED: &str = "dropped";

/// Bytes that are given to the store at once; S3 takes no fewer than 5 MiB.
const PART_BYTES: usize = 8 << 20;

/// Waits for the store, on this thread. Who asks may be a task of tokio's that has had its turn: what it awaits is put off until
/// its next one then, which does not come before this returns.
fn block_on<F: Future>(asked: F) -> F::Output {
    futures_executor::block_on(unconstrained(asked))
}

/// The files of an archive.
#[derive(Debug, Clone)]
pub(crate) struct Storage {
    store: Arc<dyn ObjectStore>,
    /// The folder that it is, whose files have to be brought to the disk.
    folder: PathBuf,
}

/// Bytes that are read by ranges.
pub(crate) trait ReadRanges: Send + Sync {
    /// Returns how many there are.
    fn byte_len(&self) -> u64;

    /// Reads some ranges at once.
    fn read_ranges(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, ArchiveError>;

    /// Reads a range.
    fn read_range(&self, range: Range<u64>) -> Result<Bytes, ArchiveError> {
        self.read_ranges(std::slice::from_ref(&range)).map(|mut read| read.pop().unwrap_or_default())
    }
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
        let store = LocalFileSystem::new_with_prefix(folder).map_err(|cause| ArchiveError::store("", cause))?;
        Ok(Self::over(Arc::new(store), folder))
    }

    /// Returns the files of a folder as a store gives them.
    pub(crate) fn over(store: Arc<dyn ObjectStore>, folder: &Path) -> Self {
        Self { store, folder: folder.to_owned() }
    }

    /// Returns a file of this name and length.
    pub(crate) fn file(&self, name: &str, byte_len: u64) -> StoredFile {
        StoredFile { storage: self.clone(), name: name.into(), byte_len }
    }

    /// Reads a file as a whole.
    pub(crate) fn get(&self, name: &str) -> Result<Bytes, ArchiveError> {
        self.read(name, |at| async move { self.store.get(&at).await?.bytes().await })
    }

    /// Reads of a file, also where it was retired meanwhile.
    fn read<T, R: Future<Output = object_store::Result<T>>>(
        &self,
        name: &str,
        read: impl Fn(Name) -> R,
    ) -> Result<T, ArchiveError> {
        block_on(read_or_retired(&Name::from(name), read)).map_err(|cause| ArchiveError::store(name, cause))
    }

    /// Returns the store itself.
    pub(crate) fn store(&self) -> &dyn ObjectStore {
        &*self.store
    }

    /// Puts a file aside that is in others now: for readers that hold it, and out of the way of those that take all files of a
    /// folder. One that was put aside before is none to complain of.
    pub(crate) fn retire(&self, name: &str) -> Result<(), ArchiveError> {
        match block_on(self.store.rename(&Name::from(name), &Name::from(retired(name)))) {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(cause) => Err(ArchiveError::store(name, cause)),
        }
    }

    /// Writes a file, in place of one that may be there.
    pub(crate) fn put(&self, name: &str, bytes: impl Into<PutPayload>) -> Result<(), ArchiveError> {
        let at = Name::from(name);
        block_on(self.store.put(&at, bytes.into())).map_err(|cause| ArchiveError::store(name, cause))?;
        self.sync(name)
    }

    /// Writes a file that may be larger than the memory, and returns its length and its CRC-32.
    pub(crate) fn put_written(
        &self,
        name: &str,
        write: impl FnOnce(&mut Upload) -> Result<(), ArchiveError>,
    ) -> Result<(u64, u32), ArchiveError> {
        let failed = |cause| ArchiveError::store(name, cause);
        let upload = block_on(self.store.put_multipart(&Name::from(name))).map_err(failed)?;
        let mut out = Upload { upload, part: Vec::new(), bytes: 0, crc: Hasher::new() };
        let written = write(&mut out).and_then(|()| out.finish().map_err(failed));
        if written.is_err() {
            // The room is wanted; should this fail as well the next writer takes it away.
            let _ = block_on(out.upload.abort());
        }
        let written = written?;
        self.sync(name)?;
        Ok(written)
    }

    /// Writes a file; `false` where there is one of this name already.
    pub(crate) fn put_new(&self, name: &str, bytes: impl Into<PutPayload>) -> Result<bool, ArchiveError> {
        let (at, bytes) = (Name::from(name), bytes.into());
        let put = self.store.put_opts(&at, bytes, PutMode::Create.into());
        match block_on(put) {
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
        let mut listed = block_on(listed).map_err(|cause| ArchiveError::store(folder, cause))?;
        listed.sort();
        Ok(listed)
    }

    /// Takes a file away that was put aside.
    pub(crate) fn delete_retired(&self, name: &str) -> Result<(), ArchiveError> {
        self.delete(&retired(name))
    }

    /// Takes a file away; one that is gone already is none to complain of.
    pub(crate) fn delete(&self, name: &str) -> Result<(), ArchiveError> {
        match block_on(self.store.delete(&Name::from(name))) {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(cause) => Err(ArchiveError::store(name, cause)),
        }
    }

    /// Takes away what a program that was killed had not finished writing: the store gives such files a `#` in their names,
    /// and does not list them.
    pub(crate) fn delete_unfinished(&self, folder: &str) -> Result<(), ArchiveError> {
        let mut open = vec![self.folder.join(folder)];
        while let Some(folder) = open.pop() {
            let entries = match fs::read_dir(&folder) {
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => continue,
                entries => entries.map_err(|cause| ArchiveError::io(&folder, cause))?,
            };
            for path in entries.map(|entry| entry.map(|entry| entry.path())) {
                let path = path.map_err(|cause| ArchiveError::io(&folder, cause))?;
                let is_unfinished = path.file_name().is_some_and(|name| name.to_string_lossy().contains('#'));
                if path.is_dir() {
                    open.push(path);
                } else if is_unfinished {
                    fs::remove_file(&path).map_err(|cause| ArchiveError::io(&path, cause))?;
                }
            }
        }
        Ok(())
    }

    /// Brings a file, and its name, to the disk.
    fn sync(&self, name: &str) -> Result<(), ArchiveError> {
        let path = self.folder.join(name);
        sync_file(&path)?;
        path.ancestors().skip(1).take_while(|folder| folder.starts_with(&self.folder)).try_for_each(sync_file)
    }
}

/// Reads of a file where it lies, or where it was put aside.
pub(crate) async fn read_or_retired<T, R: Future<Output = object_store::Result<T>>>(
    name: &Name,
    read: impl Fn(Name) -> R,
) -> object_store::Result<T> {
    match read(name.clone()).await {
        Err(object_store::Error::NotFound { .. }) => read(Name::from(retired(name.as_ref()))).await,
        got => got,
    }
}

/// Where a file goes that is put aside.
pub(crate) fn retired(name: &str) -> String {
    format!("{RETIRED}/{name}")
}

/// Brings a file, or the names in a folder, to the disk.
pub(crate) fn sync_file(path: &Path) -> Result<(), ArchiveError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(|cause| ArchiveError::io(path, cause))
}

/// Makes a folder where there is none.
pub(crate) fn make_folder(path: &Path) -> Result<(), ArchiveError> {
    fs::create_dir_all(path).map_err(|cause| ArchiveError::io(path, cause))
}

/// A file that is written piece by piece, counted and summed up.
pub(crate) struct Upload {
    upload: Box<dyn MultipartUpload>,
    /// What is not with the store yet.
    part: Vec<u8>,
    bytes: u64,
    crc: Hasher,
}

impl Upload {
    /// Gives what there is to the store.
    fn send(&mut self) -> object_store::Result<()> {
        let part = std::mem::take(&mut self.part);
        self.bytes += part.len() as u64;
        self.crc.update(&part);
        block_on(self.upload.put_part(part.into()))
    }

    /// Returns its length and its CRC-32 once it is there.
    fn finish(&mut self) -> object_store::Result<(u64, u32)> {
        self.send()?;
        block_on(self.upload.complete())?;
        Ok((self.bytes, self.crc.clone().finalize()))
    }
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.part.extend_from_slice(bytes);
        if self.part.len() >= PART_BYTES {
            self.send().map_err(io::Error::other)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ReadRanges for StoredFile {
    fn byte_len(&self) -> u64 {
        self.byte_len
    }

    fn read_ranges(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, ArchiveError> {
        self.storage.read(&self.name, |at| async move { self.storage.store.get_ranges(&at, ranges).await })
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
