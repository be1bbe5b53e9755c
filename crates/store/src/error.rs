//! Why the store cannot do what was asked: a kind for each thing that a caller does differently.

use std::io;
use std::path::{Path, PathBuf};

/// Why the store cannot do what was asked. Nothing of it was done.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such thing.
    #[error("there is no {what} `{id}`")]
    NotFound {
        /// The kind of thing.
        what: &'static str,
        /// What it was looked for by.
        id: String,
    },
    /// It does not fit what is there.
    #[error("{reason}")]
    Conflict {
        /// What does not fit, and the remedy.
        reason: String,
    },
    /// A request's key was used before, for another request.
    #[error("the idempotency key `{key}` was used for another request: take a new key for each")]
    KeyReused {
        /// The key.
        key: String,
    },
    /// A text is longer than is kept.
    #[error("{what} has {bytes} bytes, of which {bytes_max} are kept at most: shorten it")]
    TooLong {
        /// Which text.
        what: &'static str,
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        bytes_max: usize,
    },
    /// A cursor is none, or one of another list.
    #[error("the cursor is none of this list: ask for its first page")]
    Cursor,
    /// There is no room left. What was refused can be given again once there is.
    #[error("the store is full: make room and try again")]
    Full(#[source] sqlx::Error),
    /// Others keep it busy for longer than we wait. It can be tried again.
    #[error("the store is busy: try again")]
    Busy(#[source] sqlx::Error),
    /// It was written by a newer version of this program.
    #[error(
        "the store has schema {found}, and this program knows {known}: use the version that wrote it, or a newer one"
    )]
    Newer {
        /// The schema that it has.
        found: i64,
        /// The newest one that this program knows.
        known: i64,
    },
    /// What is stored is not as it was written.
    #[error("the store is damaged ({what}): bring it back from a backup")]
    Damaged {
        /// Where, and what is wrong.
        what: String,
        /// What the database said, where it found it.
        #[source]
        cause: Option<sqlx::Error>,
    },
    /// The address names no database that we know.
    #[error("`{scheme}` is no store: name `sqlite:PATH` or `postgres://USER@HOST/DATABASE`")]
    Address {
        /// What stands before the colon; the rest may hold a password.
        scheme: String,
    },
    /// The database makes no such backups.
    #[error("PostgreSQL is backed up by `pg_dump`, and not by this program")]
    BackupByPgDump,
    /// The system would not let us.
    #[error("cannot use `{path}`")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// The database would not let us.
    #[error("the database refused")]
    Db(#[source] sqlx::Error),
}

impl StoreError {
    pub(crate) fn io(path: &Path, cause: io::Error) -> Self {
        Self::Io { path: path.to_owned(), cause }
    }

    pub(crate) fn not_found(what: &'static str, id: impl ToString) -> Self {
        Self::NotFound { what, id: id.to_string() }
    }

    pub(crate) fn conflict(reason: impl Into<String>) -> Self {
        Self::Conflict { reason: reason.into() }
    }

    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged { what: what.into(), cause: None }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let code = match &error {
            // The second: the connection's transaction was ended for it, and another takes its place.
            sqlx::Error::PoolTimedOut | sqlx::Error::InvalidSavePointStatement => return Self::Busy(error),
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_) | sqlx::Error::Decode(_) => {
                return Self::Damaged { what: "a column".into(), cause: Some(error) };
            }
            sqlx::Error::Io(cause) if is_full(cause.kind()) => return Self::Full(error),
            sqlx::Error::Database(cause) => cause.code().unwrap_or_default().into_owned(),
            _ => return Self::Db(error),
        };
        match kind_of(&code) {
            Kind::Full => Self::Full(error),
            Kind::Busy => Self::Busy(error),
            Kind::Damaged => Self::Damaged { what: "a page of the database".into(), cause: Some(error) },
            Kind::Dangling => Self::conflict("it refers to an incident that is not stored: store that first"),
            Kind::Other => Self::Db(error),
        }
    }
}

pub(crate) fn is_full(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[derive(Debug, PartialEq)]
enum Kind {
    Full,
    Busy,
    Damaged,
    Dangling,
    Other,
}

/// Tells what a database's code means: SQLite's are numbers (the low byte is the kind, the rest says more,
/// `sqlite.org/rescode.html`), PostgreSQL's have five characters (its manual, appendix A).
fn kind_of(code: &str) -> Kind {
    match code {
        "53100" => return Kind::Full,
        // Serialization, deadlock, connections, lock not available, shutting down.
        "40001" | "40P01" | "53300" | "55P03" | "57P01" | "57P02" | "57P03" => return Kind::Busy,
        "XX001" | "XX002" => return Kind::Damaged,
        "23503" => return Kind::Dangling,
        _ if code.len() == 5 => return Kind::Other,
        _ => {}
    }
    match code.parse::<u32>() {
        Ok(787) => Kind::Dangling,
        // SQLITE_IOERR_SHMSIZE: no room for the index of the write-ahead log.
        Ok(4874) => Kind::Full,
        Ok(code) => match code & 0xff {
            13 => Kind::Full,
            5 | 6 => Kind::Busy,
            11 | 26 => Kind::Damaged,
            _ => Kind::Other,
        },
        Err(_) => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_both_databases_are_told_apart() {
        for (code, kind) in [
            ("13", Kind::Full),
            ("53100", Kind::Full),
            ("5", Kind::Busy),
            ("517", Kind::Busy),
            ("40001", Kind::Busy),
            ("11", Kind::Damaged),
            ("26", Kind::Damaged),
            ("779", Kind::Damaged),
            ("XX001", Kind::Damaged),
            ("787", Kind::Dangling),
            ("23503", Kind::Dangling),
            // SQLITE_CONSTRAINT_UNIQUE and unique_violation.
            ("2067", Kind::Other),
            ("23505", Kind::Other),
            ("", Kind::Other),
        ] {
            assert_eq!(kind_of(code), kind, "{code}");
        }
    }
}
