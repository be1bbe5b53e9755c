//! Real data, where it lies beside the project: `CRESSET_CORPUS`, else a folder `corpus` next to it.

use std::io::Write;
use std::path::PathBuf;

use cresset_intel::{FeedKind, load};

#[test]
fn attack_for_industrial_control_systems_loads() {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpus");
    let corpus = std::env::var_os("CRESSET_CORPUS").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    let path = corpus.join("stix/ics-attack.json");
    let Ok(bytes) = std::fs::read(&path) else {
        // By itself: what is printed the tests keep back where they pass.
        let _ = writeln!(std::io::stderr(), "skipped: no {} (set CRESSET_CORPUS)", path.display());
        return;
    };
    let loaded = load("ics-attack.json", &bytes);
    assert_eq!((loaded.feed.kind, &loaded.feed.refused[..]), (FeedKind::Stix, &[][..]));
    assert!(loaded.indicators.is_empty(), "ATT&CK holds no indicators");
    assert!(loaded.feed.other_objects["attack-pattern"] > 50 && loaded.feed.other_objects["relationship"] > 1000);
}
