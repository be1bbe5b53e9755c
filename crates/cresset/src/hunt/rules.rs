//! `cresset hunt --rule`: what rules would have found, how often, where, and whether that is noise.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::sync::Arc;

use cresset_archive::Archive;
use cresset_detect::{Cause, Detection, Detector, IndicatorSet, RuleFilter, RuleSet};
use cresset_event::{FieldNames, Timestamp};
use cresset_pipeline::{HuntReport, hunt_rules, load_rules};
use serde::Serialize;

use crate::Outcome;
use crate::archive::told;
use crate::args::{HuntArgs, HuntOutput};
use crate::escape;
use crate::output::Style;
use crate::output::rows::{ROWS_MAX, bar, counted};
use crate::watch::tell_refused;

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
#[derive(Default)]
struct Hits {
    title: String,
    level: Option<cresset_detect::Level>,
    count: u64,
    days: BTreeMap<String, u64>,
    hosts: BTreeMap<String, u64>,
    users: BTreeMap<String, u64>,
    examples: Vec<Detection>,
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
    let (rules, refused) = RuleSet::compile(load_rules(&args.rule), &RuleFilter::default(), &names);
    tell_refused(&refused, &mut err)?;
    if rules.is_empty() {
        writeln!(err, "cresset: no rule loads; `cresset rules check` says why")?;
        return Ok(Outcome::Failed);
    }
    let archive = match Archive::open(&args.archive) {
        Ok(archive) => archive,
        Err(error) => return told(&error, &mut err),
    };
    let since = args.last.map(|last| {
        let nanos = i64::try_from(last.as_nanos()).unwrap_or(i64::MAX);
        Timestamp::now().saturating_add_nanos(-nanos)
    });
    // Rules without a hit are told too.
    let mut hits: BTreeMap<String, Hits> = BTreeMap::new();
    for rule in rules.rules() {
        let title = rule.title.clone();
        hits.insert(key_of(rule), Hits { title, level: Some(rule.level), ..Hits::default() });
    }
    let mut detector = Detector::new(Arc::new(rules), Arc::new(IndicatorSet::default()));
    let report = hunt_rules(&archive, since, &mut detector, &names, |detection| {
        if let Cause::Rule(rule) | Cause::Correlation { rule, .. } = &detection.cause {
            hits.entry(key_of(rule)).or_default().add(detection);
        }
        ControlFlow::Continue(())
    });
    let days = days_of(&report);
    match args.output {
        HuntOutput::Jsonl => {
            for (key, hits) in &hits {
                let line = serde_json::to_string(&hits.record(key, days))?;
                writeln!(out, "{}", escape::json(&line))?;
            }
            write_closing(&report, &mut err)?;
        }
        HuntOutput::Table => {
            let style = Style::new(args.color.wanted_on(&io::stdout()));
            let mut all: Vec<&Hits> = hits.values().collect();
            all.sort_by_key(|hits| std::cmp::Reverse(hits.count));
            let quiet = all.iter().filter(|hits| hits.count == 0).count();
            let shown = if all.len() == 1 { 1 } else { all.len() - quiet };
            all.iter().take(shown).try_for_each(|hits| hits.write(days, style, out))?;
            if all.len() > 1 {
                writeln!(out, "{quiet} of {} would have found nothing", counted(all.len() as u64, "rule"))?;
            }
            write_closing(&report, out)?;
        }
    }
    for error in &report.damaged {
        writeln!(err, "not hunted: {}", escape::terminal(&error.with_causes()))?;
    }
    Ok(if report.damaged.is_empty() && refused.is_empty() { Outcome::Done } else { Outcome::Failed })
}

/// What tells a rule from others: its id, else its title.
fn key_of(rule: &cresset_detect::Rule) -> String {
    rule.id.clone().unwrap_or_else(|| rule.title.clone())
}

/// Returns how many days the events span, at least one.
fn days_of(report: &HuntReport) -> f64 {
    const DAY_NANOS: f64 = 86_400e9;
    let nanos = report.span.map_or(0.0, |(first, last)| last.as_nanos() as f64 - first.as_nanos() as f64);
    (nanos / DAY_NANOS).max(1.0)
}

fn write_closing(report: &HuntReport, out: &mut dyn Write) -> io::Result<()> {
    let span = report.span.map_or(String::new(), |(first, last)| format!(", {first} to {last}"));
    writeln!(out, "{} matched{span}", counted(report.events, "event"))
}

impl Hits {
    fn add(&mut self, detection: Detection) {
        self.count += 1;
        let day = detection.time.known().map_or_else(|| "unknown".to_owned(), |time| time.to_string()[..10].to_owned());
        *self.days.entry(day).or_default() += 1;
        for (names, name) in [(&mut self.hosts, &detection.host), (&mut self.users, &detection.user)] {
            if let Some(name) = name {
                *names.entry(name.clone()).or_default() += 1;
            }
        }
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(detection);
        }
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
            examples: self.examples.iter().map(|detection| detection.event.to_string()).collect(),
        }
    }

    fn write(&self, days: f64, style: Style, out: &mut dyn Write) -> io::Result<()> {
        let level = self.level.map_or(String::new(), |level| style.level(level));
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
        for detection in &self.examples {
            let matched = detection.matched.first();
            let matched = matched.map_or(String::new(), |matched| {
                format!("{}={}", matched.field, matched.value.as_deref().unwrap_or("null"))
            });
            let time = detection.time.known().map_or_else(|| "time not known".to_owned(), |time| time.to_string());
            writeln!(
                out,
                "    {time}  {}  {}",
                escape::terminal(&matched),
                style.dim(format_args!("event {}", detection.event))
            )?;
        }
        writeln!(out)
    }
}
