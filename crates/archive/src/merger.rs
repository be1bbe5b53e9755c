//! Merging beside writing, on a thread of its own: a log that becomes a segment does not wait for it.

use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crate::catalog::{Catalog, retire_dropped};
use crate::compact::{Merge, Wish};
use crate::error::ArchiveError;

/// Segments that are written while one run of merging goes on: where it has not come to its end by then it is behind, and
/// writing waits for it. Files would become many without a bound.
const BEHIND_MAX: u32 = 64;

/// Merges files when there are enough of them.
#[derive(Debug)]
pub(crate) struct Merger {
    catalog: Arc<Catalog>,
    thread: Option<JoinHandle<Result<u64, ArchiveError>>>,
    /// Segments that were written since it was begun.
    behind: u32,
}

impl Merger {
    pub(crate) fn new(catalog: Arc<Catalog>) -> Self {
        Self { catalog, thread: None, behind: 0 }
    }

    /// Takes note of a segment, and begins to merge unless that is going on.
    pub(crate) fn go_on(&mut self) -> Result<(), ArchiveError> {
        self.behind += 1;
        let is_at_work = self.thread.as_ref().is_some_and(|thread| !thread.is_finished());
        if is_at_work && self.behind < BEHIND_MAX {
            return Ok(());
        }
        self.wait();
        if Merge::next(&self.catalog.manifest()?, Wish::Enough).is_some() {
            let catalog = Arc::clone(&self.catalog);
            let thread = thread::Builder::new().name("merge".into()).spawn(move || merge_all(&catalog, Wish::Enough));
            self.thread = Some(thread.map_err(|cause| ArchiveError::io(Path::new("merge"), cause))?);
            self.behind = 0;
        }
        Ok(())
    }

    /// Merges what a wish asks for, and returns how many files were made.
    pub(crate) fn merge(&mut self, wish: Wish) -> Result<u64, ArchiveError> {
        self.wait();
        merge_all(&self.catalog, wish)
    }

    /// Waits for the run that goes on. What cannot be merged now, for want of room or since a file is damaged, is tried again with
    /// the next segment, and by who merges at the end, who hears why it is not: all events are there nevertheless.
    fn wait(&mut self) {
        if let Some(thread) = self.thread.take() {
            // A panic there is a fault of ours, and goes on here.
            let _ = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
    }
}

impl Drop for Merger {
    /// Waits: the archive must not be let go of while something is written to it.
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Merges files as long as there are some to merge, and returns how many were made.
fn merge_all(catalog: &Catalog, wish: Wish) -> Result<u64, ArchiveError> {
    let mut made = 0;
    while let Some(merge) = Merge::next(&catalog.manifest()?, wish) {
        catalog.change(merge.run(catalog)?)?;
        made += 1;
        retire_dropped(catalog.storage(), &catalog.manifest()?)?;
    }
    Ok(made)
}
