//! Events as columns: what one Parquet file holds, and how it is read by others (`docs/archive-format.md`).
//!
//! Some columns are always there ([`FIXED`]); each field has one of its own, named as it is. What a column cannot hold, the
//! order of the fields, the types of their values, second names, is in `shape`; values past the first of a field, and those
//! of fields for which there is no column left, are in `rest`. `rows.rs` reads events back.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use arrow_array::builder::{
    FixedSizeBinaryBuilder, ListBuilder, StringBuilder, StringDictionaryBuilder, TimestampNanosecondBuilder,
    UInt64Builder,
};
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{Field, Schema};
use cresset_event::Value;

use crate::pack::{PackedField, PackedOrigin, PackedValue};

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
    let mut columns = Columns::new(&names);
    for (row, event) in events.iter().enumerate() {
        columns.push(row, event)?;
    }
    Some(columns.finish(events.len()))
}

/// Returns the fields that have a column, in the order of their names.
fn frequent_names<'p>(events: &[PackedOrigin<'p>]) -> Option<Vec<&'p str>> {
    let mut counts: HashMap<&str, usize, foldhash::fast::FixedState> = HashMap::default();
    for event in events {
        event.visit_names(|name| *counts.entry(name).or_default() += 1)?;
    }
    let mut names: Vec<(&str, usize)> = counts.into_iter().collect();
    names.sort_unstable_by_key(|(name, count)| (usize::MAX - count, *name));
    names.truncate(FIELD_COLUMNS_MAX);
    let mut names: Vec<&str> = names.into_iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    Some(names)
}

/// Columns that are being filled.
struct Columns<'p> {
    places: HashMap<&'p str, usize, foldhash::fast::FixedState>,
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
    shape: StringDictionaryBuilder<Int32Type>,
    rest: ListBuilder<StringBuilder>,
    /// The shape of the event at hand.
    text: String,
}

/// Bytes of an id.
const ID_BYTES: i32 = 16;

impl<'p> Columns<'p> {
    fn new(names: &[&'p str]) -> Self {
        Self {
            places: names.iter().enumerate().map(|(place, name)| (*name, place)).collect(),
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
            raw: StringBuilder::new(),
            fields_cut: UInt64Builder::new(),
            shape: StringDictionaryBuilder::new(),
            rest: ListBuilder::new(StringBuilder::new()),
            text: String::new(),
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
        self.text.clear();
        let Self { places, fields, rest, text, .. } = self;
        let push = |field: PackedField<'p>| {
            push_shape(&field, text);
            let PackedValue::Value(value) = field.value else { return };
            let Some(value) = value.to_text() else { return };
            match places.get(field.name).map(|place| &mut fields[*place].1) {
                // The first of its name.
                Some(column) if arrow_array::builder::ArrayBuilder::len(column) <= row => {
                    fill_up(column, row);
                    column.append_value(&value);
                }
                _ => rest.values().append_value(&value),
            }
        };
        event.visit_fields(push)?;
        self.shape.append_value(&self.text);
        self.rest.append(true);
        Some(())
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
        add("shape", Arc::new(self.shape.finish()));
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
    let missing = row - arrow_array::builder::ArrayBuilder::len(column);
    (0..missing).for_each(|_| column.append_null());
}

/// Adds a field to a shape: a letter for the type, a large one for a second name, the name, a line end.
fn push_shape(field: &PackedField<'_>, out: &mut String) {
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
    out.push(if field.is_alias { letter.to_ascii_uppercase() } else { letter });
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
