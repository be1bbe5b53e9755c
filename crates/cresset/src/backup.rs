//! `cresset backup` and `cresset restore`.

mod passphrase;

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use cresset_centre::backup::{BackupError, Restored, Tokens, verify};
use serde_json::json;

use self::passphrase::{Wish, ask};
use crate::Outcome;
use crate::args::{BackupArgs, RestoreArgs};
use crate::client::{Client, ClientError, failed};
use crate::escape;
use crate::output::rows::counted;

/// Fetches a backup of a centre that runs.
pub(crate) fn make(args: &BackupArgs, out: &mut dyn Write) -> io::Result<Outcome> {
    if args.file.exists() {
        let there = format!("`{}` is there already: name a new file", args.file.display());
        return failed(&ClientError::Args(there));
    }
    let passphrase = match ask(args.passphrase_file.as_deref(), Wish::New) {
        Ok(passphrase) => passphrase,
        Err(cause) => return failed(&cause),
    };
    match Client::of(&args.centre).and_then(|client| fetch(&client, &args.file, &passphrase)) {
        Ok(Ok(made)) => {
            writeln!(out, "{} is whole: {}", escape::terminal(&args.file.display().to_string()), said(&made))?;
            Ok(Outcome::Done)
        }
        Ok(Err(error)) => failed(&error),
        Err(error) => failed(&error),
    }
}

/// Writes a backup beside where it is to be, reads it through, and only then gives it its name.
fn fetch(client: &Client, file: &Path, passphrase: &str) -> Result<Result<Restored, BackupError>, ClientError> {
    let failed = |cause| ClientError::File { path: file.to_owned(), cause };
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let beside = tempfile::Builder::new().prefix(".cresset-backup-").tempfile_in(folder).map_err(failed)?;
    let mut out = BufWriter::new(beside.as_file());
    let fetched = client.download_made("/api/v1/backup", &json!({ "passphrase": passphrase }), &mut out);
    let fetched = fetched.and_then(|_| out.flush().map_err(failed));
    drop(out);
    fetched.map_err(|error| match error {
        ClientError::File { cause, .. } => failed(cause),
        error => error,
    })?;
    beside.as_file().sync_all().map_err(failed)?;
    let made = match verify(beside.path(), passphrase) {
        Ok(made) => made,
        Err(error) => return Ok(Err(error)),
    };
    beside.persist_noclobber(file).map_err(|error| failed(error.error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    Ok(Ok(made))
}

fn said(restored: &Restored) -> String {
    let Restored { about, files, bytes, .. } = restored;
    let megabytes = *bytes as f64 / 1e6;
    let (files, events) = (counted(*files, "file"), counted(about.events, "event"));
    format!(
        "{files}, {megabytes:.1} MB, {events}, as of {}, by version {}",
        escape::terminal(&about.at),
        escape::terminal(&about.version)
    )
}

/// Says who comes in again, and what to do about it.
fn said_of_tokens(restored: &Restored, tokens: Tokens) -> String {
    let (counted, at) = (counted(restored.tokens, "token"), escape::terminal(&restored.about.at));
    match tokens {
        Tokens::Keep => format!(
            "{counted}, as of {at}, let in again whoever they let in then, also where taken back since: look at `cresset token list`, \
             take back what is too much with `cresset token revoke ID`, or restore with --without-tokens"
        ),
        Tokens::Revoke => format!(
            "{counted}, as of {at}, let nobody in any more: the first start tells a link for a first administrator"
        ),
    }
}

/// Makes a centre of a backup again, or only reads it through.
pub(crate) fn restore(args: &RestoreArgs, out: &mut dyn Write) -> io::Result<Outcome> {
    let passphrase = match ask(args.passphrase_file.as_deref(), Wish::Known) {
        Ok(passphrase) => passphrase,
        Err(cause) => return failed(&cause),
    };
    let Some(data) = &args.data else {
        return match verify(&args.file, &passphrase) {
            Ok(read) => writeln!(out, "whole: {}", said(&read)).map(|()| Outcome::Done),
            Err(error) => failed(&error),
        };
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let tokens = if args.without_tokens { Tokens::Revoke } else { Tokens::Keep };
    let restoring = cresset_centre::backup::restore(&args.file, &passphrase, data, tokens);
    let restored = match runtime.block_on(restoring) {
        Ok(restored) => restored,
        Err(error) => return failed(&error),
    };
    let folder = data.display().to_string();
    writeln!(out, "{} is a centre again: {}", escape::terminal(&folder), said(&restored))?;
    writeln!(out, "{}", said_of_tokens(&restored, tokens))?;
    if fs::exists(data.join("configuration.toml")).unwrap_or(false) {
        writeln!(
            out,
            "The configuration that it ran with is in {}",
            escape::terminal(&data.join("configuration.toml").display().to_string())
        )?;
    }
    Ok(Outcome::Done)
}
