//! Making events, one after another, for one reader.

use std::ops::Range;
use std::sync::Arc;

use foldhash::{HashMap, HashMapExt};

use crate::event::{Event, Name, Origin, RawField, Slot, Span};
use crate::names::{FieldId, FieldNames};
use crate::value::Value;

/// Most fields that one event keeps. A Sysmon event has about 30; the rest of a record with more is counted as cut.
const FIELDS_MAX: usize = 4096;

/// Longest value that becomes a name. Windows' longest have about 50 bytes; with a longer one nothing is renamed.
const NAME_BYTES_MAX: usize = 256;

/// Makes events, one after another, for one reader.
///
/// Records of one kind have the same fields in the same order, so the name behind a name is guessed from what stood there
/// before, and a comparison confirms it; only a wrong guess asks the tables.
#[derive(Debug)]
pub struct EventBuilder {
    names: Arc<FieldNames>,
    known: HashMap<Box<str>, FieldId>,
    /// The names that can be expected, one behind the other.
    texts: Vec<u8>,
    /// By field and one more, 0 for the beginning: the field that stood behind it last, with its name in `texts`.
    followers: Vec<Option<(FieldId, Span)>>,
    /// By field: its name in `texts`, where it is there.
    places: Vec<Option<Span>>,
    /// Where the next name stands in `followers`.
    behind: usize,
    buffer: String,
    raw_len: u32,
    fields: Vec<RawField>,
    fields_cut: u64,
    heads: Heads,
    /// Memory for values that are derived.
    derived: String,
    /// An event that nobody needs any more: its memory, and its share of the table of names.
    spare: Option<Event>,
}

/// The first value of each field. Cleared by counting on.
#[derive(Debug, Default)]
struct Heads {
    round: u32,
    /// By field: the round it was seen in, and its first place.
    first: Vec<(u32, u32)>,
}

impl Heads {
    fn clear(&mut self) {
        self.round = self.round.checked_add(1).unwrap_or_else(|| {
            self.first.clear();
            1
        });
    }

    #[inline]
    fn see(&mut self, id: FieldId, at: usize) {
        if self.first.len() <= id.index() {
            self.first.resize(id.index() + 1, (0, 0));
        }
        let first = &mut self.first[id.index()];
        if first.0 != self.round {
            *first = (self.round, at as u32);
        }
    }

    #[inline]
    fn get(&self, id: FieldId) -> Option<usize> {
        let first = self.first.get(id.index())?;
        (first.0 == self.round).then_some(first.1 as usize)
    }
}

impl EventBuilder {
    /// Returns a builder whose events' names are numbered in `names`.
    pub fn new(names: Arc<FieldNames>) -> Self {
        let mut builder = Self {
            names,
            known: HashMap::new(),
            texts: Vec::new(),
            followers: vec![None],
            places: Vec::new(),
            behind: 0,
            buffer: String::new(),
            raw_len: 0,
            fields: Vec::new(),
            fields_cut: 0,
            heads: Heads::default(),
            derived: String::new(),
            spare: None,
        };
        builder.clear();
        builder
    }

    /// Returns the table that names are numbered in.
    pub fn names(&self) -> &Arc<FieldNames> {
        &self.names
    }

    /// Forgets what was pushed since the last event.
    pub fn clear(&mut self) {
        self.raw_len = 0;
        self.clear_fields();
    }

    /// Forgets the fields and keeps the raw record, for a reader that begins again.
    pub fn clear_fields(&mut self) {
        self.buffer.truncate(self.raw_len as usize);
        self.fields.clear();
        self.fields_cut = 0;
        self.behind = 0;
        self.heads.clear();
    }

    /// Keeps the record as it stood in the log. Comes first: the raw form is the beginning of the buffer.
    pub fn set_raw(&mut self, raw: &str) {
        assert!(self.buffer.is_empty(), "the raw record must come before every field");
        self.buffer.push_str(raw);
        self.raw_len = u32::try_from(raw.len()).expect("readers bound a record below 4 GiB");
    }

    /// Returns the raw record; empty where none was set.
    pub fn raw(&self) -> &str {
        &self.buffer[..self.raw_len as usize]
    }

    /// Returns the field that stood at this place of the record before, where `is` confirms its name; what is pushed next
    /// stands behind it. Spares a reader that can compare in place from making a name first. No name with a quote, a backslash
    /// or a control character is ever asked about: where there are escapes it does not stand as it is.
    #[inline]
    pub fn intern_expected(&mut self, is: impl FnOnce(&[u8]) -> bool) -> Option<FieldId> {
        let (guess, Span { start, len }) = self.followers[self.behind]?;
        if !is(&self.texts[start as usize..(start + len) as usize]) {
            return None;
        }
        self.behind = guess.index() + 1;
        Some(guess)
    }

    /// Returns the number of `name`; `None` where the table of names is full.
    pub fn intern(&mut self, name: &str) -> Option<FieldId> {
        if let Some(guess) = self.intern_expected(|expected| expected == name.as_bytes()) {
            return Some(guess);
        }
        let id = match self.known.get(name) {
            Some(id) => *id,
            None => self.learn(name)?,
        };
        self.followers[self.behind] = self.places[id.index()].map(|place| (id, place));
        self.behind = id.index() + 1;
        Some(id)
    }

    fn learn(&mut self, name: &str) -> Option<FieldId> {
        let id = self.names.intern(name)?;
        self.known.insert(name.into(), id);
        if self.places.len() <= id.index() {
            self.places.resize(id.index() + 1, None);
            self.followers.resize(id.index() + 2, None);
        }
        if !name.bytes().any(|byte| matches!(byte, b'"' | b'\\' | 0..b' ')) {
            self.places[id.index()] = Some(Span { start: self.texts.len() as u32, len: name.len() as u32 });
            self.texts.extend_from_slice(name.as_bytes());
        }
        Some(id)
    }

    /// Adds a field by name.
    pub fn push(&mut self, name: &str, value: Value<'_>) {
        match self.intern(name) {
            Some(id) => self.push_by_id(id, value),
            None => {
                let name = Name::Inline(self.keep(name));
                self.push_named(name, value);
            }
        }
    }

    /// Adds a field by its interned name.
    #[inline]
    pub fn push_by_id(&mut self, id: FieldId, value: Value<'_>) {
        self.push_named(Name::Interned(id), value);
    }

    /// Adds a field whose text is a range of the raw record: it is not copied.
    ///
    /// # Panics
    ///
    /// Where the range does not lie in the raw record. One that is not on the bounds of characters panics when it is read.
    #[inline]
    pub fn push_raw(&mut self, id: FieldId, range: Range<usize>) {
        let is_text = self.buffer.is_char_boundary(range.start) && self.buffer.is_char_boundary(range.end);
        assert!(
            range.start <= range.end && range.end <= self.raw_len as usize && is_text,
            "not a text of the raw record"
        );
        if self.has_room() {
            let slot = Slot::Str(Span { start: range.start as u32, len: range.len() as u32 });
            self.add(RawField { name: Name::Interned(id), slot, alias: false });
        }
    }

    /// Counts a field that is over the bound.
    #[inline]
    fn has_room(&mut self) -> bool {
        if self.fields.len() < FIELDS_MAX {
            return true;
        }
        self.fields_cut += 1;
        false
    }

    #[inline]
    fn push_named(&mut self, name: Name, value: Value<'_>) {
        if !self.has_room() {
            return;
        }
        let slot = match value {
            Value::Str(text) => Slot::Str(self.keep(text)),
            Value::Int(number) => Slot::Int(number),
            Value::Float(number) => Slot::Float(number),
            Value::Bool(truth) => Slot::Bool(truth),
            Value::Null => Slot::Null,
            Value::Empty => Slot::Empty,
        };
        self.add(RawField { name, slot, alias: false });
    }

    #[inline]
    fn add(&mut self, field: RawField) {
        if let Name::Interned(id) = field.name {
            self.heads.see(id, self.fields.len());
        }
        self.fields.push(field);
    }

    /// Gives every value of the field `from` the second name `to`; `false` where there is none.
    pub fn alias(&mut self, from: FieldId, to: FieldId) -> bool {
        let Some(first) = self.heads.get(from) else { return false };
        for i in first..self.fields.len() {
            let field = self.fields[i];
            if field.name != Name::Interned(from) {
                continue;
            }
            if self.has_room() {
                self.add(RawField { name: Name::Interned(to), slot: field.slot, alias: true });
            }
        }
        true
    }

    /// Adds a value that was derived from the record under a name that the record does not have: found by name, and
    /// neither shown nor hashed.
    pub fn derive(&mut self, id: FieldId, value: Value<'_>) {
        let before = self.fields.len();
        self.push_by_id(id, value);
        if let Some(field) = self.fields.get_mut(before) {
            field.alias = true;
        }
    }

    /// Derives a value from the first text of the field `from`, where `derive` writes one, and adds it as [`EventBuilder::derive`]
    /// does.
    pub fn derive_from(&mut self, from: FieldId, to: FieldId, derive: impl FnOnce(&str, &mut String) -> Option<()>) {
        let mut derived = std::mem::take(&mut self.derived);
        derived.clear();
        if let Some(text) = self.get(from).and_then(Value::as_str)
            && derive(text, &mut derived).is_some()
        {
            self.derive(to, Value::Str(&derived));
        }
        self.derived = derived;
    }

    /// Gives a new name to every field for which `rename` has one.
    pub fn rename(&mut self, mut rename: impl FnMut(FieldId) -> Option<FieldId>) {
        let mut is_changed = false;
        for field in &mut self.fields {
            if let Name::Interned(id) = field.name
                && let Some(new) = rename(id)
            {
                field.name = Name::Interned(new);
                is_changed = true;
            }
        }
        if is_changed {
            self.see_all();
        }
    }

    /// Names each value of the field `value` by the value of `name` that stands beside it, with `prefix` in front, and drops
    /// the names; `false`, and nothing changes, where it is not plain which belong together.
    pub fn name_values(&mut self, name: FieldId, value: FieldId, prefix: &str) -> bool {
        if !self.has(name) || !self.has(value) {
            return false;
        }
        let places = |id| move |(_, field): &(usize, &RawField)| field.name == Name::Interned(id);
        let of_both = self.fields.iter().enumerate().filter(|field| places(name)(field) || places(value)(field));
        let order: Vec<(bool, usize)> = of_both.map(|(at, field)| (field.name == Name::Interned(name), at)).collect();
        let Some(pairs) = pair_up(&order) else { return false };
        let mut named = Vec::with_capacity(pairs.len());
        for (name, value) in pairs {
            let Slot::Str(span) = self.fields[name].slot else { return false };
            if span.len as usize > NAME_BYTES_MAX {
                return false;
            }
            let text = &self.buffer[span.range()];
            let full = format!("{prefix}{text}");
            let Some(id) = self.intern(&full) else { return false };
            named.push((value, id));
        }
        for (value, id) in named {
            self.fields[value].name = Name::Interned(id);
        }
        self.fields.retain(|field| field.name != Name::Interned(name));
        self.see_all();
        true
    }

    fn see_all(&mut self) {
        self.heads.clear();
        for (at, field) in self.fields.iter().enumerate() {
            if let Name::Interned(id) = field.name {
                self.heads.see(id, at);
            }
        }
    }

    /// Returns whether the record has the field.
    pub fn has(&self, id: FieldId) -> bool {
        self.heads.get(id).is_some()
    }

    /// Returns the first value of a field that was pushed.
    pub fn get(&self, id: FieldId) -> Option<Value<'_>> {
        Some(self.fields[self.heads.get(id)?].slot.value(&self.buffer))
    }

    /// Returns how many fields were over the bound and left out of the event being built.
    pub fn fields_cut(&self) -> u64 {
        self.fields_cut
    }

    /// Returns the event and starts the next one.
    pub fn finish(&mut self, origin: Origin) -> Event {
        let (buffer, fields, names) = match self.spare.take() {
            Some(spare) => (spare.buffer, spare.fields, spare.names),
            None => (String::new(), Vec::new(), Arc::clone(&self.names)),
        };
        let event = Event {
            buffer: std::mem::replace(&mut self.buffer, buffer),
            raw_len: self.raw_len,
            fields: std::mem::replace(&mut self.fields, fields),
            fields_cut: self.fields_cut,
            names,
            origin,
            id: None,
        };
        self.clear();
        event
    }

    /// Takes an event that nobody needs any more, to use its memory again; one that another table's numbers are in is dropped.
    pub fn recycle(&mut self, event: Event) {
        if Arc::ptr_eq(&event.names, &self.names) {
            self.spare = Some(event);
        }
    }

    /// Puts `text` into the buffer. Whether the raw record has it is not searched for: one copy a value.
    fn keep(&mut self, text: &str) -> Span {
        let start = u32::try_from(self.buffer.len()).expect("readers bound a record below 4 GiB");
        let len = u32::try_from(text.len()).expect("readers bound a record below 4 GiB");
        self.buffer.push_str(text);
        Span { start, len }
    }
}

/// Pairs names (`true`) with the values beside them. Each object has a name; a value may be missing. Whether names come first
/// the two ends tell, unless both are names: then nothing is paired, because any value might be either neighbour's.
fn pair_up(order: &[(bool, usize)]) -> Option<Vec<(usize, usize)>> {
    match (order.first()?.0, order.last()?.0) {
        (true, false) => pair_forward(order.iter()),
        (false, true) => pair_forward(order.iter().rev()),
        _ => None,
    }
}

fn pair_forward<'o>(order: impl Iterator<Item = &'o (bool, usize)>) -> Option<Vec<(usize, usize)>> {
    let mut open = None;
    let mut pairs = Vec::new();
    for (is_name, at) in order {
        if *is_name {
            open = Some(*at);
        } else {
            pairs.push((open.take()?, *at));
        }
    }
    Some(pairs)
}
