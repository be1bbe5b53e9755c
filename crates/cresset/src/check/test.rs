//! `cresset rules test`: whether rules fit events, and why.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use cresset_detect::{Explained, RuleExplained};
use cresset_event::{Event, LogSource};
use cresset_ingest::{Opener, Record};
use cresset_pipeline::load_rules;

use crate::Outcome;
use crate::args::RulesTestArgs;
use crate::escape;
use crate::output::Style;

/// Most events that are explained: it is for a few, `cresset watch` is for many.
const EVENTS_MAX: usize = 100;

/// Runs the test.
pub(crate) fn run(args: &RulesTestArgs, out: &mut dyn Write) -> io::Result<Outcome> {
    let style = Style::new(args.color.wanted_on(&io::stdout()));
    let rules = load_rules(&args.paths);
    let mut reader = match Opener::new(Arc::default()).open_file(Path::new(&args.event)) {
        Ok(reader) => reader,
        Err(error) => {
            writeln!(io::stderr(), "cresset: {}", escape::terminal(&error.to_string()))?;
            return Ok(Outcome::Failed);
        }
    };
    let (mut tested, mut fitted) = (0, false);
    while let Some(record) = reader.next_record() {
        let event = match record {
            Record::Event(event) => event,
            Record::Skipped(skipped) => {
                writeln!(io::stderr(), "not read: {}", escape::terminal(&skipped.to_string()))?;
                continue;
            }
        };
        if args.record.is_some_and(|number| number != event.origin().record) {
            continue;
        }
        if tested == EVENTS_MAX {
            writeln!(io::stderr(), "cresset: the first {EVENTS_MAX} events were tested; name one with --record")?;
            break;
        }
        tested += 1;
        for explained in rules.explain(&event) {
            match explained {
                Ok(explained) => {
                    fitted |= explained.holds();
                    write_rule(&explained, &event, style, out)?;
                }
                Err(reason) => writeln!(out, "{}\n", escape::terminal(&reason))?,
            }
        }
    }
    if tested == 0 {
        writeln!(
            io::stderr(),
            "cresset: no event was tested; `{}` has none of this number",
            escape::terminal(&args.event)
        )?;
    }
    Ok(if fitted { Outcome::Done } else { Outcome::Failed })
}

fn write_rule(explained: &RuleExplained, event: &Event, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let verdict = if explained.holds() { style.matched("fits") } else { style.bold("does not fit") };
    let title = style.bold(escape::terminal(&explained.title));
    writeln!(out, "{title} {verdict} record {}", event.origin().record)?;
    let source = format!(
        "log source: the rule is for {}, the event is {}",
        explained.wants_source,
        show_source(&event.origin().log_source)
    );
    writeln!(out, "  {} {}", mark(explained.fits_source, style), escape::terminal(&source))?;
    write_part(&explained.condition, 1, style, out)?;
    writeln!(out)
}

fn write_part(part: &Explained, depth: usize, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let seen = match part.seen.as_deref() {
        None => String::new(),
        Some([]) => "  (the event has no such field)".into(),
        Some(values) => format!("  (is {})", values.join(" | ")),
    };
    let (what, seen) = (escape::terminal(&part.what), style.dim(escape::terminal(&seen)));
    writeln!(out, "{:indent$}{} {what}{seen}", "", mark(part.holds, style), indent = depth * 2)?;
    part.parts.iter().try_for_each(|part| write_part(part, depth + 1, style, out))
}

fn mark(holds: bool, style: Style) -> String {
    if holds { style.matched("yes") } else { style.dim("no ") }
}

fn show_source(source: &LogSource) -> String {
    let words = [&source.product, &source.service].into_iter().flatten().chain(&source.categories);
    let words: Vec<&str> = words.map(String::as_str).collect();
    if words.is_empty() { "of none that is known".into() } else { words.join("/") }
}
