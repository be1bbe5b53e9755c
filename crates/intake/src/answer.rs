//! What is sent back to whoever sent logs.

use serde::Serialize;

/// An answer to a request: whoever serves HTTP sends it as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status of HTTP.
    pub status: u16,
    /// The media type of the body, for the header `Content-Type`.
    pub content_type: &'static str,
    /// The body; empty where there is none.
    pub body: Vec<u8>,
}

impl Answer {
    /// Returns an answer in JSON, without a space, the keys in the order of the type's fields.
    pub(crate) fn json(status: u16, value: &impl Serialize) -> Self {
        let body = serde_json::to_vec(value).expect("our own types have no key that is no text");
        Self { status, content_type: "application/json", body }
    }

    /// Returns an answer in plain text.
    pub(crate) fn text(status: u16, text: &str) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: text.as_bytes().to_vec() }
    }
}
