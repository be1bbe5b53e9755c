//! Detections into the picture: a hundred thousand, and a million in a hundred thousand incidents.
//!
//! The generator is seeded. Nine of ten detections belong to attacks: some ten of them follow each other within minutes on
//! two or three of fifty thousand machines, by one of twenty thousand accounts, with an address of their own. The tenth is
//! of a busy server, all of whose detections become one incident of the day.
//!
//!     cargo bench -p cresset-picture --bench picture

#![expect(clippy::print_stdout, reason = "a bench shows what it measured")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use cresset_detect::{DetectionId, Level};
use cresset_event::{ObservableKind, Timestamp};
use cresset_picture::{Assets, Facts, ObservedFact, Picture};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

const DETECTIONS: u64 = 100_000;
const MANY: u64 = 1_000_000;
/// How many are made at a time, while the clock stands.
const BATCH: usize = 10_000;
/// How many detections an attack has.
const ATTACK: u64 = 10;
const SECOND_NANOS: i64 = 1_000_000_000;
/// How far apart attacks begin: a million detections are three weeks.
const ATTACK_SECONDS: i64 = 18;

fn adding(criterion: &mut Criterion) {
    let all: Vec<Facts> = (0..DETECTIONS).map(detection).collect();
    let mut group = criterion.benchmark_group("picture");
    group.sample_size(10);
    group.throughput(Throughput::Elements(DETECTIONS));
    group.bench_function("add_100k", |bencher| {
        bencher.iter_batched(|| Picture::new(Assets::new()), |picture| filled(picture, &all), BatchSize::LargeInput);
    });
    group.finish();
}

/// Adds a million, and says how long that took and what they take, with all that is known of their incidents.
fn many(_: &mut Criterion) {
    let before = resident_bytes();
    let mut picture = Picture::new(Assets::new());
    let mut took = Duration::ZERO;
    for from in (0..MANY).step_by(BATCH) {
        let all: Vec<Facts> = (from..from + BATCH as u64).map(detection).collect();
        let began = Instant::now();
        all.iter().for_each(|facts| drop(black_box(picture.add(facts))));
        took += began.elapsed();
    }
    let bytes = resident_bytes().saturating_sub(before);
    let rate = MANY as f64 / took.as_secs_f64();
    println!("{MANY} detections in {} incidents: {rate:.0} detections/s", picture.incidents().count());
    println!("memory: {} bytes a detection", bytes as u64 / MANY);
}

/// What of the process is in memory, where the system tells.
fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or_default() * 4096
}

fn showing(criterion: &mut Criterion) {
    let picture = filled(Picture::new(Assets::new()), &(0..DETECTIONS).map(detection).collect::<Vec<_>>());
    let ids: Vec<_> = picture.incidents().collect();
    let mut group = criterion.benchmark_group("picture");
    group.throughput(Throughput::Elements(ids.len() as u64));
    group.bench_function("show_all_of_100k", |bencher| {
        bencher.iter(|| ids.iter().for_each(|id| drop(black_box(picture.incident(*id)))));
    });
    group.finish();
}

fn filled(mut picture: Picture, all: &[Facts]) -> Picture {
    all.iter().for_each(|facts| drop(black_box(picture.add(facts))));
    picture
}

fn detection(number: u64) -> Facts {
    let attack = number / ATTACK;
    let step = number % ATTACK;
    let is_busy = step == ATTACK - 1;
    let random = |salt: u64, of: u64| mixed(attack ^ salt << 40) % of;
    let host = if is_busy { 0 } else { 1 + (random(1, 50_000) + step / 4) % 50_000 };
    let seconds = i64::try_from(attack).unwrap_or(0) * ATTACK_SECONDS + i64::try_from(step).unwrap_or(0) * 60;
    let rule = mixed(number) % 500;
    let mut id = [0; 16];
    id[..8].copy_from_slice(&mixed(number).to_le_bytes());
    id[8..].copy_from_slice(&number.to_le_bytes());
    let address = 0xcb00_7100_u64 + random(3, 1 << 24);
    Facts {
        id: DetectionId::from_bytes(id),
        time: Timestamp::from_nanos(seconds * SECOND_NANOS),
        arrived: Timestamp::from_nanos((seconds + 1) * SECOND_NANOS),
        level: Level::ALL[1 + (rule % 4) as usize],
        title: format!("Rule {rule} for something that is seldom harmless"),
        cause: format!("00000000-0000-4000-8000-{rule:012}"),
        tactics: vec!["Execution".into(), if rule.is_multiple_of(3) { "Discovery" } else { "Impact" }.into()],
        techniques: vec![format!("T1{:03}", rule % 200)],
        host: Some(format!("WS{host:05}.corp.example")),
        user: Some(if is_busy { "NT AUTHORITY\\SYSTEM".into() } else { format!("CORP\\user{}", random(2, 20_000)) }),
        process: Some(format!("C:\\Users\\Public\\p{}.exe", rule % 50)),
        observables: if is_busy { Vec::new() } else { vec![seen(address)] },
        matched: vec![("CommandLine".into(), Some(format!("p.exe /run {number}")))],
    }
}

fn seen(address: u64) -> ObservedFact {
    let [a, b, c, d] = u32::try_from(address).unwrap_or(u32::MAX).to_be_bytes();
    ObservedFact { kind: ObservableKind::Ipv4, value: format!("{a}.{b}.{c}.{d}"), is_ours: false }
}

/// `SplitMix64` (Steele, Lea and Flood, 2014): a number that looks like chance, the same for one seed.
fn mixed(seed: u64) -> u64 {
    let mut state = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    state = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ state >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ state >> 31
}

criterion_group!(benches, many, adding, showing);
criterion_main!(benches);
