//! A detection as programs get it: the record of `docs/detection.schema.json`, version 1.
//!
//! Fields are added and never renamed or removed within a version. What is not known is `null` and never an empty text.

use std::borrow::Cow;

use cresset_event::EventTime;
use serde::Serialize;

use crate::detection::{Cause, Detection};

/// The version of the schema.
const SCHEMA_VERSION: u32 = 1;

/// A detection as programs get it.
#[derive(Debug, Serialize)]
pub struct DetectionRecord<'d> {
    /// The version of the schema.
    pub schema_version: u32,
    /// `rule`, `correlation` or `indicator`.
    pub kind: &'static str,
    /// When the event says it happened (RFC 3339); `null` where that cannot be read.
    pub time: Option<String>,
    /// Why the time cannot be read.
    pub time_unknown: Option<String>,
    /// When it was read.
    pub arrived: String,
    /// Sigma's word for how much it matters.
    pub level: &'static str,
    /// The title of the rule, or the name of the indicator.
    pub title: Cow<'d, str>,
    /// The id of the rule or indicator.
    pub id: Option<Cow<'d, str>>,
    /// Who made it.
    pub author: Option<&'d str>,
    /// Where to read more.
    pub references: &'d [String],
    /// ATT&CK techniques.
    pub techniques: &'d [String],
    /// ATT&CK tactics, by name.
    pub tactics: &'d [&'static str],
    /// The machine.
    pub host: Option<&'d str>,
    /// The account.
    pub user: Option<&'d str>,
    /// The program.
    pub process: Option<&'d str>,
    /// What fitted.
    pub matched: Vec<MatchedRecord<'d>>,
    /// Where it was read.
    pub source: &'d str,
    /// The number of the record in it.
    pub record: u64,
    /// The event's id.
    pub event_id: String,
    /// What the event is.
    pub log_source: LogSourceRecord<'d>,
    /// What only a correlation has.
    pub correlation: Option<CorrelationRecord<'d>>,
}

/// A field and the value in it that fitted.
#[derive(Debug, Serialize)]
pub struct MatchedRecord<'d> {
    /// The field.
    pub field: &'d str,
    /// The value; `null` where the rule asks that there is none.
    pub value: Option<&'d str>,
}

/// What the event is, in the words of the Sigma taxonomy.
#[derive(Debug, Serialize)]
pub struct LogSourceRecord<'d> {
    product: Option<&'d str>,
    service: Option<&'d str>,
    categories: &'d [String],
}

/// What only the detection of a correlation has.
#[derive(Debug, Serialize)]
pub struct CorrelationRecord<'d> {
    group: Vec<GroupValue<'d>>,
    value: f64,
    events: u64,
    first: String,
    last: String,
}

#[derive(Debug, Serialize)]
struct GroupValue<'d> {
    field: &'d str,
    value: &'d str,
}

impl<'d> DetectionRecord<'d> {
    /// Returns the record of a detection.
    pub fn new(detection: &'d Detection) -> Self {
        let (time, time_unknown) = match detection.time {
            EventTime::Known(time) => (Some(time.to_string()), None),
            EventTime::Unknown(reason) => (None, Some(reason.to_string())),
        };
        let matched = detection.matched.iter();
        Self {
            schema_version: SCHEMA_VERSION,
            kind: detection.kind(),
            time,
            time_unknown,
            arrived: detection.arrived.to_string(),
            level: detection.level().as_str(),
            title: detection.title(),
            id: detection.cause_id(),
            author: detection.author(),
            references: detection.references(),
            techniques: detection.techniques(),
            tactics: detection.tactics(),
            host: detection.host.as_deref(),
            user: detection.user.as_deref(),
            process: detection.process.as_deref(),
            matched: matched
                .map(|matched| MatchedRecord { field: &matched.field, value: matched.value.as_deref() })
                .collect(),
            source: &detection.source.name,
            record: detection.record,
            event_id: detection.event.to_string(),
            log_source: LogSourceRecord {
                product: detection.log_source.product.as_deref(),
                service: detection.log_source.service.as_deref(),
                categories: &detection.log_source.categories,
            },
            correlation: CorrelationRecord::of(&detection.cause),
        }
    }
}

impl<'d> CorrelationRecord<'d> {
    fn of(cause: &'d Cause) -> Option<Self> {
        let Cause::Correlation { group, value, events, first, last, .. } = cause else { return None };
        Some(Self {
            group: group.iter().map(|(field, value)| GroupValue { field, value }).collect(),
            value: *value,
            events: *events,
            first: first.to_string(),
            last: last.to_string(),
        })
    }
}
