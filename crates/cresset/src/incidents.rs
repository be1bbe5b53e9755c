//! `cresset incidents` and what one does to an incident: the API, from the command line.

mod evidence;
mod ids;
mod show;

use std::io::{self, Write};

use cresset_detect::Level;
use serde_json::{Value, json};

pub(crate) use self::evidence::evidence;
pub(crate) use self::show::show;
use crate::Outcome;
use crate::args::{
    AssignArgs, CentreArgs, CloseArgs, IncidentsArgs, MergeArgs, NoteArgs, OrderBy, Shown, SplitArgs, StateArgs,
    TableOrJson, TaskArgs,
};
use crate::client::{Client, ClientError, failed, percent};
use crate::escape;
use crate::output::Style;
use crate::output::columns::{Cell, write_columns};

/// Says what came of it, or why nothing did.
pub(crate) fn done(
    asked: Result<Value, ClientError>,
    out: &mut dyn Write,
    tell: impl FnOnce(&Value, &mut dyn Write) -> io::Result<()>,
) -> io::Result<Outcome> {
    match asked {
        Ok(answer) => tell(&answer, out).map(|()| Outcome::Done),
        Err(error) => failed(&error),
    }
}

/// Shows what the API answered, for people or as it is.
pub(crate) fn shown(
    asked: Result<Value, ClientError>,
    shown: Shown,
    out: &mut dyn Write,
    table: impl FnOnce(&Value, Style, &mut dyn Write) -> io::Result<()>,
) -> io::Result<Outcome> {
    done(asked, out, |answer, out| match shown.output {
        TableOrJson::Json => writeln!(out, "{}", escape::json(&answer.to_string())),
        TableOrJson::Table => table(answer, Style::new(shown.color.wanted_on(&io::stdout())), out),
    })
}

/// Returns a text of an answer; empty where it is not known.
pub(crate) fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_default()
}

/// Returns the items of a list.
pub(crate) fn items(value: &Value) -> &[Value] {
    value["items"].as_array().map_or(&[], Vec::as_slice)
}

/// Returns a time to the second, as people read it.
pub(crate) fn moment(time: &str) -> String {
    let seconds = time.split_once('.').map_or_else(|| time.trim_end_matches('Z'), |(seconds, _)| seconds);
    seconds.replace('T', " ")
}

/// Lists incidents.
pub(crate) fn list(args: &IncidentsArgs, out: &mut dyn Write) -> io::Result<Outcome> {
    let listed = Client::of(&args.centre).and_then(|client| client.list(&path(args), args.limit));
    shown(listed, args.shown, out, write_list)
}

fn path(args: &IncidentsArgs) -> String {
    let order = match args.order {
        OrderBy::Priority => "priority",
        OrderBy::Last => "last",
    };
    let state = Some(&args.state).filter(|state| *state != "all");
    let asked = [
        ("state", state),
        ("priority", args.priority.as_ref()),
        ("owner", args.owner.as_ref()),
        ("q", args.title.as_ref()),
    ];
    let mut path = format!("/api/v1/incidents?order={order}");
    for (name, value) in asked {
        value.iter().for_each(|value| path.push_str(&format!("&{name}={}", percent(value))));
    }
    path
}

fn write_list(answer: &Value, style: Style, out: &mut dyn Write) -> io::Result<()> {
    if items(answer).is_empty() {
        return writeln!(out, "no incident is like that");
    }
    let row = |incident: &Value| {
        let level = level(incident);
        let count = incident["detections"].as_u64().unwrap_or_default();
        [
            Cell::painted(text(incident, "priority"), |class| style.as_level(of_class(class), class)),
            Cell::new(&incident["score"].as_u64().unwrap_or_default().to_string()),
            Cell::painted(level.as_str(), |name| style.as_level(level, name)),
            Cell::new(text(incident, "state")),
            Cell::new(incident["owner"].as_str().unwrap_or("-")),
            Cell::new(&count.to_string()),
            Cell::new(&moment(text(incident, "last"))),
            Cell::new(ids::short(text(incident, "id"))),
            Cell::painted(text(incident, "title"), |title| style.bold(title)),
        ]
    };
    let rows: Vec<_> = items(answer).iter().map(row).collect();
    let names = ["", "score", "level", "state", "owner", "found", "last (UTC)", "id", "title"];
    write_columns(names, &rows, style, out)?;
    if !answer["next"].is_null() {
        writeln!(out, "{}", style.dim("… and more; --limit shows them"))?;
    }
    Ok(())
}

/// Returns the level of an incident or a detection.
fn level(value: &Value) -> Level {
    text(value, "level").parse().unwrap_or(Level::Informational)
}

/// Returns the level in whose colour a class of priorities is shown.
fn of_class(class: &str) -> Level {
    match class {
        "P1" => Level::Critical,
        "P2" => Level::High,
        "P3" => Level::Medium,
        _ => Level::Low,
    }
}

/// Does something to an incident that is told by the beginning of its id, and says so.
fn act(
    centre: &CentreArgs,
    id: &str,
    out: &mut dyn Write,
    said: &str,
    act: impl FnOnce(&Client, &str) -> Result<Value, ClientError>,
) -> io::Result<Outcome> {
    let acted = Client::of(centre).and_then(|client| {
        let id = ids::incident(&client, id)?;
        let made = act(&client, &id)?;
        let at = made["incident"].as_str().unwrap_or(&id).to_owned();
        Ok(json!({ "incident": at, "number": made["number"] }))
    });
    done(acted, out, |acted, out| {
        let id = escape::terminal(ids::short(text(acted, "incident"))).into_owned();
        writeln!(out, "{id}: {said}")
    })
}

/// Hands an incident to somebody.
pub(crate) fn assign(args: &AssignArgs, out: &mut dyn Write) -> io::Result<Outcome> {
    let said = args.name.as_ref().map_or_else(
        || "nobody works on it any more".to_owned(),
        |name| format!("{} works on it", escape::terminal(name)),
    );
    act(&args.centre, &args.id, out, &said, |client, id| {
        client.post(&format!("/api/v1/incidents/{id}/assign"), &json!({ "owner": args.name }))
    })
}

/// Writes something down.
pub(crate) fn note(args: &NoteArgs, out: &mut dyn Write) -> io::Result<Outcome> {
    act(&args.centre, &args.id, out, "written down", |client, id| {
        client.post(&format!("/api/v1/incidents/{id}/notes"), &json!({ "text": args.text }))
    })
}

/// Says what is to be done, or that it is done.
pub(crate) fn task(args: &TaskArgs, out: &mut dyn Write) -> io::Result<Outcome> {
    let Some(number) = args.done else {
        return act(&args.centre, &args.id, out, "to be done", |client, id| {
            client.post(&format!("/api/v1/incidents/{id}/tasks"), &json!({ "title": args.text }))
        });
    };
    act(&args.centre, &args.id, out, "done", |client, id| {
        // A number of another incident is a slip of the finger.
        let full = client.get(&format!("/api/v1/incidents/{id}"))?;
        let tasks = full["tasks"].as_array().map_or(&[][..], Vec::as_slice);
        if !tasks.iter().any(|task| task["number"].as_u64() == Some(number)) {
            let wrong = format!("{} has no task {number}; `cresset show` lists them", ids::short(id));
            return Err(ClientError::Args(wrong));
        }
        client.post(&format!("/api/v1/tasks/{number}/done"), &Value::Null)
    })
}

/// Moves an incident on.
pub(crate) fn state(args: &StateArgs, out: &mut dyn Write) -> io::Result<Outcome> {
    set_state(&args.centre, &args.id, &args.state, out)
}

/// Closes an incident.
pub(crate) fn close(args: &CloseArgs, out: &mut dyn Write) -> io::Result<Outcome> {
    set_state(&args.centre, &args.id, &format!("closed:{}", args.verdict), out)
}

fn set_state(centre: &CentreArgs, id: &str, state: &str, out: &mut dyn Write) -> io::Result<Outcome> {
    act(centre, id, out, &escape::terminal(state), |client, id| {
        client.post(&format!("/api/v1/incidents/{id}/state"), &json!({ "state": state }))
    })
}

/// Makes two incidents one.
pub(crate) fn merge(args: &MergeArgs, out: &mut dyn Write) -> io::Result<Outcome> {
    act(&args.centre, &args.into, out, "both are in it now", |client, into| {
        let from = ids::incident(client, &args.from)?;
        client.post(&format!("/api/v1/incidents/{into}/merge"), &json!({ "from": from }))
    })
}

/// Makes an incident of some detections of another.
pub(crate) fn split(args: &SplitArgs, out: &mut dyn Write) -> io::Result<Outcome> {
    act(&args.centre, &args.id, out, "they are an incident of their own now", |client, id| {
        let detections = ids::detections(client, id, &args.detections)?;
        client.post(&format!("/api/v1/incidents/{id}/split"), &json!({ "detections": detections }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_to_the_second() {
        assert_eq!(moment("2026-11-24T07:00:00.123456789Z"), "2026-11-24 07:00:00");
        assert_eq!(moment("2026-11-24T07:00:00Z"), "2026-11-24 07:00:00");
    }
}
