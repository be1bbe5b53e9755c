//! What each source is in Sigma's words, and what Sigma calls its fields: the table `data/taxonomy.toml`, compiled.
//!
//! A table and no code, so that a source is added or corrected without touching a parser. The built-in table is checked
//! when it is compiled; a fault in it is ours, and every test meets it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cresset_event::{EventBuilder, FieldId, FieldNames, LogSource};
use foldhash::{HashMap, HashMapExt};
use serde::Deserialize;

/// Longest name of a channel that is looked up: Windows allows 255 characters, and all that are known are ASCII.
const CHANNEL_BYTES_MAX: usize = 255;

/// What one kind of record is.
#[derive(Debug)]
pub(crate) struct Class {
    pub(crate) log_source: Arc<LogSource>,
    /// (the source's name, Sigma's name).
    aliases: Vec<(FieldId, FieldId)>,
    derived: Vec<Derived>,
}

/// A value that is worked out of another.
#[derive(Debug)]
struct Derived {
    from: FieldId,
    to: FieldId,
    how: How,
}

#[derive(Debug)]
enum How {
    Values(BTreeMap<String, String>),
    DrivePath,
    Trimmed,
}

impl Class {
    /// Gives the record's fields their second names.
    pub(crate) fn apply(&self, builder: &mut EventBuilder) {
        add_names(&self.aliases, builder);
        for Derived { from, to, how } in &self.derived {
            builder.derive_from(*from, *to, |text, derived| how.apply(text, derived));
        }
    }
}

/// Gives second names, as (from, to), where the record lacks them. It has few of the first, so that they are asked for first.
pub(crate) fn add_names(names: &[(FieldId, FieldId)], builder: &mut EventBuilder) {
    for (from, to) in names {
        if builder.has(*from) && !builder.has(*to) {
            builder.alias(*from, *to);
        }
    }
}

impl How {
    /// Writes the derived value, where there is another than the one it is derived from.
    fn apply(&self, text: &str, derived: &mut String) -> Option<()> {
        match self {
            Self::Values(values) => derived.push_str(values.get(text)?),
            Self::DrivePath => {
                derived.push_str("C:");
                derived.push_str(path_on_device(text)?);
            }
            Self::Trimmed if text.trim().len() < text.len() => derived.push_str(text.trim()),
            Self::Trimmed => return None,
        }
        Some(())
    }
}

/// `\a.exe` of `\device\harddiskvolume2\a.exe`: which drive the volume is the log does not say, and rules name C: alone.
fn path_on_device(path: &str) -> Option<&str> {
    const DEVICE: &str = r"\device\harddiskvolume";
    let volume = path.get(..DEVICE.len()).filter(|start| start.eq_ignore_ascii_case(DEVICE))?;
    let rest = path[volume.len()..].trim_start_matches(|c: char| c.is_ascii_digit());
    rest.starts_with('\\').then_some(rest)
}

/// Several kinds of record of one source, told by a word: an event type, a log, a program.
#[derive(Debug)]
pub(crate) struct Classes {
    by_word: HashMap<String, Arc<Class>>,
    other: Arc<Class>,
}

impl Classes {
    /// Returns the class for `word`, else the source's default.
    pub(crate) fn get(&self, word: &str) -> &Arc<Class> {
        self.by_word.get(word).unwrap_or(&self.other)
    }
}

/// The compiled table.
#[derive(Debug)]
pub(crate) struct Taxonomy {
    pub(crate) windows: WindowsClasses,
    pub(crate) suricata: Classes,
    pub(crate) zeek: Classes,
    pub(crate) syslog: Classes,
    pub(crate) access_log: Classes,
    json: Vec<(Vec<FieldId>, Arc<Class>)>,
    json_other: Arc<Class>,
}

impl Taxonomy {
    /// Compiles the table that ships.
    pub(crate) fn built_in(names: &FieldNames) -> Self {
        let table: Table = toml::from_str(include_str!("../data/taxonomy.toml")).expect("the built-in table is valid");
        let compile = |classes: BTreeMap<String, ClassRow>| compile_classes(classes, names);
        Self {
            windows: WindowsClasses::compile(table.windows, names),
            suricata: compile(table.suricata),
            zeek: compile(table.zeek),
            syslog: compile(table.syslog),
            access_log: compile(table.access_log),
            json: table.json.into_iter().map(|row| compile_json(row, names)).collect(),
            json_other: Arc::new(ClassRow::default().compile(names)),
        }
    }

    /// Returns what a JSON record in no shape of its own is, by the fields that it has.
    pub(crate) fn json(&self, builder: &EventBuilder) -> &Arc<Class> {
        let fits = |has: &Vec<FieldId>| has.iter().all(|id| builder.has(*id));
        self.json.iter().find(|(has, _)| fits(has)).map_or(&self.json_other, |(_, class)| class)
    }

    /// Returns the log source of every class.
    pub(crate) fn log_sources(&self) -> Vec<Arc<LogSource>> {
        let sources = [&self.suricata, &self.zeek, &self.syslog, &self.access_log];
        let sources = sources.into_iter().flat_map(|classes| classes.by_word.values());
        let json = self.json.iter().map(|(_, class)| class).chain([&self.json_other]);
        let all: BTreeSet<_> =
            sources.chain(json).chain(self.windows.all()).map(|class| Arc::clone(&class.log_source)).collect();
        all.into_iter().collect()
    }
}

/// The classes of Windows events: by channel, and within it by event id.
#[derive(Debug)]
pub(crate) struct WindowsClasses {
    /// By name in lower case.
    channels: HashMap<Vec<u8>, Channel>,
    providers: HashMap<String, String>,
    other: Arc<Class>,
}

#[derive(Debug)]
struct Channel {
    by_id: HashMap<i64, Arc<Class>>,
    other: Arc<Class>,
}

impl WindowsClasses {
    /// Returns what an event with this id in this channel is.
    pub(crate) fn get(&self, channel: &str, event_id: Option<i64>) -> &Arc<Class> {
        let Some(found) = self.channel(channel) else { return &self.other };
        event_id.and_then(|id| found.by_id.get(&id)).unwrap_or(&found.other)
    }

    fn channel(&self, name: &str) -> Option<&Channel> {
        let mut lower = [0; CHANNEL_BYTES_MAX];
        let lower = lower.get_mut(..name.len())?;
        lower.copy_from_slice(name.as_bytes());
        lower.make_ascii_lowercase();
        self.channels.get(&*lower)
    }

    /// Returns the channel that a provider writes to.
    pub(crate) fn channel_of_provider(&self, provider: &str) -> Option<&str> {
        self.providers.get(provider).map(String::as_str)
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Class>> {
        let of_channels = self.channels.values().flat_map(|channel| channel.by_id.values().chain([&channel.other]));
        of_channels.chain([&self.other])
    }

    fn compile(table: WindowsTable, names: &FieldNames) -> Self {
        let class = |service: Option<&str>, row: ClassRow| {
            let row = ClassRow { product: Some("windows".into()), service: service.map(Into::into), ..row };
            Arc::new(row.compile(names))
        };
        let mut channels = HashMap::new();
        for (service, in_channels) in &table.services {
            let mut by_id = HashMap::new();
            for row in table.events.iter().filter(|row| row.service == *service) {
                let class = class(Some(service), row.class.clone());
                by_id.extend(row.ids.iter().map(|id| (*id, Arc::clone(&class))));
            }
            for name in in_channels {
                let other = class(Some(service), ClassRow::default());
                assert!(name.len() <= CHANNEL_BYTES_MAX, "`{name}` is longer than a channel's name may be");
                let channel = Channel { by_id: by_id.clone(), other };
                channels.insert(name.to_ascii_lowercase().into_bytes(), channel);
            }
        }
        Self { channels, providers: table.providers.into_iter().collect(), other: class(None, ClassRow::default()) }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    windows: WindowsTable,
    suricata: BTreeMap<String, ClassRow>,
    zeek: BTreeMap<String, ClassRow>,
    syslog: BTreeMap<String, ClassRow>,
    access_log: BTreeMap<String, ClassRow>,
    json: Vec<JsonRow>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WindowsTable {
    services: BTreeMap<String, Vec<String>>,
    providers: BTreeMap<String, String>,
    events: Vec<WindowsRow>,
}

#[derive(Debug, Deserialize)]
struct WindowsRow {
    service: String,
    ids: Vec<i64>,
    #[serde(flatten)]
    class: ClassRow,
}

#[derive(Debug, Deserialize)]
struct JsonRow {
    has: Vec<String>,
    #[serde(flatten)]
    class: ClassRow,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct ClassRow {
    product: Option<String>,
    service: Option<String>,
    #[serde(default)]
    categories: Vec<String>,
    #[serde(default)]
    fields: BTreeMap<String, OneOrMore>,
    #[serde(default)]
    derived: Vec<DerivedRow>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct DerivedRow {
    field: String,
    from: String,
    #[serde(default)]
    values: BTreeMap<String, String>,
    #[serde(rename = "as")]
    form: Option<Form>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Form {
    DrivePath,
    Trimmed,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl ClassRow {
    fn compile(self, names: &FieldNames) -> Class {
        let intern = |name: &str| names.intern(name).expect("the table's names fit the empty table");
        let mut aliases = Vec::new();
        for (to, from) in &self.fields {
            match from {
                OneOrMore::One(from) => aliases.push((intern(from), intern(to))),
                OneOrMore::More(from) => aliases.extend(from.iter().map(|from| (intern(from), intern(to)))),
            }
        }
        let derived = self.derived.into_iter().map(|row| Derived {
            from: intern(&row.from),
            to: intern(&row.field),
            how: match row.form {
                Some(Form::DrivePath) => How::DrivePath,
                Some(Form::Trimmed) => How::Trimmed,
                None => How::Values(row.values),
            },
        });
        let derived = derived.collect();
        let log_source = LogSource { product: self.product, service: self.service, categories: self.categories };
        Class { log_source: Arc::new(log_source), aliases, derived }
    }
}

fn compile_classes(rows: BTreeMap<String, ClassRow>, names: &FieldNames) -> Classes {
    let by_word: HashMap<String, Arc<Class>> =
        rows.into_iter().map(|(word, row)| (word, Arc::new(row.compile(names)))).collect();
    let other = Arc::clone(by_word.get("default").expect("each source of the table has a default"));
    Classes { by_word, other }
}

fn compile_json(row: JsonRow, names: &FieldNames) -> (Vec<FieldId>, Arc<Class>) {
    let has = row.has.iter().map(|name| names.intern(name).expect("the table's names fit the empty table")).collect();
    (has, Arc::new(row.class.compile(names)))
}
