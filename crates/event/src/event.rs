//! The Event: one owned buffer, and a flat list of fields that point into it.
//!
//! The buffer begins with the raw record where there is one. A value that stands in it as it is lies there; what had to be
//! decoded (escaped JSON, UTF-16 from EVTX) is appended once. A field is 24 bytes: name, kind, place. Members of an array are fields of the same name; what is
//! nested has a dotted name. Fields that [`EventBuilder::alias`](crate::EventBuilder::alias) adds are second names for a value that is already
//! there: they are found by name and not shown, hashed or searched again.
//!
//! Always: `id()` depends only on source, position (or the record's own number) and content, never on aliases or on when
//! it was read (`tests/it/event.rs`).

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use crate::identity::{EventId, IdDigest, SourceIdentity};
use crate::log_source::LogSource;
use crate::names::{FieldId, FieldNames};
use crate::roles::{Role, Subject, role_of};
use crate::time::{EventTime, Timestamp, UnknownTime};
use crate::value::Value;

/// Where records come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What a person calls it: the path as it was found, or `-` for standard input.
    pub name: String,
    /// What it can promise about the identity of its records.
    pub identity: SourceIdentity,
}

/// Everything about a record that is not one of its fields.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Where it was read.
    pub source: Arc<Source>,
    /// Its number in the source: the event's own number for EVTX, which exported logs keep, else counted from 1 (for lines, the line number).
    pub record: u64,
    /// The offset of its first byte in the source, after decompression; 0 where the log has no such thing.
    pub offset: u64,
    /// What it is, in the words of the Sigma taxonomy.
    pub log_source: Arc<LogSource>,
    /// When it says it happened.
    pub time: EventTime,
    /// When it was read.
    pub arrived: Timestamp,
}

impl Default for Origin {
    /// An origin that promises nothing: an unnamed stream, no log source, no time.
    fn default() -> Self {
        Self {
            source: Arc::new(Source { name: "-".into(), identity: SourceIdentity::Stream { began_nanos: 0 } }),
            record: 0,
            offset: 0,
            log_source: Arc::new(LogSource::default()),
            time: EventTime::Unknown(UnknownTime::Missing),
            arrived: Timestamp::from_nanos(0),
        }
    }
}

/// A range of the buffer. 32 bits: a record is bounded far below 4 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) len: u32,
}

impl Span {
    pub(crate) fn range(self) -> Range<usize> {
        self.start as usize..(self.start + self.len) as usize
    }
}

/// The name of a field as it lies in an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    Interned(FieldId),
    /// The table of names was full.
    Inline(Span),
}

/// A value as it lies in an event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Slot {
    Str(Span),
    Int(i64),
    Float(f64),
    Bool(bool),
    Null,
    Empty,
}

impl Slot {
    /// Returns the value, whose text is in `buffer`.
    pub(crate) fn value(self, buffer: &str) -> Value<'_> {
        match self {
            Self::Str(span) => Value::Str(&buffer[span.range()]),
            Self::Int(number) => Value::Int(number),
            Self::Float(number) => Value::Float(number),
            Self::Bool(truth) => Value::Bool(truth),
            Self::Null => Value::Null,
            Self::Empty => Value::Empty,
        }
    }
}

/// A field as it lies in an event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawField {
    pub(crate) name: Name,
    pub(crate) slot: Slot,
    pub(crate) alias: bool,
}

/// One record of a log, decoded. Made by [`EventBuilder::finish`](crate::EventBuilder::finish).
#[derive(Debug, Clone)]
pub struct Event {
    pub(crate) buffer: String,
    pub(crate) raw_len: u32,
    pub(crate) fields: Vec<RawField>,
    pub(crate) fields_cut: u64,
    pub(crate) names: Arc<FieldNames>,
    pub(crate) origin: Origin,
    pub(crate) id: Option<EventId>,
}

/// One value of an event and the number of its field, as a matcher sees them.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'e> {
    event: &'e Event,
    raw: &'e RawField,
}

impl<'e> Entry<'e> {
    /// Returns the field; `None` where its name found no room in the table of names.
    pub fn field(&self) -> Option<FieldId> {
        self.raw.name.interned()
    }

    /// Returns the value.
    pub fn value(&self) -> Value<'e> {
        self.raw.slot.value(&self.event.buffer)
    }

    /// Returns where the value's text stands in [`Event::buffer`]; `None` where it is no text.
    pub fn text_range(&self) -> Option<Range<usize>> {
        match self.raw.slot {
            Slot::Str(span) => Some(span.range()),
            _ => None,
        }
    }

    /// Returns the field's dotted name.
    pub fn name(&self) -> Cow<'e, str> {
        self.event.name(self.raw.name)
    }

    /// Returns whether the field is a second name for a value that stands under another one too.
    pub fn is_alias(&self) -> bool {
        self.raw.alias
    }
}

impl Name {
    fn interned(self) -> Option<FieldId> {
        match self {
            Self::Interned(id) => Some(id),
            Self::Inline(_) => None,
        }
    }
}

/// One field of an event.
#[derive(Debug, Clone)]
pub struct Field<'e> {
    /// Its dotted name.
    pub name: Cow<'e, str>,
    /// Its value.
    pub value: Value<'e>,
}

impl Event {
    /// Returns where it was read, when, and what it is.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Returns the record as it stood in the log, where the log is text; empty for EVTX.
    pub fn raw(&self) -> &str {
        &self.buffer[..self.raw_len as usize]
    }

    /// Returns the values of the field `name`, aliases included: none, one, or the members of an array.
    pub fn get<'e>(&'e self, name: &'e str) -> impl Iterator<Item = Value<'e>> + 'e {
        let id = self.names.find(name);
        self.fields
            .iter()
            .filter(move |field| match field.name {
                Name::Interned(has) => Some(has) == id,
                Name::Inline(span) => id.is_none() && self.str(span) == name,
            })
            .map(|field| field.slot.value(&self.buffer))
    }

    /// Returns the values of an interned field.
    pub fn get_by_id(&self, id: FieldId) -> impl Iterator<Item = Value<'_>> {
        self.fields
            .iter()
            .filter(move |field| field.name == Name::Interned(id))
            .map(|field| field.slot.value(&self.buffer))
    }

    /// Returns the first value of the field `name` as text.
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        let id = self.names.find(name)?;
        self.get_by_id(id).next().and_then(Value::to_text)
    }

    /// Returns who or what the event is about, where a field says so.
    pub fn subject(&self, subject: Subject) -> Option<Cow<'_, str>> {
        let has = |name: &str| self.text(name).is_some();
        subject.candidates(has).iter().filter_map(|name| self.text(name)).find(|text| !matches!(text.trim(), "" | "-"))
    }

    /// Returns every field that the record has, in its order, without aliases.
    pub fn fields(&self) -> impl Iterator<Item = Field<'_>> {
        self.fields
            .iter()
            .filter(|field| !field.alias)
            .map(|field| Field { name: self.name(field.name), value: field.slot.value(&self.buffer) })
    }

    /// Returns the interned names that a rule can find in this event, aliases included; a name may come twice.
    pub fn field_ids(&self) -> impl Iterator<Item = FieldId> {
        self.fields.iter().filter_map(|field| field.name.interned())
    }

    /// Returns every value with its interned name, aliases excluded.
    pub fn values(&self) -> impl Iterator<Item = (Option<FieldId>, Value<'_>)> {
        self.fields
            .iter()
            .filter(|field| !field.alias)
            .map(|field| (field.name.interned(), field.slot.value(&self.buffer)))
    }

    /// Passes texts of `wanted` roles to `visit` with their interned names. A second name comes where the text has that role by no
    /// name before.
    pub(crate) fn visit_texts<'e>(
        &'e self,
        roles: &[Role],
        wanted: impl Fn(Role) -> bool,
        mut visit: impl FnMut(Option<FieldId>, Role, &'e str),
    ) {
        let its_role = |field: &RawField| match field.name {
            Name::Interned(id) => roles[id.index()],
            Name::Inline(name) => role_of(self.str(name)),
        };
        for (at, field) in self.fields.iter().enumerate() {
            let Slot::Str(span) = field.slot else { continue };
            let role = its_role(field);
            if !wanted(role) {
                continue;
            }
            let is_same =
                |before: &RawField| matches!(before.slot, Slot::Str(its) if its == span) && its_role(before) == role;
            let says_little = matches!(role, Role::Unknown | Role::Text);
            if field.alias && (says_little || self.fields[..at].iter().any(is_same)) {
                continue;
            }
            visit(field.name.interned(), role, self.str(span));
        }
    }

    /// Returns how many bytes its text takes, raw record and values together.
    pub fn byte_len(&self) -> usize {
        self.buffer.len()
    }

    /// Returns how many values there are, second names included.
    pub fn entry_count(&self) -> usize {
        self.fields.len()
    }

    /// Returns a value by its place, from 0 to [`Event::entry_count`].
    pub fn entry(&self, at: usize) -> Entry<'_> {
        Entry { event: self, raw: &self.fields[at] }
    }

    /// Returns all of its text in one piece: the raw record, and behind it what had to be decoded.
    pub fn buffer(&self) -> &str {
        &self.buffer
    }

    /// Returns every value, in the order of their places.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = Entry<'_>> + ExactSizeIterator {
        self.fields.iter().map(|raw| Entry { event: self, raw })
    }

    /// Returns how many fields and second names were over the bound and left out: a rule that asks for one misses it.
    pub fn fields_cut(&self) -> u64 {
        self.fields_cut
    }

    /// Returns the table that this event's field names are numbered in.
    pub fn names(&self) -> &Arc<FieldNames> {
        &self.names
    }

    /// Returns the event with an identity that it had before: it comes from where it was kept, and not all that makes an identity
    /// may have been.
    #[must_use]
    pub fn with_id(self, id: EventId) -> Self {
        Self { id: Some(id), ..self }
    }

    /// Returns the identity of this record. Computed at each call: ask only for what is kept.
    pub fn id(&self) -> EventId {
        if let Some(id) = self.id {
            return id;
        }
        let mut digest = match &self.origin.source.identity {
            SourceIdentity::Numbered => IdDigest::new("numbered"),
            SourceIdentity::File(file) => {
                let mut digest = IdDigest::new("file");
                digest.part(file);
                digest.part(&self.origin.offset.to_le_bytes());
                digest
            }
            SourceIdentity::Request(request) => {
                let mut digest = IdDigest::new("request");
                digest.part(request);
                digest
            }
            SourceIdentity::Keyed(space) => {
                let mut digest = IdDigest::new("keyed");
                digest.part(space);
                digest.part(&self.origin.offset.to_le_bytes());
                digest
            }
            SourceIdentity::Stream { began_nanos } => {
                let mut digest = IdDigest::new("stream");
                digest.part(&began_nanos.to_le_bytes());
                digest.part(&self.origin.offset.to_le_bytes());
                digest
            }
        };
        if !matches!(self.origin.source.identity, SourceIdentity::Keyed(_)) {
            digest.part(&self.origin.record.to_le_bytes());
        }
        digest.part(self.raw().as_bytes());
        if self.raw_len == 0 {
            for field in self.fields() {
                digest.part(field.name.as_bytes());
                digest.part(field.value.to_text().unwrap_or_default().as_bytes());
            }
        }
        EventId::from_bytes(digest.finish())
    }

    fn name(&self, name: Name) -> Cow<'_, str> {
        match name {
            Name::Interned(id) => Cow::Owned(self.names.name(id).to_string()),
            Name::Inline(span) => Cow::Borrowed(self.str(span)),
        }
    }

    fn str(&self, span: Span) -> &str {
        &self.buffer[span.range()]
    }
}
