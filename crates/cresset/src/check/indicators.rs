//! `cresset indicators check`.

use std::collections::BTreeMap;
use std::io::{self, Write};

use cresset_detect::WarningList;
use cresset_event::{Indicator, Timestamp};
use cresset_intel::{Feed, FeedKind, Tally};
use cresset_pipeline::find_feeds;
use serde::Serialize;

use crate::Outcome;
use crate::args::{CheckOutput, IndicatorsCheckArgs};
use crate::escape;

/// What `--output json` gives: one object.
#[derive(Serialize, Default)]
struct Checked {
    loaded: usize,
    files: Vec<FileOut>,
    held_back: Vec<HeldBack>,
    refused: Vec<RefusedOut>,
}

#[derive(Serialize)]
struct FileOut {
    file: String,
    format: &'static str,
    loaded: usize,
    types: BTreeMap<&'static str, usize>,
    duplicates: usize,
    expired: usize,
    not_yet_valid: usize,
    revoked: usize,
    refused: usize,
}

#[derive(Serialize)]
struct HeldBack {
    file: String,
    value: String,
    reason: String,
}

#[derive(Serialize)]
struct RefusedOut {
    file: String,
    line: Option<u64>,
    object: Option<String>,
    reason: String,
    quote: String,
}

/// Says which indicators load and which do not.
pub(crate) fn run(args: &IndicatorsCheckArgs, out: &mut dyn Write) -> io::Result<Outcome> {
    let checked = check(&args.paths);
    let is_whole = checked.files.iter().all(|file| file.refused == 0);
    match args.output {
        CheckOutput::Json => writeln!(out, "{}", escape::json(&serde_json::to_string(&checked)?))?,
        CheckOutput::Text => write_text(&checked, out)?,
    }
    Ok(if is_whole { Outcome::Done } else { Outcome::Failed })
}

fn check(paths: &[String]) -> Checked {
    let now = Timestamp::now();
    let warnings = WarningList::built_in();
    let mut checked = Checked::default();
    for source in find_feeds(paths) {
        let mut tally = Tally::new(now);
        let mut held_back = Vec::new();
        let feed = source.read(|taken| {
            tally.add(&taken);
            let Indicator { matcher, loaded_from, .. } = taken.indicator;
            if let (Some(reason), None) = (warnings.reason(&matcher), taken.replaces) {
                held_back.push(HeldBack {
                    file: loaded_from.to_string(),
                    value: matcher.to_string(),
                    reason: reason.to_owned(),
                });
            }
        });
        checked.loaded += feed.indicators;
        checked.held_back.append(&mut held_back);
        checked.files.push(file_out(&feed, &tally));
        checked.refused.extend(feed.refused.into_iter().map(|refused| RefusedOut {
            file: refused.file,
            line: refused.line,
            object: refused.object,
            reason: refused.reason,
            quote: refused.quote,
        }));
    }
    checked
}

fn file_out(feed: &Feed, tally: &Tally) -> FileOut {
    FileOut {
        file: feed.file.clone(),
        format: match feed.kind {
            FeedKind::Stix => "stix",
            FeedKind::Csv => "csv",
            FeedKind::List => "list",
        },
        loaded: feed.indicators,
        types: tally.kinds.iter().map(|(kind, count)| (kind.stix_path(), *count)).collect(),
        duplicates: feed.duplicates,
        expired: tally.standing.expired,
        not_yet_valid: tally.standing.not_yet,
        revoked: tally.standing.revoked,
        refused: feed.refused_count(),
    }
}

fn write_text(checked: &Checked, out: &mut dyn Write) -> io::Result<()> {
    for refused in &checked.refused {
        let place = match (refused.line, &refused.object) {
            (Some(line), _) => format!(":{line}"),
            (None, Some(object)) => format!(" {object}"),
            (None, None) => String::new(),
        };
        let text = format!("{}{place}: {}: {}", refused.file, refused.reason, refused.quote);
        writeln!(out, "refused: {}", escape::terminal(&text))?;
    }
    for held in &checked.held_back {
        let text = format!("{}: {}: {}", held.file, held.value, held.reason);
        writeln!(out, "held back: {}", escape::terminal(&text))?;
    }
    for file in &checked.files {
        let types: Vec<String> = file.types.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        writeln!(
            out,
            "{} ({}): {} indicators ({}); {} duplicates, {} expired, {} not yet valid, {} revoked, {} refused",
            escape::terminal(&file.file),
            file.format,
            file.loaded,
            types.join(", "),
            file.duplicates,
            file.expired,
            file.not_yet_valid,
            file.revoked,
            file.refused
        )?;
    }
    writeln!(out, "{} indicators load", checked.loaded)
}
