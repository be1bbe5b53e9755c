//! What was changed in the audit log is found: every column of every row, rows that are gone or elsewhere, an end cut off.

use cresset_store::{Act, AuditCheck, AuditFault, AuditHead, AuditWrong, Store};

use crate::{Place, analyst, both, incident, record};

both!(
    an_untouched_log_is_whole,
    every_column_of_every_row_is_held,
    a_row_that_is_gone_or_elsewhere_is_found,
    an_end_that_was_cut_off_is_found_by_its_head,
    a_chain_that_was_made_anew_is_not_the_one_that_was_noted,
);

const ROWS: u64 = 4;

/// Makes a store with a log of four rows.
async fn logged(place: &Place) -> Store {
    let store = place.open().await;
    record(&store, 0..0, 1..2).await;
    for number in 0..ROWS {
        let note = Act::Note { incident: incident(1).id, text: format!("note {number}") };
        store.act(&analyst(number as i64), &note).await.expect("noted");
    }
    store
}

async fn check_finds(store: &Store, noted: Option<&AuditHead>, seq: u64, wrong: AuditWrong, what: &str) {
    let found = store.audit_verify(noted).await.expect("read");
    assert_eq!(found, AuditCheck::Wrong(AuditFault { seq, wrong }), "{what}");
}

async fn check_whole(store: &Store) {
    let head = store.audit_head().await.expect("read");
    assert_eq!(store.audit_verify(Some(&head)).await.expect("read"), AuditCheck::Whole(head));
}

async fn an_untouched_log_is_whole(place: Place) {
    let store = place.open().await;
    check_whole(&store).await;
    drop(store);
    let store = logged(&place).await;
    check_whole(&store).await;
    assert_eq!(store.audit_head().await.expect("read").count, ROWS);
    // A head that was noted earlier is still in it.
    let noted = store.audit_head().await.expect("read");
    let note = Act::Note { incident: incident(1).id, text: "one more".into() };
    store.act(&analyst(9), &note).await.expect("noted");
    assert!(matches!(store.audit_verify(Some(&noted)).await.expect("read"), AuditCheck::Whole(_)));
}

async fn every_column_of_every_row_is_held(place: Place) {
    let store = logged(&place).await;
    for seq in 1..=ROWS {
        for column in ["at", "actor", "act", "object", "detail", "previous", "hash"] {
            let changed = if column == "at" { "at + 1".into() } else { format!("{column} || 'x'") };
            let back =
                if column == "at" { "at - 1".into() } else { format!("substr({column}, 1, length({column}) - 1)") };
            let set = |to: &str| format!("update audit set {column} = {to} where seq = {seq}");
            assert_eq!(place.tamper(&set(&changed)).await, 1);
            check_finds(&store, None, seq, AuditWrong::Changed, column).await;
            place.tamper(&set(&back)).await;
            check_whole(&store).await;
        }
        // Its number: the place that it leaves is found, or that it takes.
        place.tamper(&format!("update audit set seq = 100 where seq = {seq}")).await;
        let found = store.audit_verify(None).await.expect("read");
        assert!(matches!(&found, AuditCheck::Wrong(fault) if fault.seq == seq), "{found:?}");
        place.tamper(&format!("update audit set seq = {seq} where seq = 100")).await;
    }
    check_whole(&store).await;
    // The salt is where the chain begins. The store has read it, another one reads it anew.
    place.tamper("update audit_chain set salt = salt || 'x'").await;
    check_finds(&place.open().await, None, 1, AuditWrong::Unlinked, "salt").await;
}

async fn a_row_that_is_gone_or_elsewhere_is_found(place: Place) {
    let store = logged(&place).await;
    place.tamper("update audit set seq = 100 where seq = 2").await;
    place.tamper("update audit set seq = 2 where seq = 3").await;
    place.tamper("update audit set seq = 3 where seq = 100").await;
    check_finds(&store, None, 2, AuditWrong::Changed, "two that were swapped").await;
    place.tamper("update audit set seq = 100 where seq = 2").await;
    place.tamper("update audit set seq = 2 where seq = 3").await;
    place.tamper("update audit set seq = 3 where seq = 100").await;
    check_whole(&store).await;
    place.tamper("delete from audit where seq = 2").await;
    check_finds(&store, None, 2, AuditWrong::Missing, "a row that is gone").await;
    place.tamper("update audit set seq = seq - 1 where seq = 3").await;
    check_finds(&store, None, 2, AuditWrong::Changed, "rows that moved up").await;
    place.tamper("delete from audit where seq <= 2").await;
    check_finds(&store, None, 1, AuditWrong::Missing, "a beginning that is gone").await;
}

async fn an_end_that_was_cut_off_is_found_by_its_head(place: Place) {
    let store = logged(&place).await;
    let noted = store.audit_head().await.expect("read");
    for left in (0..ROWS).rev() {
        place.tamper(&format!("delete from audit where seq > {left}")).await;
        check_finds(&store, Some(&noted), left + 1, AuditWrong::CutOff, "an end that is gone").await;
        // Without a head nothing can be told: what is left is a whole chain.
        assert!(matches!(store.audit_verify(None).await.expect("read"), AuditCheck::Whole(_)));
    }
}

async fn a_chain_that_was_made_anew_is_not_the_one_that_was_noted(place: Place) {
    let store = logged(&place).await;
    let noted = store.audit_head().await.expect("read");
    place.tamper("delete from audit where seq > 3").await;
    let note = Act::Note { incident: incident(1).id, text: "nothing happened".into() };
    store.act(&analyst(9), &note).await.expect("noted");
    check_finds(&store, Some(&noted), ROWS, AuditWrong::NotAsNoted, "another last row").await;
}
