//! What is delivered while a watch runs: told in order, settled before it is acknowledged, and told by its keys.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use cresset_archive::{Archive, Writer, WriterOptions};
use cresset_detect::{Detection, Detector, IndicatorSet, RuleFilter, RuleSet, RuleSources, Warnings};
use cresset_event::{FieldNames, Source, SourceIdentity};
use cresset_ingest::{Content, Skipped};
use cresset_pipeline::{Delivered, Delivery, Following, Progress, Seen, Sink, Unreadable, Watch, WatchOptions};
use crossbeam_channel::bounded;

const RULE: &str = "title: Whoami\nlogsource: {}\ndetection:\n  s: {cmd: whoami}\n  condition: s\n";

const RULE_AND_COUNT: &str = "title: Whoami\nname: whoami\nlogsource: {}\ndetection:\n  s: {cmd: whoami}\n  condition: s\n---\n\
    title: Thrice\ncorrelation:\n  type: event_count\n  rules: [whoami]\n  generate: true\n  timespan: 1h\n  condition: {gte: 3}\n";

/// What a sink hears, as words; ends the watch once so many deliveries are settled.
struct Heard {
    words: Vec<String>,
    delivered: u64,
    deliveries: u64,
    archive: std::path::PathBuf,
    is_enough: Arc<AtomicBool>,
}

impl Sink for Heard {
    fn detection(&mut self, detection: Detection) -> io::Result<()> {
        let what = if detection.kind() == "correlation" { "counted" } else { "found" };
        self.words.push(format!("{what} {}", detection.record));
        Ok(())
    }

    fn skipped(&mut self, skipped: &Skipped) -> io::Result<()> {
        self.words.push(format!("skipped {}", skipped.record));
        Ok(())
    }

    fn unreadable(&mut self, unreadable: &Unreadable) -> io::Result<()> {
        self.words.push(format!("unreadable {}", unreadable.source));
        Ok(())
    }

    fn progress(&mut self, _: &Progress<'_>) {}

    fn seen(&mut self, seen: &Seen) {
        self.words.push(format!("seen {} {}", seen.source.name, seen.events));
    }

    fn known(&mut self, event: u64, record: u64) {
        self.words.push(format!("known {event} {record}"));
    }

    fn delivered(&mut self, delivered: Delivered) {
        self.delivered += 1;
        let refused = if delivered.refused.is_some() { ", refused" } else { "" };
        self.words.push(format!("delivered {}{refused}", delivered.number));
    }

    fn settled(&mut self) -> io::Result<()> {
        // Whoever opens the archive now finds all that was delivered.
        let events = Archive::open(&self.archive).expect("an archive").stats().events;
        self.words.push(format!("settled {events}"));
        if self.delivered == self.deliveries {
            self.is_enough.store(true, std::sync::atomic::Ordering::Relaxed);
        }
        Ok(())
    }
}

/// Returns what is heard of deliveries that are made before the watch begins.
fn heard(folder: &Path, threads: usize, deliveries: Vec<(Source, Content)>) -> Vec<String> {
    heard_by(RULE, folder, threads, deliveries)
}

/// Returns what is heard with these rules.
fn heard_by(rules: &str, folder: &Path, threads: usize, deliveries: Vec<(Source, Content)>) -> Vec<String> {
    let names = Arc::new(FieldNames::new());
    let mut sources = RuleSources::default();
    sources.parse("r.yml", rules.as_bytes());
    let (rules, refused) = RuleSet::compile(sources, &RuleFilter::default(), &names);
    assert!(refused.is_empty(), "{refused:?}");
    let detector = Detector::new(Arc::new(rules), Arc::new(IndicatorSet::new(Warnings::Apply)));
    let (writer, _) = Writer::open(folder, WriterOptions::default()).expect("an archive");
    let is_enough = Arc::new(AtomicBool::new(false));
    let (sender, receiver) = bounded(deliveries.len());
    let count = deliveries.len() as u64;
    for (number, (source, content)) in deliveries.into_iter().enumerate() {
        sender.send(Delivery { number: number as u64, source, content }).expect("room");
    }
    let following = Following { deliveries: receiver, ..Following::new(Arc::clone(&is_enough)) };
    let mut watch = Watch::new(names, detector, WatchOptions { threads, ..WatchOptions::default() })
        .with_archive(writer)
        .following(following);
    let mut sink = Heard { words: Vec::new(), delivered: 0, deliveries: count, archive: folder.to_owned(), is_enough };
    watch.run(&[], &mut sink).expect("a sink that takes all");
    watch.take_archive().expect("the archive").close().expect("room");
    sink.words
}

fn source(name: &str, identity: SourceIdentity) -> Source {
    Source { name: name.into(), identity }
}

fn lines(text: &str) -> Content {
    Content::Any(text.into())
}

#[test]
fn each_is_told_in_order_and_settled_behind_that() {
    for threads in [1, 3] {
        let folder = tempfile::tempdir().expect("a folder");
        let request = |key| source("request", SourceIdentity::of_request("one", key));
        let deliveries = vec![
            (request("a"), lines("{\"cmd\":\"whoami\"}\n{\"cmd\":\"ls\"}\n{\"cmd\":\n")),
            (request("b"), lines("in no format\n")),
            (request("c"), lines("")),
            (request("d"), lines("{\"cmd\":\"whoami\"}\n")),
        ];
        let words = heard(folder.path(), threads, deliveries);
        let told: Vec<&str> = words.iter().map(String::as_str).filter(|word| !word.starts_with("seen")).collect();
        let expected = [
            "found 1",
            "skipped 3",
            "delivered 0",
            "delivered 1, refused",
            "delivered 2",
            "found 1",
            "delivered 3",
            "settled 3",
        ];
        assert_eq!(told[..expected.len()], expected, "{threads} threads");
        let events = words.iter().filter_map(|word| word.strip_prefix("seen request ")?.parse::<u64>().ok());
        assert_eq!(events.sum::<u64>(), 3);
    }
}

#[test]
fn what_is_sent_again_is_known_by_its_key_and_what_has_none_never_is() {
    let keyed = |bytes: &str, keys: &[&str]| {
        let keys = keys.iter().map(|key| SourceIdentity::key_bits(key)).collect();
        let identity = SourceIdentity::of_keyed("one", "index");
        (source("bulk", identity), Content::JsonLines { bytes: bytes.into(), keys })
    };
    let request = |key| source("request", SourceIdentity::of_request("one", key));
    let deliveries = vec![
        keyed("{\"a\":1}\n{\"a\":1}\n", &["x", "y"]),
        // One of them again, elsewhere in the request; and another with its key.
        keyed("{\"a\":2}\n{\"a\":1}\n", &["x", "y"]),
        (request("k"), lines("{\"a\":1}\n{\"a\":1}\n")),
        (request("k"), lines("{\"a\":1}\n{\"a\":1}\n")),
        (request("l"), lines("{\"a\":1}\n")),
    ];
    for threads in [1, 2] {
        let folder = tempfile::tempdir().expect("a folder");
        let words = heard(folder.path(), threads, deliveries.clone());
        assert!(words.iter().any(|word| word == "settled 6"), "{words:?}");
        let known: Vec<&str> = words.iter().map(String::as_str).filter(|word| word.starts_with("known")).collect();
        // The place of each among all that were seen, and its number in what it came with.
        assert_eq!(known, ["known 3 2", "known 6 1", "known 7 2"], "{threads} threads");
    }
}

#[test]
fn correlations_count_what_is_sent_again_with_its_key_once() {
    let line = |time: u32| format!("{{\"cmd\":\"whoami\",\"time\":\"2026-11-01T10:00:{time:02}Z\"}}\n");
    let request = |key| source("request", SourceIdentity::of_request("one", key));
    let two = || lines(&(line(1) + &line(2)));
    for threads in [1, 3] {
        let folder = tempfile::tempdir().expect("a folder");
        let is_counted = |deliveries| {
            let words = heard_by(RULE_AND_COUNT, folder.path(), threads, deliveries);
            assert!(words.iter().any(|word| word.starts_with("found")), "{words:?}");
            words.iter().any(|word| word.starts_with("counted"))
        };
        // Again before it is in the archive, and behind that: in a watch that remembers nothing else two are two.
        assert!(!is_counted(vec![(request("a"), two()), (request("a"), two())]), "{threads} threads");
        assert!(!is_counted(vec![(request("a"), two()), (request("b"), two())]), "{threads} threads");
        assert!(is_counted(vec![(request("c"), two()), (request("d"), lines(&line(3)))]), "{threads} threads");
        // Without a key they may be others.
        let stream = || (source("stream", SourceIdentity::Stream { began_nanos: 1 }), two());
        assert!(is_counted(vec![stream(), stream()]), "{threads} threads");
    }
}
