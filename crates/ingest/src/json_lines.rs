//! JSON: one object a line, or a stream or array of objects over several lines; the shape is told a record.
//!
//! A record is a Windows event, a Suricata event, a Zeek record, or JSON in general. Where the first line is a whole
//! object each line is one and a bad line costs itself alone; else objects are cut out by their braces (`objects.rs`).
//! A wrapper, one object that holds a list of records, is never a record itself.

use std::sync::Arc;

use cresset_event::{Event, EventBuilder, EventTime, FieldId, FieldNames, LogSource, Timestamp, UnknownTime, Value};

use crate::block::{Block, Blocks, Place, Whence};
use crate::format::FormatInfo;
use crate::input::Input;
use crate::json::{Scratch, read_object};
use crate::lines::Lines;
use crate::objects::{OBJECT_BYTES_MAX, Objects, Told, cut_wrapper, tell};
use crate::reader::{Decoder, Decoders, Reader, Record};
use crate::suricata::Suricata;
use crate::taxonomy::Taxonomy;
use crate::windows::Windows;
use crate::zeek::Zeek;

pub(crate) const INFO: FormatInfo = FormatInfo {
    name: "json",
    title: "JSON objects, one a line, or an array or stream of them; known cloud audit logs by their fields",
    example: r#"{"timestamp":"2026-11-24T07:00:00Z","host":"web1","user":"alice","action":"login"}"#,
};

/// How objects follow one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// One a line.
    Lines,
    /// Over several lines, maybe in an array.
    Stream,
}

/// Returns whether a line looks like a whole object.
pub(crate) fn is_line(line: &str) -> bool {
    let line = line.trim();
    line.starts_with('{') && line.ends_with('}') && line.contains('"')
}

/// Returns how the objects follow one another where the first bytes are JSON's.
pub(crate) fn framing(head: &[u8]) -> Option<Framing> {
    let head = head.strip_prefix("\u{feff}".as_bytes()).unwrap_or(head).trim_ascii_start();
    let first_line = head.split(|byte| *byte == b'\n').next()?;
    match head.first()? {
        b'{' if is_wrapper(first_line, head) => Some(Framing::Stream),
        b'{' if serde_json::from_slice::<serde::de::IgnoredAny>(first_line).is_ok() => Some(Framing::Lines),
        b'{' if head.len() == first_line.len() && head.len() > 1 => Some(Framing::Lines),
        b'{' if head[1..].trim_ascii_start().first().is_some_and(|byte| matches!(byte, b'"' | b'}')) => {
            Some(if first_line.trim_ascii().len() > 2 && first_line.contains(&b':') && is_garbled(first_line) {
                Framing::Lines
            } else {
                Framing::Stream
            })
        }
        b'[' if head[1..].trim_ascii_start().first().is_some_and(|byte| matches!(byte, b'{' | b']')) => {
            Some(Framing::Stream)
        }
        _ => None,
    }
}

/// An object that holds a list of records; a line that is there in full must have nothing else of its own.
fn is_wrapper(first_line: &[u8], head: &[u8]) -> bool {
    let is_list = matches!(tell(head), Told::List { .. });
    let is_whole = serde_json::from_slice::<serde::de::IgnoredAny>(first_line).is_ok();
    is_list && (!is_whole || std::str::from_utf8(first_line).is_ok_and(|line| cut_wrapper(line).is_some()))
}

/// A first line that closes as many braces as it opens and still is no object: a bad line, not the first of several.
fn is_garbled(line: &[u8]) -> bool {
    let count = |wanted: u8| line.iter().filter(|byte| **byte == wanted).count();
    count(b'{') == count(b'}')
}

/// One shape that a JSON record can have.
pub(crate) trait Shape: Send {
    /// Returns the format that the shape is listed as.
    fn format(&self) -> &'static str;

    /// Returns whether the record in the builder has this shape.
    fn is(&self, builder: &EventBuilder) -> bool;

    /// Gives the fields their names and says when it was and what it is.
    fn finish(&mut self, builder: &mut EventBuilder) -> (EventTime, Arc<LogSource>);
}

/// Reads JSON objects and tells the shape of each. Used for EVTX as well, whose records are decoded to JSON.
pub(crate) struct JsonShapes {
    shapes: Vec<Box<dyn Shape>>,
    /// Format of the last record.
    format: &'static str,
    scratch: Scratch,
}

impl JsonShapes {
    pub(crate) fn new(names: &Arc<FieldNames>, taxonomy: &Arc<Taxonomy>) -> Self {
        let shapes: Vec<Box<dyn Shape>> = vec![
            Box::new(Windows::new(names, taxonomy)),
            Box::new(Suricata::new(names, taxonomy)),
            Box::new(Zeek::new(names, taxonomy)),
            Box::new(General::new(names, taxonomy)),
        ];
        Self { shapes, format: INFO.name, scratch: Scratch::default() }
    }

    /// Reads one object into the builder, which must be clear, or hold the object as the raw record.
    pub(crate) fn read(
        &mut self,
        object: &str,
        builder: &mut EventBuilder,
    ) -> Result<(EventTime, Arc<LogSource>), serde_json::Error> {
        read_object(object, &mut self.scratch, builder)?;
        let shape = self.shapes.iter_mut().find(|shape| shape.is(builder)).expect("the general shape fits all");
        self.format = shape.format();
        Ok(shape.finish(builder))
    }

    /// Returns the format of the last record.
    pub(crate) fn format(&self) -> &'static str {
        self.format
    }
}

/// JSON in no shape of its own.
struct General {
    taxonomy: Arc<Taxonomy>,
    times: Vec<FieldId>,
}

impl General {
    /// Fields that hold the time, the best first.
    const TIMES: &[&str] = &[
        "@timestamp",
        "timestamp",
        "time",
        "ts",
        "eventTime",
        "EventTime",
        "event_time",
        "datetime",
        "date",
        "CreationTime",
        "requestReceivedTimestamp",
        "_time",
        "TimeGenerated",
        "published",
    ];

    fn new(names: &FieldNames, taxonomy: &Arc<Taxonomy>) -> Self {
        Self { taxonomy: Arc::clone(taxonomy), times: intern_all(names, Self::TIMES) }
    }
}

impl Shape for General {
    fn format(&self) -> &'static str {
        INFO.name
    }

    fn is(&self, _: &EventBuilder) -> bool {
        true
    }

    fn finish(&mut self, builder: &mut EventBuilder) -> (EventTime, Arc<LogSource>) {
        let class = Arc::clone(self.taxonomy.json(builder));
        class.apply(builder);
        (time_of(builder, &self.times), Arc::clone(&class.log_source))
    }
}

/// Interns names that must have a number.
pub(crate) fn intern_all(names: &FieldNames, wanted: &[&str]) -> Vec<FieldId> {
    wanted.iter().map(|name| names.intern(name).expect("names of the built-in shapes come first")).collect()
}

/// Returns the time that the first of these fields holds which the record has.
pub(crate) fn time_of(builder: &EventBuilder, fields: &[FieldId]) -> EventTime {
    let first = fields.iter().find_map(|id| builder.get(*id));
    first.map_or(EventTime::Unknown(UnknownTime::Missing), |value| read_time(value).into())
}

/// Reads a time as text in RFC 3339, or as seconds, milliseconds, microseconds or nanoseconds since 1970.
fn read_time(value: Value<'_>) -> Result<Timestamp, UnknownTime> {
    let text = value.to_text().ok_or(UnknownTime::Missing)?;
    if let Ok(moment) = Timestamp::parse_rfc3339(&text) {
        return Ok(moment);
    }
    let digits = text.strip_prefix('-').unwrap_or(&text);
    let whole_digits = digits.split('.').next().unwrap_or_default().len();
    match whole_digits {
        12..=13 => scaled(&text, 1_000_000),
        15..=16 => scaled(&text, 1_000),
        18..=19 => scaled(&text, 1),
        _ if digits.starts_with(|c: char| c.is_ascii_digit()) && !digits.contains('-') => {
            Timestamp::parse_epoch_seconds(&text)
        }
        _ => Timestamp::parse_rfc3339(&text),
    }
}

fn scaled(text: &str, nanos_each: i64) -> Result<Timestamp, UnknownTime> {
    let whole: i64 = text.split('.').next().unwrap_or_default().parse().map_err(|_| UnknownTime::Unreadable)?;
    whole.checked_mul(nanos_each).map(Timestamp::from_nanos).ok_or(UnknownTime::OutOfRange)
}

/// Returns what decodes objects that are one a line.
pub(crate) fn decoders(names: &Arc<FieldNames>, taxonomy: &Arc<Taxonomy>) -> Decoders {
    let (names, taxonomy) = (Arc::clone(names), Arc::clone(taxonomy));
    Decoders::new(move || Box::new(JsonDecoder::new(&names, &taxonomy)))
}

/// Decodes objects, on whichever thread.
struct JsonDecoder {
    shapes: JsonShapes,
    builder: EventBuilder,
    /// Objects of a line that is a wrapper of many.
    wrapped: std::vec::IntoIter<(String, u64)>,
    wrapper: Place,
}

impl JsonDecoder {
    fn new(names: &Arc<FieldNames>, taxonomy: &Arc<Taxonomy>) -> Self {
        Self {
            shapes: JsonShapes::new(names, taxonomy),
            builder: EventBuilder::new(Arc::clone(names)),
            wrapped: Vec::new().into_iter(),
            wrapper: Place { number: 0, offset: 0 },
        }
    }

    /// Reads one object.
    fn read(&mut self, object: &str, at: Place, whence: &Whence) -> Record {
        self.builder.clear();
        self.builder.set_raw(object);
        match self.shapes.read(object, &mut self.builder) {
            Ok((time, log_source)) => Record::Event(self.builder.finish(whence.origin(at, time, log_source))),
            Err(cause) => {
                let reason = format!("not a JSON object that can be read: {cause}");
                Record::Skipped(whence.skipped(at.number, reason, object.as_bytes()))
            }
        }
    }
}

impl Decoder for JsonDecoder {
    fn next_record(&mut self, block: &mut Block) -> Option<Record> {
        loop {
            if let Some((object, offset)) = self.wrapped.next() {
                let at = Place { offset: self.wrapper.offset + offset, ..self.wrapper };
                return Some(self.read(&object, at, block.whence()));
            }
            let (at, line) = block.next_line()?;
            let line = block.text(line);
            if line.trim().is_empty() {
                continue;
            }
            match cut_wrapper(&line) {
                Some(objects) => {
                    self.wrapped = objects.into_iter();
                    self.wrapper = at;
                }
                None => return Some(self.read(&line, at, block.whence())),
            }
        }
    }

    fn recycle(&mut self, event: Event) {
        self.builder.recycle(event);
    }

    fn format(&self) -> &'static str {
        self.shapes.format()
    }
}

/// Reads a source of JSON objects over several lines.
pub(crate) struct JsonStreamReader {
    lines: Lines,
    decoder: JsonDecoder,
    records: u64,
    /// What was read and not yet cut into objects.
    pending: Objects,
}

impl JsonStreamReader {
    pub(crate) fn new(input: Input, names: Arc<FieldNames>, taxonomy: &Arc<Taxonomy>) -> Self {
        let decoder = JsonDecoder::new(&names, taxonomy);
        Self { lines: Lines::new(input), decoder, records: 0, pending: Objects::default() }
    }

    /// Reports what is pending as bad, and reads on behind it.
    fn give_up(&mut self, reason: String) -> Record {
        self.records += 1;
        let bad = self.pending.give_up();
        Record::Skipped(self.lines.skipped(self.records, reason, &bad))
    }
}

impl Reader for JsonStreamReader {
    fn next_record(&mut self) -> Option<Record> {
        loop {
            if let Some((object, offset)) = self.pending.take() {
                self.records += 1;
                let at = Place { number: self.records, offset };
                return Some(self.decoder.read(&object, at, self.lines.whence()));
            }
            if self.pending.is_too_long() {
                let reason = format!("an object of more than {OBJECT_BYTES_MAX} bytes, or one that is not closed");
                return Some(self.give_up(reason));
            }
            let pending = &mut self.pending;
            match self.lines.next_piece(|piece, offset| pending.add(piece, offset)) {
                Some(Ok(())) => {}
                Some(Err(skipped)) => return Some(Record::Skipped(skipped)),
                None if self.pending.is_open() => {
                    self.pending.end();
                    return Some(self.give_up("the source ends within an object, or a list of them".into()));
                }
                None if self.pending.end() => {}
                None => return None,
            }
        }
    }

    fn recycle(&mut self, event: Event) {
        self.decoder.recycle(event);
    }

    fn format(&self) -> &'static str {
        self.decoder.format()
    }

    fn bytes_taken(&self) -> u64 {
        self.lines.bytes_taken()
    }
}
