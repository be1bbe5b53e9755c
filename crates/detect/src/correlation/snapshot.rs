//! The memory of correlations as bytes, so that windows stay open over a restart.
//!
//! A line `cresset-correlations VERSION SHA-256`, the digest being that of all that follows; then a JSON object a line:
//! the groups, those touched last first, and before the first group of each correlation that one. A group belongs to the
//! correlation of its digest ([`super::identity`]) in whichever rule set it is read; where there is none, it is dropped and
//! counted.
//!
//! Always: (1) events that are cut in two by a snapshot and a restore come to what they come to in one go. (2) A snapshot that
//! was damaged in any byte is refused, and nothing of it is remembered. (3) The bounds of memory hold, whatever a snapshot
//! says. `tests/it/snapshots.rs` holds each.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;

use cresset_event::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::compile::CorrelationSet;
use super::window::{Entry, Group, Stretch};
use super::{ENTRIES_TOTAL_MAX, GROUP_BYTES_MAX, GROUPS_MAX, GroupKey, Memory};

/// How a snapshot begins.
const MAGIC: &str = "cresset-correlations";
/// The version of the format, and of what the values in it mean.
const VERSION: &str = "1";
/// Longest line. The longest that is written is a group of 4,096 events at 50 bytes and 4 KiB of values, escaped: 240 KiB.
const LINE_BYTES_MAX: usize = 1 << 20;
/// Longest handle or title of a rule that is written; of a longer one the beginning will do.
const WORD_CHARS_MAX: usize = 200;

/// What correlations remember, as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// How many groups are in them.
    pub groups: usize,
    /// How many are not, since the bytes would be more than [`Snapshot::BYTES_MAX`]: those that were not touched for longest.
    pub groups_left_out: usize,
}

impl Snapshot {
    /// Longest snapshot that is written or read. A group of one event has about 100 bytes, and all the groups that are
    /// remembered 10 MB; crafted values can make them 50 times that, for which nobody should wait.
    pub const BYTES_MAX: usize = 256 << 20;
}

/// What a snapshot came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Restored {
    /// Groups that are remembered again.
    pub groups: usize,
    /// Events in them.
    pub events: usize,
    /// Correlations whose groups are not.
    pub dropped: Vec<Dropped>,
}

/// A correlation whose groups were not restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// Its title. Escape it before showing it.
    pub title: String,
    /// Groups that are lost.
    pub groups: usize,
    /// Events in them.
    pub events: usize,
    /// Why.
    pub reason: DropReason,
}

/// Why what was remembered for a correlation is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// It, or a rule that it counts, is another than it was.
    Changed,
    /// It is not loaded.
    Gone,
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Changed => "the rule, or one that it counts, has changed",
            Self::Gone => "the rule is not loaded",
        })
    }
}

/// Why a snapshot cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// It is something else.
    #[error("not a snapshot of correlations")]
    NoSnapshot,
    /// It is of another version.
    #[error("a snapshot of version {found}; version {VERSION} is read")]
    Version {
        /// The version, as far as it can be one.
        found: String,
    },
    /// It is longer than any that is written.
    #[error("more than {} bytes, the longest snapshot that is read", Snapshot::BYTES_MAX)]
    TooLong,
    /// It is not what was written.
    #[error("the snapshot is damaged: its checksum differs")]
    Damaged,
    /// Its checksum is right, and its form is not.
    #[error("line {line} of the snapshot is not what is written there")]
    Malformed {
        /// The line, counted from 1.
        line: usize,
        /// What the JSON parser says.
        #[source]
        cause: serde_json::Error,
    },
    /// Its form is right, and no memory can be so.
    #[error("line {line} of the snapshot holds what cannot be: {what}")]
    Impossible {
        /// The line, counted from 1.
        line: usize,
        /// What cannot be.
        what: &'static str,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line<'l> {
    Rule(RuleLine<'l>),
    Group(GroupLine<'l>),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleLine<'l> {
    digest: Cow<'l, str>,
    handle: Cow<'l, str>,
    title: Cow<'l, str>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupLine<'l> {
    /// Which of the rules above, counted from 0.
    rule: usize,
    values: Vec<Cow<'l, str>>,
    /// (nanoseconds since 1970, position of the rule, the bits of the value).
    entries: Vec<(i64, usize, u64)>,
    spent: Vec<Stretch>,
}

impl Memory {
    /// Returns what is remembered.
    pub(crate) fn snapshot(&self, set: &CorrelationSet) -> Snapshot {
        write(self, set, Snapshot::BYTES_MAX)
    }

    /// Remembers what a snapshot says, in place of what is remembered now; what was left out stays counted.
    pub(crate) fn restore(&mut self, set: &CorrelationSet, snapshot: &[u8]) -> Result<Restored, SnapshotError> {
        let mut restoring = Restoring::new(set);
        // The line of the version is the first.
        for (number, line) in (2..).zip(body(snapshot)?) {
            restoring.take(line).map_err(|fault| fault.at(number))?;
        }
        let (memory, restored) = restoring.finish();
        *self = Self { stats: self.stats, shed: std::mem::take(&mut self.shed), ..memory };
        Ok(restored)
    }
}

fn write(memory: &Memory, set: &CorrelationSet, bytes_max: usize) -> Snapshot {
    let mut groups: Vec<(&GroupKey, &Group)> = memory.groups.iter().collect();
    groups.sort_unstable_by_key(|(_, group)| std::cmp::Reverse(group.touched));
    let mut bytes = header(&[0; 32]).into_bytes();
    let body_at = bytes.len();
    let mut rules = HashMap::new();
    let mut written = 0;
    for (key, group) in &groups {
        let (before, next) = (bytes.len(), rules.len());
        let rule = *rules.entry(key.correlation).or_insert_with(|| {
            push_line(&rule_line(set, key.correlation), &mut bytes);
            next
        });
        push_line(&group_line(rule, key, group), &mut bytes);
        if bytes.len() > bytes_max {
            bytes.truncate(before);
            break;
        }
        written += 1;
    }
    let digest = Sha256::digest(&bytes[body_at..]);
    bytes[..body_at].copy_from_slice(header(&digest.into()).as_bytes());
    Snapshot { bytes, groups: written, groups_left_out: groups.len() - written }
}

fn header(digest: &[u8; 32]) -> String {
    format!("{MAGIC} {VERSION} {}\n", hex(digest))
}

fn push_line(line: &Line<'_>, bytes: &mut Vec<u8>) {
    serde_json::to_writer(&mut *bytes, line).expect("memory takes what is written to it");
    bytes.push(b'\n');
}

fn rule_line(set: &CorrelationSet, correlation: usize) -> Line<'_> {
    let correlation = set.get(correlation);
    Line::Rule(RuleLine {
        digest: correlation.digest.to_string().into(),
        handle: beginning(correlation.rule.handle()).into(),
        title: beginning(&correlation.rule.title).into(),
    })
}

fn beginning(text: &str) -> &str {
    text.char_indices().nth(WORD_CHARS_MAX).map_or(text, |(end, _)| &text[..end])
}

fn group_line<'l>(rule: usize, key: &'l GroupKey, group: &Group) -> Line<'l> {
    let (entries, spent) = group.parts();
    Line::Group(GroupLine {
        rule,
        values: key.values.iter().map(|value| value.as_str().into()).collect(),
        entries: entries.iter().map(|entry| (entry.time, entry.position, entry.value.to_bits())).collect(),
        spent: spent.to_vec(),
    })
}

/// Returns the lines below the first, if that vouches for them.
fn body(snapshot: &[u8]) -> Result<impl Iterator<Item = &[u8]>, SnapshotError> {
    if snapshot.len() > Snapshot::BYTES_MAX {
        return Err(SnapshotError::TooLong);
    }
    let words = snapshot.strip_prefix(MAGIC.as_bytes()).and_then(|rest| rest.strip_prefix(b" "));
    let words = words.ok_or(SnapshotError::NoSnapshot)?;
    let version_len = words.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if version_len == 0 {
        return Err(SnapshotError::NoSnapshot);
    }
    if &words[..version_len] != VERSION.as_bytes() {
        let found = String::from_utf8_lossy(&words[..version_len.min(8)]).into_owned();
        return Err(SnapshotError::Version { found });
    }
    let expected_len = header(&[0; 32]).len();
    let (first, rest) = snapshot.split_at_checked(expected_len).ok_or(SnapshotError::Damaged)?;
    if first != header(&Sha256::digest(rest).into()).as_bytes() {
        return Err(SnapshotError::Damaged);
    }
    Ok(rest.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()))
}

/// What is wrong with a line.
enum Fault {
    Form(serde_json::Error),
    Content(&'static str),
}

impl Fault {
    fn at(self, line: usize) -> SnapshotError {
        match self {
            Self::Form(cause) => SnapshotError::Malformed { line, cause },
            Self::Content(what) => SnapshotError::Impossible { line, what },
        }
    }
}

/// A memory that is being put together.
struct Restoring<'s> {
    set: &'s CorrelationSet,
    by_digest: HashMap<String, usize>,
    handles: HashSet<&'s str>,
    rules: Vec<RestoredRule>,
    memory: Memory,
}

/// A correlation that the snapshot lists.
struct RestoredRule {
    /// Its place in the set, or why it is not there.
    found: Result<usize, DropReason>,
    title: String,
    groups: usize,
    events: usize,
}

impl<'s> Restoring<'s> {
    fn new(set: &'s CorrelationSet) -> Self {
        Self {
            set,
            by_digest: set.all().iter().map(|correlation| correlation.digest.to_string()).zip(0..).collect(),
            handles: set.all().iter().map(|correlation| beginning(correlation.rule.handle())).collect(),
            rules: Vec::new(),
            memory: Memory { touches: GROUPS_MAX as u64, ..Memory::default() },
        }
    }

    fn take(&mut self, line: &[u8]) -> Result<(), Fault> {
        if line.len() > LINE_BYTES_MAX {
            return Err(Fault::Content("a line longer than any that is written"));
        }
        match serde_json::from_slice(line).map_err(Fault::Form)? {
            Line::Rule(line) => self.take_rule(line),
            Line::Group(line) => self.take_group(line).map_err(Fault::Content)?,
        }
        Ok(())
    }

    fn take_rule(&mut self, line: RuleLine<'_>) {
        let reason = if self.handles.contains(&*line.handle) { DropReason::Changed } else { DropReason::Gone };
        let found = self.by_digest.get(&*line.digest).copied().ok_or(reason);
        self.rules.push(RestoredRule { found, title: line.title.into_owned(), groups: 0, events: 0 });
    }

    fn take_group(&mut self, line: GroupLine<'_>) -> Result<(), &'static str> {
        let rule = self.rules.get_mut(line.rule).ok_or("a group of no rule")?;
        rule.groups += 1;
        rule.events += line.entries.len();
        let Ok(index) = rule.found else { return Ok(()) };
        let correlation = self.set.get(index);
        let values: Vec<String> = line.values.into_iter().map(Cow::into_owned).collect();
        let values_bytes: usize = values.iter().map(String::len).sum();
        if values.len() != correlation.group_by.len() || values_bytes > GROUP_BYTES_MAX {
            return Err("values that the correlation does not group by");
        }
        let memory = &mut self.memory;
        memory.entries += line.entries.len();
        if memory.groups.len() == GROUPS_MAX || memory.entries > ENTRIES_TOTAL_MAX {
            return Err("more than is remembered");
        }
        let entries = line.entries.into_iter();
        let entries = entries.map(|(time, position, bits)| Entry { time, position, value: f64::from_bits(bits) });
        // The groups come the last touched first, and what is touched from now on comes after all of them.
        let touched = (GROUPS_MAX - memory.groups.len()) as u64;
        let group = Group::restore(entries.collect(), line.spent, touched, correlation)?;
        let same = memory.groups.insert(GroupKey { correlation: index, values }, group);
        if same.is_some() { Err("a group that stands there twice") } else { Ok(()) }
    }

    fn finish(self) -> (Memory, Restored) {
        let Self { memory, rules, .. } = self;
        let dropped = rules.into_iter().filter_map(|rule| {
            let RestoredRule { found, title, groups, events } = rule;
            found.err().map(|reason| Dropped { title, groups, events, reason })
        });
        let restored = Restored { groups: memory.groups.len(), events: memory.entries, dropped: dropped.collect() };
        (memory, restored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_more_than_a_snapshot_holds_what_was_touched_last_is_kept() {
        let names = Default::default();
        let mut sources = crate::RuleSources::default();
        let rules = "title: X\nname: x\nlogsource: {}\ndetection:\n  s: {e: x}\n  condition: s\n---\n\
            title: C\ncorrelation:\n  type: event_count\n  rules: [x]\n  group-by: [g]\n  timespan: 1m\n  condition: {gte: 2}\n";
        sources.parse("test.yml", rules.as_bytes());
        let (rules, _) = crate::RuleSet::compile(sources, &Default::default(), &names);
        let set = rules.correlations();
        let mut memory = Memory::default();
        for group in 0..10 {
            let field = |_: &str| Some(group.to_string());
            let none = memory.feed_one(set, 0, 0, &field, cresset_event::Timestamp::from_nanos(0));
            assert!(none.is_none());
        }
        let whole = write(&memory, set, usize::MAX);
        assert_eq!((whole.groups, whole.groups_left_out), (10, 0));
        let cut = write(&memory, set, whole.bytes.len() - 1);
        assert_eq!((cut.groups, cut.groups_left_out), (9, 1));
        let mut restored = Memory::default();
        assert_eq!(restored.restore(set, &cut.bytes).expect("a snapshot").groups, 9);
        assert!(!restored.groups.contains_key(&GroupKey { correlation: 0, values: vec!["0".into()] }));
        assert_eq!(write(&restored, set, usize::MAX), Snapshot { groups_left_out: 0, ..cut });
    }
}
