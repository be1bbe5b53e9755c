//! What a start costs: the picture of a month's detections told anew from the records, and read back as it was kept.
//!
//!     DETECTIONS=1000000 cargo bench -p cresset-store --bench start

#[path = "../tests/it/samples.rs"]
mod samples;

use std::hint::black_box;

use cresset_event::Timestamp;
use cresset_picture::{Assets, Picture};
use cresset_store::{Batch, NewDetection, REPLAY_ROWS_MAX, Store, StoreOptions, Told};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::Runtime;

const BATCH: u64 = 1_000;
const MONTH_NANOS: u64 = 30 * 24 * 3600 * 1_000_000_000;
const RULES: u64 = 200;
const HOSTS: u64 = 2_000;

/// Returns one of so many detections, which are spread over a month, over hosts and over rules.
fn detection(number: u64, of: u64) -> NewDetection {
    let mut new = samples::detection(number);
    let at = Timestamp::from_nanos((1_800_000_000_000_000_000 + number * (MONTH_NANOS / of)) as i64);
    new.facts.title = format!("Suspicious Download {}", number % RULES);
    new.facts.host = Some(format!("web{}.harbour.example", number.wrapping_mul(7919) % HOSTS));
    new.facts.user = None;
    new.facts.observables.clear();
    (new.facts.time, new.facts.arrived) = (at, at);
    new
}

async fn told_anew(store: &Store) -> Picture {
    let (mut picture, mut after) = (Picture::new(Assets::new()), 0);
    loop {
        let told = store.replay(after, REPLAY_ROWS_MAX).await.expect("read");
        let Some(last) = told.last() else { return picture };
        after = last.seq;
        for replayed in told {
            if let Told::Detection { facts, withheld: false } = replayed.what {
                picture.add(&facts);
            }
        }
    }
}

async fn read_back(store: &Store) -> Picture {
    let kept = store.saved_picture().await.expect("read").expect("it was kept");
    Picture::of_saved(&kept.bytes, Assets::new()).expect("it was saved")
}

fn start(criterion: &mut Criterion) {
    let detections = std::env::var("DETECTIONS").ok().and_then(|count| count.parse().ok()).unwrap_or(100_000);
    let runtime = Runtime::new().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let address = format!("sqlite:{}", folder.path().join("records.db").display());
    let store = runtime.block_on(async {
        let store = Store::open(&address, StoreOptions::default()).await.expect("a store");
        for begin in (0..detections).step_by(BATCH as usize) {
            let batch = (begin..begin + BATCH).map(|number| detection(number, detections)).collect();
            let incidents = vec![samples::incident(begin)];
            store.record(&Batch { detections: batch, incidents, ..Batch::default() }).await.expect("recorded");
        }
        store.save_picture(&told_anew(&store).await.save()).await.expect("kept");
        store
    });
    let mut group = criterion.benchmark_group("start");
    group.throughput(Throughput::Elements(detections)).sample_size(10);
    group.bench_function("told_anew", |bencher| {
        bencher.iter(|| black_box(runtime.block_on(told_anew(&store))));
    });
    group.bench_function("read_back", |bencher| {
        bencher.iter(|| black_box(runtime.block_on(read_back(&store))));
    });
    let picture = runtime.block_on(read_back(&store));
    group.bench_function("keep", |bencher| {
        bencher.iter(|| runtime.block_on(store.save_picture(&picture.save())).expect("kept"));
    });
    group.finish();
}

criterion_group!(benches, start);
criterion_main!(benches);
