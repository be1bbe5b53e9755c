//! `cresset status`: how a centre is.

use std::io::{self, Write};

use cresset_detect::Level;
use serde_json::{Value, json};

use crate::Outcome;
use crate::args::StatusArgs;
use crate::client::{Client, ClientError};
use crate::incidents::{items, moment, shown, text};
use crate::output::Style;
use crate::output::columns::{Cell, cut, write_columns};
use crate::output::rows::counted;

/// A source that gave nothing for so long is marked.
const QUIET_SECONDS: u64 = 3600;

/// Says how a centre is.
pub(crate) fn run(args: &StatusArgs, out: &mut dyn Write) -> io::Result<Outcome> {
    let asked = Client::of(&args.centre).and_then(|client| fetch(&client));
    let is_well = asked.as_ref().is_ok_and(|answer| troubles(answer).is_empty());
    let outcome = shown(asked, args.shown, out, |answer, style, out| write(answer, style, out))?;
    Ok(if is_well { outcome } else { Outcome::Failed })
}

fn fetch(client: &Client) -> Result<Value, ClientError> {
    Ok(json!({ "status": client.get("/api/v1/status")?, "sources": client.get("/api/v1/sources")? }))
}

fn troubles(answer: &Value) -> &[Value] {
    answer["status"]["troubles"].as_array().map_or(&[], Vec::as_slice)
}

fn write(answer: &Value, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let status = &answer["status"];
    let number = |name: &str| status[name].as_u64().unwrap_or_default();
    match troubles(answer) {
        [] => writeln!(out, "{}", style.bold("all is well"))?,
        troubles => troubles
            .iter()
            .filter_map(Value::as_str)
            .try_for_each(|trouble| writeln!(out, "{}", style.as_level(Level::High, cut(trouble))))?,
    }
    let rate = status["rate"].as_f64().unwrap_or_default();
    let (version, began) = (cut(text(status, "version")), cut(&moment(text(status, "began"))));
    writeln!(out, "  version {version}, since {began} UTC")?;
    writeln!(
        out,
        "  {} read, {rate:.1} a second; {} bytes wait",
        counted(number("events"), "event"),
        number("waiting_bytes")
    )?;
    let (detections, withheld) = (counted(number("detections"), "detection"), number("withheld"));
    writeln!(out, "  {detections} since the start, {withheld} withheld by exclusions and silences")?;
    let (rules, indicators) = (counted(number("rules"), "rule"), counted(number("indicators"), "indicator"));
    writeln!(out, "  {rules}, {indicators}")?;
    for refused in status["rules_refused"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        writeln!(out, "  {} {}", style.as_level(Level::Medium, "refused:"), cut(refused))?;
    }
    write_sources(items(&answer["sources"]), style, out)?;
    write_feeds(status["feeds"].as_array().map_or(&[], Vec::as_slice), style, out)
}

fn write_sources(sources: &[Value], style: Style, out: &mut dyn Write) -> io::Result<()> {
    if sources.is_empty() {
        return writeln!(out, "\nno source has given anything yet");
    }
    writeln!(out)?;
    let row = |source: &Value| {
        let number = |name: &str| source[name].as_u64().unwrap_or_default();
        let (trouble, silent) = (number("skipped") + number("lost"), source["silent_seconds"].as_u64());
        let is_quiet = silent.is_none_or(|seconds| seconds >= QUIET_SECONDS);
        let count = |count: u64| Cell::new(&count.to_string());
        [
            Cell::painted(text(source, "name"), |name| style.bold(name)),
            Cell::new(&format!("{:.1}/s", source["rate"].as_f64().unwrap_or_default())),
            count(number("events")),
            Cell::painted(&number("skipped").to_string(), |text| marked(style, trouble > 0, text)),
            Cell::painted(&number("lost").to_string(), |text| marked(style, number("lost") > 0, text)),
            Cell::painted(&silent.map_or_else(|| "never".into(), span), |text| marked(style, is_quiet, text)),
        ]
    };
    let rows: Vec<_> = sources.iter().map(row).collect();
    write_columns(["source", "rate", "events", "unreadable", "lost", "last heard"], &rows, style, out)
}

fn write_feeds(feeds: &[Value], style: Style, out: &mut dyn Write) -> io::Result<()> {
    if feeds.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let row = |feed: &Value| {
        let (number, failures) = (|name: &str| feed[name].as_u64().unwrap_or_default(), feed["failures"].as_u64());
        let age = feed["age_seconds"].as_u64();
        [
            Cell::painted(text(feed, "name"), |name| style.bold(name)),
            Cell::new(&number("indicators").to_string()),
            Cell::new(&number("bytes").to_string()),
            Cell::painted(&age.map_or_else(|| "never".into(), span), |text| marked(style, age.is_none(), text)),
            Cell::painted(text(feed, "last_error"), |text| marked(style, failures > Some(0), text)),
        ]
    };
    let rows: Vec<_> = feeds.iter().map(row).collect();
    write_columns(["feed", "indicators", "bytes", "last fetched", "what is wrong"], &rows, style, out)
}

fn marked(style: Style, is_marked: bool, text: &str) -> String {
    if is_marked { style.as_level(Level::Medium, text) } else { text.to_owned() }
}

/// `5 s`, `3 min`, `2 h`, `4 d` ago.
fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s ago"),
        120..7200 => format!("{} min ago", seconds / 60),
        7200..172_800 => format!("{} h ago", seconds / 3600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}
