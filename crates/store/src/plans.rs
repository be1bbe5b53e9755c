//! No list reads or sorts more than it shows: each is read along an index that has its filter and its order.
//!
//! Times differ from machine to machine, plans do not: these tests ask SQLite for them, over as many rows as a large centre has.

use cresset_detect::Level;
use cresset_event::Timestamp;
use cresset_picture::{PriorityClass, State};

use crate::detections::{self, DetectionFilter};
use crate::incidents::{self, IncidentFilter, IncidentOrder, OwnerFilter, StateFilter};
use crate::sql::{Columns, Sql};
use crate::{Batch, Cursor, Store, StoreOptions};

#[path = "../tests/it/samples.rs"]
mod samples;

const INCIDENTS: u64 = 100_000;
const DETECTIONS: u64 = 2_000;

/// Runs a test over a store with many incidents.
fn with_many(test: impl AsyncFnOnce(Store)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let folder = tempfile::tempdir().expect("a folder");
        let address = format!("sqlite:{}", folder.path().join("records.db").display());
        let store = Store::open(&address, StoreOptions::default()).await.expect("a store");
        let incidents: Vec<_> = (0..INCIDENTS).map(samples::incident).collect();
        let detections = (0..DETECTIONS).map(samples::detection).collect();
        store.record(&Batch { incidents, detections, ..Batch::default() }).await.expect("recorded");
        test(store).await;
    });
}

/// Asks for the plan of a query, and checks that it is one search along an index, or one walk in the index's order.
async fn check_plan(store: &Store, sql: Sql, what: &str) {
    let rows = sql.explained().rows(store.readers()).await.expect(what);
    let plan: Vec<String> = rows.iter().map(|row| row.text("detail").expect("a plan")).collect();
    println!("{what}: {plan:?}");
    assert_eq!(plan.len(), 1, "{what}: {plan:?}");
    assert!(plan[0].contains("USING INDEX"), "{what}: {plan:?}");
    assert!(!plan[0].contains("TEMP B-TREE"), "{what}: {plan:?}");
}

#[test]
fn lists_of_incidents_follow_an_index() {
    with_many(async |store| {
        let any = IncidentFilter::default;
        let filters = [
            any(),
            IncidentFilter { state: Some(StateFilter::Open), ..any() },
            IncidentFilter { state: Some(StateFilter::Closed), ..any() },
            IncidentFilter { state: Some(StateFilter::Is(State::Triage)), ..any() },
            IncidentFilter { class: Some(PriorityClass::P1), ..any() },
            IncidentFilter { owner: Some(OwnerFilter::Is("ana".into())), ..any() },
            IncidentFilter { owner: Some(OwnerFilter::Nobody), state: Some(StateFilter::Open), ..any() },
            IncidentFilter { class: Some(PriorityClass::P1), state: Some(StateFilter::Open), ..any() },
            IncidentFilter { title: Some("web".into()), ..any() },
        ];
        for (order, cursor) in [(IncidentOrder::Last, "l.1.2"), (IncidentOrder::Priority, "p.1.2.3")] {
            for filter in &filters {
                for after in [None, Some(Cursor::parse(cursor).expect("a cursor"))] {
                    let sql = incidents::list(filter, order, after.as_ref(), 50).expect("a query");
                    check_plan(&store, sql, &format!("{order:?} {filter:?}, after {after:?}")).await;
                }
            }
        }
    });
}

#[test]
fn lists_of_detections_follow_an_index() {
    with_many(async |store| {
        let any = DetectionFilter::default;
        let new = samples::detection(1).facts;
        let mut filters = vec![
            any(),
            DetectionFilter { incident: Some(samples::incident(1).id), ..any() },
            DetectionFilter { host: new.host, level_min: Some(Level::High), ..any() },
            DetectionFilter { cause: Some(new.cause), ..any() },
            DetectionFilter { retro: Some(true), ..any() },
            DetectionFilter { from_inclusive: Some(Timestamp::from_nanos(1)), ..any() },
            DetectionFilter { until_exclusive: Some(new.time), title: Some("certutil".into()), ..any() },
        ];
        filters.extend(Level::ALL.map(|level| DetectionFilter { level_min: Some(level), ..any() }));
        for filter in &filters {
            for after in [None, Some(Cursor::parse("d.1.2").expect("a cursor"))] {
                let sql = detections::list(filter, after.as_ref(), 50).expect("a query");
                check_plan(&store, sql, &format!("{filter:?}, after {after:?}")).await;
            }
        }
    });
}
