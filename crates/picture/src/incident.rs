//! What people see: an incident, why each detection is in it, and how much it matters.

use std::fmt;

use cresset_detect::{DetectionId, Level};
use cresset_event::{EventId, IdDigest, Timestamp, write_uuid};
use serde::{Deserialize, Serialize};

use crate::priority::Priority;
use crate::state::State;
use crate::text::{self, Word};

/// What STIX puts before the UUID of an incident (STIX 2.1 §4.6).
const PREFIX: &str = "incident--";

/// The identity of an incident, derived from the detection that opened it: a store that is read again gives the same ones.
/// Shown as a STIX id of a UUID of version 8 (RFC 9562): `incident--…`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IncidentId([u8; 16]);

impl IncidentId {
    /// Returns the id of the incident that a detection opens.
    pub fn of(founder: DetectionId) -> Self {
        let mut digest = IdDigest::new("incident");
        digest.part(founder.as_bytes());
        Self(digest.finish())
    }

    /// Returns another id for an incident that begins with this detection, where others are in use.
    pub(crate) fn again(founder: DetectionId, time: u64) -> Self {
        let mut digest = IdDigest::new("incident again");
        digest.part(founder.as_bytes());
        digest.part(&time.to_le_bytes());
        Self(digest.finish())
    }

    /// Returns the id of these 16 bytes, as [`IncidentId::as_bytes`] gave them.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the 16 bytes of the UUID.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Reads an id as it is shown, and in no other form.
    pub fn parse(text: &str) -> Option<Self> {
        text.strip_prefix(PREFIX).and_then(EventId::parse).map(|id| Self(*id.as_bytes()))
    }
}

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        write_uuid(&self.0, f)
    }
}

impl fmt::Debug for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IncidentId({self})")
    }
}

impl Word for IncidentId {
    const WHAT: &'static str = "the id of an incident: `incident--` and a UUID";

    fn read(text: &str) -> Option<Self> {
        Self::parse(text)
    }
}

impl Serialize for IncidentId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        text::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for IncidentId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::deserialize(deserializer)
    }
}

/// What two detections have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkKind {
    /// The machine.
    Host,
    /// The account.
    User,
    /// The program, on the same machine.
    Process,
    /// An address, a domain, a URL, a hash or an e-mail address.
    Observable,
    /// A person said that they belong together.
    Hand,
}

impl LinkKind {
    /// Returns its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::User => "user",
            Self::Process => "process",
            Self::Observable => "observable",
            Self::Hand => "hand",
        }
    }
}

impl fmt::Display for LinkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why a detection is in an incident: what it shares with one that was there before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// What they have in common.
    pub kind: LinkKind,
    /// Its value; empty where a person said so.
    pub value: String,
    /// How far apart they are in event time.
    pub gap_nanos: u64,
    /// The other one.
    #[serde(with = "text")]
    pub to: DetectionId,
}

/// What is known of an incident, worked out from its detections.
///
/// Lists hold the most frequent, the first by name among equals, and say how many more there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Its id.
    pub id: IncidentId,
    /// The title of its worst detection, the earliest of them, and where that was.
    pub title: String,
    /// The highest level of its detections.
    #[serde(with = "text")]
    pub level: Level,
    /// How soon somebody should look at it.
    pub priority: Priority,
    /// The earliest event.
    #[serde(with = "text")]
    pub first: Timestamp,
    /// The latest event.
    #[serde(with = "text")]
    pub last: Timestamp,
    /// When its first detection arrived: from then on the clocks of NIS2 run (Article 23(4)).
    #[serde(with = "text")]
    pub aware_at: Timestamp,
    /// How many detections it has.
    pub detections: u64,
    /// The machines.
    pub hosts: Vec<String>,
    /// How many machines are not listed.
    pub hosts_more: u64,
    /// The accounts.
    pub users: Vec<String>,
    /// How many accounts are not listed.
    pub users_more: u64,
    /// The ATT&CK tactics, by name.
    pub tactics: Vec<String>,
    /// How many tactics are not listed.
    pub tactics_more: u64,
    /// The ATT&CK techniques: `T1059.001`.
    pub techniques: Vec<String>,
    /// How many techniques are not listed.
    pub techniques_more: u64,
    /// The titles of rules and the names of indicators, and how many detections each has.
    pub rules: Vec<(String, u64)>,
    /// How many rules and indicators are not listed.
    pub rules_more: u64,
    /// How far it has been worked.
    pub state: State,
    /// Closed incidents that its detections have something in common with, the first by id.
    pub follows: Vec<IncidentId>,
    /// How many of those are not listed.
    pub follows_more: u64,
}
