//! Why a query has no answer.

use std::time::Duration;

use cresset_archive::{ArchiveError, Damage};
use datafusion::error::DataFusionError;

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// It is something else than one `SELECT`.
    #[error("{what} is not answered here: an archive takes one SELECT, an EXPLAIN of one, or DESCRIBE events")]
    NotASelect {
        /// What it is.
        what: String,
    },
    /// It is no SQL, or names what is not there.
    #[error("{0}")]
    Refused(String),
    /// It took more time than it may.
    #[error("the query took more than {limit:?}: ask for less, or allow more")]
    TimeOut {
        /// What it may take.
        limit: Duration,
    },
    /// It wanted more memory than it may have.
    #[error("the query needs more than {limit} bytes of memory: ask for less, or allow more ({cause})")]
    OutOfMemory {
        /// What it may have.
        limit: usize,
        /// Which part of it wanted more.
        cause: String,
    },
    /// Files are damaged that it had to read, and rows were passed on before that was found.
    #[error("{}; a condition on `time`, `product` or `service` that leaves it out lets the rest be read", .0.iter().map(Damage::to_string).collect::<Vec<_>>().join("; "))]
    Damaged(Vec<Damage>),
    /// Something else went wrong while it ran.
    #[error("the query failed")]
    Failed(#[source] DataFusionError),
    /// The archive would not have it.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// No threads could be had.
    #[error("no threads can be had to run a query")]
    Threads(#[source] std::io::Error),
}

/// What DataFusion writes before what is wrong with a query.
const PREFIXES: &[&str] =
    &["Error during planning: ", "Schema error: ", "SQL error: ", "This feature is not implemented: "];

impl QueryError {
    /// An error that came up before anything was read: of the query's own words.
    pub(crate) fn refused(error: &DataFusionError) -> Self {
        let text = error.strip_backtrace();
        // What DataFusion itself was doing is nothing to those who ask, and a list of all fields no help.
        let text = PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(&text);
        Self::Refused(match text.find('\n').or_else(|| text.find(" Valid fields are")) {
            Some(end) => format!("{} `describe events` lists all", &text[..end]),
            None => text.replace("datafusion.public.", ""),
        })
    }

    /// An error of a query that ran.
    pub(crate) fn ran(error: DataFusionError, memory: usize) -> Self {
        match error.find_root() {
            DataFusionError::ResourcesExhausted(cause) => Self::OutOfMemory { limit: memory, cause: cause.clone() },
            DataFusionError::Plan(_) | DataFusionError::SchemaError(..) | DataFusionError::NotImplemented(_) => {
                Self::refused(&error)
            }
            _ => Self::Failed(error),
        }
    }
}
