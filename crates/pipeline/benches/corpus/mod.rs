//! The event logs of the corpus as flat JSON lines.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cresset_event::{Event, FieldNames, LogSource, Value};
use cresset_ingest::{Opener, Record};
use cresset_pipeline::{SourcePath, find_sources};

/// Events as JSON lines, and the log source of each.
pub(crate) struct Lines {
    pub(crate) text: Vec<u8>,
    pub(crate) sources: Vec<Arc<LogSource>>,
}

/// Returns the files of a folder.
pub(crate) fn files(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let (sources, _) = find_sources(&[folder.display().to_string()]);
    sources.into_iter().filter_map(|source| match source {
        SourcePath::File(path, _) => Some(path),
        SourcePath::Stdin => None,
    })
}

/// Reads the event logs and writes them as JSON lines, digits turned on by `turn`.
pub(crate) fn lines(folder: &Path, turns: std::ops::Range<u8>) -> Lines {
    let opener = Opener::new(Arc::new(FieldNames::new()));
    let mut lines = Lines { text: Vec::new(), sources: Vec::new() };
    for turn in turns {
        for path in files(folder) {
            let Ok(mut reader) = opener.open_file(&path) else { continue };
            while let Some(record) = reader.next_record() {
                let Record::Event(event) = record else { continue };
                serde_json::to_writer(&mut lines.text, &flat(&event, turn)).expect("memory");
                lines.text.push(b'\n');
                lines.sources.push(Arc::clone(&event.origin().log_source));
            }
        }
    }
    lines
}

fn flat(event: &Event, turn: u8) -> serde_json::Map<String, serde_json::Value> {
    let mut object = serde_json::Map::new();
    for field in event.fields() {
        let is_kept = matches!(&*field.name, "EventID" | "Channel" | "Provider_Name" | "TimeCreated");
        let value = match field.value {
            Value::Str(text) if turn > 0 && !is_kept => turned(text, turn).into(),
            Value::Str(text) => text.into(),
            Value::Int(number) => number.into(),
            Value::Float(number) => number.into(),
            Value::Bool(truth) => truth.into(),
            Value::Null | Value::Empty => serde_json::Value::Null,
        };
        object.insert(field.name.into_owned(), value);
    }
    object
}

fn turned(text: &str, turn: u8) -> String {
    let turn_digit = |c: char| match c.to_digit(10) {
        Some(digit) => char::from_digit((digit + u32::from(turn)) % 10, 10).unwrap_or(c),
        None => c,
    };
    text.chars().map(turn_digit).collect()
}
