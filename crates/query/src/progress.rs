//! How far a query is: which files, or parts of them, have been read to their end.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use datafusion::common::Result;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::errors::Result as ParquetResult;
use datafusion::parquet::file::metadata::ParquetMetaData;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures_util::future::BoxFuture;
use object_store::ObjectMeta;

/// Bytes of files.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// Of the files that are read.
    pub(crate) total: AtomicU64,
    /// Of those that were read, or left out when their statistics had been looked at.
    pub(crate) done: AtomicU64,
}

/// Makes readers of files that tell when they are done.
pub(crate) struct Telling<F> {
    pub(crate) inner: F,
    pub(crate) reading: Arc<Reading>,
}

impl<F> fmt::Debug for Telling<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telling").field("reading", &self.reading).finish_non_exhaustive()
    }
}

impl<F: ParquetFileReaderFactory> ParquetFileReaderFactory for Telling<F> {
    fn create_reader(
        &self,
        partition: usize,
        file: PartitionedFile,
        hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let bytes = bytes_of(&file.object_meta, file.range.as_ref().map(|range| range.start..range.end));
        let inner = self.inner.create_reader(partition, file, hint, metrics)?;
        Ok(Box::new(Reader { inner, bytes, reading: Arc::clone(&self.reading) }))
    }
}

/// Returns how many bytes of a file a reader is for.
fn bytes_of(file: &ObjectMeta, range: Option<Range<i64>>) -> u64 {
    range.map_or(file.size, |range| u64::try_from(range.end - range.start).unwrap_or(0))
}

struct Reader {
    inner: Box<dyn AsyncFileReader + Send>,
    bytes: u64,
    reading: Arc<Reading>,
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.reading.done.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

impl AsyncFileReader for Reader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<bytes::Bytes>> {
        self.inner.get_bytes(range)
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, ParquetResult<Vec<bytes::Bytes>>> {
        self.inner.get_byte_ranges(ranges)
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        self.inner.get_metadata(options)
    }
}
