//! `hunt --rule --state`: how far a hunt is, in a file, so that one that was broken off is gone on with.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use cresset_detect::RuleSources;
use cresset_event::Timestamp;
use cresset_pipeline::{HuntDone, HuntProgress};
use serde::{Deserialize, Serialize};

use super::Hits;
use crate::Outcome;
use crate::args::HuntArgs;
use crate::escape;
use cresset_pipeline::whole_file::{self, Readers};

/// The version of the file.
const FORMAT: u32 = 1;

/// How far a hunt is, and what it found until there.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct State {
    format: u32,
    /// What is hunted: the archive, the rules as they were read, and the time.
    hunt: String,
    /// From when on, in nanoseconds since 1970.
    since: Option<i64>,
    files: BTreeSet<String>,
    events: u64,
    /// What correlations remember, in base64.
    memory: String,
    pub(super) hits: BTreeMap<String, Hits>,
    #[serde(skip)]
    path: Option<PathBuf>,
}

impl State {
    /// Returns how far an earlier hunt came, or the beginning of a new one; `None` where the file is of another hunt, or none.
    pub(super) fn open(args: &HuntArgs, rules: &RuleSources, err: &mut dyn Write) -> io::Result<Option<Self>> {
        let last = args.last.map(|last| i64::try_from(last.as_nanos()).unwrap_or(i64::MAX));
        let since = last.map(|last| Timestamp::now().saturating_add_nanos(-last).as_nanos());
        let hunt = format!("{} {last:?} {rules:?}", args.archive.display());
        let hunt = format!("{:08x}", crc32fast::hash(hunt.as_bytes()));
        let new = Self { format: FORMAT, hunt, since, path: args.state.clone(), ..Self::default() };
        let Some(path) = &args.state else { return Ok(Some(new)) };
        let shown = path.display().to_string();
        let shown = escape::terminal(&shown);
        let read = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(new)),
            Err(error) => {
                writeln!(err, "cresset: cannot read the state `{shown}`: {error}")?;
                return Ok(None);
            }
            Ok(read) => serde_json::from_slice::<Self>(&read),
        };
        match read {
            Ok(known) if known.format == FORMAT && known.hunt == new.hunt => {
                writeln!(err, "state: {} files were read before", known.files.len())?;
                Ok(Some(Self { path: new.path, ..known }))
            }
            Ok(_) => {
                writeln!(err, "cresset: `{shown}` is the state of another hunt, or of other rules; name another file")?;
                Ok(None)
            }
            Err(error) => {
                writeln!(err, "cresset: `{shown}` is no state of a hunt ({error}); name another file")?;
                Ok(None)
            }
        }
    }

    /// Returns from when on is hunted.
    pub(super) fn since(&self) -> Option<Timestamp> {
        self.since.map(Timestamp::from_nanos)
    }

    /// Returns what was done.
    pub(super) fn done(&self) -> HuntDone {
        // What was changed by hand is no snapshot, which the hunt says.
        let memory = BASE64_STANDARD.decode(&self.memory).unwrap_or_else(|_| vec![0]);
        HuntDone { files: self.files.iter().cloned().collect(), events: self.events, memory }
    }

    /// Forgets what was found, but not what is hunted.
    pub(super) fn begin_anew(&mut self) {
        self.hits.values_mut().for_each(Hits::clear);
        (self.files, self.events, self.memory) = Default::default();
    }

    /// Writes how far the hunt is, where there is a file for that.
    pub(super) fn save(&mut self, progress: &HuntProgress<'_>) -> io::Result<()> {
        let Some(path) = self.path.clone() else { return Ok(()) };
        self.files = progress.done.files.iter().cloned().collect();
        self.events = progress.done.events;
        self.memory = BASE64_STANDARD.encode(progress.memory());
        // Hosts and users are in it.
        whole_file::write(&path, Readers::Owner, &serde_json::to_vec(self)?)
    }

    /// Takes the file away: the hunt is at its end.
    pub(super) fn remove(&self) {
        // One that is there still is gone on with, which finds nothing new.
        let _ = self.path.as_ref().map(fs::remove_file);
    }
}

/// Says that the state cannot be written.
pub(super) fn tell_state(args: &HuntArgs, error: &io::Error, err: &mut dyn Write) -> io::Result<Outcome> {
    let shown = args.state.as_ref().map_or(String::new(), |path| path.display().to_string());
    writeln!(err, "cresset: cannot write the state to `{}`: {error}", escape::terminal(&shown))?;
    Ok(Outcome::Failed)
}
