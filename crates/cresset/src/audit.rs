//! `cresset audit verify`: is the audit log as it was written? By the centre, or in its folder.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::Outcome;
use crate::args::{AuditVerifyArgs, CheckOutput};
use crate::client::{Client, ClientError, failed};
use crate::escape;

/// Looks at the whole audit log.
pub(crate) fn verify(args: &AuditVerifyArgs, out: &mut dyn Write) -> io::Result<Outcome> {
    let verified = match (&args.head, Client::of(&args.centre)) {
        (None, Ok(client)) => match client.get("/api/v1/audit/verify") {
            // It was killed, and left the file that says where it was.
            Err(ClientError::Connect { .. }) if args.centre.url.is_none() => in_folder(args),
            verified => verified.map_err(|error| failed(&error)),
        },
        (None, Err(error)) if !matches!(error, ClientError::Nowhere { .. }) => Err(failed(&error)),
        _ => in_folder(args),
    };
    match verified {
        Ok(verified) => write(&verified, args.output, out),
        Err(told) => told,
    }
}

/// Looks at the log of a folder, whether its centre runs or not.
fn in_folder(args: &AuditVerifyArgs) -> Result<Value, io::Result<Outcome>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Err)?;
    let verified = runtime.block_on(cresset_centre::verify_audit(&args.centre.data, args.head.clone()));
    Ok(match verified.map_err(|error| failed(&error))? {
        Ok((lines, head)) => json!({ "whole": true, "lines": lines, "head": head, "wrong": null }),
        Err(wrong) => json!({ "whole": false, "lines": null, "head": null, "wrong": wrong }),
    })
}

fn write(verified: &Value, output: CheckOutput, out: &mut dyn Write) -> io::Result<Outcome> {
    let is_whole = verified["whole"] == true;
    match output {
        CheckOutput::Json => writeln!(out, "{}", escape::json(&verified.to_string()))?,
        CheckOutput::Text if is_whole => {
            let (lines, head) = (&verified["lines"], verified["head"].as_str().unwrap_or_default());
            writeln!(
                out,
                "the audit log is as it was written; note its head elsewhere: {lines}:{}",
                escape::terminal(head)
            )?;
        }
        CheckOutput::Text => {
            writeln!(out, "{}", escape::terminal(verified["wrong"].as_str().unwrap_or_default()))?;
        }
    }
    Ok(if is_whole { Outcome::Done } else { Outcome::Failed })
}
