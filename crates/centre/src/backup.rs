//! Backups: all that a centre keeps, as of one moment, in one sealed file; and a centre made of it again.
//!
//! `take.rs` holds everything as it is while the centre works on, `entries.rs` puts files one behind the other, `sealed.rs` seals
//! what comes out; `restore.rs` goes the other way. What leaves the centre is sealed before it leaves, under a key that only the
//! passphrase gives. `docs/backup-format.md` says what lies where.
//!
//! A backup has all that was acknowledged before it was asked for, because of the order in which things are held: first how far
//! files were read and what has hunted, then the records, then events, then evidence. What a later one has beyond an earlier one is known by its id
//! when it comes again. `cresset/tests/it/serve/backup.rs` takes one under load.

mod entries;
mod restore;
mod sealed;
mod take;

use std::io;
use std::path::{Path, PathBuf};

use cresset_archive::{ArchiveError, Damage};
use cresset_store::StoreError;
use serde::{Deserialize, Serialize};

pub use restore::{Restored, Tokens, restore, verify};
pub(crate) use take::{Taken, remove_left};

/// Fewest characters of a passphrase: what is tried out at the rate that the key allows stays out of reach.
pub const PASSPHRASE_CHARS_MIN: usize = 12;
/// Version of what is inside.
const FORMAT: u32 = 1;
/// What the first file of a backup is called: what it is of.
const ABOUT: &str = "backup.json";
/// Where the configuration of the centre lies in a backup, and in the folder that comes of it.
const CONFIGURATION: &str = "configuration.toml";
const RECORDS: &str = "records.db";
/// How far files were read, with what correlations remember; which rules and indicators have hunted.
const POSITIONS: &[&str] = &["state", "hunted"];
const ARCHIVE: &str = "archive";
/// Folders that are backed up as they are.
const FOLDERS: &[&str] = &["rules", "indicators", "tls", "evidence"];

/// What a backup is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Version of what is inside.
    pub format: u32,
    /// The version of the program that made it.
    pub version: String,
    /// The moment that it is of (RFC 3339).
    pub at: String,
    /// Lines of the audit log, and the digest of the last.
    pub audit: (u64, String),
    /// Events that are remembered: at least so many.
    pub events: u64,
}

/// Why there is no backup, or no centre of it.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file cannot be read or written.
    #[error("cannot use `{}`", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// The backup cannot be read or written.
    #[error("the backup cannot be read or written")]
    Stream(#[source] io::Error),
    /// It is something else.
    #[error("that is no backup that this program can read")]
    NoBackup,
    /// It does not open.
    #[error("the passphrase is another one, or the beginning of the backup was changed")]
    Passphrase,
    /// It was changed.
    #[error("the backup was changed near byte {at}: take another copy of it")]
    Changed {
        /// Where.
        at: u64,
    },
    /// Its end is missing.
    #[error("the backup is cut off: take another copy of it")]
    CutOff,
    /// There is something behind its end, or it says something that no backup says.
    #[error("the backup says what none says: {0}")]
    Content(String),
    /// No passphrase is to be guessed.
    #[error("a passphrase has at least {PASSPHRASE_CHARS_MIN} characters")]
    Weak,
    /// There is something already.
    #[error("`{}` is not empty: name a folder that is not there yet", .folder.display())]
    NotEmpty {
        /// The folder.
        folder: PathBuf,
    },
    /// A file was changed while it was read.
    #[error("`{}` was changed while it was read: make the backup again", .path.display())]
    Moving {
        /// The file.
        path: PathBuf,
    },
    /// The archive cannot be read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The archive in it is not whole.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// The records cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The audit log in it is not the one that was backed up.
    #[error("the audit log in it is not as it was: {0}")]
    Audit(String),
}

impl BackupError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::Io { path: path.to_owned(), cause }
    }
}

impl From<io::Error> for BackupError {
    /// What was said below a stream of bytes is said here again.
    fn from(error: io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(own) => own,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Self::CutOff,
            Err(error) => Self::Stream(error),
        }
    }
}
