//! What the picture needs of a detection, as plain values that a store can keep.

use std::borrow::Cow;

use cresset_detect::{Detection, DetectionId, Level, Observed};
use cresset_event::{ObservableKind, Timestamp};
use serde::{Deserialize, Serialize};

use crate::assets::Assets;
use crate::text;

/// How far a clock may go ahead of ours. Machines that keep time by NTP differ by less than a second, those that do not by
/// minutes; Kerberos refuses more than five (RFC 4120, section 1.6). An event dated later than that is placed where it
/// arrived: else it would be linked with what has not happened yet.
const AHEAD_NANOS_MAX: i64 = 5 * 60 * 1_000_000_000;

/// Most observables that are looked at; as many as a detection has.
pub(crate) const OBSERVABLES_MAX: usize = 32;

/// What is known of a detection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Its id.
    #[serde(with = "text")]
    pub id: DetectionId,
    /// When the event says it happened; when it arrived, where that is unknown or lies more than five minutes ahead.
    #[serde(with = "text")]
    pub time: Timestamp,
    /// When it was read.
    #[serde(with = "text")]
    pub arrived: Timestamp,
    /// How much it matters.
    #[serde(with = "text")]
    pub level: Level,
    /// The title of the rule, or the name of the indicator.
    pub title: String,
    /// The id of the rule or indicator; its title where it has none.
    pub cause: String,
    /// The ATT&CK tactics by name: `Lateral Movement`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tactics: Vec<String>,
    /// The ATT&CK techniques: `T1059.001`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub techniques: Vec<String>,
    /// The machine that it happened on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The account that did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The program that did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<String>,
    /// The observables of the event, each once; at most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub observables: Vec<ObservedFact>,
    /// The fields that fitted, and their values; `None` where the rule asks that there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub matched: Vec<(String, Option<String>)>,
}

/// A value of the event in normal form, as [`cresset_detect::Observed`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedFact {
    /// Its type.
    #[serde(with = "text")]
    pub kind: ObservableKind,
    /// Its value.
    pub value: String,
    /// Whether it is one of our own machines or domains: it says where an attack went, and links nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_ours: bool,
}

impl Facts {
    /// Returns what the picture needs of a detection.
    pub fn of(detection: &Detection) -> Self {
        let arrived = detection.arrived;
        let latest = arrived.saturating_add_nanos(AHEAD_NANOS_MAX);
        let title = detection.title().into_owned();
        let observables = detection.observables.iter();
        Self {
            id: detection.id(),
            time: detection.time.known().filter(|time| *time <= latest).unwrap_or(arrived),
            arrived,
            level: detection.level(),
            cause: detection.cause_id().map_or_else(|| title.clone(), Cow::into_owned),
            title,
            tactics: detection.tactics().iter().copied().map(String::from).collect(),
            techniques: detection.techniques().to_vec(),
            host: detection.host.clone(),
            user: detection.user.clone(),
            process: detection.process.clone(),
            observables: observables.map(ObservedFact::of).collect(),
            matched: detection.matched.iter().map(|part| (part.field.clone(), part.value.clone())).collect(),
        }
    }

    /// Says which observables are our own. All that is sent to a public server of ours has its address in common, and is not
    /// one attack.
    ///
    /// This is done once, before the facts are kept: so it is part of the record, and another list of assets later on does not
    /// make other incidents of the past.
    #[must_use]
    pub fn with_assets(mut self, assets: &Assets) -> Self {
        for seen in &mut self.observables {
            seen.is_ours = assets.owns(seen.kind, &seen.value);
        }
        self
    }
}

impl ObservedFact {
    fn of(seen: &Observed) -> Self {
        Self { kind: seen.kind, value: seen.value.clone(), is_ours: false }
    }
}
