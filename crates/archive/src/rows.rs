//! Events read back from columns.
//!
//! Always: what is read back has the same fields in the same order, with the same types, as what was written, and the same
//! identity (`columns_and_back`).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{
    Array, DictionaryArray, FixedSizeBinaryArray, ListArray, RecordBatch, StringArray, TimestampNanosecondArray,
    UInt64Array,
};
use cresset_event::{
    Event, EventBuilder, EventId, EventTime, LogSource, Origin, Source, SourceIdentity, Timestamp, UnknownTime, Value,
};

use crate::columns::column_name;

/// Returns the word for a time that is not known.
pub(crate) fn word_of(why: UnknownTime) -> &'static str {
    match why {
        UnknownTime::Missing => "missing",
        UnknownTime::Unreadable => "unreadable",
        UnknownTime::OutOfRange => "out of range",
    }
}

/// Columns of events, to be read row by row.
pub(crate) struct Rows<'b> {
    columns: Columns<'b>,
    shapes: Vec<Vec<ShapeField<'b>>>,
    sources: HashMap<&'b str, Arc<Source>>,
    log_sources: HashMap<LogSource, Arc<LogSource>>,
}

/// The columns that each file has, but those that nothing is read of.
#[derive(Clone, Copy)]
struct Columns<'b> {
    id: &'b FixedSizeBinaryArray,
    time: &'b TimestampNanosecondArray,
    time_unknown: &'b StringArray,
    arrived: &'b TimestampNanosecondArray,
    product: &'b StringArray,
    service: &'b StringArray,
    categories: &'b ListArray,
    source: &'b StringArray,
    record: &'b UInt64Array,
    offset: &'b UInt64Array,
    raw: &'b StringArray,
    shape: &'b DictionaryArray<Int32Type>,
    rest: &'b ListArray,
}

impl<'b> Columns<'b> {
    fn of(batch: &'b RecordBatch) -> Option<Self> {
        let column = |name| batch.column_by_name(name);
        Some(Self {
            id: column("id")?.as_fixed_size_binary_opt()?,
            time: column("time")?.as_primitive_opt()?,
            time_unknown: column("time_unknown")?.as_string_opt()?,
            arrived: column("arrived")?.as_primitive_opt()?,
            product: column("product")?.as_string_opt()?,
            service: column("service")?.as_string_opt()?,
            categories: column("categories")?.as_list_opt()?,
            source: column("source")?.as_string_opt()?,
            record: column("record")?.as_primitive_opt()?,
            offset: column("offset")?.as_primitive_opt()?,
            raw: column("raw")?.as_string_opt()?,
            shape: column("shape")?.as_dictionary_opt()?,
            rest: column("rest")?.as_list_opt()?,
        })
    }
}

/// A field of a shape, and where its value is.
struct ShapeField<'b> {
    name: String,
    place: Place<'b>,
    is_alias: bool,
}

/// Where a value is.
#[derive(Clone, Copy)]
enum Place<'b> {
    Null,
    Empty,
    /// That of an entry before.
    SameAs(usize),
    Column(Kind, &'b StringArray),
    Rest(Kind),
}

/// What a value that is kept as text is.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Int,
    Float,
    Bool,
}

impl<'b> Rows<'b> {
    /// Prepares columns to be read; `None` where they are not those of events.
    pub(crate) fn new(batch: &'b RecordBatch) -> Option<Self> {
        let columns = Columns::of(batch)?;
        let shapes = columns.shape.values().as_string_opt::<i32>()?;
        let shapes = shapes.iter().map(|shape| parse_shape(batch, shape?)).collect::<Option<_>>()?;
        Some(Self { columns, shapes, sources: HashMap::new(), log_sources: HashMap::new() })
    }

    /// Returns the event of a row; `None` where it cannot be one.
    pub(crate) fn event(&mut self, row: usize, builder: &mut EventBuilder) -> Option<Event> {
        builder.clear();
        if let Some(raw) = text(self.columns.raw, row) {
            builder.set_raw(raw);
        }
        self.push_fields(row, builder)?;
        let id = self.columns.id.value(row).try_into().ok()?;
        let origin = self.origin(row)?;
        Some(builder.finish(origin).with_id(EventId::from_bytes(id)))
    }

    fn push_fields(&self, row: usize, builder: &mut EventBuilder) -> Option<()> {
        let shape = self.columns.shape.key(row)?;
        let rest = self.columns.rest.value(row);
        let mut rest = rest.as_string_opt::<i32>()?.iter().flatten();
        let mut values = Vec::new();
        for field in self.shapes.get(shape)? {
            let value = match field.place {
                Place::Null => Value::Null,
                Place::Empty => Value::Empty,
                Place::SameAs(place) => *values.get(place)?,
                Place::Column(kind, column) => column.is_valid(row).then(|| kind.parse(column.value(row)))??,
                Place::Rest(kind) => kind.parse(rest.next()?)?,
            };
            values.push(value);
            match builder.intern(&field.name).filter(|_| field.is_alias) {
                Some(id) => builder.derive(id, value),
                // A second name is for those who look by number: where the table is full it finds nobody.
                None if field.is_alias => {}
                None => builder.push(&field.name, value),
            }
        }
        Some(())
    }

    fn origin(&mut self, row: usize) -> Option<Origin> {
        let Columns { time, time_unknown, arrived, record, offset, .. } = self.columns;
        let moment =
            |column: &TimestampNanosecondArray| column.is_valid(row).then(|| Timestamp::from_nanos(column.value(row)));
        let time_or_reason = match moment(time) {
            Some(time) => EventTime::Known(time),
            None => EventTime::Unknown(reason_of(text(time_unknown, row).unwrap_or_default())),
        };
        let (arrived, record, offset) = (moment(arrived)?, record.value(row), offset.value(row));
        let (source, log_source) = (self.source(row)?, self.log_source(row)?);
        Some(Origin { source, record, offset, log_source, time: time_or_reason, arrived })
    }

    fn source(&mut self, row: usize) -> Option<Arc<Source>> {
        let name = text(self.columns.source, row)?;
        let make = || Arc::new(Source { name: name.into(), identity: SourceIdentity::Stream { began_nanos: 0 } });
        Some(Arc::clone(self.sources.entry(name).or_insert_with(make)))
    }

    fn log_source(&mut self, row: usize) -> Option<Arc<LogSource>> {
        let Columns { product, service, categories, .. } = self.columns;
        let categories = categories.value(row);
        let categories = categories.as_string_opt::<i32>()?.iter().flatten().map(str::to_owned).collect();
        let word = |column| text(column, row).map(str::to_owned);
        let log_source = LogSource { product: word(product), service: word(service), categories };
        if let Some(known) = self.log_sources.get(&log_source) {
            return Some(Arc::clone(known));
        }
        let shared = Arc::new(log_source.clone());
        self.log_sources.insert(log_source, Arc::clone(&shared));
        Some(shared)
    }
}

fn text(column: &StringArray, row: usize) -> Option<&str> {
    column.is_valid(row).then(|| column.value(row))
}

fn reason_of(word: &str) -> UnknownTime {
    let all = [UnknownTime::Missing, UnknownTime::Unreadable, UnknownTime::OutOfRange];
    all.into_iter().find(|why| word_of(*why) == word).unwrap_or(UnknownTime::Missing)
}

/// Reads a shape, as `columns.rs` writes it.
fn parse_shape<'b>(batch: &'b RecordBatch, shape: &str) -> Option<Vec<ShapeField<'b>>> {
    let mut seen = HashSet::new();
    shape.split_terminator('\n').map(|field| parse_field(batch, &mut seen, field)).collect()
}

fn parse_field<'b>(batch: &'b RecordBatch, seen: &mut HashSet<String>, field: &str) -> Option<ShapeField<'b>> {
    let mut letters = field.chars();
    let letter = letters.next()?;
    let rest = letters.as_str();
    let (same_as, name) = match letter {
        '=' => rest.split_once(' ').and_then(|(place, name)| Some((Some(place.parse().ok()?), name)))?,
        _ => (None, rest),
    };
    let name = if name.contains('\\') { unescape(name) } else { name.to_owned() };
    let mut kind = |kind| {
        let is_first = seen.insert(name.clone());
        let column = batch.column_by_name(&column_name(&name)).filter(|_| is_first);
        column.and_then(|column| column.as_string_opt()).map_or(Place::Rest(kind), |column| Place::Column(kind, column))
    };
    let place = match (same_as, letter.to_ascii_lowercase()) {
        (Some(place), _) => Place::SameAs(place),
        (None, 's') => kind(Kind::Text),
        (None, 'i') => kind(Kind::Int),
        (None, 'f') => kind(Kind::Float),
        (None, 'b') => kind(Kind::Bool),
        (None, 'n') => Place::Null,
        (None, 'e') => Place::Empty,
        _ => return None,
    };
    Some(ShapeField { name: name.clone(), place, is_alias: same_as.is_some() || letter.is_ascii_uppercase() })
}

/// Takes the backslashes out that keep a name on one line.
fn unescape(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    let mut letters = name.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => plain.extend(letters.next().map(|letter| if letter == 'n' { '\n' } else { letter })),
            letter => plain.push(letter),
        }
    }
    plain
}

impl Kind {
    fn parse(self, text: &str) -> Option<Value<'_>> {
        Some(match self {
            Self::Text => Value::Str(text),
            Self::Int => Value::Int(text.parse().ok()?),
            Self::Float => Value::Float(text.parse().ok()?),
            Self::Bool => Value::Bool(text.parse().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use cresset_event::FieldNames;
    use proptest::prelude::*;

    use super::*;
    use crate::columns::columns;
    use crate::pack::{Keep, Pack, Packer};

    /// A value, and how it comes into an event.
    #[derive(Debug, Clone)]
    enum Given {
        Text(String),
        Int(i64),
        Float(f64),
        Bool(bool),
        Null,
        Empty,
        Derived(String),
        /// A second name for the values of a field.
        Alias(String),
    }

    fn given() -> impl Strategy<Value = Given> {
        prop_oneof![
            "\\PC{0,8}".prop_map(Given::Text),
            any::<i64>().prop_map(Given::Int),
            (-1e9..1e9).prop_map(Given::Float),
            any::<bool>().prop_map(Given::Bool),
            Just(Given::Null),
            Just(Given::Empty),
            "[a-c]{0,3}".prop_map(Given::Derived),
            name().prop_map(Given::Alias),
        ]
    }

    fn name() -> impl Strategy<Value = String> {
        prop_oneof![4 => "[a-d]", 1 => prop::sample::select(vec!["id", "_Host", "raw", "a.b", ""]).prop_map(str::to_owned), 1 => "[\\\\\n =a]{1,4}"]
    }

    fn build(names: &Arc<FieldNames>, raw: &str, fields: &[(String, Given)], origin: Origin) -> Event {
        let mut builder = EventBuilder::new(Arc::clone(names));
        builder.set_raw(raw);
        if !raw.is_empty() {
            let id = names.intern("inraw").expect("room");
            builder.push_raw(id, 0..raw.len());
        }
        for (name, given) in fields {
            let id = names.intern(name).expect("room");
            match given {
                Given::Text(text) => builder.push(name, Value::Str(text)),
                Given::Int(number) => builder.push(name, Value::Int(*number)),
                Given::Float(number) => builder.push(name, Value::Float(*number)),
                Given::Bool(truth) => builder.push(name, Value::Bool(*truth)),
                Given::Null => builder.push(name, Value::Null),
                Given::Empty => builder.push(name, Value::Empty),
                Given::Derived(text) => builder.derive(id, Value::Str(text)),
                Given::Alias(from) => drop(builder.alias(names.intern(from).expect("room"), id)),
            }
        }
        builder.finish(origin)
    }

    fn origin() -> impl Strategy<Value = Origin> {
        let time = prop_oneof![
            any::<i64>().prop_map(|nanos| EventTime::Known(Timestamp::from_nanos(nanos))),
            Just(EventTime::Unknown(UnknownTime::Missing)),
            Just(EventTime::Unknown(UnknownTime::OutOfRange)),
        ];
        let word = || prop::option::of("[a-c]{1,2}");
        let log_source = (word(), word(), prop::collection::vec("[a-c]{1,2}", 0..3));
        (time, any::<i64>(), log_source, "[x-z]{0,2}", any::<u64>(), any::<u64>()).prop_map(
            |(time, arrived, (product, service, categories), name, record, offset)| Origin {
                time,
                arrived: Timestamp::from_nanos(arrived),
                log_source: Arc::new(LogSource { product, service, categories }),
                source: Arc::new(Source { name, identity: SourceIdentity::Numbered }),
                record,
                offset,
            },
        )
    }

    /// Everything of an event that must come back.
    fn shown(event: &Event) -> String {
        let fields: Vec<_> = event.entries().map(|entry| (entry.name(), entry.value(), entry.is_alias())).collect();
        let Origin { source, record, offset, log_source, time, arrived } = event.origin();
        let name = &source.name;
        format!("{} {name} {record} {offset} {log_source:?} {time:?} {arrived:?} {fields:?}", event.id())
    }

    proptest! {
        #[test]
        fn columns_and_back(
            events in prop::collection::vec(("\\PC{0,5}", prop::collection::vec((name(), given()), 0..8), origin()), 1..8),
            keep in prop::sample::select(vec![Keep::Raw, Keep::Fields]),
        ) {
            let names = Arc::new(FieldNames::new());
            let events: Vec<Event> = events.into_iter().map(|(raw, fields, origin)| build(&names, &raw, &fields, origin)).collect();
            let mut packer = Packer::new(keep);
            events.iter().for_each(|event| packer.add(event));
            let pack = packer.take();
            let pack = Pack::parse(pack.bytes().clone()).expect("a pack");
            let packed: Vec<_> = pack.events().map(|event| event.origin().expect("an event")).collect();
            let batch = columns(&packed).expect("columns");
            let mut rows = Rows::new(&batch).expect("columns of events");
            let mut builder = EventBuilder::new(names);
            for (row, event) in events.iter().enumerate() {
                let back = rows.event(row, &mut builder).expect("an event");
                prop_assert_eq!(shown(&back), shown(event));
                prop_assert_eq!(back.raw(), if keep == Keep::Raw { event.raw() } else { "" });
            }
        }

        #[test]
        fn any_bytes_are_a_pack_or_none(bytes: Vec<u8>) {
            if let Some(pack) = Pack::parse(bytes.into()) {
                for event in pack.events() {
                    let Some(event) = event.origin() else { continue };
                    let _ = (event.visit_fields(|_| {}), event.visit_names(|_| {}), event.visit_observables(|_, _| {}));
                }
            }
        }
    }
}
