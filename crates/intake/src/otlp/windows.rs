//! Windows events as the collector's `windowseventlog` receiver lays them out, put into the shape that event logs have.
//!
//! Its body is a map in words of its own: `event_id.id`, `provider.name`, `event_data` by name or as a list of names
//! and texts (`event_data_format`), `user_data` under `xml_name`. What `evtx_dump` writes, `Event.System` and
//! `Event.EventData`, is what `ingest` reads, so an event has the same names by whichever way it came. What has no
//! place there (`message`, `details` …) stays beside it, under its own name.

use serde_json::{Map, Value as Json, json};

/// Where parts of the system's section stand in the receiver's map, and in the event log.
const SYSTEM: &[(&[&str], &[&str])] = &[
    (&["event_id", "id"], &["EventID"]),
    (&["event_id", "qualifiers"], &["Qualifiers"]),
    (&["provider", "name"], &["Provider", "#attributes", "Name"]),
    (&["provider", "guid"], &["Provider", "#attributes", "Guid"]),
    (&["provider", "event_source"], &["Provider", "#attributes", "EventSourceName"]),
    (&["system_time"], &["TimeCreated", "#attributes", "SystemTime"]),
    (&["execution", "process_id"], &["Execution", "#attributes", "ProcessID"]),
    (&["execution", "thread_id"], &["Execution", "#attributes", "ThreadID"]),
    (&["security", "user_id"], &["Security", "#attributes", "UserID"]),
    (&["correlation", "activity_id"], &["Correlation", "#attributes", "ActivityID"]),
    (&["correlation", "related_activity_id"], &["Correlation", "#attributes", "RelatedActivityID"]),
    (&["computer"], &["Computer"]),
    (&["channel"], &["Channel"]),
    (&["record_id"], &["EventRecordID"]),
    (&["task"], &["Task"]),
    (&["opcode"], &["Opcode"]),
    (&["keywords"], &["Keywords"]),
    (&["version"], &["Version"]),
    (&["level"], &["Level"]),
];

/// What the receiver calls a level where it renders it, and its number in an event log.
const LEVELS: [(&str, u8); 5] = [("Critical", 1), ("Error", 2), ("Warning", 3), ("Information", 4), ("Verbose", 5)];

/// Returns the body of a record in the shape of an event log where it is the receiver's; any other as it is.
pub(super) fn shaped(mut body: Map<String, Json>) -> Map<String, Json> {
    let is_event = body.get("event_id").is_some_and(|id| id.get("id").is_some())
        && body.get("channel").is_some_and(Json::is_string)
        && body.get("provider").is_some_and(Json::is_object);
    if !is_event {
        return body;
    }
    let mut event = Map::new();
    event.insert("System".into(), system(&mut body).into());
    if let Some(data) = body.remove("event_data") {
        event.insert("EventData".into(), event_data(data));
    }
    if let Some(Json::Object(mut data)) = body.remove("user_data") {
        let name = data.remove("xml_name").and_then(|name| name.as_str().map(str::to_owned));
        event.insert("UserData".into(), json!({ name.unwrap_or_else(|| "UserData".into()): data }));
    }
    body.insert("Event".into(), event.into());
    body
}

/// Takes the system's section out of the receiver's map.
fn system(body: &mut Map<String, Json>) -> Map<String, Json> {
    let mut system = Map::new();
    for (from, to) in SYSTEM {
        if let Some(value) = take(body, from).filter(|value| !is_nothing(value)) {
            put(&mut system, to, value);
        }
    }
    let number = system.get("Level").and_then(Json::as_str).and_then(level);
    if let Some(number) = number {
        system.insert("Level".into(), number.into());
    }
    system
}

/// Values that the receiver writes where the event has none.
fn is_nothing(value: &Json) -> bool {
    value.is_null() || value.as_str() == Some("")
}

fn level(name: &str) -> Option<u8> {
    LEVELS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number).or_else(|| name.parse().ok())
}

/// Takes a value out of nested maps; those that become empty go with it.
fn take(map: &mut Map<String, Json>, path: &[&str]) -> Option<Json> {
    let (first, rest) = path.split_first()?;
    if rest.is_empty() {
        return map.remove(*first);
    }
    let inner = map.get_mut(*first)?.as_object_mut()?;
    let value = take(inner, rest);
    if inner.is_empty() {
        map.remove(*first);
    }
    value
}

/// Puts a value into nested maps.
fn put(map: &mut Map<String, Json>, path: &[&str], value: Json) {
    let Some((first, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        map.insert((*first).into(), value);
        return;
    }
    if let Some(inner) = map.entry(*first).or_insert_with(|| json!({})).as_object_mut() {
        put(inner, rest, value);
    }
}

/// Returns the event's data by name. In a list each has one name, or none, and then the place that it has among those.
fn event_data(data: Json) -> Json {
    let Json::Object(mut data) = data else { return data };
    match data.remove("data") {
        Some(Json::Array(list)) => {
            let mut unnamed = 0;
            for (name, value) in list.into_iter().filter_map(|one| one.as_object().cloned()).flatten() {
                unnamed += usize::from(name.is_empty());
                data.insert(if name.is_empty() { format!("param{unnamed}") } else { name }, value);
            }
        }
        // An event whose own data have that name.
        Some(other) => drop(data.insert("data".into(), other)),
        None => {}
    }
    data.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_shapes(body: Json, expected: Json) {
        let Json::Object(body) = body else { panic!("a map") };
        assert_eq!(Json::Object(shaped(body)), expected);
    }

    #[test]
    fn an_event_takes_the_shape_of_an_event_log() {
        let body = json!({
            "event_id": { "qualifiers": 0, "id": 1 },
            "provider": { "name": "Microsoft-Windows-Sysmon", "guid": "{5770385F}", "event_source": "" },
            "system_time": "2026-11-24T07:00:00.1234567Z", "computer": "ws1.example", "record_id": 77,
            "channel": "Microsoft-Windows-Sysmon/Operational", "level": "Information", "message": "Process Create",
            "task": "1", "opcode": "Info", "keywords": ["0x8000000000000000"], "version": 5,
            "execution": { "process_id": 2000, "thread_id": 3000 }, "security": { "user_id": "S-1-5-18" },
            "event_data": { "Image": "C:\\whoami.exe", "CommandLine": "whoami /all" },
        });
        let system = json!({
            "EventID": 1, "Qualifiers": 0, "Channel": "Microsoft-Windows-Sysmon/Operational", "Computer": "ws1.example",
            "EventRecordID": 77, "Level": 4, "Task": "1", "Opcode": "Info", "Keywords": ["0x8000000000000000"],
            "Version": 5,
            "Provider": { "#attributes": { "Name": "Microsoft-Windows-Sysmon", "Guid": "{5770385F}" } },
            "TimeCreated": { "#attributes": { "SystemTime": "2026-11-24T07:00:00.1234567Z" } },
            "Execution": { "#attributes": { "ProcessID": 2000, "ThreadID": 3000 } },
            "Security": { "#attributes": { "UserID": "S-1-5-18" } },
        });
        let data = json!({ "Image": "C:\\whoami.exe", "CommandLine": "whoami /all" });
        let event = json!({ "System": system, "EventData": data });
        check_shapes(body, json!({ "Event": event, "message": "Process Create" }));
    }

    #[test]
    fn data_in_a_list_get_their_names_back() {
        let data = json!({ "data": [{ "User": "alice" }, { "": "one" }, { "": "two" }], "binary": "00" });
        let expected = json!({ "User": "alice", "param1": "one", "param2": "two", "binary": "00" });
        assert_eq!(event_data(data), expected);
        assert_eq!(event_data(json!({ "data": "its own" })), json!({ "data": "its own" }));
    }

    #[test]
    fn the_data_of_a_user_stand_under_their_element() {
        let body = json!({
            "event_id": { "id": 1102 }, "provider": {}, "channel": "Security",
            "user_data": { "xml_name": "LogFileCleared", "SubjectUserName": "mallory" },
        });
        let Json::Object(body) = body else { panic!("a map") };
        let expected = json!({ "LogFileCleared": { "SubjectUserName": "mallory" } });
        assert_eq!(shaped(body)["Event"]["UserData"], expected);
    }

    #[test]
    fn other_maps_stay_as_they_are() {
        for body in [json!({ "event_id": 7, "channel": "Security" }), json!({ "a": { "b": 1 } }), json!({})] {
            check_shapes(body.clone(), body);
        }
    }
}
