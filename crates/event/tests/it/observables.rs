//! What an event yields as observables.

use std::sync::Arc;

use cresset_event::{EventBuilder, FieldNames, Origin, Value};
use proptest::prelude::*;

/// Checks the observables of an event with one field, as `type=value`.
#[track_caller]
fn check_yields(field: &str, value: &str, expected: &[&str]) {
    let mut builder = EventBuilder::new(Arc::new(FieldNames::new()));
    builder.push(field, Value::Str(value));
    let event = builder.finish(Origin::default());
    let found: Vec<String> = event.observables().iter().map(|o| format!("{}={}", o.kind, o.value)).collect();
    assert_eq!(found, expected, "{field}={value}");
}

#[test]
fn by_the_name_of_the_field() {
    check_yields("DestinationIp", "::ffff:192.0.2.1", &["ipv4-addr=192.0.2.1"]);
    check_yields("SourceIp", "FE80::1%12", &["ipv6-addr=fe80::1"]);
    check_yields("src_ip", "-", &[]);
    check_yields("QueryName", "Evil.Example.", &["domain-name=evil.example"]);
    check_yields("cs-host", "192.0.2.1:8080", &["ipv4-addr=192.0.2.1"]);
    check_yields("Image", r"C:\Temp\a.exe", &[r"process=C:\Temp\a.exe", "file:name=a.exe"]);
    check_yields("TargetObject", r"HKLM\Software\Run", &[r"windows-registry-key=HKLM\Software\Run"]);
    check_yields("User", r"EXAMPLE\bob", &[r"user-account=EXAMPLE\bob"]);
    let (md5, sha1) = ("0".repeat(32), "A".repeat(40));
    check_yields(
        "Hashes",
        &format!("SHA1={sha1},MD5={md5},IMPHASH={md5},CRC=1"),
        &[
            &format!("file:hashes.'SHA-1'={}", sha1.to_lowercase()),
            &format!("file:hashes.MD5={md5}"),
            &format!("file:hashes.IMPHASH={md5}"),
        ],
    );
    check_yields("fileinfo.sha256", &"b".repeat(64), &[&format!("file:hashes.'SHA-256'={}", "b".repeat(64))]);
    check_yields("mailfrom", "<Bob@Evil.example>", &["email-addr=bob@evil.example", "domain-name=evil.example"]);
}

#[test]
fn inside_running_text() {
    check_yields(
        "CommandLine",
        "powershell -c \"iwr('http://user@Evil.example:8080/a?b')\" 192.0.2.9:443 1.2.3",
        &["url=http://user@Evil.example:8080/a?b", "domain-name=evil.example", "ipv4-addr=192.0.2.9"],
    );
}

#[test]
fn by_the_form_of_the_value_where_the_name_tells_nothing() {
    check_yields("x.y", "192.0.2.1", &["ipv4-addr=192.0.2.1"]);
    check_yields("x.y", "https://[2001:db8::1]:443/", &["url=https://[2001:db8::1]:443/", "ipv6-addr=2001:db8::1"]);
    check_yields("x.y", "a@b.example", &["email-addr=a@b.example", "domain-name=b.example"]);
    check_yields("x.y", "plain words", &[]);
    check_yields("ProcessGuid", "192.0.2.1", &[]);
    check_yields("Event.#attributes.xmlns", "http://schemas.example/win/2004/08/events/event", &[]);
}

proptest! {
    #[test]
    fn any_value_of_any_field_is_read_without_a_panic(
        field in prop::sample::select(vec!["SourceIp", "query", "url", "mailfrom", "Image", "Hashes", "CommandLine", "x", "md5"]),
        value in "\\PC{0,80}",
    ) {
        let mut builder = EventBuilder::new(Arc::new(FieldNames::new()));
        builder.push(field, Value::Str(&value));
        builder.finish(Origin::default()).observables();
    }
}
