//! Hunts that cannot be done at once, and feeds that change while they are.

use std::fs;

use cresset_archive::{Writer, WriterOptions};
use cresset_detect::{IndicatorSet, Warnings};
use cresset_ingest::{Opener, Record};
use tempfile::TempDir;

use super::*;

/// Addresses that events of the archive have.
const SEEN: [&str; 2] = ["45.155.205.98", "45.155.205.99"];

/// A centre's folder with a feed of one of them, what looks into the past there, and what that passes on.
struct Past {
    folder: TempDir,
    retro: Retro,
    parts: mpsc::Receiver<Part>,
    /// Held: once it is gone the centre ends.
    _stop: watch::Sender<bool>,
}

impl Past {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let feed = folder.path().join("feed.txt");
        fs::write(&feed, SEEN[0]).expect("room");
        let feeds = Feeds::new(&[feed.display().to_string()], Arc::new(IndicatorSet::new(Warnings::Apply)), 1);
        let (desk, parts) = mpsc::channel(16);
        let (_stop, stop) = watch::channel(false);
        let retro = Retro {
            archive: folder.path().join("archive"),
            feeds,
            first: Vec::new(),
            rule_files: RuleFiles::new(&[folder.path().join("rules").display().to_string()]),
            hunted: HuntedFiles::load(folder.path()),
            desk,
            stop,
            state: Arc::default(),
        };
        Self { folder, retro, parts, _stop }
    }

    fn feed(&self) -> PathBuf {
        self.folder.path().join("feed.txt")
    }

    /// Writes an archive with an event of each of the addresses.
    fn archive(&self) {
        let (mut writer, _) = Writer::open(&self.retro.archive, WriterOptions::default()).expect("room");
        let mut packer = writer.packer();
        let line = |address| format!("{{\"dst_ip\":\"{address}\",\"@timestamp\":\"2026-11-24T07:00:00Z\"}}\n");
        let lines: String = SEEN.map(line).concat();
        let opener = Opener::new(Arc::new(FieldNames::new()));
        let mut reader = opener.open_bytes("a.json", lines.into_bytes()).expect("JSON lines");
        while let Some(record) = reader.next_record() {
            let Record::Event(event) = record else { panic!("{record:?}") };
            packer.add(&event);
        }
        writer.append(&packer.take()).and_then(|_| writer.commit()).expect("room");
    }

    /// Looks at the feeds until one has changed.
    fn changed(&mut self) -> Vec<FeedChanged> {
        loop {
            let changed = self.retro.look_at_feeds();
            if !changed.is_empty() {
                return changed;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Hunts as the desk listens, and returns what has hunted and what was found; `meanwhile` is done when something is.
    fn hunt(&mut self, new: &mut New, mut meanwhile: impl FnMut() + Send) -> (Vec<(PathBuf, [u8; 32])>, Vec<String>) {
        let (retro, parts) = (&mut self.retro, &mut self.parts);
        thread::scope(|scope| {
            let (ended, mut is_over) = oneshot::channel::<()>();
            let desk = scope.spawn(move || {
                let mut found = Vec::new();
                loop {
                    match parts.try_recv() {
                        Ok(Part::Found(part)) => {
                            assert!(part.is_retro);
                            found.extend(part.detections.iter().map(|detection| detection.title().into_owned()));
                            meanwhile();
                        }
                        Ok(Part::Wait(tell)) => tell.send(()).expect("it is waited for"),
                        Ok(Part::Mark(..)) => panic!("a hunt marks nothing"),
                        Err(_) if is_over.try_recv() != Err(oneshot::error::TryRecvError::Empty) => return found,
                        Err(_) => thread::sleep(Duration::from_millis(1)),
                    }
                }
            });
            let hunted = retro.hunt(new);
            drop(ended);
            (hunted, desk.join().expect("the desk"))
        })
    }
}

#[test]
fn what_cannot_be_hunted_for_now_stays_new() {
    let mut past = Past::new();
    let mut new = New::default();
    new.add(past.changed(), Vec::new());
    let (hunted, found) = past.hunt(&mut new, || {});
    assert!(hunted.is_empty() && found.is_empty() && new.feeds.len() == 1, "there is no archive yet: {hunted:?}");
    past.archive();
    let (hunted, found) = past.hunt(&mut new, || {});
    assert_eq!((hunted.len(), found.len(), new.feeds.len()), (1, 1, 0), "{found:?}");
    let digest = hunted[0].1;
    past.retro.note(hunted, &[]);
    assert!(HuntedFiles::load(past.folder.path()).has(&digest));
}

#[test]
fn a_feed_that_changes_while_it_hunts_hunts_for_what_is_new_in_it() {
    let mut past = Past::new();
    past.archive();
    let mut new = New::default();
    new.add(past.changed(), Vec::new());
    let feed = past.feed();
    let (hunted, found) = past.hunt(&mut new, || fs::write(&feed, SEEN.join("\n")).expect("room"));
    assert_eq!((hunted.len(), found.len()), (1, 1));
    past.retro.note(hunted, &[]);
    let digest = digest_of(&past.feed()).expect("it is there");
    assert!(!past.retro.hunted.has(&digest), "the other address has not hunted");
    new.add(past.changed(), Vec::new());
    let (hunted, found) = past.hunt(&mut new, || {});
    assert_eq!((hunted.len(), found.len()), (1, 1), "{found:?}");
    past.retro.note(hunted, &[]);
    assert!(past.retro.hunted.has(&digest));
}

#[test]
fn rules_that_cannot_be_hunted_for_now_stay_new() {
    let mut past = Past::new();
    let rule = past.folder.path().join("rules/r.yml");
    fs::create_dir(rule.parent().expect("a folder")).expect("room");
    let text = "title: T\nid: 11111111-1111-4111-8111-111111111111\nstatus: test\nlogsource: {}\n\
                detection:\n  s:\n    dst_ip: 45.155.205.98\n  condition: s\nlevel: high\n";
    fs::write(&rule, text).expect("room");
    let mut new = New::default();
    new.add(Vec::new(), vec![rule.clone()]);
    let (_, found) = past.hunt(&mut new, || {});
    assert_eq!((found.len(), new.rules.len()), (0, 1));
    past.archive();
    let (_, found) = past.hunt(&mut new, || {});
    assert_eq!((found, new.rules.len()), (vec!["T".to_owned()], 0));
    // It has hunted, and does not again.
    new.add(Vec::new(), vec![rule]);
    let (_, found) = past.hunt(&mut new, || {});
    assert!(found.is_empty());
}
