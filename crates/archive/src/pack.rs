//! A pack: some events as they lie in the write-ahead log, with all that is derived of them already.
//!
//! Made by the thread that has the events ([`Packer`]), written by the one that has the log, read again to make columns and
//! the index of observables. First the events, each with its length in front, and numbers into the tables: those of names
//! and other texts, of sources and of log sources stand behind; last, 8 bytes, where they begin. A text that stands in the
//! raw record is a place in that.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use cresset_event::{
    Entry, Event, EventId, EventTime, LogSource, ObservableKinds, Source, SourceIdentity, Subject, Timestamp,
    UnknownTime, Value,
};

use crate::index::push_key;
use crate::table::Table;
use crate::wire::{Taker, put_bytes, put_number, put_signed};

/// Whether events keep their raw form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keep {
    /// The record as it stood in the log, and its fields.
    #[default]
    Raw,
    /// Its fields only.
    Fields,
}

/// Packs events, on any thread.
#[derive(Debug)]
pub struct Packer {
    keep: Keep,
    texts: Table<Box<str>>,
    sources: Table<Arc<str>>,
    log_sources: Table<Arc<LogSource>>,
    /// By interned name: its number among the texts of this pack.
    names: Vec<Option<u32>>,
    events: Vec<u8>,
    scratch: Scratch,
}

/// Memory for one event.
#[derive(Debug, Default)]
struct Scratch {
    /// Observables: where their keys are, and their fields' names.
    keys: Vec<u8>,
    observables: Vec<(Range<usize>, u32)>,
}

/// Bytes of a length.
const LENGTH_BYTES: usize = 4;

// How a value lies in an event.
const TEXT: u8 = 0;
const TEXT_IN_RAW: u8 = 1;
const INT: u8 = 2;
const FLOAT: u8 = 3;
const TRUE: u8 = 4;
const FALSE: u8 = 5;
const NULL: u8 = 6;
const EMPTY: u8 = 7;
/// Behind it the place of the entry whose text it has.
const SAME: u8 = 8;

impl Packer {
    /// Returns a packer of events that keep so much.
    pub fn new(keep: Keep) -> Self {
        Self {
            keep,
            texts: Table::default(),
            sources: Table::default(),
            log_sources: Table::default(),
            names: Vec::new(),
            events: Vec::new(),
            scratch: Scratch::default(),
        }
    }

    /// Returns how many bytes the events so far take.
    pub fn byte_len(&self) -> usize {
        self.events.len()
    }

    /// Returns whether there is no event.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Adds an event.
    pub fn add(&mut self, event: &Event) {
        let mut out = std::mem::take(&mut self.events);
        put_with_length(&mut out, |out| {
            self.put_origin(event, out);
            put_with_length(out, |out| self.put_fields(event, out));
            self.put_observables(event, out);
        });
        self.events = out;
    }

    /// Returns what was added since the last pack.
    pub fn take(&mut self) -> Pack {
        let mut bytes = std::mem::take(&mut self.events);
        let tables = bytes.len() as u64;
        put_table(&mut bytes, self.texts.values(), |out, text| put_bytes(out, text.as_bytes()));
        put_table(&mut bytes, self.sources.values(), |out, name| put_bytes(out, name.as_bytes()));
        put_table(&mut bytes, self.log_sources.values(), |out, log_source| put_log_source(out, log_source));
        bytes.extend(tables.to_le_bytes());
        // Packs are kept until their log is a segment.
        bytes.shrink_to_fit();
        // The next one will be about as large.
        let events = Vec::with_capacity(bytes.len());
        *self = Self { events, scratch: std::mem::take(&mut self.scratch), ..Self::new(self.keep) };
        Pack::parse(Bytes::from(bytes)).expect("it was written just so")
    }

    fn put_origin(&mut self, event: &Event, out: &mut Vec<u8>) {
        let origin = event.origin();
        out.extend_from_slice(event.id().as_bytes());
        match origin.time {
            EventTime::Known(time) => {
                out.push(0);
                out.extend_from_slice(&time.as_nanos().to_le_bytes());
            }
            EventTime::Unknown(why) => out.push(code_of(why)),
        }
        out.extend_from_slice(&origin.arrived.as_nanos().to_le_bytes());
        let log_source = self.log_sources.number(&*origin.log_source, || Arc::clone(&origin.log_source));
        put_number(out, log_source.into());
        let source = self.sources.number(&*origin.source.name, || origin.source.name.as_str().into());
        put_number(out, source.into());
        put_number(out, origin.record);
        put_number(out, origin.offset);
        put_number(out, event.fields_cut());
        for subject in [Subject::Host, Subject::User] {
            let number = event.subject(subject).map_or(0, |text| self.texts.number(&*text, || (&*text).into()) + 1);
            put_number(out, number.into());
        }
        put_bytes(out, self.raw(event).as_bytes());
    }

    fn put_fields(&mut self, event: &Event, out: &mut Vec<u8>) {
        let raw = self.raw(event);
        put_number(out, event.entry_count() as u64);
        for (at, entry) in event.entries().enumerate() {
            let name = self.name(&entry);
            put_number(out, u64::from(name) << 1 | u64::from(entry.is_alias()));
            match (entry.value(), entry.text_range()) {
                (Value::Str(_), Some(range)) if range.end <= raw.len() => {
                    out.push(TEXT_IN_RAW);
                    put_number(out, range.start as u64);
                    put_number(out, range.len() as u64);
                }
                (Value::Str(text), range) => match first_of(event, range.filter(|_| entry.is_alias())) {
                    Some(first) if first < at => {
                        out.push(SAME);
                        put_number(out, first as u64);
                    }
                    _ => {
                        out.push(TEXT);
                        put_bytes(out, text.as_bytes());
                    }
                },
                (Value::Int(number), _) => {
                    out.push(INT);
                    put_signed(out, number);
                }
                (Value::Float(number), _) => {
                    out.push(FLOAT);
                    out.extend_from_slice(&number.to_le_bytes());
                }
                (Value::Bool(truth), _) => out.push(if truth { TRUE } else { FALSE }),
                (Value::Null, _) => out.push(NULL),
                (Value::Empty, _) => out.push(EMPTY),
            }
        }
    }

    fn raw<'e>(&self, event: &'e Event) -> &'e str {
        if self.keep == Keep::Raw { event.raw() } else { "" }
    }

    fn name(&mut self, entry: &Entry<'_>) -> u32 {
        let texts = &mut self.texts;
        let mut number = || {
            let name = entry.name();
            texts.number(&*name, || (&*name).into())
        };
        let Some(id) = entry.field() else { return number() };
        if self.names.len() <= id.index() {
            self.names.resize(id.index() + 1, None);
        }
        *self.names[id.index()].get_or_insert_with(number)
    }

    /// Adds each observable once, under the first of its fields.
    fn put_observables(&mut self, event: &Event, out: &mut Vec<u8>) {
        let Scratch { keys, observables } = &mut self.scratch;
        keys.clear();
        observables.clear();
        event.visit_raw_observables(ObservableKinds::ALL, |observable| {
            let start = keys.len();
            if push_key(&observable, keys) {
                let name = observable.field.and_then(|id| self.names.get(id.index()).copied().flatten());
                observables.push((start..keys.len(), name.map_or(0, |name| name + 1)));
            } else {
                keys.truncate(start);
            }
        });
        observables.sort_by(|(a, _), (b, _)| keys[a.clone()].cmp(&keys[b.clone()]));
        observables.dedup_by(|(a, _), (b, _)| keys[a.clone()] == keys[b.clone()]);
        put_number(out, observables.len() as u64);
        for (key, name) in observables {
            put_number(out, u64::from(*name));
            put_bytes(out, &keys[key.clone()]);
        }
    }
}

/// Adds what `put` adds, with its length in front, in 4 bytes.
fn put_with_length(out: &mut Vec<u8>, put: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend([0; LENGTH_BYTES]);
    put(out);
    let length = u32::try_from(out.len() - start - LENGTH_BYTES).expect("readers bound a record below 4 GiB");
    out[start..start + LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
}

/// Returns the first entry with this very text.
fn first_of(event: &Event, range: Option<Range<usize>>) -> Option<usize> {
    let range = range?;
    event.entries().position(|entry| entry.text_range().as_ref() == Some(&range))
}

fn code_of(why: UnknownTime) -> u8 {
    match why {
        UnknownTime::Missing => 1,
        UnknownTime::Unreadable => 2,
        UnknownTime::OutOfRange => 3,
    }
}

fn put_table<T>(out: &mut Vec<u8>, values: &[T], put: impl Fn(&mut Vec<u8>, &T)) {
    put_number(out, values.len() as u64);
    values.iter().for_each(|value| put(out, value));
}

fn put_log_source(out: &mut Vec<u8>, log_source: &LogSource) {
    let LogSource { product, service, categories } = log_source;
    for word in [product, service] {
        // No word is empty.
        put_bytes(out, word.as_deref().unwrap_or_default().as_bytes());
    }
    put_table(out, categories, |out, category| put_bytes(out, category.as_bytes()));
}

/// Some events, packed.
#[derive(Debug, Clone)]
pub struct Pack {
    bytes: Bytes,
    /// Each lies in one place, so that those who have met it know it by that.
    texts: Arc<[Box<str>]>,
    sources: Vec<Arc<Source>>,
    log_sources: Vec<Arc<LogSource>>,
    /// Where the tables begin.
    tables: usize,
    events: Vec<Range<usize>>,
}

impl Pack {
    /// Reads a pack; `None` where these bytes are none.
    pub(crate) fn parse(bytes: Bytes) -> Option<Self> {
        let all: &[u8] = &bytes;
        let (rest, tables) = all.split_last_chunk()?;
        let tables = usize::try_from(u64::from_le_bytes(*tables)).ok()?;
        let (packed, rest) = rest.split_at_checked(tables)?;
        let place = |slice: &[u8]| {
            let start = slice.as_ptr() as usize - all.as_ptr() as usize;
            start..start + slice.len()
        };
        let mut taker = Taker::new(rest);
        let texts = take_table(&mut taker, |taker| taker.text().map(Box::from))?.into();
        let sources = take_table(&mut taker, |taker| {
            let identity = SourceIdentity::Stream { began_nanos: 0 };
            Some(Arc::new(Source { name: taker.text()?.into(), identity }))
        })?;
        let log_sources = take_table(&mut taker, |taker| take_log_source(taker).map(Arc::new))?;
        if !taker.is_empty() {
            return None;
        }
        let mut taker = Taker::new(packed);
        let mut events = Vec::new();
        while !taker.is_empty() {
            events.push(place(take_with_length(&mut taker)?));
        }
        Some(Self { texts, sources, log_sources, tables, events, bytes: bytes.clone() })
    }

    /// Returns its bytes with only those events for which `keep` says so.
    pub(crate) fn filtered(&self, mut keep: impl FnMut(&PackedEvent<'_>) -> bool) -> Option<Self> {
        let kept: Vec<bool> = self.events().map(|event| keep(&event)).collect();
        if kept.iter().all(|kept| *kept) {
            return Some(self.clone());
        }
        let mut bytes = Vec::new();
        for (range, _) in self.events.iter().zip(&kept).filter(|(_, kept)| **kept) {
            bytes.extend_from_slice(&self.bytes[range.start - LENGTH_BYTES..range.end]);
        }
        let tables = bytes.len() as u64;
        bytes.extend_from_slice(&self.bytes[self.tables..self.bytes.len() - size_of_val(&tables)]);
        bytes.extend(tables.to_le_bytes());
        Self::parse(Bytes::from(bytes))
    }

    /// Returns its bytes, as [`Pack::parse`] reads them.
    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Returns how many events there are.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Returns the events, in the order in which they were packed.
    pub(crate) fn events(&self) -> impl Iterator<Item = PackedEvent<'_>> {
        self.events.iter().map(|range| PackedEvent { pack: self, bytes: &self.bytes[range.clone()] })
    }

    fn text(&self, number: u64) -> Option<&str> {
        self.texts.get(usize::try_from(number).ok()?).map(|text| &**text)
    }
}

/// Takes what has its length in front, in 4 bytes.
fn take_with_length<'b>(taker: &mut Taker<'b>) -> Option<&'b [u8]> {
    let length = u32::from_le_bytes(taker.array()?);
    taker.slice(usize::try_from(length).ok()?)
}

fn take_table<'b, T>(taker: &mut Taker<'b>, take: impl Fn(&mut Taker<'b>) -> Option<T>) -> Option<Vec<T>> {
    let count = taker.len()?;
    (0..count).map(|_| take(taker)).collect()
}

fn take_log_source(taker: &mut Taker<'_>) -> Option<LogSource> {
    let mut word = || taker.text().map(|text| (!text.is_empty()).then(|| text.to_owned()));
    let (product, service) = (word()?, word()?);
    let categories = take_table(taker, |taker| taker.text().map(str::to_owned))?;
    Some(LogSource { product, service, categories })
}

/// An event of a pack.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PackedEvent<'p> {
    pack: &'p Pack,
    bytes: &'p [u8],
}

/// All of an event but its fields and observables, and where those begin.
#[derive(Debug, Clone)]
pub(crate) struct PackedOrigin<'p> {
    pub(crate) id: EventId,
    pub(crate) time: EventTime,
    pub(crate) arrived: Timestamp,
    pub(crate) log_source: &'p Arc<LogSource>,
    pub(crate) source: &'p Arc<Source>,
    pub(crate) record: u64,
    pub(crate) offset: u64,
    pub(crate) fields_cut: u64,
    pub(crate) host: Option<&'p str>,
    pub(crate) user: Option<&'p str>,
    /// Empty where it was not kept.
    pub(crate) raw: &'p str,
    pack: &'p Pack,
    fields: &'p [u8],
    observables: Taker<'p>,
}

/// A field of a packed event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PackedField<'p> {
    pub(crate) name: &'p str,
    pub(crate) value: PackedValue<'p>,
    pub(crate) is_alias: bool,
}

/// A value of a packed event.
#[derive(Debug, Clone, Copy)]
pub(crate) enum PackedValue<'p> {
    Value(Value<'p>),
    /// That of the entry at this place.
    SameAs(usize),
}

impl<'p> PackedEvent<'p> {
    /// Reads all but the fields; `None` where it is not as it was packed.
    pub(crate) fn origin(&self) -> Option<PackedOrigin<'p>> {
        let pack = self.pack;
        let mut taker = Taker::new(self.bytes);
        let id = EventId::from_bytes(taker.array()?);
        let time = match taker.byte()? {
            0 => EventTime::Known(take_time(&mut taker)?),
            1 => EventTime::Unknown(UnknownTime::Missing),
            2 => EventTime::Unknown(UnknownTime::Unreadable),
            3 => EventTime::Unknown(UnknownTime::OutOfRange),
            _ => return None,
        };
        let arrived = take_time(&mut taker)?;
        let log_source = pack.log_sources.get(taker.len()?)?;
        let source = pack.sources.get(taker.len()?)?;
        let (record, offset, fields_cut) = (taker.number()?, taker.number()?, taker.number()?);
        let mut text = || match taker.number()? {
            0 => Some(None),
            number => pack.text(number - 1).map(Some),
        };
        let (host, user) = (text()?, text()?);
        let (raw, fields) = (taker.text()?, take_with_length(&mut taker)?);
        Some(PackedOrigin {
            id,
            time,
            arrived,
            log_source,
            source,
            record,
            offset,
            fields_cut,
            host,
            user,
            raw,
            pack,
            fields,
            observables: taker,
        })
    }
}

fn take_time(taker: &mut Taker<'_>) -> Option<Timestamp> {
    taker.array().map(|bytes| Timestamp::from_nanos(i64::from_le_bytes(bytes)))
}

impl<'p> PackedOrigin<'p> {
    /// Passes each field to `field`; `None` where the event is not as it was packed.
    pub(crate) fn visit_fields(&self, mut field: impl FnMut(PackedField<'p>)) -> Option<()> {
        let mut taker = Taker::new(self.fields);
        for _ in 0..taker.len()? {
            let name = taker.number()?;
            let value = self.take_value(&mut taker)?;
            field(PackedField { name: self.pack.text(name >> 1)?, value, is_alias: name & 1 == 1 });
        }
        taker.is_empty().then_some(())
    }

    /// Passes the name of each field to `name` that has a value of its own which is kept as text.
    pub(crate) fn visit_names(&self, mut name: impl FnMut(&'p str)) -> Option<()> {
        let mut taker = Taker::new(self.fields);
        for _ in 0..taker.len()? {
            let number = taker.number()?;
            let letter = taker.byte()?;
            match letter {
                TEXT => {
                    taker.bytes()?;
                }
                TEXT_IN_RAW => {
                    taker.number()?;
                    taker.number()?;
                }
                INT | SAME => {
                    taker.number()?;
                }
                FLOAT => {
                    taker.array::<8>()?;
                }
                _ => {}
            }
            if !matches!(letter, SAME | NULL | EMPTY) {
                name(self.pack.text(number >> 1)?);
            }
        }
        taker.is_empty().then_some(())
    }

    /// Passes each observable, as a key of the index with its field's name, to `observable`; `None` where the event is not as
    /// it was packed.
    pub(crate) fn visit_observables(&self, mut observable: impl FnMut(&'p [u8], &'p str)) -> Option<()> {
        let mut taker = self.observables;
        for _ in 0..taker.len()? {
            let name = match taker.number()? {
                0 => "",
                number => self.pack.text(number - 1)?,
            };
            observable(taker.bytes()?, name);
        }
        taker.is_empty().then_some(())
    }

    fn take_value(&self, taker: &mut Taker<'p>) -> Option<PackedValue<'p>> {
        Some(PackedValue::Value(match taker.byte()? {
            TEXT => Value::Str(taker.text()?),
            TEXT_IN_RAW => {
                let (start, len) = (taker.len()?, taker.len()?);
                Value::Str(self.raw.get(start..start.checked_add(len)?)?)
            }
            INT => Value::Int(taker.signed()?),
            FLOAT => Value::Float(f64::from_le_bytes(taker.array()?)),
            TRUE => Value::Bool(true),
            FALSE => Value::Bool(false),
            NULL => Value::Null,
            EMPTY => Value::Empty,
            SAME => return Some(PackedValue::SameAs(taker.len()?)),
            _ => return None,
        }))
    }
}
