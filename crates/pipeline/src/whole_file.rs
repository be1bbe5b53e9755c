//! Writing a file whole or not at all: whoever reads it meets the old one or the new one, never half of one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// How the names of files begin that are being written: nobody reads them as anything else.
pub(crate) const BESIDE: &str = ".cresset-";

/// Who may read a file that is written.
#[derive(Debug, Clone, Copy)]
pub enum Readers {
    /// Its owner alone.
    Owner,
    /// Whom the process's mask lets.
    Usual,
}

/// Puts `bytes` in the place of the file at `path`, by way of a file beside it.
pub fn write(path: &Path, readers: Readers, bytes: &[u8]) -> io::Result<()> {
    // A link stays a link: what it leads to is written.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut beside = Beside::new(folder_of(&path), readers)?;
    beside.write_all(bytes)?;
    beside.put(&path)
}

/// A file that is being written; gone when it is dropped, unless it was put somewhere.
#[derive(Debug)]
pub struct Beside(tempfile::NamedTempFile);

impl Beside {
    /// Makes one in a folder, on the disk where it is to be put.
    pub fn new(folder: &Path, readers: Readers) -> io::Result<Self> {
        new_file(folder, readers).map(Self)
    }

    /// Returns where it is until then.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Puts it at `path`, in the place of what is there, safe on the disk.
    pub fn put(self, path: &Path) -> io::Result<()> {
        self.0.as_file().sync_all()?;
        self.0.persist(path).map_err(|error| error.error)?;
        // The name is safe once the folder is.
        if cfg!(unix) { File::open(folder_of(path))?.sync_all() } else { Ok(()) }
    }
}

impl Write for Beside {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn new_file(folder: &Path, readers: Readers) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(BESIDE);
    // A temporary file is its owner's alone, unless told otherwise.
    #[cfg(unix)]
    if matches!(readers, Readers::Usual) {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    #[cfg(not(unix))]
    let _ = readers;
    builder.tempfile_in(folder)
}
