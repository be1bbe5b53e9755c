//! The messages of OTLP's logs that are decoded, in protobuf and in JSON (opentelemetry-proto, `logs/v1` and
//! `common/v1`).
//!
//! Only what logs need; other fields are skipped. In JSON numbers of 64 bits may be texts, ids are hexadecimal (OTLP
//! 1.5, "JSON Protobuf Encoding"). Resources and scopes are kept as text until their records are read, one at a time.

use std::fmt::Display;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use serde_json::value::RawValue;

use super::record::{Attributes, Context};
use super::{OtlpError, PART_BYTES_MAX};

/// One record.
#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct LogRecord {
    #[prost(fixed64, tag = "1")]
    #[serde(deserialize_with = "number")]
    pub(super) time_unix_nano: u64,
    #[prost(fixed64, tag = "11")]
    #[serde(deserialize_with = "number")]
    pub(super) observed_time_unix_nano: u64,
    #[prost(int32, tag = "2")]
    #[serde(deserialize_with = "number")]
    pub(super) severity_number: i32,
    #[prost(string, tag = "3")]
    pub(super) severity_text: String,
    #[prost(message, optional, tag = "5")]
    pub(super) body: Option<AnyValue>,
    #[prost(message, repeated, tag = "6")]
    pub(super) attributes: Vec<KeyValue>,
    #[prost(bytes = "vec", tag = "9")]
    #[serde(deserialize_with = "hexadecimal")]
    pub(super) trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "10")]
    #[serde(deserialize_with = "hexadecimal")]
    pub(super) span_id: Vec<u8>,
    #[prost(string, tag = "12")]
    pub(super) event_name: String,
}

/// What records come from: a host, a service.
#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(super) struct Resource {
    #[prost(message, repeated, tag = "1")]
    pub(super) attributes: Vec<KeyValue>,
}

/// The logger that made records.
#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(super) struct Scope {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(message, repeated, tag = "3")]
    pub(super) attributes: Vec<KeyValue>,
}

/// A named value.
#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(super) struct KeyValue {
    #[prost(string, tag = "1")]
    pub(super) key: String,
    #[prost(message, optional, tag = "2")]
    pub(super) value: Option<AnyValue>,
}

/// A value, or none.
#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(try_from = "JsonValue")]
pub(super) struct AnyValue {
    #[prost(oneof = "Value", tags = "1, 2, 3, 4, 5, 6, 7")]
    pub(super) value: Option<Value>,
}

/// What a value can be.
#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Value {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(bool, tag = "2")]
    Bool(bool),
    #[prost(int64, tag = "3")]
    Int(i64),
    #[prost(double, tag = "4")]
    Double(f64),
    #[prost(message, tag = "5")]
    List(List),
    #[prost(message, tag = "6")]
    Map(Map),
    #[prost(bytes, tag = "7")]
    Bytes(Vec<u8>),
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(super) struct List {
    #[prost(message, repeated, tag = "1")]
    pub(super) values: Vec<AnyValue>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(super) struct Map {
    #[prost(message, repeated, tag = "1")]
    pub(super) values: Vec<KeyValue>,
}

/// `ExportLogsServiceResponse`.
#[derive(Clone, PartialEq, prost::Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Response {
    #[prost(message, optional, tag = "1")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) partial_success: Option<PartialSuccess>,
}

/// `ExportLogsPartialSuccess`.
#[derive(Clone, PartialEq, prost::Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PartialSuccess {
    #[prost(int64, tag = "1")]
    #[serde(serialize_with = "as_text")]
    pub(super) rejected_log_records: i64,
    #[prost(string, tag = "2")]
    pub(super) error_message: String,
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, prost::Message, Serialize)]
pub(super) struct Status {
    #[prost(int32, tag = "1")]
    pub(super) code: i32,
    #[prost(string, tag = "2")]
    pub(super) message: String,
}

/// A value as JSON has it: one of these.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct JsonValue {
    string_value: Option<String>,
    bool_value: Option<bool>,
    int_value: Option<Box<RawValue>>,
    double_value: Option<Box<RawValue>>,
    array_value: Option<List>,
    kvlist_value: Option<Map>,
    bytes_value: Option<String>,
}

impl TryFrom<JsonValue> for AnyValue {
    type Error = String;

    fn try_from(json: JsonValue) -> Result<Self, String> {
        let bytes = |text: String| STANDARD.decode(text).map_err(|error| format!("bytesValue: {error}"));
        let value = None
            .or(json.string_value.map(Value::Text))
            .or(json.bool_value.map(Value::Bool))
            .or(json.int_value.map(|number| parse(&number).map(Value::Int)).transpose()?)
            .or(json.double_value.map(|number| parse(&number).map(Value::Double)).transpose()?)
            .or(json.array_value.map(Value::List))
            .or(json.kvlist_value.map(Value::Map))
            .or(json.bytes_value.map(|text| bytes(text).map(Value::Bytes)).transpose()?);
        Ok(Self { value })
    }
}

/// Parses a number, also one that is written as a text, from its digits: `serde_json` would miss the last bit of some.
fn parse<N: FromStr<Err: Display>>(number: &RawValue) -> Result<N, String> {
    number.get().trim_matches('"').parse().map_err(|error| format!("a number: {error}"))
}

fn number<'de, D: Deserializer<'de>, N: FromStr<Err: Display>>(deserializer: D) -> Result<N, D::Error> {
    parse(&Box::<RawValue>::deserialize(deserializer)?).map_err(D::Error::custom)
}

fn hexadecimal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()
    };
    let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
    bytes.filter(|_| rest.is_empty()).ok_or_else(|| D::Error::custom("an id that is not hexadecimal"))
}

fn as_text<S: serde::Serializer>(number: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonRequest<'b> {
    #[serde(borrow, default)]
    resource_logs: Vec<&'b RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonResourceLogs<'b> {
    #[serde(borrow, default)]
    resource: Option<&'b RawValue>,
    #[serde(borrow, default)]
    scope_logs: Vec<&'b RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonScopeLogs<'b> {
    #[serde(borrow, default)]
    scope: Option<&'b RawValue>,
    #[serde(borrow, default)]
    log_records: Vec<&'b RawValue>,
}

/// Shows each record of a request in JSON with where it comes from.
pub(super) fn visit_json(
    body: &[u8],
    mut each: impl FnMut(&Context<'_>, Result<LogRecord, String>) -> Result<(), OtlpError>,
) -> Result<(), OtlpError> {
    let request: JsonRequest<'_> = serde_json::from_slice(body).map_err(malformed)?;
    for resource_logs in request.resource_logs {
        let resource_logs: JsonResourceLogs<'_> = serde_json::from_str(resource_logs.get()).map_err(malformed)?;
        let resource = Attributes::of_resource(one(resource_logs.resource)?);
        for scope_logs in resource_logs.scope_logs {
            let scope_logs: JsonScopeLogs<'_> = serde_json::from_str(scope_logs.get()).map_err(malformed)?;
            let context = Context::new(&resource, one(scope_logs.scope)?);
            for record in scope_logs.log_records {
                each(&context, decode(record))?;
            }
        }
    }
    Ok(())
}

fn malformed(error: serde_json::Error) -> OtlpError {
    OtlpError::Malformed(error.to_string())
}

fn one<'b, M: Deserialize<'b> + Default>(part: Option<&'b RawValue>) -> Result<M, OtlpError> {
    part.map_or_else(|| Ok(M::default()), |part| decode(part).map_err(OtlpError::Malformed))
}

fn decode<'b, M: Deserialize<'b>>(part: &'b RawValue) -> Result<M, String> {
    if part.get().len() > PART_BYTES_MAX {
        return Err(format!("a record of more than {PART_BYTES_MAX} bytes"));
    }
    serde_json::from_str(part.get()).map_err(|error| error.to_string())
}
