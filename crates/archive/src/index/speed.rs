//! How fast it is: `cargo test --release -p cresset-archive --lib index::speed -- --ignored --nocapture`.

use std::sync::Arc;
use std::time::Duration;

use cresset_event::{EventId, Timestamp};
use cresset_testing::on_cpu;

use crate::index::{IndexBuilder, IndexFile, Seen, Wanted, merge};
use crate::storage::Storage;

/// How many observables are added, and of how many values they can be.
const OBSERVABLES: usize = 10_000_000;
const VALUES: u64 = 10_000_000;
/// How many are looked up at once, half of them values that nobody saw, and how often.
const LOOKED_UP: usize = 1000;
const ROUNDS: u64 = 200;

/// Numbers that look random (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A rank, each as often as it is small (Zipf's law).
    fn rank(&mut self) -> u64 {
        let share = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        (share * (VALUES as f64).ln()).exp() as u64
    }
}

/// The key of a value, of kinds as often as logs have them.
fn push_value(rank: u64, key: &mut Vec<u8>) {
    let mixed = Numbers(rank).next();
    key.clear();
    match rank % 20 {
        0..7 => key.extend_from_slice(&[1, 10, mixed as u8, (mixed >> 8) as u8, (mixed >> 16) as u8]),
        7..12 => key.extend(format!("\x03com\x01site{:x}\x01www", mixed & 0xff_ffff).bytes()),
        12..15 => {
            key.push(18);
            (0..4).for_each(|at| key.extend(format!("{:016x}", Numbers(mixed ^ at).next()).bytes()));
        }
        15..17 => key.extend(format!("\x06tool{:x}.exe", mixed & 0xff_ffff).bytes()),
        17..19 => {
            key.extend(format!("\x09c:\\program files\\vendor{}\\tool{:x}.exe", mixed % 50, mixed & 0xff_ffff).bytes())
        }
        _ => key.extend(format!("\x04https://site{}.example/path/{:x}", mixed % 5000, mixed & 0xff_ffff).bytes()),
    }
}

/// Adds observables, and returns the time that this takes without the making of them.
fn add(builder: &mut IndexBuilder, numbers: &mut Numbers, observables: usize) -> Duration {
    let names = |kind: &str, count: usize| (0..count).map(|at| format!("{kind}-{at}")).collect::<Vec<_>>();
    let (hosts, sources, fields) = (names("host", 500), names("source", 12), names("Field", 30));
    let (mut spent, mut key) = (Duration::ZERO, Vec::new());
    let (mut keys, mut made) = (Vec::new(), Vec::new());
    for start in (0..observables).step_by(100_000) {
        keys.clear();
        made.clear();
        for at in start..observables.min(start + 100_000) {
            push_value(numbers.rank(), &mut key);
            let from = keys.len();
            keys.extend_from_slice(&key);
            let mut id = [0; 16];
            id[..8].copy_from_slice(&numbers.next().to_le_bytes());
            id[8..].copy_from_slice(&numbers.next().to_le_bytes());
            made.push((from..keys.len(), EventId::from_bytes(id), at as i64 * 1_000_000, numbers.next() as usize));
        }
        let began = on_cpu();
        for (key, id, time, any) in &made {
            let time = Some(Timestamp::from_nanos(1_700_000_000_000_000_000 + time));
            let (host, source, field) = (&hosts[any % 500], &sources[any / 500 % 12], &fields[any / 6000 % 30]);
            builder.add(&keys[key.clone()], Seen { id: *id, time, field, host: Some(host), source });
        }
        spent += on_cpu() - began;
    }
    spent
}

fn build(seed: u64, observables: usize) -> Vec<u8> {
    let mut builder = IndexBuilder::new();
    let adding = add(&mut builder, &mut Numbers(seed), observables);
    let began = on_cpu();
    let bytes = builder.finish();
    let per_second = observables as f64 / adding.as_secs_f64() / 1e6;
    eprintln!("{observables} added in {adding:.1?}: {per_second:.2} million/s; finished in {:.1?}", (on_cpu() - began));
    bytes
}

#[test]
#[ignore = "takes a minute"]
fn figures() {
    let folder = tempfile::tempdir().expect("a folder");
    let storage = Storage::open(folder.path()).expect("a store");
    let bytes = build(1, OBSERVABLES);
    let (len, file) = (bytes.len(), "a.index");
    storage.put(file, bytes).expect("it is stored");
    let file = IndexFile::open(file, Arc::new(storage.file(file, len as u64))).expect("a file");
    let per_key = len as f64 / file.keys() as f64;
    eprintln!(
        "{len} bytes, {} keys: {per_key:.1} bytes a key; {} blocks",
        file.keys(),
        file.fences().expect("fences").blocks()
    );

    let (mut numbers, mut found, mut spent) = (Numbers(7), 0, Duration::ZERO);
    for _ in 0..ROUNDS {
        let mut wanted = Vec::new();
        for at in 0..LOOKED_UP {
            let mut key = Vec::new();
            push_value(numbers.next() % 600_000, &mut key);
            key.extend_from_slice(if at % 2 == 0 { b"" } else { b"-absent" });
            wanted.push(Wanted::Exact(key));
        }
        let began = on_cpu();
        file.look_up(&wanted, |_, _, _| found += 1).expect("it is looked up");
        spent += on_cpu() - began;
    }
    let looked_up = ROUNDS * LOOKED_UP as u64;
    eprintln!("{looked_up} looked up, {found} found: {:.2} us a value", spent.as_secs_f64() * 1e6 / looked_up as f64);

    let began = on_cpu();
    assert_eq!(file.iter().filter(Result::is_ok).count() as u64, file.keys());
    eprintln!("gone through in {:.1?}", (on_cpu() - began));
    let files: Vec<IndexFile> = (2..6)
        .map(|seed| {
            IndexFile::open("part", Arc::new(bytes::Bytes::from(build(seed, OBSERVABLES / 4)))).expect("a file")
        })
        .collect();
    let keys: u64 = files.iter().map(IndexFile::keys).sum();
    let began = on_cpu();
    let merged = merge(&files, Vec::new()).expect("it is merged");
    let took = on_cpu() - began;
    eprintln!(
        "{keys} keys of 4 files merged in {took:.1?}: {:.2} million/s, {} bytes",
        keys as f64 / took.as_secs_f64() / 1e6,
        merged.len()
    );
}
