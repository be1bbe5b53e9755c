//! Reading what to look for: rule files and files of indicators, from files or folders.

use std::fs;
use std::path::Path;

use cresset_detect::RuleSources;
use cresset_intel::Loaded;

use crate::sources::{SourcePath, find_sources};

/// Reads Sigma rules from files, and from the `.yml` and `.yaml` files of folders. What cannot be read is among the
/// refused.
pub fn load_rules(arguments: &[String]) -> RuleSources {
    let mut rules = RuleSources::default();
    let (sources, unreadable) = find_sources(arguments);
    for failed in unreadable {
        rules.refuse(&failed.source, failed.reason);
    }
    for source in sources {
        let SourcePath::File(path, _) = source else {
            rules.refuse("-", "rules are not read from standard input; name a file");
            continue;
        };
        let name = path.display().to_string();
        if !arguments.contains(&name) && !has_extension(&path, &["yml", "yaml"]) {
            continue;
        }
        match fs::read(&path) {
            Ok(text) => rules.parse(&name, &text),
            Err(error) => rules.refuse(&name, error.to_string()),
        }
    }
    rules
}

/// Reads indicators from files, and from every file of folders, one result a file.
pub fn load_indicators(arguments: &[String]) -> Vec<Loaded> {
    let (sources, unreadable) = find_sources(arguments);
    let mut loaded: Vec<Loaded> =
        unreadable.into_iter().map(|failed| Loaded::unreadable(&failed.source, failed.reason)).collect();
    for source in sources {
        let SourcePath::File(path, _) = source else {
            loaded.push(Loaded::unreadable("-", "indicators are not read from standard input; name a file"));
            continue;
        };
        let name = path.display().to_string();
        loaded.push(match fs::read(&path) {
            Ok(bytes) => cresset_intel::load(&name, &bytes),
            Err(error) => Loaded::unreadable(&name, error.to_string()),
        });
    }
    loaded
}

fn has_extension(path: &Path, wanted: &[&str]) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| wanted.iter().any(|wanted| extension.eq_ignore_ascii_case(wanted)))
}
