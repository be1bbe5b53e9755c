//! Syslog: RFC 5424, RFC 3164 and the forms that rsyslog and journald write to files, with known programs understood.
//!
//! A time without a year is in the last year that does not put it after the file's own time; one without an offset is
//! UTC. What sshd, sudo, cron and the name servers say is taken apart in `programs.rs`.

mod programs;

use std::sync::Arc;

use cresset_event::{EventBuilder, EventTime, FieldId, FieldNames, LogSource, Timestamp, UnknownTime, Value};

use crate::calendar::{civil_time, month_number};
use crate::format::FormatInfo;
use crate::json_lines::intern_all;
use crate::lines::{BadLine, LineFormat, Parsed, When};
use crate::taxonomy::Taxonomy;

pub(crate) const INFO: FormatInfo = FormatInfo {
    name: "syslog",
    title: "Syslog RFC 5424 and RFC 3164, also as files with ISO times; sshd, sudo, cron, named and dnsmasq inside",
    example: "Nov 24 07:00:00 bastion sshd[812]: Failed password for root from 192.0.2.7 port 40022 ssh2",
};

/// How far after the file's own time a record may lie before its year is taken to be the one before.
const YEAR_SLACK_NANOS: i64 = 86_400 * 1_000_000_000;
/// Most structured data elements' parameters that are kept of one RFC 5424 record.
const PARAMETERS_MAX: usize = 256;

/// Returns whether a line is in this format.
pub(crate) fn is_line(line: &str) -> bool {
    Header::parse(line).is_some()
}

/// Reads the lines of one log.
pub(crate) struct Syslog {
    taxonomy: Arc<Taxonomy>,
    ids: Option<Ids>,
}

struct Ids {
    host: FieldId,
    program: FieldId,
    pid: FieldId,
    message: FieldId,
    message_id: FieldId,
    facility: FieldId,
    severity: FieldId,
    time: FieldId,
    repeated: FieldId,
}

impl Ids {
    fn new(names: &FieldNames) -> Self {
        const NAMES: [&str; 9] =
            ["host", "program", "pid", "message", "msgid", "facility", "severity", "time", "repeated"];
        let id = intern_all(names, &NAMES);
        Self {
            host: id[0],
            program: id[1],
            pid: id[2],
            message: id[3],
            message_id: id[4],
            facility: id[5],
            severity: id[6],
            time: id[7],
            repeated: id[8],
        }
    }
}

impl Syslog {
    pub(crate) fn new(taxonomy: &Arc<Taxonomy>) -> Self {
        Self { taxonomy: Arc::clone(taxonomy), ids: None }
    }

    /// Keeps a line that is no syslog as its message, without a time; `None` where nothing is left of it.
    pub(crate) fn keep(&mut self, line: &str, builder: &mut EventBuilder) -> Option<Arc<LogSource>> {
        let header = Header::parse_bare(line);
        (!header.message.is_empty() || !header.program.is_empty()).then(|| self.push(&header, builder))
    }

    /// Adds the fields of a line, and returns what it is.
    fn push(&mut self, header: &Header<'_>, builder: &mut EventBuilder) -> Arc<LogSource> {
        let names = Arc::clone(builder.names());
        let ids = self.ids.get_or_insert_with(|| Ids::new(&names));
        let mut push = |id: FieldId, text: &str| {
            if !matches!(text, "" | "-") {
                builder.push_by_id(id, Value::Str(text));
            }
        };
        push(ids.time, header.time_text);
        push(ids.host, header.host);
        push(ids.program, header.program);
        push(ids.message_id, header.message_id);
        push(ids.message, header.message);
        if let Ok(pid) = header.pid.parse() {
            builder.push_by_id(ids.pid, Value::Int(pid));
        }
        if let Some(priority) = header.priority {
            builder.push_by_id(ids.facility, Value::Int(priority / 8));
            builder.push_by_id(ids.severity, Value::Int(priority % 8));
        }
        push_structured(builder, header.structured);
        let (repeated, message) = cut_repeated(header.message);
        if let Some(repeated) = repeated {
            builder.push_by_id(ids.repeated, Value::Int(repeated));
        }
        let word = programs::read(header.program, message, builder);
        let class = self.taxonomy.syslog.get(word);
        class.apply(builder);
        Arc::clone(&class.log_source)
    }
}

impl LineFormat for Syslog {
    const NAME: &'static str = INFO.name;

    fn parse(&mut self, line: &str, when: &When, builder: &mut EventBuilder) -> Result<Parsed, BadLine> {
        let header = Header::parse(line).ok_or("not a syslog line (RFC 5424, RFC 3164, or with an ISO time)")?;
        let log_source = self.push(&header, builder);
        Ok(Parsed::Record { time: header.time.resolve(when), log_source })
    }
}

/// The parts of a line before its message.
struct Header<'l> {
    priority: Option<i64>,
    time: Written,
    time_text: &'l str,
    host: &'l str,
    program: &'l str,
    pid: &'l str,
    message_id: &'l str,
    structured: &'l str,
    message: &'l str,
}

/// A time as it was written.
enum Written {
    Whole(Result<Timestamp, UnknownTime>),
    /// Month, day and time of day; the year is for the reader to find.
    WithoutYear {
        month: i8,
        day: i16,
        hour: i16,
        minute: i16,
        second: i16,
    },
}

impl Written {
    fn resolve(&self, when: &When) -> EventTime {
        match self {
            Self::Whole(time) => (*time).into(),
            Self::WithoutYear { month, day, hour, minute, second } => {
                let latest = when.modified.unwrap_or(when.arrived).saturating_add_nanos(YEAR_SLACK_NANOS);
                let this_year = latest.to_jiff().to_zoned(jiff::tz::TimeZone::UTC).year();
                // Eight years, because the 29th of February may be meant.
                let years = (this_year - 8..=this_year).rev();
                let found = years
                    .filter_map(|year| civil_time(year, *month, *day, *hour, *minute, *second).ok())
                    .filter_map(|civil| Timestamp::from_civil(civil).ok())
                    .find(|moment| *moment <= latest);
                found.map_or(EventTime::Unknown(UnknownTime::Unreadable), EventTime::Known)
            }
        }
    }
}

impl<'l> Header<'l> {
    fn parse(line: &'l str) -> Option<Self> {
        let (priority, rest) = cut_priority(cut_count(line));
        if let (Some(_), Some(rest)) = (priority, rest.strip_prefix("1 ")) {
            return Self::parse_5424(priority, rest);
        }
        let (time, time_text, rest) = cut_time(rest)?;
        let rest = rest.trim_start();
        let (host, rest) = cut_host(rest)?;
        let (program, pid, message) = cut_tag(rest);
        // Many a program's own log begins with such a time; a tag is what makes it syslog.
        if program.is_empty() && time_text.starts_with(|c: char| c.is_ascii_digit()) && time_text.contains(' ') {
            return None;
        }
        Some(Self { priority, time, time_text, host, program, pid, message_id: "", structured: "", message })
    }

    /// A line without time and host (RFC 3164 §4.3.3): where a priority stands in front a tag may follow it.
    fn parse_bare(line: &'l str) -> Self {
        let (priority, rest) = cut_priority(cut_count(line));
        let (program, pid, message) = if priority.is_some() { cut_tag(rest.trim_start()) } else { ("", "", rest) };
        let time = Written::Whole(Err(UnknownTime::Missing));
        Self { priority, time, time_text: "", host: "", program, pid, message_id: "", structured: "", message }
    }

    /// RFC 5424 §6: `TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA [MSG]`.
    fn parse_5424(priority: Option<i64>, rest: &'l str) -> Option<Self> {
        let mut parts = rest.splitn(6, ' ');
        let time_text = parts.next()?;
        let (host, program, pid, message_id) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let (structured, message) = cut_structured(parts.next()?);
        let time = match time_text {
            "-" => Err(UnknownTime::Missing),
            text => Timestamp::parse_rfc3339(text),
        };
        let message = message.strip_prefix('\u{feff}').unwrap_or(message);
        let time = Written::Whole(time);
        Some(Self { priority, time, time_text, host, program, pid, message_id, structured, message })
    }
}

/// `123 <34>`: the length that RFC 6587 §3.4.1 puts before a message on a stream.
fn cut_count(line: &str) -> &str {
    let cut = line.split_once(' ').filter(|(count, rest)| {
        !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit()) && cut_priority(rest).0.is_some()
    });
    cut.map_or(line, |(_, rest)| rest)
}

/// A host's name, or none where a tag stands in its place.
fn cut_host(rest: &str) -> Option<(&str, &str)> {
    let (word, behind) = rest.split_once(' ')?;
    let is_tag = word.ends_with(':') && word.parse::<std::net::IpAddr>().is_err();
    Some(if is_tag { ("", rest) } else { (word, behind) })
}

/// `message repeated 5 times: [ Failed password for root]`, as rsyslog puts several of one message together.
fn cut_repeated(message: &str) -> (Option<i64>, &str) {
    let cut = message.strip_prefix("message repeated ").and_then(|rest| rest.split_once(" times: ["));
    let inner = cut.and_then(|(times, inner)| Some((times.parse().ok()?, inner.strip_suffix(']')?.trim_start())));
    inner.map_or((None, message), |(times, inner)| (Some(times), inner))
}

/// `<34>` in front; RFC 5424 §6.2.1 allows 0 to 191.
fn cut_priority(line: &str) -> (Option<i64>, &str) {
    let cut = line.strip_prefix('<').and_then(|rest| rest.split_once('>'));
    match cut.and_then(|(digits, rest)| Some((digits.parse().ok().filter(|n| (0..=191).contains(n))?, rest))) {
        Some((priority, rest)) => (Some(priority), rest),
        None => (None, line),
    }
}

/// `Nov 24 07:00:00`, `Nov 24 2026 07:00:00` or `2026-11-24T07:00:00.123456+00:00`, also with a space for the T.
fn cut_time(text: &str) -> Option<(Written, &str, &str)> {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        let first_len = text.find(' ')?;
        // `2026-11-24 07:00:00`: the space belongs to the time.
        let end = if first_len == 10 { 11 + text.get(11..)?.find(' ')? } else { first_len };
        let (first, rest) = (&text[..end], &text[end + 1..]);
        let is_date = end >= 19 && first.as_bytes()[4] == b'-' && matches!(first.as_bytes()[10], b'T' | b' ');
        return is_date.then(|| (Written::Whole(Timestamp::parse_rfc3339(first)), first, rest));
    }
    let month = month_number(text.get(..3)?).ok()?;
    let mut at = 3;
    let mut next = |text: &str| -> Option<(usize, usize)> {
        let start = at + text.get(at..)?.find(|c: char| c != ' ')?;
        let end = start + text[start..].find(' ')?;
        at = end;
        Some((start, end))
    };
    let (start, end) = next(text)?;
    let day: i16 = text[start..end].parse().ok()?;
    let (mut start, mut end) = next(text)?;
    let year: Option<i16> = text[start..end].parse().ok();
    if year.is_some() {
        (start, end) = next(text)?;
    }
    let clock = text[start..end].trim_end_matches(':').split('.').next()?;
    let mut numbers = clock.split(':').map(str::parse::<i16>);
    let (hour, minute, second) = (numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?);
    let time = match year {
        Some(year) => {
            Written::Whole(civil_time(year, month, day, hour, minute, second).and_then(Timestamp::from_civil))
        }
        None => Written::WithoutYear { month, day, hour, minute, second },
    };
    Some((time, &text[..end], &text[end..]))
}

/// `sshd[812]: message`, `kernel: message`, or a message without a tag.
fn cut_tag(rest: &str) -> (&str, &str, &str) {
    let Some((tag, message)) = rest.split_once(": ").or_else(|| rest.strip_suffix(':').map(|tag| (tag, ""))) else {
        return ("", "", rest);
    };
    if tag.contains(' ') || tag.is_empty() {
        return ("", "", rest);
    }
    match tag.strip_suffix(']').and_then(|tag| tag.rsplit_once('[')) {
        Some((program, pid)) => (program, pid, message),
        None => (tag, "", message),
    }
}

/// Cuts the structured data off: `-`, or elements in brackets whose values may hold escaped brackets.
fn cut_structured(text: &str) -> (&str, &str) {
    if let Some(rest) = text.strip_prefix('-') {
        return ("", rest.strip_prefix(' ').unwrap_or(rest));
    }
    let (mut in_element, mut in_value, mut escaped) = (false, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_value => escaped = true,
            b'"' if in_element => in_value = !in_value,
            b'[' if !in_value => in_element = true,
            b']' if !in_value => in_element = false,
            b' ' if !in_element => return (&text[..at], &text[at + 1..]),
            _ => {}
        }
    }
    (text, "")
}

/// Adds `[id name="value"]` as the field `id.name`.
fn push_structured(builder: &mut EventBuilder, structured: &str) {
    let mut rest = structured;
    let mut id = "";
    for _ in 0..PARAMETERS_MAX {
        rest = rest.trim_start_matches([' ', ']']);
        if let Some(element) = rest.strip_prefix('[') {
            let end = element.find([' ', ']']).unwrap_or(element.len());
            (id, rest) = element.split_at(end);
            continue;
        }
        let Some((name, value)) = rest.split_once("=\"") else { return };
        let mut end = 0;
        let mut escaped = false;
        for byte in value.bytes() {
            if byte == b'"' && !escaped {
                break;
            }
            escaped = byte == b'\\' && !escaped;
            end += 1;
        }
        let plain = value[..end].replace("\\\"", "\"").replace("\\]", "]").replace("\\\\", "\\");
        builder.push(&format!("{id}.{name}"), Value::Str(&plain));
        rest = value.get(end + 1..).unwrap_or_default();
    }
}
