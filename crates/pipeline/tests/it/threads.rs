//! What a watch passes on does not depend on the number of threads.

use std::io;
use std::path::Path;
use std::sync::Arc;

use cresset_detect::{Detection, Detector, IndicatorSet, RuleFilter, RuleSet, Warnings};
use cresset_event::FieldNames;
use cresset_ingest::Skipped;
use cresset_pipeline::{Progress, Sink, Unreadable, Watch, WatchOptions, find_feeds, find_sources, load_rules};

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

/// Watches the sample with its own rules and indicators.
fn watch(threads: usize, detections_max: usize) -> (io::Result<u64>, Vec<String>) {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sample");
    let path = |name: &str| vec![sample.join(name).display().to_string()];
    let names = Arc::new(FieldNames::new());
    let (rules, _) = RuleSet::compile(load_rules(&path("rules")), &RuleFilter::default(), &names);
    let indicators = IndicatorSet::new(Warnings::Apply);
    for feed in find_feeds(&path("intel")) {
        assert_eq!(feed.read_into(&indicators, threads).1, 0, "there is room for all");
    }
    let detector = Detector::new(Arc::new(rules), Arc::new(indicators));
    let mut watch = Watch::new(names, detector, WatchOptions { threads, ..WatchOptions::default() });
    let mut kept = Kept { all: Vec::new(), detections_left: detections_max };
    // The whole folder: files in no known format are among them.
    let (sources, _) = find_sources(&[sample.display().to_string()]);
    let report = watch.run(&sources, &mut kept);
    (report.map(|report| report.events), kept.all)
}

#[test]
fn the_same_in_the_same_order() {
    let (events, one) = watch(1, usize::MAX);
    assert!(events.expect("no error") > 100_000);
    assert!(one.len() > 400, "{}", one.len());
    for threads in [2, 5] {
        assert_eq!(watch(threads, usize::MAX).1, one, "{threads} threads");
    }
}

#[test]
fn a_sink_that_fails_ends_it() {
    for threads in [1, 4] {
        let (result, kept) = watch(threads, 3);
        assert_eq!(result.expect_err("the sink fails").kind(), io::ErrorKind::BrokenPipe);
        assert!(kept.iter().filter(|line| !line.contains("sample")).count() <= 3);
    }
}
