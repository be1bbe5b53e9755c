//! Real data, where it is.

use cresset_intel::{FeedKind, load};
use cresset_testing::corpus;

#[test]
fn attack_for_industrial_control_systems_loads() {
    let Some(corpus) = corpus() else { return };
    let bytes = std::fs::read(corpus.join("stix/ics-attack.json")).expect("it has ATT&CK");
    let loaded = load("ics-attack.json", &bytes);
    assert_eq!((loaded.feed.kind, &loaded.feed.refused[..]), (FeedKind::Stix, &[][..]));
    assert!(loaded.indicators.is_empty(), "ATT&CK holds no indicators");
    assert!(loaded.feed.other_objects["attack-pattern"] > 50 && loaded.feed.other_objects["relationship"] > 1000);
}
