//! Row groups of several files in one, copied as they are: it costs no more than reading and writing them.
//!
//! A column that a file lacks is nulls in its row groups.

use std::sync::Arc;

use arrow_schema::SchemaRef;
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::{ArrowSchemaConverter, add_encoded_arrow_schema_to_metadata};
use parquet::bloom_filter::Sbbf;
use parquet::column::writer::{ColumnCloseResult, ColumnWriter};
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, RowGroupMetaData};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{ColumnDescriptor, SchemaDescriptor};

use crate::compact::union;
use crate::error::ArchiveError;
use crate::manifest::TableFile;
use crate::segment::{self, properties};
use crate::storage::{Storage, Upload};

/// Writes the row groups of some files as one file; returns its length, its CRC-32 and how many columns it has.
pub(crate) fn append(storage: &Storage, files: &[TableFile], file: &str) -> Result<(u64, u32, usize), ArchiveError> {
    let inputs = files.iter().map(|entry| Input::open(storage, entry)).collect::<Result<Vec<_>, _>>()?;
    let schema = union(inputs.iter().map(|input| Arc::clone(input.metadata.schema())));
    let failed = |cause: ParquetError| ArchiveError::parquet(file, cause);
    let (length, crc32) = storage.put_written(file, |out| write(&inputs, &schema, out).map_err(failed))?;
    Ok((length, crc32, schema.fields().len()))
}

/// A file whose row groups are copied.
struct Input {
    bytes: Bytes,
    metadata: ArrowReaderMetadata,
}

impl Input {
    fn open(storage: &Storage, entry: &TableFile) -> Result<Self, ArchiveError> {
        let bytes = segment::bytes(storage, entry)?;
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
        let metadata = ArrowReaderMetadata::load(&bytes, options);
        Ok(Self { metadata: metadata.map_err(|cause| ArchiveError::parquet(&entry.file, cause))?, bytes })
    }
}

fn write(inputs: &[Input], schema: &SchemaRef, out: &mut Upload) -> Result<(), ParquetError> {
    let descriptor = ArrowSchemaConverter::new().convert(schema)?;
    // What is written here are nulls.
    let mut properties = properties(schema, 0);
    add_encoded_arrow_schema_to_metadata(schema, &mut properties);
    let mut writer = SerializedFileWriter::new(out, descriptor.root_schema_ptr(), Arc::new(properties))?;
    for input in inputs {
        for number in 0..input.metadata.metadata().num_row_groups() {
            let group = writer.next_row_group()?;
            copy(input, number, &descriptor, group)?;
        }
    }
    writer.close().map(drop)
}

fn copy(
    input: &Input,
    number: usize,
    descriptor: &SchemaDescriptor,
    mut out: SerializedRowGroupWriter<'_, &mut Upload>,
) -> Result<(), ParquetError> {
    let metadata = input.metadata.metadata();
    let group = metadata.row_group(number);
    for column in descriptor.columns() {
        let Some(place) = group.columns().iter().position(|its| its.column_path() == column.path()) else {
            write_nulls(group, column, &mut out)?;
            continue;
        };
        let its = group.column(place);
        if its.column_descr() != &**column {
            return Err(ParquetError::General(format!("column `{}` has two types", column.path())));
        }
        let result = ColumnCloseResult {
            bytes_written: its.compressed_size() as u64,
            rows_written: group.num_rows() as u64,
            metadata: its.clone(),
            bloom_filter: Sbbf::read_from_column_chunk(its, &input.bytes)?,
            column_index: metadata.column_index().and_then(|index| index.get(number)?.get(place)).cloned(),
            offset_index: metadata.offset_index().and_then(|index| index.get(number)?.get(place)).cloned(),
        };
        out.append_column(&input.bytes, result)?;
    }
    out.close().map(drop)
}

/// Writes the next column as nulls.
fn write_nulls(
    group: &RowGroupMetaData,
    column: &ColumnDescriptor,
    out: &mut SerializedRowGroupWriter<'_, &mut Upload>,
) -> Result<(), ParquetError> {
    let levels = vec![0; group.num_rows() as usize];
    let (absent, lists) = (Some(&*levels), (column.max_rep_level() > 0).then_some(&*levels));
    let mut column = out.next_column()?.ok_or_else(|| ParquetError::General("a column too many".into()))?;
    match column.untyped() {
        ColumnWriter::BoolColumnWriter(writer) => writer.write_batch(&[], absent, lists)?,
        ColumnWriter::Int32ColumnWriter(writer) => writer.write_batch(&[], absent, lists)?,
        ColumnWriter::Int64ColumnWriter(writer) => writer.write_batch(&[], absent, lists)?,
        ColumnWriter::Int96ColumnWriter(writer) => writer.write_batch(&[], absent, lists)?,
        ColumnWriter::FloatColumnWriter(writer) => writer.write_batch(&[], absent, lists)?,
        ColumnWriter::DoubleColumnWriter(writer) => writer.write_batch(&[], absent, lists)?,
        ColumnWriter::ByteArrayColumnWriter(writer) => writer.write_batch(&[], absent, lists)?,
        ColumnWriter::FixedLenByteArrayColumnWriter(writer) => writer.write_batch(&[], absent, lists)?,
    };
    column.close()
}
