//! Elasticsearch's `_bulk`: a body of actions and documents, one a line, and the answer that its clients expect.
//!
//! [`Bulk::parse`] takes the documents out, in their order, as lines of JSON; [`Bulk::respond`] says of each action
//! what became of it. A bad document costs itself alone. A line that should be an action and is none refuses the whole
//! request, as Elasticsearch does: what follows it could be either. Logs are not changed here, so that `update` and
//! `delete` are answered as not supported, one by one.
//!
//! The answers are made for what was seen of clients: omelasticsearch of rsyslog 8.2302 loses a batch whose refusal is
//! JSON, whatever its status, and sends it again where the answer is text ([`busy`]); Fluent Bit, of an answer that is
//! larger than its buffer, looks for `"errors":false,"items":[` as it stands; the Python client goes by `status` of
//! each item. `tests/it/bulk.rs` holds golden answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::answer::Answer;
use crate::line::push_object;

/// Most actions of a request, inclusive. Clients send some hundreds to some thousands; more are refused, with a status
/// (413) on which shippers cut their batches in two.
pub const ITEMS_MAX: usize = 100_000;
/// Longest document, in bytes, inclusive: what `ingest` reads of a line. A longer one is refused alone.
pub const DOCUMENT_BYTES_MAX: usize = 4 << 20;
/// Longest line of an action, in bytes, inclusive: an index and an id at their longest, escaped, and what else can
/// stand there.
const ACTION_BYTES_MAX: usize = 16 << 10;
/// Longest name of an index, in bytes, inclusive, as in Elasticsearch.
const INDEX_BYTES_MAX: usize = 255;
/// Longest id, in bytes, inclusive, as in Elasticsearch.
const ID_BYTES_MAX: usize = 512;
/// The status of one action of many for which there was no room: shippers send that one again.
const BUSY: u16 = 429;

/// What is asked to be done with a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Keep it; one that is known already is kept as it is.
    Index,
    /// Keep it, and say so where it is known already.
    Create,
    /// Change one, which is not done here.
    Update,
    /// Take one out, which is not done here.
    Delete,
}

/// One action of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What is asked.
    pub action: Action,
    /// The index that it names, else the request's.
    pub index: Arc<str>,
    /// The client's own id, where it gives one: the same again is the same document.
    pub id: Option<String>,
    /// Which line of [`Bulk::docs`] is its document, counted from 0, or why there is none.
    pub line: Result<usize, ItemError>,
}

/// Why one action is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemError {
    status: u16,
    kind: &'static str,
    reason: String,
}

/// What became of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is kept.
    Stored,
    /// It was known before, by its id, and is there once.
    Known,
    /// It cannot be read as a record, and why: the client need not send it again.
    Unreadable(String),
    /// There was no room for it: the client is to send it again.
    Busy,
}

/// A request, taken apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bulk {
    /// The documents that can be read, each one line with a line feed behind it.
    pub docs: Vec<u8>,
    /// The actions, in the order of the request.
    pub items: Vec<Item>,
    /// How many lines `docs` has.
    lines: usize,
    /// Whether the request is one document by itself, which is answered as such.
    is_one: bool,
}

/// Why a whole request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BulkError {
    /// A line is no action where one should be.
    #[error("Malformed action/metadata line [{line}], {reason}")]
    Malformed {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// There are more actions than are taken at once.
    #[error("a request of more than {ITEMS_MAX} actions: send fewer at once")]
    TooMany,
    /// There is no action.
    #[error("Validation Failed: 1: no requests added;")]
    Empty,
}

impl BulkError {
    /// Returns the answer that says so, as Elasticsearch writes it.
    pub fn answer(&self) -> Answer {
        let (status, kind) = match self {
            Self::Malformed { .. } => (400, "illegal_argument_exception"),
            Self::TooMany => (413, "illegal_argument_exception"),
            Self::Empty => (400, "action_request_validation_exception"),
        };
        refusal(status, kind, &self.to_string())
    }
}

/// Returns an answer that refuses a whole request, as Elasticsearch writes one.
pub fn refusal(status: u16, kind: &str, reason: &str) -> Answer {
    let cause = Cause { kind, reason };
    Answer::json(status, &Refusal { error: Causes { root_cause: [cause], cause }, status })
}

/// Returns the answer to a request that is to be sent again, of which nothing was taken. In text, and as a fault of the
/// server's, because of omelasticsearch: of 8.2302 a refusal in JSON, also with 429 or 503, ends a batch for good. A
/// message that it sends alone is lost by any answer; only a connection that is closed without one makes it wait.
pub fn busy() -> Answer {
    Answer::text(503, "no room at the moment: send it again\n")
}

impl Bulk {
    /// Takes a body apart. What names no index goes to `default_index`: the one of the request's path.
    pub fn parse(body: &[u8], default_index: &str) -> Result<Self, BulkError> {
        let mut bulk = Self::default();
        let mut last_index: Arc<str> = default_index.into();
        let default_index = Arc::clone(&last_index);
        let mut lines = body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).zip(1..);
        while let Some((line, number)) = lines.next() {
            if line.is_empty() {
                continue;
            }
            if bulk.items.len() == ITEMS_MAX {
                return Err(BulkError::TooMany);
            }
            let malformed = |reason| BulkError::Malformed { line: number, reason };
            let (action, named) = read_action(line).map_err(malformed)?;
            let document = action.has_document().then(|| lines.next().map_or(&b""[..], |(document, _)| document));
            let index = match &named.index {
                None => Arc::clone(&default_index),
                Some(index) if **index == *last_index => Arc::clone(&last_index),
                Some(index) => index.as_str().into(),
            };
            last_index = Arc::clone(&index);
            let line = check(action, &named, document.unwrap_or_default()).map(|document| bulk.push(document));
            bulk.items.push(Item { action, index, id: named.id, line });
        }
        if bulk.items.is_empty() { Err(BulkError::Empty) } else { Ok(bulk) }
    }

    /// Takes a request of one document, which may stand on several lines: `POST /{index}/_doc`, with an id `PUT
    /// /{index}/_doc/{id}` or `…/_create/{id}`. rsyslog sends its messages so, one by one, unless it is told to send
    /// them in bulk, with its `searchType` in place of `_doc`.
    pub fn parse_one(action: Action, index: &str, id: Option<&str>, body: &[u8]) -> Self {
        let named = Named { index: Some(index.into()), id: id.map(Into::into), op_type: None };
        let mut bulk = Self { is_one: true, ..Self::default() };
        let line = check(action, &named, body.trim_ascii()).map(|document| bulk.push(document));
        bulk.items.push(Item { action, index: index.into(), id: named.id, line });
        bulk
    }

    fn push(&mut self, document: &[u8]) -> usize {
        push_object(document, &mut self.docs);
        self.lines += 1;
        self.lines - 1
    }

    /// Returns how many documents there are: lines of [`Bulk::docs`].
    pub fn documents(&self) -> usize {
        self.lines
    }

    /// Returns the answer, in the form that the request asks for: `outcomes` says what became of each document, in
    /// their order, and `id` gives one to those, by their line, to which the client gave none.
    ///
    /// # Panics
    ///
    /// If there are more or fewer outcomes than documents.
    pub fn respond(&self, took_ms: u64, outcomes: &[Outcome], mut id: impl FnMut(usize) -> String) -> Answer {
        assert_eq!(outcomes.len(), self.lines, "one outcome a document");
        let mut results = self.items.iter().map(|item| {
            let made = item.line.as_ref().ok().filter(|_| item.id.is_none()).map(|line| id(*line));
            let id = item.id.clone().or(made);
            Tagged(item.action, item.result(id, outcomes))
        });
        if self.is_one {
            let Tagged(_, result) = results.next().expect("a request of one document has one action");
            return result.alone();
        }
        let items: Vec<Tagged<'_>> = results.collect();
        let errors = items.iter().any(|Tagged(_, result)| !matches!(result, ItemResult::Done { .. }));
        Answer::json(200, &Response { took: took_ms, errors, items })
    }
}

impl Action {
    fn parse(name: &str) -> Result<Self, String> {
        match name {
            "index" => Ok(Self::Index),
            "create" => Ok(Self::Create),
            "update" => Ok(Self::Update),
            "delete" => Ok(Self::Delete),
            _ => Err(format!("expected field [create], [delete], [index] or [update] but found [{name}]")),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }

    fn has_document(self) -> bool {
        self != Self::Delete
    }
}

/// What an action says of its document; all else (`_type`, `routing`, `pipeline` …) says nothing here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Named {
    #[serde(rename = "_index")]
    index: Option<String>,
    #[serde(rename = "_id", deserialize_with = "text_or_number")]
    id: Option<String>,
    op_type: Option<String>,
}

/// Reads a text, or a number as a text. None, and an empty one, are no id.
fn text_or_number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Id {
        Text(String),
        Number(serde_json::Number),
    }
    let text = Option::<Id>::deserialize(deserializer)?.map(|id| match id {
        Id::Text(text) => text,
        Id::Number(number) => number.to_string(),
    });
    Ok(text.filter(|text| !text.is_empty()))
}

/// Reads the line of an action: `{"index":{"_index":"logs","_id":"7"}}`.
fn read_action(line: &[u8]) -> Result<(Action, Named), String> {
    if line.len() > ACTION_BYTES_MAX {
        return Err(format!("expected {ACTION_BYTES_MAX} bytes at most but found [{}]", line.len()));
    }
    if line.first() != Some(&b'{') {
        return Err("expected START_OBJECT but found something else".into());
    }
    let actions: BTreeMap<String, Named> = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let mut actions = actions.into_iter();
    let (name, named) = actions.next().ok_or("expected FIELD_NAME but found [END_OBJECT]")?;
    if actions.next().is_some() {
        return Err("expected END_OBJECT but found [FIELD_NAME]".into());
    }
    let action = match Action::parse(&name)? {
        Action::Index if named.op_type.as_deref() == Some("create") => Action::Create,
        action => action,
    };
    Ok((action, named))
}

/// Returns the document of an action that can be done.
fn check<'b>(action: Action, named: &Named, document: &'b [u8]) -> Result<&'b [u8], ItemError> {
    let refuse = |kind, reason: String| Err(ItemError { status: 400, kind, reason });
    if matches!(action, Action::Update | Action::Delete) {
        let reason = format!("[{}] is not supported: logs are kept as they came", action.name());
        return refuse("illegal_argument_exception", reason);
    }
    if named.index.as_ref().is_some_and(|index| index.is_empty() || index.len() > INDEX_BYTES_MAX) {
        return refuse("invalid_index_name_exception", format!("an index has 1 to {INDEX_BYTES_MAX} bytes"));
    }
    if let Some(id) = named.id.as_ref().filter(|id| id.len() > ID_BYTES_MAX) {
        let reason = format!("id is too long, must be no longer than {ID_BYTES_MAX} bytes but was: {}", id.len());
        return refuse("illegal_argument_exception", reason);
    }
    if document.len() > DOCUMENT_BYTES_MAX {
        let reason = format!("a document of more than {DOCUMENT_BYTES_MAX} bytes");
        return Err(ItemError { status: 413, kind: "illegal_argument_exception", reason });
    }
    match is_object(document) {
        Ok(()) => Ok(document),
        Err(reason) => refuse("document_parsing_exception", reason),
    }
}

/// Returns whether a document is one object of JSON, in UTF-8.
fn is_object(document: &[u8]) -> Result<(), String> {
    if document.is_empty() {
        return Err("the line of the document is missing or empty".into());
    }
    let text = std::str::from_utf8(document).map_err(|error| format!("failed to parse: {error}"))?;
    if !text.starts_with('{') {
        return Err("failed to parse: the document is no object".into());
    }
    serde_json::from_str::<serde::de::IgnoredAny>(text).map(drop).map_err(|error| format!("failed to parse: {error}"))
}

impl Item {
    fn result(&self, id: Option<String>, outcomes: &[Outcome]) -> ItemResult<'_> {
        let shown = id.as_deref().unwrap_or_default();
        let (status, kind, reason) = match self.line.as_ref().map(|line| &outcomes[*line]) {
            Ok(Outcome::Stored) => return ItemResult::done(&self.index, id, Written::Created),
            Ok(Outcome::Known) if self.action == Action::Index => {
                return ItemResult::done(&self.index, id, Written::Updated);
            }
            Ok(Outcome::Known) => {
                let reason = format!("[{shown}]: version conflict, document already exists (current version [1])");
                (409, "version_conflict_engine_exception", reason)
            }
            Ok(Outcome::Unreadable(reason)) => {
                (400, "document_parsing_exception", format!("failed to parse: {reason}"))
            }
            Ok(Outcome::Busy) => (BUSY, "es_rejected_execution_exception", "no room at the moment".into()),
            Err(error) => (error.status, error.kind, error.reason.clone()),
        };
        ItemResult::Failed { _index: &self.index, _id: id, status, error: Failure { kind, reason } }
    }
}

/// The answer as it is written; its fields stand in the order in which Elasticsearch has them.
#[derive(Serialize)]
struct Response<'b> {
    took: u64,
    errors: bool,
    items: Vec<Tagged<'b>>,
}

/// A result under the name of its action.
struct Tagged<'b>(Action, ItemResult<'b>);

impl Serialize for Tagged<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([(self.0.name(), &self.1)])
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum ItemResult<'b> {
    Done {
        #[serde(flatten)]
        document: Document<'b>,
        status: u16,
    },
    Failed {
        _index: &'b str,
        _id: Option<String>,
        status: u16,
        error: Failure,
    },
}

/// A document that is there. Versions and numbers of sequence are for clients that write documents again on a
/// condition; those here have none.
#[derive(Serialize)]
struct Document<'b> {
    _index: &'b str,
    _id: Option<String>,
    _version: u8,
    result: Written,
    _shards: Shards,
    _seq_no: u8,
    _primary_term: u8,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
enum Written {
    Created,
    Updated,
}

#[derive(Serialize)]
struct Shards {
    total: u8,
    successful: u8,
    failed: u8,
}

#[derive(Serialize)]
struct Failure {
    #[serde(rename = "type")]
    kind: &'static str,
    reason: String,
}

impl<'b> ItemResult<'b> {
    fn done(index: &'b str, id: Option<String>, result: Written) -> Self {
        let (version, status) = match result {
            Written::Created => (1, 201),
            Written::Updated => (2, 200),
        };
        let document = Document {
            _index: index,
            _id: id,
            _version: version,
            result,
            _shards: Shards { total: 1, successful: 1, failed: 0 },
            _seq_no: 0,
            _primary_term: 1,
        };
        Self::Done { document, status }
    }

    /// Returns the answer to a request of this one document. A `status` in it is a failure to omelasticsearch.
    fn alone(self) -> Answer {
        match self {
            Self::Done { document, status } => Answer::json(status, &document),
            Self::Failed { status: BUSY, .. } => busy(),
            Self::Failed { status, error, .. } => refusal(status, error.kind, &error.reason),
        }
    }
}

#[derive(Serialize)]
struct Refusal<'b> {
    error: Causes<'b>,
    status: u16,
}

#[derive(Serialize)]
struct Causes<'b> {
    root_cause: [Cause<'b>; 1],
    #[serde(flatten)]
    cause: Cause<'b>,
}

#[derive(Clone, Copy, Serialize)]
struct Cause<'b> {
    #[serde(rename = "type")]
    kind: &'b str,
    reason: &'b str,
}
