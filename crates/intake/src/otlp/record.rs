//! What a record becomes: the object that it holds, a line of text, or an object made of all that it says.
//!
//! A made object has flat names, those of the Elastic Common Schema where it has one, as the collector's Elasticsearch
//! exporter maps them (`mapping: ecs`), so that rules written for that read it: [`ECS`] and `docs/intake.md` have the
//! table. Attributes keep their own names otherwise. What stands nearer to the record goes first: body, record,
//! attributes, scope, resource. A name that is taken stays with the one who has it, and the other value gets a longer
//! name; none is lost.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cresset_event::{Timestamp, hex};
use serde_json::{Map, Number, Value as Json};

use super::message::{AnyValue, KeyValue, LogRecord, Resource, Scope, Value};
use super::windows;

/// Longest name of an attribute, in bytes, inclusive: the longest of OpenTelemetry's own have some fifty. Longer ones
/// are cut.
const NAME_BYTES_MAX: usize = 256;
/// Most dots of a name that is looked for as a path: each doubles the ways in which nested objects can spell it. A name
/// with more is compared as it stands.
const NAME_DOTS_MAX: usize = 8;

/// What OpenTelemetry's conventions call otherwise than the Elastic Common Schema. An empty name is one that says
/// nothing of the event.
const ECS: &[(&str, &str)] = &[
    ("cloud.platform", "cloud.service.name"),
    ("code.file.path", "log.origin.file.name"),
    ("code.filepath", "log.origin.file.name"),
    ("code.function", "log.origin.function"),
    ("code.function.name", "log.origin.function"),
    ("code.line.number", "log.origin.file.line"),
    ("code.lineno", "log.origin.file.line"),
    ("container.image.tags", "container.image.tag"),
    ("deployment.environment", "service.environment"),
    ("deployment.environment.name", "service.environment"),
    ("event.name", "event.action"),
    ("exception.message", "error.message"),
    ("exception.stacktrace", "error.stack_trace"),
    ("exception.type", "error.type"),
    ("host.arch", "host.architecture"),
    ("k8s.cluster.name", "orchestrator.cluster.name"),
    ("k8s.container.name", "kubernetes.container.name"),
    ("k8s.cronjob.name", "kubernetes.cronjob.name"),
    ("k8s.daemonset.name", "kubernetes.daemonset.name"),
    ("k8s.deployment.name", "kubernetes.deployment.name"),
    ("k8s.job.name", "kubernetes.job.name"),
    ("k8s.namespace.name", "kubernetes.namespace"),
    ("k8s.node.name", "kubernetes.node.name"),
    ("k8s.pod.name", "kubernetes.pod.name"),
    ("k8s.pod.uid", "kubernetes.pod.uid"),
    ("k8s.replicaset.name", "kubernetes.replicaset.name"),
    ("k8s.statefulset.name", "kubernetes.statefulset.name"),
    ("os.description", "host.os.full"),
    ("os.name", "host.os.name"),
    ("os.type", "host.os.platform"),
    ("os.version", "host.os.version"),
    ("process.executable.path", "process.executable"),
    ("process.runtime.name", "service.runtime.name"),
    ("process.runtime.version", "service.runtime.version"),
    ("service.instance.id", "service.node.name"),
    ("telemetry.distro.name", ""),
    ("telemetry.distro.version", ""),
    ("telemetry.sdk.language", ""),
    ("telemetry.sdk.name", ""),
    ("telemetry.sdk.version", ""),
];

/// Attributes that say only where a line of text was read. A record with no others is that line.
const PLACES: &[&str] = &["log.file.", "log.iostream", "log.record.original", "log.record.uid"];

/// What severities are called that have a number only: four numbers each (OpenTelemetry logs data model, "Severity
/// Fields").
const LEVELS: [&str; 6] = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];

/// What a record becomes.
pub(super) enum Shape {
    /// The text of an object, maybe over several lines.
    Object(String),
    /// An object that was made.
    Document(Map<String, Json>),
    /// A message of some log, maybe over several lines.
    Text(String),
}

/// Named values under the names that they get.
pub(super) struct Attributes(Vec<(String, Json)>);

impl Attributes {
    pub(super) fn of_resource(resource: Resource) -> Self {
        Self::of(resource.attributes)
    }

    fn of(values: Vec<KeyValue>) -> Self {
        let named = values.into_iter().filter_map(|KeyValue { key, value }| {
            let name = ECS.binary_search_by_key(&key.as_str(), |(own, _)| own).map_or(&*key, |at| ECS[at].1);
            let name = &name[..name.floor_char_boundary(NAME_BYTES_MAX)];
            (!name.is_empty()).then(|| (name.to_owned(), json(value)))
        });
        Self(named.collect())
    }
}

/// Where a record comes from.
pub(super) struct Context<'r> {
    resource: &'r Attributes,
    logger: String,
    scope: Attributes,
}

impl<'r> Context<'r> {
    pub(super) fn new(resource: &'r Attributes, scope: Scope) -> Self {
        Self { resource, logger: scope.name, scope: Attributes::of(scope.attributes) }
    }
}

/// Returns what a record becomes, or why it is nothing.
pub(super) fn shape(mut record: LogRecord, context: &Context<'_>) -> Result<Shape, String> {
    let body = record.body.take().and_then(|body| body.value);
    let mut document = Map::new();
    match body {
        None if record.attributes.is_empty() && record.event_name.is_empty() => {
            return Err("a record without a body, attributes or a name".into());
        }
        None => {}
        Some(Value::Map(map)) => document = windows::shaped(members(map.values)),
        Some(value) => {
            let text = message(value);
            if is_object(&text) {
                return Ok(Shape::Object(text));
            }
            if is_line(&text, &record) {
                let is_empty = text.trim_matches(['\n', '\r', '\0']).is_empty();
                return if is_empty { Err("a record with an empty body".into()) } else { Ok(Shape::Text(text)) };
            }
            // Without a time of its own a message has that of its arrival at the collector, as the exporter does it.
            if record.time_unix_nano == 0 {
                record.time_unix_nano = record.observed_time_unix_nano;
            }
            document.insert("message".into(), text.into());
        }
    }
    add_fields(&mut document, record, context);
    Ok(Shape::Document(document))
}

/// Adds what stands beside the body.
fn add_fields(document: &mut Map<String, Json>, record: LogRecord, context: &Context<'_>) {
    let mut add = |name: &str, value: Option<Json>| {
        if let Some(value) = value {
            offer(document, "record", name, value);
        }
    };
    let text = |text: String| (!text.is_empty()).then_some(Json::String(text));
    add("@timestamp", time(record.time_unix_nano));
    add("log.level", text(record.severity_text).or_else(|| level(record.severity_number).map(Json::from)));
    add("event.severity", (record.severity_number != 0).then(|| record.severity_number.into()));
    add("event.action", text(record.event_name));
    add("trace.id", text(hex(&record.trace_id)));
    add("span.id", text(hex(&record.span_id)));
    for (name, value) in Attributes::of(record.attributes).0 {
        offer(document, "attributes", &name, value);
    }
    if !context.logger.is_empty() {
        offer(document, "scope", "log.logger", context.logger.clone().into());
    }
    for (whose, attributes) in [("scope", &context.scope), ("resource", context.resource)] {
        for (name, value) in &attributes.0 {
            offer(document, whose, name, value.clone());
        }
    }
}

/// Adds a value under its name, or under a longer one where that is taken.
fn offer(document: &mut Map<String, Json>, whose: &str, name: &str, value: Json) {
    let is_taken = match name.matches('.').count() {
        0..=NAME_DOTS_MAX => has(document, name),
        _ => document.contains_key(name),
    };
    if is_taken {
        document.insert(format!("{whose}.{name}"), value);
    } else {
        document.insert(name.to_owned(), value);
    }
}

/// Returns whether a name is taken, as it stands or as a path of nested objects.
fn has(document: &Map<String, Json>, name: &str) -> bool {
    document.contains_key(name)
        || name.match_indices('.').any(|(at, _)| {
            let inner = document.get(&name[..at]).and_then(Json::as_object);
            inner.is_some_and(|inner| has(inner, &name[at + 1..]))
        })
}

/// Returns whether a text is one object of JSON.
fn is_object(text: &str) -> bool {
    text.trim_start().starts_with('{') && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// Returns whether a record is a line of some log and nothing else: nobody took it apart and nobody graded it. A line
/// of syslog with its priority says itself all that a receiver of syslog makes attributes of.
fn is_line(text: &str, record: &LogRecord) -> bool {
    let is_place = |name: &str| PLACES.iter().any(|place| name.starts_with(place));
    let is_bare = record.time_unix_nano == 0
        && record.severity_number == 0
        && record.severity_text.is_empty()
        && record.event_name.is_empty()
        && record.trace_id.is_empty()
        && record.attributes.iter().all(|attribute| is_place(&attribute.key));
    is_bare || has_priority(text)
}

/// Returns whether a text begins as messages of syslog do: `<34>`.
fn has_priority(text: &str) -> bool {
    let priority = text.strip_prefix('<').and_then(|rest| rest.split_once('>')).map(|(priority, _)| priority);
    priority.is_some_and(|digits| matches!(digits.len(), 1..=3) && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Returns a body that is no map as text.
fn message(value: Value) -> String {
    match value {
        Value::Text(text) => text,
        Value::Bytes(bytes) => String::from_utf8(bytes).unwrap_or_else(|error| STANDARD.encode(error.as_bytes())),
        other => json(Some(AnyValue { value: Some(other) })).to_string(),
    }
}

/// Returns a value as JSON: bytes in base64, and numbers that JSON lacks as text.
fn json(value: Option<AnyValue>) -> Json {
    match value.and_then(|value| value.value) {
        None => Json::Null,
        Some(Value::Text(text)) => text.into(),
        Some(Value::Bool(is)) => is.into(),
        Some(Value::Int(number)) => number.into(),
        Some(Value::Double(number)) => Number::from_f64(number).map_or_else(|| number.to_string().into(), Json::Number),
        Some(Value::List(list)) => list.values.into_iter().map(|value| json(Some(value))).collect(),
        Some(Value::Map(map)) => Json::Object(members(map.values)),
        Some(Value::Bytes(bytes)) => STANDARD.encode(bytes).into(),
    }
}

fn members(values: Vec<KeyValue>) -> Map<String, Json> {
    values.into_iter().map(|KeyValue { key, value }| (key, json(value))).collect()
}

/// Returns a time as text; 0 is none. One past 2262 stays a number, which no reader takes for a time.
fn time(nanos: u64) -> Option<Json> {
    match i64::try_from(nanos) {
        Ok(0) => None,
        Ok(nanos) => Some(Timestamp::from_nanos(nanos).to_string().into()),
        Err(_) => Some(nanos.to_string().into()),
    }
}

fn level(severity_number: i32) -> Option<&'static str> {
    let at = usize::try_from(severity_number.checked_sub(1)?).ok()? / 4;
    LEVELS.get(at).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order() {
        assert!(ECS.is_sorted_by(|one, next| one.0 < next.0));
    }

    #[test]
    fn severities_have_names() {
        assert_eq!(
            [0, 1, 4, 9, 13, 24, 25, -1, i32::MIN].map(level),
            [None, Some("TRACE"), Some("TRACE"), Some("INFO"), Some("WARN"), Some("FATAL"), None, None, None]
        );
    }

    #[test]
    fn a_priority_is_one_to_three_digits() {
        for text in ["<34>a", "<0>", "<191>1 "] {
            assert!(has_priority(text), "{text}");
        }
        for text in ["<>a", "<1234>a", "<3a>", "34>a", "<34", "<Event>"] {
            assert!(!has_priority(text), "{text}");
        }
    }

    #[test]
    fn a_name_is_taken_as_it_stands_and_as_a_path() {
        let document = serde_json::json!({ "a.b": 1, "c": { "d": { "e": 2 } }, "f": 3 });
        let document = document.as_object().expect("an object");
        assert!(["a.b", "c", "c.d", "c.d.e", "f"].iter().all(|name| has(document, name)));
        assert!(!["a", "b", "c.e", "f.g", "", "."].iter().any(|name| has(document, name)));
    }
}
