//! How far an incident has been worked, and what it turned out to be.
//!
//! The steps are those of NIST SP 800-61r2 (detection and analysis; containment, eradication and recovery; closed). What is
//! open may be taken up again from the start at any time, for an attack comes back; nothing is contained before somebody
//! has looked at it.

use std::fmt;

use crate::text::{self, Word};

/// How far an incident has been worked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Nobody has looked at it.
    New,
    /// Somebody finds out what it is.
    Triage,
    /// It spreads no further.
    Contained,
    /// What did it is gone.
    Eradicated,
    /// What it touched works again.
    Recovered,
    /// It is over, and this is what it was.
    Closed(Verdict),
}

/// What an incident turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// An attack.
    TruePositive,
    /// What was detected did happen, and was meant to: a test, an administrator at work.
    BenignPositive,
    /// What was detected did not happen.
    FalsePositive,
    /// It could not be found out.
    Undetermined,
    /// It is worked as another incident.
    Duplicate,
}

impl State {
    /// Every state, in the order of the work.
    pub const ALL: [Self; 10] = [
        Self::New,
        Self::Triage,
        Self::Contained,
        Self::Eradicated,
        Self::Recovered,
        Self::Closed(Verdict::TruePositive),
        Self::Closed(Verdict::BenignPositive),
        Self::Closed(Verdict::FalsePositive),
        Self::Closed(Verdict::Undetermined),
        Self::Closed(Verdict::Duplicate),
    ];

    /// Returns its word, without the verdict.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Triage => "triage",
            Self::Contained => "contained",
            Self::Eradicated => "eradicated",
            Self::Recovered => "recovered",
            Self::Closed(_) => "closed",
        }
    }

    /// Returns whether it is over.
    pub const fn is_closed(self) -> bool {
        matches!(self, Self::Closed(_))
    }

    /// Returns whether it may become `next` in one step: closed at any time, triage at any time after it was new or closed, and
    /// from triage on any step forward. A verdict may be put right.
    pub fn may_become(self, next: Self) -> bool {
        match (self, next) {
            _ if self == next => false,
            (_, Self::Closed(_) | Self::Triage) => true,
            (Self::New | Self::Closed(_), _) | (_, Self::New) => false,
            _ => self.step() < next.step(),
        }
    }

    fn step(self) -> usize {
        Self::ALL.iter().position(|state| *state == self).unwrap_or(Self::ALL.len())
    }
}

impl Verdict {
    /// Returns its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TruePositive => "true-positive",
            Self::BenignPositive => "benign-positive",
            Self::FalsePositive => "false-positive",
            Self::Undetermined => "undetermined",
            Self::Duplicate => "duplicate",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for State {
    /// Its word, and behind a colon the verdict: `triage`, `closed:false-positive`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(verdict) => write!(f, "closed:{verdict}"),
            open => f.pad(open.as_str()),
        }
    }
}

impl std::str::FromStr for State {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|state| state.to_string() == text).ok_or_else(|| {
            let known: Vec<String> = Self::ALL.iter().map(Self::to_string).collect();
            format!("`{text}` is no state; they are {}", known.join(", "))
        })
    }
}

impl Word for State {
    const WHAT: &'static str = "a state: new, triage, contained, eradicated, recovered, or closed: and a verdict";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl serde::Serialize for State {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        text::serialize(self, serializer)
    }
}

impl<'de> serde::Deserialize<'de> for State {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::deserialize(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_read_as_it_is_shown() {
        for state in State::ALL {
            assert_eq!(state.to_string().parse(), Ok(state));
        }
        assert!("closed".parse::<State>().is_err());
    }

    #[test]
    fn work_goes_forward_and_may_begin_again() {
        use State::{Closed, Contained, Eradicated, New, Recovered, Triage};
        use Verdict::{FalsePositive, TruePositive};
        let may = [
            (New, Triage),
            (New, Closed(FalsePositive)),
            (Triage, Contained),
            (Triage, Recovered),
            (Contained, Eradicated),
            (Recovered, Triage),
            (Recovered, Closed(TruePositive)),
            (Closed(TruePositive), Triage),
            (Closed(TruePositive), Closed(FalsePositive)),
        ];
        let may_not = [
            (New, New),
            (New, Contained),
            (Triage, New),
            (Eradicated, Contained),
            (Closed(TruePositive), New),
            (Closed(TruePositive), Recovered),
            (Closed(TruePositive), Closed(TruePositive)),
        ];
        assert!(may.iter().all(|(from, to)| from.may_become(*to)));
        assert!(!may_not.iter().any(|(from, to)| from.may_become(*to)));
    }
}
