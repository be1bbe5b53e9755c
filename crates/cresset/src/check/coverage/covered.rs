//! Rules counted by what their tags name.
//!
//! Tags name techniques and tactics side by side and do not say which technique serves which tactic. A rule that names one
//! tactic leaves no doubt; of one that names several, a technique stands under those for which such a rule names it, and
//! under all of them where there is none.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use cresset_detect::{Level, Rule, RuleSet, TACTICS};

/// Counts of rules by level.
pub(super) type Levels = BTreeMap<Level, usize>;

/// What rules cover.
#[derive(Debug)]
pub(super) struct Covered<'r> {
    pub(super) rules: usize,
    pub(super) levels: Levels,
    /// In the order of the matrix, those without a rule included.
    pub(super) tactics: Vec<Tactic<'r>>,
    by_technique: BTreeMap<&'r str, Vec<&'r Rule>>,
    /// Rules that name a tactic and no technique.
    pub(super) tactic_only: usize,
    /// Rules that name neither.
    pub(super) untagged: Vec<&'r Rule>,
}

/// What covers one tactic.
#[derive(Debug)]
pub(super) struct Tactic<'r> {
    pub(super) name: &'static str,
    pub(super) levels: Levels,
    pub(super) techniques: BTreeSet<&'r str>,
}

impl Tactic<'_> {
    pub(super) fn rules(&self) -> usize {
        self.levels.values().sum()
    }
}

impl<'r> Covered<'r> {
    pub(super) fn of(rules: &'r RuleSet) -> Self {
        let tactics =
            TACTICS.iter().map(|(_, name)| Tactic { name, levels: Levels::new(), techniques: BTreeSet::new() });
        let mut covered = Self {
            rules: 0,
            levels: Levels::new(),
            tactics: tactics.collect(),
            by_technique: BTreeMap::new(),
            tactic_only: 0,
            untagged: Vec::new(),
        };
        let certain = certain(rules);
        rules.rules().for_each(|rule| covered.add(rule, &certain));
        covered
    }

    fn add(&mut self, rule: &'r Arc<Rule>, certain: &HashSet<(&str, &str)>) {
        self.rules += 1;
        *self.levels.entry(rule.level).or_default() += 1;
        // A tag that stands twice counts once.
        let techniques: BTreeSet<&str> = rule.techniques.iter().map(String::as_str).collect();
        for tactic in self.tactics.iter_mut().filter(|tactic| rule.tactics.contains(&tactic.name)) {
            *tactic.levels.entry(rule.level).or_default() += 1;
            let is_certain = |technique: &str, tactic: &str| certain.contains(&(technique, tactic));
            let serves = |technique: &str| {
                is_certain(technique, tactic.name) || !rule.tactics.iter().any(|other| is_certain(technique, other))
            };
            tactic.techniques.extend(techniques.iter().filter(|technique| serves(technique)));
        }
        match (techniques.is_empty(), rule.tactics.is_empty()) {
            (true, true) => self.untagged.push(rule),
            (true, false) => self.tactic_only += 1,
            (false, _) => {}
        }
        for technique in techniques {
            self.by_technique.entry(technique).or_default().push(rule);
        }
    }

    /// Returns how many rules name a technique.
    pub(super) fn with_technique(&self) -> usize {
        self.rules - self.tactic_only - self.untagged.len()
    }

    /// Returns the techniques and the rules that name each, those of most rules first.
    pub(super) fn techniques(&self) -> Vec<(&'r str, &[&'r Rule])> {
        let mut techniques: Vec<_> = self.by_technique.iter().map(|(id, rules)| (*id, rules.as_slice())).collect();
        techniques.sort_by_key(|(_, rules)| std::cmp::Reverse(rules.len()));
        techniques
    }
}

/// Returns (technique, tactic) where a rule that names no other tactic says so.
fn certain(rules: &RuleSet) -> HashSet<(&str, &str)> {
    let single = rules.rules().filter_map(|rule| match rule.tactics.as_slice() {
        [tactic] => Some(rule.techniques.iter().map(|technique| (technique.as_str(), *tactic))),
        _ => None,
    });
    single.flatten().collect()
}

/// Counts rules by level.
pub(super) fn levels_of(rules: &[&Rule]) -> Levels {
    let mut levels = Levels::new();
    rules.iter().for_each(|rule| *levels.entry(rule.level).or_default() += 1);
    levels
}
