//! `cresset exclude` and `cresset silence`: what is left out of incidents.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::Outcome;
use crate::args::{ExcludeArgs, SilenceArgs, TuningArgs};
use crate::client::{Client, percent};
use crate::escape;
use crate::incidents::{done, items, moment, shown, text};
use crate::output::Style;
use crate::output::columns::{Cell, write_columns};

/// Leaves detections out that are known and harmless.
pub(crate) fn exclude(args: &ExcludeArgs, out: &mut dyn Write) -> io::Result<Outcome> {
    let fields: Vec<Value> =
        args.field.iter().map(|(field, value)| json!({ "field": field, "value": value })).collect();
    let new = json!({
        "cause": args.rule, "host": args.host, "user": args.user, "process": args.process, "fields": fields,
        "reason": args.tuning.reason, "expires": until(&args.tuning),
    });
    tune("exclusions", &new, &args.tuning, out)
}

/// Leaves all detections of a rule out for a while.
pub(crate) fn silence(args: &SilenceArgs, out: &mut dyn Write) -> io::Result<Outcome> {
    let new = json!({ "cause": args.rule, "reason": args.tuning.reason, "until": until(&args.tuning) });
    tune("silences", &new, &args.tuning, out)
}

fn until(args: &TuningArgs) -> Option<String> {
    args.until.map(|time| time.to_string())
}

/// Adds, lists or takes back.
fn tune(kind: &str, new: &Value, args: &TuningArgs, out: &mut dyn Write) -> io::Result<Outcome> {
    let (client, path) = (Client::of(&args.centre), format!("/api/v1/{kind}"));
    if args.list {
        return shown(client.and_then(|client| client.get(&path)), args.shown, out, write_list);
    }
    if let Some(id) = &args.end {
        let ended = client.and_then(|client| client.delete(&format!("{path}/{}", percent(id))));
        return done(ended, out, |_, out| writeln!(out, "{} leaves nothing out any more", escape::terminal(id)));
    }
    let added = client.and_then(|client| client.post(&path, new));
    shown(added, args.shown, out, |added, _, out| writeln!(out, "{} holds", escape::terminal(text(added, "id"))))
}

fn write_list(listed: &Value, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let row = |item: &Value| {
        let definition = &item["definition"];
        let parts = ["cause", "host", "user", "process"].into_iter();
        let mut what: Vec<String> =
            parts.filter_map(|name| Some(format!("{name} {}", definition[name].as_str()?))).collect();
        let fields = definition["fields"].as_array().into_iter().flatten();
        what.extend(fields.filter_map(|pair| Some(format!("{} {}", pair[0].as_str()?, pair[1].as_str()?))));
        [
            Cell::new(text(item, "id")),
            Cell::new(&moment(text(item, "until"))),
            Cell::painted(&what.join(", "), |what| style.bold(what)),
            Cell::new(text(definition, "reason")),
        ]
    };
    let held: Vec<_> = items(listed).iter().filter(|item| item["removed_at"].is_null()).map(row).collect();
    if held.is_empty() {
        return writeln!(out, "nothing is left out");
    }
    write_columns(["id", "until (UTC)", "what", "why"], &held, style, out)
}
