//! Any bytes as a body of `_bulk`, answered: `cargo +nightly fuzz run bulk`.
#![no_main]

use cresset_intake::bulk::{Bulk, Outcome};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(bulk) = Bulk::parse(bytes, "logs") else { return };
    let outcomes = [Outcome::Stored, Outcome::Known, Outcome::Unreadable("fuzz".into()), Outcome::Busy];
    let outcomes: Vec<Outcome> = outcomes.into_iter().cycle().take(bulk.documents()).collect();
    assert_eq!(bulk.docs.iter().filter(|byte| **byte == b'\n').count(), outcomes.len());
    bulk.respond(0, &outcomes, |line| line.to_string());
});
