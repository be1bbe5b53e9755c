//! `cresset watch`: arguments to a run of the pipeline, its output and its exit status.

mod progress;

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

use cresset_detect::{Detection, Detector, IndicatorSet, RuleFilter, RuleSet, Warnings};
use cresset_event::FieldNames;
use cresset_ingest::Skipped;
use cresset_pipeline::{
    Progress, Sink, SourcePath, Unreadable, Watch, WatchOptions, find_sources, load_indicators, load_rules,
};

use crate::Outcome;
use crate::args::{OutputFormat, WatchArgs};
use crate::escape;
use crate::output::{Closing, CsvOutput, JsonlOutput, Output, Style, Summary, TableOutput};
use crate::watch::progress::Bar;

/// Records that could not be read that are shown one by one; the rest are counted.
const SKIPPED_SHOWN_MAX: u64 = 20;

/// Runs a watch.
pub(crate) fn run(args: Box<WatchArgs>, out: &mut dyn Write) -> io::Result<Outcome> {
    let mut err = io::stderr();
    let names = Arc::new(FieldNames::new());
    if args.rules.is_empty() && args.indicators.is_empty() {
        writeln!(err, "cresset: nothing to look for; name rules with --rules or indicators with --indicators")?;
        return Ok(Outcome::Failed);
    }
    let Some(rules) = compile_rules(&args, &names, &mut err)? else { return Ok(Outcome::Failed) };
    let indicators = compile_indicators(&args, &mut err)?;
    let (sources, unreadable) = find_sources(&args.logs);
    let style = Style::new(args.color.wanted_on(&io::stdout()));
    let options = WatchOptions { since_inclusive: args.since, until_exclusive: args.until, threads: threads(&args) };
    let mut watch = Watch::new(Arc::clone(&names), Detector::new(Arc::new(rules), Arc::new(indicators)), options);

    let mut sink = Reporting {
        output: output(&args, style, out),
        summary: Summary::default(),
        bar: Bar::new(total_bytes(&sources)),
        level_min: args.min_level,
    };
    for failed in &unreadable {
        sink.unreadable(failed)?;
    }
    let mut report = watch.run(&sources, &mut sink)?;
    report.unreadable.splice(0..0, unreadable);
    let Reporting { output, summary, bar, .. } = sink;
    bar.finish();
    let closing = Closing { summary: &summary, report: &report, rules: watch.detector().rules(), names: &names };
    output.finish(&closing)?;
    let is_found = args.fail_level.is_some_and(|least| summary.worst().is_some_and(|worst| worst >= least));
    Ok(match () {
        () if args.strict && report.has_unread() => Outcome::Failed,
        () if report.sources == 0 => Outcome::Failed,
        () if is_found => Outcome::Found,
        () => Outcome::Done,
    })
}

/// Compiles the rules, and says on standard error which are refused; `None` where rules were named and none loads.
fn compile_rules(args: &WatchArgs, names: &Arc<FieldNames>, err: &mut dyn Write) -> io::Result<Option<RuleSet>> {
    let filter = RuleFilter {
        level_min: args.min_level,
        statuses: args.status.clone(),
        tags: args.tag.clone(),
        exclude: args.exclude.clone(),
    };
    let (rules, refused) = RuleSet::compile(load_rules(&args.rules), &filter, names);
    for refused in &refused {
        let (file, reason) = (escape::terminal(&refused.file), escape::terminal(&refused.reason));
        writeln!(err, "rule refused: {file}:{}: {reason}", refused.line)?;
    }
    if rules.is_empty() && !args.rules.is_empty() {
        writeln!(err, "cresset: no rule loads; `cresset rules check` says why")?;
        return Ok(None);
    }
    Ok(Some(rules))
}

/// Loads the indicators, and says on standard error what of them is refused or held back.
fn compile_indicators(args: &WatchArgs, err: &mut dyn Write) -> io::Result<IndicatorSet> {
    let set = IndicatorSet::new(if args.no_warning_list { Warnings::Ignore } else { Warnings::Apply });
    for feed in load_indicators(&args.indicators) {
        if feed.refused_count() > 0 {
            let (file, count) = (escape::terminal(&feed.file), feed.refused_count());
            writeln!(err, "indicators refused: {file}: {count} entries; `cresset indicators check` says why")?;
        }
        feed.indicators.into_iter().for_each(|indicator| set.add(indicator));
    }
    let held_back = set.held_back().len();
    if held_back > 0 {
        writeln!(
            err,
            "indicators held back: {held_back} are on the warning list; `cresset indicators check` names them"
        )?;
    }
    Ok(set)
}

fn output<'o>(args: &WatchArgs, style: Style, out: &'o mut dyn Write) -> Box<dyn Output + 'o> {
    match args.output {
        OutputFormat::Table => Box::new(TableOutput::new(out, style, args.group_by, args.examples)),
        OutputFormat::Jsonl => Box::new(JsonlOutput::new(out)),
        OutputFormat::Csv => Box::new(CsvOutput::new(out)),
    }
}

/// Returns how many threads match: as many as were asked for, else as there are cores.
fn threads(args: &WatchArgs) -> usize {
    args.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// Returns how many bytes there are to read, where that is known.
fn total_bytes(sources: &[SourcePath]) -> Option<u64> {
    let sizes = sources.iter().map(|source| match source {
        SourcePath::File(_, bytes) => Some(*bytes),
        SourcePath::Stdin => None,
    });
    sizes.sum()
}

/// Takes what a watch finds.
struct Reporting<'o> {
    output: Box<dyn Output + 'o>,
    summary: Summary,
    bar: Bar,
    level_min: Option<cresset_detect::Level>,
}

impl Reporting<'_> {
    fn tell(&self, text: &str) -> io::Result<()> {
        self.bar.suspend(|| writeln!(io::stderr(), "{}", escape::terminal(text)))
    }
}

impl Sink for Reporting<'_> {
    fn detection(&mut self, detection: Detection) -> io::Result<()> {
        if self.level_min.is_some_and(|least| detection.level() < least) {
            return Ok(());
        }
        self.summary.add(&detection);
        self.output.detection(&detection)
    }

    fn skipped(&mut self, skipped: &Skipped) -> io::Result<()> {
        self.summary.skipped += 1;
        match self.summary.skipped {
            shown if shown <= SKIPPED_SHOWN_MAX => {
                let quote = if skipped.quote.is_empty() { String::new() } else { format!(": {}", skipped.quote) };
                self.tell(&format!("not read: {skipped}{quote}"))
            }
            over if over == SKIPPED_SHOWN_MAX + 1 => self.tell("not read: further records are counted only"),
            _ => Ok(()),
        }
    }

    fn unreadable(&mut self, unreadable: &Unreadable) -> io::Result<()> {
        self.tell(&format!("not read: `{}`: {}", unreadable.source, unreadable.reason))
    }

    fn progress(&mut self, progress: &Progress<'_>) {
        self.bar.set(progress);
    }
}

/// Returns whether a person is looking at standard error.
fn is_watched() -> bool {
    io::stderr().is_terminal()
}
