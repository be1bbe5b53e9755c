//! `cresset hunt --sql`: a query, and its rows as a table, JSON lines, CSV or Parquet.

mod grid;

use std::io::{self, IsTerminal, Write};
use std::ops::ControlFlow;
use std::time::Instant;

use cresset_archive::{Archive, with_causes};
use cresset_pipeline::{DETECTIONS, detection_columns};
use cresset_query::arrow::array::RecordBatch;
use cresset_query::arrow::datatypes::SchemaRef;
use cresset_query::arrow::json;
use cresset_query::arrow::util::display::{ArrayFormatter, FormatOptions};
use cresset_query::{Answer, Limits, QueryError, Rows, Sql};
use parquet::arrow::ArrowWriter;

use self::grid::Grid;
use crate::Outcome;
use crate::archive::told;
use crate::args::{HuntArgs, HuntOutput};
use crate::escape;
use crate::output::rows::counted;
use crate::output::{Style, csv_error};
use crate::watch::Bar;

/// How times are written: as everywhere else, to the microsecond.
const TIMES: &str = "%Y-%m-%dT%H:%M:%S%.6fZ";

/// Runs a query.
pub(super) fn run(args: &HuntArgs, sql: &str, out: &mut dyn Write) -> io::Result<Outcome> {
    let mut err = io::stderr();
    if args.output == HuntOutput::Parquet && io::stdout().is_terminal() {
        writeln!(err, "cresset: Parquet is no text: write it to a file, `--output parquet > rows.parquet`")?;
        return Ok(Outcome::Failed);
    }
    let began = Instant::now();
    let archive = match Archive::open(&args.archive) {
        Ok(archive) => archive,
        Err(error) => return told(&error, &mut err),
    };
    let limits = Limits { memory_bytes: args.memory_limit, time: args.time_limit, ..Limits::default() };
    let bar = Bar::new(Some(0));
    let mut shown = Shown { to: To::new(args, out), began: false, bar: bar.clone() };
    let tables = [(DETECTIONS, detection_columns())];
    let asked = Sql::open(archive, &tables, limits).and_then(|asked| {
        let answer = asked.ask(sql, &mut shown)?;
        Ok((answer, asked.damaged()))
    });
    bar.finish();
    let (answer, damaged) = match asked {
        Ok((answer, damaged)) => (answer?, damaged),
        Err(error) => return refused(&error, &mut err),
    };
    shown.to.finish()?;
    tell(&answer, began, &mut err)?;
    for damage in &damaged {
        writeln!(err, "not read: {}", escape::terminal(&damage.to_string()))?;
    }
    Ok(if damaged.is_empty() { Outcome::Done } else { Outcome::Failed })
}

/// Says why there is no answer.
fn refused(error: &QueryError, err: &mut dyn Write) -> io::Result<Outcome> {
    writeln!(err, "cresset: {}", escape::terminal(&with_causes(error)))?;
    Ok(Outcome::Failed)
}

/// Says what a query came to, and which files it need not read.
fn tell(answer: &Answer, began: Instant, err: &mut dyn Write) -> io::Result<()> {
    let seconds = began.elapsed().as_secs_f64();
    write!(err, "{}; {seconds:.3} s", counted(answer.rows, "row"))?;
    for scan in &answer.scans {
        write!(err, "; {} of {} looked into", scan.read, counted(scan.files as u64, "file"))?;
        for left_out in &scan.left_out {
            write!(err, ", {} left out by {}", left_out.files, escape::terminal(&left_out.condition))?;
        }
    }
    writeln!(err)
}

/// Where rows go.
enum To<'o> {
    Table(Grid, &'o mut dyn Write),
    Jsonl(&'o mut dyn Write),
    Csv(csv::Writer<&'o mut dyn Write>),
    Parquet(Option<ArrowWriter<Vec<u8>>>, &'o mut dyn Write),
}

struct Shown<'o> {
    to: To<'o>,
    began: bool,
    bar: Bar,
}

impl<'o> To<'o> {
    fn new(args: &HuntArgs, out: &'o mut dyn Write) -> Self {
        match args.output {
            HuntOutput::Table => Self::Table(Grid::new(Style::new(args.color.wanted_on(&io::stdout()))), out),
            HuntOutput::Jsonl => Self::Jsonl(out),
            HuntOutput::Csv => Self::Csv(csv::WriterBuilder::new().from_writer(out)),
            HuntOutput::Parquet => Self::Parquet(None, out),
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Table(grid, out) => grid.finish(out),
            Self::Jsonl(out) => out.flush(),
            Self::Csv(mut writer) => writer.flush(),
            Self::Parquet(Some(writer), out) => {
                out.write_all(&writer.into_inner().map_err(io::Error::other)?)?;
                out.flush()
            }
            Self::Parquet(None, out) => out.flush(),
        }
    }
}

impl Rows for Shown<'_> {
    type Error = io::Error;

    fn begin(&mut self, columns: &SchemaRef) -> io::Result<()> {
        // A query that is asked again, without a damaged file, has the same columns.
        if std::mem::replace(&mut self.began, true) {
            return Ok(());
        }
        let names = || columns.fields().iter().map(|field| field.name().as_str());
        match &mut self.to {
            To::Table(grid, _) => grid.begin(columns),
            To::Csv(writer) => {
                writer.write_record(names().map(|name| escape::csv_cell(name).into_owned())).map_err(csv_error)?
            }
            To::Parquet(writer, _) => {
                *writer = Some(ArrowWriter::try_new(Vec::new(), columns.clone(), None).map_err(io::Error::other)?);
            }
            To::Jsonl(_) => {}
        }
        Ok(())
    }

    fn rows(&mut self, rows: &RecordBatch) -> io::Result<ControlFlow<()>> {
        match &mut self.to {
            To::Table(grid, out) => grid.rows(&texts(rows)?, *out)?,
            To::Jsonl(out) => write_jsonl(rows, *out)?,
            To::Csv(writer) => {
                for row in texts(rows)? {
                    let cells =
                        row.iter().map(|cell| escape::csv_cell(cell.as_deref().unwrap_or_default()).into_owned());
                    writer.write_record(cells.collect::<Vec<_>>()).map_err(csv_error)?;
                }
            }
            To::Parquet(writer, out) => {
                let Some(writer) = writer else { return Ok(ControlFlow::Continue(())) };
                writer.write(rows).map_err(io::Error::other)?;
                out.write_all(&std::mem::take(writer.inner_mut()))?;
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn progress(&mut self, done: u64, total: u64) {
        self.bar.set_bytes(done, total);
    }
}

/// Returns the cells of rows as texts; those that are null have none.
fn texts(rows: &RecordBatch) -> io::Result<Vec<Vec<Option<String>>>> {
    let options = FormatOptions::new().with_timestamp_tz_format(Some(TIMES)).with_timestamp_format(Some(TIMES));
    let columns = rows.columns();
    let formatters = columns.iter().map(|column| ArrayFormatter::try_new(&**column, &options));
    let formatters = formatters.collect::<Result<Vec<_>, _>>().map_err(io::Error::other)?;
    let cell =
        |row: usize, column: usize| columns[column].is_valid(row).then(|| formatters[column].value(row).to_string());
    Ok((0..rows.num_rows()).map(|row| (0..columns.len()).map(|column| cell(row, column)).collect()).collect())
}

fn write_jsonl(rows: &RecordBatch, out: &mut dyn Write) -> io::Result<()> {
    let mut lines = Vec::new();
    let mut writer = json::WriterBuilder::new()
        .with_timestamp_tz_format(TIMES.into())
        .build::<_, json::writer::LineDelimited>(&mut lines);
    writer.write(rows).and_then(|()| writer.finish()).map_err(io::Error::other)?;
    let lines = std::str::from_utf8(&lines).map_err(io::Error::other)?;
    lines.lines().try_for_each(|line| writeln!(out, "{}", escape::json(line)))
}
