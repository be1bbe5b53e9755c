//! OpenTelemetry logs over HTTP (`POST /v1/logs`), in protobuf and in JSON: records become documents or lines of text.
//!
//! [`Logs::parse`] reads a request, [`answer`], [`refuse`] and [`busy`] write what is sent back, in the encoding of the
//! request. A record whose body is an object, as text or as a map, is that object. One that is text and nothing else,
//! as a collector reads it from a file, is that line: its format is told by content behind us. Everything else becomes
//! an object with the names of the Elastic Common Schema (`record.rs`), and what Windows' receiver of the collector
//! sends takes the shape that event logs have (`windows.rs`).
//!
//! A record that cannot be read costs itself alone: records are cut out of a request first, and each is decoded by
//! itself. How deep values nest is bounded by what decodes them, 100 messages or 128 levels of JSON, past which a
//! record is rejected.

mod message;
mod record;
mod windows;
mod wire;

use crate::answer::Answer;
use crate::line::{push_line, push_object};
use message::{PartialSuccess, Response, Status};
use record::{Context, Shape};

/// Longest record, or description of where records come from, in bytes as sent, inclusive. Windows ends an event at 64
/// KiB; a decoded value can take some thirty times the bytes that it was sent in.
const PART_BYTES_MAX: usize = 1 << 20;
/// Most bytes that a request may become, inclusive: each record of it carries what is said once of all, which can be
/// far more than the record. A request past it is refused as a whole.
const OUTPUT_BYTES_MAX: usize = 128 << 20;
/// Longest reason that is told of a rejected record, in bytes: values may stand in it.
const REASON_BYTES_MAX: usize = 500;

/// How a request is encoded; its answer is as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// `application/x-protobuf`.
    Protobuf,
    /// `application/json`.
    Json,
}

impl Encoding {
    /// Parses the header `Content-Type`; `None` where it names neither.
    pub fn parse(content_type: &str) -> Option<Self> {
        let name = content_type.split(';').next().unwrap_or_default().trim();
        [Self::Protobuf, Self::Json].into_iter().find(|encoding| name.eq_ignore_ascii_case(encoding.content_type()))
    }

    /// Returns the media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }
}

/// The records of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Logs {
    /// Those that are objects, each one line of JSON with a line feed behind it.
    pub docs: Vec<u8>,
    /// Those that are lines of some log, each with a line feed behind it.
    pub texts: Vec<u8>,
    /// How many records the request had, with those that are rejected.
    pub records: u64,
    /// Those that are neither.
    pub rejected: Rejected,
}

/// Records that were not taken. Whoever finds more of them behind us adds them here before the answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rejected {
    /// How many.
    pub records: u64,
    /// Why the first of them was not.
    pub reason: Option<String>,
}

impl Rejected {
    /// Counts one more.
    pub fn add(&mut self, reason: impl Into<String>) {
        self.records += 1;
        self.reason.get_or_insert_with(|| {
            let mut reason = reason.into();
            reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
            reason
        });
    }
}

/// Why a whole request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OtlpError {
    /// It is no request of that encoding.
    #[error("the request cannot be read as logs of OTLP: {0}")]
    Malformed(String),
    /// What it becomes is too large.
    #[error("the request becomes more than {OUTPUT_BYTES_MAX} bytes: send fewer records at once")]
    TooLarge,
}

impl OtlpError {
    /// Returns the answer that says so.
    pub fn answer(&self, encoding: Encoding) -> Answer {
        match self {
            Self::Malformed(_) => refuse(encoding, 400, &self.to_string()),
            Self::TooLarge => refuse(encoding, 413, &self.to_string()),
        }
    }
}

impl Logs {
    /// Reads a request.
    pub fn parse(encoding: Encoding, body: &[u8]) -> Result<Self, OtlpError> {
        let mut logs = Self::default();
        match encoding {
            Encoding::Protobuf => wire::visit(body, |context, record| logs.add(context, record))?,
            Encoding::Json => message::visit_json(body, |context, record| logs.add(context, record))?,
        }
        Ok(logs)
    }

    /// Adds a record, or the reason why it cannot be read.
    fn add(&mut self, context: &Context<'_>, record: Result<message::LogRecord, String>) -> Result<(), OtlpError> {
        self.records += 1;
        match record.and_then(|record| record::shape(record, context)) {
            Ok(Shape::Object(text)) => push_object(text.as_bytes(), &mut self.docs),
            Ok(Shape::Document(document)) => {
                serde_json::to_writer(&mut self.docs, &document).expect("a vector takes all");
                self.docs.push(b'\n');
            }
            Ok(Shape::Text(text)) => drop(push_line(text.as_bytes(), &mut self.texts)),
            Err(reason) => self.rejected.add(reason),
        }
        let is_too_large = self.docs.len() + self.texts.len() > OUTPUT_BYTES_MAX;
        if is_too_large { Err(OtlpError::TooLarge) } else { Ok(()) }
    }
}

/// Returns the answer to a request of which all was taken but what was rejected.
pub fn answer(encoding: Encoding, rejected: &Rejected) -> Answer {
    let partial_success = (rejected.records > 0).then(|| PartialSuccess {
        rejected_log_records: i64::try_from(rejected.records).unwrap_or(i64::MAX),
        error_message: rejected.reason.clone().unwrap_or_default(),
    });
    encode(encoding, 200, &Response { partial_success })
}

/// Returns an answer that refuses a whole request. Senders give up on all statuses but 429, 502, 503 and 504 (OTLP 1.5,
/// "Failures").
pub fn refuse(encoding: Encoding, status: u16, reason: &str) -> Answer {
    const INVALID_ARGUMENT: i32 = 3;
    const RESOURCE_EXHAUSTED: i32 = 8;
    const UNAVAILABLE: i32 = 14;
    const UNAUTHENTICATED: i32 = 16;
    let code = match status {
        401 => UNAUTHENTICATED,
        413 | 429 => RESOURCE_EXHAUSTED,
        500.. => UNAVAILABLE,
        _ => INVALID_ARGUMENT,
    };
    encode(encoding, status, &Status { code, message: reason.into() })
}

/// Returns the answer to a request that is to be sent again, of which nothing was taken.
pub fn busy(encoding: Encoding) -> Answer {
    refuse(encoding, 503, "no room at the moment: send it again")
}

fn encode(encoding: Encoding, status: u16, message: &(impl prost::Message + serde::Serialize)) -> Answer {
    match encoding {
        Encoding::Protobuf => Answer { status, content_type: encoding.content_type(), body: message.encode_to_vec() },
        Encoding::Json => Answer::json(status, message),
    }
}
