//! How common is a value? Asked for each detection, so answered from files that stay open, in well under a millisecond.
//!
//! The answer is exact for all that is in segments. What is in the write-ahead log at the time is not counted: 48 MB of it
//! at most, some seconds of a busy watch. The look-up reads a block of each file that may know the value, and no names.

use std::sync::Arc;

use cresset_event::{Matcher, Timestamp};

use crate::archive::Archive;
use crate::error::ArchiveError;
use crate::hunt::Shared;
use crate::index::{IndexFile, Wanted};

/// An archive's index, held open.
pub struct Prevalence {
    files: Vec<(IndexFile, Vec<u32>)>,
    hosts: usize,
}

/// How common a value is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Common {
    /// How often it was seen: in how many events, each of its values counted.
    pub count: u64,
    /// On how many hosts.
    pub hosts: u64,
    /// First and last time, of events whose time is known.
    pub times: Option<(Timestamp, Timestamp)>,
}

impl Archive {
    /// Holds the index open, to be asked how common values are.
    pub fn prevalence(&self) -> Result<Prevalence, ArchiveError> {
        let mut hosts = Shared::default();
        let mut files = Vec::new();
        for entry in &self.manifest.index {
            let file = IndexFile::open(&entry.file, Arc::new(self.storage.file(&entry.file, entry.bytes)))?;
            let numbers = hosts.numbers(file.names()?.hosts.iter());
            files.push((file, numbers));
        }
        Ok(Prevalence { files, hosts: hosts.len() })
    }
}

impl Prevalence {
    /// Returns how common what a matcher looks for is.
    pub fn of(&self, matcher: &Matcher) -> Result<Common, ArchiveError> {
        let wanted = [Wanted::of(matcher)];
        let mut common = Common::default();
        let mut seen_on = vec![false; self.hosts];
        for (file, numbers) in &self.files {
            file.look_up(&wanted, |_, _, sighting| {
                common.count += sighting.count;
                common.widen(sighting.times);
                for (host, _) in sighting.hosts {
                    let seen = numbers.get(host as usize).and_then(|number| seen_on.get_mut(*number as usize));
                    if let Some(seen) = seen {
                        common.hosts += u64::from(!std::mem::replace(seen, true));
                    }
                }
            })?;
        }
        Ok(common)
    }
}

impl Common {
    fn widen(&mut self, times: Option<(i64, i64)>) {
        if let Some((first, last)) = times {
            let (first, last) = (Timestamp::from_nanos(first), Timestamp::from_nanos(last));
            let (one, other) = self.times.unwrap_or((first, last));
            self.times = Some((first.min(one), last.max(other)));
        }
    }
}
