//! SQL over an archive: one `SELECT` over the table `events` and those beside it, by DataFusion.
//!
//! [`Sql`] holds an archive as it was when it was opened, and answers queries within limits of memory and time. Files are left
//! out by what the list of files says of their times and log sources (`files.rs`), row groups and pages by what Parquet's
//! statistics say; columns that a query does not name are not read. Nothing but a `SELECT`, an `EXPLAIN` of one and `DESCRIBE`
//! is taken, and no file but those of the archive can be named.

mod error;
mod files;
mod id_text;
mod progress;
mod sql;
mod table;

pub use datafusion::arrow;
pub use error::QueryError;
pub use files::{LeftOut, ScanReport};
pub use sql::{Answer, Limits, Rows, Sql};
