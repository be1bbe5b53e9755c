//! Queries and their answers.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cresset_archive::{Archive, Damage, EVENTS};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::error::DataFusionError;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::prelude::{SQLOptions, SessionConfig, SessionContext, ident};
use datafusion::sql::parser::{DFParser, Statement};
use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use futures_util::StreamExt;
use object_store::ObjectMeta;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{Sender, channel};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::error::QueryError;
use crate::files::ScanReport;
use crate::id_text::{ID_BYTES, id_text};
use crate::table::{Files, Readings, Stored};

/// Bytes of a query's text.
const SQL_BYTES_MAX: usize = 1 << 20;
/// Operators, brackets and words of SQL in a query: each may make the plan one deeper.
const OPERATORS_MAX: usize = 4000;
/// Bytes of a thread's stack, of which what is used is taken: some tens of kilobytes for each step of depth.
const STACK_BYTES: usize = 256 << 20;
/// Batches of rows that are there before they are taken.
const BATCHES_AHEAD: usize = 2;
/// How often a query says how far it is.
const TELL_EVERY: Duration = Duration::from_millis(100);
/// Under which the archive's files are registered.
const STORE: &str = "archive://files";

/// What a query may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory for what it sorts, groups and joins. What it reads at the moment, some megabytes a thread, is not counted.
    pub memory_bytes: usize,
    /// How long it may take.
    pub time: Duration,
    /// Threads.
    pub threads: usize,
}

impl Default for Limits {
    /// A gigabyte, five minutes, and all cores.
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self { memory_bytes: 1 << 30, time: Duration::from_secs(300), threads }
    }
}

/// Takes an answer as it comes.
pub trait Rows {
    /// What went wrong on the way to where the rows go.
    type Error;

    /// Takes the columns, before any rows.
    fn begin(&mut self, columns: &SchemaRef) -> Result<(), Self::Error>;

    /// Takes rows; breaking off ends the query.
    fn rows(&mut self, rows: &RecordBatch) -> Result<ControlFlow<()>, Self::Error>;

    /// Takes how far the query is: bytes of files that it is done with, and of all that it reads.
    fn progress(&mut self, _done: u64, _total: u64) {}
}

/// What a query came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// Rows that were passed on.
    pub rows: u64,
    /// What was read, once for each time that the query names the table.
    pub scans: Vec<ScanReport>,
}

/// An archive that answers queries.
pub struct Sql {
    runtime: Threads,
    context: SessionContext,
    tables: Vec<Arc<Stored>>,
    readings: Arc<Readings>,
    archive: Archive,
    limits: Limits,
    damaged: Mutex<Vec<Damage>>,
}

impl Sql {
    /// Prepares an archive to be asked, without files that cannot be read: [`Sql::damaged`] names them. `known` are tables beside
    /// that of events that are there in any case, and their columns.
    pub fn open(archive: Archive, known: &[(&str, SchemaRef)], limits: Limits) -> Result<Self, QueryError> {
        let mut builder = Builder::new_multi_thread();
        let builder = builder.worker_threads(limits.threads).thread_stack_size(STACK_BYTES).enable_time();
        let runtime = builder.build();
        let runtime = runtime.map_err(QueryError::Threads)?;
        let environment = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(GreedyMemoryPool::new(limits.memory_bytes)))
            .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled))
            .build_arc()
            .map_err(QueryError::Failed)?;
        let mut config = SessionConfig::new().with_target_partitions(limits.threads).with_information_schema(false);
        let options = config.options_mut();
        // Fields are named as logs name them: `CommandLine`, and not in lower case.
        options.sql_parser.enable_ident_normalization = false;
        options.execution.parquet.pushdown_filters = true;
        options.execution.parquet.reorder_filters = true;
        let context = SessionContext::new_with_config_rt(config, environment);
        let url = ObjectStoreUrl::parse(STORE).map_err(QueryError::Failed)?;
        context.register_object_store(url.as_ref(), archive.files());
        let mut columns: BTreeMap<&str, SchemaRef> = BTreeMap::from([(EVENTS, Archive::event_columns())]);
        columns.extend(known.iter().map(|(name, columns)| (*name, Arc::clone(columns))));
        archive.tables().into_iter().for_each(|name| _ = columns.entry(name).or_insert_with(|| Schema::empty().into()));
        let (mut tables, mut damaged, readings) = (Vec::new(), archive.damages().to_vec(), Arc::<Readings>::default());
        for (name, columns) in columns {
            let (files, schemas, its_damaged) = runtime.block_on(look_at(&context, &archive, name));
            damaged.extend(its_damaged);
            let (logged, store) = (archive.logged(name)?, (archive.files(), url.clone()));
            let table = Arc::new(Stored::new(&columns, files, logged, &schemas, store, Arc::clone(&readings)));
            register(&context, name, &table).map_err(QueryError::Failed)?;
            tables.push(table);
        }
        Ok(Self {
            runtime: Threads(Some(runtime)),
            context,
            tables,
            readings,
            archive,
            limits,
            damaged: damaged.into(),
        })
    }

    /// Answers a query: passes its rows on as they come. Files that turn out to be damaged before there are any are left out.
    pub fn ask<R: Rows>(&self, sql: &str, rows: &mut R) -> Result<Result<Answer, R::Error>, QueryError> {
        check_size(sql)?;
        loop {
            let mut passed = 0;
            let failed = match self.runtime.get().block_on(self.answer(sql, rows, &mut passed)) {
                Err(QueryError::Failed(failed)) => failed,
                answer => return answer,
            };
            let damaged: Vec<Damage> = self.tables.iter().flat_map(|table| table.drop_damaged(&self.archive)).collect();
            match damaged.is_empty() {
                true => return Err(QueryError::Failed(failed)),
                false if passed > 0 => return Err(QueryError::Damaged(damaged)),
                false => lock(&self.damaged).extend(damaged),
            }
        }
    }

    /// Returns the files that cannot be read, of those that were needed until now: what is in them is missing.
    pub fn damaged(&self) -> Vec<Damage> {
        lock(&self.damaged).clone()
    }

    /// Passes on what a thread of the runtime answers, whose stack is deep enough for that.
    async fn answer<R: Rows>(
        &self,
        sql: &str,
        rows: &mut R,
        passed: &mut u64,
    ) -> Result<Result<Answer, R::Error>, QueryError> {
        let (reading, limits) = (&self.readings.bytes, self.limits);
        lock(&self.readings.reports).clear();
        reading.total.store(0, Ordering::Relaxed);
        reading.done.store(0, Ordering::Relaxed);
        let (sender, mut receiver) = channel(BATCHES_AHEAD);
        let answering = answer(self.context.clone(), sql.to_owned(), limits.memory_bytes, sender);
        let mut answering = Answering(self.runtime.get().spawn(answering));
        let deadline = Instant::now() + limits.time;
        let mut ticks = interval(TELL_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                biased;
                () = sleep_until(deadline) => return Err(QueryError::TimeOut { limit: limits.time }),
                _ = ticks.tick() => {
                    let (done, total) = (&reading.done, &reading.total);
                    rows.progress(done.load(Ordering::Relaxed), total.load(Ordering::Relaxed));
                }
                part = receiver.recv() => {
                    let taken = match part {
                        None => break,
                        Some(Part::Columns(columns)) => rows.begin(&columns).map(ControlFlow::Continue),
                        Some(Part::Rows(batch)) => {
                            *passed += batch.num_rows() as u64;
                            rows.rows(&batch)
                        }
                    };
                    match taken {
                        Ok(ControlFlow::Continue(())) => {}
                        Ok(ControlFlow::Break(())) => return Ok(Ok(self.came_to(*passed))),
                        Err(error) => return Ok(Err(error)),
                    }
                }
            }
        }
        match (&mut answering.0).await {
            Ok(answered) => answered.map(|()| Ok(self.came_to(*passed))),
            Err(ended) => Err(QueryError::Failed(DataFusionError::External(Box::new(ended)))),
        }
    }

    fn came_to(&self, rows: u64) -> Answer {
        Answer { rows, scans: lock(&self.readings.reports).clone() }
    }
}

/// The threads that answer. Nobody waits for what one of them is at when they are let go.
struct Threads(Option<Runtime>);

impl Threads {
    fn get(&self) -> &Runtime {
        self.0.as_ref().expect("it is there until it is dropped")
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// A part of an answer.
enum Part {
    Columns(SchemaRef),
    Rows(RecordBatch),
}

/// A task that ends when nobody waits for it any more.
struct Answering(JoinHandle<Result<(), QueryError>>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn answer(context: SessionContext, sql: String, memory: usize, sender: Sender<Part>) -> Result<(), QueryError> {
    let refused = |error| QueryError::refused(&error);
    let ran = |error| QueryError::ran(error, memory);
    let plan = context.state().statement_to_plan(one_select(&sql)?).await.map_err(refused)?;
    let options = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    options.verify_plan(&plan).map_err(refused)?;
    let frame = context.execute_logical_plan(plan).await.map_err(ran)?;
    let mut stream = frame.execute_stream().await.map_err(ran)?;
    // Where nobody takes it any more the answer is at its end.
    if sender.send(Part::Columns(stream.schema())).await.is_err() {
        return Ok(());
    }
    while let Some(batch) = stream.next().await {
        if sender.send(Part::Rows(batch.map_err(ran)?)).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// Holds what a mutex guards; nothing is left half done in one.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads the footers of all files of a table.
async fn look_at(context: &SessionContext, archive: &Archive, table: &str) -> (Files, Vec<Schema>, Vec<Damage>) {
    let store = archive.files();
    let cache = context.runtime_env().cache_manager.get_file_metadata_cache();
    let (mut files, mut schemas, mut damaged) = (Vec::new(), Vec::new(), Vec::new());
    for entry in archive.files_of(table) {
        let meta = ObjectMeta {
            location: object_store::path::Path::from(entry.file.as_str()),
            last_modified: Default::default(),
            size: entry.bytes,
            e_tag: None,
            version: None,
        };
        let footer = DFParquetMetadata::new(&*store, &meta).with_file_metadata_cache(Some(Arc::clone(&cache)));
        match footer.fetch_schema().await {
            Ok(schema) => {
                schemas.push(schema);
                files.push((entry.clone(), meta));
            }
            Err(cause) => damaged.push(Damage { file: entry.file.clone(), reason: cause.strip_backtrace() }),
        }
    }
    (files, schemas, damaged)
}

/// Makes a table what queries see of its files: with ids as they are written elsewhere.
fn register(context: &SessionContext, name: &str, table: &Arc<Stored>) -> Result<(), DataFusionError> {
    let text = id_text();
    let source = provider_as_source(Arc::clone(table) as _);
    let columns = source.schema();
    let shown = columns.fields().iter().map(|field| match (field.name(), field.data_type()) {
        (name, DataType::FixedSizeBinary(ID_BYTES)) => text.call(vec![ident(name)]).alias(name),
        (name, _) => ident(name),
    });
    let plan = LogicalPlanBuilder::scan(name, source, None)?.project(shown)?.build()?;
    context.register_table(name, Arc::new(ViewTable::new(plan, None)))?;
    Ok(())
}

/// Refuses a text that would come to a plan too large or too deep: plans are walked by recursion.
fn check_size(sql: &str) -> Result<(), QueryError> {
    if sql.len() > SQL_BYTES_MAX {
        return Err(QueryError::Refused(format!("the query has more than {SQL_BYTES_MAX} bytes")));
    }
    let tokens =
        Tokenizer::new(&GenericDialect, sql).tokenize().map_err(|error| QueryError::Refused(error.to_string()))?;
    let is_deepening = |token: &&Token| match token {
        Token::Word(word) => word.keyword != Keyword::NoKeyword,
        Token::Whitespace(_) | Token::Comma | Token::Period | Token::Number(..) | Token::SingleQuotedString(_) => false,
        _ => true,
    };
    if tokens.iter().filter(is_deepening).count() > OPERATORS_MAX {
        return Err(QueryError::Refused(format!(
            "the query has more than {OPERATORS_MAX} operators and words of SQL; `in (...)` takes any number of values"
        )));
    }
    Ok(())
}

/// Reads a text as the one statement that it may be.
fn one_select(sql: &str) -> Result<Statement, QueryError> {
    let mut statements = DFParser::parse_sql(sql).map_err(|error| QueryError::refused(&error))?;
    let statement = match (statements.pop_front(), statements.len()) {
        (Some(statement), 0) => statement,
        (None, _) => return Err(QueryError::NotASelect { what: "nothing".into() }),
        (Some(_), _) => return Err(QueryError::NotASelect { what: "more than one statement".into() }),
    };
    if is_select(&statement) {
        return Ok(statement);
    }
    let text = statement.to_string();
    let word = text.split_whitespace().next().unwrap_or_default().to_uppercase();
    Err(QueryError::NotASelect { what: word })
}

fn is_select(statement: &Statement) -> bool {
    match statement {
        Statement::Statement(inner) => {
            matches!(**inner, ast::Statement::Query(_) | ast::Statement::ExplainTable { .. })
        }
        Statement::Explain(explain) => is_select(&explain.statement),
        _ => false,
    }
}
