//! Indicators that change while they are matched: feeds are looked at again and again, and a set is kept as they say.
//!
//! A feed that changed is read anew: what it names first is added, then what no feed names any more is taken out. One of which
//! nothing can be used any more keeps what it gave before. Which files changed `stamps.rs` says.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cresset_detect::IndicatorSet;
use cresset_event::{Indicator, IndicatorId};
use cresset_intel::Feed;

use crate::load::{FeedSource, find_feeds};
use crate::report::Unreadable;
use crate::stamps::{Look, Stamps, Standing};

/// Feeds, and the set that is kept as they say.
#[derive(Debug)]
pub struct Feeds {
    set: Arc<IndicatorSet>,
    stamps: Stamps,
    threads: usize,
    /// What each file names.
    named: HashMap<PathBuf, HashSet<IndicatorId>>,
}

/// A feed that is new, has changed, or is gone.
#[derive(Debug)]
pub struct FeedChanged {
    /// The file.
    pub path: PathBuf,
    /// What it gave; `None` where it is gone.
    pub feed: Option<Feed>,
    /// Whether nothing of it can be used, so that what it gave before stays.
    pub is_kept: bool,
    /// Indicators of it that no feed named before.
    pub new: HashSet<IndicatorId>,
    /// How many indicators no feed names any more.
    pub removed: usize,
    /// For how many there was no room.
    pub left_out: usize,
}

impl Feeds {
    /// Returns feeds behind arguments, of which none was read yet: the first look reads them all into the set, on so many
    /// threads.
    pub fn new(arguments: &[String], set: Arc<IndicatorSet>, threads: usize) -> Self {
        Self { set, stamps: Stamps::none(arguments, find_feed_files), threads, named: HashMap::new() }
    }

    /// Returns the set.
    pub fn set(&self) -> &Arc<IndicatorSet> {
        &self.set
    }

    /// Looks at the files once, and takes in what has changed.
    pub fn look(&mut self) -> Vec<FeedChanged> {
        match self.stamps.look() {
            Look::Unchanged | Look::Changing => Vec::new(),
            Look::Changed(files) => files.into_iter().map(|(path, standing)| self.change(path, standing)).collect(),
        }
    }

    fn change(&mut self, path: PathBuf, standing: Standing) -> FeedChanged {
        let mut names = HashSet::new();
        let (feed, left_out) = match standing {
            Standing::There => {
                let source = FeedSource::of_file(&path);
                let (feed, left_out) = source.read_each_into(&self.set, self.threads, |indicator| {
                    names.insert(indicator.id.clone());
                });
                (Some(feed), left_out)
            }
            Standing::Gone => (None, 0),
        };
        let is_kept = feed.as_ref().is_some_and(|feed| feed.indicators == 0 && feed.refused_count() > 0);
        if is_kept {
            return FeedChanged { path, feed, is_kept, new: HashSet::new(), removed: 0, left_out };
        }
        let before = self.named.remove(&path).unwrap_or_default();
        let others = |id: &IndicatorId| self.named.values().any(|named| named.contains(id));
        let new = names.difference(&before).filter(|id| !others(id)).cloned().collect();
        let gone: Vec<&IndicatorId> = before.difference(&names).filter(|id| !others(id)).collect();
        let removed = gone.into_iter().map(|id| self.set.remove(id)).sum();
        if feed.is_some() {
            self.named.insert(path.clone(), names);
        }
        FeedChanged { path, feed, is_kept, new, removed, left_out }
    }
}

/// Reads the indicators of a file again, and passes those of these ids to `take`.
pub fn read_indicators(path: &Path, wanted: &HashSet<IndicatorId>, mut take: impl FnMut(Indicator) + Send) {
    FeedSource::of_file(path).read(|taken| {
        if wanted.contains(&taken.indicator.id) {
            take(taken.indicator);
        }
    });
}

fn find_feed_files(arguments: &[String]) -> (Vec<PathBuf>, Vec<Unreadable>) {
    let (mut files, mut unreadable) = (Vec::new(), Vec::new());
    for feed in find_feeds(arguments) {
        match feed.into_path() {
            Ok(path) => files.push(path),
            Err(failed) => unreadable.push(failed),
        }
    }
    (files, unreadable)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use cresset_detect::Warnings;

    use super::*;

    #[test]
    fn the_set_is_as_the_feeds_say_and_a_bad_one_takes_nothing_down() {
        let folder = tempfile::tempdir().expect("a folder");
        let (a, b) = (folder.path().join("a.txt"), folder.path().join("b.txt"));
        fs::write(&a, "evil.example\nworse.example\n").expect("room");
        fs::write(&b, "other.example\n").expect("room");
        let set = Arc::new(IndicatorSet::new(Warnings::Apply));
        let mut feeds = Feeds::new(&[folder.path().display().to_string()], Arc::clone(&set), 1);
        let first = feeds.look();
        assert_eq!(first.iter().map(|changed| changed.new.len()).collect::<Vec<_>>(), [2, 1]);
        assert!(feeds.look().is_empty());
        // One goes, one comes.
        fs::write(&a, "worse.example\nnew.example\n").expect("room");
        let changed = feeds.look();
        assert_eq!((changed[0].new.len(), changed[0].removed, set.len()), (1, 1, 3));
        let mut read = Vec::new();
        read_indicators(&a, &changed[0].new, |indicator| read.push(indicator.matcher.text().to_string()));
        assert_eq!(read, ["new.example"]);
        // Of what is no feed any more nothing goes.
        fs::write(&b, "{ no json\n").expect("room");
        let changed = feeds.look();
        assert_eq!((changed[0].is_kept, set.len()), (true, 3));
        fs::remove_file(&b).expect("a file");
        let changed = feeds.look();
        assert_eq!((changed[0].removed, set.len()), (1, 2));
    }
}
