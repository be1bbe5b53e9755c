//! Rules by file, whose files can change while the rules are at work.
//!
//! The set that serves is never touched: a change compiles another one. Most changes concern rules that stand alone, and
//! cost as much as those rules do ([`RuleSet::derive`]). Where a correlation or a filter comes, goes or means one of them, all
//! is compiled anew.
//!
//! Always: (1) after any changes the set finds what one finds that is compiled of the same files from scratch. (2) A file
//! all of whose rules loaded is never replaced by a version of which some do not: the last good one goes on.
//! `tests/it/rulebook.rs` holds both.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use cresset_event::FieldNames;
use rsigma_parser::SigmaRule;

use crate::engine::TestTable;
use crate::filters;
use crate::rule::{Refused, RuleSources};
use crate::rules::{RuleFilter, RuleSet};

/// Most places of rules that are gone, beside one for each rule that is there; then all is compiled anew.
const GONE_MAX: usize = 1024;

/// The rules of a run by file, and the set that they come to.
#[derive(Debug)]
pub struct Rulebook {
    files: BTreeMap<String, RuleSources>,
    filter: RuleFilter,
    names: Arc<FieldNames>,
    /// The tests of `set`.
    table: TestTable,
    set: Arc<RuleSet>,
    /// What of `files` is refused.
    refused: Vec<Refused>,
}

/// What a change came to.
#[derive(Debug)]
pub struct Changed {
    /// Whether there is another set now.
    pub is_changed: bool,
    /// Files of which the version before goes on, since not all of the new one loads.
    pub kept: Vec<String>,
    /// What is refused and was not before.
    pub refused: Vec<Refused>,
}

/// A set that may take the place of the one that serves.
struct Candidate {
    set: RuleSet,
    /// Its tests, where they are not in the table of the one that serves.
    table: Option<TestTable>,
    refused: Vec<Refused>,
}

/// New versions of files; `None` for one that is not there any more.
type Changes = BTreeMap<String, Option<RuleSources>>;

impl Rulebook {
    /// Compiles the rules of files, given as name and what was read of it.
    pub fn new(
        files: impl IntoIterator<Item = (String, RuleSources)>,
        filter: RuleFilter,
        names: &Arc<FieldNames>,
    ) -> Self {
        let files: BTreeMap<String, RuleSources> = files.into_iter().collect();
        let mut table = TestTable::default();
        let (set, refused) = RuleSet::compile_into(joined(files.values()), &filter, names, &mut table);
        Self { files, filter, names: Arc::clone(names), table, set: Arc::new(set), refused }
    }

    /// Returns the set as it is now.
    pub fn set(&self) -> &Arc<RuleSet> {
        &self.set
    }

    /// Returns what of the files is refused.
    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }

    /// Takes in new versions of files, `None` for one that is not there any more.
    pub fn change(&mut self, changes: impl IntoIterator<Item = (String, Option<RuleSources>)>) -> Changed {
        let mut changes: Changes = changes.into_iter().collect();
        changes.retain(|file, change| change.is_some() || self.files.contains_key(file));
        let mut changed = Changed { is_changed: false, kept: Vec::new(), refused: Vec::new() };
        while !changes.is_empty() {
            let candidate = self.compile(&changes);
            let spoiled: Vec<String> =
                changes.keys().filter(|file| self.is_spoiled_by(&candidate, file)).cloned().collect();
            if spoiled.is_empty() {
                changed.is_changed = true;
                changed.refused.extend(self.take(changes, candidate));
                break;
            }
            changes.retain(|file, _| !spoiled.contains(file));
            changed.refused.extend(candidate.refused.into_iter().filter(|refused| spoiled.contains(&refused.file)));
            changed.kept.extend(spoiled);
        }
        changed
    }

    /// Whether the version of a file that serves is good, and a new one is not.
    fn is_spoiled_by(&self, candidate: &Candidate, file: &str) -> bool {
        let has_refused = |refused: &[Refused]| refused.iter().any(|refused| refused.file == file);
        self.files.contains_key(file) && !has_refused(&self.refused) && has_refused(&candidate.refused)
    }

    /// Puts a candidate in place, and returns what is refused and was not before.
    fn take(&mut self, changes: Changes, candidate: Candidate) -> Vec<Refused> {
        for (file, change) in changes {
            match change {
                Some(sources) => drop(self.files.insert(file, sources)),
                None => drop(self.files.remove(&file)),
            }
        }
        let Candidate { set, table, refused } = candidate;
        self.set = Arc::new(set);
        if let Some(table) = table {
            self.table = table;
        }
        let before: HashSet<Refused> = std::mem::replace(&mut self.refused, refused).into_iter().collect();
        self.refused.iter().filter(|refused| !before.contains(refused)).cloned().collect()
    }

    fn compile(&mut self, changes: &Changes) -> Candidate {
        if self.stand_alone(changes) && self.set.count_gone() < self.set.len() + GONE_MAX {
            self.derive(changes)
        } else {
            self.compile_all(changes)
        }
    }

    fn derive(&mut self, changes: &Changes) -> Candidate {
        let added = joined(changes.values().flatten());
        let is_replaced = |file: &str| changes.contains_key(file);
        let (set, bad) = self.set.derive(&is_replaced, added.rules, &self.filter, &mut self.table);
        let unchanged = self.refused.iter().filter(|refused| !is_replaced(&refused.file)).cloned();
        Candidate { set, table: None, refused: unchanged.chain(added.refused).chain(bad).collect() }
    }

    fn compile_all(&self, changes: &Changes) -> Candidate {
        let unchanged = self.files.iter().filter(|(file, _)| !changes.contains_key(*file)).map(|(_, sources)| sources);
        let sources = joined(unchanged.chain(changes.values().flatten()));
        let mut table = TestTable::default();
        let (set, refused) = RuleSet::compile_into(sources, &self.filter, &self.names, &mut table);
        set.plan_like(&self.set);
        Candidate { set, table: Some(table), refused }
    }

    /// Whether all rules that come and go are ones that no correlation and no filter means.
    fn stand_alone(&self, changes: &Changes) -> bool {
        let old = changes.keys().filter_map(|file| self.files.get(file));
        let changed: Vec<&RuleSources> = old.chain(changes.values().flatten()).collect();
        if changed.iter().any(|sources| !sources.correlations.is_empty() || !sources.filters.is_empty()) {
            return false;
        }
        let listed = self.files.values().flat_map(|sources| &sources.correlations).flat_map(|(rule, _)| &rule.rules);
        let listed: HashSet<&String> = listed.collect();
        let narrowing: Vec<_> = self.files.values().flat_map(|sources| &sources.filters).collect();
        let stands_alone = |rule: &SigmaRule| {
            let mut names = [&rule.id, &rule.name].into_iter().flatten();
            !names.any(|name| listed.contains(name))
                && !narrowing.iter().any(|(filter, _)| filters::is_meant(filter, rule))
        };
        changed.iter().flat_map(|sources| &sources.rules).all(|(rule, _)| stands_alone(rule))
    }
}

fn joined<'s>(files: impl Iterator<Item = &'s RuleSources>) -> RuleSources {
    let mut joined = RuleSources::default();
    files.for_each(|file| joined.append(file.clone()));
    joined
}
