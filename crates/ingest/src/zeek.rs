//! Zeek's records as JSON, with the names of its own logs (`id.resp_h`) or those of shippers (`id_resp_h`).
//!
//! The log is told by `_path` or `@stream`, else by the fields that only one log has. The finishing of a record is the
//! same for JSON and for Zeek's own tab-separated form (`zeek_tsv.rs`).

use std::sync::Arc;

use cresset_event::{EventBuilder, EventTime, FieldId, FieldNames, LogSource, Value};

use crate::format::FormatInfo;
use crate::json_lines::{Shape, intern_all, time_of};
use crate::taxonomy::{Taxonomy, add_names};

pub(crate) const INFO: FormatInfo = FormatInfo {
    name: "zeek-json",
    title: "Zeek logs as JSON, with `id.resp_h` or `id_resp_h`",
    example: r#"{"_path":"dns","ts":1764000000.25,"uid":"CMdzit1AMNsmfAIiQc","id.orig_h":"192.0.2.7","id.orig_p":53211,"id.resp_h":"192.0.2.53","id.resp_p":53,"proto":"udp","query":"a.example","qtype_name":"A"}"#,
};

/// Spellings of shippers, and Zeek's own.
const SPELLINGS: &[(&str, &str)] = &[
    ("id_orig_h", "id.orig_h"),
    ("id_orig_p", "id.orig_p"),
    ("id_resp_h", "id.resp_h"),
    ("id_resp_p", "id.resp_p"),
    ("id.orig_h", "src_ip"),
    ("id.resp_h", "dst_ip"),
    ("id.resp_p", "dst_port"),
];

/// Fields that only one log has, for records that do not name theirs.
const TOLD_BY: &[(&str, &str)] = &[
    ("qtype_name", "dns"),
    ("conn_state", "conn"),
    ("status_code", "http"),
    ("cipher", "ssl"),
    ("mime_type", "files"),
];

/// Tells and finishes Zeek's records.
pub(crate) struct Zeek {
    taxonomy: Arc<Taxonomy>,
    paths: Vec<FieldId>,
    uid: FieldId,
    ts: FieldId,
    times: Vec<FieldId>,
    spellings: Vec<(FieldId, FieldId)>,
    told_by: Vec<(FieldId, &'static str)>,
}

impl Zeek {
    pub(crate) fn new(names: &FieldNames, taxonomy: &Arc<Taxonomy>) -> Self {
        let intern = |name: &str| names.intern(name).expect("names of the built-in shapes come first");
        let ts = intern("ts");
        Self {
            taxonomy: Arc::clone(taxonomy),
            paths: intern_all(names, &["_path", "@stream"]),
            uid: intern("uid"),
            ts,
            times: vec![ts, intern("@timestamp")],
            spellings: SPELLINGS.iter().map(|(from, to)| (intern(from), intern(to))).collect(),
            told_by: TOLD_BY.iter().map(|(field, log)| (intern(field), *log)).collect(),
        }
    }

    /// Finishes a record of the log `path`.
    pub(crate) fn finish_as(&self, path: &str, builder: &mut EventBuilder) -> (EventTime, Arc<LogSource>) {
        add_names(&self.spellings, builder);
        let class = Arc::clone(self.taxonomy.zeek.get(path));
        class.apply(builder);
        (time_of(builder, &self.times), Arc::clone(&class.log_source))
    }

    fn path<'b>(&self, builder: &'b EventBuilder) -> &'b str {
        let named = self.paths.iter().find_map(|id| builder.get(*id)).and_then(Value::as_str);
        let told = || self.told_by.iter().find(|(field, _)| builder.has(*field)).map(|(_, log)| *log);
        named.or_else(told).unwrap_or_default()
    }
}

impl Shape for Zeek {
    fn format(&self) -> &'static str {
        INFO.name
    }

    fn is(&self, builder: &EventBuilder) -> bool {
        builder.has(self.ts) && (self.paths.iter().any(|id| builder.has(*id)) || builder.has(self.uid))
    }

    fn finish(&mut self, builder: &mut EventBuilder) -> (EventTime, Arc<LogSource>) {
        let path = self.path(builder).to_owned();
        self.finish_as(&path, builder)
    }
}
