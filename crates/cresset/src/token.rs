//! `cresset token`: who may do what.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::Outcome;
use crate::args::{TokenIssueArgs, TokenListArgs, TokenRevokeArgs};
use crate::client::{Client, percent};
use crate::escape;
use crate::incidents::{done, items, moment, shown, text};
use crate::output::Style;
use crate::output::columns::{Cell, write_columns};

/// Issues a token.
pub(crate) fn issue(args: &TokenIssueArgs, out: &mut dyn Write) -> io::Result<Outcome> {
    let expires = args.expires.map(|time| time.to_string());
    let new = json!({ "name": args.name, "role": args.role, "scopes": args.scope, "expires": expires });
    let issued = Client::of(&args.centre).and_then(|client| client.post("/api/v1/tokens", &new));
    shown(issued, args.shown, out, |issued, _, out| {
        // The secret alone on standard output, so that it can be put into a file.
        let id = escape::terminal(text(&issued["token"], "id")).into_owned();
        writeln!(io::stderr(), "token {id}; its secret is shown this once:")?;
        writeln!(out, "{}", escape::terminal(text(issued, "secret")))
    })
}

/// Lists tokens.
pub(crate) fn list(args: &TokenListArgs, out: &mut dyn Write) -> io::Result<Outcome> {
    let listed = Client::of(&args.centre).and_then(|client| client.get("/api/v1/tokens"));
    shown(listed, args.shown, out, |listed, style, out| write(listed, args.all, style, out))
}

fn write(listed: &Value, all: bool, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let row = |token: &Value| {
        let scopes: Vec<&str> = token["scopes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let time = |name: &str| token[name].as_str().map_or_else(|| "-".into(), moment);
        [
            Cell::new(text(token, "id")),
            Cell::painted(text(token, "name"), |name| style.bold(name)),
            Cell::new(text(token, "role")),
            Cell::new(&if scopes.is_empty() { "all of its role".into() } else { scopes.join(" ") }),
            Cell::new(&time("last_used")),
            Cell::new(&time("expires")),
            Cell::new(&time("revoked")),
        ]
    };
    let rows: Vec<_> = items(listed).iter().filter(|token| all || token["revoked"].is_null()).map(row).collect();
    write_columns(["id", "name", "role", "rights", "last used (UTC)", "until", "taken back"], &rows, style, out)
}

/// Takes a token back.
pub(crate) fn revoke(args: &TokenRevokeArgs, out: &mut dyn Write) -> io::Result<Outcome> {
    let revoked =
        Client::of(&args.centre).and_then(|client| client.delete(&format!("/api/v1/tokens/{}", percent(&args.id))));
    done(revoked, out, |_, out| writeln!(out, "{} lets nobody in any more", escape::terminal(&args.id)))
}
