//! Events as columns: what one Parquet file holds, and how it is read by others (`docs/archive-format.md`).
//!
//! Some columns are always there ([`FIXED`]); each field has one of its own, named as it is. What a column cannot hold, the
//! order of the fields, the types of their values, second names, is in `shape`; values past the first of a field, and those
//! of fields for which there is no column left, are in `rest`. `rows.rs` reads events back.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use arrow_array::builder::{
    ArrayBuilder, FixedSizeBinaryBuilder, ListBuilder, StringBuilder, TimestampNanosecondBuilder, UInt64Builder,
};
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, DictionaryArray, Int32Array, RecordBatch};
use arrow_schema::{Field, Schema};
use cresset_event::Value;

use crate::pack::{PackedField, PackedOrigin, PackedValue};
use crate::table_rows::ID_BYTES;

/// Most fields that have a column of their own in one file, the most frequent ones. Sysmon has about 130.
pub(crate) const FIELD_COLUMNS_MAX: usize = 512;

/// The columns that each file has.
pub(crate) const FIXED: &[&str] = &[
    "id",
    "time",
    "arrived",
    "host",
    "user",
    "product",
    "service",
    "categories",
    "source",
    "record",
    "offset",
    "raw",
    "shape",
    "rest",
    "fields_cut",
    "time_unknown",
];

/// Returns the name of a field's column: its own, with one `_` more in front where that would be a fixed column's.
pub(crate) fn column_name(field: &str) -> String {
    let bare = field.trim_start_matches('_');
    if FIXED.iter().any(|fixed| fixed.eq_ignore_ascii_case(bare)) { format!("_{field}") } else { field.to_owned() }
}

/// Makes columns of events, in their order; `None` where one of them is not as it was packed.
pub(crate) fn columns(events: &[PackedOrigin<'_>]) -> Option<RecordBatch> {
    let names = frequent_names(events)?;
    let raw_bytes = events.iter().map(|event| event.raw.len()).sum();
    let mut columns = Columns::new(&names, StringBuilder::with_capacity(events.len(), raw_bytes));
    for (row, event) in events.iter().enumerate() {
        columns.push(row, event)?;
    }
    Some(columns.finish(events.len()))
}

/// What is known of names by where they lie: in a pack each lies in one place, and need not be compared again.
type ByAddress<T> = HashMap<(usize, usize), T, foldhash::fast::FixedState>;

fn address(name: &str) -> (usize, usize) {
    (name.as_ptr() as usize, name.len())
}

/// Returns the fields that have a column, in the order of their names.
fn frequent_names<'p>(events: &[PackedOrigin<'p>]) -> Option<Vec<&'p str>> {
    let mut by_address: ByAddress<(&str, usize)> = HashMap::default();
    for event in events {
        event.visit_names(|name| by_address.entry(address(name)).or_insert((name, 0)).1 += 1)?;
    }
    let mut counts: HashMap<&str, usize, foldhash::fast::FixedState> = HashMap::default();
    by_address.into_values().for_each(|(name, count)| *counts.entry(name).or_default() += count);
    let mut names: Vec<(&str, usize)> = counts.into_iter().collect();
    names.sort_unstable_by_key(|(name, count)| (usize::MAX - count, *name));
    names.truncate(FIELD_COLUMNS_MAX);
    let mut names: Vec<&str> = names.into_iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    Some(names)
}

/// The names that were met, and their columns.
#[derive(Default)]
struct Names<'p> {
    known: HashMap<&'p str, Name, foldhash::fast::FixedState>,
    by_address: ByAddress<Name>,
}

#[derive(Clone, Copy)]
struct Name {
    number: u32,
    /// The place of its column; none for those that have none.
    column: Option<usize>,
}

impl<'p> Names<'p> {
    fn new(names: &[&'p str]) -> Self {
        let known = names.iter().zip(0..).map(|(name, number)| (*name, Name { number, column: Some(number as usize) }));
        Self { known: known.collect(), by_address: HashMap::default() }
    }

    fn of(&mut self, name: &'p str) -> Name {
        let Self { known, by_address } = self;
        *by_address.entry(address(name)).or_insert_with(|| {
            let number = u32::try_from(known.len()).expect("packs have fewer names");
            *known.entry(name).or_insert(Name { number, column: None })
        })
    }
}

/// Shapes by number. One that was met before is told by the numbers of its names, which are fewer bytes than its text.
#[derive(Default)]
struct Shapes {
    numbers: HashMap<Box<[u8]>, i32, foldhash::fast::FixedState>,
    texts: StringBuilder,
    /// By row.
    keys: Vec<i32>,
    /// The shape of the event at hand.
    key: Vec<u8>,
}

impl Shapes {
    fn push_field(&mut self, name: Name, field: &PackedField<'_>) {
        self.key.push(letter_of(field) as u8);
        self.key.extend_from_slice(&name.number.to_le_bytes());
        if let PackedValue::SameAs(place) = field.value {
            self.key.extend_from_slice(&place.to_le_bytes());
        }
    }

    /// Ends the shape of a row, of which `text` writes the text where it is new.
    fn end_row(&mut self, text: impl FnOnce() -> String) {
        let number = match self.numbers.get(&*self.key) {
            Some(number) => *number,
            None => {
                let number = i32::try_from(self.numbers.len()).expect("there are fewer rows");
                self.texts.append_value(text());
                self.numbers.insert(self.key.as_slice().into(), number);
                number
            }
        };
        self.keys.push(number);
        self.key.clear();
    }

    fn finish(mut self) -> DictionaryArray<Int32Type> {
        DictionaryArray::new(Int32Array::from(self.keys), Arc::new(self.texts.finish()))
    }
}

/// Columns that are being filled.
struct Columns<'p> {
    names: Names<'p>,
    fields: Vec<(&'p str, StringBuilder)>,
    id: FixedSizeBinaryBuilder,
    time: TimestampNanosecondBuilder,
    time_unknown: StringBuilder,
    arrived: TimestampNanosecondBuilder,
    host: StringBuilder,
    user: StringBuilder,
    product: StringBuilder,
    service: StringBuilder,
    categories: ListBuilder<StringBuilder>,
    source: StringBuilder,
    record: UInt64Builder,
    offset: UInt64Builder,
    raw: StringBuilder,
    fields_cut: UInt64Builder,
    shapes: Shapes,
    rest: ListBuilder<StringBuilder>,
}

impl<'p> Columns<'p> {
    fn new(names: &[&'p str], raw: StringBuilder) -> Self {
        Self {
            names: Names::new(names),
            fields: names.iter().map(|name| (*name, StringBuilder::new())).collect(),
            id: FixedSizeBinaryBuilder::new(ID_BYTES),
            time: TimestampNanosecondBuilder::new(),
            time_unknown: StringBuilder::new(),
            arrived: TimestampNanosecondBuilder::new(),
            host: StringBuilder::new(),
            user: StringBuilder::new(),
            product: StringBuilder::new(),
            service: StringBuilder::new(),
            categories: ListBuilder::new(StringBuilder::new()),
            source: StringBuilder::new(),
            record: UInt64Builder::new(),
            offset: UInt64Builder::new(),
            raw,
            fields_cut: UInt64Builder::new(),
            shapes: Shapes::default(),
            rest: ListBuilder::new(StringBuilder::new()),
        }
    }

    fn push(&mut self, row: usize, event: &PackedOrigin<'p>) -> Option<()> {
        self.id.append_value(event.id.as_bytes()).expect("an id has 16 bytes");
        match event.time {
            cresset_event::EventTime::Known(time) => {
                self.time.append_value(time.as_nanos());
                self.time_unknown.append_null();
            }
            cresset_event::EventTime::Unknown(why) => {
                self.time.append_null();
                self.time_unknown.append_value(crate::rows::word_of(why));
            }
        }
        self.arrived.append_value(event.arrived.as_nanos());
        self.host.append_option(event.host);
        self.user.append_option(event.user);
        self.product.append_option(event.log_source.product.as_deref());
        self.service.append_option(event.log_source.service.as_deref());
        self.categories.append_value(event.log_source.categories.iter().map(Some));
        self.source.append_value(&event.source.name);
        self.record.append_value(event.record);
        self.offset.append_value(event.offset);
        self.raw.append_option(Some(event.raw).filter(|raw| !raw.is_empty()));
        self.fields_cut.append_value(event.fields_cut);
        self.push_fields(row, event)
    }

    fn push_fields(&mut self, row: usize, event: &PackedOrigin<'p>) -> Option<()> {
        let Self { names, fields, rest, shapes, .. } = self;
        let push = |field: PackedField<'p>| {
            let name = names.of(field.name);
            shapes.push_field(name, &field);
            let PackedValue::Value(value) = field.value else { return };
            let Some(value) = value.to_text() else { return };
            match name.column.map(|column| &mut fields[column].1) {
                // The first of its name.
                Some(column) if column.len() <= row => {
                    fill_up(column, row);
                    column.append_value(&value);
                }
                _ => rest.values().append_value(&value),
            }
        };
        event.visit_fields(push)?;
        let mut text = String::new();
        let mut written = Some(());
        self.shapes.end_row(|| {
            written = event.visit_fields(|field| push_shape(&field, &mut text));
            text
        });
        self.rest.append(true);
        written
    }

    fn finish(mut self, rows: usize) -> RecordBatch {
        let utc =
            |builder: &mut TimestampNanosecondBuilder| Arc::new(builder.finish().with_timezone("UTC")) as ArrayRef;
        let mut columns: Vec<(String, ArrayRef)> = Vec::new();
        let mut add = |name: &str, column: ArrayRef| columns.push((name.to_owned(), column));
        add("id", Arc::new(self.id.finish()));
        add("time", utc(&mut self.time));
        add("arrived", utc(&mut self.arrived));
        add("host", Arc::new(self.host.finish()));
        add("user", Arc::new(self.user.finish()));
        add("product", Arc::new(self.product.finish()));
        add("service", Arc::new(self.service.finish()));
        add("categories", Arc::new(self.categories.finish()));
        add("source", Arc::new(self.source.finish()));
        add("record", Arc::new(self.record.finish()));
        add("offset", Arc::new(self.offset.finish()));
        add("raw", Arc::new(self.raw.finish()));
        add("shape", Arc::new(self.shapes.finish()));
        add("rest", Arc::new(self.rest.finish()));
        add("fields_cut", Arc::new(self.fields_cut.finish()));
        add("time_unknown", Arc::new(self.time_unknown.finish()));
        for (name, mut column) in self.fields {
            fill_up(&mut column, rows);
            columns.push((column_name(name), Arc::new(column.finish())));
        }
        let schema = columns.iter().map(|(name, column)| Field::new(name, column.data_type().clone(), true));
        let schema = Arc::new(Schema::new(schema.collect::<Vec<_>>()));
        let columns = columns.into_iter().map(|(_, column)| column).collect();
        RecordBatch::try_new(schema, columns).expect("every column has every row")
    }
}

/// Adds nulls up to a row.
fn fill_up(column: &mut StringBuilder, row: usize) {
    column.append_nulls(row - column.len());
}

/// Returns the letter of a field in its shape: of the type, a large one for a second name.
fn letter_of(field: &PackedField<'_>) -> char {
    let letter = match field.value {
        PackedValue::SameAs(_) => '=',
        PackedValue::Value(Value::Str(_)) => 's',
        PackedValue::Value(Value::Int(_)) => 'i',
        PackedValue::Value(Value::Float(_)) => 'f',
        PackedValue::Value(Value::Bool(_)) => 'b',
        PackedValue::Value(Value::Null) => 'n',
        PackedValue::Value(Value::Empty) => 'e',
    };
    // `=` is a second name anyway.
    if field.is_alias { letter.to_ascii_uppercase() } else { letter }
}

/// Adds a field to a shape: its letter, the name, a line end.
fn push_shape(field: &PackedField<'_>, out: &mut String) {
    out.push(letter_of(field));
    if let PackedValue::SameAs(place) = field.value {
        write!(out, "{place} ").expect("memory");
    }
    if field.name.contains(['\\', '\n']) {
        out.push_str(&field.name.replace('\\', r"\\").replace('\n', r"\n"));
    } else {
        out.push_str(field.name);
    }
    out.push('\n');
}
