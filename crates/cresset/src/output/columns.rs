//! Rows in columns, each as wide as its widest cell. Values are made harmless when they become cells.

use std::io::{self, Write};

use super::Style;
use crate::escape;

/// Longest text of a cell; all of it is in `-o json`.
const CELL_CHARS_MAX: usize = 100;

/// A text for one column.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    /// As it is written, colours included.
    shown: String,
    /// How many characters are seen.
    width: usize,
}

impl Cell {
    /// Returns a cell with this text.
    pub(crate) fn new(text: &str) -> Self {
        Self::painted(text, |text| text.to_owned())
    }

    /// Returns a cell with this text in colour.
    pub(crate) fn painted(text: &str, paint: impl FnOnce(&str) -> String) -> Self {
        let harmless = cut(text);
        Self { width: harmless.chars().count(), shown: paint(&harmless) }
    }
}

/// Returns a text for one line: escaped, and cut where it is long.
pub(crate) fn cut(text: &str) -> String {
    let escaped = escape::terminal(text);
    match escaped.char_indices().nth(CELL_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &escaped[..end]),
        None => escaped.into_owned(),
    }
}

/// Writes rows below the names of their columns.
pub(crate) fn write_columns<const N: usize>(
    names: [&str; N],
    rows: &[[Cell; N]],
    style: Style,
    out: &mut dyn Write,
) -> io::Result<()> {
    let heads = names.map(|name| Cell::painted(name, |name| style.dim(name)));
    let all = || std::iter::once(&heads).chain(rows);
    let widths: Vec<usize> = (0..N).map(|at| all().map(|row| row[at].width).max().unwrap_or(0)).collect();
    for row in all() {
        let mut line = String::new();
        for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
            line.push_str(&cell.shown);
            // Nothing is padded at the end of a line.
            if row[at + 1..].iter().any(|cell| cell.width > 0) {
                line.push_str(&" ".repeat(width - cell.width + 2));
            }
        }
        writeln!(out, "{line}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_seen_of_them() {
        let style = Style::new(true);
        let row = |first: &str, second: &str| [Cell::painted(first, |text| style.bold(text)), Cell::new(second)];
        let mut out = Vec::new();
        let rows = [row("a", "\x1b[2Jx"), row("äöü", "")];
        write_columns(["n", "value"], &rows, Style::new(false), &mut out).expect("room");
        let text = String::from_utf8(out).expect("UTF-8");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "n    value");
        assert!(lines[1].ends_with("    \\x1b[2Jx") && !lines[1].contains("[2Jx\x1b"), "{text:?}");
        assert!(!lines[2].ends_with(' '), "{text:?}");
    }
}
