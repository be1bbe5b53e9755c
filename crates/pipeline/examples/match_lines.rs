//! Reads JSON lines and matches them against rules, again and again, and says what an event costs: for profilers, which want
//! a process that does nothing else.
//!
//!     cargo run --release -p cresset-pipeline --example match_lines -- RULES LINES.ndjson 20
#![expect(clippy::print_stdout, reason = "what it is for")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use cresset_detect::{Detector, IndicatorSet, RuleFilter, RuleSet};
use cresset_event::FieldNames;
use cresset_ingest::{Opener, Record};
use cresset_pipeline::load_rules;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [rules, lines, rounds] = &arguments[..] else { panic!("RULES LINES.ndjson ROUNDS") };
    let names = Arc::new(FieldNames::new());
    let opener = Opener::new(Arc::clone(&names));
    let began = Instant::now();
    let sources = load_rules(std::slice::from_ref(rules));
    let parsed = began.elapsed();
    let (set, _) = RuleSet::compile(sources, &RuleFilter::default(), &names);
    println!("{} rules: parsed in {parsed:.1?}, compiled in {:.1?}", set.len(), began.elapsed() - parsed);
    let mut detector = Detector::new(Arc::new(set), Arc::new(IndicatorSet::default()));
    let text = std::fs::read(lines).expect("the lines can be read");
    for _ in 0..rounds.parse().expect("a number of rounds") {
        let text = text.clone();
        let began = Instant::now();
        let (events, found) = run(&opener, &mut detector, text);
        let nanos = began.elapsed().as_nanos() / u128::from(events.max(1));
        println!("{events} events, {found} detections, {nanos} ns an event");
    }
}

#[inline(never)]
fn run(opener: &Opener, detector: &mut Detector, text: Vec<u8>) -> (u64, u64) {
    let mut reader = opener.open_bytes("lines", text).expect("JSON lines");
    let (mut events, mut found) = (0, 0);
    while let Some(record) = reader.next_record() {
        if let Record::Event(event) = record {
            detector.detect(&event, |detection| {
                black_box(detection);
                found += 1;
            });
            events += 1;
            reader.recycle(event);
        }
    }
    (events, found)
}
