//! A backup is a whole store, made while the store is at work, or nothing.

use std::os::unix::fs::PermissionsExt;

use cresset_store::{Act, AuditCheck, Store, StoreError, StoreOptions};

use crate::{Place, analyst, both, incident, record};

both!(a_backup_is_a_whole_store);

async fn a_backup_is_a_whole_store(place: Place) {
    let store = place.open().await;
    record(&store, 0..300, 0..3).await;
    store.act(&analyst(1), &Act::Note { incident: incident(1).id, text: "kept".into() }).await.expect("done");
    let copy = place.folder.path().join("copy of store.db");
    if !place.is_sqlite() {
        let refused = store.backup(&copy).await.expect_err("not here");
        assert!(matches!(refused, StoreError::BackupByPgDump) && refused.to_string().contains("pg_dump"));
        assert!(!copy.exists());
        return;
    }
    let writer = tokio::spawn({
        let store = store.clone();
        async move {
            for number in 300..400 {
                record(&store, number..number + 1, 0..0).await;
            }
        }
    });
    store.backup(&copy).await.expect("a backup");
    writer.await.expect("the writer");
    assert_eq!(copy.metadata().expect("a file").permissions().mode() & 0o777, 0o600);
    let kept = Store::open(&format!("sqlite:{}", copy.display()), StoreOptions::default()).await.expect("a store");
    assert!(kept.replay(0, 10_000).await.expect("read").len() >= 300);
    assert_eq!(kept.incident(incident(1).id).await.expect("there").notes[0].text, "kept");
    let noted = store.audit_head().await.expect("read");
    assert_eq!(kept.audit_verify(Some(&noted)).await.expect("read"), AuditCheck::Whole(noted));
    check_refuses(&store, &place).await;
}

/// A file that is there is left as it is, and what cannot be written leaves nothing.
async fn check_refuses(store: &Store, place: &Place) {
    let there = place.folder.path().join("there.db");
    std::fs::write(&there, "mine").expect("written");
    assert!(matches!(store.backup(&there).await, Err(StoreError::Conflict { .. })));
    assert_eq!(std::fs::read(&there).expect("read"), b"mine");
    let nowhere = place.folder.path().join("no/such/folder.db");
    assert!(matches!(store.backup(&nowhere).await, Err(StoreError::Io { .. })));
    let partial = std::fs::read_dir(place.folder.path()).expect("a folder").filter_map(Result::ok);
    assert!(!partial.into_iter().any(|entry| entry.file_name().to_string_lossy().ends_with(".partial")));
}
