//! Windows events in the shapes that JSON has them: nested as in their XML, winlogbeat's, and flat.
//!
//! All come out alike: `EventID`, `Channel`, `Computer`, `Provider_Name`, `EventRecordID` and the event's own data under
//! their plain names. Nested is what `evtx_dump` and this crate's own EVTX reader give (`Event.System`,
//! `Event.EventData`), also without the outer `Event`; winlogbeat's is `winlog.event_data`, before version 7 `event_data`,
//! or the Elastic Common Schema alone; flat is what NXLog and the public attack data sets have.

use std::collections::HashMap;
use std::sync::Arc;

use cresset_event::{EventBuilder, EventTime, FieldId, FieldNames, LogSource, Value};

use crate::format::FormatInfo;
use crate::json_lines::{Shape, intern_all, time_of};
use crate::taxonomy::{Class, Taxonomy, add_names};

pub(crate) const INFO: FormatInfo = FormatInfo {
    name: "windows-json",
    title: "Windows events as JSON: nested (Event.System, Event.EventData), winlogbeat (winlog.event_data), or flat",
    example: r#"{"EventID":1,"Channel":"Microsoft-Windows-Sysmon/Operational","Computer":"ws1.example","Image":"C:\\Windows\\System32\\whoami.exe","CommandLine":"whoami /all","UtcTime":"2026-11-24 07:00:00.000"}"#,
};

/// Where shapes other than the flat ones have the event's number.
const OWN: &[&str] = &[
    "Event.System.EventID",
    "Event.System.EventID.#text",
    "Event.System.EventID.Value",
    "System.EventID",
    "System.EventID.#text",
    "System.EventID.Value",
    "winlog.event_id",
];

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
const PREFIXES: &[&str] = &[
    "Event.System.",
    "Event.EventData.",
    "System.",
    "EventData.",
    "winlog.event_data.",
    "winlog.user_data.",
    "event_data.",
    "user_data.",
];

/// Flat shapes, and winlogbeat 6, call these otherwise.
const FLAT: &[(&str, &str)] = &[
    ("Hostname", "Computer"),
    ("host.name", "Computer"),
    ("SourceName", "Provider_Name"),
    ("ProviderName", "Provider_Name"),
    ("RecordNumber", "EventRecordID"),
    ("log_name", "Channel"),
    ("computer_name", "Computer"),
    ("source_name", "Provider_Name"),
    ("record_number", "EventRecordID"),
    ("event_id", "EventID"),
    ("EventId", "EventID"),
];

/// What the Elastic Common Schema calls the data that Sigma's rules ask for: second names where the record lacks the first.
const ECS: &[(&str, &str)] = &[
    ("process.executable", "Image"),
    ("process.command_line", "CommandLine"),
    ("process.pid", "ProcessId"),
    ("process.entity_id", "ProcessGuid"),
    ("process.working_directory", "CurrentDirectory"),
    ("process.parent.executable", "ParentImage"),
    ("process.parent.command_line", "ParentCommandLine"),
    ("process.parent.pid", "ParentProcessId"),
    ("process.pe.original_file_name", "OriginalFileName"),
    ("process.pe.company", "Company"),
    ("process.pe.product", "Product"),
    ("process.pe.description", "Description"),
    ("process.pe.imphash", "Imphash"),
    ("process.hash.md5", "md5"),
    ("process.hash.sha1", "sha1"),
    ("process.hash.sha256", "sha256"),
    ("user.name", "User"),
    ("file.path", "TargetFilename"),
    ("dll.path", "ImageLoaded"),
    ("registry.path", "TargetObject"),
    ("registry.data.strings", "Details"),
    ("dns.question.name", "QueryName"),
    ("source.ip", "SourceIp"),
    ("source.port", "SourcePort"),
    ("source.domain", "SourceHostname"),
    ("destination.ip", "DestinationIp"),
    ("destination.port", "DestinationPort"),
    ("destination.domain", "DestinationHostname"),
];

/// Tells and finishes Windows events.
pub(crate) struct Windows {
    names: Arc<FieldNames>,
    taxonomy: Arc<Taxonomy>,
    renamed: HashMap<FieldId, FieldId>,
    /// By field: what it is renamed to, where that is worked out.
    plain: Vec<Option<Option<FieldId>>>,
    flat: Vec<(FieldId, FieldId)>,
    ecs: Vec<(FieldId, FieldId)>,
    named_data: Vec<(FieldId, FieldId)>,
    /// Memory for a list of hashes.
    hashes: String,
    times: Vec<FieldId>,
    ids: Ids,
}

struct Ids {
    event_id: FieldId,
    /// Any of these alone is a Windows event's.
    own: Vec<FieldId>,
    /// These are one's together: a number, and where it is from.
    numbers: Vec<FieldId>,
    origins: Vec<FieldId>,
    channel: FieldId,
    provider: FieldId,
    hashes: FieldId,
    digests: [(&'static str, FieldId); 4],
}

impl Windows {
    pub(crate) fn new(names: &Arc<FieldNames>, taxonomy: &Arc<Taxonomy>) -> Self {
        let intern = |name: &str| names.intern(name).expect("names of the built-in shapes come first");
        let pairs = |table: &[(&str, &str)]| -> Vec<(FieldId, FieldId)> {
            table.iter().map(|(from, to)| (intern(from), intern(to))).collect()
        };
        // The same without the outer `Event`, as in lists of events.
        let inner = |name: &'static str| name.strip_prefix("Event.");
        let renamed_inside = RENAMED.iter().filter_map(|(from, to)| Some((intern(inner(from)?), intern(to))));
        let data_inside =
            NAMED_DATA.iter().filter_map(|(name, text)| Some((intern(inner(name)?), intern(inner(text)?))));
        Self {
            names: Arc::clone(names),
            taxonomy: Arc::clone(taxonomy),
            renamed: pairs(RENAMED).into_iter().chain(renamed_inside).collect(),
            plain: Vec::new(),
            flat: pairs(FLAT),
            ecs: pairs(ECS),
            named_data: pairs(NAMED_DATA).into_iter().chain(data_inside).collect(),
            hashes: String::new(),
            times: intern_all(names, &["TimeCreated", "@timestamp", "SystemTime", "UtcTime", "EventTime", "timestamp"]),
            ids: Ids {
                event_id: intern("EventID"),
                own: intern_all(names, OWN),
                numbers: intern_all(names, &["EventID", "event_id", "EventId"]),
                origins: intern_all(names, &["Channel", "Provider_Name", "SourceName", "log_name"]),
                channel: intern("Channel"),
                provider: intern("Provider_Name"),
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
        let Self { names, renamed, plain, .. } = self;
        builder.rename(|id| match plain.get(id.index()) {
            Some(Some(known)) => *known,
            _ => {
                plain.resize(plain.len().max(id.index() + 1), None);
                *plain[id.index()].insert(renamed.get(&id).copied().or_else(|| plain_name(names, id)))
            }
        });
    }

    /// Returns what the event is, by its channel and number.
    fn class(&self, builder: &EventBuilder) -> &Class {
        let classes = &self.taxonomy.windows;
        let number = match builder.get(self.ids.event_id) {
            Some(Value::Int(number)) => Some(number),
            other => other.and_then(Value::to_text).and_then(|text| text.trim().parse().ok()),
        };
        let text = |id| builder.get(id).and_then(Value::to_text);
        if let Some(channel) = text(self.ids.channel) {
            return classes.get(&channel, number);
        }
        let provider = text(self.ids.provider);
        let channel = provider.and_then(|provider| classes.channel_of_provider(&provider));
        classes.get(channel.unwrap_or_default(), number)
    }

    /// Adds the single hashes of Sysmon's list.
    fn add_hashes(&mut self, builder: &mut EventBuilder) {
        let Self { ids, hashes, .. } = self;
        let Some(text) = builder.get(ids.hashes).and_then(Value::to_text) else { return };
        hashes.clear();
        hashes.push_str(&text);
        for part in hashes.split(',') {
            let Some((name, hex)) = part.split_once('=') else { continue };
            if let Some((_, id)) = ids.digests.iter().find(|(known, _)| *known == name) {
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
        let has_any = |ids: &[FieldId]| ids.iter().any(|id| builder.has(*id));
        has_any(&self.ids.own) || (has_any(&self.ids.numbers) && has_any(&self.ids.origins))
    }

    fn finish(&mut self, builder: &mut EventBuilder) -> (EventTime, Arc<LogSource>) {
        for (name, text) in &self.named_data {
            builder.name_values(*name, *text, "Event.EventData.");
        }
        self.rename(builder);
        add_names(&self.flat, builder);
        let class = self.class(builder);
        class.apply(builder);
        let log_source = Arc::clone(&class.log_source);
        self.add_hashes(builder);
        add_names(&self.ecs, builder);
        (time_of(builder, &self.times), log_source)
    }
}

/// Takes a known prefix off; user data have the name of their element in between, which goes as well. So do spaces: Defender's
/// "New Value" is `NewValue` (Sigma rules specification, "Field Usage").
fn plain_name(names: &FieldNames, id: FieldId) -> Option<FieldId> {
    let name = names.name(id);
    let user_data = name.strip_prefix("Event.UserData.").or_else(|| name.strip_prefix("UserData."));
    let plain = match user_data {
        Some(rest) => rest.split_once('.')?.1,
        None => PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(&name),
    };
    let plain = plain.replace(' ', "");
    if plain == *name { None } else { names.intern(&plain) }
}
