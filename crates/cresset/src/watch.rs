//! `cresset watch`: arguments to a run of the pipeline, its output and its exit status.

mod archive;
mod hangup;
mod progress;
mod rules;
mod state;
mod stop;

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;

use cresset_archive::ArchiveError;
use cresset_detect::{Detection, Detector, Dropped, IndicatorSet, Warnings};
use cresset_event::FieldNames;
use cresset_ingest::{Position, Skipped};
use cresset_pipeline::{
    Following, Progress, Reloaded, Sink, SourcePath, Unreadable, Watch, WatchOptions, find_feeds, find_sources,
};

use crate::Outcome;
use crate::args::{OutputFormat, WatchArgs};
use crate::escape;
use crate::output::{Closing, CsvOutput, JsonlOutput, LiveOutput, Output, Style, Summary, TableOutput};
use crate::watch::hangup::Hangups;
pub(crate) use crate::watch::progress::Bar;
use crate::watch::rules::Rules;
pub(crate) use crate::watch::rules::tell_refused;

/// Records that could not be read that are shown one by one; the rest are counted.
const SKIPPED_SHOWN_MAX: u64 = 20;

/// Runs a watch.
pub(crate) fn run(args: Box<WatchArgs>, out: &mut dyn Write) -> io::Result<Outcome> {
    let mut err = io::stderr();
    let names = Arc::new(FieldNames::new());
    if args.rules.is_empty() && args.indicators.is_empty() && args.archive.is_none() {
        writeln!(
            err,
            "cresset: nothing to do; name rules with --rules, indicators with --indicators or an archive with --archive"
        )?;
        return Ok(Outcome::Failed);
    }
    // Before the rules are loaded: a signal that comes meanwhile is not to end the watch.
    let hangups = match args.reload.then(Hangups::listen).transpose() {
        Ok(hangups) => hangups,
        Err(error) => {
            writeln!(err, "cresset: cannot listen for SIGHUP: {error}")?;
            return Ok(Outcome::Failed);
        }
    };
    let Some(Rules { set, reloader }) = rules::compile(&args, &names, &mut err)? else { return Ok(Outcome::Failed) };
    let Some(indicators) = compile_indicators(&args, &mut err)? else { return Ok(Outcome::Failed) };
    let (mut sources, unreadable) = find_sources(&args.logs);
    leave_own_output(&mut sources, &mut err)?;
    if args.follow && sources.contains(&SourcePath::Stdin) {
        writeln!(err, "cresset: standard input is read as it comes anyway: leave out --follow, or the `-`")?;
        return Ok(Outcome::Failed);
    }
    let style = Style::new(args.color.wanted_on(&io::stdout()));
    let options = WatchOptions { since_inclusive: args.since, until_exclusive: args.until, threads: threads(&args) };
    let mut detector = Detector::new(set, Arc::new(indicators));
    let mut positions = Vec::new();
    if let Some(path) = &args.state {
        leave_state(path, &mut sources);
        let Some(kept) = state::load(path, &mut detector, &mut err)? else { return Ok(Outcome::Failed) };
        positions = kept;
    }
    let mut watch = Watch::new(Arc::clone(&names), detector, options);
    if let Some(folder) = &args.archive {
        let Some(writer) = archive::open(folder, &args, &mut err)? else { return Ok(Outcome::Failed) };
        archive::leave_own_files(folder, &mut sources);
        watch = watch.with_archive(writer);
    }

    if args.follow {
        match stop::asked_for() {
            Ok(is_enough) => {
                let find = new_files(&args);
                watch = watch.following(Following { positions, find, ..Following::new(is_enough) });
            }
            Err(error) => {
                writeln!(err, "cresset: cannot listen for signals: {error}")?;
                return Ok(Outcome::Failed);
            }
        }
    }
    let mut sink = Reporting {
        output: output(&args, style, out),
        summary: Summary::default(),
        bar: Bar::new(total_bytes(&sources).filter(|_| !args.follow)),
        level_min: args.min_level,
        state: args.state.as_deref(),
        positions: Vec::new(),
    };
    if let Some(reloader) = reloader {
        let bar = sink.bar.clone();
        let tell = move |reloaded: &Reloaded| {
            // Where nobody hears standard error any more the watch itself goes on.
            let _ = bar.suspend(|| rules::tell_reloaded(reloaded, &mut io::stderr()));
        };
        let reloads = reloader.spawn(tell);
        hangups.into_iter().for_each(|hangups| hangups.each(reloads.asker()));
        watch = watch.with_reloads(reloads);
    }
    for failed in &unreadable {
        sink.unreadable(failed)?;
    }
    let ran = watch.run(&sources, &mut sink);
    let Reporting { output, summary, bar, positions, .. } = sink;
    bar.finish();
    let is_archived = watch.take_archive().map_or(Ok(true), |writer| archive::close(writer, &mut err))?;
    let is_found = args.fail_level.is_some_and(|least| summary.worst().is_some_and(|worst| worst >= least));
    let mut report = match ran {
        // Whoever reads the output has seen enough (`cresset watch … | head`).
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            return Ok(if is_found { Outcome::Found } else { Outcome::Done });
        }
        ran => ran?,
    };
    report.unreadable.splice(0..0, unreadable);
    let closing = Closing { summary: &summary, report: &report, detector: watch.detector(), names: &names };
    match output.finish(&closing) {
        // Every log was read, whoever stopped listening.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        finished => finished?,
    }
    // Last of all: a run whose findings could not be told can be repeated from the same state.
    let is_kept =
        args.state.as_ref().map_or(Ok(true), |path| state::save(path, watch.detector(), &positions, &mut err))?;
    Ok(match () {
        () if !is_kept || !is_archived => Outcome::Failed,
        () if args.strict && report.has_unread() => Outcome::Failed,
        () if report.sources == 0 => Outcome::Failed,
        () if is_found => Outcome::Found,
        () => Outcome::Done,
    })
}

/// Leaves out the file that standard output goes to: reading it would never end.
#[cfg(unix)]
fn leave_own_output(sources: &mut Vec<SourcePath>, err: &mut dyn Write) -> io::Result<()> {
    use std::os::fd::AsFd;
    use std::os::unix::fs::MetadataExt;

    let own = std::fs::File::from(io::stdout().as_fd().try_clone_to_owned()?).metadata()?;
    let is_own = |source: &SourcePath| match source {
        SourcePath::File(path, _) if own.is_file() => {
            std::fs::metadata(path).is_ok_and(|its| (its.dev(), its.ino()) == (own.dev(), own.ino()))
        }
        _ => false,
    };
    for source in sources.extract_if(.., |source| is_own(source)) {
        if let SourcePath::File(path, _) = source {
            writeln!(err, "not read: `{}`: the output goes there", escape::terminal(&path.display().to_string()))?;
        }
    }
    Ok(())
}

#[cfg(not(unix))]
fn leave_own_output(_: &mut Vec<SourcePath>, _: &mut dyn Write) -> io::Result<()> {
    Ok(())
}

/// Returns what finds the logs that are to be followed again, as [`run`] found them.
fn new_files(args: &WatchArgs) -> Arc<dyn Fn() -> Vec<SourcePath> + Send + Sync> {
    let (logs, state, folder) = (args.logs.clone(), args.state.clone(), args.archive.clone());
    Arc::new(move || {
        let (mut sources, _) = find_sources(&logs);
        // What cannot be told apart from the output is not to be read.
        if leave_own_output(&mut sources, &mut io::sink()).is_err() {
            return Vec::new();
        }
        state.iter().for_each(|state| leave_state(state, &mut sources));
        folder.iter().for_each(|folder| archive::leave_own_files(folder, &mut sources));
        sources
    })
}

/// Leaves out the file of `--state`, where it lies among the logs.
fn leave_state(state: &Path, sources: &mut Vec<SourcePath>) {
    let Ok(state) = state.canonicalize() else { return };
    let is_state = |path: &Path| path.canonicalize().is_ok_and(|path| path == state);
    sources.retain(|source| !matches!(source, SourcePath::File(path, _) if is_state(path)));
}

/// Loads the indicators, and says on standard error what of them is refused or held back; `None` where a feed cannot be read,
/// or none of its entries can.
fn compile_indicators(args: &WatchArgs, err: &mut dyn Write) -> io::Result<Option<IndicatorSet>> {
    let set = IndicatorSet::new(if args.no_warning_list { Warnings::Ignore } else { Warnings::Apply });
    for source in find_feeds(&args.indicators) {
        let (feed, left_out) = source.read_into(&set, threads(args));
        if feed.refused_count() > 0 {
            let (file, count) = (escape::terminal(&feed.file), feed.refused_count());
            if feed.indicators == 0 {
                let reason = feed.refused.first().map_or("", |refused| &refused.reason);
                writeln!(err, "cresset: no indicator of `{file}` can be used: {}", escape::terminal(reason))?;
                return Ok(None);
            }
            writeln!(err, "indicators refused: {file}: {count} entries; `cresset indicators check` says why")?;
        }
        if left_out > 0 {
            let file = escape::terminal(&feed.file);
            writeln!(err, "indicators left out: {file}: there is no room for {left_out} more")?;
        }
    }
    let held_back = set.held_back().len();
    if held_back > 0 {
        writeln!(
            err,
            "indicators held back: {held_back} are on the warning list; `cresset indicators check` names them"
        )?;
    }
    Ok(Some(set))
}

fn output<'o>(args: &WatchArgs, style: Style, out: &'o mut dyn Write) -> Box<dyn Output + 'o> {
    match args.output {
        OutputFormat::Table if args.follow => Box::new(LiveOutput::new(out, style)),
        OutputFormat::Table => Box::new(TableOutput::new(out, style, args.group_by, args.examples)),
        OutputFormat::Jsonl => Box::new(JsonlOutput::new(out)),
        OutputFormat::Csv => Box::new(CsvOutput::new(out)),
    }
}

/// Returns how many threads read feeds and match: as many as were asked for, else as there are cores.
fn threads(args: &WatchArgs) -> usize {
    args.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// Returns how many bytes there are to read, where that is known.
pub(crate) fn total_bytes(sources: &[SourcePath]) -> Option<u64> {
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
    state: Option<&'o Path>,
    /// How far files that are followed were read.
    positions: Vec<Position>,
}

impl Reporting<'_> {
    fn tell(&self, text: &str) -> io::Result<()> {
        // Where nobody hears standard error any more the watch itself goes on.
        self.bar.suspend(|| writeln!(io::stderr(), "{}", escape::terminal(text)).or(Ok(())))
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

    fn archive_is_full(&mut self, error: &ArchiveError) {
        // As with what is reloaded.
        let error = error.with_causes();
        let _ = self.tell(&format!("archive: {error}; the watch waits until there is room"));
    }

    fn mark(&mut self, detector: &Detector, positions: Vec<Position>) -> io::Result<()> {
        self.positions = positions;
        // What cannot be kept now is tried again; at the end it counts.
        self.state.map_or(Ok(()), |path| state::save(path, detector, &self.positions, &mut io::stderr()).map(drop))
    }

    fn forgotten(&mut self, dropped: &Dropped) {
        // As with what is reloaded.
        let _ = self.tell(&rules::forgotten(dropped));
    }
}

/// Returns whether a person is looking at standard error.
fn is_watched() -> bool {
    io::stderr().is_terminal()
}
