//! Lines of any logs, each told by itself: what senders of many programs deliver together, and what syslog carries.
//!
//! A line is read as JSON, as syslog or as an access log. One that is in none of these is kept all the same, as its message:
//! whoever sent it has no other copy, and a rule may look for a word in it. A priority of syslog in front (`<34>`) is taken
//! off it then, as RFC 3164 (section 4.3.3) has it for messages without time and host.

use std::sync::Arc;

use cresset_event::{EventBuilder, EventTime, FieldNames, UnknownTime};

use crate::access_log::{self, AccessLog};
use crate::json_lines::{self, JsonShapes};
use crate::lines::{BadLine, LineFormat, Parsed, When};
use crate::syslog::{self, Syslog};
use crate::taxonomy::Taxonomy;

/// Reads lines of any logs.
pub(crate) struct AnyLine {
    json: JsonShapes,
    syslog: Syslog,
    access_log: AccessLog,
}

impl AnyLine {
    pub(crate) fn new(names: &Arc<FieldNames>, taxonomy: &Arc<Taxonomy>) -> Self {
        let json = JsonShapes::new(names, taxonomy);
        Self { json, syslog: Syslog::new(taxonomy), access_log: AccessLog::new(taxonomy) }
    }

    /// Keeps a line that is in no format.
    fn keep(&mut self, line: &str, builder: &mut EventBuilder) -> Parsed {
        // Of a format that failed half-way nothing is to stay.
        builder.clear_fields();
        match self.syslog.keep(line, builder) {
            Some(log_source) => Parsed::Record { time: EventTime::Unknown(UnknownTime::Missing), log_source },
            None => Parsed::NotARecord,
        }
    }
}

impl LineFormat for AnyLine {
    const NAME: &'static str = syslog::INFO.name;

    fn parse(&mut self, line: &str, when: &When, builder: &mut EventBuilder) -> Result<Parsed, BadLine> {
        if json_lines::is_line(line)
            && let Ok((time, log_source)) = self.json.read(line, builder)
        {
            return Ok(Parsed::Record { time, log_source });
        }
        builder.clear_fields();
        if syslog::is_line(line) {
            return self.syslog.parse(line, when, builder);
        }
        if access_log::is_line(line)
            && let Ok(parsed) = self.access_log.parse(line, when, builder)
        {
            return Ok(parsed);
        }
        Ok(self.keep(line, builder))
    }
}

#[cfg(test)]
mod tests {
    use cresset_event::{Event, EventTime, Source, SourceIdentity};

    use crate::{Content, Opener, Record};

    fn read(lines: &str) -> Vec<Event> {
        let source = Source { name: "lines".into(), identity: SourceIdentity::of_request("a", "b") };
        let opener = Opener::new(std::sync::Arc::default());
        let mut reader = opener.open_delivered(source, Content::Lines(lines.into())).expect("lines");
        let mut events = Vec::new();
        while let Some(record) = reader.next_record() {
            match record {
                Record::Event(event) => events.push(event),
                Record::Skipped(skipped) => panic!("{skipped:?}"),
            }
        }
        events
    }

    #[test]
    fn each_line_is_told_by_itself() {
        let events = read(concat!(
            "<38>Nov 24 07:00:00 bastion sshd[812]: Failed password for root from 192.0.2.7 port 40022 ssh2\n",
            "192.0.2.1 - - [24/Nov/2026:07:00:00 +0000] \"GET /a HTTP/1.1\" 200 7\n",
            "{\"cmd\":\"whoami\",\"@timestamp\":\"2026-11-24T07:00:00Z\"}\n",
            "\n",
            "in no format\n",
            "{ no JSON }\n",
        ));
        let text = |event: usize, field: &str| events[event].text(field).map(|text| text.into_owned());
        assert_eq!(events.len(), 5);
        assert_eq!(text(0, "program").as_deref(), Some("sshd"));
        assert_eq!(text(1, "cs-method").as_deref(), Some("GET"));
        assert_eq!(text(2, "cmd").as_deref(), Some("whoami"));
        assert_eq!(text(3, "message").as_deref(), Some("in no format"));
        assert_eq!(text(4, "message").as_deref(), Some("{ no JSON }"));
        assert!(matches!(events[3].origin().time, EventTime::Unknown(_)), "nobody knows when it was");
    }

    #[test]
    fn a_message_without_time_and_host_keeps_its_priority_and_tag() {
        let events = read("<34>su[7]: root failed\n<189>%SYS-5-CONFIG_I: configured\n<999>x\n");
        let text = |event: usize, field: &str| events[event].text(field).map(|text| text.into_owned());
        assert_eq!(text(0, "program").as_deref(), Some("su"));
        assert_eq!((text(0, "message").as_deref(), text(0, "facility").as_deref()), (Some("root failed"), Some("4")));
        assert_eq!((text(0, "severity").as_deref(), text(0, "pid").as_deref()), (Some("2"), Some("7")));
        assert_eq!(text(1, "program").as_deref(), Some("%SYS-5-CONFIG_I"));
        assert_eq!(text(2, "message").as_deref(), Some("<999>x"));
    }
}
