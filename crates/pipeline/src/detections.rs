//! The table of detections: what an archive remembers of what was found (`docs/archive-format.md`).
//!
//! A row is told by the detection's own id, so that a log that is read again adds none.

use std::sync::Arc;

use arrow_array::builder::{FixedSizeBinaryBuilder, ListBuilder, StringBuilder, StructBuilder};
use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray, TimestampNanosecondArray, UInt64Array};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};
use cresset_archive::TableRows;
use cresset_detect::{Cause, Detection};
use cresset_event::Timestamp;

/// The table's name.
pub const DETECTIONS: &str = "detections";

/// Returns the columns of the table.
pub fn detection_columns() -> SchemaRef {
    rows_of(&[]).batch().schema()
}

/// Returns detections as rows of the table.
pub(crate) fn rows_of(found: &[Detection]) -> TableRows {
    let correlations: Vec<Correlation<'_>> = found.iter().map(Correlation::of).collect();
    let columns = [
        ("arrived", times(found.iter().map(|found| Some(found.arrived)))),
        ("kind", texts(found.iter().map(|found| Some(found.kind())))),
        ("level", texts(found.iter().map(|found| Some(found.level().as_str())))),
        ("title", texts(found.iter().map(|found| Some(found.title())))),
        ("cause_id", texts(found.iter().map(Detection::cause_id))),
        ("author", texts(found.iter().map(Detection::author))),
        ("references", lists(found.iter().map(Detection::references))),
        ("techniques", lists(found.iter().map(Detection::techniques))),
        ("tactics", lists(found.iter().map(Detection::tactics))),
        ("host", texts(found.iter().map(|found| found.host.as_deref()))),
        ("user", texts(found.iter().map(|found| found.user.as_deref()))),
        ("process", texts(found.iter().map(|found| found.process.as_deref()))),
        ("matched", pairs(found.iter().map(matched))),
        ("source", texts(found.iter().map(|found| Some(&found.source.name)))),
        ("record", numbers(found.iter().map(|found| Some(found.record)))),
        ("event_id", ids(found.iter().map(|found| found.event.as_bytes()))),
        ("product", texts(found.iter().map(|found| found.log_source.product.as_deref()))),
        ("service", texts(found.iter().map(|found| found.log_source.service.as_deref()))),
        ("categories", lists(found.iter().map(|found| &*found.log_source.categories))),
        ("correlation_group", pairs(correlations.iter().map(|correlation| correlation.group.clone()))),
        (
            "correlation_value",
            Arc::new(correlations.iter().map(|correlation| correlation.value).collect::<Float64Array>()),
        ),
        ("correlation_events", numbers(correlations.iter().map(|correlation| correlation.events))),
        ("correlation_first", times(correlations.iter().map(|correlation| correlation.first))),
        ("correlation_last", times(correlations.iter().map(|correlation| correlation.last))),
    ];
    let own = columns.iter().map(|(name, column)| Field::new(*name, column.data_type().clone(), true));
    let schema = Schema::new(TableRows::columns().into_iter().chain(own).collect::<Vec<_>>());
    let its_ids: Vec<_> = found.iter().map(Detection::id).collect();
    let first = [ids(its_ids.iter().map(|id| id.as_bytes())), times(found.iter().map(|found| found.time.known()))];
    let columns = first.into_iter().chain(columns.into_iter().map(|(_, column)| column)).collect();
    TableRows::new(DETECTIONS, RecordBatch::try_new(schema.into(), columns).expect("as many of each as were found"))
}

/// What only the detections of correlations have.
#[derive(Default)]
struct Correlation<'d> {
    group: Vec<Pair<'d>>,
    value: Option<f64>,
    events: Option<u64>,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
}

/// A field and its value.
type Pair<'d> = (&'d str, Option<&'d str>);

impl<'d> Correlation<'d> {
    fn of(detection: &'d Detection) -> Self {
        let Cause::Correlation { group, value, events, first, last, .. } = &detection.cause else {
            return Self::default();
        };
        Self {
            group: group.iter().map(|(field, value)| (&**field, Some(&**value))).collect(),
            value: Some(*value),
            events: Some(*events),
            first: Some(*first),
            last: Some(*last),
        }
    }
}

fn matched(detection: &Detection) -> Vec<Pair<'_>> {
    detection.matched.iter().map(|matched| (&*matched.field, matched.value.as_deref())).collect()
}

fn texts(values: impl Iterator<Item = Option<impl AsRef<str>>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

fn numbers(values: impl Iterator<Item = Option<u64>>) -> ArrayRef {
    Arc::new(values.collect::<UInt64Array>())
}

fn times(values: impl Iterator<Item = Option<Timestamp>>) -> ArrayRef {
    let nanos = values.map(|time| time.map(Timestamp::as_nanos));
    Arc::new(nanos.collect::<TimestampNanosecondArray>().with_timezone("UTC"))
}

fn ids<'d>(values: impl Iterator<Item = &'d [u8; 16]>) -> ArrayRef {
    let mut ids = FixedSizeBinaryBuilder::new(16);
    values.for_each(|id| ids.append_value(id).expect("16 bytes"));
    Arc::new(ids.finish())
}

fn lists<'d, T: AsRef<str> + 'd>(values: impl Iterator<Item = &'d [T]>) -> ArrayRef {
    let mut lists = ListBuilder::new(StringBuilder::new());
    for list in values {
        list.iter().for_each(|text| lists.values().append_value(text));
        lists.append(true);
    }
    Arc::new(lists.finish())
}

fn pairs<'d>(values: impl Iterator<Item = Vec<Pair<'d>>>) -> ArrayRef {
    let fields = Fields::from(["field", "value"].map(|name| Field::new(name, DataType::Utf8, true)).to_vec());
    let mut lists = ListBuilder::new(StructBuilder::from_fields(fields, 0));
    for list in values {
        let pairs = lists.values();
        for (field, value) in list {
            for (place, text) in [Some(field), value].into_iter().enumerate() {
                pairs.field_builder::<StringBuilder>(place).expect("of text").append_option(text);
            }
            pairs.append(true);
        }
        lists.append(true);
    }
    Arc::new(lists.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_without_a_row_take_no_room() {
        // What one row takes is its texts, and some of this.
        let bytes = rows_of(&[]).batch().get_array_memory_size();
        assert!(bytes < 8 << 10, "{bytes} bytes");
    }
}
