//! Rules that change while a watch runs: their files are looked at again and again on a thread of its own.
//!
//! Which have changed `stamps.rs` says.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use cresset_detect::{Changed, RuleSet, RuleSources, Rulebook};
use crossbeam_channel::{Receiver, Sender, bounded, select, unbounded};

use crate::load::{find_rule_files, load_rule_file};
use crate::stamps::{Look, Stamps, Standing};

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// What a look at the files came to.
#[derive(Debug)]
pub struct Reloaded {
    /// Files that are new, changed or gone; none where a look was asked for that found nothing.
    pub files: usize,
    /// Rules that there are now.
    pub rules: usize,
    /// What became of them.
    pub changed: Changed,
}

/// Rules from files and folders that are looked at again and again.
#[derive(Debug)]
pub struct Reloader {
    book: Rulebook,
    stamps: Stamps,
}

/// New rule sets, each in place of the one before. Nobody looks at the files any more once this is dropped.
#[derive(Debug)]
pub struct Reloads {
    pub(crate) sets: Receiver<Arc<RuleSet>>,
    asks: Sender<()>,
    _open: Sender<()>,
}

impl Reloads {
    /// Returns what asks for a look at the files now.
    pub fn asker(&self) -> impl Fn() + Send + 'static + use<> {
        let asks = self.asks.clone();
        move || {
            // One that waits already is enough.
            let _ = asks.try_send(());
        }
    }
}

impl Reloader {
    /// Loads the rules that the arguments name, by `load`.
    pub fn new(arguments: &[String], load: impl FnOnce() -> Rulebook) -> Self {
        // Before anything is read: what changes meanwhile is read once more.
        let stamps = Stamps::now(arguments, find_rule_files);
        Self { stamps, book: load() }
    }

    /// Returns the rules as they are now.
    pub fn book(&self) -> &Rulebook {
        &self.book
    }

    /// Looks at the files every second, and whenever that is asked for, on a thread of its own, and tells what came of it; where
    /// it was asked for, also that nothing did.
    pub fn spawn(mut self, mut tell: impl FnMut(&Reloaded) + Send + 'static) -> Reloads {
        let (found, sets) = unbounded();
        let (asks, asked) = bounded(1);
        let (open, closed) = bounded::<()>(0);
        thread::spawn(move || {
            let mut is_asked = false;
            loop {
                select! {
                    recv(closed) -> _ => return,
                    recv(asked) -> ask => is_asked |= ask.is_ok(),
                    default(LOOK_EVERY) => {}
                }
                let reloaded = match self.stamps.look() {
                    Look::Changed(files) => self.change(files),
                    Look::Unchanged if is_asked => self.unchanged(),
                    Look::Unchanged | Look::Changing => continue,
                };
                is_asked = false;
                // Before it is told: who hears of new rules may count on them.
                if reloaded.changed.is_changed && found.send(Arc::clone(self.book.set())).is_err() {
                    return;
                }
                tell(&reloaded);
            }
        });
        Reloads { sets, asks, _open: open }
    }

    fn unchanged(&self) -> Reloaded {
        let changed = Changed { is_changed: false, kept: Vec::new(), refused: Vec::new() };
        Reloaded { files: 0, rules: self.book.set().len(), changed }
    }

    /// Takes in files that have changed.
    fn change(&mut self, files: Vec<(PathBuf, Standing)>) -> Reloaded {
        let read = |(path, standing): (PathBuf, Standing)| {
            (path.display().to_string(), (standing == Standing::There).then(|| load_rule_file(&path)))
        };
        let versions: HashMap<String, Option<RuleSources>> = files.into_iter().map(read).collect();
        let files = versions.len();
        let changed = self.book.change(versions);
        Reloaded { files, rules: self.book.set().len(), changed }
    }
}

/// Rule files that are looked at again and again, for who wants to know which are new.
#[derive(Debug)]
pub struct RuleFiles(Stamps);

impl RuleFiles {
    /// Returns the files behind arguments; the first look finds all of them.
    pub fn new(arguments: &[String]) -> Self {
        Self(Stamps::none(arguments, find_rule_files))
    }

    /// Returns the files that are new or have changed since the last look.
    pub fn look(&mut self) -> Vec<PathBuf> {
        let Look::Changed(files) = self.0.look() else { return Vec::new() };
        let there = files.into_iter().filter(|(_, standing)| *standing == Standing::There);
        there.map(|(path, _)| path).collect()
    }
}
