//! `cresset show`: all of an incident.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::{ids, items, level, moment, of_class, shown, text};
use crate::Outcome;
use crate::args::ShowArgs;
use crate::client::{Client, ClientError};
use crate::output::Style;
use crate::output::columns::{Cell, cut, write_columns};
use crate::output::rows::counted;

/// Detections that are shown, the newest; all are in the API's list.
const DETECTIONS_MAX: usize = 20;
/// What fitted, of a detection.
const MATCHED_MAX: usize = 4;
/// Names of machines and accounts in a line.
const NAMES_MAX: usize = 10;
/// Lines of the history, the newest.
const HISTORY_MAX: usize = 30;

/// Shows all of an incident.
pub(crate) fn show(args: &ShowArgs, out: &mut dyn Write) -> io::Result<Outcome> {
    let asked = Client::of(&args.centre).and_then(|client| fetch(&client, &args.id));
    shown(asked, args.shown, out, |answer, style, out| write(answer, style, out))
}

fn fetch(client: &Client, typed: &str) -> Result<Value, ClientError> {
    let id = ids::incident(client, typed)?;
    let full = client.get(&format!("/api/v1/incidents/{id}"))?;
    let listed = client.list(&format!("/api/v1/detections?incident={id}"), DETECTIONS_MAX)?;
    let one = |item: &Value| client.get(&format!("/api/v1/detections/{}", text(item, "id")));
    let detections = items(&listed).iter().map(one).collect::<Result<Vec<_>, _>>()?;
    Ok(json!({ "incident": full, "detections": detections }))
}

fn write(answer: &Value, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let full = &answer["incident"];
    write_head(full, style, out)?;
    write_reasons(full, style, out)?;
    write_names(full, style, out)?;
    write_detections(full, &answer["detections"], style, out)?;
    write_added(full, style, out)?;
    write_history(full, style, out)
}

pub(super) fn list<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

fn write_head(full: &Value, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let incident = &full["incident"];
    let class = text(incident, "priority");
    let (class, title) = (style.as_level(of_class(class), cut(class)), style.bold(cut(text(incident, "title"))));
    writeln!(out, "{class} {title}")?;
    let owner = incident["owner"]
        .as_str()
        .map_or_else(|| "nobody works on it".into(), |owner| format!("{} works on it", cut(owner)));
    writeln!(
        out,
        "   {}, {owner}, {}",
        cut(text(incident, "state")),
        counted(incident["detections"].as_u64().unwrap_or(0), "detection")
    )?;
    let [first, last, aware] = ["first", "last", "aware_at"].map(|name| cut(&moment(text(incident, name))));
    writeln!(out, "   from {first} to {last} UTC, known since {aware}")?;
    writeln!(out, "   {}", style.dim(cut(text(incident, "id"))))?;
    if let Some(into) = incident["merged_into"].as_str() {
        writeln!(out, "   went up in {}", cut(into))?;
    }
    writeln!(out)
}

fn write_reasons(full: &Value, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let score = full["incident"]["score"].as_u64().unwrap_or_default();
    writeln!(out, "{} {score} of 100", style.bold("Score"))?;
    for reason in list(full, "reasons") {
        writeln!(out, "  {:>+4}  {}", reason["points"].as_i64().unwrap_or_default(), cut(text(reason, "reason")))?;
    }
    writeln!(out)
}

fn write_names(full: &Value, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let named = [
        ("Hosts", "hosts", "hosts_more"),
        ("Users", "users", "users_more"),
        ("Tactics", "tactics", ""),
        ("Techniques", "techniques", ""),
        ("Follows", "follows", ""),
        ("Merged", "merged", ""),
    ];
    for (title, name, more) in named {
        let names = list(full, name);
        if names.is_empty() {
            continue;
        }
        let shown: Vec<String> = names.iter().take(NAMES_MAX).filter_map(Value::as_str).map(cut).collect();
        let rest = names.len().saturating_sub(NAMES_MAX) as u64 + full[more].as_u64().unwrap_or(0);
        let rest = if rest > 0 { format!(" and {rest} more") } else { String::new() };
        writeln!(out, "{} {}{rest}", style.bold(format_args!("{title:<10}")), shown.join(", "))?;
    }
    for rule in list(full, "rules") {
        let count = rule["detections"].as_u64().unwrap_or_default();
        writeln!(out, "{} {count} × {}", style.bold(format_args!("{:<10}", "Rule")), cut(text(rule, "title")))?;
    }
    writeln!(out)
}

fn write_detections(full: &Value, detections: &Value, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let shown = detections.as_array().map_or(&[][..], Vec::as_slice);
    writeln!(out, "{}", style.bold("Detections"))?;
    for one in shown {
        write_detection(one, style, out)?;
    }
    let rest = full["incident"]["detections"].as_u64().unwrap_or(0).saturating_sub(shown.len() as u64);
    if rest > 0 {
        writeln!(out, "  {}", style.dim(format_args!("… and {rest} more")))?;
    }
    writeln!(out)
}

fn write_detection(one: &Value, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let detection = &one["detection"];
    let (time, title) = (cut(&moment(text(detection, "time"))), style.bold(cut(text(detection, "title"))));
    let who = ["host", "user", "process"].map(|name| (name, detection[name].as_str()));
    let who: String = who.into_iter().filter_map(|(name, value)| Some(format!("  {name} {}", cut(value?)))).collect();
    let id = style.dim(cut(ids::short(text(detection, "id"))));
    writeln!(out, "  {time}  {} {title}{who}  {id}", style.level(level(detection)))?;
    for matched in list(&one["record"], "matched").iter().take(MATCHED_MAX) {
        let value = matched["value"].as_str().map_or_else(|| "(none)".into(), cut);
        writeln!(
            out,
            "      {} {}",
            style.dim(format_args!("{}:", cut(text(matched, "field")))),
            style.matched(value)
        )?;
    }
    for links in list(one, "links").chunk_by(|one, other| one["to"] == other["to"]) {
        let by = links.iter().map(|link| format!("{} {}", cut(text(link, "kind")), cut(text(link, "value"))));
        let (to, by) = (cut(ids::short(text(&links[0], "to"))), by.collect::<Vec<_>>().join(", "));
        let gap = links[0]["gap_seconds"].as_f64().unwrap_or_default();
        writeln!(out, "      {}", style.dim(format_args!("linked with {to}, {gap:.0} s apart, by {by}")))?;
    }
    Ok(())
}

fn write_added(full: &Value, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let title = |out: &mut dyn Write, title: &str| writeln!(out, "{}", style.bold(title));
    if !list(full, "notes").is_empty() {
        title(out, "Notes")?;
    }
    for note in list(full, "notes") {
        // A note has lines of its own.
        let lines: Vec<_> = text(note, "text").lines().map(|line| crate::escape::terminal(line).into_owned()).collect();
        let (at, who) = (cut(&moment(text(note, "at"))), style.dim(cut(who(full, text(note, "author")))));
        writeln!(out, "  {at}  {who}  {}", lines.join("\n                       "))?;
    }
    if !list(full, "tasks").is_empty() {
        title(out, "Tasks")?;
    }
    for task in list(full, "tasks") {
        let mark = if task["done_at"].is_null() { "[ ]" } else { "[x]" };
        writeln!(out, "  {mark} {}  {}", task["number"].as_u64().unwrap_or_default(), cut(text(task, "title")))?;
    }
    if !list(full, "evidence").is_empty() {
        title(out, "Evidence")?;
    }
    for file in list(full, "evidence") {
        let bytes = file["bytes"].as_u64().unwrap_or_default();
        let number = file["number"].as_u64().unwrap_or_default();
        writeln!(out, "  {number}  {}  {}, {bytes} bytes", cut(text(file, "sha256")), cut(text(file, "name")))?;
    }
    Ok(())
}

/// Returns what somebody is called who did something, else the id.
fn who<'v>(full: &'v Value, id: &'v str) -> &'v str {
    full["names"][id].as_str().unwrap_or(id)
}

fn write_history(full: &Value, style: Style, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", style.bold("History"))?;
    let history = list(full, "history");
    let row = |line: &Value| {
        let detail = Some(&line["detail"]).filter(|detail| detail.as_object().is_some_and(|detail| !detail.is_empty()));
        [
            Cell::new(&format!("  {}", moment(text(line, "at")))),
            Cell::new(text(line, "act")),
            Cell::new(line["actor"].as_str().map_or("centre", |actor| who(full, actor))),
            Cell::new(&detail.map(Value::to_string).unwrap_or_default()),
        ]
    };
    let newest = &history[history.len().saturating_sub(HISTORY_MAX)..];
    let rows: Vec<_> = newest.iter().map(row).collect();
    write_columns(["  when (UTC)", "what", "who", "more"], &rows, style, out)
}
