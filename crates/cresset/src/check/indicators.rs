//! `cresset indicators check`.

use std::collections::BTreeMap;
use std::io::{self, Write};

use cresset_detect::WarningList;
use cresset_event::Timestamp;
use cresset_intel::{FeedKind, Loaded};
use cresset_pipeline::load_indicators;
use serde::Serialize;

use crate::Outcome;
use crate::args::{CheckOutput, IndicatorsCheckArgs};
use crate::escape;

/// What `--output json` gives: one object.
#[derive(Serialize)]
struct Checked<'a> {
    loaded: usize,
    files: Vec<FileOut>,
    held_back: Vec<HeldBack<'a>>,
    refused: Vec<RefusedOut<'a>>,
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
struct HeldBack<'a> {
    file: &'a str,
    value: String,
    reason: String,
}

#[derive(Serialize)]
struct RefusedOut<'a> {
    file: &'a str,
    line: Option<u64>,
    object: Option<&'a str>,
    reason: &'a str,
    quote: &'a str,
}

/// Says which indicators load and which do not.
pub(crate) fn run(args: &IndicatorsCheckArgs, out: &mut dyn Write) -> io::Result<Outcome> {
    let feeds = load_indicators(&args.paths);
    let checked = check(&feeds);
    let is_whole = checked.files.iter().all(|file| file.refused == 0);
    match args.output {
        CheckOutput::Json => writeln!(out, "{}", escape::json(&serde_json::to_string(&checked)?))?,
        CheckOutput::Text => write_text(&checked, out)?,
    }
    Ok(if is_whole { Outcome::Done } else { Outcome::Failed })
}

fn check(feeds: &[Loaded]) -> Checked<'_> {
    let now = Timestamp::now();
    let warnings = WarningList::built_in();
    let held_back = feeds.iter().flat_map(|feed| &feed.indicators).filter_map(|indicator| {
        let reason = warnings.reason(&indicator.matcher)?.to_owned();
        Some(HeldBack { file: &indicator.loaded_from, value: indicator.matcher.to_string(), reason })
    });
    let refused = feeds.iter().flat_map(|feed| &feed.refused).map(|refused| RefusedOut {
        file: &refused.file,
        line: refused.line,
        object: refused.object.as_deref(),
        reason: &refused.reason,
        quote: &refused.quote,
    });
    Checked {
        loaded: feeds.iter().map(|feed| feed.indicators.len()).sum(),
        files: feeds.iter().map(|feed| file_out(feed, now)).collect(),
        held_back: held_back.collect(),
        refused: refused.collect(),
    }
}

fn file_out(feed: &Loaded, now: Timestamp) -> FileOut {
    let standing = feed.standing(now);
    FileOut {
        file: feed.file.clone(),
        format: match feed.kind {
            FeedKind::Stix => "stix",
            FeedKind::Csv => "csv",
            FeedKind::List => "list",
        },
        loaded: feed.indicators.len(),
        types: feed.summary().into_iter().map(|(kind, count)| (kind.stix_path(), count)).collect(),
        duplicates: feed.duplicates,
        expired: standing.expired,
        not_yet_valid: standing.not_yet,
        revoked: standing.revoked,
        refused: feed.refused_count(),
    }
}

fn write_text(checked: &Checked<'_>, out: &mut dyn Write) -> io::Result<()> {
    for refused in &checked.refused {
        let place = match (refused.line, refused.object) {
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
