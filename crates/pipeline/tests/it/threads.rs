//! What a watch passes on does not depend on the number of threads.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cresset_detect::{Detection, Detector, IndicatorSet, RuleFilter, RuleSet, Warnings};
use cresset_event::FieldNames;
use cresset_ingest::Skipped;
use cresset_pipeline::{Progress, Sink, Unreadable, Watch, WatchOptions, find_feeds, find_sources, load_rules};
use cresset_testing::corpus;

/// Everything that was passed on, as text in its order; fails after so many detections.
struct Kept {
    all: Vec<String>,
    detections_left: usize,
}

impl Sink for Kept {
    fn detection(&mut self, detection: Detection) -> io::Result<()> {
        self.detections_left = self.detections_left.checked_sub(1).ok_or(io::ErrorKind::BrokenPipe)?;
        self.all.push(format!("{} {:?} {}", detection.title(), detection.time, detection.record));
        Ok(())
    }

    fn skipped(&mut self, skipped: &Skipped) -> io::Result<()> {
        self.all.push(skipped.to_string());
        Ok(())
    }

    fn unreadable(&mut self, unreadable: &Unreadable) -> io::Result<()> {
        self.all.push(unreadable.source.clone());
        Ok(())
    }

    fn progress(&mut self, _: &Progress<'_>) {}
}

/// What is watched, and what is looked for.
struct Folders {
    logs: PathBuf,
    rules: PathBuf,
    intel: PathBuf,
}

/// The whole sample, with its own rules and indicators: files in no known format are among them.
fn sample() -> Folders {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sample");
    Folders { rules: sample.join("rules"), intel: sample.join("intel"), logs: sample }
}

fn watch(folders: &Folders, threads: usize, detections_max: usize) -> (io::Result<u64>, Vec<String>) {
    let path = |path: &Path| vec![path.display().to_string()];
    let names = Arc::new(FieldNames::new());
    let (rules, _) = RuleSet::compile(load_rules(&path(&folders.rules)), &RuleFilter::default(), &names);
    let indicators = IndicatorSet::new(Warnings::Apply);
    for feed in find_feeds(&path(&folders.intel)) {
        assert_eq!(feed.read_into(&indicators, threads).1, 0, "there is room for all");
    }
    let detector = Detector::new(Arc::new(rules), Arc::new(indicators));
    let mut watch = Watch::new(names, detector, WatchOptions { threads, ..WatchOptions::default() });
    let mut kept = Kept { all: Vec::new(), detections_left: detections_max };
    let (sources, _) = find_sources(&path(&folders.logs));
    let report = watch.run(&sources, &mut kept);
    (report.map(|report| report.events), kept.all)
}

#[track_caller]
fn check_same_in_the_same_order(folders: &Folders, events_min: u64, told_min: usize) {
    let (events, one) = watch(folders, 1, usize::MAX);
    assert!(events.expect("no error") > events_min);
    assert!(one.len() > told_min, "{}", one.len());
    for threads in [2, 5] {
        assert_eq!(watch(folders, threads, usize::MAX).1, one, "{threads} threads");
    }
}

#[test]
fn the_same_in_the_same_order() {
    check_same_in_the_same_order(&sample(), 100_000, 400);
}

#[test]
fn the_same_of_event_logs_in_the_same_order() {
    let Some(corpus) = corpus() else { return };
    let rules = corpus.join("sigma/rules/windows/process_creation");
    let folders = Folders { logs: corpus.join("evtx-attack-samples"), rules, intel: sample().intel };
    check_same_in_the_same_order(&folders, 8_000, 100);
}

#[test]
fn a_sink_that_fails_ends_it() {
    for threads in [1, 4] {
        let (result, kept) = watch(&sample(), threads, 3);
        assert_eq!(result.expect_err("the sink fails").kind(), io::ErrorKind::BrokenPipe);
        assert!(kept.iter().filter(|line| !line.contains("sample")).count() <= 3);
    }
}
