//! Suricata's EVE JSON: one object a line, told by `event_type` beside a flow's addresses.

use std::sync::Arc;

use cresset_event::{EventBuilder, EventTime, FieldId, FieldNames, LogSource, Value};

use crate::format::FormatInfo;
use crate::json_lines::{Shape, intern_all, time_of};
use crate::taxonomy::Taxonomy;

pub(crate) const INFO: FormatInfo = FormatInfo {
    name: "suricata-eve",
    title: "Suricata EVE JSON, every event type",
    example: r#"{"timestamp":"2026-11-24T07:00:00.000000+0000","event_type":"dns","src_ip":"192.0.2.7","dest_ip":"192.0.2.53","proto":"UDP","dns":{"type":"query","rrname":"a.example","rrtype":"A"}}"#,
};

/// Tells and finishes Suricata's events.
pub(crate) struct Suricata {
    taxonomy: Arc<Taxonomy>,
    event_type: FieldId,
    timestamp: FieldId,
    times: Vec<FieldId>,
}

impl Suricata {
    pub(crate) fn new(names: &FieldNames, taxonomy: &Arc<Taxonomy>) -> Self {
        let ids = intern_all(names, &["event_type", "timestamp"]);
        Self { taxonomy: Arc::clone(taxonomy), event_type: ids[0], timestamp: ids[1], times: vec![ids[1]] }
    }
}

impl Shape for Suricata {
    fn format(&self) -> &'static str {
        INFO.name
    }

    fn is(&self, builder: &EventBuilder) -> bool {
        builder.has(self.event_type) && builder.has(self.timestamp)
    }

    fn finish(&mut self, builder: &mut EventBuilder) -> (EventTime, Arc<LogSource>) {
        let event_type = builder.get(self.event_type).and_then(Value::as_str).unwrap_or_default();
        let class = Arc::clone(self.taxonomy.suricata.get(event_type));
        class.apply(builder);
        (time_of(builder, &self.times), Arc::clone(&class.log_source))
    }
}
