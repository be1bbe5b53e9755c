//! A disk without room, a file that is damaged, a file that others may not read.

use std::os::unix::fs::PermissionsExt;

use cresset_store::{DetectionFilter, Store, StoreError, StoreOptions};

use crate::places::{block_on, sqlite};
use crate::{Batch, detection, record};

#[test]
fn a_full_store_says_so_and_has_nothing_half() {
    block_on(async {
        let place = sqlite();
        let options = StoreOptions { bytes_max: Some(1 << 20), ..StoreOptions::default() };
        let store = Store::open(&place.address, options).await.expect("a store");
        let batch = |number: u64| {
            let detections = (number..number + 100).map(detection).collect();
            Batch { detections, marks: vec![("log".into(), number.to_le_bytes().into())], ..Batch::default() }
        };
        let mut recorded = 0;
        let refused = loop {
            match store.record(&batch(recorded)).await {
                Ok(_) => recorded += 100,
                Err(refused) => break refused,
            }
        };
        assert!(matches!(refused, StoreError::Full(_)), "{refused:?}");
        // It says so again, and what was acknowledged is there and no more.
        assert!(matches!(store.record(&batch(recorded)).await, Err(StoreError::Full(_))));
        assert_eq!(store.replay(0, 10_000).await.expect("read").len() as u64, recorded);
        assert_eq!(store.marks().await.expect("read")[0].1, (recorded - 100).to_le_bytes());
        store.close().await;
        // With more room it goes on where it was.
        let store = place.open().await;
        store.record(&batch(recorded)).await.expect("room");
        assert_eq!(store.replay(0, 10_000).await.expect("read").len() as u64, recorded + 100);
    });
}

#[test]
fn what_is_damaged_is_told() {
    block_on(async {
        let place = sqlite();
        std::fs::write(place.file(), "no database at all, and longer than the header of one is".repeat(99))
            .expect("written");
        let refused = Store::open(&place.address, StoreOptions::default()).await.expect_err("no database");
        assert!(matches!(refused, StoreError::Damaged { .. }), "{refused:?}");
    });
    block_on(async {
        let place = sqlite();
        let store = place.open().await;
        record(&store, 0..500, 0..0).await;
        store.close().await;
        let mut bytes = std::fs::read(place.file()).expect("read");
        // All but the first pages, which say what tables there are.
        let begin = bytes.len() / 2;
        bytes[begin..].fill(0xa5);
        std::fs::write(place.file(), bytes).expect("written");
        let store = place.open().await;
        let read = store.replay(0, 10_000).await;
        assert!(matches!(read, Err(StoreError::Damaged { .. })), "{read:?}");
    });
}

#[test]
fn what_no_longer_fits_its_column_is_told() {
    block_on(async {
        let place = sqlite();
        let store = place.open().await;
        record(&store, 0..3, 0..1).await;
        for (table, change) in
            [("detections", "level = 9"), ("incidents", "state = 'asleep'"), ("detections", "id = 'x'")]
        {
            place.tamper(&format!("update {table} set {change} where seq = (select min(seq) from {table})")).await;
            let told = match table {
                "detections" => store.detections(&DetectionFilter::default(), None, 50).await.err(),
                _ => store.incidents(&Default::default(), Default::default(), None, 50).await.err(),
            };
            assert!(matches!(told, Some(StoreError::Damaged { .. })), "{change}: {told:?}");
        }
    });
}

#[test]
fn nobody_but_the_owner_reads_it() {
    block_on(async {
        let place = sqlite();
        let store = place.open().await;
        record(&store, 0..1, 0..0).await;
        let files: Vec<_> = std::fs::read_dir(place.folder.path()).expect("a folder").filter_map(Result::ok).collect();
        assert_eq!(files.len(), 3, "the database, its log and the log's index: {files:?}");
        for file in files {
            assert_eq!(file.metadata().expect("a file").permissions().mode() & 0o077, 0, "{file:?}");
        }
    });
}

#[test]
fn any_path_will_do() {
    block_on(async {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("what? #1 100% ü.db");
        let store = Store::open(&format!("sqlite:{}", path.display()), StoreOptions::default()).await.expect("a store");
        record(&store, 0..1, 0..0).await;
        assert!(path.exists());
        let nowhere = format!("sqlite:{}", folder.path().join("no/such/folder.db").display());
        assert!(matches!(Store::open(&nowhere, StoreOptions::default()).await, Err(StoreError::Io { .. })));
    });
}
