//! `cresset hunt`: was this ever seen?

mod output;
mod rules;
#[cfg(feature = "sql")]
mod sql;
mod wanted;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::time::Instant;

use cresset_archive::{Archive, ArchiveError, Hunted};
use cresset_pipeline::hunt_joined;

use crate::Outcome;
use crate::archive::told;
use crate::args::{HuntArgs, HuntOutput};
use crate::escape;
use crate::hunt::output::{Closing, write_jsonl, write_table};
use crate::hunt::wanted::Wanted;
use crate::output::Style;

/// Runs a hunt.
pub(crate) fn run(args: &HuntArgs, out: &mut dyn Write) -> io::Result<Outcome> {
    let mut err = io::stderr();
    if let Some(sql) = &args.sql {
        return run_sql(args, sql, out);
    }
    if matches!(args.output, HuntOutput::Csv | HuntOutput::Parquet) {
        writeln!(err, "cresset: CSV and Parquet are for --sql; other hunts are shown as table or jsonl")?;
        return Ok(Outcome::Failed);
    }
    if !args.rule.is_empty() {
        return rules::run(args, out);
    }
    if args.last.is_some() {
        writeln!(err, "cresset: --last is for --rule; values are looked for in all of the past")?;
        return Ok(Outcome::Failed);
    }
    let began = Instant::now();
    let Some(wanted) = Wanted::load(args, &mut err)? else { return Ok(Outcome::Failed) };
    let archive = match Archive::open(&args.archive) {
        Ok(archive) => archive,
        Err(error) => return told(&error, &mut err),
    };
    let Hunted { seen, damaged } = archive.hunt(wanted.matchers());
    let joined = hunt_joined(&archive, wanted.joined());
    let damaged: BTreeSet<String> = damaged.iter().chain(&joined.damaged).map(ArchiveError::with_causes).collect();
    let found = wanted.seen(&seen, &joined.seen);
    let closing = Closing { wanted: &wanted, found: found.len(), stats: archive.stats(), took: began.elapsed() };
    match args.output {
        HuntOutput::Jsonl => {
            write_jsonl(&found, out)?;
            closing.write(&mut err)?;
        }
        _ => {
            write_table(&found, Style::new(args.color.wanted_on(&io::stdout())), out)?;
            closing.write(out)?;
        }
    }
    for error in &damaged {
        writeln!(err, "not hunted: {}", escape::terminal(error))?;
    }
    Ok(if damaged.is_empty() { Outcome::Done } else { Outcome::Failed })
}

#[cfg(feature = "sql")]
fn run_sql(args: &HuntArgs, sql: &str, out: &mut dyn Write) -> io::Result<Outcome> {
    sql::run(args, sql, out)
}

#[cfg(not(feature = "sql"))]
fn run_sql(_: &HuntArgs, _: &str, _: &mut dyn Write) -> io::Result<Outcome> {
    writeln!(
        io::stderr(),
        "cresset: this program was built without SQL: build it with `--features sql --profile sql`"
    )?;
    Ok(Outcome::Failed)
}
