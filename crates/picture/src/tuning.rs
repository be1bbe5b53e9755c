//! What a centre has decided not to see: exclusions and silences, each with who decided it, why, and until when.
//!
//! An exclusion holds for what fits all its conditions, a silence for everything that one rule or indicator finds. Both end
//! by themselves: what is left out for ever is what an attacker comes through. They say which detections open no incident;
//! the detections stay, and each tells what it was left out by.

use std::collections::HashMap;

use cresset_event::{Timestamp, fold};
use serde::{Deserialize, Serialize};

use crate::facts::Facts;
use crate::text;

/// Detections that are known and no cause for alarm. All conditions that are given must hold, whatever the case of letters,
/// for the whole of the value: a pattern hides more than whoever wrote it knew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exclusion {
    /// What it is called by.
    pub id: String,
    /// Only what this rule or indicator finds, by its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// Only on this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Only by this account, as the log writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Only by this program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<String>,
    /// Only where these fields fitted with these values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<(String, String)>,
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// From when on it does not hold any more.
    #[serde(with = "text")]
    pub expires: Timestamp,
}

/// A rule or an indicator that is not heard for a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Silence {
    /// The rule or indicator, by its id.
    pub cause: String,
    /// From when on it is heard again.
    #[serde(with = "text")]
    pub until: Timestamp,
    /// Why.
    pub reason: String,
    /// Who answers for it.
    pub owner: String,
}

/// Why an exclusion or a silence is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TuningError {
    /// It would leave out everything.
    #[error("exclusion `{0}` has no condition; give it a cause, host, user, process or field")]
    NoCondition(String),
    /// Nobody answers for it, or nobody knows why.
    #[error("`{0}` has no owner or no reason; say who decided it and why")]
    NotAnswered(String),
}

/// What leaves a detection out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftOutBy<'t> {
    /// An exclusion.
    Exclusion(&'t Exclusion),
    /// A silence.
    Silence(&'t Silence),
}

/// All exclusions and silences, by what they look at.
#[derive(Debug, Clone, Default)]
pub struct Tuning {
    exclusions: Vec<Exclusion>,
    silences: Vec<Silence>,
    silenced: HashMap<String, Vec<usize>>,
    /// Exclusions by their cause, and under `None` those of any.
    excluded: HashMap<Option<String>, Vec<usize>>,
}

impl Tuning {
    /// Returns them, ready to be asked.
    pub fn new(exclusions: Vec<Exclusion>, silences: Vec<Silence>) -> Result<Self, TuningError> {
        let mut tuning = Self::default();
        for (place, exclusion) in exclusions.iter().enumerate() {
            check(exclusion)?;
            tuning.excluded.entry(exclusion.cause.clone()).or_default().push(place);
        }
        for (place, silence) in silences.iter().enumerate() {
            is_answered(&silence.cause, &silence.owner, &silence.reason)?;
            tuning.silenced.entry(silence.cause.clone()).or_default().push(place);
        }
        Ok(Self { exclusions, silences, ..tuning })
    }

    /// Returns what leaves a detection out at this moment: a silence first, else the first exclusion of its cause, else the
    /// first of any cause.
    pub fn applies(&self, facts: &Facts, now: Timestamp) -> Option<LeftOutBy<'_>> {
        let cause = Some(facts.cause.clone());
        let silences = self.silenced.get(&facts.cause).into_iter().flatten().map(|place| &self.silences[*place]);
        if let Some(silence) = silences.into_iter().find(|silence| now < silence.until) {
            return Some(LeftOutBy::Silence(silence));
        }
        let by_cause = [cause, None].into_iter().filter_map(|cause| self.excluded.get(&cause));
        let mut exclusions = by_cause.flatten().map(|place| &self.exclusions[*place]);
        exclusions.find(|exclusion| now < exclusion.expires && exclusion.fits(facts)).map(LeftOutBy::Exclusion)
    }
}

impl Exclusion {
    /// Returns whether all its conditions hold.
    pub fn fits(&self, facts: &Facts) -> bool {
        let is = |wanted: &Option<String>, found: &Option<String>| {
            wanted.as_ref().is_none_or(|wanted| found.as_ref().is_some_and(|found| fold(found) == fold(wanted)))
        };
        let has = |(field, value): &(String, String)| {
            facts
                .matched
                .iter()
                .any(|(name, found)| name == field && found.as_ref().is_some_and(|found| fold(found) == fold(value)))
        };
        self.cause.as_ref().is_none_or(|cause| *cause == facts.cause)
            && is(&self.host, &facts.host)
            && is(&self.user, &facts.user)
            && is(&self.process, &facts.process)
            && self.fields.iter().all(has)
    }
}

fn check(exclusion: &Exclusion) -> Result<(), TuningError> {
    let Exclusion { id, cause, host, user, process, fields, .. } = exclusion;
    if [cause, host, user, process].iter().all(|condition| condition.is_none()) && fields.is_empty() {
        return Err(TuningError::NoCondition(id.clone()));
    }
    is_answered(id, &exclusion.owner, &exclusion.reason)
}

fn is_answered(id: &str, owner: &str, reason: &str) -> Result<(), TuningError> {
    let is_answered = !owner.trim().is_empty() && !reason.trim().is_empty();
    is_answered.then_some(()).ok_or_else(|| TuningError::NotAnswered(id.to_owned()))
}
