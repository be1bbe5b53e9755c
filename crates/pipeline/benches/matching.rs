//! Real Windows events as flat JSON lines against all of SigmaHQ's rules: ours beside `rsigma-eval` at its best settings.
//!
//! Needs the corpus (`CRESSET_CORPUS`). One thread each; parsing is included, rules are loaded before. `rsigma-eval` is given
//! the log source of each event and its own view of JSON; its candidate index is always on. It routes by log source itself
//! (`routed`), or, which is quicker and not among its settings, has an engine a log source that is chosen before the clock
//! runs. Beside them what the same lines cost `simd-json` to cut into a tape, and us to match once they are read.
//!
//!     cargo bench -p cresset-pipeline --bench matching

mod corpus;

use std::collections::HashMap;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use cresset_detect::{Detector, IndicatorSet, RuleFilter, RuleSet};
use cresset_event::{Event, FieldNames, LogSource};
use cresset_ingest::{Opener, Reader, Record};
use cresset_pipeline::load_rules;
use cresset_testing::corpus;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rsigma_eval::JsonEvent;
use rsigma_eval::{CompiledRule, Engine, compile_rule};

use crate::corpus::{Lines, files, lines};

/// Copies of the events in which every digit is another: nothing that was seen in one copy is in the next.
const VARIED_COPIES: u8 = 4;

fn ours(rules: &Path, names: &Arc<FieldNames>) -> Detector {
    let sources = load_rules(&[rules.display().to_string()]);
    let (set, _) = RuleSet::compile(sources, &RuleFilter::default(), names);
    Detector::new(Arc::new(set), Arc::new(IndicatorSet::default()))
}

fn run_ours(opener: &Opener, detector: &mut Detector, lines: &Lines) -> usize {
    let mut reader: Box<dyn Reader> = opener.open_bytes("bench", lines.text.clone()).expect("JSON lines");
    let mut found = 0;
    while let Some(record) = reader.next_record() {
        if let Record::Event(event) = record {
            detector.detect(&event, |detection| {
                black_box(detection);
                found += 1;
            });
            reader.recycle(event);
        }
    }
    found
}

fn theirs(rules: &Path, lines: &Lines, set_up: impl Fn(&mut Engine)) -> HashMap<Arc<LogSource>, Engine> {
    let texts = files(rules).filter_map(|path| std::fs::read_to_string(path).ok());
    let parsed = texts.filter_map(|text| rsigma_parser::parse_sigma_yaml(&text).ok());
    let compiled: Vec<CompiledRule> =
        parsed.flat_map(|file| file.rules).filter_map(|rule| compile_rule(&rule).ok()).collect();
    let mut engines = HashMap::new();
    for source in &lines.sources {
        engines.entry(Arc::clone(source)).or_insert_with(|| {
            let meant = |rule: &&CompiledRule| {
                let wants = &rule.logsource;
                source.fits(wants.product.as_deref(), wants.category.as_deref(), wants.service.as_deref())
            };
            let mut engine = Engine::new();
            set_up(&mut engine);
            engine.extend_compiled_rules(compiled.iter().filter(meant).cloned());
            engine
        });
    }
    engines
}

fn run_theirs(engines: &[&Engine], lines: &Lines) -> usize {
    let each = lines.text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).zip(engines);
    each.map(|(line, engine)| {
        let value: serde_json::Value = serde_json::from_slice(line).expect("JSON");
        black_box(engine.evaluate(&JsonEvent::borrow(&value))).len()
    })
    .sum()
}

/// One engine with all rules, which looks at the log source itself. Of several categories it is told the first.
fn routed(rules: &Path, set_up: impl Fn(&mut Engine)) -> Engine {
    let texts = files(rules).filter_map(|path| std::fs::read_to_string(path).ok());
    let parsed = texts.filter_map(|text| rsigma_parser::parse_sigma_yaml(&text).ok());
    let mut engine = Engine::new();
    set_up(&mut engine);
    engine.extend_compiled_rules(parsed.flat_map(|file| file.rules).filter_map(|rule| compile_rule(&rule).ok()));
    engine
}

fn run_routed(engine: &Engine, lines: &Lines, sources: &[rsigma_parser::LogSource]) -> usize {
    let each = lines.text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).zip(sources);
    each.map(|(line, source)| {
        let value: serde_json::Value = serde_json::from_slice(line).expect("JSON");
        black_box(engine.evaluate_with_logsource(&JsonEvent::borrow(&value), source)).len()
    })
    .sum()
}

fn their_source(source: &LogSource) -> rsigma_parser::LogSource {
    rsigma_parser::LogSource {
        product: source.product.clone(),
        service: source.service.clone(),
        category: source.categories.first().cloned(),
        ..Default::default()
    }
}

fn cut_into_tapes(lines: &Lines) -> usize {
    let mut line_bytes = Vec::new();
    let mut buffers = simd_json::Buffers::default();
    let each = lines.text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    each.map(|line| {
        line_bytes.clear();
        line_bytes.extend_from_slice(line);
        let mut tape = simd_json::Tape::null();
        simd_json::fill_tape(&mut line_bytes, &mut buffers, &mut tape).expect("JSON");
        black_box(&tape).0.len()
    })
    .sum()
}

fn events(opener: &Opener, lines: &Lines) -> Vec<Event> {
    let mut reader = opener.open_bytes("bench", lines.text.clone()).expect("JSON lines");
    let records = std::iter::from_fn(|| reader.next_record());
    let events = records.filter_map(|record| match record {
        Record::Event(event) => Some(event),
        Record::Skipped(_) => None,
    });
    events.collect()
}

/// Sets up an engine of theirs.
type Setting = fn(&mut Engine);

fn matching(criterion: &mut Criterion) {
    let Some(corpus) = corpus() else { return };
    let (logs, rules) = (corpus.join("evtx-attack-samples"), corpus.join("sigma/rules"));
    for (name, turns) in [("as they are", 0..1), ("varied", 0..VARIED_COPIES)] {
        let lines = lines(&logs, turns);
        let mut group = criterion.benchmark_group(format!("windows events {name}/{}", lines.sources.len()));
        group.throughput(Throughput::Elements(lines.sources.len() as u64)).sample_size(10);
        let names = Arc::new(FieldNames::new());
        let (opener, mut detector) = (Opener::new(Arc::clone(&names)), ours(&rules, &names));
        group.bench_function("cresset, parsing only", |bencher| {
            let none = Arc::new(RuleSet::compile(Default::default(), &RuleFilter::default(), &names).0);
            let mut none = Detector::new(none, Arc::new(IndicatorSet::default()));
            bencher.iter(|| run_ours(&opener, &mut none, &lines));
        });
        group.bench_function("cresset", |bencher| bencher.iter(|| run_ours(&opener, &mut detector, &lines)));
        group.bench_function("cresset, matching only", |bencher| {
            let (events, mut matcher) = (events(&opener, &lines), detector.matcher());
            bencher.iter(|| events.iter().filter(|event| !matcher.matches(event).is_empty()).count());
        });
        group.bench_function("simd-json, tape only", |bencher| bencher.iter(|| cut_into_tapes(&lines)));
        let settings: [(&str, Setting); 4] = [
            ("rsigma-eval", |_| {}),
            ("rsigma-eval, bloom prefilter", |engine| engine.set_bloom_prefilter(true)),
            ("rsigma-eval, cross-rule automaton", |engine| engine.set_cross_rule_ac(true)),
            ("rsigma-eval, both", |engine| {
                engine.set_bloom_prefilter(true);
                engine.set_cross_rule_ac(true);
            }),
        ];
        let sources: Vec<_> = lines.sources.iter().map(|source| their_source(source)).collect();
        for (setting, set_up) in settings {
            let engine = routed(&rules, set_up);
            group.bench_function(format!("{setting}, routed"), |bencher| {
                bencher.iter(|| run_routed(&engine, &lines, &sources));
            });
        }
        for (setting, set_up) in settings {
            let engines = theirs(&rules, &lines, set_up);
            let chosen: Vec<&Engine> = lines.sources.iter().map(|source| &engines[source]).collect();
            group.bench_function(setting, |bencher| bencher.iter(|| run_theirs(&chosen, &lines)));
        }
        group.finish();
    }
}

criterion_group!(benches, matching);
criterion_main!(benches);
