//! Another program that writes for too long is waited for, and then told.

use std::time::Duration;

use cresset_store::{Batch, Store, StoreError, StoreOptions};
use sqlx::{Connection, Executor};

use crate::{Place, both, detection};

both!(a_store_that_others_hold_is_busy);

async fn a_store_that_others_hold_is_busy(place: Place) {
    let options = StoreOptions { busy_wait: Duration::from_millis(100), ..StoreOptions::default() };
    let store = Store::open(&place.address, options).await.expect("a store");
    let mut other = place.connect().await;
    let mut held = other.begin_with(if place.is_sqlite() { "begin immediate" } else { "begin" }).await.expect("begun");
    held.execute("update numbers set next = next").await.expect("held");
    let batch = Batch { detections: vec![detection(1)], ..Batch::default() };
    let refused = store.record(&batch).await.expect_err("held");
    assert!(matches!(refused, StoreError::Busy(_)), "{refused:?}");
    // Who reads does not wait for who writes.
    assert_eq!(store.replay(0, 10).await.expect("read"), []);
    held.rollback().await.expect("let go");
    store.record(&batch).await.expect("recorded");
}
