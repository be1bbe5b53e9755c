//! Coverage for people.

use std::io::{self, Write};

use super::covered::{Covered, Levels, levels_of};
use super::{FedBy, Feeding, Findings};
use crate::escape;
use crate::output::Style;
use crate::output::rows::{ROWS_MAX, bar_width, counted, write_rest};

/// ATT&CK 19 put the first two in the place of the third. Rules follow one of them, and the other is no gap.
const SPLIT_TACTICS: [&str; 3] = ["Stealth", "Defense Impairment", "Defense Evasion"];

pub(super) fn write(findings: &Findings<'_>, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let Findings { covered, feeding, .. } = findings;
    let techniques = counted(covered.techniques().len() as u64, "technique");
    let rules = counted(covered.rules as u64, "rule");
    writeln!(out, "{}", style.bold(format_args!("ATT&CK coverage: {techniques} in {rules}")))?;
    writeln!(
        out,
        "  {} name techniques, {} a tactic only, {} neither; a sub-technique counts as one of its own\n",
        covered.with_technique(),
        covered.tactic_only,
        covered.untagged.len()
    )?;
    write_levels(covered, style, out)?;
    write_tactics(covered, style, out)?;
    write_techniques(covered, style, out)?;
    write_untagged(covered, style, out)?;
    write_feeding(feeding, style, out)
}

fn write_levels(covered: &Covered<'_>, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let most = covered.levels.values().copied().max().unwrap_or(0);
    for (level, count) in covered.levels.iter().rev() {
        let only = Levels::from([(*level, *count)]);
        writeln!(out, "  {} {count:>8}  {}", style.level(*level), bar(&only, most, style))?;
    }
    writeln!(out)
}

fn write_tactics(covered: &Covered<'_>, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let heading = format!("  {:<24} {:>10} {:>8}", "Tactics", "techniques", "rules");
    writeln!(out, "{}", style.bold(heading))?;
    let most = covered.tactics.iter().map(|tactic| tactic.rules()).max().unwrap_or(0);
    for tactic in &covered.tactics {
        let (techniques, rules) = (tactic.techniques.len(), tactic.rules());
        let line = format!("    {:<22} {techniques:>10} {rules:>8}", tactic.name);
        match rules {
            0 if SPLIT_TACTICS.contains(&tactic.name) => {}
            0 => writeln!(out, "{}", style.dim(line))?,
            _ => writeln!(out, "{line}  {}", bar(&tactic.levels, most, style))?,
        }
    }
    writeln!(out)
}

fn write_techniques(covered: &Covered<'_>, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let techniques = covered.techniques();
    let Some((_, first)) = techniques.first() else { return Ok(()) };
    writeln!(out, "{}", style.bold("  Techniques with most rules"))?;
    for (technique, rules) in techniques.iter().take(ROWS_MAX) {
        let bar = bar(&levels_of(rules), first.len(), style);
        writeln!(out, "    {:<22} {:>19}  {bar}", escape::terminal(technique), rules.len())?;
    }
    write_rest(techniques.len(), out)
}

fn write_untagged(covered: &Covered<'_>, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let untagged = &covered.untagged;
    if untagged.is_empty() {
        return Ok(());
    }
    writeln!(out, "{}", style.bold("  Rules that name neither technique nor tactic"))?;
    for rule in untagged.iter().take(ROWS_MAX) {
        let (title, file) = (escape::terminal(&rule.title), escape::terminal(&rule.file));
        writeln!(out, "    {} {title}  {}", style.level(rule.level), style.dim(file))?;
    }
    write_rest(untagged.len(), out)
}

/// Says which log sources rules wait for: all of them, since each is a log to be had or a rule to be dropped.
fn write_feeding(feeding: &Feeding, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let (fed, heading) = match feeding.by {
        FedBy::Logs => {
            ("have a log source that is in these logs", "Log sources that rules ask for and that no log here has")
        }
        FedBy::Formats => {
            ("have a log source that can be read", "Log sources that rules ask for and that no format gives")
        }
    };
    let missing = feeding.sources_missing();
    if !missing.is_empty() {
        writeln!(out, "{}", style.bold(format_args!("  {heading}")))?;
        for source in &missing {
            writeln!(out, "    {:>8}  {}", source.rules, escape::terminal(&source.shown))?;
        }
        writeln!(out)?;
    }
    let unfed: usize = missing.iter().map(|source| source.rules).sum();
    writeln!(out, "  {} of {} rules {fed}", feeding.coverage.rules_fed, feeding.rules)?;
    if unfed > 0 {
        let (rules, sources) = (counted(unfed as u64, "rule"), counted(missing.len() as u64, "other log source"));
        writeln!(out, "  {rules} wait for {sources}")?;
    }
    match feeding.correlations_unfed() {
        0 => Ok(()),
        count => writeln!(out, "  {} cannot fire without them", counted(count as u64, "correlation")),
    }
}

/// Draws a count as its share of the highest, in the colours of its levels, the worst first.
fn bar(levels: &Levels, most: usize, style: Style) -> String {
    let total: usize = levels.values().sum();
    let width = bar_width(total as u64, most as u64);
    let (mut drawn, mut rules, mut at) = (String::new(), 0, 0);
    for (level, count) in levels.iter().rev() {
        rules += count;
        let end = width * rules / total.max(1);
        if end > at {
            drawn.push_str(&style.as_level(*level, "▪".repeat(end - at)));
        }
        at = end;
    }
    drawn
}
