//! Tables beside that of events: what was found in them, and what else there is to remember, as rows of any schema.
//!
//! A row is told by its id, as an event is, and lies in time as one. The other columns are the table's own; those of older
//! files may lack some.

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampNanosecondType;
use arrow_array::{Array, RecordBatch};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, DataType, Field, TimeUnit};
use arrow_select::filter::filter_record_batch;
use cresset_event::{EventId, Timestamp};

use crate::wire::{Taker, put_bytes};

/// The table of events, whose columns are made here.
pub const EVENTS: &str = "events";
/// The folder of all other tables.
pub(crate) const TABLES: &str = "tables";
/// Bytes of an id.
pub(crate) const ID_BYTES: i32 = 16;

/// Rows of a table beside that of events.
#[derive(Debug, Clone, PartialEq)]
pub struct TableRows {
    table: String,
    batch: RecordBatch,
}

impl TableRows {
    /// Returns the columns that every table begins with: the row's `id`, 16 bytes, and its `time`, null where that is not known.
    pub fn columns() -> [Field; 2] {
        let time = DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
        [Field::new("id", DataType::FixedSizeBinary(ID_BYTES), false), Field::new("time", time, true)]
    }

    /// Returns rows of a table, of which the name has small letters and `_` only.
    ///
    /// # Panics
    ///
    /// Where it is the name of the table of events, the columns do not begin as all do, or another may not be null.
    pub fn new(table: &str, batch: RecordBatch) -> Self {
        // Rows are kept until their log is a segment, and builders leave them room for a thousand more.
        let (schema, mut columns, _) = batch.into_parts();
        columns.iter_mut().for_each(Array::shrink_to_fit);
        let batch = RecordBatch::try_new(schema, columns).expect("they were one");
        Self::checked(table, batch).expect("a table has a name, an id and a time, and else what may be null")
    }

    fn checked(table: &str, batch: RecordBatch) -> Option<Self> {
        let is_name = !table.is_empty() && table.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        let fields = batch.schema_ref().fields();
        let begins = fields.iter().zip(Self::columns()).filter(|(field, wanted)| ***field == *wanted).count() == 2;
        let fits = is_name && table != EVENTS && begins && fields[2..].iter().all(|field| field.is_nullable());
        fits.then(|| Self { table: table.to_owned(), batch })
    }

    /// Reads rows as they were written.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut taker = Taker::new(bytes);
        let table = taker.text()?;
        let mut batches = StreamReader::try_new(taker.rest(), None).ok()?;
        let batch = batches.next()?.ok()?;
        Self::checked(table, batch).filter(|_| batches.next().is_none())
    }

    /// Returns how they lie in a log: the table's name with its length in front, and an Arrow IPC stream of one batch.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_bytes(&mut bytes, self.table.as_bytes());
        self.write(&mut bytes).expect("memory takes what is written");
        bytes
    }

    fn write(&self, bytes: &mut Vec<u8>) -> Result<(), ArrowError> {
        let mut writer = StreamWriter::try_new(bytes, self.batch.schema_ref())?;
        writer.write(&self.batch)?;
        writer.finish()
    }

    /// Returns the table's name.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// Returns the rows.
    pub fn batch(&self) -> &RecordBatch {
        &self.batch
    }

    /// Returns the folder of the table's files.
    pub(crate) fn folder(&self) -> String {
        format!("{TABLES}/{}", self.table)
    }

    /// Returns the id and the time of each row.
    pub(crate) fn identities(&self) -> impl Iterator<Item = (EventId, Option<Timestamp>)> {
        let ids = self.batch.column(0).as_fixed_size_binary().iter().flatten();
        let ids = ids.map(|id| EventId::from_bytes(id.try_into().expect("16 bytes")));
        let times = self.batch.column(1).as_primitive::<TimestampNanosecondType>();
        ids.zip(times.iter().map(|time| time.map(Timestamp::from_nanos)))
    }

    /// Returns those rows for which there is `true`.
    pub(crate) fn filtered(&self, kept: Vec<bool>) -> Self {
        let batch = filter_record_batch(&self.batch, &kept.into()).expect("as many as there are rows");
        Self { table: self.table.clone(), batch }
    }
}
