//! Why an archive cannot do what was asked.

use std::io;
use std::path::{Path, PathBuf};

/// Why an archive cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The system would not let us.
    #[error("cannot use `{path}`")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// The store would not let us.
    #[error("cannot use `{file}` of the archive")]
    Store {
        /// The file, named from the archive's folder.
        file: String,
        /// What the store said.
        #[source]
        cause: object_store::Error,
    },
    /// A file is not as it was written.
    #[error("`{file}` of the archive is damaged: {reason}")]
    Damaged {
        /// The file, named from the archive's folder.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl ArchiveError {
    pub(crate) fn io(path: &Path, cause: io::Error) -> Self {
        Self::Io { path: path.to_owned(), cause }
    }

    pub(crate) fn store(file: &str, cause: object_store::Error) -> Self {
        Self::Store { file: file.into(), cause }
    }

    pub(crate) fn damaged(file: &str, reason: impl Into<String>) -> Self {
        Self::Damaged { file: file.into(), reason: reason.into() }
    }
}
