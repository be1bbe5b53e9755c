//! Why an archive cannot do what was asked.

use std::io;
use std::path::{Path, PathBuf};

use parquet::errors::ParquetError;

use crate::archive::Damage;

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
    /// A file of events cannot be read or written.
    #[error("cannot use `{file}` of the archive")]
    Parquet {
        /// The file, named from the archive's folder.
        file: String,
        /// What is wrong with it.
        #[source]
        cause: ParquetError,
    },
    /// The folder holds something else.
    #[error("`{folder}` is no archive, and not empty: name a folder that is, or a new one")]
    NoArchive {
        /// The folder.
        folder: PathBuf,
    },
    /// Another program writes to it.
    #[error("another program writes to the archive `{folder}`")]
    InUse {
        /// Its folder.
        folder: PathBuf,
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
    /// Returns whether there is no room any more: what was refused can be given again once there is.
    pub fn is_full(&self) -> bool {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(error) = cause {
            let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
            use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
            if matches!(kind, Some(StorageFull | QuotaExceeded | FileTooLarge)) {
                return true;
            }
            cause = error.source();
        }
        false
    }

    /// Returns whether a file is gone or not as it was written: it will not be another time.
    pub(crate) fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. }) || self.is_gone()
    }

    /// Returns whether a file is gone.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self, Self::Store { cause: object_store::Error::NotFound { .. }, .. })
    }

    /// Returns what is wrong with its causes, on one line.
    pub fn with_causes(&self) -> String {
        with_causes(self)
    }

    pub(crate) fn io(path: &Path, cause: io::Error) -> Self {
        Self::Io { path: path.to_owned(), cause }
    }

    pub(crate) fn store(file: &str, cause: object_store::Error) -> Self {
        Self::Store { file: file.into(), cause }
    }

    /// A file that cannot be read or written as Parquet: where the world would not let us the cause says so.
    pub(crate) fn parquet(file: &str, cause: ParquetError) -> Self {
        Self::Parquet { file: file.into(), cause }
    }

    pub(crate) fn damaged(file: &str, reason: impl Into<String>) -> Self {
        Self::Damaged { file: file.into(), reason: reason.into() }
    }
}

impl From<&Damage> for ArchiveError {
    fn from(damage: &Damage) -> Self {
        Self::damaged(&damage.file, &*damage.reason)
    }
}

/// Returns an error with its causes, on one line.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        text = format!("{text}: {deeper}");
        cause = deeper.source();
    }
    text.replace(['\n', '\r'], " ")
}
