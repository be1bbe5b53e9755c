//! A detection as programs get it: the record of `docs/detection.schema.json`, version 1.
//!
//! Fields are added and never renamed or removed within a version. What is not known is `null` and never an empty text.

use std::borrow::Cow;

use cresset_detect::{Cause, Detection};
use cresset_event::EventTime;
use serde::Serialize;

/// The version of the schema.
const SCHEMA_VERSION: u32 = 1;

#[derive(Serialize)]
pub(super) struct DetectionRecord<'d> {
    pub(super) schema_version: u32,
    pub(super) kind: &'static str,
    pub(super) time: Option<String>,
    pub(super) time_unknown: Option<String>,
    pub(super) arrived: String,
    pub(super) level: &'static str,
    pub(super) title: Cow<'d, str>,
    pub(super) id: Option<Cow<'d, str>>,
    pub(super) author: Option<&'d str>,
    pub(super) references: &'d [String],
    pub(super) techniques: &'d [String],
    pub(super) tactics: &'d [&'static str],
    pub(super) host: Option<&'d str>,
    pub(super) user: Option<&'d str>,
    pub(super) process: Option<&'d str>,
    pub(super) matched: Vec<MatchedRecord<'d>>,
    pub(super) source: &'d str,
    pub(super) record: u64,
    pub(super) event_id: String,
    pub(super) log_source: LogSourceRecord<'d>,
    pub(super) correlation: Option<CorrelationRecord<'d>>,
}

#[derive(Serialize)]
pub(super) struct MatchedRecord<'d> {
    pub(super) field: &'d str,
    pub(super) value: Option<&'d str>,
}

#[derive(Serialize)]
pub(super) struct LogSourceRecord<'d> {
    product: Option<&'d str>,
    service: Option<&'d str>,
    categories: &'d [String],
}

#[derive(Serialize)]
pub(super) struct CorrelationRecord<'d> {
    group: Vec<GroupValue<'d>>,
    value: f64,
    events: u64,
    first: String,
    last: String,
}

#[derive(Serialize)]
struct GroupValue<'d> {
    field: &'d str,
    value: &'d str,
}

impl<'d> DetectionRecord<'d> {
    pub(super) fn new(detection: &'d Detection) -> Self {
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
