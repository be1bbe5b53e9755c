//! Backups over HTTP: sealed before the first byte leaves.

use std::io::{self, Write};
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use cresset_archive::with_causes;
use futures_util::stream;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tracing::{error, info};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::Given;
use crate::app::App;
use crate::auth::Caller;
use crate::backup::{BackupError, PASSPHRASE_CHARS_MIN, Taken};
use crate::problem::Problem;
use crate::rights::Right;

/// Pieces that wait for whoever fetches the backup: 64 KiB each.
const PIECES_MAX: usize = 16;
/// Longest passphrase: far more than a person types, and little to derive a key from.
const PASSPHRASE_CHARS_MAX: usize = 1024;

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(back_up))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewBackup {
    /// What the backup is sealed with: who has lost it has lost the backup.
    #[schema(min_length = 12, max_length = 1024)]
    passphrase: String,
}

/// Makes a backup of all that the centre keeps
#[utoipa::path(post, path = "/api/v1/backup", tag = "backup", request_body = NewBackup,
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream",
        description = "The backup (docs/backup-format.md). One without its last part does not open.")))]
async fn back_up(
    State(app): State<Arc<App>>,
    caller: Caller,
    Given(given): Given<NewBackup>,
) -> Result<Response, Problem> {
    caller.must(Right::Backup)?;
    if !(PASSPHRASE_CHARS_MIN..=PASSPHRASE_CHARS_MAX).contains(&given.passphrase.chars().count()) {
        let bounds = format!("passphrase: {PASSPHRASE_CHARS_MIN} to {PASSPHRASE_CHARS_MAX} characters");
        return Err(Problem::invalid(bounds));
    }
    let permit = Arc::clone(&app.backups).try_acquire_owned();
    let permit = permit.map_err(|_| Problem::conflict("another backup is being made: wait until it is done"))?;
    let taken = Taken::now(&app, &caller.now(), permit).await.map_err(|error| of_backup(&error))?;
    info!(by = caller.token.id, "a backup is made");
    let (pieces, taken_pieces) = mpsc::channel(PIECES_MAX);
    spawn_blocking(move || {
        let out = Pieces(pieces);
        let failed = out.0.clone();
        if let Err(error) = taken.write(&given.passphrase, out) {
            error!(error = with_causes(&error), "a backup was not finished");
            // The answer is cut off, and whoever fetches it sees that.
            let _ = failed.blocking_send(Err(io::Error::other("the backup was not finished")));
        }
    });
    let body = stream::unfold(taken_pieces, |mut pieces| async { pieces.recv().await.map(|piece| (piece, pieces)) });
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], Body::from_stream(body)).into_response())
}

fn of_backup(error: &BackupError) -> Problem {
    error!(error = with_causes(error), "no backup can be made");
    Problem::unavailable("no backup can be made now; the centre's log says why")
}

/// Passes on what is written.
struct Pieces(mpsc::Sender<io::Result<Bytes>>);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "nobody fetches it any more");
        self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes))).map_err(gone)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
