//! What a watch finds, on the disk: 10,000 detections in batches of 1,000, each its own transaction, behind all those of the
//! rounds before; as they happen, and at random times of a day, as a hunt finds them.
//!
//!     cargo bench -p cresset-store --bench record

#[path = "../tests/it/samples.rs"]
mod samples;

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use cresset_event::Timestamp;
use cresset_store::{Batch, NewDetection, Store, StoreOptions};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

const DETECTIONS: u64 = 10_000;
const BATCH: u64 = 1_000;

/// Makes a detection of its number.
type Numbered = fn(u64) -> NewDetection;

/// Returns a detection that comes as soon as it happens: ten thousand in a second.
fn detection(number: u64) -> NewDetection {
    let mut new = samples::detection(number);
    new.facts.time = Timestamp::from_nanos(1_800_000_000_000_000_000 + number as i64 * 100_000);
    new
}

fn batches(first: u64, detection: Numbered) -> Vec<Batch> {
    let batch = |begin: u64| {
        let detections = (begin..begin + BATCH).map(detection).collect();
        let incidents = (begin..begin + BATCH / 100).map(samples::incident).collect();
        Batch { detections, incidents, ..Batch::default() }
    };
    (first..first + DETECTIONS).step_by(BATCH as usize).map(batch).collect()
}

fn record(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let mut group = criterion.benchmark_group("record");
    group.throughput(Throughput::Elements(DETECTIONS)).sample_size(10);
    let kinds: [(_, Numbered); 2] = [("10000_detections", detection), ("10000_at_random_times", samples::detection)];
    for (name, detection) in kinds {
        let folder = tempfile::tempdir().expect("a folder");
        let address = format!("sqlite:{}", folder.path().join("records.db").display());
        let store = runtime.block_on(Store::open(&address, StoreOptions::default())).expect("a store");
        let next = AtomicU64::new(0);
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || batches(next.fetch_add(DETECTIONS, Ordering::Relaxed), detection),
                |batches| {
                    runtime.block_on(async {
                        for batch in &batches {
                            black_box(store.record(batch).await.expect("recorded"));
                        }
                    });
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, record);
criterion_main!(benches);
