//! `cresset evidence`: files of an incident, to the centre and back, piece by piece and with a bar.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use cresset_event::hex;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::show::list;
use super::{act, ids, text};
use crate::Outcome;
use crate::args::EvidenceArgs;
use crate::client::{Client, ClientError, failed, percent};
use crate::watch::Bar;

/// Keeps a file as evidence, or fetches one.
pub(crate) fn evidence(args: &EvidenceArgs, out: &mut dyn Write) -> io::Result<Outcome> {
    match args.fetch {
        None => act(&args.centre, &args.id, out, "kept", |client, id| keep(client, id, &args.file)),
        Some(_) if args.file.exists() => {
            let there = format!("`{}` is there already: name a new file", args.file.display());
            failed(&ClientError::Args(there))
        }
        Some(number) => act(&args.centre, &args.id, out, "fetched", |client, id| fetch(client, id, number, &args.file)),
    }
}

fn keep(client: &Client, id: &str, path: &Path) -> Result<Value, ClientError> {
    let unread = |cause| ClientError::File { path: path.to_owned(), cause };
    let file = File::open(path).map_err(unread)?;
    let bytes = file.metadata().map_err(unread)?.len();
    let name = percent(&path.file_name().unwrap_or_default().to_string_lossy());
    let bar = Bar::new(Some(bytes));
    let kept = client.post_file(&format!("/api/v1/incidents/{id}/evidence?name={name}"), file, bytes, bar.clone());
    bar.finish();
    kept
}

/// Writes a file beside where it is to be, compares it with its digest, and only then gives it its name.
fn fetch(client: &Client, id: &str, number: u64, path: &Path) -> Result<Value, ClientError> {
    let unwritten = |cause| ClientError::File { path: path.to_owned(), cause };
    let page = client.get(&format!("/api/v1/incidents/{id}"))?;
    let known = list(&page, "evidence").iter().find(|file| file["number"].as_u64() == Some(number));
    let Some(known) = known else {
        return Err(ClientError::Args(format!(
            "there is no evidence {number}: look at `cresset show {}`",
            ids::short(id)
        )));
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let beside = tempfile::Builder::new().prefix(".cresset-").tempfile_in(folder).map_err(unwritten)?;
    let sha256 = download(client, &format!("/api/v1/incidents/{id}/evidence/{number}"), beside.as_file(), known);
    let sha256 = sha256.map_err(|error| match error {
        ClientError::File { cause, .. } => unwritten(cause),
        error => error,
    })?;
    if sha256 != text(known, "sha256") {
        return Err(ClientError::Answer("the file is not the one that was kept".into()));
    }
    beside.persist_noclobber(path).map_err(|error| unwritten(error.error))?;
    Ok(json!({ "incident": id }))
}

/// Brings a file to the disk, and returns the digest of what came.
fn download(client: &Client, path: &str, file: &File, known: &Value) -> Result<String, ClientError> {
    let bar = Bar::new(known["bytes"].as_u64());
    let mut out = Hashed { out: BufWriter::new(file), sha256: Sha256::new(), bytes: 0, bar: bar.clone() };
    let fetched = client.download(path, &mut out);
    bar.finish();
    fetched?;
    let unwritten = |cause| ClientError::File { path: path.into(), cause };
    out.flush().and_then(|()| file.sync_all()).map_err(unwritten)?;
    Ok(hex(&out.sha256.finalize()))
}

/// Hashes what is written, and shows how far it is.
struct Hashed<W> {
    out: W,
    sha256: Sha256,
    bytes: u64,
    bar: Bar,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.sha256.update(&bytes[..written]);
        self.bytes += written as u64;
        self.bar.set_position(self.bytes);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
