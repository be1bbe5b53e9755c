//! Over real logs with real rules, the engine finds what `rsigma-eval` finds, which looks at every rule.

#[path = "../../../detect/tests/it/oracle/event.rs"]
mod event;

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use cresset_detect::{Detector, IndicatorSet, RuleFilter, RuleSet};
use cresset_event::{Event, FieldNames, LogSource};
use cresset_ingest::{Opener, Record};
use cresset_pipeline::{SourcePath, find_sources, load_rules};
use cresset_testing::corpus;
use rsigma_eval::{CompiledRule, Engine, compile_rule};

use self::event::OracleEvent;

/// What we find and the oracle does not: rule, file, record and why we are right.
const ONLY_OURS: &[(&str, &str, u64)] = &[
    // `Renamed ProcDump Execution` asks for ` /accepteula` under `windash`, the record has ` -accepteula`: the modifier holds
    // each dash and `/` for the others.
    ("4a0b2c7e-7cb2-495d-8b63-5f268e7bfd67", "AutomatedTestingTools/PanacheSysmon_vs_AtomicRedTeam01.evtx", 4124),
];

/// The oracle's rules, and for each log source an engine of those that are meant for it.
struct Oracle {
    rules: Vec<CompiledRule>,
    engines: HashMap<Arc<LogSource>, Engine>,
}

impl Oracle {
    fn load(folder: &Path) -> Self {
        let (files, _) = find_sources(&[folder.display().to_string()]);
        let texts = files.iter().filter_map(|file| match file {
            SourcePath::File(path, _) => std::fs::read_to_string(path).ok(),
            SourcePath::Stdin => None,
        });
        let parsed = texts.filter_map(|text| rsigma_parser::parse_sigma_yaml(&text).ok());
        let rules = parsed.flat_map(|file| file.rules).map(|rule| compile_rule(&rule).expect("the oracle takes it"));
        Self { rules: rules.collect(), engines: HashMap::new() }
    }

    fn find(&mut self, event: &Event) -> BTreeSet<String> {
        let source = &event.origin().log_source;
        let engine = self.engines.entry(Arc::clone(source)).or_insert_with(|| {
            let meant = |rule: &&CompiledRule| {
                let wants = &rule.logsource;
                source.fits(wants.product.as_deref(), wants.category.as_deref(), wants.service.as_deref())
            };
            let mut engine = Engine::new();
            engine.extend_compiled_rules(self.rules.iter().filter(meant).cloned());
            engine
        });
        engine.evaluate(&OracleEvent(event)).into_iter().filter_map(|found| found.header.rule_id).collect()
    }
}

/// Compares the two over every event of some logs; returns how many events and fits there were.
fn compare(logs: &Path, rules: &Path) -> (usize, usize) {
    let names = Arc::new(FieldNames::new());
    let sources = load_rules(&[rules.display().to_string()]);
    let (set, refused) = RuleSet::compile(sources, &RuleFilter::default(), &names);
    assert!(refused.is_empty(), "{refused:?}");
    let mut detector = Detector::new(Arc::new(set), Arc::new(IndicatorSet::default()));
    let mut oracle = Oracle::load(rules);
    let opener = Opener::new(names);
    let (mut events, mut fits) = (0, 0);
    for file in find_sources(&[logs.display().to_string()]).0 {
        let SourcePath::File(path, _) = file else { continue };
        let Ok(mut reader) = opener.open_file(&path) else { continue };
        while let Some(record) = reader.next_record() {
            let Record::Event(event) = record else { continue };
            let mut ours = BTreeSet::new();
            detector.detect(&event, |detection| {
                ours.insert(detection.cause_id().expect("an id").into_owned());
            });
            let number = event.origin().record;
            for (rule, _, _) in ONLY_OURS.iter().filter(|only| path.ends_with(only.1) && only.2 == number) {
                assert!(ours.remove(*rule), "{rule} is no exception any more");
            }
            assert_eq!(ours, oracle.find(&event), "{} record {number}, left is ours", path.display());
            events += 1;
            fits += ours.len();
        }
    }
    (events, fits)
}

#[test]
fn it_finds_what_the_oracle_finds_in_the_event_logs() {
    let Some(corpus) = corpus() else { return };
    let (events, fits) = compare(&corpus.join("evtx-attack-samples"), &corpus.join("sigma"));
    assert_eq!(events, 8255);
    assert!(fits > 1000, "{fits}");
}

#[test]
fn it_finds_what_the_oracle_finds_in_the_zeek_log_and_the_sample() {
    let Some(corpus) = corpus() else { return };
    assert_eq!(compare(&corpus.join("zeek"), &corpus.join("sigma")).0, 2140);
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sample/logs");
    let (events, fits) = compare(&sample, &corpus.join("sigma"));
    assert!(events > 50_000 && fits > 100, "{events} {fits}");
}
