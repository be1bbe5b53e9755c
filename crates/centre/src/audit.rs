//! The audit log of a folder, looked at without its centre.

use std::path::Path;

use cresset_store::{AuditCheck, AuditHead, Store, StoreError, StoreOptions};

/// Looks at the whole audit log of the centre that keeps everything in this folder: is every row as it was written, and is the
/// head that was noted, a count and a digest, still there? Returns the count and the digest of the last row, or what is wrong.
pub async fn verify(data: &Path, noted: Option<(u64, String)>) -> Result<Result<(u64, String), String>, StoreError> {
    let file = data.join("records.db");
    if !file.is_file() {
        let cause = std::io::Error::new(std::io::ErrorKind::NotFound, "no centre keeps its records there");
        return Err(StoreError::Io { path: file, cause });
    }
    let store = Store::open(&format!("sqlite:{}", file.display()), StoreOptions::default()).await?;
    let noted = noted.map(|(count, hash)| AuditHead { count, hash });
    let checked = store.audit_verify(noted.as_ref()).await;
    store.close().await;
    Ok(match checked? {
        AuditCheck::Whole(head) => Ok((head.count, head.hash)),
        AuditCheck::Wrong(fault) => Err(fault.to_string()),
    })
}
