//! Rows of a list for people: how many, counts, and bars beside them.

use std::io::{self, Write};

/// Rows that a list shows.
pub(crate) const ROWS_MAX: usize = 10;
/// Width of the longest bar, in characters.
const BAR_WIDTH: usize = 24;

/// Draws a count as its share of the highest; any but none has a bar.
pub(crate) fn bar(count: u64, most: u64) -> String {
    "▪".repeat(bar_width(count, most))
}

/// Returns how many characters the bar of a count has.
pub(crate) fn bar_width(count: u64, most: u64) -> usize {
    (count as f64 / most.max(1) as f64 * BAR_WIDTH as f64).ceil() as usize
}

/// `1 event`, `2 events`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{ending}")
}

/// Says how many rows are not shown, and ends the list.
pub(crate) fn write_rest(total: usize, out: &mut dyn Write) -> io::Result<()> {
    if total > ROWS_MAX {
        writeln!(out, "    … and {} more", total - ROWS_MAX)?;
    }
    writeln!(out)
}
