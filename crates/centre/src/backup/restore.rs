//! A centre made of a backup again.
//!
//! Everything is unpacked into a folder beside the one that is to be, looked at as a whole, and only then given its name: the
//! folder is there whole or not at all. `TRUST.md` asks that a restored centre be disarmed until the tombstones, which are kept
//! apart from backups, are applied. Nothing is shared between centres yet; what disarms goes into `made_known`, before the folder
//! has its name.

use std::fs::{self, DirBuilder, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use cresset_archive::Archive;
use cresset_event::Timestamp;
use cresset_store::{AuditCheck, AuditHead, By, Store, StoreOptions};

use super::entries::read_all;
use super::sealed::Opener;
use super::{ABOUT, ARCHIVE, About, BackupError, FORMAT, RECORDS};

/// Longest description of a backup.
const ABOUT_BYTES_MAX: u64 = 64 << 10;
/// Who does it: whoever has the file and the passphrase.
const ACTOR: &str = "local";

/// What becomes of the tokens of a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tokens {
    /// They let in whoever they let in then.
    Keep,
    /// They let nobody in, and the first administrator comes in by a link again.
    Revoke,
}

/// What came out of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// What it is of.
    pub about: About,
    /// How many files it has.
    pub files: u64,
    /// How many bytes they have.
    pub bytes: u64,
    /// Tokens that let somebody in then: those that were kept let in again, also where they were taken back since.
    pub tokens: u64,
}

/// Reads a backup to its end, and says what is in it.
pub fn verify(file: &Path, passphrase: &str) -> Result<Restored, BackupError> {
    read(file, passphrase, |_, content| Ok(io::copy(content, &mut io::sink()).map(drop)?))
}

/// Makes a centre of a backup in a folder that is empty, or not there yet.
pub async fn restore(file: &Path, passphrase: &str, folder: &Path, tokens: Tokens) -> Result<Restored, BackupError> {
    let is_used = fs::read_dir(folder)
        .map_or_else(|error| error.kind() != io::ErrorKind::NotFound, |mut entries| entries.next().is_some());
    if is_used {
        return Err(BackupError::NotEmpty { folder: folder.to_owned() });
    }
    let beside = Beside::make(folder)?;
    let restored = read(file, passphrase, |name, content| beside.put(name, content))?;
    let tokens = made_known(&beside.0, &restored.about, tokens).await?;
    whole_archive(&beside.0.join(ARCHIVE), restored.about.events)?;
    beside.become_whole(folder)?;
    Ok(Restored { tokens, ..restored })
}

/// Reads a backup; `put` gets each file but the description.
fn read(
    file: &Path,
    passphrase: &str,
    mut put: impl FnMut(&str, &mut dyn Read) -> Result<(), BackupError>,
) -> Result<Restored, BackupError> {
    let opened = File::open(file).map_err(BackupError::io(file))?;
    let mut about: Option<About> = None;
    let mut total = 0;
    let files = read_all(Opener::new(BufReader::new(opened), passphrase)?, |name, bytes, content| {
        total += bytes;
        if about.is_some() {
            return put(name, content);
        }
        let is_about = name == ABOUT && bytes <= ABOUT_BYTES_MAX;
        let read = is_about.then(|| serde_json::from_reader::<_, About>(content).ok()).flatten();
        about = read.filter(|about| about.format == FORMAT);
        about.is_some().then_some(()).ok_or(BackupError::NoBackup)
    })?;
    Ok(Restored { about: about.ok_or(BackupError::NoBackup)?, files, bytes: total, tokens: 0 })
}

/// Looks at the audit log, and writes into it where this centre comes from. Returns how many tokens let somebody in.
async fn made_known(folder: &Path, about: &About, tokens: Tokens) -> Result<u64, BackupError> {
    let store = Store::open(&format!("sqlite:{}", folder.join(RECORDS).display()), StoreOptions::default()).await?;
    let made = written_on(&store, about, tokens).await;
    store.close().await;
    made
}

async fn written_on(store: &Store, about: &About, tokens: Tokens) -> Result<u64, BackupError> {
    let (count, hash) = about.audit.clone();
    let now = Timestamp::now();
    match store.audit_verify(Some(&AuditHead { count, hash })).await? {
        AuditCheck::Whole(head) if head.count == about.audit.0 => {}
        AuditCheck::Whole(head) => return Err(BackupError::Audit(format!("it has {} lines", head.count))),
        AuditCheck::Wrong(fault) => return Err(BackupError::Audit(fault.to_string())),
    }
    let at = Timestamp::parse_rfc3339(&about.at).map_err(|_| BackupError::NoBackup)?;
    store.revoke_local_token(now).await?;
    let by = By { actor: ACTOR.into(), at: now };
    store.audit_restored(&by, at).await?;
    if tokens == Tokens::Revoke {
        return Ok(store.revoke_all_tokens(&by).await?);
    }
    let holds = |expires: Option<Timestamp>| expires.is_none_or(|expires| now < expires);
    let tokens = store.tokens().await?;
    Ok(tokens.iter().filter(|token| token.revoked.is_none() && holds(token.issued.expires)).count() as u64)
}

/// Reads every file of an archive, and looks whether it has so many events.
fn whole_archive(folder: &Path, events: u64) -> Result<(), BackupError> {
    // All of it was in files and there was no log.
    let wal = folder.join("wal");
    fs::create_dir_all(&wal).map_err(BackupError::io(&wal))?;
    let archive = Archive::open(folder)?;
    if let Some(damage) = archive.verify(|_| {}).into_iter().next() {
        return Err(damage.into());
    }
    let found = archive.stats().events;
    if found < events {
        return Err(BackupError::Content(format!("{found} events, where there were {events}")));
    }
    Ok(())
}

/// The folder while it is filled; taken away where it does not become whole.
struct Beside(PathBuf);

impl Beside {
    fn make(folder: &Path) -> Result<Self, BackupError> {
        let mut name = std::ffi::OsString::from(".");
        name.push(folder.file_name().unwrap_or_default());
        name.push(".restoring");
        let beside = folder.with_file_name(name);
        private().create(&beside).map_err(BackupError::io(&beside))?;
        Ok(Self(beside))
    }

    fn put(&self, name: &str, content: &mut dyn Read) -> Result<(), BackupError> {
        let path = self.0.join(name);
        let parent = path.parent().unwrap_or(&self.0);
        private().recursive(true).create(parent).map_err(BackupError::io(parent))?;
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut out = options.open(&path).map_err(BackupError::io(&path))?;
        // What cannot be read is the backup's fault, what cannot be written the disk's.
        let mut buffer = vec![0; 128 << 10];
        loop {
            let read = content.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            io::Write::write_all(&mut out, &buffer[..read]).map_err(BackupError::io(&path))?;
        }
        out.sync_all().map_err(BackupError::io(&path))
    }

    fn become_whole(self, folder: &Path) -> Result<(), BackupError> {
        sync_folders(&self.0).map_err(BackupError::io(&self.0))?;
        fs::rename(&self.0, folder).map_err(BackupError::io(folder))?;
        let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        sync(parent).map_err(BackupError::io(parent))
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // Gone where it has become whole.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn private() -> DirBuilder {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

/// Brings the names in a folder, and in all below it, to the disk.
fn sync_folders(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sync_folders(&path)?;
        }
    }
    sync(folder)
}

fn sync(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
