//! A table: the files of an archive that may have what is asked for, and what is in its log.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use cresset_archive::{Archive, Damage, TableFile};
use datafusion::arrow::array::{ArrayRef, RecordBatch, new_null_array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{DFSchema, Result, Statistics};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::union::UnionExec;
use object_store::{ObjectMeta, ObjectStore};

use crate::files::{ScanReport, prune};
use crate::id_text::by_stored_id;
use crate::progress::{Reading, Telling};
use crate::sql::lock;

/// Columns for the archive itself, which a query does not see.
const HIDDEN: &[&str] = &["shape"];

/// Files of a table, and what a store says of each.
pub(crate) type Files = Vec<(TableFile, ObjectMeta)>;

/// Rows as their files hold them.
#[derive(Debug)]
pub(crate) struct Stored {
    schema: SchemaRef,
    files: Mutex<Files>,
    logged: Vec<RecordBatch>,
    store: Arc<dyn ObjectStore>,
    url: ObjectStoreUrl,
    readings: Arc<Readings>,
}

/// What is read for the query at hand, of all tables.
#[derive(Debug, Default)]
pub(crate) struct Readings {
    pub(crate) reports: Mutex<Vec<ScanReport>>,
    pub(crate) bytes: Arc<Reading>,
}

impl Stored {
    /// Returns a table that has these columns and those of its files.
    pub(crate) fn new(
        columns: &SchemaRef,
        files: Files,
        logged: Vec<RecordBatch>,
        schemas: &[Schema],
        (store, url): (Arc<dyn ObjectStore>, ObjectStoreUrl),
        readings: Arc<Readings>,
    ) -> Self {
        let stored = schemas.iter().map(|schema| schema.fields());
        let logged_too = stored.chain(logged.iter().map(|batch| batch.schema_ref().fields()));
        let schema = Arc::new(joined(columns, logged_too));
        Self { schema, files: Mutex::new(files), logged, store, url, readings }
    }

    /// Takes files out that are not as they were written, and returns what is wrong with them.
    pub(crate) fn drop_damaged(&self, archive: &Archive) -> Vec<Damage> {
        let mut damaged = Vec::new();
        lock(&self.files).retain(|(entry, _)| {
            let damage = archive.verify_file(entry);
            let is_whole = damage.is_none();
            damaged.extend(damage);
            is_whole
        });
        damaged
    }

    /// Returns the rows of the log, with some of the table's columns.
    fn logged(&self, projection: Option<&Vec<usize>>) -> Result<Arc<DataSourceExec>> {
        let with_all = |batch: &RecordBatch| {
            let column = |field: &Arc<Field>| -> Result<ArrayRef> {
                match batch.column_by_name(field.name()) {
                    Some(column) => Ok(cast(column, field.data_type())?),
                    None => Ok(new_null_array(field.data_type(), batch.num_rows())),
                }
            };
            let columns = self.schema.fields().iter().map(column).collect::<Result<Vec<_>>>()?;
            Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
        };
        let batches = self.logged.iter().map(with_all).collect::<Result<Vec<_>>>()?;
        MemorySourceConfig::try_new_exec(&[batches], Arc::clone(&self.schema), projection.cloned())
    }
}

/// Returns a schema with all columns: those that every file has first, then the others by name.
fn joined<'s>(fixed: &SchemaRef, schemas: impl Iterator<Item = &'s Fields>) -> Schema {
    fn shown(fields: &Fields) -> impl Iterator<Item = (String, Field)> {
        let fields = fields.iter().filter(|field| !HIDDEN.contains(&field.name().as_str()));
        fields.map(|field| (field.name().clone(), Field::new(field.name(), shown_type(field.data_type()), true)))
    }
    let mut fields: BTreeMap<String, Field> = schemas.flat_map(shown).collect();
    let fixed: Vec<Field> = shown(fixed.fields()).map(|(_, field)| field).collect();
    fixed.iter().for_each(|field| drop(fields.remove(field.name())));
    Schema::new(fixed.into_iter().chain(fields.into_values()).collect::<Vec<_>>())
}

/// Text is read as views, which copies less; everything else as it is.
fn shown_type(stored: &DataType) -> DataType {
    match stored {
        DataType::Utf8 => DataType::Utf8View,
        other => other.clone(),
    }
}

#[async_trait]
impl TableProvider for Stored {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        // Files are left out by them; the rows of what is left are looked at again.
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let known = DFSchema::try_from(Arc::clone(&self.schema))?;
        let condition = conjunction(filters.to_vec()).map(by_stored_id).transpose()?;
        let condition = condition.map(|condition| state.create_physical_expr(condition, &known)).transpose()?;
        let mut files = lock(&self.files).clone();
        let (kept, report) = prune(files.iter().map(|(entry, _)| entry), condition.as_ref(), &self.schema)?;
        lock(&self.readings.reports).push(report);
        let mut kept_one = kept.into_iter();
        files.retain(|_| kept_one.next().unwrap_or(true));
        if files.is_empty() {
            return Ok(self.logged(projection)?);
        }
        self.readings.bytes.total.fetch_add(files.iter().map(|(entry, _)| entry.bytes).sum(), Ordering::Relaxed);

        let cache = state.runtime_env().cache_manager.get_file_metadata_cache();
        let readers = CachedParquetFileReaderFactory::new(Arc::clone(&self.store), cache);
        let readers = Telling { inner: readers, reading: Arc::clone(&self.readings.bytes) };
        let mut source = ParquetSource::new(Arc::clone(&self.schema))
            .with_table_parquet_options(state.table_options().parquet.clone())
            .with_parquet_file_reader_factory(Arc::new(readers));
        if let Some(condition) = condition {
            source = source.with_predicate(condition);
        }
        let rows = files.iter().map(|(entry, _)| usize::try_from(entry.rows).unwrap_or(usize::MAX)).sum();
        let statistics = Statistics { num_rows: Precision::Exact(rows), ..Statistics::new_unknown(&self.schema) };
        let scan = FileScanConfigBuilder::new(self.url.clone(), Arc::new(source))
            .with_file_groups(
                files.iter().map(|(_, meta)| vec![PartitionedFile::new_from_meta(meta.clone())].into()).collect(),
            )
            .with_statistics(statistics)
            .with_projection_indices(projection.cloned())?
            .build();
        let files = DataSourceExec::from_data_source(scan);
        if self.logged.is_empty() {
            return Ok(files);
        }
        UnionExec::try_new(vec![files, self.logged(projection)?])
    }
}
