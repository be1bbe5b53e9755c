//! From what a person typed to the sources that are meant: files, folders with all below them, globs, `-`.

use std::fs;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use crate::report::Unreadable;

/// Deepest folder that is entered. Real trees of logs have fewer than ten levels.
const DEPTH_MAX: usize = 64;

/// One source to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourcePath {
    /// A file, and its size in bytes at the time it was found.
    File(PathBuf, u64),
    /// Standard input.
    Stdin,
}

/// Finds the sources behind the arguments, in the order given, folders by name; what is not there is reported.
pub fn find_sources(arguments: &[String]) -> (Vec<SourcePath>, Vec<Unreadable>) {
    let mut found = Found::default();
    for argument in arguments {
        found.add_argument(argument);
    }
    (found.sources, found.unreadable)
}

#[derive(Default)]
struct Found {
    sources: Vec<SourcePath>,
    unreadable: Vec<Unreadable>,
}

impl Found {
    fn add_argument(&mut self, argument: &str) {
        if argument == "-" {
            self.sources.push(SourcePath::Stdin);
        } else if Path::new(argument).exists() || !argument.contains(['*', '?', '[', '{']) {
            self.add_path(Path::new(argument), None, 0);
        } else {
            self.add_glob(argument);
        }
    }

    fn add_glob(&mut self, pattern: &str) {
        let plain = pattern.strip_prefix("./").unwrap_or(pattern);
        let glob = match GlobBuilder::new(plain).literal_separator(true).build() {
            Ok(glob) => glob.compile_matcher(),
            Err(error) => return self.fail(pattern, format!("not a pattern of file names: {error}")),
        };
        let before = self.sources.len();
        self.add_path(&fixed_part(pattern), Some(&glob), 0);
        if self.sources.len() == before {
            self.fail(pattern, "no file has such a name");
        }
    }

    /// Adds a file, or all files below a folder. A link to a folder is followed only where it was typed itself: below, it
    /// could lead in circles.
    fn add_path(&mut self, path: &Path, glob: Option<&GlobMatcher>, depth: usize) {
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) => return self.fail(&path.display().to_string(), error.to_string()),
        };
        if metadata.is_dir() {
            if depth > 0 && path.is_symlink() {
                return;
            }
            if depth > DEPTH_MAX {
                return self.fail(&path.display().to_string(), format!("more than {DEPTH_MAX} folders deep"));
            }
            self.add_folder(path, glob, depth);
        } else if metadata.is_file() {
            if glob.is_none_or(|glob| glob.is_match(path.strip_prefix(".").unwrap_or(path))) {
                self.sources.push(SourcePath::File(path.to_owned(), metadata.len()));
            }
        } else if depth == 0 {
            // A pipe that was typed (`<(zcat …)`) is read; one that lies in a folder would wait for ever.
            self.sources.push(SourcePath::File(path.to_owned(), 0));
        }
    }

    fn add_folder(&mut self, folder: &Path, glob: Option<&GlobMatcher>, depth: usize) {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => return self.fail(&folder.display().to_string(), error.to_string()),
        };
        let mut paths = Vec::new();
        for entry in entries {
            match entry {
                Ok(entry) => paths.push(entry.path()),
                Err(error) => self.fail(&folder.display().to_string(), error.to_string()),
            }
        }
        paths.sort();
        for path in paths {
            self.add_path(&path, glob, depth + 1);
        }
    }

    fn fail(&mut self, name: &str, reason: impl Into<String>) {
        self.unreadable.push(Unreadable { source: name.into(), reason: reason.into() });
    }
}

/// The folders in front of the first part that is a pattern.
fn fixed_part(pattern: &str) -> PathBuf {
    let mut fixed = PathBuf::new();
    for part in Path::new(pattern).components() {
        if part.as_os_str().to_string_lossy().contains(['*', '?', '[', '{']) {
            break;
        }
        fixed.push(part);
    }
    if fixed.as_os_str().is_empty() { PathBuf::from(".") } else { fixed }
}
