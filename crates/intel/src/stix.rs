//! STIX 2.1 (and 2.0) as JSON: a bundle, an envelope of TAXII, an array, a single object, or several one after another.
//!
//! Objects are read one by one and reduced to what is needed: drafts of indicators, names of identities, techniques of
//! attack patterns, `indicates` relationships. At the end the drafts are resolved, whatever the order was. Of several
//! versions of an object the newest counts (STIX 2.1 §3.6). JSON that breaks off keeps what stood before.
//!
//! Not read: object and granular markings (counted), `kill_chain_phases` (an indicator to be matched has no place for a
//! phase), `description`. Objects of other types are counted by type, not dropped in silence.

use std::collections::HashMap;
use std::fmt;

use cresset_event::{Indicator, IndicatorId, Matcher, Timestamp, Validity};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::collector::Collector;
use crate::findings::Place;
use crate::moment::parse_moment;
use crate::pattern::{Alternative, Comparison, parse_pattern};
use crate::technique::{add_labelled, add_technique};
use crate::text::{NAME_BYTES_MAX, shortened};

/// Longest id: `indicator--` and a UUID have 47 bytes; some makers put names in place of UUIDs.
const ID_BYTES_MAX: usize = 128;
/// Most references that are kept of an object, and the longest; a report and a few vendors' pages.
const REFERENCES_MAX: usize = 8;
const REFERENCE_BYTES_MAX: usize = 512;
/// Most text that the indicators of one object may repeat as references. A pattern of 2,000 comparisons with long
/// references would else fill hundred times the memory of the file; past it the references are left off.
const REPEATED_BYTES_MAX: usize = 1 << 18;

/// Reads STIX objects.
pub(crate) fn read(bytes: &[u8], collector: &mut Collector<'_>) {
    let mut objects = Objects::new(collector);
    let mut json = serde_json::Deserializer::from_slice(bytes);
    loop {
        if let Err(error) = (Top { objects: &mut objects }).deserialize(&mut json) {
            let line = u64::try_from(error.line()).unwrap_or(u64::MAX);
            let reason = format!("not readable as STIX: {error}; the objects before it were read");
            objects.collector.refuse(Place::Line(line), reason, "");
            break;
        }
        if json.end().is_ok() {
            break;
        }
    }
    objects.finish();
}

/// A value at the top of the file.
struct Top<'o, 'c, 'n> {
    objects: &'o mut Objects<'c, 'n>,
}

impl<'de> DeserializeSeed<'de> for Top<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Top<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a STIX bundle, an object or an array of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, members: A) -> Result<(), A::Error> {
        Members { objects: self.objects }.visit_seq(members).map(|_| ())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut rest = Map::new();
        let mut is_envelope = false;
        while let Some(key) = map.next_key::<String>()? {
            if key == "objects" {
                is_envelope |= map.next_value_seed(Members { objects: self.objects })?;
            } else {
                rest.insert(key, map.next_value()?);
            }
        }
        if !is_envelope {
            self.objects.take(Value::Object(rest));
        }
        Ok(())
    }
}

/// The `objects` of a bundle or envelope, read one by one. An `observed-data` of STIX 2.0 has an `objects` too, which is
/// a map: it gives `false`.
struct Members<'o, 'c, 'n> {
    objects: &'o mut Objects<'c, 'n>,
}

impl<'de> DeserializeSeed<'de> for Members<'_, '_, '_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Members<'_, '_, '_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of STIX objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut members: A) -> Result<bool, A::Error> {
        while let Some(member) = members.next_element::<Value>()? {
            self.objects.take(member);
        }
        Ok(true)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(false)
    }
}

/// What was read so far, by what it is needed for.
struct Objects<'c, 'n> {
    collector: &'c mut Collector<'n>,
    drafts: Vec<Draft>,
    /// Position of the newest draft of an id.
    by_id: HashMap<String, usize>,
    identities: HashMap<String, String>,
    techniques: HashMap<String, String>,
    /// The attack patterns that an indicator indicates.
    indicates: HashMap<String, Vec<String>>,
}

/// An `indicator` object, before what it refers to is known.
struct Draft {
    id: String,
    modified: Option<Timestamp>,
    name: Option<String>,
    pattern: String,
    validity: Validity,
    confidence: Option<u8>,
    created_by: Option<String>,
    techniques: Vec<String>,
    references: Vec<String>,
    marked: bool,
}

impl<'c, 'n> Objects<'c, 'n> {
    fn new(collector: &'c mut Collector<'n>) -> Self {
        Self {
            collector,
            drafts: Vec::new(),
            by_id: HashMap::new(),
            identities: HashMap::new(),
            techniques: HashMap::new(),
            indicates: HashMap::new(),
        }
    }

    fn take(&mut self, object: Value) {
        let Value::Object(object) = object else {
            let quote = shortened(&object.to_string(), NAME_BYTES_MAX);
            self.collector.refuse(Place::Object(None), "not a STIX object", &quote);
            return;
        };
        match text(&object, "type") {
            Some("indicator") => self.take_indicator(&object),
            Some("bundle") => self.take_bundle(object),
            Some(stix_type) => {
                self.collector.count_other(stix_type);
                self.take_context(stix_type, &object);
            }
            None => {
                let keys: Vec<&str> = object.keys().take(8).map(String::as_str).collect();
                let reason = "a JSON object without `type` is not STIX";
                self.collector.refuse(Place::Object(text(&object, "id")), reason, &keys.join(", "));
            }
        }
    }

    /// A bundle within an array. Depth is bounded by the JSON reader, which stops at 128.
    fn take_bundle(&mut self, mut bundle: Map<String, Value>) {
        if let Some(Value::Array(members)) = bundle.remove("objects") {
            members.into_iter().for_each(|member| self.take(member));
        }
    }

    fn take_indicator(&mut self, object: &Map<String, Value>) {
        let draft = match Draft::read(object) {
            Ok(draft) => draft,
            Err(reason) => {
                let quote = text(object, "pattern").or_else(|| text(object, "name")).unwrap_or_default();
                self.collector.refuse(Place::Object(text(object, "id")), reason, quote);
                return;
            }
        };
        if let Some(position) = self.by_id.get(&draft.id) {
            self.collector.count_duplicate();
            if draft.modified > self.drafts[*position].modified {
                self.drafts[*position] = draft;
            }
            return;
        }
        self.by_id.insert(draft.id.clone(), self.drafts.len());
        self.drafts.push(draft);
    }

    /// Keeps what indicators refer to.
    fn take_context(&mut self, stix_type: &str, object: &Map<String, Value>) {
        let Some(id) = text(object, "id").filter(|id| id.len() <= ID_BYTES_MAX) else { return };
        match stix_type {
            "identity" => {
                if let Some(name) = text(object, "name") {
                    self.identities.insert(id.to_owned(), shortened(name, NAME_BYTES_MAX));
                }
            }
            "attack-pattern" => {
                let mut found = Vec::new();
                add_referenced(&mut found, object);
                if let Some(technique) = found.pop() {
                    self.techniques.insert(id.to_owned(), technique);
                }
            }
            "relationship" => self.take_relationship(object),
            _ => {}
        }
    }

    fn take_relationship(&mut self, object: &Map<String, Value>) {
        let is_indicates = text(object, "relationship_type") == Some("indicates");
        let is_revoked = object.get("revoked") == Some(&Value::Bool(true));
        let (Some(source), Some(target)) = (text(object, "source_ref"), text(object, "target_ref")) else { return };
        if is_indicates && !is_revoked && target.starts_with("attack-pattern--") && target.len() <= ID_BYTES_MAX {
            self.indicates.entry(source.to_owned()).or_default().push(target.to_owned());
        }
    }

    fn finish(mut self) {
        for draft in std::mem::take(&mut self.drafts) {
            match parse_pattern(&draft.pattern) {
                Ok(alternatives) => self.offer(draft, &alternatives),
                Err(error) => {
                    self.collector.refuse(Place::Object(Some(&draft.id)), error.to_string(), &draft.pattern);
                }
            }
        }
    }

    fn offer(&mut self, mut draft: Draft, alternatives: &[Alternative]) {
        self.resolve_techniques(&mut draft);
        let referenced: usize = draft.references.iter().map(String::len).sum();
        if referenced * alternatives.len() > REPEATED_BYTES_MAX {
            draft.references.clear();
        }
        if draft.marked {
            self.collector.count_marked();
        }
        let id = IndicatorId::from(draft.id.as_str());
        for comparisons in alternatives {
            match joined(comparisons) {
                Ok((matcher, also)) => {
                    let author = draft.created_by.as_ref().and_then(|id| self.identities.get(id));
                    self.collector.offer(Indicator {
                        id: id.clone(),
                        name: draft.name.clone(),
                        matcher,
                        also,
                        validity: draft.validity,
                        author: author.map(|author| author.as_str().into()),
                        confidence: draft.confidence,
                        techniques: draft.techniques.clone(),
                        references: draft.references.clone(),
                        loaded_from: self.collector.name().into(),
                    });
                }
                Err(reason) => self.collector.refuse(Place::Object(Some(&draft.id)), reason, &draft.pattern),
            }
        }
    }

    fn resolve_techniques(&self, draft: &mut Draft) {
        for target in self.indicates.get(&draft.id).into_iter().flatten() {
            if let Some(technique) = self.techniques.get(target) {
                add_technique(&mut draft.techniques, technique);
            }
        }
    }
}

/// Returns what an alternative looks for, its rarest part first, and what else. An error says which part is not matched: the
/// others alone would say something else.
fn joined(comparisons: &Alternative) -> Result<(Matcher, Vec<Matcher>), String> {
    let mut parts: Vec<Matcher> = comparisons.iter().map(Comparison::matcher).collect::<Result<_, _>>()?;
    parts.sort_unstable();
    parts.dedup();
    parts.sort_by_key(how_common);
    let also = parts.split_off(1);
    parts.pop().map(|rarest| (rarest, also)).ok_or_else(|| "there is nothing to look for".to_owned())
}

/// How often events have such a value by chance, from rarely on.
fn how_common(part: &Matcher) -> u8 {
    match part {
        Matcher::FileHash(..) => 0,
        Matcher::Url(_) => 1,
        Matcher::Email(_) => 2,
        Matcher::Domain(_) => 3,
        Matcher::RegistryKey(_) => 4,
        Matcher::Address(network) if network.is_single() => 5,
        Matcher::Process(_) => 6,
        Matcher::FileName(_) => 7,
        Matcher::User(_) => 8,
        Matcher::Address(_) => 9,
    }
}

impl Draft {
    fn read(object: &Map<String, Value>) -> Result<Self, String> {
        let id = text(object, "id").ok_or("an indicator needs an id")?;
        if !id.starts_with("indicator--") || id.len() > ID_BYTES_MAX {
            return Err("the id of an indicator is `indicator--` and a UUID".to_owned());
        }
        match text(object, "pattern_type") {
            None | Some("stix") => {}
            Some(other) => {
                return Err(format!("a pattern of type `{}` is not read, only `stix`", shortened(other, 40)));
            }
        }
        let mut techniques = Vec::new();
        add_referenced(&mut techniques, object);
        texts(object, "labels").for_each(|label| add_labelled(&mut techniques, label));
        Ok(Self {
            id: id.to_owned(),
            modified: moment(object, "modified")?,
            name: text(object, "name").filter(|name| !name.is_empty()).map(|name| shortened(name, NAME_BYTES_MAX)),
            pattern: text(object, "pattern").ok_or("an indicator needs a pattern")?.to_owned(),
            validity: read_validity(object)?,
            confidence: object.get("confidence").and_then(Value::as_u64).and_then(percent),
            created_by: text(object, "created_by_ref").map(|id| shortened(id, ID_BYTES_MAX)),
            techniques,
            references: read_references(object),
            marked: ["object_marking_refs", "granular_markings"].iter().any(|key| !is_empty(object.get(*key))),
        })
    }
}

/// A bound that cannot be read refuses the indicator: without it, it would count when its author says that it does not.
fn read_validity(object: &Map<String, Value>) -> Result<Validity, String> {
    let revoked = match object.get("revoked") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(revoked)) => *revoked,
        Some(_) => return Err("`revoked` is neither true nor false".to_owned()),
    };
    let validity = Validity {
        from_inclusive: moment(object, "valid_from")?,
        until_exclusive: moment(object, "valid_until")?,
        revoked,
    };
    match (validity.from_inclusive, validity.until_exclusive) {
        (Some(from), Some(until)) if until <= from => Err("`valid_until` is not after `valid_from`".to_owned()),
        _ => Ok(validity),
    }
}

fn moment(object: &Map<String, Value>, key: &str) -> Result<Option<Timestamp>, String> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => parse_moment(text)
            .map(Some)
            .ok_or_else(|| format!("`{key}` is not a time in RFC 3339: `{}`", shortened(text, 40))),
        Some(_) => Err(format!("`{key}` is not a time")),
    }
}

fn percent(number: u64) -> Option<u8> {
    u8::try_from(number).ok().filter(|percent| *percent <= 100)
}

/// Adds the ATT&CK techniques that the references name (`source_name` begins with `mitre`, as in `mitre-ics-attack`).
fn add_referenced(techniques: &mut Vec<String>, object: &Map<String, Value>) {
    for reference in members(object, "external_references").filter_map(Value::as_object) {
        if text(reference, "source_name").is_some_and(|name| name.starts_with("mitre")) {
            add_technique(techniques, text(reference, "external_id").unwrap_or_default());
        }
    }
}

fn read_references(object: &Map<String, Value>) -> Vec<String> {
    members(object, "external_references")
        .filter_map(|reference| reference.get("url")?.as_str())
        .filter(|url| !url.is_empty() && url.len() <= REFERENCE_BYTES_MAX)
        .take(REFERENCES_MAX)
        .map(str::to_owned)
        .collect()
}

fn text<'o>(object: &'o Map<String, Value>, key: &str) -> Option<&'o str> {
    object.get(key).and_then(Value::as_str)
}

fn members<'o>(object: &'o Map<String, Value>, key: &str) -> impl Iterator<Item = &'o Value> {
    object.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn texts<'o>(object: &'o Map<String, Value>, key: &str) -> impl Iterator<Item = &'o str> {
    members(object, key).filter_map(Value::as_str)
}

fn is_empty(value: Option<&Value>) -> bool {
    value.and_then(Value::as_array).is_none_or(Vec::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::{FeedKind, Loaded};

    fn stix(json: &str) -> Loaded {
        Loaded::gather(|take| {
            let mut collector = Collector::new("bundle.json", FeedKind::Stix, 0, take);
            read(json.as_bytes(), &mut collector);
            collector.finish()
        })
    }

    /// An indicator for `evil.example` with `more` members, as JSON.
    fn indicator(id: u8, more: &str) -> String {
        let pattern = "[domain-name:value = 'evil.example']";
        format!(r#"{{"type":"indicator","id":"indicator--{id}","pattern_type":"stix","pattern":"{pattern}"{more}}}"#)
    }

    fn check_refused(json: &str, reason: &str) {
        let loaded = stix(json);
        assert_eq!(loaded.indicators, [], "{json}");
        assert!(loaded.feed.refused[0].reason.contains(reason), "{json}: {:?}", loaded.feed.refused);
    }

    #[test]
    fn objects_in_every_wrapping() {
        let one = indicator(1, "");
        for json in [
            one.clone(),
            format!("[{one}]"),
            format!(r#"{{"objects":[{one}],"more":false}}"#),
            format!(r#"{{"type":"bundle","id":"bundle--1","objects":[{one}]}}"#),
            format!(r#"[{{"type":"bundle","objects":[{one}]}}]"#),
            format!("{one}\n{{\"type\":\"malware\"}}\n"),
        ] {
            let loaded = stix(&json);
            assert_eq!(
                (loaded.indicators.len(), loaded.feed.refused.len()),
                (1, 0),
                "{json}: {:?}",
                loaded.feed.refused
            );
        }
    }

    #[test]
    fn what_is_no_indicator_is_counted_by_type() {
        let loaded =
            stix(r#"[{"type":"malware"},{"type":"malware"},{"type":"x-own"},{"type":"observed-data","objects":{}}]"#);
        let counts: Vec<(&str, usize)> =
            loaded.feed.other_objects.iter().map(|(name, n)| (name.as_str(), *n)).collect();
        assert_eq!(counts, [("malware", 2), ("observed-data", 1), ("x-own", 1)]);
        assert_eq!(stix(r#"{"type":"observed-data","objects":{"0":{}}}"#).feed.other_objects["observed-data"], 1);
    }

    #[test]
    fn what_is_referred_to_is_found_in_any_order() {
        let relationship = r#"{"type":"relationship","id":"relationship--1","relationship_type":"indicates",
            "source_ref":"indicator--1","target_ref":"attack-pattern--1"}"#;
        let attack = r#"{"type":"attack-pattern","id":"attack-pattern--1","external_references":
            [{"source_name":"mitre-attack","external_id":"T1071.001"}]}"#;
        let identity = r#"{"type":"identity","id":"identity--1","name":"CERT"}"#;
        let more = r#","created_by_ref":"identity--1","confidence":85,"labels":["attack.t1059"],
            "external_references":[{"source_name":"report","url":"https://reports.example/1"}]"#;
        let one = indicator(1, more);
        for json in [
            format!("[{one},{relationship},{attack},{identity}]"),
            format!("[{identity},{attack},{relationship},{one}]"),
        ] {
            let loaded = stix(&json);
            let found = &loaded.indicators[0];
            assert_eq!(found.author.as_deref(), Some("CERT"));
            assert_eq!(found.techniques, ["T1059", "T1071.001"]);
            assert_eq!((found.confidence, found.references.len()), (Some(85), 1));
        }
    }

    #[test]
    fn the_newest_version_counts() {
        let old = indicator(1, r#","modified":"2024-01-01T00:00:00Z""#);
        let new = indicator(1, r#","modified":"2024-02-01T00:00:00Z","revoked":true"#);
        for json in [format!("[{old},{new}]"), format!("[{new},{old}]")] {
            let loaded = stix(&json);
            assert_eq!((loaded.indicators.len(), loaded.feed.duplicates), (1, 1));
            assert!(loaded.indicators[0].validity.revoked);
        }
    }

    #[test]
    fn what_cannot_be_taken_is_refused_with_its_id() {
        check_refused(&indicator(1, r#","valid_until":"soon""#), "`valid_until` is not a time");
        check_refused(&indicator(1, r#","valid_until":7"#), "`valid_until` is not a time");
        check_refused(&indicator(1, r#","revoked":"yes""#), "`revoked`");
        let backwards = r#","valid_from":"2024-01-01T00:00:00Z","valid_until":"2024-01-01T00:00:00Z""#;
        check_refused(&indicator(1, backwards), "not after");
        check_refused(r#"{"type":"indicator","id":"indicator--1","pattern_type":"yara","pattern":"x"}"#, "`yara`");
        check_refused(r#"{"type":"indicator","id":"indicator--1"}"#, "needs a pattern");
        check_refused(r#"{"type":"indicator","id":"malware--1"}"#, "`indicator--`");
        check_refused(r#"{"type":"indicator"}"#, "needs an id");
        check_refused(r#"{"Event":{"Attribute":[]}}"#, "without `type`");
        check_refused("[1]", "not a STIX object");
        let loaded = stix(&indicator(1, r#","revoked":"yes""#));
        assert_eq!(loaded.feed.refused[0].object.as_deref(), Some("indicator--1"));
        assert_eq!(loaded.feed.refused[0].quote, "[domain-name:value = 'evil.example']");
    }

    #[test]
    fn json_that_breaks_off_keeps_what_stood_before() {
        let loaded = stix(&format!("{{\"objects\":[\n{},\n{{\"type\"", indicator(1, "")));
        assert_eq!((loaded.indicators.len(), loaded.feed.refused.len()), (1, 1));
        assert_eq!(loaded.feed.refused[0].line, Some(3));
    }

    #[test]
    fn marked_indicators_are_counted() {
        let loaded = stix(&indicator(1, r#","object_marking_refs":["marking-definition--1"]"#));
        assert_eq!(loaded.feed.marked, 1);
    }

    #[test]
    fn references_that_would_fill_the_memory_are_left_off() {
        let values = vec!["'a.example'"; 2000].join(",");
        let url = "u".repeat(500);
        let loaded = stix(&format!(
            r#"{{"type":"indicator","id":"indicator--1","pattern":"[domain-name:value IN ({values})]",
            "external_references":[{{"url":"{url}"}}]}}"#
        ));
        assert_eq!((loaded.indicators.len(), loaded.feed.duplicates), (1, 1999));
        assert!(loaded.indicators[0].references.is_empty());
    }
}
