//! The table for people: detections grouped by rule or host, the worst first, each group with a few examples.
//!
//! Groups are kept and not detections, so that a million detections of one rule take no more room than a few.

use std::collections::HashMap;
use std::io::{self, Write};

use cresset_detect::{Detection, Level};
use cresset_event::EventTime;

use super::{Closing, Output, Style};
use crate::args::GroupBy;
use crate::escape;

/// Most groups that are kept; detections past them are counted only.
const GROUPS_MAX: usize = 20_000;
/// Longest value that a line shows; the whole one is in `--output jsonl`.
const SHOWN_CHARS_MAX: usize = 160;
/// Most matched fields that an example shows.
const SHOWN_FIELDS_MAX: usize = 6;

/// Collects detections and shows them at the end.
pub(crate) struct TableOutput<'o> {
    out: &'o mut dyn Write,
    style: Style,
    group_by: GroupBy,
    examples_max: usize,
    groups: HashMap<String, Group>,
    ungrouped: u64,
}

/// Detections that are shown together: of one rule, or on one host.
struct Group {
    level: Level,
    count: u64,
    /// What finds all that is here; `None` where rules and indicators are mixed.
    kind: Option<&'static str>,
    techniques: Vec<String>,
    tactics: Vec<&'static str>,
    /// The other side's names: hosts of a rule, rules on a host.
    others: HashMap<String, (Level, u64)>,
    examples: Vec<Detection>,
}

impl<'o> TableOutput<'o> {
    pub(crate) fn new(out: &'o mut dyn Write, style: Style, group_by: GroupBy, examples_max: usize) -> Self {
        Self { out, style, group_by, examples_max, groups: HashMap::new(), ungrouped: 0 }
    }

    fn write_group(&mut self, name: &str, group: &Group) -> io::Result<()> {
        let style = self.style;
        let about = about(group.kind, &group.techniques, &group.tactics);
        write_heading(self.out, style, group.level, name, group.count, &about)?;
        if self.group_by == GroupBy::Host {
            self.write_others(group)?;
        }
        for example in &group.examples {
            write_example(self.out, style, example)?;
        }
        let hidden = group.count.saturating_sub(group.examples.len() as u64);
        if hidden > 0 && !group.examples.is_empty() {
            writeln!(self.out, "    {}", style.dim(format_args!("… and {hidden} more")))?;
        }
        writeln!(self.out)
    }

    fn write_others(&mut self, group: &Group) -> io::Result<()> {
        let mut others: Vec<_> = group.others.iter().collect();
        others.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        for (title, (level, count)) in others {
            writeln!(self.out, "    {} {count:>6} × {}", self.style.level(*level), escape::terminal(title))?;
        }
        Ok(())
    }
}

impl Output for TableOutput<'_> {
    fn detection(&mut self, detection: &Detection) -> io::Result<()> {
        let host = detection.host.as_deref().unwrap_or("(host unknown)");
        let title = detection.title();
        let (name, other) = match self.group_by {
            GroupBy::Rule => (&*title, host),
            GroupBy::Host => (host, &*title),
        };
        if self.groups.len() >= GROUPS_MAX && !self.groups.contains_key(name) {
            self.ungrouped += 1;
            return Ok(());
        }
        let group = self.groups.entry(name.to_owned()).or_insert_with(|| Group::new(detection));
        group.add(detection, other, self.examples_max);
        Ok(())
    }

    fn finish(mut self: Box<Self>, closing: &Closing<'_>) -> io::Result<()> {
        let mut groups: Vec<(String, Group)> = std::mem::take(&mut self.groups).into_iter().collect();
        groups.sort_by(|(a_name, a), (b_name, b)| {
            b.level.cmp(&a.level).then(b.count.cmp(&a.count)).then(a_name.cmp(b_name))
        });
        for (name, group) in &groups {
            self.write_group(name, group)?;
        }
        if self.ungrouped > 0 {
            writeln!(self.out, "{} detections in further groups are not shown; use --output jsonl\n", self.ungrouped)?;
        }
        let style = self.style;
        closing.write(style, self.out)
    }
}

impl Group {
    fn new(detection: &Detection) -> Self {
        Self {
            level: detection.level(),
            count: 0,
            kind: Some(detection.kind()),
            techniques: Vec::new(),
            tactics: Vec::new(),
            others: HashMap::new(),
            examples: Vec::new(),
        }
    }

    fn add(&mut self, detection: &Detection, other: &str, examples_max: usize) {
        let level = detection.level();
        self.level = self.level.max(level);
        self.count += 1;
        self.kind = self.kind.filter(|kind| *kind == detection.kind());
        for technique in detection.techniques() {
            if !self.techniques.contains(technique) {
                self.techniques.push(technique.clone());
            }
        }
        for tactic in detection.tactics() {
            if !self.tactics.contains(tactic) {
                self.tactics.push(tactic);
            }
        }
        if self.others.len() < GROUPS_MAX || self.others.contains_key(other) {
            let count = self.others.entry(other.to_owned()).or_insert((level, 0));
            count.1 += 1;
        }
        if self.examples.len() < examples_max {
            self.examples.push(detection.clone());
        }
    }
}

/// Returns what is said of a title: what found it where that is no rule, and what it means in ATT&CK.
pub(super) fn about(kind: Option<&str>, techniques: &[String], tactics: &[&str]) -> String {
    let kind = kind.filter(|kind| *kind != "rule");
    let techniques = techniques.iter().map(String::as_str);
    kind.into_iter().chain(techniques).chain(tactics.iter().copied()).collect::<Vec<_>>().join(" · ")
}

/// Writes what was found, how often, and what is said of it.
pub(super) fn write_heading(
    out: &mut dyn Write,
    style: Style,
    level: Level,
    name: &str,
    count: u64,
    about: &str,
) -> io::Result<()> {
    let count = if count == 1 { String::new() } else { format!("  {count} times") };
    let (name, about) = (style.bold(escape::terminal(name)), style.dim(about));
    writeln!(out, "{} {name}{count}  {about}", style.level(level))
}

/// Writes one detection: when, where, who, and what fitted.
pub(super) fn write_example(out: &mut dyn Write, style: Style, detection: &Detection) -> io::Result<()> {
    let time = match detection.time {
        EventTime::Known(time) => time.to_string(),
        EventTime::Unknown(_) => "time unknown".into(),
    };
    let who = [("host", &detection.host), ("user", &detection.user), ("process", &detection.process)];
    let who: String =
        who.into_iter().filter_map(|(word, value)| Some(format!("  {word} {}", shown(value.as_deref()?)))).collect();
    writeln!(out, "    {time}{who}")?;
    for matched in detection.matched.iter().take(SHOWN_FIELDS_MAX) {
        let value = matched.value.as_deref().map_or_else(|| "(none)".into(), shown);
        writeln!(out, "      {} {}", style.dim(format_args!("{}:", shown(&matched.field))), style.matched(value))?;
    }
    let place = format!("{} record {}", shown(&detection.source.name), detection.record);
    writeln!(out, "      {}", style.dim(place))
}

/// A value for one line: escaped, and cut where it is long.
fn shown(value: &str) -> String {
    let escaped = escape::terminal(value);
    match escaped.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &escaped[..end]),
        None => escaped.into_owned(),
    }
}
