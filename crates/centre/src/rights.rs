//! Who may do what: one table of roles and rights, and one check.
//!
//! A token may do what its role may; where scopes are named, of that only those. Administrator is a role like the others and
//! gives no clearance. `tests/it/serve/rights.rs` of the command goes through the whole matrix, over HTTP.

use cresset_store::{Role, Token};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Something that one may be allowed to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// See detections, incidents, sources, rules and assets.
    Read,
    /// Deliver logs.
    Ingest,
    /// Work on incidents: assign, note, tasks, evidence, states, merge and split.
    Work,
    /// Exclude and silence.
    Tune,
    /// Say what is worth protecting.
    Assets,
    /// Add rules and indicators.
    Arm,
    /// Read and verify the audit log.
    Audit,
    /// Issue and revoke tokens.
    Tokens,
    /// Make backups.
    Backup,
}

impl Right {
    /// Every right.
    pub const ALL: [Self; 9] = [
        Self::Read,
        Self::Ingest,
        Self::Work,
        Self::Tune,
        Self::Assets,
        Self::Arm,
        Self::Audit,
        Self::Tokens,
        Self::Backup,
    ];

    /// Returns its word, which is also that of the scope.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Ingest => "ingest",
            Self::Work => "work",
            Self::Tune => "tune",
            Self::Assets => "assets",
            Self::Arm => "arm",
            Self::Audit => "audit",
            Self::Tokens => "tokens",
            Self::Backup => "backup",
        }
    }

    /// Returns the right of this word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|right| right.as_str() == text)
    }
}

/// Returns what a role may do: the table.
pub const fn rights(role: Role) -> &'static [Right] {
    use Right::{Arm, Assets, Audit, Backup, Ingest, Read, Tokens, Tune, Work};
    match role {
        Role::Viewer => &[Read],
        Role::Analyst => &[Read, Work, Tune],
        Role::WatchOfficer => &[Read, Work, Tune, Assets, Audit],
        Role::IntelligenceOfficer => &[Read, Work, Arm],
        Role::ExerciseDirector => &[Read, Ingest],
        Role::Administrator => &[Read, Ingest, Work, Tune, Assets, Arm, Audit, Tokens, Backup],
    }
}

/// Returns whether a token may do something: the check.
pub fn may(token: &Token, right: Right) -> bool {
    let scopes = &token.issued.scopes;
    rights(token.issued.role).contains(&right)
        && (scopes.is_empty() || scopes.iter().any(|scope| scope == right.as_str()))
}
