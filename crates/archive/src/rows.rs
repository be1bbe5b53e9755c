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
use arrow_schema::SchemaRef;
use cresset_event::{
    Event, EventBuilder, EventId, EventTime, LogSource, Origin, Source, SourceIdentity, Timestamp, UnknownTime, Value,
};

use crate::columns::column_name;
use crate::scan::Sifted;

/// Returns the word for a time that is not known.
pub(crate) fn word_of(why: UnknownTime) -> &'static str {
    match why {
        UnknownTime::Missing => "missing",
        UnknownTime::Unreadable => "unreadable",
        UnknownTime::OutOfRange => "out of range",
    }
}

/// Columns of events, to be read row by row: all of a file's, or a part of them.
pub(crate) struct Rows<'b> {
    batch: &'b RecordBatch,
    columns: Columns<'b>,
    /// What only whole events have.
    rest: Option<Whole<'b>>,
    /// The columns that the file has, of which the batch may have a part.
    file: SchemaRef,
    shapes: &'b StringArray,
    /// By number, once it was needed.
    parsed: Vec<Option<Arc<[ShapeField<'b>]>>>,
}

/// Sources and log sources that events share, from batch to batch.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    sources: HashMap<String, Arc<Source>>,
    /// The one that was asked for last comes first.
    log_sources: Vec<Arc<LogSource>>,
}

/// The columns that say what an event is.
#[derive(Clone, Copy)]
struct Columns<'b> {
    time: &'b TimestampNanosecondArray,
    product: &'b StringArray,
    service: &'b StringArray,
    categories: &'b ListArray,
    shape: &'b DictionaryArray<Int32Type>,
    time_unknown: Option<&'b StringArray>,
    rest: Option<&'b ListArray>,
}

/// The other columns that each file has, but those that nothing is read of.
#[derive(Clone, Copy)]
struct Whole<'b> {
    id: &'b FixedSizeBinaryArray,
    arrived: &'b TimestampNanosecondArray,
    source: &'b StringArray,
    record: &'b UInt64Array,
    offset: &'b UInt64Array,
    raw: Option<&'b StringArray>,
}

impl<'b> Columns<'b> {
    fn of(batch: &'b RecordBatch) -> Option<Self> {
        let column = |name| batch.column_by_name(name);
        Some(Self {
            time: column("time")?.as_primitive_opt()?,
            product: column("product")?.as_string_opt()?,
            service: column("service")?.as_string_opt()?,
            categories: column("categories")?.as_list_opt()?,
            shape: column("shape")?.as_dictionary_opt()?,
            time_unknown: column("time_unknown").and_then(|column| column.as_string_opt()),
            rest: column("rest").and_then(|column| column.as_list_opt()),
        })
    }
}

impl<'b> Whole<'b> {
    fn of(batch: &'b RecordBatch) -> Option<Self> {
        let column = |name| batch.column_by_name(name);
        Some(Self {
            id: column("id")?.as_fixed_size_binary_opt()?,
            arrived: column("arrived")?.as_primitive_opt()?,
            source: column("source")?.as_string_opt()?,
            record: column("record")?.as_primitive_opt()?,
            offset: column("offset")?.as_primitive_opt()?,
            raw: column("raw").and_then(|column| column.as_string_opt()),
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
    /// In a column that was not read.
    Unread,
}

/// What a value that is kept as text is.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Int,
    Float,
    Bool,
}

impl Sources {
    /// Returns a log source as all events share it.
    pub(crate) fn shared(&mut self, log_source: LogSource) -> Arc<LogSource> {
        if let Some(known) = self.log_sources.iter().find(|known| ***known == log_source) {
            return Arc::clone(known);
        }
        self.log_sources.insert(0, Arc::new(log_source));
        Arc::clone(&self.log_sources[0])
    }

    fn log_source(&mut self, columns: &Columns<'_>, row: usize) -> Option<Arc<LogSource>> {
        let (product, service) = (text(columns.product, row), text(columns.service, row));
        let categories = columns.categories.value(row);
        let categories = || categories.as_string_opt::<i32>().into_iter().flatten().flatten();
        let is_same = |known: &Arc<LogSource>| {
            known.product.as_deref() == product
                && known.service.as_deref() == service
                && known.categories.iter().map(String::as_str).eq(categories())
        };
        if let Some(place) = self.log_sources.iter().position(is_same) {
            self.log_sources.swap(0, place);
            return Some(Arc::clone(&self.log_sources[0]));
        }
        Some(self.shared(LogSource {
            product: product.map(str::to_owned),
            service: service.map(str::to_owned),
            categories: categories().map(str::to_owned).collect(),
        }))
    }

    fn source(&mut self, name: &str) -> Arc<Source> {
        if let Some(known) = self.sources.get(name) {
            return Arc::clone(known);
        }
        let made = Arc::new(Source { name: name.into(), identity: SourceIdentity::Stream { began_nanos: 0 } });
        self.sources.insert(name.to_owned(), Arc::clone(&made));
        made
    }
}

impl<'b> Rows<'b> {
    /// Prepares whole rows; `None` where the columns are not those of events.
    pub(crate) fn new(batch: &'b RecordBatch) -> Option<Self> {
        Self::of(batch, batch.schema(), Some(Whole::of(batch)?))
    }

    /// Prepares rows of which some columns were read, given those that the file has.
    pub(crate) fn part(batch: &'b RecordBatch, file: &SchemaRef) -> Option<Self> {
        Self::of(batch, Arc::clone(file), None)
    }

    fn of(batch: &'b RecordBatch, file: SchemaRef, rest: Option<Whole<'b>>) -> Option<Self> {
        let columns = Columns::of(batch)?;
        let shapes = columns.shape.values().as_string_opt::<i32>()?;
        let parsed = vec![None; shapes.len()];
        Some(Self { batch, columns, rest, file, shapes, parsed })
    }

    /// Returns when the event of a row happened, where that is known.
    pub(crate) fn time(&self, row: usize) -> Option<Timestamp> {
        moment(self.columns.time, row)
    }

    /// Returns the log source of a row.
    pub(crate) fn log_source(&self, row: usize, sources: &mut Sources) -> Option<Arc<LogSource>> {
        sources.log_source(&self.columns, row)
    }

    /// Returns the number of a row's shape.
    pub(crate) fn shape(&self, row: usize) -> Option<usize> {
        self.columns.shape.key(row)
    }

    /// Returns whether events of this shape have one of the fields that they must, and adds the columns that have to be read of
    /// them; `None` where it is no shape.
    pub(crate) fn sift(&mut self, shape: usize, sifted: &Sifted, columns: &mut HashSet<String>) -> Option<bool> {
        let fields = self.parsed(shape)?;
        let has = |wanted: &HashSet<String>| fields.iter().any(|field| wanted.contains(&field.name));
        if !sifted.one_of.as_ref().is_none_or(has) {
            return Some(false);
        }
        for mut field in fields.iter().filter(|field| sifted.fields.contains(&field.name)) {
            while let Place::SameAs(place) = field.place {
                field = fields.get(place)?;
            }
            columns.insert(column_name(&field.name));
        }
        Some(true)
    }

    /// Returns the event of a row, with the fields that were read; `None` where it cannot be one.
    pub(crate) fn event(&mut self, row: usize, builder: &mut EventBuilder, sources: &mut Sources) -> Option<Event> {
        builder.clear();
        if let Some(raw) = self.rest.and_then(|whole| text(whole.raw?, row)) {
            builder.set_raw(raw);
        }
        self.push_fields(row, builder)?;
        let origin = self.origin(row, sources)?;
        let event = builder.finish(origin);
        match self.rest {
            Some(whole) => Some(event.with_id(EventId::from_bytes(whole.id.value(row).try_into().ok()?))),
            None => Some(event),
        }
    }

    fn push_fields(&mut self, row: usize, builder: &mut EventBuilder) -> Option<()> {
        let shape = self.shape(row)?;
        let fields = self.parsed(shape)?;
        let rest = self.columns.rest?.value(row);
        let mut rest = rest.as_string_opt::<i32>()?.iter().flatten();
        let mut values = Vec::new();
        for field in fields.iter() {
            let value = match field.place {
                Place::Null => Some(Value::Null),
                Place::Empty => Some(Value::Empty),
                Place::SameAs(place) => *values.get(place)?,
                Place::Column(kind, column) => Some(column.is_valid(row).then(|| kind.parse(column.value(row)))??),
                Place::Rest(kind) => Some(kind.parse(rest.next()?)?),
                Place::Unread => None,
            };
            values.push(value);
            let Some(value) = value else { continue };
            match builder.intern(&field.name).filter(|_| field.is_alias) {
                Some(id) => builder.derive(id, value),
                // A second name is for those who look by number: where the table is full it finds nobody.
                None if field.is_alias => {}
                None => builder.push(&field.name, value),
            }
        }
        Some(())
    }

    fn origin(&self, row: usize, sources: &mut Sources) -> Option<Origin> {
        let why = || reason_of(self.columns.time_unknown.and_then(|column| text(column, row)).unwrap_or_default());
        let origin = Origin {
            log_source: self.log_source(row, sources)?,
            time: self.time(row).map_or_else(|| EventTime::Unknown(why()), EventTime::Known),
            ..Origin::default()
        };
        let Some(whole) = self.rest else { return Some(origin) };
        Some(Origin {
            source: sources.source(text(whole.source, row)?),
            record: whole.record.value(row),
            offset: whole.offset.value(row),
            arrived: moment(whole.arrived, row)?,
            ..origin
        })
    }

    fn parsed(&mut self, shape: usize) -> Option<Arc<[ShapeField<'b>]>> {
        let parsed = self.parsed.get_mut(shape)?;
        if parsed.is_none() {
            let parser = Parser { batch: self.batch, file: &self.file, seen: HashSet::new() };
            *parsed = Some(parser.shape(self.shapes.value(shape))?);
        }
        parsed.clone()
    }
}

fn moment(column: &TimestampNanosecondArray, row: usize) -> Option<Timestamp> {
    column.is_valid(row).then(|| Timestamp::from_nanos(column.value(row)))
}

fn text(column: &StringArray, row: usize) -> Option<&str> {
    column.is_valid(row).then(|| column.value(row))
}

fn reason_of(word: &str) -> UnknownTime {
    let all = [UnknownTime::Missing, UnknownTime::Unreadable, UnknownTime::OutOfRange];
    all.into_iter().find(|why| word_of(*why) == word).unwrap_or(UnknownTime::Missing)
}

/// Reads shapes, as `columns.rs` writes them.
struct Parser<'b, 'p> {
    batch: &'b RecordBatch,
    file: &'p SchemaRef,
    /// Names that were there before.
    seen: HashSet<String>,
}

impl<'b> Parser<'b, '_> {
    fn shape(mut self, shape: &str) -> Option<Arc<[ShapeField<'b>]>> {
        shape.split_terminator('\n').enumerate().map(|(at, field)| self.field(at, field)).collect()
    }

    fn field(&mut self, at: usize, field: &str) -> Option<ShapeField<'b>> {
        let mut letters = field.chars();
        let letter = letters.next()?;
        let rest = letters.as_str();
        let (same_as, name) = match letter {
            '=' => {
                let (place, name) = rest.split_once(' ')?;
                (Some(place.parse().ok().filter(|place| *place < at)?), name)
            }
            _ => (None, rest),
        };
        let name = if name.contains('\\') { unescape(name) } else { name.to_owned() };
        let place = match (same_as, letter.to_ascii_lowercase()) {
            (Some(place), _) => Place::SameAs(place),
            (None, 's') => self.place(&name, Kind::Text),
            (None, 'i') => self.place(&name, Kind::Int),
            (None, 'f') => self.place(&name, Kind::Float),
            (None, 'b') => self.place(&name, Kind::Bool),
            (None, 'n') => Place::Null,
            (None, 'e') => Place::Empty,
            _ => return None,
        };
        Some(ShapeField { name, place, is_alias: same_as.is_some() || letter.is_ascii_uppercase() })
    }

    /// The first of a name is in its column where the file has one.
    fn place(&mut self, name: &str, kind: Kind) -> Place<'b> {
        let is_first = self.seen.insert(name.to_owned());
        let column = column_name(name);
        if !is_first || self.file.column_with_name(&column).is_none() {
            return Place::Rest(kind);
        }
        let column = self.batch.column_by_name(&column);
        column.and_then(|column| column.as_string_opt()).map_or(Place::Unread, |column| Place::Column(kind, column))
    }
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
            let (mut builder, mut sources) = (EventBuilder::new(names), Sources::default());
            for (row, event) in events.iter().enumerate() {
                let back = rows.event(row, &mut builder, &mut sources).expect("an event");
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
