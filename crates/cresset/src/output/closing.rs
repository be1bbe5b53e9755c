//! What stands under the table: counts by level, tactic and host, a timeline, the loudest rules, and what was read.

use std::io::{self, Write};

use cresset_detect::{Detector, Level, Overrun, RuleSet, TACTICS};
use cresset_event::{FieldNames, Timestamp};
use cresset_pipeline::Report;

use crate::escape;
use crate::output::rows::{ROWS_MAX, bar, counted, write_rest};
use crate::output::timeline::Columns;
use crate::output::{Style, Summary};

/// Width of the timeline, in characters.
const WIDTH: usize = 48;

/// Everything that is said at the end.
pub(crate) struct Closing<'c> {
    pub(crate) summary: &'c Summary,
    pub(crate) report: &'c Report,
    pub(crate) detector: &'c Detector,
    pub(crate) names: &'c FieldNames,
}

impl Closing<'_> {
    /// Writes the whole summary.
    pub(super) fn write(&self, style: Style, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}", style.bold("Summary"))?;
        write_levels(self.summary, style, out)?;
        write_tactics(self.summary, out)?;
        write_hosts(self.summary, style, out)?;
        write_timeline(self.summary, out)?;
        write_top_rules(self.summary, style, out)?;
        write_coverage(self.report, self.detector.rules(), self.names, out)?;
        write_correlations(self.detector, out)?;
        write_overruns(self.detector, out)?;
        write_reading(self.summary, self.report, out)
    }

    /// Writes one line, for standard error where the output is for a program.
    pub(crate) fn write_short(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self { summary, report, .. } = self;
        writeln!(
            out,
            "cresset: {} in {} of {}; {} and {} not read; {}",
            counted(summary.detections, "detection"),
            counted(report.events, "event"),
            counted(report.sources, "source"),
            counted(report.skipped, "record"),
            counted(report.unreadable.len() as u64, "source"),
            rate(report)
        )?;
        write_archived(report, out)?;
        write_shed(self.detector, out)?;
        write_overruns(self.detector, out)
    }
}

fn write_levels(summary: &Summary, style: Style, out: &mut dyn Write) -> io::Result<()> {
    for level in Level::ALL.into_iter().rev() {
        let count = summary.levels().get(&level).copied().unwrap_or(0);
        if count > 0 {
            writeln!(out, "  {} {count:>8}", style.level(level))?;
        }
    }
    if summary.detections == 0 {
        writeln!(out, "  nothing was found")?;
    }
    writeln!(out)
}

fn write_tactics(summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
    let most = summary.tactics().values().copied().max().unwrap_or(0);
    if most == 0 {
        return Ok(());
    }
    writeln!(out, "  ATT&CK tactics")?;
    for (_, name) in TACTICS {
        if let Some(count) = summary.tactics().get(name) {
            writeln!(out, "    {name:<22} {count:>8}  {}", bar(*count, most))?;
        }
    }
    writeln!(out)
}

fn write_hosts(summary: &Summary, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let mut hosts = summary.hosts();
    if hosts.is_empty() {
        return Ok(());
    }
    let total = hosts.len();
    hosts.truncate(ROWS_MAX);
    writeln!(out, "  Hosts")?;
    for (host, worst, count) in hosts {
        writeln!(out, "    {} {count:>8}  {}", style.level(worst), escape::terminal(host))?;
    }
    write_rest(total, out)
}

fn write_top_rules(summary: &Summary, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let mut rules = summary.rules();
    if rules.is_empty() {
        return Ok(());
    }
    let total = rules.len();
    rules.truncate(ROWS_MAX);
    writeln!(out, "  Rules and indicators that found most")?;
    for (title, level, count) in rules {
        writeln!(out, "    {} {count:>8}  {}", style.level(level), escape::terminal(title))?;
    }
    write_rest(total, out)
}

/// Draws detections over time, as many columns as fit, each as high as its share of the highest.
fn write_timeline(summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
    const STEPS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let Some(Columns { first, last, counts }) = summary.timeline().columns(WIDTH) else { return Ok(()) };
    let most = counts.iter().copied().max().unwrap_or(1).max(1);
    let step = |count: &u64| usize::try_from((count * 8).div_ceil(most)).unwrap_or(8);
    let drawn: String = counts.iter().map(|count| STEPS[step(count)]).collect();
    writeln!(out, "  Detections over time, at most {most} a column")?;
    writeln!(out, "    {} │{drawn}│ {}\n", minute(first), minute(last))
}

fn minute(moment: Timestamp) -> String {
    moment.to_string().chars().take(16).collect::<String>().replace('T', " ")
}

/// Says how many rules could find anything here, and which fields they wait for in vain.
fn write_coverage(report: &Report, rules: &RuleSet, names: &FieldNames, out: &mut dyn Write) -> io::Result<()> {
    let coverage = rules.coverage(&report.log_sources());
    writeln!(out, "  {} of {} rules had a log source that feeds them", coverage.rules_fed, rules.count_used())?;
    let is_missing = |field: &str| names.find(field).is_none_or(|id| !report.has_seen(id));
    let mut missing: Vec<(&String, &usize)> = coverage.fields.iter().filter(|(field, _)| is_missing(field)).collect();
    missing.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    if !missing.is_empty() {
        let shown: Vec<String> = missing
            .iter()
            .take(ROWS_MAX)
            .map(|(field, rules)| format!("{} ({rules})", escape::terminal(field)))
            .collect();
        let rest =
            if missing.len() > ROWS_MAX { format!(", and {} more", missing.len() - ROWS_MAX) } else { String::new() };
        let fields = counted(missing.len() as u64, "field");
        writeln!(out, "  {fields} that these rules ask for in no event: {}{rest}", shown.join(", "))?;
    }
    writeln!(out)
}

/// Says what correlations could not take into account.
fn write_correlations(detector: &Detector, out: &mut dyn Write) -> io::Result<()> {
    let stats = detector.correlation_stats();
    let left_out = [
        (stats.times_unknown, "without a time that can be read"),
        (stats.times_future, "dated in the future"),
        (stats.ungrouped, "without a field to group by"),
        (stats.valueless, "without the value that is counted"),
        (stats.windows_left, "too late for every window with them to be looked at"),
        (stats.entries_shed, "forgotten, since their group had too many"),
    ];
    for (count, reason) in left_out.into_iter().filter(|(count, _)| *count > 0) {
        writeln!(out, "  correlations left out {}: {reason}", counted(count, "event"))?;
    }
    write_shed(detector, out)
}

/// Names the rules that used up their budget, or a part of it.
fn write_overruns(detector: &Detector, out: &mut dyn Write) -> io::Result<()> {
    detector.rules().overruns().try_for_each(|overrun| {
        let Overrun { rule, events } = &overrun;
        let (title, file) = (escape::terminal(&rule.title), escape::terminal(&rule.file));
        let events = counted(u64::from(*events), "event");
        let then = if overrun.is_stopped() { "and was stopped" } else { "and goes on" };
        writeln!(out, "  rule `{title}` ({file}) took too long over {events} {then}; simplify its regular expression")
    })
}

/// Names the correlations that had more to remember than there is room for.
fn write_shed(detector: &Detector, out: &mut dyn Write) -> io::Result<()> {
    detector.correlations_shed().iter().try_for_each(|(title, groups)| {
        let groups = counted(*groups, "group");
        writeln!(out, "  correlation `{}` forgot {groups}, since there were too many", escape::terminal(title))
    })
}

fn write_reading(summary: &Summary, report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let formats: Vec<String> = report.formats.iter().map(|(format, count)| format!("{count} {format}")).collect();
    let formats = if formats.is_empty() { String::new() } else { format!(" ({})", formats.join(", ")) };
    writeln!(
        out,
        "  {} in {} of {}{formats}",
        counted(summary.detections, "detection"),
        counted(report.events, "event"),
        counted(report.sources, "source"),
    )?;
    if let Some((first, last)) = report.span {
        writeln!(out, "  events from {first} to {last}")?;
    }
    if report.events_outside > 0 {
        writeln!(out, "  {} lay outside --since and --until", counted(report.events_outside, "event"))?;
    }
    if report.times_unknown + report.times_future > 0 {
        writeln!(
            out,
            "  {} without a time that can be read, {} dated in the future",
            counted(report.times_unknown, "event"),
            report.times_future
        )?;
    }
    if report.fields_cut > 0 {
        writeln!(out, "  {} left out, since their event has too many", counted(report.fields_cut, "field"))?;
    }
    let (records, sources) = (counted(report.skipped, "record"), counted(report.unreadable.len() as u64, "source"));
    writeln!(out, "  {records} and {sources} could not be read")?;
    write_archived(report, out)?;
    writeln!(out, "  {}", rate(report))
}

fn write_archived(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let Report { archived, archived_before, archived_detections, .. } = report;
    let new = format!("{} and {}", counted(*archived, "event"), counted(*archived_detections, "detection"));
    match (*archived, *archived_before) {
        (0, 0) => Ok(()),
        (_, 0) => writeln!(out, "  {new} archived"),
        (_, known) => writeln!(out, "  {new} archived; {known} were there already"),
    }
}

fn rate(report: &Report) -> String {
    let seconds = report.took.as_secs_f64().max(1e-9);
    let megabytes = report.bytes as f64 / 1e6;
    format!("{:.0} events/s, {:.1} MB/s, {seconds:.1} s", report.events as f64 / seconds, megabytes / seconds)
}
