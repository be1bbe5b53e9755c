//! Reads a record of a CSV file into its indicators.

use std::sync::Arc;

use ::csv::ByteRecord;
use cresset_event::{Indicator, Matcher, Timestamp, Validity};

use super::records::Numbered;
use super::{COLUMNS_MAX, Columns, Layout};
use crate::findings::Findings;
use crate::identity::Sources;
use crate::list::source_of;
use crate::moment::parse_moment;
use crate::text::{NAME_BYTES_MAX, lossy, shortened, unquoted, utf8};
use crate::value_type::{ValueType, read_named, read_part};

/// What a thread uses again for each record.
#[derive(Default)]
pub(super) struct Scratch {
    matchers: Vec<Matcher>,
    sources: Sources,
}

/// Reads one record.
pub(super) fn read_record(numbered: &Numbered, layout: &Layout, scratch: &mut Scratch, findings: &mut Findings) {
    let Numbered { line, record } = numbered;
    let shown = || record.iter().map(lossy).collect::<Vec<_>>().join(&char::from(layout.delimiter).to_string());
    let row = match Row::of(record, &layout.columns) {
        Ok(row) => row,
        Err(reason) => return findings.refuse(*line, reason, &shown()),
    };
    if row.is_left_out() {
        return;
    }
    if let Err(reason) = row.read(scratch, findings) {
        findings.refuse(*line, reason, &shown());
    }
}

/// A record whose cells are text.
struct Row<'r> {
    record: &'r ByteRecord,
    /// The cells that are looked at, one behind another.
    text: &'r str,
    columns: &'r Columns,
}

impl<'r> Row<'r> {
    /// Tells where a cell is not UTF-8.
    fn of(record: &'r ByteRecord, columns: &'r Columns) -> Result<Self, String> {
        let cells = || (0..record.len().min(COLUMNS_MAX)).filter_map(|column| record.range(column));
        let end = cells().next_back().map_or(0, |range| range.end);
        let text = std::str::from_utf8(&record.as_slice()[..end]);
        // Two cells can come to one character at their seam.
        let text = text.ok().filter(|text| cells().all(|range| text.is_char_boundary(range.end)));
        match text {
            Some(text) => Ok(Self { record, text, columns }),
            None => Err(record.iter().find_map(|cell| utf8(cell).err()).unwrap_or_default()),
        }
    }

    /// Whether it is blank or a comment.
    fn is_left_out(&self) -> bool {
        let first = self.plain(0).unwrap_or_default();
        first.starts_with("//")
            || first.starts_with(';')
            || (0..self.record.len()).all(|column| self.plain(column).is_none_or(str::is_empty))
    }

    fn plain(&self, column: usize) -> Option<&'r str> {
        self.text.get(self.record.range(column)?).map(unquoted)
    }

    /// Returns a cell that says something.
    fn cell(&self, column: Option<usize>) -> Option<&'r str> {
        self.plain(column?).filter(|cell| !matches!(*cell, "" | "-" | "n/a" | "N/A" | "None" | "null"))
    }

    fn read(&self, scratch: &mut Scratch, findings: &mut Findings) -> Result<(), String> {
        if self.cell(self.columns.to_ids).is_some_and(|cell| matches!(cell, "0" | "false" | "False")) {
            return Err("`to_ids` says that it is not for detection".to_owned());
        }
        let validity = self.validity()?;
        let Scratch { matchers, sources } = scratch;
        self.read_matchers(matchers)?;
        for matcher in matchers.drain(..) {
            findings.offer(self.indicator(findings.file(), sources, matcher, validity));
        }
        Ok(())
    }

    fn read_matchers(&self, found: &mut Vec<Matcher>) -> Result<(), String> {
        found.clear();
        for (column, value_type) in &self.columns.values {
            let Some(value) = self.cell(Some(*column)) else { continue };
            if *value_type == ValueType::ByForm {
                read_named(self.cell(self.columns.value_type).unwrap_or_default(), value, found)?;
            } else {
                found.extend(read_part(*value_type, value)?);
            }
        }
        if found.is_empty() { Err("there is no value".to_owned()) } else { Ok(()) }
    }

    fn validity(&self) -> Result<Validity, String> {
        Ok(Validity {
            from_inclusive: self.moment(self.columns.from)?,
            until_exclusive: self.moment(self.columns.until)?,
            revoked: self
                .cell(self.columns.revoked)
                .is_some_and(|cell| !matches!(cell, "0" | "false" | "False" | "no")),
        })
    }

    fn moment(&self, column: Option<usize>) -> Result<Option<Timestamp>, String> {
        let Some(cell) = self.cell(column) else { return Ok(None) };
        match parse_moment(cell) {
            Some(moment) => Ok(Some(moment)),
            None => Err(format!("`{}` is not a time; write it as 2024-05-01T12:00:00Z", shortened(cell, 40))),
        }
    }

    fn indicator(&self, file: &Arc<str>, sources: &mut Sources, matcher: Matcher, validity: Validity) -> Indicator {
        let named = self.cell(self.columns.source);
        let source = sources.get(named.unwrap_or(source_of(file)));
        let reference = self.cell(self.columns.reference).filter(|reference| reference.contains("://"));
        Indicator {
            id: source.derived_id(&matcher),
            name: self.cell(self.columns.name).map(|name| shortened(name, NAME_BYTES_MAX)),
            matcher,
            also: Vec::new(),
            validity,
            author: named.map(|_| Arc::clone(&source.author)),
            confidence: self.cell(self.columns.confidence).and_then(parse_confidence),
            techniques: Vec::new(),
            references: reference.map(str::to_owned).into_iter().collect(),
            loaded_from: Arc::clone(file),
        }
    }
}

/// Reads 0 to 100, with or without `%`, or a word of the scale None/Low/Med/High (STIX 2.1 appendix A).
fn parse_confidence(text: &str) -> Option<u8> {
    const WORDS: &[(&str, u8)] = &[("none", 0), ("low", 15), ("med", 50), ("medium", 50), ("high", 85)];
    if let Some((_, percent)) = WORDS.iter().find(|(word, _)| text.eq_ignore_ascii_case(word)) {
        return Some(*percent);
    }
    text.trim_end_matches('%').trim_end().parse().ok().filter(|percent| *percent <= 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confidence_in_numbers_and_words() {
        for (text, expected) in [("75", Some(75)), ("75%", Some(75)), ("High", Some(85)), ("101", None), ("sure", None)]
        {
            assert_eq!(parse_confidence(text), expected, "{text}");
        }
    }
}
