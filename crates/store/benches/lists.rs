//! Pages of lists: the first fifty of 100,000 incidents in both orders, and of 300,000 detections.
//!
//!     cargo bench -p cresset-store --bench lists

#[path = "../tests/it/samples.rs"]
mod samples;

use std::hint::black_box;

use cresset_detect::Level;
use cresset_store::{
    Batch, DetectionFilter, IncidentFilter, IncidentOrder, OwnerFilter, StateFilter, Store, StoreOptions,
};
use criterion::{Criterion, criterion_group, criterion_main};

const INCIDENTS: u64 = 100_000;
const DETECTIONS: u64 = 300_000;
const PAGE: usize = 50;

async fn filled(address: &str) -> Store {
    let store = Store::open(address, StoreOptions::default()).await.expect("a store");
    let detections = (0..DETECTIONS).map(samples::detection).collect();
    let incidents = (0..INCIDENTS).map(samples::incident).collect();
    store.record(&Batch { detections, incidents, ..Batch::default() }).await.expect("recorded");
    store
}

fn lists(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let store = runtime.block_on(filled(&format!("sqlite:{}", folder.path().join("records.db").display())));
    let mut group = criterion.benchmark_group("first_page");
    let any = IncidentFilter::default;
    let open = IncidentFilter { state: Some(StateFilter::Open), ..any() };
    let unowned = IncidentFilter { owner: Some(OwnerFilter::Nobody), ..open.clone() };
    // The worst: every title is looked at.
    let untitled = IncidentFilter { title: Some("in no title".into()), ..any() };
    for (name, filter) in [("all", any()), ("open", open), ("open_unowned", unowned), ("no_title", untitled)] {
        for (order, its) in [(IncidentOrder::Last, "last"), (IncidentOrder::Priority, "priority")] {
            group.bench_function(format!("incidents_{name}_by_{its}"), |bencher| {
                bencher
                    .iter(|| runtime.block_on(async { black_box(store.incidents(&filter, order, None, PAGE).await) }));
            });
        }
    }
    let any = DetectionFilter::default;
    let critical = DetectionFilter { level_min: Some(Level::Critical), ..any() };
    let medium = DetectionFilter { level_min: Some(Level::Medium), ..any() };
    let untitled = DetectionFilter { title: Some("in no title".into()), ..any() };
    for (name, filter) in [("all", any()), ("critical", critical), ("medium", medium), ("no_title", untitled)] {
        group.bench_function(format!("detections_{name}"), |bencher| {
            bencher.iter(|| runtime.block_on(async { black_box(store.detections(&filter, None, PAGE).await) }));
        });
    }
    group.finish();
}

criterion_group!(benches, lists);
criterion_main!(benches);
