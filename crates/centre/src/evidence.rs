//! Files that people keep as evidence: each under the SHA-256 of its bytes, written whole or not at all, and never again.

use std::path::PathBuf;

use axum::body::Bytes;
use cresset_pipeline::whole_file::{self, Readers};
use tokio::task::spawn_blocking;
use tracing::error;

use crate::problem::Problem;

/// Keeps a file under its digest; one that is there already is left as it is.
pub(crate) async fn keep(folder: PathBuf, sha256: [u8; 32], bytes: Bytes) -> Result<(), Problem> {
    let name: String = sha256.iter().map(|byte| format!("{byte:02x}")).collect();
    let written = spawn_blocking(move || {
        let path = folder.join(name);
        if path.exists() {
            return Ok(());
        }
        std::fs::create_dir_all(&folder)?;
        whole_file::write(&path, Readers::Owner, &bytes)
    });
    match written.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(cause)) => {
            error!(%cause, "evidence cannot be kept");
            Err(Problem::unavailable("the file cannot be kept now"))
        }
        Err(_) => Err(Problem::internal()),
    }
}
