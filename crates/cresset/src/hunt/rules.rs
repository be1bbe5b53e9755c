//! `cresset hunt --rule`: what rules would have found, how often, where, and whether that is noise.

mod state;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cresset_archive::Archive;
use cresset_detect::{Cause, Detection, RuleFilter, RuleSet};
use cresset_event::FieldNames;
use cresset_pipeline::{Hunt, HuntProgress, HuntReport, Hunting, load_rules};
use serde::{Deserialize, Serialize};

use self::state::{State, tell_state};
use crate::Outcome;
use crate::archive::told;
use crate::args::{HuntArgs, HuntOutput};
use crate::escape;
use crate::output::Style;
use crate::output::rows::{ROWS_MAX, bar, counted};
use crate::watch::{Bar, tell_refused};

/// How often the state is written, and how much the program gives way to others, of 0 to 19.
const SAVE_EVERY: Duration = Duration::from_secs(2);
#[cfg(unix)]
const NICE: i32 = 10;
/// Detections of a rule that are shown.
const EXAMPLES_MAX: usize = 3;
/// Days that the table shows; all are in `--output jsonl`.
const DAYS_SHOWN_MAX: usize = 31;
/// Hits a day up to which a rule is quiet, or can be worked with.
const QUIET_A_DAY: f64 = 1.0;
const BEARABLE_A_DAY: f64 = 20.0;
/// Share of the hits on one host from which an exclusion there is worth while.
const MOSTLY: f64 = 0.8;

/// What a rule would have found.
#[derive(Default, Serialize, Deserialize)]
struct Hits {
    title: String,
    level: String,
    count: u64,
    days: BTreeMap<String, u64>,
    hosts: BTreeMap<String, u64>,
    users: BTreeMap<String, u64>,
    examples: Vec<Example>,
}

/// A detection that is shown.
#[derive(Serialize, Deserialize)]
struct Example {
    time: Option<String>,
    matched: String,
    event: String,
}

/// A rule, as programs get it.
#[derive(Serialize)]
struct Record<'h> {
    rule: &'h str,
    title: &'h str,
    count: u64,
    verdict: String,
    days: &'h BTreeMap<String, u64>,
    hosts: &'h BTreeMap<String, u64>,
    users: &'h BTreeMap<String, u64>,
    examples: Vec<String>,
}

/// Runs a hunt for rules.
pub(super) fn run(args: &HuntArgs, out: &mut dyn Write) -> io::Result<Outcome> {
    let mut err = io::stderr();
    let names = Arc::new(FieldNames::new());
    let sources = load_rules(&args.rule);
    let (rules, refused) = RuleSet::compile(sources.clone(), &RuleFilter::default(), &names);
    tell_refused(&refused, &mut err)?;
    if rules.is_empty() {
        writeln!(err, "cresset: no rule loads; `cresset rules check` says why")?;
        return Ok(Outcome::Failed);
    }
    let archive = match Archive::open(&args.archive) {
        Ok(archive) => archive,
        Err(error) => return told(&error, &mut err),
    };
    let mut state = match State::open(args, &sources, &mut err)? {
        Some(state) => state,
        None => return Ok(Outcome::Failed),
    };
    // Rules without a hit are told too.
    for rule in rules.rules() {
        let hits = state.hits.entry(key_of(rule)).or_default();
        (hits.title, hits.level) = (rule.title.clone(), rule.level.as_str().to_owned());
    }
    give_way();
    let hunt = Hunt { archive: &archive, since_inclusive: state.since(), rules: Arc::new(rules), names: &names };
    let bar = Bar::new(Some(archive.byte_len()));
    let interrupted = if args.state.is_some() { interrupts()? } else { Arc::default() };
    let report = loop {
        let done = state.done();
        let mut shown =
            Shown { state: &mut state, bar: &bar, interrupted: &interrupted, saved: Instant::now(), failed: None };
        let report = hunt.run(done, &mut shown);
        if let Some(error) = shown.failed {
            bar.finish();
            return tell_state(args, &error, &mut err);
        }
        match report {
            Ok(report) => break report,
            Err(error) => {
                bar.suspend(|| {
                    writeln!(err, "hunting all of the past again: {}", escape::terminal(&error.to_string()))
                })?;
                state.begin_anew();
            }
        }
    };
    bar.finish();
    if interrupted.load(Ordering::Relaxed) {
        writeln!(err, "cresset: broken off; the same command goes on with it")?;
        return Ok(Outcome::Failed);
    }
    state.remove();
    show(args, &state.hits, &report, out)?;
    for error in &report.damaged {
        writeln!(err, "not hunted: {}", escape::terminal(&error.with_causes()))?;
    }
    Ok(if report.damaged.is_empty() && refused.is_empty() { Outcome::Done } else { Outcome::Failed })
}

fn show(args: &HuntArgs, hits: &BTreeMap<String, Hits>, report: &HuntReport, out: &mut dyn Write) -> io::Result<()> {
    let days = days_of(report);
    if args.output == HuntOutput::Jsonl {
        for (key, hits) in hits {
            let line = serde_json::to_string(&hits.record(key, days))?;
            writeln!(out, "{}", escape::json(&line))?;
        }
        return write_closing(report, &mut io::stderr());
    }
    let style = Style::new(args.color.wanted_on(&io::stdout()));
    let mut all: Vec<&Hits> = hits.values().collect();
    all.sort_by_key(|hits| std::cmp::Reverse(hits.count));
    let quiet = all.iter().filter(|hits| hits.count == 0).count();
    let shown = if all.len() == 1 { 1 } else { all.len() - quiet };
    all.iter().take(shown).try_for_each(|hits| hits.write(days, style, out))?;
    if all.len() > 1 {
        writeln!(out, "{quiet} of {} would have found nothing", counted(all.len() as u64, "rule"))?;
    }
    write_closing(report, out)
}

/// Lets all other programs go first: what lies in the past can wait.
fn give_way() {
    #[cfg(unix)]
    // Where that is not allowed the hunt is as important as all else.
    let _ = rustix::process::nice(NICE);
}

/// Has Ctrl-C set a flag, in place of ending the program.
fn interrupts() -> io::Result<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    #[cfg(unix)]
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // A second one ends it at once.
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&interrupted))?;
        signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
    }
    Ok(interrupted)
}

/// Adds up what is found, and keeps how far the hunt is.
struct Shown<'s> {
    state: &'s mut State,
    bar: &'s Bar,
    interrupted: &'s AtomicBool,
    /// When the state was written last.
    saved: Instant,
    failed: Option<io::Error>,
}

impl Hunting for Shown<'_> {
    fn found(&mut self, detection: Detection) -> ControlFlow<()> {
        if let Cause::Rule(rule) | Cause::Correlation { rule, .. } = &detection.cause {
            self.state.hits.entry(key_of(rule)).or_default().add(&detection);
        }
        ControlFlow::Continue(())
    }

    fn progress(&mut self, progress: &HuntProgress<'_>) -> ControlFlow<()> {
        self.bar.set_bytes(progress.bytes, progress.bytes_total);
        let is_interrupted = self.interrupted.load(Ordering::Relaxed);
        if is_interrupted || self.saved.elapsed() >= SAVE_EVERY {
            self.failed = self.state.save(progress).err();
            self.saved = Instant::now();
        }
        if is_interrupted || self.failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// What tells a rule from others: its id, else its title.
fn key_of(rule: &cresset_detect::Rule) -> String {
    rule.id.clone().unwrap_or_else(|| rule.title.clone())
}

/// Returns how many days the events span, at least one.
fn days_of(report: &HuntReport) -> f64 {
    const DAY_NANOS: f64 = 86_400e9;
    let nanos = report.times.map_or(0.0, |(first, last)| last.as_nanos() as f64 - first.as_nanos() as f64);
    (nanos / DAY_NANOS).max(1.0)
}

fn write_closing(report: &HuntReport, out: &mut dyn Write) -> io::Result<()> {
    let span = report.times.map_or(String::new(), |(first, last)| format!(", {first} to {last}"));
    writeln!(out, "{} looked at{span}", counted(report.events, "event"))
}

impl Hits {
    fn add(&mut self, detection: &Detection) {
        self.count += 1;
        let day = detection.time.known().map_or_else(|| "unknown".to_owned(), |time| time.to_string()[..10].to_owned());
        *self.days.entry(day).or_default() += 1;
        for (names, name) in [(&mut self.hosts, &detection.host), (&mut self.users, &detection.user)] {
            if let Some(name) = name {
                *names.entry(name.clone()).or_default() += 1;
            }
        }
        if self.examples.len() < EXAMPLES_MAX {
            let matched = detection.matched.first();
            let matched = matched.map_or(String::new(), |matched| {
                format!("{}={}", matched.field, matched.value.as_deref().unwrap_or("null"))
            });
            let time = detection.time.known().map(|time| time.to_string());
            self.examples.push(Example { time, matched, event: detection.event.to_string() });
        }
    }

    /// Forgets what was found.
    fn clear(&mut self) {
        *self =
            Self { title: std::mem::take(&mut self.title), level: std::mem::take(&mut self.level), ..Self::default() };
    }

    /// Whether the rule is noise, for a person.
    fn verdict(&self, days: f64) -> String {
        let a_day = self.count as f64 / days;
        let verdict = match () {
            () if self.count == 0 => {
                return "no hit: quiet, or blind; try it on an attack (`cresset rules test`)".into();
            }
            () if a_day <= QUIET_A_DAY => "quiet",
            () if a_day <= BEARABLE_A_DAY => "bearable",
            () => "noise",
        };
        let most = self.hosts.iter().max_by_key(|(_, count)| **count);
        let on_one = most.filter(|(_, count)| self.hosts.len() > 1 && **count as f64 >= MOSTLY * self.count as f64);
        let hint = on_one.map_or(String::new(), |(host, count)| {
            format!("; {:.0} % on {host}: look there first, or leave it out", 100.0 * *count as f64 / self.count as f64)
        });
        format!("{verdict}: {a_day:.1} a day{hint}")
    }

    fn record<'h>(&'h self, key: &'h str, days: f64) -> Record<'h> {
        Record {
            rule: key,
            title: &self.title,
            count: self.count,
            verdict: self.verdict(days),
            days: &self.days,
            hosts: &self.hosts,
            users: &self.users,
            examples: self.examples.iter().map(|example| example.event.clone()).collect(),
        }
    }

    fn write(&self, days: f64, style: Style, out: &mut dyn Write) -> io::Result<()> {
        let level = self.level.parse().map_or(String::new(), |level| style.level(level));
        writeln!(out, "{level} {}  {}", style.bold(escape::terminal(&self.title)), counted(self.count, "hit"))?;
        writeln!(out, "  {}", escape::terminal(&self.verdict(days)))?;
        let most = self.days.values().copied().max().unwrap_or(0);
        let hidden = self.days.len().saturating_sub(DAYS_SHOWN_MAX);
        if hidden > 0 {
            writeln!(out, "    … {} before", counted(hidden as u64, "day"))?;
        }
        for (day, count) in self.days.iter().skip(hidden) {
            writeln!(out, "    {day} {count:>8}  {}", bar(*count, most))?;
        }
        for (what, names) in [("hosts", &self.hosts), ("users", &self.users)] {
            let mut names: Vec<(&String, &u64)> = names.iter().collect();
            names.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
            let shown: Vec<String> =
                names.iter().take(ROWS_MAX).map(|(name, count)| format!("{name} ({count})")).collect();
            if !shown.is_empty() {
                writeln!(out, "  {what}: {}", escape::terminal(&shown.join(", ")))?;
            }
        }
        for Example { time, matched, event } in &self.examples {
            let time = time.as_deref().unwrap_or("time not known");
            writeln!(out, "    {time}  {}  {}", escape::terminal(matched), style.dim(format_args!("event {event}")))?;
        }
        writeln!(out)
    }
}
