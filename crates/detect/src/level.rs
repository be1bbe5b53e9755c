//! Levels and states of rules, as Sigma names them (Sigma specification, rule schema: `level`, `status`).

use std::fmt;
use std::str::FromStr;

/// How much a detection matters. Ordered: `Critical` is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// For the record, by itself no sign of an attack.
    Informational,
    /// Seldom an attack by itself.
    Low,
    /// To be looked at when there is time.
    Medium,
    /// To be looked at now.
    High,
    /// An incident.
    Critical,
}

impl Level {
    /// Every level, the least first.
    pub const ALL: [Self; 5] = [Self::Informational, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// Returns Sigma's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|level| level.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| format!("`{text}` is no level; levels are informational, low, medium, high and critical"))
    }
}

/// How far a rule has been proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Does not cry wolf.
    Stable,
    /// Mostly quiet.
    Test,
    /// May cry wolf.
    Experimental,
    /// Replaced by another.
    Deprecated,
    /// Cannot be used as it is.
    Unsupported,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 5] = [Self::Stable, Self::Test, Self::Experimental, Self::Deprecated, Self::Unsupported];

    /// Returns Sigma's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Test => "test",
            Self::Experimental => "experimental",
            Self::Deprecated => "deprecated",
            Self::Unsupported => "unsupported",
        }
    }
}

impl FromStr for Status {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|status| status.as_str().eq_ignore_ascii_case(text)).ok_or_else(|| {
            format!("`{text}` is no status; they are stable, test, experimental, deprecated and unsupported")
        })
    }
}
