//! How detections are shown: a table for people, JSON lines and CSV for programs.

mod closing;
pub(crate) mod columns;
mod csv;
mod jsonl;
mod live;
pub(crate) mod rows;
mod style;
mod summary;
mod table;
mod timeline;

pub(crate) use self::closing::Closing;
pub(crate) use self::csv::CsvOutput;
#[cfg(feature = "sql")]
pub(crate) use self::csv::csv_error;
pub(crate) use self::jsonl::JsonlOutput;
pub(crate) use self::live::LiveOutput;
pub(crate) use self::style::Style;
pub(crate) use self::summary::Summary;
pub(crate) use self::table::TableOutput;

use std::io;

use cresset_detect::Detection;

/// Shows detections in one form.
pub(crate) trait Output {
    /// Takes one detection.
    fn detection(&mut self, detection: &Detection) -> io::Result<()>;

    /// Shows what was held back, and what it all came to.
    fn finish(self: Box<Self>, closing: &Closing<'_>) -> io::Result<()>;
}
