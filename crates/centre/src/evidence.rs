//! Files that people keep as evidence: each under the SHA-256 of its bytes, written whole or not at all, and never again.
//!
//! Images of memory and captures of networks do not fit into memory: what arrives goes to the disk piece by piece, into a folder
//! of its own, and gets its name once all of it is there. Where a sender breaks off, or the disk is full, its piece is gone; what
//! a centre leaves that is killed, the next start takes away. A file is sent piece by piece likewise.
//! `cresset/tests/it/serve/evidence.rs` does all of it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, HttpBody};
use cresset_event::hex;
use futures_util::StreamExt;
use futures_util::stream::try_unfold;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::app::App;
use crate::disk::{of_disk, on_disk};
use crate::problem::Problem;

/// Where files lie that have not come to their end.
const ARRIVING: &str = "arriving";
/// How long the next piece of a file may take.
const PIECE_WITHIN: Duration = Duration::from_secs(60);
/// How slowly a file may arrive at the least, in bytes a second: one that drips keeps others out.
const BYTES_A_SECOND_MIN: u64 = 16 << 10;
/// Room that evidence leaves on the disk: what comes in meanwhile must be written as well.
const ROOM_LEFT_BYTES: u64 = 256 << 20;
/// Bytes after which the room is looked at again.
const LOOK_AGAIN_BYTES: u64 = 32 << 20;
/// Files that arrive at once: of the room that is left they can take half before each has looked again.
pub(crate) const ARRIVING_MAX: usize = 4;
/// How long a sender waits where as many files arrive as may.
const RETRY_AFTER_SECONDS: u64 = 5;
/// Bytes of a piece that is sent.
const PIECE_BYTES: usize = 64 << 10;

/// A file that has arrived whole. It is gone where it is not kept.
pub(crate) struct Arrived {
    file: NamedTempFile,
    /// The digest of its bytes.
    pub(crate) sha256: [u8; 32],
    /// How long it is.
    pub(crate) bytes: u64,
}

/// Takes away what a centre that was killed left of files that were arriving.
pub(crate) fn remove_left(data: &Path) {
    // It is not there, as a rule; what cannot be taken away is in nobody's way.
    let _ = fs::remove_dir_all(data.join(ARRIVING));
}

/// Brings a file to the disk as it arrives, where not too many do.
pub(crate) async fn receive(app: &App, body: Body) -> Result<Arrived, Problem> {
    let _turn = app.arriving.try_acquire().map_err(|_| Problem::too_many(RETRY_AFTER_SECONDS))?;
    let declared = body.size_hint().lower();
    let mut pieces = body.into_data_stream();
    let (folder, bytes_max) = (app.config.data.join(ARRIVING), app.config.evidence.bytes_max);
    if declared > bytes_max {
        return Err(Problem::file_too_large(bytes_max));
    }
    let file = begin(folder.clone(), declared).await?;
    let mut out = File::from_std(file.reopen().map_err(of_disk)?);
    let began = Instant::now();
    let (mut bytes, mut look_again) = (0, LOOK_AGAIN_BYTES);
    let mut sha256 = Sha256::new();
    while let Some(piece) = timeout(PIECE_WITHIN, pieces.next()).await.map_err(|_| Problem::timeout())? {
        let piece = piece.map_err(|_| Problem::invalid("the file did not come to its end"))?;
        bytes += piece.len() as u64;
        if began.elapsed() > PIECE_WITHIN + Duration::from_secs(bytes / BYTES_A_SECOND_MIN) {
            return Err(Problem::timeout());
        }
        if bytes > bytes_max {
            return Err(Problem::file_too_large(bytes_max));
        }
        if bytes >= look_again {
            must_have_room(&folder, 0).map_err(of_disk)?;
            look_again += LOOK_AGAIN_BYTES;
        }
        sha256.update(&piece);
        out.write_all(&piece).await.map_err(of_disk)?;
    }
    // What the last write met is told by the flush.
    out.flush().await.map_err(of_disk)?;
    out.sync_all().await.map_err(of_disk)?;
    Ok(Arrived { file, sha256: sha256.finalize().into(), bytes })
}

/// Makes the file, where there is room for so many bytes.
async fn begin(folder: PathBuf, bytes: u64) -> Result<NamedTempFile, Problem> {
    on_disk(move || {
        fs::create_dir_all(&folder)?;
        must_have_room(&folder, bytes)?;
        NamedTempFile::new_in(&folder)
    })
    .await
}

#[cfg(unix)]
fn must_have_room(folder: &Path, bytes: u64) -> io::Result<()> {
    let disk = rustix::fs::statvfs(folder)?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    if free < bytes.saturating_add(ROOM_LEFT_BYTES) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
}

#[cfg(not(unix))]
fn must_have_room(_: &Path, _: u64) -> io::Result<()> {
    Ok(())
}

impl Arrived {
    /// Keeps the file under its digest; one that is there already is left as it is.
    pub(crate) async fn keep(self, folder: PathBuf) -> Result<(), Problem> {
        on_disk(move || {
            let path = folder.join(hex(&self.sha256));
            if path.exists() {
                return Ok(());
            }
            fs::create_dir_all(&folder)?;
            self.file.persist(&path).map_err(|error| error.error)?;
            // The name is safe once the folder is.
            if cfg!(unix) { fs::File::open(&folder)?.sync_all() } else { Ok(()) }
        })
        .await
    }
}

/// Opens a file that was kept, to send it piece by piece. Returns how long it is as well.
pub(crate) async fn open(folder: PathBuf, sha256: &str) -> Result<(Body, u64), Problem> {
    let path = folder.join(sha256);
    let (file, bytes) = on_disk(move || {
        let file = fs::File::open(path)?;
        let bytes = file.metadata()?.len();
        Ok((file, bytes))
    })
    .await?;
    let pieces = try_unfold(File::from_std(file), |mut file| async move {
        let mut piece = vec![0; PIECE_BYTES];
        let read = file.read(&mut piece).await?;
        piece.truncate(read);
        Ok::<_, io::Error>((read > 0).then(|| (Bytes::from(piece), file)))
    });
    Ok((Body::from_stream(pieces), bytes))
}
