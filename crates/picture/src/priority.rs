//! How soon somebody should look at an incident: points for what was found, and for what it touches.
//!
//! The level of the worst detection says most. To it come points for the value of what was touched, for progress along the
//! tactics of ATT&CK, and for the number of machines; how many come is bounded by the level, so that a flood of low
//! detections stays low. The number of detections counts for nothing.
//!
//! Every part only grows with the set of detections, and so does their sum: another detection never lowers a priority
//! (`tests/it/properties.rs`).

use std::fmt;

use cresset_detect::{Level, TACTICS};
use serde::{Deserialize, Serialize};

use crate::assets::AssetValue;

/// Points of a tactic beyond the first: a single step is what a rule finds anyway, several are an attack on its way.
const TACTIC_POINTS: i16 = 4;
/// Most points for their number: five tactics are a whole attack.
const TACTICS_POINTS_MAX: i16 = 16;
/// Points for the latest tactic: from here on the attacker moves on from the first machine, or does what he came for.
const LATE_TACTICS: &[(&str, i16)] = &[("Collection", 8), ("Credential Access", 4)];
/// Points for machines: (at least so many, points).
const HOSTS_POINTS: &[(u64, i16)] = &[(6, 10), (3, 6), (2, 3)];
const SCORE_MAX: i16 = 100;

/// How soon somebody should look at it, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Priority {
    /// 0 to 100.
    pub score: u8,
    /// What that means.
    pub class: PriorityClass,
    /// What it is made of, for people: a reason and its points. They add up to the score.
    pub reasons: Vec<(String, i16)>,
}

/// Classes of priority, as service desks number them. Ordered: `P1` is the least and comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PriorityClass {
    /// At once.
    P1,
    /// Today, before anything else.
    P2,
    /// Today.
    P3,
    /// When there is time.
    P4,
}

impl PriorityClass {
    /// Every class, the most urgent first.
    pub const ALL: [Self; 4] = [Self::P1, Self::P2, Self::P3, Self::P4];

    /// Returns the class of a score. The least scores are those of a detection that is critical, high or medium, on a machine
    /// of normal value.
    pub const fn of(score: u8) -> Self {
        match score {
            80.. => Self::P1,
            60.. => Self::P2,
            35.. => Self::P3,
            _ => Self::P4,
        }
    }

    /// Returns its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::P1 => "P1",
            Self::P2 => "P2",
            Self::P3 => "P3",
            Self::P4 => "P4",
        }
    }
}

impl fmt::Display for PriorityClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a priority is worked out from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grounds<'g> {
    pub(crate) level: Level,
    /// The most valuable thing that was touched, and what it is called; `None` where nothing is known to be.
    pub(crate) worth: Option<(AssetValue, &'g str)>,
    /// How many tactics there are.
    pub(crate) tactics: u64,
    /// The place of the latest in [`TACTICS`].
    pub(crate) latest_tactic: Option<usize>,
    pub(crate) hosts: u64,
}

impl Priority {
    pub(crate) fn of(grounds: Grounds<'_>) -> Self {
        let (base, more_max) = points_of_level(grounds.level);
        let mut reasons = vec![(format!("highest level: {}", grounds.level), base)];
        reasons.extend(grounds.worth.map(reason_of_worth));
        reasons.extend(reason_of_tactics(grounds.tactics));
        reasons.extend(grounds.latest_tactic.and_then(reason_of_latest));
        reasons.extend(reason_of_hosts(grounds.hosts));
        reasons.retain(|(_, points)| *points != 0);
        let all: i16 = reasons.iter().map(|(_, points)| points).sum();
        let most = (base + more_max).min(SCORE_MAX);
        if all > most {
            let why = if most == SCORE_MAX {
                "the most there is".into()
            } else {
                format!("the most at level {}", grounds.level)
            };
            reasons.push((format!("held at {most}, {why}"), most - all));
        }
        let score = u8::try_from(all.min(most)).unwrap_or(0);
        Self { score, class: PriorityClass::of(score), reasons }
    }
}

/// Points of a level, and the most that may come to them. Low ones stay below a medium one on a machine of normal value,
/// and in the least class; medium ones may reach the second.
fn points_of_level(level: Level) -> (i16, i16) {
    match level {
        Level::Informational => (0, 0),
        Level::Low => (10, 20),
        Level::Medium => (30, 40),
        Level::High => (55, 45),
        Level::Critical => (75, 45),
    }
}

/// Normal value has points, so that low value can have fewer: whatever else is found, points are never taken away.
fn reason_of_worth((value, name): (AssetValue, &str)) -> (String, i16) {
    let points = match value {
        AssetValue::Low => 0,
        AssetValue::Normal => 5,
        AssetValue::High => 15,
        AssetValue::Vital => 25,
    };
    (format!("{name} is of {value} value"), points)
}

fn reason_of_tactics(tactics: u64) -> Option<(String, i16)> {
    let further = i16::try_from(tactics.saturating_sub(1)).unwrap_or(i16::MAX);
    let points = further.saturating_mul(TACTIC_POINTS).min(TACTICS_POINTS_MAX);
    (points > 0).then(|| (format!("{tactics} tactics of ATT&CK"), points))
}

fn reason_of_latest(latest: usize) -> Option<(String, i16)> {
    let from = |name: &str| TACTICS.iter().position(|(_, tactic)| *tactic == name);
    let is_late = |(name, _): &&(&str, i16)| from(name).is_some_and(|from| from <= latest);
    let (_, points) = LATE_TACTICS.iter().find(is_late)?;
    Some((format!("as far as {}", TACTICS.get(latest)?.1), *points))
}

fn reason_of_hosts(hosts: u64) -> Option<(String, i16)> {
    let (_, points) = HOSTS_POINTS.iter().find(|(least, _)| hosts >= *least)?;
    Some((format!("{hosts} machines"), *points))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(level: Level, value: AssetValue, tactics: u64, latest: &str, hosts: u64) -> u8 {
        let latest_tactic = TACTICS.iter().position(|(_, name)| *name == latest);
        let priority = Priority::of(Grounds { level, worth: Some((value, "X")), tactics, latest_tactic, hosts });
        let sum: i16 = priority.reasons.iter().map(|(_, points)| points).sum();
        assert_eq!(sum, i16::from(priority.score), "reasons add up: {:?}", priority.reasons);
        priority.score
    }

    #[test]
    fn one_detection_on_a_machine_of_normal_value_has_the_class_of_its_level() {
        let class = |level| PriorityClass::of(score(level, AssetValue::Normal, 1, "Execution", 1));
        let expected = [PriorityClass::P4, PriorityClass::P4, PriorityClass::P3, PriorityClass::P2, PriorityClass::P1];
        assert_eq!(Level::ALL.map(class), expected);
    }

    #[test]
    fn what_is_worth_less_or_more_comes_later_or_sooner() {
        let class = |level, value| PriorityClass::of(score(level, value, 1, "Execution", 1));
        assert_eq!(class(Level::Critical, AssetValue::Low), PriorityClass::P2);
        assert_eq!(class(Level::High, AssetValue::Low), PriorityClass::P3);
        assert_eq!(class(Level::High, AssetValue::Vital), PriorityClass::P1);
        assert_eq!(class(Level::Medium, AssetValue::Low), PriorityClass::P4);
    }

    #[test]
    fn low_detections_stay_in_the_last_class_whatever_they_touch_and_medium_ones_out_of_the_first() {
        assert_eq!(score(Level::Low, AssetValue::Vital, 16, "Impact", 1000), 30);
        assert_eq!(score(Level::Medium, AssetValue::Vital, 16, "Impact", 1000), 70);
        assert_eq!(score(Level::High, AssetValue::Vital, 16, "Impact", 1000), 100);
        assert_eq!(score(Level::Critical, AssetValue::Vital, 16, "Impact", 1000), 100);
    }

    #[test]
    fn progress_counts_by_number_and_by_how_late() {
        let with = |tactics, latest| score(Level::Medium, AssetValue::Normal, tactics, latest, 1);
        assert_eq!([with(0, ""), with(1, "Execution"), with(2, "Execution"), with(3, "Execution")], [35, 35, 39, 43]);
        assert_eq!([with(1, "Credential Access"), with(1, "Lateral Movement"), with(1, "Impact")], [39, 39, 43]);
        assert_eq!([with(5, "Execution"), with(9, "Execution")], [51, 51]);
    }
}
