//! `cresset audit verify`: is the audit log as it was written? By the centre, or in its folder.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::Outcome;
use crate::args::{AuditVerifyArgs, CheckOutput};
use crate::client::{Client, ClientError, failed, percent};
use crate::escape;

/// Looks at the whole audit log.
pub(crate) fn verify(args: &AuditVerifyArgs, out: &mut dyn Write) -> io::Result<Outcome> {
    let asked = Client::of(&args.centre).and_then(|client| by_centre(&client, args.head.as_ref()));
    let is_elsewhere = args.centre.url.is_some() || std::env::var_os("CRESSET_URL").is_some();
    let verified = match asked {
        // It does not run, or was killed and left the file that says where it was.
        Err(ClientError::Nowhere { .. } | ClientError::Connect { .. }) if !is_elsewhere => in_folder(args),
        asked => asked.map_err(|error| failed(&error)),
    };
    match verified {
        Ok(verified) => write(&verified, args.output, out),
        Err(told) => told,
    }
}

/// Has the centre look at it, and compares what was noted with the line of that number.
fn by_centre(client: &Client, noted: Option<&(u64, String)>) -> Result<Value, ClientError> {
    let mut verified = client.get("/api/v1/audit/verify")?;
    let Some((count, hash)) = noted.filter(|_| verified["whole"] == true) else { return Ok(verified) };
    let wrong = match line(client, *count)? {
        Some(line) if line["hash"] == **hash => return Ok(verified),
        Some(_) => format!("row {count} of the audit log is another one than was noted"),
        None => format!("row {count} of the audit log was noted, and is not there any more"),
    };
    verified["whole"] = false.into();
    verified["wrong"] = wrong.into();
    Ok(verified)
}

/// Returns the line of this number. The newest come first, and what was noted is not old.
fn line(client: &Client, number: u64) -> Result<Option<Value>, ClientError> {
    let mut cursor = String::new();
    loop {
        let page = client.get(&format!("/api/v1/audit?limit=500{cursor}"))?;
        let rows = page["items"].as_array().map_or(&[][..], Vec::as_slice);
        let number_of = |row: &Value| row["number"].as_u64().unwrap_or_default();
        if let Some(found) = rows.iter().find(|row| number_of(row) == number) {
            return Ok(Some(found.clone()));
        }
        match page["next"].as_str() {
            Some(next) if rows.last().is_some_and(|last| number_of(last) > number) => {
                cursor = format!("&cursor={}", percent(next));
            }
            _ => return Ok(None),
        }
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
