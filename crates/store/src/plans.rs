//! No list reads or sorts more than it shows: each is read along an index that has its filter and its order.
//!
//! Times differ from machine to machine, plans do not: this test asks SQLite for them. `INCIDENTS` says over how many
//! incidents (default 5,000; `./prove` takes 100,000, as many as a large centre has).

use cresset_detect::Level;
use cresset_event::Timestamp;
use cresset_picture::{PriorityClass, State};

use crate::detections::{self, DetectionFilter};
use crate::incidents::{self, IncidentFilter, IncidentOrder, OwnerFilter, StateFilter};
use crate::sql::{Columns, Sql};
use crate::{Batch, Cursor, Store, StoreOptions};

#[path = "../tests/it/samples.rs"]
mod samples;

const INCIDENTS: u64 = 5_000;
const DETECTIONS: u64 = 2_000;

/// Makes a store with many incidents.
async fn filled(address: &str) -> Store {
    let store = Store::open(address, StoreOptions::default()).await.expect("a store");
    let asked = std::env::var("INCIDENTS").ok().and_then(|incidents| incidents.parse().ok());
    let incidents: Vec<_> = (0..asked.unwrap_or(INCIDENTS)).map(samples::incident).collect();
    let detections = (0..DETECTIONS).map(samples::detection).collect();
    store.record(&Batch { incidents, detections, ..Batch::default() }).await.expect("recorded");
    store
}

/// Asks for the plan of a query, and checks that it is one search along an index, or one walk in the index's order. Returns the
/// index.
async fn check_plan(store: &Store, sql: Sql, what: &str) -> String {
    let rows = sql.explained().rows(store.readers()).await.expect(what);
    let plan: Vec<String> = rows.iter().map(|row| row.text("detail").expect("a plan")).collect();
    println!("{what}: {plan:?}");
    assert_eq!(plan.len(), 1, "{what}: {plan:?}");
    let (_, index) = plan[0].split_once("INDEX ").unwrap_or_else(|| panic!("{what}: {plan:?}"));
    assert!(!plan[0].contains("TEMP B-TREE"), "{what}: {plan:?}");
    index.split(' ').next().unwrap_or_default().to_owned()
}

/// Checks that an index has the titles: a search that finds nothing reads no rows.
async fn check_titles(store: &Store, index: &str) {
    let columns = Sql::new("select name from pragma_index_info(?)").text(index).rows(store.readers()).await;
    let columns: Vec<_> = columns.expect(index).iter().map(|row| row.text("name").expect("a name")).collect();
    assert!(columns.contains(&"folded".to_owned()), "{index}: {columns:?}");
}

#[test]
fn every_list_follows_an_index() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let folder = tempfile::tempdir().expect("a folder");
        let store = filled(&format!("sqlite:{}", folder.path().join("records.db").display())).await;
        check_incidents(&store).await;
        check_detections(&store).await;
    });
}

async fn check_incidents(store: &Store) {
    for (order, cursor) in [(IncidentOrder::Last, "l.1.2"), (IncidentOrder::Priority, "p.1.2.3")] {
        for filter in incident_filters() {
            for after in [None, Some(Cursor::parse(cursor).expect("a cursor"))] {
                let sql = incidents::list(&filter, order, after.as_ref(), 50).expect("a query");
                check_plan(store, sql, &format!("{order:?} {filter:?}, after {after:?}")).await;
                let titled = IncidentFilter { title: Some("web".into()), ..filter.clone() };
                let sql = incidents::list(&titled, order, after.as_ref(), 50).expect("a query");
                let index = check_plan(store, sql, &format!("{order:?} {titled:?}, after {after:?}")).await;
                check_titles(store, &index).await;
            }
        }
    }
}

fn incident_filters() -> Vec<IncidentFilter> {
    let any = IncidentFilter::default;
    vec![
        any(),
        IncidentFilter { state: Some(StateFilter::Open), ..any() },
        IncidentFilter { state: Some(StateFilter::Closed), ..any() },
        IncidentFilter { state: Some(StateFilter::Is(State::Triage)), ..any() },
        IncidentFilter { class: Some(PriorityClass::P1), ..any() },
        IncidentFilter { owner: Some(OwnerFilter::Is("ana".into())), ..any() },
        IncidentFilter { owner: Some(OwnerFilter::Nobody), state: Some(StateFilter::Open), ..any() },
        IncidentFilter { class: Some(PriorityClass::P1), state: Some(StateFilter::Open), ..any() },
    ]
}

async fn check_detections(store: &Store) {
    let ids: Vec<_> = (0..100).map(|number| samples::detection(number).facts.id).collect();
    check_plan(store, detections::of_ids("id, links", &ids), "a hundred by their ids").await;
    for filter in detection_filters() {
        for after in [None, Some(Cursor::parse("d.1.2").expect("a cursor"))] {
            for looked in [None, Some([1, 1])] {
                let sql = detections::list(&filter, after.as_ref(), looked, 50).expect("a query");
                check_plan(store, sql, &format!("{filter:?}, after {after:?}, until {looked:?}")).await;
            }
            if let Some(sql) = detections::looked_at(&filter, after.as_ref()).expect("a query") {
                check_plan(store, sql, &format!("the last of {filter:?}, after {after:?}")).await;
            }
        }
    }
}

fn detection_filters() -> Vec<DetectionFilter> {
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
    filters
}
