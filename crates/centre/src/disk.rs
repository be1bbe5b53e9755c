//! Files of the centre's own folder, read and written on threads that may wait for the disk.

use std::io;

use tokio::task::spawn_blocking;
use tracing::error;

use crate::problem::Problem;

/// Does something with files.
pub(crate) async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Problem> {
    spawn_blocking(work).await.map_err(|_| Problem::internal())?.map_err(of_disk)
}

/// Tells why it cannot be done.
pub(crate) fn of_disk(cause: io::Error) -> Problem {
    match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Problem::full(),
        _ => {
            error!(%cause, "a file of the centre cannot be read or written");
            Problem::unavailable("the centre's files cannot be read or written now")
        }
    }
}
