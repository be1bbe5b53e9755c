//! Real event logs, whole and damaged.

use std::path::PathBuf;

use cresset_testing::corpus;
use proptest::prelude::*;

use crate::{read, read_apart, read_by};

/// A few real logs of different kinds, where the corpus is.
fn logs() -> Vec<Vec<u8>> {
    let Some(corpus) = corpus() else { return Vec::new() };
    let folder = std::fs::read_dir(corpus.join("evtx-attack-samples/Execution")).expect("it has event logs");
    let mut paths: Vec<PathBuf> = folder.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths.iter().take(8).filter_map(|path| std::fs::read(path).ok()).collect()
}

#[test]
fn a_log_cut_within_a_chunk_gives_the_records_before_the_cut_and_a_report() {
    for log in logs() {
        let whole = read(log.clone());
        let cut = read(&log[..4096 + 65_536 / 2]);
        let reports = cut.iter().filter(|record| record.contains("ends within a chunk")).count();
        assert_eq!(reports, 1, "{cut:?}");
        let good = cut.iter().filter(|record| !record.starts_with("skipped")).count();
        assert!(good <= whole.len());
        assert!(whole.len() < 20 || good > 0, "none of {} records was found before the cut", whole.len());
    }
}

#[test]
fn a_log_gives_the_same_in_place_in_memory_and_decoded_apart() {
    for log in logs() {
        let whole = read(log.clone());
        for (expected, log) in [(whole, &log[..]), (read(&log[..4096 + 65_536 / 2]), &log[..4096 + 65_536 / 2])] {
            assert_eq!(read_apart(log), expected);
            let file = tempfile::NamedTempFile::new().expect("a file");
            std::fs::write(file.path(), log).expect("room");
            assert_eq!(read_by(|opener| opener.open_file(file.path())), expected);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 8))]

    #[test]
    fn a_damaged_log_is_read_without_a_panic(
        log in any::<prop::sample::Index>(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..64),
    ) {
        let logs = logs();
        if !logs.is_empty() {
            let mut bytes = log.get(&logs).clone();
            let used = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0);
            for (at, byte) in damage {
                bytes[at.index(used + 1)] = byte;
            }
            assert_eq!(read_apart(bytes.clone()), read(bytes));
        }
    }
}
