//! A database of an older version becomes one of this; one of a newer version is refused, untouched.

use cresset_picture::{State, Verdict};
use cresset_store::{Act, IncidentFilter, IncidentOrder, SCHEMA_VERSION, StateFilter, Store, StoreError, StoreOptions};

use crate::{Place, analyst, both, incident};

both!(
    the_first_schema_becomes_this_one,
    the_second_schema_becomes_this_one,
    a_newer_schema_is_refused_by_name,
    many_that_open_at_once_make_one_schema,
);

/// Makes a database as the first version made it.
async fn first_version(place: &Place) {
    place.tamper(include_str!("../../migrations/0001_records.sql")).await;
    place.tamper("create table schema_version (version bigint not null)").await;
    place.tamper("insert into schema_version (version) values (1)").await;
    for (number, state) in [(1, "triage"), (2, "closed:false-positive")] {
        let mut one = incident(number);
        one.state = state.parse().expect("a state");
        let record = serde_json::to_string(&one).expect("JSON");
        place
            .tamper(&format!(
                "insert into incidents (seq, id, title, folded, level, score, class, first_time, last_time, aware_at, \
                 detections, state, owner, record) values ({number}, '{}', 'Old', 'old', 3, 50, 'P3', 1, 2, 3, 4, '{state}', \
                 'ana', '{record}')",
                one.id
            ))
            .await;
    }
    place.tamper("update numbers set next = 3").await;
}

async fn listed(store: &Store, state: StateFilter) -> Vec<(cresset_picture::IncidentId, State)> {
    let filter = IncidentFilter { state: Some(state), ..IncidentFilter::default() };
    let page = store.incidents(&filter, IncidentOrder::Last, None, 50).await.expect("read");
    page.rows.into_iter().map(|row| (row.id, row.state)).collect()
}

async fn the_first_schema_becomes_this_one(place: Place) {
    first_version(&place).await;
    let store = place.open().await;
    // What was there is in the lists that the second version brought.
    assert_eq!(listed(&store, StateFilter::Open).await, [(incident(1).id, State::Triage)]);
    let closed = State::Closed(Verdict::FalsePositive);
    assert_eq!(listed(&store, StateFilter::Closed).await, [(incident(2).id, closed)]);
    let page = store.incident(incident(1).id).await.expect("there");
    assert_eq!((page.row.owner.as_deref(), page.incident.id), (Some("ana"), incident(1).id));
    let note = Act::Note { incident: incident(1).id, text: "still here".into() };
    assert_eq!(store.act(&analyst(1), &note).await.expect("done").seq, 3);
    // Once is enough.
    store.close().await;
    assert_eq!(listed(&place.open().await, StateFilter::Open).await.len(), 1);
}

async fn the_second_schema_becomes_this_one(place: Place) {
    first_version(&place).await;
    place.tamper(include_str!("../../migrations/0002_open.sql")).await;
    place.tamper("update schema_version set version = 2").await;
    // More than an index of PostgreSQL has room for.
    let long: String = (0..2000).map(|number| format!("{number:x}")).collect();
    place.tamper(&format!("update incidents set title = '{long}', folded = '{long}' where seq = 1")).await;
    let store = place.open().await;
    for (title, found) in [("0123456789abcdef", 1), ("old", 1), ("in neither", 0)] {
        let filter = IncidentFilter { title: Some(title.into()), ..IncidentFilter::default() };
        for order in [IncidentOrder::Last, IncidentOrder::Priority] {
            assert_eq!(store.incidents(&filter, order, None, 50).await.expect("read").rows.len(), found, "{title}");
        }
    }
    assert_eq!(store.incident(incident(1).id).await.expect("there").row.title, long);
}

async fn a_newer_schema_is_refused_by_name(place: Place) {
    place.open().await.close().await;
    place.tamper(&format!("update schema_version set version = {}", SCHEMA_VERSION + 1)).await;
    let refused = Store::open(&place.address, StoreOptions::default()).await.expect_err("newer");
    let (found, known) = (SCHEMA_VERSION + 1, SCHEMA_VERSION);
    assert!(matches!(refused, StoreError::Newer { found: f, known: k } if (f, k) == (found, known)));
    assert!(refused.to_string().contains("use the version that wrote it, or a newer one"), "{refused}");
}

async fn many_that_open_at_once_make_one_schema(place: Place) {
    let place = std::sync::Arc::new(place);
    let opened: Vec<_> = (0..6)
        .map(|_| {
            let place = std::sync::Arc::clone(&place);
            tokio::spawn(async move { place.open().await.audit_digest("value") })
        })
        .collect();
    let mut salted = Vec::new();
    for store in opened {
        salted.push(store.await.expect("a store"));
    }
    // They share one salt, and so one chain.
    assert!(salted.iter().all(|digest| *digest == salted[0]));
}
