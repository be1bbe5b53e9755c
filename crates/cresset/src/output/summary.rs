//! What a watch came to: counts that stay small however many detections there are.

use std::collections::{BTreeMap, HashMap};

use cresset_detect::{Detection, Level};

use super::timeline::Timeline;

/// Most hosts and rules that are counted one by one; what comes after is counted together.
const KEYS_MAX: usize = 10_000;

/// Counts of what was found.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    /// How many detections there were.
    pub(crate) detections: u64,
    levels: BTreeMap<Level, u64>,
    tactics: HashMap<&'static str, u64>,
    hosts: HashMap<String, HostCount>,
    rules: HashMap<String, (Level, u64)>,
    timeline: Timeline,
    /// Records that could not be read.
    pub(crate) skipped: u64,
}

/// What was found on one host.
#[derive(Debug, Clone, Default)]
struct HostCount {
    detections: u64,
    worst: Option<Level>,
}

impl Summary {
    /// Counts a detection.
    pub(crate) fn add(&mut self, detection: &Detection) {
        self.detections += 1;
        let level = detection.level();
        *self.levels.entry(level).or_default() += 1;
        for tactic in detection.tactics() {
            *self.tactics.entry(tactic).or_default() += 1;
        }
        self.add_host(detection.host.as_deref().unwrap_or("(host unknown)"), level);
        let title = bounded_key(&self.rules, &detection.title());
        let rule = self.rules.entry(title).or_insert((level, 0));
        rule.0 = rule.0.max(level);
        rule.1 += 1;
        if let Some(time) = detection.time.known() {
            self.timeline.add(time);
        }
    }

    /// Returns the worst level that was found.
    pub(crate) fn worst(&self) -> Option<Level> {
        self.levels.keys().next_back().copied()
    }

    /// Returns how many there were of each level.
    pub(crate) fn levels(&self) -> &BTreeMap<Level, u64> {
        &self.levels
    }

    /// Returns how many there were of each tactic.
    pub(crate) fn tactics(&self) -> &HashMap<&'static str, u64> {
        &self.tactics
    }

    /// Returns the hosts with the worst level and the count of each, the worst first.
    pub(crate) fn hosts(&self) -> Vec<(&str, Level, u64)> {
        let hosts = self.hosts.iter();
        let mut hosts: Vec<_> = hosts
            .map(|(host, count)| (host.as_str(), count.worst.unwrap_or(Level::Informational), count.detections))
            .collect();
        hosts.sort_by(|a, b| b.1.cmp(&a.1).then(b.2.cmp(&a.2)).then(a.0.cmp(b.0)));
        hosts
    }

    /// Returns the rules and indicators with level and count, the loudest first.
    pub(crate) fn rules(&self) -> Vec<(&str, Level, u64)> {
        let mut rules: Vec<_> =
            self.rules.iter().map(|(title, (level, count))| (title.as_str(), *level, *count)).collect();
        rules.sort_by(|a, b| b.2.cmp(&a.2).then(b.1.cmp(&a.1)).then(a.0.cmp(b.0)));
        rules
    }

    /// Returns when they were.
    pub(crate) fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    fn add_host(&mut self, host: &str, level: Level) {
        let host = bounded_key(&self.hosts, host);
        let count = self.hosts.entry(host).or_default();
        count.detections += 1;
        count.worst = count.worst.max(Some(level));
    }
}

fn bounded_key<V>(counts: &HashMap<String, V>, key: &str) -> String {
    if counts.len() < KEYS_MAX || counts.contains_key(key) { key.to_owned() } else { "(others)".to_owned() }
}
