//! How common is a value? Asked for each detection, so answered from files that stay open, in well under a millisecond.
//!
//! The answer is exact as of the moment at which the archive was opened, what is in the write-ahead log included: its error is what
//! was written since. A look-up reads a block of each file that may know the value, and no names. A sketch would be as quick, take
//! more memory than the filters that are held, and be wrong now and then.

use std::sync::Arc;

use cresset_event::{Matcher, Timestamp};

use crate::archive::{Archive, widen};
use crate::error::ArchiveError;
use crate::index::{IndexFile, Wanted};
use crate::table::Table;

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
        let mut hosts: Table<Arc<str>> = Table::default();
        let mut files = Vec::new();
        for file in self.index_files() {
            let file = file?;
            let names = file.names()?;
            let its_numbers = names.hosts.iter().map(|name| hosts.number(name, || name.into())).collect();
            files.push((file, its_numbers));
        }
        Ok(Prevalence { files, hosts: hosts.values().len() })
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
                widen(&mut common.times, sighting.times);
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
