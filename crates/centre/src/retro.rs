//! New rules and indicators look into the past by themselves: on a thread of their own, behind everything else.
//!
//! Files are looked at every few seconds. What is new in them hunts the archive, and what it finds goes over the desk as what the
//! watch finds does, marked as of the past; what was found before is known by its id. A file that has hunted is remembered by the
//! digest of its content, so that it does not hunt again after a restart, and one that came while the centre was down does.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;
use std::io::{self, BufRead};
use std::mem;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use cresset_archive::Archive;
use cresset_detect::{Detection, RuleFilter, RuleSet};
use cresset_event::{FieldNames, Indicator, IndicatorId};
use cresset_pipeline::whole_file::{self, Readers};
use cresset_pipeline::{
    FeedChanged, Feeds, Hunt, HuntDone, Hunting, RuleFiles, hunt_indicators, load_rules, read_indicators,
};
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{info, warn};

use crate::floor::{Found, Part};
use crate::rules::RulesState;

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How kind to others: the watch comes first.
#[cfg(unix)]
const NICE: i32 = 10;
/// Indicators that hunt at once: for each some hundred bytes are held.
const INDICATORS_AT_ONCE: usize = 10_000;
/// Detections that are passed on at once.
const FOUND_MAX: usize = 256;
/// Detections of one rule or indicator that a hunt passes on. What is in a thousand events of the past is no find but a custom,
/// and `cresset hunt` shows all of it.
const FOUND_OF_ONE_MAX: u64 = 1000;
/// Where it is kept which files have hunted, in the centre's folder.
const FILE: &str = "hunted";

/// Looks after which files are tried again that could not be hunted for.
const RETRY_LOOKS: u32 = 30;

/// What is new, and has not hunted yet.
#[derive(Debug, Default)]
struct New {
    /// Indicators by the feed that names them.
    feeds: BTreeMap<PathBuf, HashSet<IndicatorId>>,
    /// Files of rules.
    rules: BTreeSet<PathBuf>,
}

impl New {
    fn add(&mut self, feeds: Vec<FeedChanged>, rules: Vec<PathBuf>) {
        for FeedChanged { path, feed, new, .. } in feeds {
            match feed {
                Some(_) => self.feeds.entry(path).or_default().extend(new),
                None => drop(self.feeds.remove(&path)),
            }
        }
        self.rules.extend(rules);
    }
}

/// Looks into the past for whatever is new.
pub(crate) struct Retro {
    pub(crate) archive: PathBuf,
    pub(crate) feeds: Feeds,
    /// What the first look at the feeds found: they are in the set already.
    pub(crate) first: Vec<FeedChanged>,
    pub(crate) rule_files: RuleFiles,
    pub(crate) hunted: HuntedFiles,
    pub(crate) desk: mpsc::Sender<Part>,
    pub(crate) stop: watch::Receiver<bool>,
    pub(crate) state: Arc<RulesState>,
}

/// Which files have hunted, by the digest of their content.
pub(crate) struct HuntedFiles {
    file: PathBuf,
    digests: HashSet<[u8; 32]>,
}

impl HuntedFiles {
    /// Reads what earlier runs wrote. What cannot be read hunts once more.
    pub(crate) fn load(data: &Path) -> Self {
        let file = data.join(FILE);
        let text = fs::read(&file).unwrap_or_default();
        let digests = text.chunks_exact(32).filter_map(|digest| digest.try_into().ok()).collect();
        Self { file, digests }
    }

    fn has(&self, digest: &[u8; 32]) -> bool {
        self.digests.contains(digest)
    }

    fn add(&mut self, digests: impl IntoIterator<Item = [u8; 32]>) {
        let before = self.digests.len();
        self.digests.extend(digests);
        if self.digests.len() == before {
            return;
        }
        let bytes: Vec<u8> = self.digests.iter().flatten().copied().collect();
        if let Err(error) = whole_file::write(&self.file, Readers::Owner, &bytes) {
            warn!(%error, file = %self.file.display(), "cannot be written; after a restart some files hunt once more");
        }
    }
}

/// Returns the SHA-256 of a file.
pub(crate) fn digest_of(path: &Path) -> io::Result<[u8; 32]> {
    let mut file = io::BufReader::with_capacity(1 << 16, fs::File::open(path)?);
    let mut digest = Sha256::new();
    loop {
        let bytes = file.fill_buf()?;
        if bytes.is_empty() {
            return Ok(digest.finalize().into());
        }
        digest.update(bytes);
        let length = bytes.len();
        file.consume(length);
    }
}

impl Retro {
    /// Starts on a thread of its own.
    pub(crate) fn start(self) -> io::Result<thread::JoinHandle<()>> {
        thread::Builder::new().name("retro".into()).spawn(move || self.run())
    }

    fn run(mut self) {
        // Where it may not be kinder it is as kind as the others.
        #[cfg(unix)]
        let _ = rustix::process::nice(NICE);
        let (mut new, mut feeds) = (New::default(), mem::take(&mut self.first));
        for looks in 0_u32.. {
            let rules = self.rule_files.look();
            // What could not be hunted for is tried again, and not at each look.
            let is_due = !feeds.is_empty() || !rules.is_empty() || looks.is_multiple_of(RETRY_LOOKS);
            new.add(mem::take(&mut feeds), rules);
            if is_due {
                let hunted = self.hunt(&mut new);
                feeds = self.look_at_feeds();
                self.note(hunted, &feeds);
            }
            for _ in 0..LOOK_EVERY.as_millis() / 100 {
                if self.is_over() {
                    return;
                }
                thread::sleep(Duration::from_millis(100));
            }
            feeds.extend(self.look_at_feeds());
        }
    }

    fn look_at_feeds(&mut self) -> Vec<FeedChanged> {
        let changed = self.feeds.look();
        self.state.feeds_changed(&changed, self.feeds.set().len());
        changed
    }

    /// Hunts for what is new, and returns the feeds that have hunted, with the digests that they had. What was broken off, or
    /// cannot be hunted for now, stays new.
    fn hunt(&mut self, new: &mut New) -> Vec<(PathBuf, [u8; 32])> {
        let mut hunted = Vec::new();
        new.feeds.retain(|path, ids| {
            let Ok(digest) = digest_of(path) else { return true };
            if self.hunted.has(&digest) {
                return false;
            }
            let has_hunted = self.hunt_feed(path, ids);
            if has_hunted {
                hunted.push((path.clone(), digest));
            }
            !has_hunted
        });
        if self.take_rules(&new.rules) {
            new.rules.clear();
        }
        hunted
    }

    /// Remembers feeds that have hunted, unless they became others while they did: of those only what is new hunts.
    fn note(&mut self, hunted: Vec<(PathBuf, [u8; 32])>, changed: &[FeedChanged]) {
        let is_same = |(path, digest): &(PathBuf, [u8; 32])| {
            !changed.iter().any(|changed| changed.path == *path) && digest_of(path).is_ok_and(|now| now == *digest)
        };
        let same: Vec<_> = hunted.into_iter().filter(is_same).map(|(_, digest)| digest).collect();
        self.hunted.add(same);
    }

    fn is_over(&self) -> bool {
        *self.stop.borrow() || self.desk.is_closed()
    }

    /// Hunts for those indicators of a feed that are new. `false` where it was broken off.
    fn hunt_feed(&self, path: &Path, new: &HashSet<IndicatorId>) -> bool {
        if new.is_empty() {
            return true;
        }
        let Some(archive) = self.open() else { return false };
        let mut passing = Passing::new(self);
        let mut some = Vec::new();
        read_indicators(path, new, |indicator| {
            some.push(indicator);
            if some.len() == INDICATORS_AT_ONCE {
                hunt_some(&archive, &mem::take(&mut some), &mut passing);
            }
        });
        hunt_some(&archive, &some, &mut passing);
        passing.finish(path, new.len())
    }

    /// Hunts for the rules of files, unless they have hunted. `false` where that was broken off.
    fn take_rules(&mut self, files: &BTreeSet<PathBuf>) -> bool {
        let digests = files.iter().filter_map(|file| Some((file, digest_of(file).ok()?)));
        let new: Vec<_> = digests.filter(|(_, digest)| !self.hunted.has(digest)).collect();
        let arguments: Vec<String> = new.iter().map(|(file, _)| file.display().to_string()).collect();
        let has_hunted = arguments.is_empty() || self.hunt_rules(&arguments);
        if has_hunted {
            let digests: Vec<_> = new.into_iter().map(|(_, digest)| digest).collect();
            self.hunted.add(digests);
        }
        has_hunted
    }

    /// Hunts for rules. What of them needs rules of other files is not looked for in the past. `false` where it was broken off.
    fn hunt_rules(&self, arguments: &[String]) -> bool {
        let names = Arc::new(FieldNames::new());
        let (rules, _) = RuleSet::compile(load_rules(arguments), &RuleFilter::default(), &names);
        if rules.is_empty() {
            return true;
        }
        let count = rules.len();
        let Some(archive) = self.open() else { return false };
        let mut passing = Passing::new(self);
        let hunt = Hunt { archive: &archive, since_inclusive: None, rules: Arc::new(rules), names: &names };
        match hunt.run(HuntDone::default(), &mut passing) {
            Ok(report) => report.damaged.iter().for_each(|error| warn!(error = error.with_causes(), "not hunted")),
            Err(error) => {
                warn!(%error, "a hunt could not be begun");
                return false;
            }
        }
        passing.finish(Path::new(&arguments[0]), count)
    }

    fn open(&self) -> Option<Archive> {
        Archive::open(&self.archive)
            .inspect_err(|error| warn!(error = error.with_causes(), "the archive cannot be hunted now"))
            .ok()
    }
}

/// Asks the index first which of them were ever seen.
fn hunt_some(archive: &Archive, indicators: &[Indicator], passing: &mut Passing<'_>) {
    if passing.is_over() {
        return;
    }
    let matchers: Vec<_> = indicators.iter().map(|indicator| indicator.matcher.clone()).collect();
    let hunted = archive.hunt(&matchers);
    let seen = indicators.iter().zip(hunted.seen).filter(|(_, seen)| seen.is_some());
    let seen: Vec<Indicator> = seen.map(|(indicator, _)| indicator.clone()).collect();
    let damaged = hunt_indicators(archive, &seen, |detection| passing.found(detection));
    damaged.iter().for_each(|error| warn!(error = error.with_causes(), "not hunted"));
}

/// Passes on what a hunt finds.
struct Passing<'r> {
    retro: &'r Retro,
    found: Vec<Detection>,
    /// How many of each rule or indicator.
    counts: HashMap<String, u64>,
    passed: u64,
    is_broken_off: bool,
}

impl<'r> Passing<'r> {
    fn new(retro: &'r Retro) -> Self {
        Self { retro, found: Vec::new(), counts: HashMap::new(), passed: 0, is_broken_off: false }
    }

    /// Whether it is broken off, or the centre ends.
    fn is_over(&mut self) -> bool {
        self.is_broken_off |= self.retro.is_over();
        self.is_broken_off
    }

    fn pass_on(&mut self) {
        self.passed += self.found.len() as u64;
        let found = Found { is_retro: true, detections: mem::take(&mut self.found), ..Found::default() };
        self.is_broken_off |= self.retro.desk.blocking_send(Part::Found(found)).is_err();
    }

    /// Waits until all that was passed on is recorded: only then has the file hunted.
    fn is_recorded(&self) -> bool {
        let (tell, told) = oneshot::channel();
        self.retro.desk.blocking_send(Part::Wait(tell)).is_ok() && told.blocking_recv().is_ok()
    }

    /// Tells what came of it, and whether it was done to its end.
    fn finish(mut self, file: &Path, wanted: usize) -> bool {
        if !self.found.is_empty() {
            self.pass_on();
        }
        for (cause, count) in self.counts.iter().filter(|(_, count)| **count > FOUND_OF_ONE_MAX) {
            warn!(cause, count, recorded = FOUND_OF_ONE_MAX, "is in too many events of the past to record them all");
        }
        if self.is_broken_off || !self.is_recorded() {
            return false;
        }
        self.retro.state.hunts.fetch_add(1, Ordering::Relaxed);
        info!(first_file = %file.display(), wanted, found = self.passed, "looked into the past");
        true
    }
}

impl Hunting for Passing<'_> {
    fn found(&mut self, detection: Detection) -> ControlFlow<()> {
        if self.is_over() {
            return ControlFlow::Break(());
        }
        let cause = detection.cause_id().unwrap_or_else(|| detection.title()).into_owned();
        let count = self.counts.entry(cause).or_default();
        *count += 1;
        if *count <= FOUND_OF_ONE_MAX {
            self.found.push(detection);
            if self.found.len() == FOUND_MAX {
                self.pass_on();
            }
        }
        ControlFlow::Continue(())
    }

    fn progress(&mut self, _: &cresset_pipeline::HuntProgress<'_>) -> ControlFlow<()> {
        if self.is_over() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

#[cfg(test)]
mod tests;
