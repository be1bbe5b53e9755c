//! JSON: one object a line, or a stream or array of objects over several lines; the shape is told a record.
//!
//! A record is a Windows event, a Suricata event, a Zeek record, or JSON in general. Where the first line is a whole
//! object each line is one and a bad line costs itself alone; else objects are cut out by their braces, and after a bad
//! one reading goes on at the next line that begins with a brace.

use std::sync::Arc;

use cresset_event::{Event, EventBuilder, EventTime, FieldId, FieldNames, LogSource, Timestamp, UnknownTime, Value};

use crate::format::FormatInfo;
use crate::input::Input;
use crate::json::read_object;
use crate::lines::{LINE_BYTES_MAX, Line, Lines, Place};
use crate::reader::{Reader, Record};
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
    /// Memory for the names of nested fields.
    path: String,
}

impl JsonShapes {
    pub(crate) fn new(names: &FieldNames, taxonomy: &Arc<Taxonomy>) -> Self {
        let shapes: Vec<Box<dyn Shape>> = vec![
            Box::new(Windows::new(names, taxonomy)),
            Box::new(Suricata::new(names, taxonomy)),
            Box::new(Zeek::new(names, taxonomy)),
            Box::new(General::new(names, taxonomy)),
        ];
        Self { shapes, format: INFO.name, path: String::new() }
    }

    /// Reads one object into the builder, which must be clear, but for a raw record.
    pub(crate) fn read(
        &mut self,
        object: &str,
        builder: &mut EventBuilder,
    ) -> Result<(EventTime, Arc<LogSource>), serde_json::Error> {
        read_object(object, &mut self.path, builder)?;
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

/// Reads a source of JSON objects.
pub(crate) struct JsonReader {
    lines: Lines,
    shapes: JsonShapes,
    builder: EventBuilder,
    framing: Framing,
    records: u64,
    /// What of a stream was read and not yet cut into objects.
    pending: Pending,
}

impl JsonReader {
    pub(crate) fn new(input: Input, names: Arc<FieldNames>, taxonomy: &Arc<Taxonomy>, framing: Framing) -> Self {
        let shapes = JsonShapes::new(&names, taxonomy);
        let pending = Pending::default();
        Self { lines: Lines::new(input), shapes, builder: EventBuilder::new(names), framing, records: 0, pending }
    }

    fn read(&mut self, object: &str, at: Place) -> Record {
        self.builder.clear();
        self.builder.set_raw(object);
        match self.shapes.read(object, &mut self.builder) {
            Ok((time, log_source)) => Record::Event(self.builder.finish(self.lines.origin(at, time, log_source))),
            Err(cause) => {
                let reason = format!("not a JSON object that can be read: {cause}");
                Record::Skipped(self.lines.skipped(at.number, reason, object.as_bytes()))
            }
        }
    }

    fn next_line_record(&mut self) -> Option<Record> {
        loop {
            match self.lines.next_line()? {
                Line::Bad(skipped) => return Some(Record::Skipped(skipped)),
                Line::Text(at) => {
                    let line = self.lines.take_text();
                    let record = if line.trim().is_empty() { None } else { Some(self.read(&line, at)) };
                    self.lines.give_back(line);
                    if record.is_some() {
                        return record;
                    }
                }
            }
        }
    }

    fn next_stream_record(&mut self) -> Option<Record> {
        loop {
            if let Some((object, offset)) = self.pending.take_object() {
                self.records += 1;
                let at = Place { number: self.records, offset };
                return Some(self.read(&object, at));
            }
            if self.pending.text.len() > LINE_BYTES_MAX {
                let reason = format!("an object of more than {LINE_BYTES_MAX} bytes, or one that is not closed");
                return Some(self.give_up(reason));
            }
            match self.lines.next_line() {
                Some(Line::Bad(skipped)) => return Some(Record::Skipped(skipped)),
                Some(Line::Text(at)) => {
                    let line = self.lines.take_text();
                    self.pending.add(&line, at.offset);
                    self.lines.give_back(line);
                }
                None if self.pending.is_open() => {
                    return Some(self.give_up("the source ends within an object".into()));
                }
                None => return None,
            }
        }
    }

    /// Reports what is pending as bad, and reads on behind the first line that begins with a brace.
    fn give_up(&mut self, reason: String) -> Record {
        self.records += 1;
        let bad = self.pending.drop_to_next_brace();
        Record::Skipped(self.lines.skipped(self.records, reason, bad.as_bytes()))
    }
}

impl Reader for JsonReader {
    fn next_record(&mut self) -> Option<Record> {
        match self.framing {
            Framing::Lines => self.next_line_record(),
            Framing::Stream => self.next_stream_record(),
        }
    }

    fn recycle(&mut self, event: Event) {
        self.builder.recycle(event);
    }

    fn format(&self) -> &'static str {
        self.shapes.format()
    }

    fn bytes_taken(&self) -> u64 {
        self.lines.bytes_taken()
    }
}

/// Text of a stream from which whole objects are cut by counting braces outside of strings.
#[derive(Default)]
struct Pending {
    text: String,
    /// Offset of the text's first byte in the source.
    offset: u64,
    scanned: usize,
    start: Option<usize>,
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Pending {
    fn add(&mut self, line: &str, offset: u64) {
        if self.text.is_empty() {
            self.offset = offset;
        }
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn is_open(&self) -> bool {
        self.start.is_some()
    }

    /// Takes the first whole object out, with its offset.
    fn take_object(&mut self) -> Option<(String, u64)> {
        while let Some(byte) = self.text.as_bytes().get(self.scanned) {
            let at = self.scanned;
            self.scanned += 1;
            if self.step(*byte, at) {
                let start = self.start.take().expect("an object that ends has begun");
                let object = self.text[start..self.scanned].to_owned();
                let offset = self.offset + start as u64;
                self.forget(self.scanned);
                return Some((object, offset));
            }
        }
        if self.start.is_none() {
            self.forget(self.scanned);
        }
        None
    }

    /// Takes one byte in; `true` where it closes an object.
    fn step(&mut self, byte: u8, at: usize) -> bool {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' if self.depth > 0 => self.in_string = true,
            b'{' => {
                if self.depth == 0 {
                    self.start = Some(at);
                }
                self.depth += 1;
            }
            b'}' if self.depth > 0 => {
                self.depth -= 1;
                return self.depth == 0;
            }
            _ => {}
        }
        false
    }

    fn forget(&mut self, bytes: usize) {
        self.text.drain(..bytes);
        self.offset += bytes as u64;
        self.scanned = 0;
    }

    /// Drops the object that is open, up to the next line that begins one, and returns how it began.
    fn drop_to_next_brace(&mut self) -> String {
        let start = self.start.take().unwrap_or(0);
        let next = self.text[start..].find("\n{").map_or(self.text.len(), |at| start + at + 1);
        let mut head_end = next.min(start + 200);
        while !self.text.is_char_boundary(head_end) {
            head_end -= 1;
        }
        let head = self.text[start..head_end].to_owned();
        self.forget(next);
        self.depth = 0;
        self.in_string = false;
        self.escaped = false;
        head
    }
}
