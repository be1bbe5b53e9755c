//! Making a backup while the centre works on.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use cresset_archive::{Archive, Snapshot};
use cresset_event::Timestamp;
use cresset_store::{By, Store, StoreOptions};
use tokio::sync::OwnedSemaphorePermit;

use super::entries::Entries;
use super::sealed::Sealer;
use super::{ABOUT, ARCHIVE, About, BackupError, CONFIGURATION, FOLDERS, FORMAT, POSITIONS, RECORDS};
use crate::app::App;

/// The folder in that of the centre where a copy of the records lies for as long as a backup takes.
const FOLDER: &str = "backup";
/// How deep folders of rules may lie in one another: links can make a ring of them.
const DEPTH_MAX: usize = 16;

/// Everything as it was, held until it is written.
pub(crate) struct Taken {
    about: About,
    /// Held open: who writes them puts another file in their place.
    positions: Vec<(&'static str, File)>,
    snapshot: Snapshot,
    data: PathBuf,
    configuration: Option<PathBuf>,
    _copy: Copied,
    _permit: OwnedSemaphorePermit,
}

/// The copy of the records; taken away when the backup is done.
struct Copied(PathBuf);

impl Drop for Copied {
    fn drop(&mut self) {
        remove_left_in(&self.0);
    }
}

/// Takes away what a centre that was killed left of a backup.
pub(crate) fn remove_left(data: &Path) {
    remove_left_in(&data.join(FOLDER));
}

fn remove_left_in(folder: &Path) {
    // It is not there, as a rule; what cannot be taken away the next backup complains of.
    let _ = fs::remove_dir_all(folder);
}

impl Taken {
    /// Holds everything as it is. The order matters: see `backup.rs`.
    pub(crate) async fn now(app: &App, by: &By, permit: OwnedSemaphorePermit) -> Result<Self, BackupError> {
        app.store.audit_backup(by).await?;
        let data = app.config.data.clone();
        let positions = positions(&data)?;
        let at = Timestamp::now();
        let folder = data.join(FOLDER);
        remove_left_in(&folder);
        fs::create_dir(&folder).map_err(BackupError::io(&folder))?;
        let copy = Copied(folder);
        let records = copy.0.join(RECORDS);
        app.store.backup(&records).await?;
        let audit = audit_head(&records).await?;
        let archive = data.join(ARCHIVE);
        let (events, snapshot) = tokio::task::spawn_blocking(move || -> Result<_, BackupError> {
            // Counted before, so that the snapshot has no fewer.
            Ok((Archive::open(&archive)?.stats().events, Snapshot::take(&archive)?))
        })
        .await
        .map_err(|_| BackupError::Stream(io::Error::other("its thread was lost")))??;
        let (version, at) = (env!("CARGO_PKG_VERSION").to_owned(), at.to_string());
        let about = About { format: FORMAT, version, at, audit, events };
        let configuration = app.config.file.clone();
        Ok(Self { about, positions, snapshot, data, configuration, _copy: copy, _permit: permit })
    }

    /// Writes it, sealed.
    pub(crate) fn write(self, passphrase: &str, out: impl Write) -> Result<(), BackupError> {
        let mut entries = Entries::new(Sealer::new(out, passphrase)?);
        let about = serde_json::to_vec(&self.about).expect("texts and numbers");
        entries.add(ABOUT, about.len() as u64, &mut &about[..])?;
        for (name, file) in &self.positions {
            add(&mut entries, name, file, &self.data.join(name))?;
        }
        add_file(&mut entries, RECORDS, &self.data.join(FOLDER).join(RECORDS))?;
        for file in self.snapshot.files() {
            let mut from = File::open(&file.path).map_err(BackupError::io(&file.path))?;
            entries.add(&format!("{ARCHIVE}/{}", file.name), file.bytes, &mut from)?;
        }
        for folder in FOLDERS {
            add_folder(&mut entries, folder, &self.data.join(folder), DEPTH_MAX)?;
        }
        if let Some(file) = &self.configuration {
            add_file(&mut entries, CONFIGURATION, file)?;
        }
        entries.finish()?.finish()?;
        Ok(())
    }
}

fn positions(data: &Path) -> Result<Vec<(&'static str, File)>, BackupError> {
    let mut held = Vec::new();
    for name in POSITIONS {
        match File::open(data.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => held.push((*name, opened.map_err(BackupError::io(&data.join(name)))?)),
        }
    }
    Ok(held)
}

/// Returns where the audit log of a copy ends.
async fn audit_head(records: &Path) -> Result<(u64, String), BackupError> {
    let store = Store::open(&format!("sqlite:{}", records.display()), StoreOptions::default()).await?;
    let head = store.audit_head().await;
    store.close().await;
    let head = head?;
    Ok((head.count, head.hash))
}

fn add_file(entries: &mut Entries<impl Write>, name: &str, path: &Path) -> Result<(), BackupError> {
    add(entries, name, &File::open(path).map_err(BackupError::io(path))?, path)
}

fn add(entries: &mut Entries<impl Write>, name: &str, mut file: &File, path: &Path) -> Result<(), BackupError> {
    let bytes = file.metadata().map_err(BackupError::io(path))?.len();
    entries.add(name, bytes, &mut (&mut file as &mut dyn Read))
}

/// Adds a folder with all below it. Files that are gone when their turn comes were taken away by somebody meanwhile.
fn add_folder(entries: &mut Entries<impl Write>, name: &str, folder: &Path, depth: usize) -> Result<(), BackupError> {
    let listed = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        listed => listed.map_err(BackupError::io(folder))?,
    };
    for entry in listed {
        let path = entry.map_err(BackupError::io(folder))?.path();
        let own = path.file_name().and_then(|own| own.to_str());
        let own = own.ok_or_else(|| BackupError::Content(format!("a name that is not UTF-8: `{}`", path.display())))?;
        let name = format!("{name}/{own}");
        match fs::metadata(&path) {
            Ok(found) if found.is_dir() && depth > 0 => add_folder(entries, &name, &path, depth - 1)?,
            Ok(found) if found.is_file() => add_file(entries, &name, &path)?,
            // A link that leads nowhere, or something that is no file.
            _ => {}
        }
    }
    Ok(())
}
