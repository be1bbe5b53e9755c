//! Windows events in the shapes that JSON has them: nested as in their XML, winlogbeat's, and flat.
//!
//! All come out alike: `EventID`, `Channel`, `Computer`, `Provider_Name`, `EventRecordID` and the event's own data under
//! their plain names. Nested is what `evtx_dump` and this crate's own EVTX reader give (`Event.System`,
//! `Event.EventData`); winlogbeat's is `winlog.event_data`; flat is what NXLog and the public attack data sets have.

use std::collections::HashMap;
use std::sync::Arc;

use cresset_event::{EventBuilder, EventTime, FieldId, FieldNames, LogSource, Value};

use crate::format::FormatInfo;
use crate::json_lines::{Shape, intern_all, time_of};
use crate::taxonomy::Taxonomy;

pub(crate) const INFO: FormatInfo = FormatInfo {
    name: "windows-json",
    title: "Windows events as JSON: nested (Event.System, Event.EventData), winlogbeat (winlog.event_data), or flat",
    example: r#"{"EventID":1,"Channel":"Microsoft-Windows-Sysmon/Operational","Computer":"ws1.example","Image":"C:\\Windows\\System32\\whoami.exe","CommandLine":"whoami /all","UtcTime":"2026-11-24 07:00:00.000"}"#,
};

/// Names that are not only a prefix away from the plain one.
const RENAMED: &[(&str, &str)] = &[
    ("Event.System.EventID.#text", "EventID"),
    ("Event.System.EventID.Value", "EventID"),
    ("Event.System.Provider.#attributes.Name", "Provider_Name"),
    ("Event.System.Provider_attributes.Name", "Provider_Name"),
    ("Event.System.Provider.Name", "Provider_Name"),
    ("Event.System.Provider.@Name", "Provider_Name"),
    ("Event.System.Provider.#attributes.Guid", "Provider_Guid"),
    ("Event.System.Provider_attributes.Guid", "Provider_Guid"),
    ("Event.System.TimeCreated.#attributes.SystemTime", "TimeCreated"),
    ("Event.System.TimeCreated_attributes.SystemTime", "TimeCreated"),
    ("Event.System.TimeCreated.SystemTime", "TimeCreated"),
    ("Event.System.TimeCreated.@SystemTime", "TimeCreated"),
    ("Event.System.Execution.#attributes.ProcessID", "Execution_ProcessID"),
    ("Event.System.Execution_attributes.ProcessID", "Execution_ProcessID"),
    ("Event.System.Execution.#attributes.ThreadID", "Execution_ThreadID"),
    ("Event.System.Execution_attributes.ThreadID", "Execution_ThreadID"),
    ("Event.System.Security.#attributes.UserID", "Security_UserID"),
    ("Event.System.Security_attributes.UserID", "Security_UserID"),
    ("Event.EventData.Data.#text", "Data"),
    ("winlog.event_id", "EventID"),
    ("winlog.channel", "Channel"),
    ("winlog.computer_name", "Computer"),
    ("winlog.provider_name", "Provider_Name"),
    ("winlog.record_id", "EventRecordID"),
    ("winlog.opcode", "Opcode"),
    ("winlog.task", "Task"),
    ("winlog.keywords", "Keywords"),
    ("winlog.version", "Version"),
    ("winlog.user.identifier", "Security_UserID"),
];

/// How converters from XML write a list of named data: the list, the name in it, and the text.
const NAMED_DATA: &[(&str, &str)] = &[
    ("Event.EventData.Data.@Name", "Event.EventData.Data.#text"),
    ("Event.EventData.Data.Name", "Event.EventData.Data.#text"),
    ("Event.EventData.Data.#attributes.Name", "Event.EventData.Data.#text"),
];

/// Prefixes that are taken off.
const PREFIXES: &[&str] = &["Event.System.", "Event.EventData.", "winlog.event_data.", "winlog.user_data."];

/// Flat shapes call these otherwise.
const FLAT: &[(&str, &str)] = &[
    ("Hostname", "Computer"),
    ("host.name", "Computer"),
    ("SourceName", "Provider_Name"),
    ("ProviderName", "Provider_Name"),
    ("RecordNumber", "EventRecordID"),
    ("event_id", "EventID"),
    ("EventId", "EventID"),
];

/// Tells and finishes Windows events.
pub(crate) struct Windows {
    taxonomy: Arc<Taxonomy>,
    renamed: HashMap<FieldId, FieldId>,
    /// By field: what it is renamed to, where that is worked out.
    plain: Vec<Option<Option<FieldId>>>,
    flat: Vec<(FieldId, FieldId)>,
    named_data: Vec<(FieldId, FieldId)>,
    times: Vec<FieldId>,
    ids: Ids,
}

struct Ids {
    event_id: FieldId,
    nested: [FieldId; 3],
    winlog: FieldId,
    channel: FieldId,
    provider: FieldId,
    source_name: FieldId,
    hashes: FieldId,
    digests: [(&'static str, FieldId); 4],
}

impl Windows {
    pub(crate) fn new(names: &FieldNames, taxonomy: &Arc<Taxonomy>) -> Self {
        let intern = |name: &str| names.intern(name).expect("names of the built-in shapes come first");
        let pairs = |table: &[(&str, &str)]| -> Vec<(FieldId, FieldId)> {
            table.iter().map(|(from, to)| (intern(from), intern(to))).collect()
        };
        Self {
            taxonomy: Arc::clone(taxonomy),
            renamed: pairs(RENAMED).into_iter().collect(),
            plain: Vec::new(),
            flat: pairs(FLAT),
            named_data: pairs(NAMED_DATA),
            times: intern_all(names, &["TimeCreated", "@timestamp", "SystemTime", "UtcTime", "EventTime", "timestamp"]),
            ids: Ids {
                event_id: intern("EventID"),
                nested: [
                    intern("Event.System.EventID"),
                    intern("Event.System.EventID.#text"),
                    intern("Event.System.EventID.Value"),
                ],
                winlog: intern("winlog.event_id"),
                channel: intern("Channel"),
                provider: intern("Provider_Name"),
                source_name: intern("SourceName"),
                hashes: intern("Hashes"),
                digests: [
                    ("MD5", intern("md5")),
                    ("SHA1", intern("sha1")),
                    ("SHA256", intern("sha256")),
                    ("IMPHASH", intern("Imphash")),
                ],
            },
        }
    }

    /// Gives nested and winlogbeat's fields their plain names. What a name becomes is worked out once.
    fn rename(&mut self, builder: &mut EventBuilder) {
        let names = Arc::clone(builder.names());
        let Self { renamed, plain, .. } = self;
        builder.rename(|id| {
            if plain.len() <= id.index() {
                plain.resize(id.index() + 1, None);
            }
            *plain[id.index()].get_or_insert_with(|| renamed.get(&id).copied().or_else(|| plain_name(&names, id)))
        });
    }

    /// Adds the single hashes of Sysmon's list.
    fn add_hashes(&self, builder: &mut EventBuilder) {
        let hashes = builder.get(self.ids.hashes).and_then(Value::to_text).map(|text| text.into_owned());
        for part in hashes.iter().flat_map(|hashes| hashes.split(',')) {
            let Some((name, hex)) = part.split_once('=') else { continue };
            if let Some((_, id)) = self.ids.digests.iter().find(|(known, _)| *known == name) {
                builder.derive(*id, Value::Str(hex));
            }
        }
    }
}

impl Shape for Windows {
    fn format(&self) -> &'static str {
        INFO.name
    }

    fn is(&self, builder: &EventBuilder) -> bool {
        self.ids.nested.iter().any(|id| builder.has(*id))
            || builder.has(self.ids.winlog)
            || ((builder.has(self.ids.event_id) || self.flat[5..].iter().any(|(from, _)| builder.has(*from)))
                && (builder.has(self.ids.channel)
                    || builder.has(self.ids.provider)
                    || builder.has(self.ids.source_name)))
    }

    fn finish(&mut self, builder: &mut EventBuilder) -> (EventTime, Arc<LogSource>) {
        for (name, text) in &self.named_data {
            builder.name_values(*name, *text, "Event.EventData.");
        }
        self.rename(builder);
        for (from, to) in &self.flat {
            if !builder.has(*to) {
                builder.alias(*from, *to);
            }
        }
        let number = builder.get(self.ids.event_id).and_then(Value::to_text).and_then(|text| text.trim().parse().ok());
        let channel = builder.get(self.ids.channel).and_then(Value::to_text).map(|text| text.into_owned());
        let classes = &self.taxonomy.windows;
        let channel = channel.or_else(|| {
            let provider = builder.get(self.ids.provider).and_then(Value::to_text)?;
            classes.channel_of_provider(&provider).map(Into::into)
        });
        let class = Arc::clone(classes.get(channel.as_deref().unwrap_or_default(), number));
        class.apply(builder);
        self.add_hashes(builder);
        (time_of(builder, &self.times), Arc::clone(&class.log_source))
    }
}

/// Takes a known prefix off; user data have the name of their element in between, which goes as well. So do spaces: Defender's
/// "New Value" is `NewValue` (Sigma rules specification, "Field Usage").
fn plain_name(names: &FieldNames, id: FieldId) -> Option<FieldId> {
    let name = names.name(id);
    let plain = match name.strip_prefix("Event.UserData.") {
        Some(rest) => rest.split_once('.')?.1,
        None => PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(&name),
    };
    let plain = plain.replace(' ', "");
    if plain == *name { None } else { names.intern(&plain) }
}
