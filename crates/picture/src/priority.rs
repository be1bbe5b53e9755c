//! How soon somebody should look at an incident.

use std::fmt;

use serde::{Deserialize, Serialize};

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
