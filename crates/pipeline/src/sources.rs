//! From what a person typed to the sources that are meant: files, folders with all below them, globs, `-`.

use std::fs;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use crate::report::Unreadable;
use crate::whole_file::BESIDE;

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
        let glob = match Pattern::new(pattern) {
            Ok(glob) => glob,
            Err(error) => return self.fail(pattern, format!("not a pattern of file names: {error}")),
        };
        let before = self.sources.len();
        self.add_path(&fixed_part(pattern), Some(&glob), 0);
        if self.sources.len() == before {
            self.fail(pattern, "no file has such a name");
        }
    }

    /// Adds a file, or all files below a folder. A link to a folder is followed only where it was typed itself: below, it
    /// could lead in circles. What a pattern leaves aside is not even looked at, let alone reported.
    fn add_path(&mut self, path: &Path, glob: Option<&Pattern>, depth: usize) {
        let is_wanted = glob.is_none_or(|glob| glob.is_match(path));
        let may_enter = depth == 0 || glob.is_none_or(|glob| glob.leads_on(path) && !path.is_symlink());
        if !is_wanted && !may_enter {
            return;
        }
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) => return self.fail(&path.display().to_string(), error.to_string()),
        };
        if metadata.is_dir() {
            if !may_enter || depth > 0 && path.is_symlink() {
                return;
            }
            if depth > DEPTH_MAX {
                return self.fail(&path.display().to_string(), format!("more than {DEPTH_MAX} folders deep"));
            }
            self.add_folder(path, glob, depth);
        } else if metadata.is_file() {
            if is_wanted {
                self.sources.push(SourcePath::File(path.to_owned(), metadata.len()));
            }
        } else if depth == 0 && glob.is_none() {
            // A pipe that was typed (`<(zcat …)`) is read; one that lies in a folder would wait for ever.
            self.sources.push(SourcePath::File(path.to_owned(), 0));
        }
    }

    fn add_folder(&mut self, folder: &Path, glob: Option<&Pattern>, depth: usize) {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => return self.fail(&folder.display().to_string(), error.to_string()),
        };
        let mut paths = Vec::new();
        for entry in entries {
            match entry {
                // The state of a watch on its way into this folder is no log.
                Ok(entry) if entry.file_name().as_encoded_bytes().starts_with(BESIDE.as_bytes()) => {}
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

/// A pattern of paths, and which folders lead to what it matches.
struct Pattern {
    whole: GlobMatcher,
    /// The pattern cut off after its first part, its second, and so on: what a folder of that depth must match.
    folders: Vec<GlobMatcher>,
    /// Whether what it matches may lie below the last of `folders`, at any depth.
    reaches_deeper: bool,
}

impl Pattern {
    fn new(pattern: &str) -> Result<Self, globset::Error> {
        let plain = pattern.strip_prefix("./").unwrap_or(pattern);
        let whole = compile(plain)?;
        let mut folders = Vec::new();
        for (end, _) in plain.match_indices('/') {
            // A part that holds `**`, or a slash in brackets (`{a/b,c}`), stands for any number of folders.
            match compile(&plain[..end]) {
                Ok(folder) if !plain[..end].contains("**") => folders.push(folder),
                _ => return Ok(Self { whole, folders, reaches_deeper: true }),
            }
        }
        let reaches_deeper = plain.contains("**");
        Ok(Self { whole, folders, reaches_deeper })
    }

    fn is_match(&self, path: &Path) -> bool {
        self.whole.is_match(path.strip_prefix(".").unwrap_or(path))
    }

    /// Whether a match may lie below this folder.
    fn leads_on(&self, folder: &Path) -> bool {
        let folder = folder.strip_prefix(".").unwrap_or(folder);
        let depth = folder.components().count();
        depth == 0 || self.folders.get(depth - 1).map_or(self.reaches_deeper, |expected| expected.is_match(folder))
    }
}

fn compile(pattern: &str) -> Result<GlobMatcher, globset::Error> {
    Ok(GlobBuilder::new(pattern).literal_separator(true).build()?.compile_matcher())
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of its own for a test, with these files in it.
    struct Tree(tempfile::TempDir);

    impl Tree {
        fn new(files: &[&str]) -> Self {
            let tree = Self(tempfile::tempdir().expect("a folder"));
            for file in files {
                let path = tree.path().join(file);
                fs::create_dir_all(path.parent().expect("it is below the tree")).expect("a folder");
                fs::write(path, "").expect("a file");
            }
            tree
        }

        fn path(&self) -> &Path {
            self.0.path()
        }

        /// What is found, and what is reported, without the tree's own path.
        fn find(&self, pattern: &str) -> (Vec<String>, Vec<String>) {
            let (sources, unreadable) = find_sources(&[self.path().join(pattern).display().to_string()]);
            let below = |path: &Path| path.strip_prefix(self.path()).expect("below the tree").display().to_string();
            let paths = sources.iter().map(|source| match source {
                SourcePath::File(path, _) => below(path),
                SourcePath::Stdin => "-".to_owned(),
            });
            (paths.collect(), unreadable.iter().map(|failed| below(Path::new(&failed.source))).collect())
        }
    }

    #[track_caller]
    fn check_finds(tree: &Tree, pattern: &str, expected: &[&str]) {
        let (found, reported) = tree.find(pattern);
        assert_eq!(found, expected, "{pattern}");
        assert_eq!(reported, if expected.is_empty() { vec![pattern] } else { vec![] }, "{pattern}");
    }

    #[test]
    fn patterns_find_what_they_name_at_the_depth_they_name() {
        let tree = Tree::new(&["auth.log", "auth.log.1", "auth.log.d/x", "a/auth.log", "a/b/auth.log", "c/x"]);
        check_finds(&tree, "auth.log*", &["auth.log", "auth.log.1"]);
        check_finds(&tree, "auth.log.?", &["auth.log.1"]);
        check_finds(&tree, "*/auth.log", &["a/auth.log"]);
        check_finds(&tree, "[ab]/*/auth.log", &["a/b/auth.log"]);
        check_finds(&tree, "**/auth.log", &["a/auth.log", "a/b/auth.log", "auth.log"]);
        check_finds(&tree, "a/**", &["a/auth.log", "a/b/auth.log"]);
        check_finds(&tree, "{a/b,c}/*", &["a/b/auth.log", "c/x"]);
        check_finds(&tree, "", &["a/auth.log", "a/b/auth.log", "auth.log", "auth.log.1", "auth.log.d/x", "c/x"]);
        check_finds(&tree, "*.evtx", &[]);
    }

    #[test]
    fn files_that_are_being_written_beside_a_state_are_no_logs() {
        let tree = Tree::new(&["a.log", ".cresset-x1y2", ".hidden", "b/.cresset-x3y4"]);
        check_finds(&tree, "", &[".hidden", "a.log"]);
    }

    #[test]
    fn a_pattern_leads_into_no_folder_that_it_cannot_match_below() {
        let leads_on = |pattern: &str, folder: &str| {
            Pattern::new(pattern).is_ok_and(|pattern| pattern.leads_on(Path::new(folder)))
        };
        assert!(leads_on("/var/*/auth.log", "/var/log") && !leads_on("/var/*/auth.log", "/var/log/old"));
        assert!(!leads_on("/var/log/auth.log*", "/var/log/auth.log.d"));
        assert!(!leads_on("/var/l*/auth.log", "/var/spool") && leads_on("./l*/a", "./log"));
        assert!(leads_on("/srv/web-*/**/a", "/srv/web-1/x/y/z") && !leads_on("/srv/web-*/**/a", "/srv/mail"));
        assert!(leads_on("{a/b,c}/*", "a") && leads_on("a/**", "a/b/c"));
    }

    #[test]
    #[cfg(unix)]
    fn what_cannot_be_read_is_reported_only_where_the_pattern_names_it() {
        let tree = Tree::new(&["auth.log", "sub/auth.log"]);
        for broken in ["other", "auth.log.9", "sub/dangling"] {
            std::os::unix::fs::symlink("nowhere", tree.path().join(broken)).expect("a link");
        }
        assert_eq!(tree.find("auth.log").1, [""; 0]);
        assert_eq!(tree.find("auth.log*").1, ["auth.log.9"]);
        assert_eq!(tree.find("*/auth.log").1, [""; 0]);
        assert_eq!(tree.find("").1, ["auth.log.9", "other", "sub/dangling"]);
    }
}
