//! An archive held as it is at one moment, to be copied while it is written to.
//!
//! Each file gets a second name in a folder of its own (a hard link): that takes no room and a moment, and files that are merged
//! or deleted meanwhile are still there under it. Finished files are never changed. A write-ahead log grows under both names;
//! its bytes up to the length that it had are what was acknowledged by then, and a reader takes a cut end for what it is.
//! `tests/it/snapshot.rs` writes and merges while it copies.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::ArchiveError;
use crate::manifest::{LOOKS_MAX, Manifest};
use crate::storage::{Storage, retired};
use crate::wal;
use crate::writer::wal_folder;

/// The folder of second names, in that of the archive. One that a program left that was killed is taken away by the next writer.
const FOLDER: &str = "snapshot";

/// An archive as it was at one moment. Its files are let go of when it is dropped.
#[derive(Debug)]
pub struct Snapshot {
    folder: PathBuf,
    files: Vec<SnapshotFile>,
}

/// A file of an archive as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotFile {
    /// Its name, from the archive's folder.
    pub name: String,
    /// Where it can be read meanwhile.
    pub path: PathBuf,
    /// How many of its bytes belong to it.
    pub bytes: u64,
}

impl Snapshot {
    /// Takes an archive as it is now. There is one snapshot of an archive at a time: who takes the next lets go of the one before.
    pub fn take(archive: &Path) -> Result<Self, ArchiveError> {
        if !wal_folder(archive).is_dir() {
            return Err(ArchiveError::NoArchive { folder: archive.to_owned() });
        }
        let storage = Storage::open(archive)?;
        let mut manifest = Manifest::load(&storage)?;
        for _ in 0..LOOKS_MAX {
            let taken = Self::of(archive, &manifest);
            // Files may have been merged, and a log may have become a segment, since the manifest was read.
            let now = Manifest::load(&storage)?;
            if now.number == manifest.number {
                return taken;
            }
            manifest = now;
        }
        Err(ArchiveError::InUse { folder: archive.to_owned() })
    }

    fn of(archive: &Path, manifest: &Manifest) -> Result<Self, ArchiveError> {
        remove_left(archive)?;
        let mut snapshot = Self { folder: archive.join(FOLDER), files: Vec::new() };
        for number in wal::list(&wal_folder(archive))?.into_iter().filter(|number| *number > manifest.wal_done) {
            snapshot.link(archive, &format!("wal/{}", wal::name_of(number)))?;
        }
        let held =
            manifest.tables.iter().map(|entry| &entry.file).chain(manifest.index.iter().map(|entry| &entry.file));
        held.into_iter().try_for_each(|file| snapshot.link(archive, file))?;
        if let Some(name) = manifest.file_name() {
            snapshot.link(archive, &name)?;
        }
        Ok(snapshot)
    }

    fn link(&mut self, archive: &Path, name: &str) -> Result<(), ArchiveError> {
        let path = self.folder.join(name);
        let folder = path.parent().unwrap_or(&self.folder);
        let linked = fs::create_dir_all(folder).and_then(|()| {
            fs::hard_link(archive.join(name), &path).or_else(|error| match error.kind() {
                // It was merged a moment ago, and is put aside.
                io::ErrorKind::NotFound => fs::hard_link(archive.join(retired(name)), &path),
                _ => Err(error),
            })
        });
        let bytes = linked.and_then(|()| fs::metadata(&path)).map_err(|cause| ArchiveError::io(&path, cause))?.len();
        self.files.push(SnapshotFile { name: name.to_owned(), path, bytes });
        Ok(())
    }

    /// Returns its files.
    pub fn files(&self) -> &[SnapshotFile] {
        &self.files
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        // What cannot be taken away now the next writer takes away.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Takes the second names away that a program left that was killed.
pub(crate) fn remove_left(archive: &Path) -> Result<(), ArchiveError> {
    let folder = archive.join(FOLDER);
    match fs::remove_dir_all(&folder) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(ArchiveError::io(&folder, cause)),
        _ => Ok(()),
    }
}
