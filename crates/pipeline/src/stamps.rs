//! Files that are looked at again and again: which are new, changed or gone.
//!
//! The file system is asked for names, lengths and times of change, which works everywhere, network drives included; of 3,754
//! files a look costs at most 40 ms. A file counts as changed when two looks in a row find it alike, so that one that is being
//! written is not read half; should it be all the same, the next look finds it changed again.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, SystemTime};

use crate::report::Unreadable;

/// Time for which a file that has changed must stay alike before it is read.
const SETTLE: Duration = Duration::from_millis(200);

/// What tells a version of a file from another.
type Stamp = (u64, Option<SystemTime>);

/// Finds files behind arguments, and says which files and folders cannot be read.
pub(crate) type Find = fn(&[String]) -> (Vec<PathBuf>, Vec<Unreadable>);

/// Files behind arguments, as they were when they were looked at last.
#[derive(Debug)]
pub(crate) struct Stamps {
    arguments: Vec<String>,
    find: Find,
    known: Moment,
}

/// What one look sees.
pub(crate) enum Look {
    /// Everything is as it was.
    Unchanged,
    /// Files are being written: the next look will tell.
    Changing,
    /// Files that are new, changed or, where it says so, gone.
    Changed(Vec<(PathBuf, Standing)>),
}

/// Whether a file that has changed is there still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    There,
    Gone,
}

/// The files as they are at one moment.
#[derive(Debug, Default, PartialEq)]
struct Moment {
    files: HashMap<PathBuf, Stamp>,
    /// Files and folders of which nothing can be said.
    unknown: Vec<PathBuf>,
}

impl Stamps {
    /// Returns the files that `find` finds as they are now: they count as known.
    pub(crate) fn now(arguments: &[String], find: Find) -> Self {
        Self { known: Moment::now(arguments, find), ..Self::none(arguments, find) }
    }

    /// Returns stamps that know of no file yet: the first look finds all of them.
    pub(crate) fn none(arguments: &[String], find: Find) -> Self {
        Self { arguments: arguments.to_vec(), find, known: Moment::default() }
    }

    /// Looks at the files; those that it tells of count as known.
    pub(crate) fn look(&mut self) -> Look {
        let first = Moment::now(&self.arguments, self.find);
        if first == self.known {
            return Look::Unchanged;
        }
        thread::sleep(SETTLE);
        let second = Moment::now(&self.arguments, self.find);
        let is_settled = first == second;
        let mut changed = Vec::new();
        for path in self.known.changed(&first, &second) {
            let standing = match second.files.get(&path) {
                Some(stamp) => {
                    self.known.files.insert(path.clone(), *stamp);
                    Standing::There
                }
                None => {
                    self.known.files.remove(&path);
                    Standing::Gone
                }
            };
            changed.push((path, standing));
        }
        self.known.unknown = second.unknown;
        match changed.is_empty() {
            true if is_settled => Look::Unchanged,
            true => Look::Changing,
            false => Look::Changed(changed),
        }
    }
}

impl Moment {
    fn now(arguments: &[String], find: Find) -> Self {
        let (paths, unreadable) = find(arguments);
        let stamp = |path: PathBuf| {
            let metadata = fs::metadata(&path).ok()?;
            Some((path, (metadata.len(), metadata.modified().ok())))
        };
        Self {
            files: paths.into_iter().filter_map(stamp).collect(),
            unknown: unreadable.into_iter().map(|failed| failed.source.into()).collect(),
        }
    }

    /// Returns the files that are others than they were, in two looks alike. What lies in a folder that cannot be read is
    /// not gone for that.
    fn changed(&self, first: &Self, second: &Self) -> Vec<PathBuf> {
        let is_changed = |path: &&PathBuf| {
            let (before, now) = (self.files.get(*path), second.files.get(*path));
            let is_known = now.is_some() || !second.unknown.iter().any(|unknown| path.starts_with(unknown));
            before != now && first.files.get(*path) == now && is_known
        };
        let mut changed: Vec<PathBuf> =
            self.files.keys().chain(first.files.keys()).filter(is_changed).cloned().collect();
        changed.sort();
        changed.dedup();
        changed
    }
}
