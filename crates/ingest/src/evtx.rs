//! Windows event logs as they lie on disk (EVTX), through the `evtx` crate.
//!
//! A chunk (64 KiB) at a time. Each record is rendered to JSON and read as any nested Windows event, so that a rule sees
//! the same fields whichever way the event came. A chunk or record that is damaged is reported; the others are read.

use std::collections::VecDeque;
use std::io::{self, BufRead, Seek, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cresset_event::{Event, EventBuilder, FieldId, FieldNames, Origin, Source, SourceIdentity, Timestamp};
use evtx::{EvtxParser, IntoIterChunks, ParserSettings};

use crate::format::FormatInfo;
use crate::input::Input;
use crate::json_lines::JsonShapes;
use crate::reader::{Reader, Record, Skipped};
use crate::taxonomy::Taxonomy;

pub(crate) const INFO: FormatInfo = FormatInfo {
    name: "evtx",
    title: "Windows event logs (EVTX), whole or truncated",
    example: "ElfFile\\0… (binary; C:\\Windows\\System32\\winevt\\Logs\\*.evtx)",
};

/// Returns whether these are the first bytes of an event log.
pub(crate) fn is(head: &[u8]) -> bool {
    head.starts_with(b"ElfFile\0")
}

/// Reads one event log.
pub(crate) struct EvtxReader {
    chunks: IntoIterChunks<std::fs::File>,
    settings: Arc<ParserSettings>,
    /// What the chunk at hand holds and was not given yet.
    ready: VecDeque<Rendered>,
    shapes: JsonShapes,
    builder: EventBuilder,
    /// The field that holds the event's own number.
    number_field: FieldId,
    source: Arc<Source>,
    arrived: Timestamp,
    taken: Arc<AtomicU64>,
}

/// A record as JSON, or why there is none.
enum Rendered {
    Record { number: u64, json: Vec<u8> },
    Bad { reason: String },
}

impl EvtxReader {
    /// Opens a log. It must be seekable, and so goes through an unlinked temporary file: the bytes may come from a pipe
    /// or out of a gzip.
    pub(crate) fn open(mut input: Input, names: Arc<FieldNames>, taxonomy: &Arc<Taxonomy>) -> io::Result<Self> {
        let (file, broken) = spool(&mut input.bytes)?;
        let parser = EvtxParser::from_read_seek(file).map_err(io::Error::other)?;
        let source = Source { name: input.source.name.clone(), identity: SourceIdentity::Numbered };
        Ok(Self {
            chunks: parser.into_chunks(),
            settings: Arc::new(ParserSettings::new().num_threads(1).validate_checksums(false)),
            ready: broken.map(|reason| Rendered::Bad { reason }).into_iter().collect(),
            shapes: JsonShapes::new(&names, taxonomy),
            number_field: names.intern("EventRecordID").expect("names of the built-in shapes come first"),
            builder: EventBuilder::new(names),
            source: Arc::new(source),
            arrived: input.arrived,
            taken: input.taken,
        })
    }

    /// Renders the next chunk; `false` at the end.
    fn fill(&mut self) -> bool {
        let Some(chunk) = self.chunks.next() else { return false };
        let mut chunk = match chunk {
            Ok(chunk) => chunk,
            Err(cause) => {
                self.ready.push_back(Rendered::Bad { reason: causes(&cause) });
                return true;
            }
        };
        match chunk.parse(Arc::clone(&self.settings)) {
            Ok(mut parsed) => {
                self.ready.extend(parsed.iter().map(
                    |record| match record.and_then(|record| record.into_json_bytes()) {
                        Ok(record) => Rendered::Record { number: record.event_record_id, json: record.data },
                        Err(cause) => Rendered::Bad { reason: causes(&cause) },
                    },
                ))
            }
            Err(cause) => self.ready.push_back(Rendered::Bad { reason: causes(&cause) }),
        }
        true
    }

    /// The number that the log gave the event, which it keeps in an exported log; the records of that are numbered anew.
    fn record_id(&self) -> Option<u64> {
        self.builder.get(self.number_field)?.to_text()?.parse().ok()
    }

    fn read(&mut self, number: u64, json: Vec<u8>) -> Record {
        let json = match String::from_utf8(json) {
            Ok(json) => json,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        };
        self.builder.clear();
        match self.shapes.read(&json, &mut self.builder) {
            Ok((time, log_source)) => Record::Event(self.builder.finish(Origin {
                source: Arc::clone(&self.source),
                record: self.record_id().unwrap_or(number),
                offset: 0,
                log_source,
                time,
                arrived: self.arrived,
            })),
            Err(cause) => {
                let reason = format!("the record's content could not be read: {cause}");
                Record::Skipped(Skipped::new(&self.source, number, reason, json.as_bytes()))
            }
        }
    }
}

impl Reader for EvtxReader {
    fn next_record(&mut self) -> Option<Record> {
        loop {
            match self.ready.pop_front() {
                Some(Rendered::Record { number, json }) => return Some(self.read(number, json)),
                Some(Rendered::Bad { reason }) => {
                    return Some(Record::Skipped(Skipped::new(&self.source, 0, reason, &[])));
                }
                None if self.fill() => {}
                None => return None,
            }
        }
    }

    fn recycle(&mut self, event: Event) {
        self.builder.recycle(event);
    }

    fn format(&self) -> &'static str {
        INFO.name
    }

    fn bytes_taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }
}

/// Bytes of the header of a log, and of each chunk behind it.
const HEADER_BYTES: u64 = 4096;
const CHUNK_BYTES: u64 = 65_536;

/// Copies the bytes into a file that goes when it is closed. A source that breaks off is read as far as it came: the
/// chunk that is cut is filled up, so that the records before the cut are found; what was missing is said.
fn spool(bytes: &mut dyn BufRead) -> io::Result<(std::fs::File, Option<String>)> {
    let mut file = tempfile::tempfile()?;
    let mut broken = None;
    loop {
        match bytes.fill_buf() {
            Ok([]) => break,
            Ok(chunk) => {
                file.write_all(chunk)?;
                let taken = chunk.len();
                bytes.consume(taken);
            }
            Err(cause) => {
                broken = Some(format!("the source could not be read further: {cause}"));
                break;
            }
        }
    }
    let length = file.stream_position()?;
    let in_chunk = length.saturating_sub(HEADER_BYTES) % CHUNK_BYTES;
    if length < HEADER_BYTES || in_chunk > 0 {
        let missing = if length < HEADER_BYTES { HEADER_BYTES - length } else { CHUNK_BYTES - in_chunk };
        file.set_len(length + missing)?;
        broken.get_or_insert(format!(
            "the log ends within a chunk, {missing} bytes short; records behind the cut are lost"
        ));
    }
    file.rewind()?;
    Ok((file, broken))
}

/// An error with its causes, on one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        text = format!("{text}: {deeper}");
        cause = deeper.source();
    }
    text.replace(['\n', '\r'], " ")
}
