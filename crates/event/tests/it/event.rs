//! Events, their names and their identity.

use std::sync::Arc;

use cresset_event::{
    Event, EventBuilder, EventTime, FIELD_NAMES_MAX, FieldNames, Origin, Source, SourceIdentity, Subject, Timestamp,
    Value,
};
use proptest::prelude::*;

fn build(fields: &[(&str, &str)], origin: Origin) -> Event {
    let mut builder = EventBuilder::new(Arc::new(FieldNames::new()));
    fields.iter().for_each(|(name, value)| builder.push(name, Value::Str(value)));
    builder.finish(origin)
}

fn origin(identity: SourceIdentity, record: u64, offset: u64) -> Origin {
    Origin { source: Arc::new(Source { name: "a".into(), identity }), record, offset, ..Origin::default() }
}

#[test]
fn names_past_the_bound_are_still_found() {
    let names = Arc::new(FieldNames::new());
    for i in 0..FIELD_NAMES_MAX {
        assert!(names.intern(&format!("n{i}")).is_some());
    }
    let mut builder = EventBuilder::new(Arc::clone(&names));
    builder.push("late", Value::Str("value"));
    builder.push("n7", Value::Int(7));
    let event = builder.finish(Origin::default());
    assert_eq!(names.len(), FIELD_NAMES_MAX);
    assert_eq!(event.get("late").collect::<Vec<_>>(), [Value::Str("value")]);
    assert_eq!(event.text("n7").as_deref(), Some("7"));
    let shown: Vec<String> = event.fields().map(|field| field.name.into_owned()).collect();
    assert_eq!(shown, ["late", "n7"]);
}

#[test]
fn an_alias_is_found_and_neither_shown_nor_hashed() {
    let names = Arc::new(FieldNames::new());
    let mut builder = EventBuilder::new(Arc::clone(&names));
    builder.push("NewProcessName", Value::Str("a.exe"));
    builder.push("NewProcessName", Value::Str("b.exe"));
    let ids = ["NewProcessName", "Image", "None"].map(|name| names.intern(name).expect("room"));
    assert!(builder.alias(ids[0], ids[1]));
    assert!(!builder.alias(ids[2], ids[1]));
    let event = builder.finish(Origin::default());
    assert_eq!(event.get("Image").count(), 2);
    assert_eq!(event.fields().count(), 2);
    assert_eq!(event.id(), build(&[("NewProcessName", "a.exe"), ("NewProcessName", "b.exe")], Origin::default()).id());
}

#[test]
fn the_same_record_read_again_has_the_same_id() {
    let file = SourceIdentity::of_file(1, 2, b"head");
    let first = build(&[("a", "1")], origin(file, 5, 100));
    let again = Origin {
        arrived: Timestamp::from_nanos(99),
        time: EventTime::Known(Timestamp::from_nanos(1)),
        ..origin(file, 5, 100)
    };
    assert_eq!(first.id(), build(&[("a", "1")], again).id());
    assert_eq!(first.id().to_string().as_bytes()[14], b'8', "a UUID of version 8");
}

#[test]
fn two_identical_log_ins_in_one_second_are_two() {
    let file = SourceIdentity::of_file(1, 2, b"head");
    let event = |record, offset| build(&[("message", "Failed password")], origin(file, record, offset)).id();
    assert_ne!(event(1, 0), event(2, 16));
    assert_ne!(
        build(&[("a", "1")], origin(SourceIdentity::of_file(1, 3, b"head"), 1, 0)).id(),
        build(&[("a", "1")], origin(file, 1, 0)).id()
    );
    // A cleared event log counts from 1 again.
    let numbered = |content| build(&[("a", content)], origin(SourceIdentity::Numbered, 1, 0)).id();
    assert_ne!(numbered("before"), numbered("after"));
}

proptest! {
    #[test]
    fn what_is_pushed_is_found(fields in proptest::collection::vec(("[a-e.]{1,4}", "\\PC{0,20}"), 0..20)) {
        let pairs: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let event = build(&pairs, Origin::default());
        for (name, _) in &pairs {
            let expected: Vec<Value<'_>> =
                pairs.iter().filter(|(other, _)| other == name).map(|(_, value)| Value::Str(value)).collect();
            prop_assert_eq!(event.get(name).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn ids_tell_field_boundaries(a in "[ab]{0,3}", b in "[ab]{0,3}", c in "[ab]{0,3}", d in "[ab]{0,3}") {
        let left = build(&[("x", &a), ("y", &b)], Origin::default()).id();
        let right = build(&[("x", &c), ("y", &d)], Origin::default()).id();
        prop_assert_eq!(left == right, a == c && b == d);
    }
}

#[test]
fn the_host_is_the_machine_that_acted_and_of_a_servers_own_log_the_server() {
    let host =
        |fields: &[(&str, &str)]| build(fields, Origin::default()).subject(Subject::Host).map(|host| host.into_owned());
    let [client, server] = ["192.0.2.7", "192.0.2.80"];
    let suricata = [("event_type", "http"), ("src_ip", client), ("dest_ip", server), ("cs-host", "a.example")];
    assert_eq!(host(&suricata).as_deref(), Some(client));
    let answered = [("event_type", "alert"), ("src_ip", server), ("dest_ip", client), ("flow.src_ip", client)];
    assert_eq!(host(&answered).as_deref(), Some(client));
    let zeek = [("id.orig_h", client), ("id.resp_h", server), ("host", "a.example")];
    assert_eq!(host(&zeek).as_deref(), Some(client));
    let access_log = [("cs-host", "www.example"), ("c-ip", client), ("src_ip", client)];
    assert_eq!(host(&access_log).as_deref(), Some("www.example"));
    assert_eq!(host(&[("host", "web1"), ("src_ip", client), ("dest_ip", server)]).as_deref(), Some("web1"));
    assert_eq!(host(&[("c-ip", client), ("src_ip", client)]), None);
}
