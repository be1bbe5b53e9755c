//! Requests of OpenTelemetry, made by hand in both encodings from one description, and what comes of them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cresset_intake::otlp::{self, Encoding, Logs, OtlpError, Rejected};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::check_golden;

/// A value, as the protocol has them.
#[derive(Debug, Clone)]
enum Value {
    None,
    Text(String),
    Bool(bool),
    Int(i64),
    Double(f64),
    List(Vec<Value>),
    Map(Vec<(String, Value)>),
    Bytes(Vec<u8>),
}

/// A record; what is left out is not sent.
#[derive(Debug, Clone, Default)]
struct Record {
    time: u64,
    observed: u64,
    severity_number: i32,
    severity_text: &'static str,
    body: Option<Value>,
    attributes: Vec<(String, Value)>,
    trace_id: &'static [u8],
    span_id: &'static [u8],
    event_name: &'static str,
}

/// A request of one resource and one scope.
#[derive(Debug, Clone, Default)]
struct Request {
    resource: Vec<(String, Value)>,
    scope: &'static str,
    records: Vec<Record>,
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn named(values: &[(&str, Value)]) -> Vec<(String, Value)> {
    values.iter().map(|(name, value)| ((*name).into(), value.clone())).collect()
}

/// Protobuf, written by hand after its encoding's specification.
mod protobuf {
    use super::{Record, Request, Value};

    fn number(mut number: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while number >= 0x80 {
            bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
        bytes
    }

    /// A field with a length.
    pub(super) fn part(field: u64, bytes: &[u8]) -> Vec<u8> {
        [number(field << 3 | 2), number(bytes.len() as u64), bytes.to_vec()].concat()
    }

    /// A field with a number.
    fn varint(field: u64, value: u64) -> Vec<u8> {
        [number(field << 3), number(value)].concat()
    }

    fn fixed64(field: u64, value: u64) -> Vec<u8> {
        [number(field << 3 | 1), value.to_le_bytes().to_vec()].concat()
    }

    fn value(value: &Value) -> Vec<u8> {
        match value {
            Value::None => Vec::new(),
            Value::Text(text) => part(1, text.as_bytes()),
            Value::Bool(is) => varint(2, u64::from(*is)),
            Value::Int(int) => varint(3, *int as u64),
            Value::Double(double) => fixed64(4, double.to_bits()),
            Value::List(list) => part(5, &list.iter().flat_map(|one| part(1, &self::value(one))).collect::<Vec<_>>()),
            Value::Map(map) => part(6, &named(1, map)),
            Value::Bytes(bytes) => part(7, bytes),
        }
    }

    fn named(field: u64, values: &[(String, Value)]) -> Vec<u8> {
        let pair = |(name, one): &(String, Value)| [part(1, name.as_bytes()), part(2, &value(one))].concat();
        values.iter().flat_map(|one| part(field, &pair(one))).collect()
    }

    pub(super) fn record(record: &Record) -> Vec<u8> {
        let unknown = part(99, b"a field of tomorrow");
        [
            unknown,
            fixed64(1, record.time),
            fixed64(11, record.observed),
            varint(2, record.severity_number as u64),
            part(3, record.severity_text.as_bytes()),
            record.body.as_ref().map(|body| part(5, &value(body))).unwrap_or_default(),
            named(6, &record.attributes),
            part(9, record.trace_id),
            part(10, record.span_id),
            part(12, record.event_name.as_bytes()),
        ]
        .concat()
    }

    /// A request of records that are encoded, the resource behind them, where it may stand as well.
    pub(super) fn request(request: &Request, records: &[Vec<u8>]) -> Vec<u8> {
        let records: Vec<u8> = records.iter().flat_map(|record| part(2, record)).collect();
        let scope_logs = [part(1, &part(1, request.scope.as_bytes())), records].concat();
        let resource = part(1, &named(1, &request.resource));
        part(1, &[part(2, &scope_logs), resource, part(3, b"https://schema.example")].concat())
    }
}

fn json_value(value: &Value) -> Json {
    match value {
        Value::None => json!({}),
        Value::Text(text) => json!({ "stringValue": text }),
        Value::Bool(is) => json!({ "boolValue": is }),
        Value::Int(int) => json!({ "intValue": int.to_string() }),
        Value::Double(double) if double.is_finite() => json!({ "doubleValue": double }),
        Value::Double(double) => json!({ "doubleValue": double.to_string() }),
        Value::List(list) => json!({ "arrayValue": { "values": list.iter().map(json_value).collect::<Vec<_>>() } }),
        Value::Map(map) => json!({ "kvlistValue": { "values": json_named(map) } }),
        Value::Bytes(bytes) => json!({ "bytesValue": STANDARD.encode(bytes) }),
    }
}

fn json_named(values: &[(String, Value)]) -> Vec<Json> {
    values.iter().map(|(key, value)| json!({ "key": key, "value": json_value(value) })).collect()
}

fn json_record(record: &Record) -> Json {
    let hexadecimal = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02X}")).collect::<String>();
    let mut json = json!({
        "ofTomorrow": [1], "timeUnixNano": record.time.to_string(), "observedTimeUnixNano": record.observed,
        "severityNumber": record.severity_number, "severityText": record.severity_text,
        "attributes": json_named(&record.attributes), "eventName": record.event_name,
        "traceId": hexadecimal(record.trace_id), "spanId": hexadecimal(record.span_id),
    });
    if let Some(body) = &record.body {
        json["body"] = json_value(body);
    }
    json
}

fn encode(encoding: Encoding, request: &Request) -> Vec<u8> {
    match encoding {
        Encoding::Protobuf => {
            protobuf::request(request, &request.records.iter().map(protobuf::record).collect::<Vec<_>>())
        }
        Encoding::Json => {
            let records: Vec<Json> = request.records.iter().map(json_record).collect();
            let scope_logs = json!({ "scope": { "name": request.scope }, "logRecords": records });
            let resource = json!({ "attributes": json_named(&request.resource) });
            json!({ "resourceLogs": [{ "resource": resource, "scopeLogs": [scope_logs] }] }).to_string().into_bytes()
        }
    }
}

/// Reads a request in both encodings, which must come to the same.
#[track_caller]
fn parse(request: &Request) -> Logs {
    let parse = |encoding| Logs::parse(encoding, &encode(encoding, request)).expect("a request");
    let logs = parse(Encoding::Protobuf);
    assert_eq!(logs, parse(Encoding::Json));
    assert_eq!(logs.records, request.records.len() as u64);
    logs
}

fn of(record: Record) -> Request {
    Request { records: vec![record], ..Request::default() }
}

/// Checks which document a record becomes.
#[track_caller]
fn check_document(request: Request, expected: Json) {
    let logs = parse(&request);
    assert_eq!((logs.rejected, logs.texts.as_slice()), (Rejected::default(), &b""[..]));
    assert!(logs.docs.ends_with(b"\n"));
    assert_eq!(serde_json::from_slice::<Json>(&logs.docs).expect("one document"), expected);
}

/// Checks which line of text a record becomes.
#[track_caller]
fn check_text(record: Record, expected: &str) {
    let logs = parse(&of(record));
    assert_eq!((logs.rejected, logs.docs.as_slice()), (Rejected::default(), &b""[..]));
    assert_eq!(String::from_utf8(logs.texts).expect("UTF-8"), expected);
}

#[track_caller]
fn check_rejects(record: Record, reason: &str) {
    let logs = parse(&of(record));
    assert_eq!((logs.docs.len(), logs.texts.len(), logs.rejected.records), (0, 0, 1));
    assert_eq!(logs.rejected.reason.as_deref(), Some(reason));
}

/// What the Python SDK sends for `logger.emit(LogRecord(…))`.
fn of_the_sdk(body: Option<Value>) -> Request {
    let record = Record {
        time: 1_795_503_600_123_456_789,
        observed: 1_795_503_601_000_000_000,
        severity_number: 13,
        severity_text: "WARN",
        body,
        attributes: named(&[
            ("user.name", text("alice")),
            ("exception.type", text("ValueError")),
            ("n", Value::Int(i64::MAX)),
        ]),
        trace_id: &[0xab; 16],
        span_id: &[1; 8],
        event_name: "login",
    };
    let resource = [
        ("telemetry.sdk.language", text("python")),
        ("service.name", text("shop")),
        ("service.instance.id", text("5d27")),
        ("host.name", text("web1")),
        ("os.type", text("linux")),
    ];
    Request { resource: named(&resource), scope: "my.scope", records: vec![record] }
}

#[test]
fn a_record_of_an_sdk_gets_the_names_of_ecs() {
    let expected = json!({
        "@timestamp": "2026-11-24T07:00:00.123456789Z", "message": "plain text", "log.level": "WARN",
        "event.severity": 13, "event.action": "login", "trace.id": "ab".repeat(16), "span.id": "01".repeat(8),
        "user.name": "alice", "error.type": "ValueError", "n": i64::MAX, "log.logger": "my.scope",
        "service.name": "shop", "service.node.name": "5d27", "host.name": "web1", "host.os.platform": "linux",
    });
    check_document(of_the_sdk(Some(text("plain text"))), expected.clone());
    let mut without_body = expected.clone();
    without_body.as_object_mut().expect("an object").remove("message");
    check_document(of_the_sdk(None), without_body);
    let mut number = expected;
    number["message"] = json!("12");
    check_document(of_the_sdk(Some(Value::Int(12))), number);
}

#[test]
fn a_body_that_is_an_object_is_that_object() {
    let record = |body: &str| Record { body: Some(text(body)), severity_number: 9, ..Record::default() };
    let logs = parse(&of(record(" {\"a\":\n {\"b\": [1,\r\n 2]}}\n")));
    assert_eq!(String::from_utf8_lossy(&logs.docs), "{\"a\":  {\"b\": [1,   2]}}\n");
    check_document(of(record("{\"a\":1")), json!({ "message": "{\"a\":1", "log.level": "INFO", "event.severity": 9 }));
    check_document(of(record("[1]")), json!({ "message": "[1]", "log.level": "INFO", "event.severity": 9 }));
}

#[test]
fn a_body_that_is_a_map_keeps_its_names() {
    let list = Value::List(vec![Value::Bool(true), Value::None, Value::Double(2.5), Value::Double(f64::NAN)]);
    let body = Value::Map(named(&[
        ("log.level", text("its own")),
        ("b", list),
        ("raw", Value::Bytes(vec![0, 255])),
        ("user", Value::Map(named(&[("name", text("bob"))]))),
    ]));
    let attributes = named(&[("user.name", text("alice")), ("z", Value::Int(1)), ("ä.ö", Value::None)]);
    let record = Record { body: Some(body), severity_text: "warn", attributes, ..Record::default() };
    let expected = json!({
        "log.level": "its own", "record.log.level": "warn", "b": [true, null, 2.5, "NaN"], "raw": "AP8=",
        "user": { "name": "bob" }, "attributes.user.name": "alice", "z": 1, "ä.ö": null,
    });
    check_document(of(record), expected);
}

#[test]
fn a_windows_event_has_the_shape_of_an_event_log() {
    let data = Value::Map(named(&[("CommandLine", text("whoami /all"))]));
    let body = Value::Map(named(&[
        ("event_id", Value::Map(named(&[("id", Value::Int(1)), ("qualifiers", Value::Int(0))]))),
        ("provider", Value::Map(named(&[("name", text("Microsoft-Windows-Sysmon")), ("event_source", text(""))]))),
        ("channel", text("Microsoft-Windows-Sysmon/Operational")),
        ("computer", text("ws1.example")),
        ("system_time", text("2026-11-24T07:00:00.123Z")),
        ("event_data", data),
    ]));
    let record = Record { time: 1_795_503_600_123_000_000, body: Some(body), severity_number: 9, ..Record::default() };
    let system = json!({
        "EventID": 1, "Qualifiers": 0, "Channel": "Microsoft-Windows-Sysmon/Operational", "Computer": "ws1.example",
        "Provider": { "#attributes": { "Name": "Microsoft-Windows-Sysmon" } },
        "TimeCreated": { "#attributes": { "SystemTime": "2026-11-24T07:00:00.123Z" } },
    });
    let expected = json!({
        "Event": { "System": system, "EventData": { "CommandLine": "whoami /all" } },
        "@timestamp": "2026-11-24T07:00:00.123Z", "log.level": "INFO", "event.severity": 9,
    });
    check_document(of(record), expected);
}

#[test]
fn a_line_of_a_file_stays_that_line() {
    let bare = |body: &str| Record { body: Some(text(body)), observed: 7, ..Record::default() };
    check_text(bare("Nov 24 07:00:00 h sshd[1]: m"), "Nov 24 07:00:00 h sshd[1]: m\n");
    check_text(bare("Traceback\n  line\n"), "Traceback#012  line\n");
    let of_filelog = named(&[("log.file.name", text("auth.log")), ("log.file.path", text("/var/log/auth.log"))]);
    check_text(Record { attributes: of_filelog, ..bare("a line") }, "a line\n");
    let bytes = Record { body: Some(Value::Bytes(b"<34>bytes".to_vec())), ..Record::default() };
    check_text(bytes, "<34>bytes\n");
    let of_syslog = named(&[("hostname", text("h")), ("priority", Value::Int(34))]);
    let syslog = Record { time: 7, severity_number: 17, attributes: of_syslog, ..bare("<34>Nov 24 07:00:00 h p: m") };
    check_text(syslog, "<34>Nov 24 07:00:00 h p: m\n");
}

#[test]
fn a_line_that_somebody_read_is_an_object() {
    let attributes = named(&[("action", text("login"))]);
    let record = Record { body: Some(text("a line")), observed: 1_000_000_000, attributes, ..Record::default() };
    check_document(of(record), json!({ "message": "a line", "action": "login", "@timestamp": "1970-01-01T00:00:01Z" }));
    let far = Record { body: Some(text("a line")), time: u64::MAX, ..Record::default() };
    check_document(of(far), json!({ "message": "a line", "@timestamp": "18446744073709551615" }));
}

#[test]
fn a_record_that_says_nothing_is_rejected() {
    check_rejects(Record { severity_number: 9, ..Record::default() }, "a record without a body, attributes or a name");
    check_rejects(Record { body: Some(text("\n")), ..Record::default() }, "a record with an empty body");
}

/// A list in a list, and so on.
fn nested(depth: usize) -> Value {
    (0..depth).fold(Value::Int(1), |inner, _| Value::List(vec![inner]))
}

#[test]
fn a_record_that_is_damaged_costs_itself_alone() {
    let good = Record { body: Some(text("<34>good")), ..Record::default() };
    let deep = Record { body: Some(nested(200)), ..Record::default() };
    let long = Record { body: Some(text(&"a".repeat(1 << 20))), ..Record::default() };
    let request = Request { records: vec![good.clone(), deep, long, good.clone()], ..Request::default() };
    for encoding in [Encoding::Protobuf, Encoding::Json] {
        let logs = Logs::parse(encoding, &encode(encoding, &request)).expect("a request");
        assert_eq!((logs.records, logs.rejected.records), (4, 2), "{encoding:?}");
        assert_eq!(String::from_utf8_lossy(&logs.texts), "<34>good\n<34>good\n");
    }
    let record = protobuf::record(&good);
    let records = [record.clone(), record[..record.len() - 1].to_vec(), b"\xff".to_vec(), record];
    let logs = Logs::parse(Encoding::Protobuf, &protobuf::request(&Request::default(), &records)).expect("a request");
    assert_eq!((logs.records, logs.rejected.records, logs.texts.len()), (4, 2, 18));
    let records = json!([{ "body": { "stringValue": "<34>a" } }, { "body": 7 }, { "traceId": "xy" }]);
    let json = json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": records }] }] }).to_string();
    let logs = Logs::parse(Encoding::Json, json.as_bytes()).expect("a request");
    assert_eq!((logs.records, logs.rejected.records, logs.texts.as_slice()), (3, 2, &b"<34>a\n"[..]));
}

/// Reading numbers through `serde_json` lost the last bit of this one.
#[test]
fn a_number_keeps_each_of_its_bits() {
    let value = 9.727205046451951e-70;
    let logs =
        parse(&of(Record { body: Some(Value::Map(named(&[("n", Value::Double(value))]))), ..Record::default() }));
    assert_eq!(String::from_utf8_lossy(&logs.docs), "{\"n\":9.727205046451951e-70}\n");
}

#[test]
fn nesting_that_any_sender_has_is_read() {
    check_document(of(Record { body: Some(Value::Map(named(&[("a", nested(20))]))), ..Record::default() }), {
        json!({ "a": (0..20).fold(json!(1), |inner, _| json!([inner])) })
    });
}

#[test]
fn what_is_no_request_is_refused() {
    for (encoding, body) in [
        (Encoding::Protobuf, &b"\x0a\x05\x01"[..]),
        (Encoding::Protobuf, b"{\"resourceLogs\":[]}"),
        (Encoding::Json, b""),
        (Encoding::Json, b"\x0a\x00"),
        (Encoding::Json, b"{\"resourceLogs\":[{\"scopeLogs\":7}]}"),
    ] {
        let error = Logs::parse(encoding, body).expect_err("no request");
        assert!(matches!(error, OtlpError::Malformed(_)), "{error}");
        assert_eq!(error.answer(encoding).status, 400);
    }
    for (encoding, body) in [(Encoding::Protobuf, &b""[..]), (Encoding::Json, b"{}")] {
        assert_eq!(Logs::parse(encoding, body), Ok(Logs::default()), "an empty request is one");
    }
}

#[test]
fn what_is_said_once_of_all_does_not_fill_the_memory() {
    let resource = named(&[("a", text(&"r".repeat(1 << 19)))]);
    let record = Record { body: Some(text("m")), severity_number: 9, ..Record::default() };
    let request = Request { resource, records: vec![record; 300], ..Request::default() };
    let error = Logs::parse(Encoding::Protobuf, &encode(Encoding::Protobuf, &request)).expect_err("150 MiB");
    assert_eq!((error.clone(), error.answer(Encoding::Json).status), (OtlpError::TooLarge, 413));
}

#[test]
fn answers_are_those_of_the_protocol() {
    let mut rejected = Rejected::default();
    check_golden("otlp_taken.json", &otlp::answer(Encoding::Json, &rejected));
    check_golden("otlp_taken.pb", &otlp::answer(Encoding::Protobuf, &rejected));
    rejected.add("a record \"that\" cannot be read");
    rejected.add("another");
    check_golden("otlp_partial.json", &otlp::answer(Encoding::Json, &rejected));
    check_golden("otlp_partial.pb", &otlp::answer(Encoding::Protobuf, &rejected));
    check_golden("otlp_refused.json", &otlp::refuse(Encoding::Json, 401, "who are you?"));
    check_golden("otlp_busy.pb", &otlp::busy(Encoding::Protobuf));
}

#[test]
fn a_reason_is_as_long_as_one_reads() {
    let mut rejected = Rejected::default();
    rejected.add("é".repeat(400));
    assert_eq!(rejected.reason, Some("é".repeat(250)));
}

#[test]
fn media_types() {
    assert_eq!(Encoding::parse("application/json; charset=utf-8"), Some(Encoding::Json));
    assert_eq!(Encoding::parse("Application/X-Protobuf"), Some(Encoding::Protobuf));
    assert_eq!((Encoding::parse("text/plain"), Encoding::parse("")), (None, None));
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::None),
        "[ -~\n\r\0é]{0,12}".prop_map(Value::Text),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<f64>().prop_map(Value::Double),
        prop::collection::vec(any::<u8>(), 0..6).prop_map(Value::Bytes),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let named = prop::collection::vec((name(), inner.clone()), 0..4);
        prop_oneof![prop::collection::vec(inner, 0..4).prop_map(Value::List), named.prop_map(Value::Map)]
    })
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(&["message", "log.level", "event_id", "channel", "host.name"][..]).prop_map(str::to_owned),
        "[a-c.é]{0,4}"
    ]
}

prop_compose! {
    fn record()(
        body in prop::option::of(value()),
        attributes in prop::collection::vec((name(), value()), 0..4),
        times in (prop::option::of(any::<u64>()), any::<u64>()),
        severity_number in prop_oneof![Just(0), -1..30],
    ) -> Record {
        Record { body, attributes, time: times.0.unwrap_or(0), observed: times.1, severity_number, ..Record::default() }
    }
}

proptest! {
    #[test]
    fn both_encodings_come_to_the_same(
        records in prop::collection::vec(record(), 0..5),
        resource in prop::collection::vec((name(), value()), 0..3),
    ) {
        parse(&Request { resource, scope: "s", records });
    }

    #[test]
    fn each_record_is_a_line_or_counted(records in prop::collection::vec(record(), 0..8)) {
        let logs = parse(&Request { records, ..Request::default() });
        let lines = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        prop_assert_eq!(lines(&logs.docs) + lines(&logs.texts) + logs.rejected.records, logs.records);
        for document in logs.docs.split_inclusive(|byte| *byte == b'\n') {
            prop_assert!(serde_json::from_slice::<Json>(document).is_ok_and(|document| document.is_object()));
        }
    }

    #[test]
    fn any_bytes_are_a_request_or_an_error(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        at in any::<prop::sample::Index>(),
    ) {
        let _ = Logs::parse(Encoding::Protobuf, &bytes);
        let _ = Logs::parse(Encoding::Json, &bytes);
        // And one that is nearly a request.
        for encoding in [Encoding::Protobuf, Encoding::Json] {
            let mut body = encode(encoding, &of_the_sdk(Some(text("plain text"))));
            let at = at.index(body.len());
            body[at] = bytes.first().copied().unwrap_or_default();
            if let Ok(logs) = Logs::parse(encoding, &body) {
                prop_assert!(logs.records >= logs.rejected.records);
            }
        }
    }
}
