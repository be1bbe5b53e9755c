//! Which files a query need not read, by what the list of files says of them.

use std::collections::HashSet;
use std::sync::Arc;

use cresset_archive::TableFile;
use cresset_event::LogSource;
use datafusion::arrow::array::{ArrayRef, BooleanArray, StringArray, TimestampNanosecondArray, UInt64Array};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, Result, ScalarValue};
use datafusion::physical_expr::{PhysicalExpr, split_conjunction};
use datafusion::physical_expr_common::physical_expr::fmt_sql;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;

/// What of a table was read for a query.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScanReport {
    /// Files of events that there are.
    pub files: usize,
    /// Files that had to be looked into.
    pub read: usize,
    /// The conditions that left files out. A file can be left out by several.
    pub left_out: Vec<LeftOut>,
}

/// A condition, and how many files it left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The condition, as the plan has it.
    pub condition: String,
    /// Files that have no event that fulfils it.
    pub files: usize,
}

/// Returns which files can have an event that fulfils a condition, and what left the others out.
pub(crate) fn prune<'f>(
    files: impl Iterator<Item = &'f TableFile>,
    condition: Option<&Arc<dyn PhysicalExpr>>,
    schema: &SchemaRef,
) -> Result<(Vec<bool>, ScanReport)> {
    let files: Vec<&TableFile> = files.collect();
    let known = Known::of(&files);
    let mut kept = vec![true; files.len()];
    let mut report = ScanReport { files: files.len(), read: files.len(), ..ScanReport::default() };
    for part in condition.iter().flat_map(|condition| split_conjunction(condition)) {
        let builder = PruningPredicateBuilder::new().with_file_schema(Arc::clone(schema));
        let Some(predicate) = builder.build(Arc::clone(part)) else { continue };
        let may_fit = predicate.prune(&known)?;
        let left_out = may_fit.iter().filter(|may_fit| !**may_fit).count();
        kept.iter_mut().zip(may_fit).for_each(|(kept, may_fit)| *kept &= may_fit);
        if left_out > 0 {
            report.left_out.push(LeftOut { condition: fmt_sql(&**part).to_string(), files: left_out });
        }
    }
    report.read = kept.iter().filter(|kept| **kept).count();
    Ok((kept, report))
}

/// What is known of files without reading them, as columns with a row a file.
struct Known {
    times: Bounds,
    products: Bounds,
    services: Bounds,
    rows: ArrayRef,
}

/// The least and the greatest value of a column in each file, and in how many rows there is none.
struct Bounds {
    min: ArrayRef,
    max: ArrayRef,
    none: ArrayRef,
}

impl Known {
    fn of(files: &[&TableFile]) -> Self {
        Self {
            times: Bounds::of_times(files),
            products: Bounds::of_words(files, |log_source| log_source.product),
            services: Bounds::of_words(files, |log_source| log_source.service),
            rows: Arc::new(UInt64Array::from_iter_values(files.iter().map(|file| file.rows))),
        }
    }

    fn bounds(&self, column: &Column) -> Option<&Bounds> {
        match column.name() {
            "time" => Some(&self.times),
            "product" => Some(&self.products),
            "service" => Some(&self.services),
            _ => None,
        }
    }
}

impl Bounds {
    fn of_times(files: &[&TableFile]) -> Self {
        let times = |pick: fn((i64, i64)) -> i64| -> ArrayRef {
            let times = files.iter().map(|file| file.times.map(pick));
            Arc::new(TimestampNanosecondArray::from_iter(times).with_timezone("UTC"))
        };
        let none = UInt64Array::from_iter_values(files.iter().map(|file| file.times_unknown));
        Self { min: times(|(first, _)| first), max: times(|(_, last)| last), none: Arc::new(none) }
    }

    fn of_words(files: &[&TableFile], word: fn(LogSource) -> Option<String>) -> Self {
        let mut columns: (Vec<_>, Vec<_>, Vec<_>) = Default::default();
        for file in files {
            let words: Vec<(Option<String>, u64)> =
                file.log_sources().map(|(log_source, rows)| (word(log_source), rows)).collect();
            let named = || words.iter().filter_map(|(word, _)| word.clone());
            columns.0.push(named().min());
            columns.1.push(named().max());
            // Of a table that has no log sources nothing is known.
            let none = words.iter().filter(|(word, _)| word.is_none()).map(|(_, rows)| rows).sum::<u64>();
            columns.2.push((!words.is_empty()).then_some(none));
        }
        Self {
            min: Arc::new(StringArray::from(columns.0)),
            max: Arc::new(StringArray::from(columns.1)),
            none: Arc::new(UInt64Array::from(columns.2)),
        }
    }
}

impl PruningStatistics for Known {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column).map(|bounds| Arc::clone(&bounds.min))
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column).map(|bounds| Arc::clone(&bounds.max))
    }

    fn num_containers(&self) -> usize {
        self.rows.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column).map(|bounds| Arc::clone(&bounds.none))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::clone(&self.rows))
    }

    fn contained(&self, _: &Column, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
