//! Reading what to look for: rule files and files of indicators, from files or folders.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use cresset_detect::{IndicatorSet, RuleSources};
use cresset_event::Indicator;
use cresset_ingest::unpacked;
use cresset_intel::{FILE_BYTES_MAX, Feed, Taken};

use crate::report::Unreadable;
use crate::sources::{SourcePath, find_sources};

/// Reads Sigma rules from files, and from the `.yml` and `.yaml` files of folders. What cannot be read is among the
/// refused.
pub fn load_rules(arguments: &[String]) -> RuleSources {
    let mut rules = RuleSources::default();
    load_rule_files(arguments).into_iter().for_each(|(_, sources)| rules.append(sources));
    rules
}

/// Does the same and keeps apart what was read of each file, given with its name.
pub fn load_rule_files(arguments: &[String]) -> Vec<(String, RuleSources)> {
    let (paths, unreadable) = find_rule_files(arguments);
    let mut files: Vec<(String, RuleSources)> = Vec::new();
    for Unreadable { source, reason } in unreadable {
        let mut sources = RuleSources::default();
        sources.refuse(&source, reason);
        files.push((source, sources));
    }
    files.extend(paths.iter().map(|path| (path.display().to_string(), load_rule_file(path))));
    files
}

/// Finds the files that rules are read from, and what cannot be.
pub(crate) fn find_rule_files(arguments: &[String]) -> (Vec<PathBuf>, Vec<Unreadable>) {
    let (sources, mut unreadable) = find_sources(arguments);
    let mut paths = Vec::new();
    for source in sources {
        match source {
            SourcePath::File(path, _) => {
                let is_named = arguments.contains(&path.display().to_string());
                if is_named || has_extension(&path, &["yml", "yaml"]) {
                    paths.push(path);
                }
            }
            SourcePath::Stdin => {
                let reason = "rules are not read from standard input; name a file".into();
                unreadable.push(Unreadable { source: "-".into(), reason });
            }
        }
    }
    (paths, unreadable)
}

/// Reads the rules of one file.
pub(crate) fn load_rule_file(path: &Path) -> RuleSources {
    let name = path.display().to_string();
    let mut rules = RuleSources::default();
    match read_bounded(path, RuleSources::FILE_BYTES_MAX) {
        Ok(text) => rules.parse(&name, &text),
        Err(error) => rules.refuse(&name, error.to_string()),
    }
    rules
}

/// A file of indicators that is there, or why it cannot be read.
#[derive(Debug)]
pub struct FeedSource {
    name: String,
    path: Result<PathBuf, String>,
}

/// Finds the files of indicators behind arguments: files, and every file of folders.
pub fn find_feeds(arguments: &[String]) -> Vec<FeedSource> {
    let (sources, unreadable) = find_sources(arguments);
    let unreadable = unreadable.into_iter().map(|failed| FeedSource { name: failed.source, path: Err(failed.reason) });
    let found = sources.into_iter().map(|source| match source {
        SourcePath::File(path, _) => FeedSource { name: path.display().to_string(), path: Ok(path) },
        SourcePath::Stdin => FeedSource {
            name: "-".to_owned(),
            path: Err("indicators are not read from standard input; name a file".to_owned()),
        },
    });
    unreadable.chain(found).collect()
}

impl FeedSource {
    /// Returns the feed in a file.
    pub(crate) fn of_file(path: &Path) -> Self {
        Self { name: path.display().to_string(), path: Ok(path.to_owned()) }
    }

    /// Returns the file, or why it cannot be read.
    pub(crate) fn into_path(self) -> Result<PathBuf, Unreadable> {
        self.path.map_err(|reason| Unreadable { source: self.name, reason })
    }

    /// Reads the feed, and passes its indicators to `take` one by one.
    pub fn read(&self, take: impl FnMut(Taken) + Send) -> Feed {
        match self.bytes() {
            Ok(bytes) => cresset_intel::read(&self.name, &bytes, take),
            Err(reason) => Feed::unreadable(&self.name, reason),
        }
    }

    /// Reads the feed into a set on several threads, and returns what it gave and for how many indicators the set had no
    /// room. What is found and what is refused does not depend on the number of threads.
    pub fn read_into(&self, set: &IndicatorSet, threads: usize) -> (Feed, usize) {
        self.read_each_into(set, threads, |_| {})
    }

    /// Does the same, and shows each indicator.
    pub(crate) fn read_each_into(
        &self,
        set: &IndicatorSet,
        threads: usize,
        mut show: impl FnMut(&Indicator) + Send,
    ) -> (Feed, usize) {
        let bytes = match self.bytes() {
            Ok(bytes) => bytes,
            Err(reason) => return (Feed::unreadable(&self.name, reason), 0),
        };
        set.expect(cresset_intel::indicators_expected(&bytes));
        let mut adder = set.adder();
        let feed = cresset_intel::read_on(threads, &self.name, &bytes, |taken| {
            show(&taken.indicator);
            adder.push(taken.indicator);
        });
        (feed, adder.finish())
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        let path = self.path.as_ref().map_err(String::clone)?;
        unpacked_bounded(path, FILE_BYTES_MAX).map_err(|error| error.to_string())
    }
}

/// Reads a file, and of a longer one a byte past the bound: enough for its reader to refuse it, whatever its size.
fn read_bounded(path: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(bytes_max as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a file that may be packed.
fn unpacked_bounded(path: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    unpacked(Box::new(File::open(path)?))?.take(bytes_max as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn has_extension(path: &Path, wanted: &[&str]) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| wanted.iter().any(|wanted| extension.eq_ignore_ascii_case(wanted)))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use cresset_detect::{RuleFilter, RuleSet};
    use cresset_event::FieldNames;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    #[test]
    #[cfg(unix)]
    fn a_file_without_an_end_is_refused_for_its_length() {
        let endless = ["/dev/zero".to_owned()];
        assert_eq!(read_bounded(Path::new(&endless[0]), 10).expect("it is there").len(), 11);
        let names = Arc::new(FieldNames::new());
        let (_, refused) = RuleSet::compile(load_rules(&endless), &RuleFilter::default(), &names);
        assert!(refused[0].reason.contains("more than 8388608 bytes"), "{refused:?}");
        let feed = find_feeds(&endless)[0].read(|_| {});
        assert!(feed.refused[0].reason.contains("more than 1073741824 bytes"), "{:?}", feed.refused);
    }

    #[test]
    fn a_feed_that_is_packed_is_read_as_it_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("list.txt.gz");
        let mut packing = GzEncoder::new(Vec::new(), Compression::fast());
        packing.write_all(b"evil.example\nworse.example\n").expect("a vector takes all");
        let packed = packing.finish().expect("a vector takes all");
        std::fs::write(&path, &packed).expect("room");
        assert_eq!(FeedSource::of_file(&path).read(|_| {}).indicators, 2);
        std::fs::write(&path, &packed[..packed.len() - 9]).expect("room");
        let feed = FeedSource::of_file(&path).read(|_| {});
        assert_eq!((feed.indicators, feed.refused_count()), (0, 1), "one that breaks off is refused as a whole");
    }
}
