//! Rows of unknown columns for people: side by side where they are narrow, else a block a row.

use std::io::{self, Write};

use cresset_query::arrow::datatypes::SchemaRef;

use crate::escape;
use crate::output::Style;

/// Rows that are looked at before it is said how wide the columns are.
const LOOKED_AT: usize = 1000;
/// Characters of a line up to which rows are side by side.
const LINE_MAX: usize = 160;

/// One cell for each column; none where it is null.
type Row = Vec<Option<String>>;

/// Rows, held back until their widths are known.
pub(super) struct Grid {
    style: Style,
    names: Vec<String>,
    is_number: Vec<bool>,
    held: Vec<Row>,
    layout: Option<Layout>,
    /// Rows that were written.
    written: usize,
}

enum Layout {
    /// The widths of the columns, in characters.
    Lines(Vec<usize>),
    /// The width of the names.
    Blocks(usize),
}

impl Grid {
    pub(super) fn new(style: Style) -> Self {
        Self { style, names: Vec::new(), is_number: Vec::new(), held: Vec::new(), layout: None, written: 0 }
    }

    pub(super) fn begin(&mut self, columns: &SchemaRef) {
        self.names = columns.fields().iter().map(|field| escape::terminal(field.name()).into_owned()).collect();
        self.is_number = columns.fields().iter().map(|field| field.data_type().is_numeric()).collect();
    }

    pub(super) fn rows(&mut self, rows: &[Row], out: &mut dyn Write) -> io::Result<()> {
        for row in rows {
            let shown = row.iter().map(|cell| cell.as_deref().map(harmless)).collect();
            if self.layout.is_some() {
                self.write(&shown, out)?;
            } else {
                self.held.push(shown);
            }
        }
        if self.layout.is_none() && self.held.len() >= LOOKED_AT { self.write_held(out) } else { Ok(()) }
    }

    pub(super) fn finish(mut self, out: &mut dyn Write) -> io::Result<()> {
        if self.layout.is_none() {
            self.write_held(out)?;
        }
        out.flush()
    }

    fn write_held(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let held = std::mem::take(&mut self.held);
        let width = |text: &str| text.chars().count();
        let mut widths: Vec<usize> = self.names.iter().map(|name| width(name)).collect();
        for row in &held {
            for (widest, cell) in widths.iter_mut().zip(row) {
                *widest = (*widest).max(width(cell.as_deref().unwrap_or_default()));
            }
        }
        let line = widths.iter().map(|width| width + 2).sum::<usize>();
        let has_lines = held.iter().flatten().flatten().any(|cell| cell.contains('\n'));
        if line <= LINE_MAX && !has_lines {
            let names: Vec<String> = self.names.iter().zip(&widths).zip(&self.is_number).map(padded).collect();
            writeln!(out, "{}", self.style.bold(names.join("  ").trim_end()))?;
            self.layout = Some(Layout::Lines(widths));
        } else {
            self.layout = Some(Layout::Blocks(self.names.iter().map(|name| width(name)).max().unwrap_or(0)));
        }
        held.iter().try_for_each(|row| self.write(row, out))
    }

    fn write(&mut self, row: &Row, out: &mut dyn Write) -> io::Result<()> {
        self.written += 1;
        match &self.layout {
            Some(Layout::Lines(widths)) => {
                let cells = row.iter().map(|cell| cell.as_deref().unwrap_or_default().replace('\n', "\\n"));
                let cells: Vec<String> = cells.zip(widths).zip(&self.is_number).map(padded).collect();
                writeln!(out, "{}", cells.join("  ").trim_end())
            }
            Some(Layout::Blocks(width)) => {
                writeln!(out, "{}", self.style.dim(format_args!("row {}", self.written)))?;
                for (name, cell) in self.names.iter().zip(row) {
                    // Most events have few of the fields that there are.
                    let Some(cell) = cell else { continue };
                    let cell = cell.replace('\n', &format!("\n{:indent$}", "", indent = width + 4));
                    writeln!(out, "  {}  {cell}", self.style.bold(format_args!("{name:width$}")))?;
                }
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// Makes each line of a value harmless; the lines stay lines, which are shown below each other.
fn harmless(cell: &str) -> String {
    cell.trim_end_matches('\n').split('\n').map(escape::terminal).collect::<Vec<_>>().join("\n")
}

/// A text with blanks up to the width of its column, before it where that has numbers.
fn padded(((text, width), is_number): ((impl AsRef<str>, &usize), &bool)) -> String {
    let text = text.as_ref();
    if *is_number { format!("{text:>width$}") } else { format!("{text:width$}") }
}
