//! Real logs in an archive: every value that an indicator could look for is hunted, and seen as often as a plain scan sees it;
//! every event comes back as it was.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use cresset_archive::{Archive, EVENTS, Keep, Scan, Writer, WriterOptions};
use cresset_detect::{Detection, Detector, IndicatorSet, RuleFilter, RuleSet};
use cresset_event::{Event, FieldNames, Matcher, Network, ObservableKind, ObservableKinds, push_observed};
use cresset_ingest::{Opener, Record, Skipped};
use cresset_pipeline::{
    DETECTIONS, Hunt, HuntDone, HuntProgress, Hunting, Progress, ResumeError, Sink, SourcePath, Unreadable, Watch,
    WatchOptions, find_sources, load_rules,
};
use cresset_testing::corpus;

/// How often each matcher would find something, by looking at all.
#[derive(Default)]
struct Scanned {
    events: HashMap<String, String>,
    counts: BTreeMap<Matcher, u64>,
}

impl Scanned {
    fn add(&mut self, event: &Event) {
        // Some logs of the corpus are parts of others: an event is the same, and remembered as it was read first.
        match self.events.entry(event.id().to_string()) {
            Entry::Occupied(_) => return,
            Entry::Vacant(new) => {
                new.insert(shown(event));
            }
        }
        let mut matchers = BTreeSet::new();
        let mut values = BTreeSet::new();
        event.visit_raw_observables(ObservableKinds::ALL, |observable| {
            if let Some(address) = observable.address {
                matchers.insert((Matcher::Address(Network::of(address, u8::MAX)), address.to_string()));
                return;
            }
            let mut value = String::new();
            if push_observed(observable.kind, observable.text, &mut value) {
                values.insert((observable.kind, value));
            }
        });
        for (kind, value) in values {
            for wanted in wanted(kind, &value) {
                matchers.insert((wanted, value.clone()));
            }
        }
        for (matcher, _) in matchers {
            *self.counts.entry(matcher).or_default() += 1;
        }
    }
}

/// Returns what would find a value: itself; a domain above it; an account without its domain.
fn wanted(kind: ObservableKind, value: &str) -> Vec<Matcher> {
    let parts: Vec<&str> = match kind {
        ObservableKind::Domain => value.match_indices('.').map(|(dot, _)| &value[dot + 1..]).collect(),
        ObservableKind::User => value.rsplit_once('\\').map(|(_, account)| account).into_iter().collect(),
        _ => Vec::new(),
    };
    // A value that no indicator can name as it stands, with spaces around it or a control character, is looked for by none.
    let as_it_is = |part: &&str| Matcher::of_kind(kind, part).filter(|matcher| *matcher.text() == **part);
    parts.into_iter().chain([value]).filter_map(|part| as_it_is(&part)).collect()
}

fn shown(event: &Event) -> String {
    let fields: Vec<_> = event.entries().map(|entry| (entry.name(), entry.value(), entry.is_alias())).collect();
    let origin = event.origin();
    format!("{:?} {:?} {:?} {:?} {fields:?}", origin.time, origin.log_source, origin.source.name, origin.record)
}

#[test]
fn every_value_of_the_corpus_is_seen_as_often_as_it_is_there() {
    let Some(corpus) = corpus() else { return };
    let names = Arc::new(FieldNames::new());
    let opener = Opener::new(Arc::clone(&names));
    let folder = tempfile::tempdir().expect("a folder");
    let options = WriterOptions { keep: Keep::Fields, log_bytes: 4 << 20, sync_bytes: 4 << 20 };
    let (mut writer, _) = Writer::open(folder.path(), options).expect("an archive");
    let mut packer = writer.packer();
    let mut scanned = Scanned::default();
    let logs = ["evtx-attack-samples", "zeek"].map(|logs| corpus.join(logs).display().to_string());
    for source in find_sources(&logs).0 {
        let SourcePath::File(path, _) = source else { continue };
        let Ok(mut reader) = opener.open_file(Path::new(&path)) else { continue };
        while let Some(record) = reader.next_record() {
            let Record::Event(event) = record else { continue };
            scanned.add(&event);
            packer.add(&event);
            if packer.byte_len() > 1 << 18 {
                writer.append(&packer.take()).expect("room");
            }
        }
    }
    writer.append(&packer.take()).expect("room");
    writer.close().expect("room");

    let archive = Archive::open(folder.path()).expect("an archive");
    assert_eq!(archive.stats().events, scanned.events.len() as u64);
    let (matchers, counts): (Vec<Matcher>, Vec<u64>) = scanned.counts.into_iter().unzip();
    assert!(matchers.len() > 3_000, "{} values", matchers.len());
    let hunted = archive.hunt(&matchers);
    assert!(hunted.damaged.is_empty(), "{:?}", hunted.damaged);
    for ((matcher, expected), seen) in matchers.iter().zip(counts).zip(hunted.seen) {
        assert_eq!(seen.map_or(0, |seen| seen.count), expected, "{matcher:?}");
    }

    let mut events = scanned.events;
    let take = |event: Event| {
        let was = events.remove(&event.id().to_string());
        assert_eq!(was.as_deref(), Some(&*shown(&event)));
        ControlFlow::Continue(())
    };
    archive.scan(&Scan::default(), &names, take, |error| panic!("{error}"));
    assert!(events.is_empty(), "{} events did not come back", events.len());
}

/// Hunts rules one by one where the index knows what they ask for, and checks that each finds what it finds among all.
fn check_single_rules(archive: &Archive, corpus: &Path, expected: &[(String, String, Option<String>)]) {
    let (mut rules_at_work, mut finding, mut whole) = (0, 0, 0);
    for source in find_sources(&[corpus.join("sigma/rules/windows/*/*[ej].yml").display().to_string()]).0 {
        let SourcePath::File(path, _) = source else { continue };
        let names = Arc::new(FieldNames::new());
        let rules = load_rules(&[path.display().to_string()]);
        let (rules, _) = RuleSet::compile(rules, &RuleFilter::default(), &names);
        let Some(id) = rules.rules().next().and_then(|rule| rule.id.clone()) else { continue };
        if rules.needs().is_none() {
            continue;
        }
        rules_at_work += 1;
        let hunt = Hunt { archive, since_inclusive: None, rules: Arc::new(rules), names: &names };
        let mut found = Found { detections: Vec::new(), breaks_off: false, done: HuntDone::default() };
        let report = hunt.run(HuntDone::default(), &mut found).expect("it is new");
        let expected: Vec<_> = expected.iter().filter(|(rule, ..)| *rule == id).cloned().collect();
        assert_eq!(found.detections, expected, "{id}");
        finding += usize::from(!expected.is_empty());
        whole += usize::from(report.events > 1000);
    }
    assert!(rules_at_work > 100 && finding > 5, "{rules_at_work} rules, {finding} of which find something");
    assert!(whole < rules_at_work / 2, "{whole} of {rules_at_work} rules looked at many events");
}

/// Counts what a watch passes on, by the detection's id.
#[derive(Default)]
struct Told(BTreeSet<String>, u64);

impl Sink for Told {
    fn detection(&mut self, detection: Detection) -> io::Result<()> {
        self.0.insert(detection.id().to_string());
        self.1 += 1;
        Ok(())
    }

    fn skipped(&mut self, _: &Skipped) -> io::Result<()> {
        Ok(())
    }

    fn unreadable(&mut self, _: &Unreadable) -> io::Result<()> {
        Ok(())
    }

    fn progress(&mut self, _: &Progress<'_>) {}
}

#[test]
fn what_a_watch_finds_is_in_the_table_of_detections_once() {
    let Some(corpus) = corpus() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let logs = corpus.join("evtx-attack-samples").join("Credential Access").display().to_string();
    let sources = find_sources(&[logs]).0;
    let mut told = Told::default();
    for threads in [1, 2, 3] {
        let names = Arc::new(FieldNames::new());
        let rules = load_rules(&[corpus.join("sigma/rules/windows").display().to_string()]);
        let (rules, _) = RuleSet::compile(rules, &RuleFilter::default(), &names);
        let options = WriterOptions { log_bytes: 1 << 20, ..WriterOptions::default() };
        let (writer, _) = Writer::open(folder.path(), options).expect("an archive");
        let detector = Detector::new(Arc::new(rules), Arc::new(IndicatorSet::default()));
        let options = WatchOptions { threads, ..WatchOptions::default() };
        let mut watch = Watch::new(names, detector, options).with_archive(writer);
        let report = watch.run(&sources, &mut told).expect("everything is taken");
        watch.take_archive().expect("the archive").close().expect("room");
        assert!(told.0.len() > 100, "{} detections", told.0.len());
        assert_eq!(report.archived_detections, if threads == 1 { told.0.len() as u64 } else { 0 });
        let stats = Archive::open(folder.path()).expect("an archive").stats();
        assert_eq!(stats.tables[DETECTIONS].rows, told.0.len() as u64);
    }
    assert!(told.1 >= 3 * told.0.len() as u64);
}

/// What a hunt found, by rule and event; broken off behind each file where that is asked for.
struct Found {
    detections: Vec<(String, String, Option<String>)>,
    breaks_off: bool,
    done: HuntDone,
}

impl Hunting for Found {
    fn found(&mut self, detection: Detection) -> ControlFlow<()> {
        let id = detection.cause_id().map_or_else(|| detection.title().into_owned(), |id| id.into_owned());
        self.detections.push((id, detection.event.to_string(), detection.host));
        ControlFlow::Continue(())
    }

    fn progress(&mut self, progress: &HuntProgress<'_>) -> ControlFlow<()> {
        self.done = HuntDone { memory: progress.memory(), ..progress.done.clone() };
        if self.breaks_off { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

#[test]
fn a_hunt_finds_what_all_of_each_event_comes_to_however_often_it_is_broken_off() {
    let Some(corpus) = corpus() else { return };
    let names = Arc::new(FieldNames::new());
    let folder = tempfile::tempdir().expect("a folder");
    let options = WriterOptions { log_bytes: 1 << 20, ..WriterOptions::default() };
    let (mut writer, _) = Writer::open(folder.path(), options).expect("an archive");
    let mut packer = writer.packer();
    let opener = Opener::new(Arc::clone(&names));
    let logs = ["Credential Access", "Lateral Movement", "Execution"]
        .map(|logs| corpus.join("evtx-attack-samples").join(logs).display().to_string());
    for source in find_sources(&logs).0 {
        let SourcePath::File(path, _) = source else { continue };
        let Ok(mut reader) = opener.open_file(Path::new(&path)) else { continue };
        while let Some(record) = reader.next_record() {
            let Record::Event(event) = record else { continue };
            packer.add(&event);
        }
        writer.append(&packer.take()).expect("room");
    }
    // What was given last stays in the log.
    drop(writer);
    let sources = load_rules(&[corpus.join("sigma/rules/windows").display().to_string()]);
    let (rules, _) = RuleSet::compile(sources, &RuleFilter::default(), &names);
    let rules = Arc::new(rules);
    let archive = Archive::open(folder.path()).expect("an archive");

    let mut expected = Found { detections: Vec::new(), breaks_off: false, done: HuntDone::default() };
    let mut detector = Detector::new(Arc::clone(&rules), Arc::new(IndicatorSet::default()));
    let take = |event: Event| {
        detector.detect(&event, |detection| assert!(expected.found(detection).is_continue()));
        ControlFlow::Continue(())
    };
    archive.scan(&Scan::default(), &names, take, |error| panic!("{error}"));
    assert!(expected.detections.len() > 400, "{} detections", expected.detections.len());

    let hunt = Hunt { archive: &archive, since_inclusive: None, rules, names: &names };
    let mut at_once = Found { detections: Vec::new(), breaks_off: false, done: HuntDone::default() };
    let report = hunt.run(HuntDone::default(), &mut at_once).expect("it is new");
    assert!(report.damaged.is_empty());
    assert_eq!(at_once.detections, expected.detections);

    let mut broken_off = Found { detections: Vec::new(), breaks_off: true, done: HuntDone::default() };
    for _ in archive.files_of(EVENTS) {
        hunt.run(broken_off.done.clone(), &mut broken_off).expect("the same files");
    }
    broken_off.breaks_off = false;
    let again = hunt.run(broken_off.done.clone(), &mut broken_off).expect("the same files");
    assert_eq!(broken_off.detections, expected.detections);
    assert_eq!((again.events, again.times), (report.events, report.times));
    check_single_rules(&archive, &corpus, &expected.detections);
    let merged = HuntDone { files: ["events/gone.parquet".to_owned()].into(), ..HuntDone::default() };
    assert!(matches!(hunt.run(merged, &mut at_once), Err(ResumeError::Merged)));
}
