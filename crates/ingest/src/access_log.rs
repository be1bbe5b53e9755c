//! Web access logs in the common and combined forms, as Apache, nginx and others write them, with or without the
//! virtual host in front.
//!
//! Fields have the names of the W3C extended log format that Sigma's `webserver` category uses. What the server escaped
//! (`\"`, `\x16`) is undone once. `cs-uri-query` has the query string and also the whole URI: most rules of SigmaHQ's
//! `webserver` category look for a path in it, after the logs of proxies.

use std::borrow::Cow;
use std::sync::Arc;

use cresset_event::{EventBuilder, EventTime, FieldId, FieldNames, Timestamp, UnknownTime, Value};

use crate::calendar::{civil_time, month_number};
use crate::format::FormatInfo;
use crate::json_lines::intern_all;
use crate::lines::{BadLine, LineFormat, Parsed, When};
use crate::taxonomy::{Class, Taxonomy};

/// Longest time in brackets; a common log's has 26 bytes. What is longer is no time.
const TIME_BYTES_MAX: usize = 40;

pub(crate) const INFO: FormatInfo = FormatInfo {
    name: "access-log",
    title: "Web access logs, common and combined",
    example: r#"192.0.2.7 - - [24/Nov/2026:07:00:00 +0000] "GET /index.html?a=1 HTTP/1.1" 200 512 "-" "curl/8.5.0""#,
};

/// Returns whether a line is in this format.
pub(crate) fn is_line(line: &str) -> bool {
    Line::cut(line).is_some_and(|cut| read_time(cut.time).is_ok())
}

/// Reads the lines of one log.
pub(crate) struct AccessLog {
    class: Arc<Class>,
    ids: Option<Ids>,
}

struct Ids {
    host: FieldId,
    client: FieldId,
    user: FieldId,
    time: FieldId,
    method: FieldId,
    uri: FieldId,
    stem: FieldId,
    query: FieldId,
    version: FieldId,
    request: FieldId,
    status: FieldId,
    bytes: FieldId,
    referer: FieldId,
    agent: FieldId,
    /// Other names for the same: the client's, the URI's, the user agent's.
    aliases: [(usize, FieldId); 3],
}

impl Ids {
    const NAMES: [&str; 17] = [
        "cs-host",
        "c-ip",
        "cs-username",
        "time",
        "cs-method",
        "cs-uri",
        "cs-uri-stem",
        "cs-uri-query",
        "cs-version",
        "request",
        "sc-status",
        "sc-bytes",
        "cs-referer",
        "cs-user-agent",
        "src_ip",
        "c-uri",
        "c-useragent",
    ];

    fn new(names: &FieldNames) -> Self {
        let id = intern_all(names, &Self::NAMES);
        Self {
            host: id[0],
            client: id[1],
            user: id[2],
            time: id[3],
            method: id[4],
            uri: id[5],
            stem: id[6],
            query: id[7],
            version: id[8],
            request: id[9],
            status: id[10],
            bytes: id[11],
            referer: id[12],
            agent: id[13],
            aliases: [(1, id[14]), (5, id[15]), (13, id[16])],
        }
    }

    fn alias(&self, builder: &mut EventBuilder) {
        let [(_, src_ip), (_, c_uri), (_, c_useragent)] = self.aliases;
        builder.alias(self.client, src_ip);
        builder.alias(self.uri, c_uri);
        builder.alias(self.agent, c_useragent);
    }
}

impl AccessLog {
    pub(crate) fn new(taxonomy: &Arc<Taxonomy>) -> Self {
        Self { class: Arc::clone(taxonomy.access_log.get("default")), ids: None }
    }
}

impl LineFormat for AccessLog {
    const NAME: &'static str = INFO.name;

    fn parse(&mut self, line: &str, _: &When, builder: &mut EventBuilder) -> Result<Parsed, BadLine> {
        let cut = Line::cut(line).ok_or("not a line of an access log (common or combined)")?;
        let names = Arc::clone(builder.names());
        let ids = self.ids.get_or_insert_with(|| Ids::new(&names));
        let mut push = |id: FieldId, text: &str| {
            if !matches!(text, "" | "-") {
                builder.push_by_id(id, Value::Str(&unescape(text)));
            }
        };
        push(ids.host, cut.host);
        push(ids.client, cut.client);
        push(ids.user, cut.user);
        push(ids.time, cut.time);
        push(ids.referer, cut.referer);
        push(ids.agent, cut.agent);
        push_number(builder, ids.status, cut.status);
        push_number(builder, ids.bytes, cut.bytes);
        push_request(builder, ids, &unescape(cut.request));
        ids.alias(builder);
        self.class.apply(builder);
        let time = EventTime::from(read_time(cut.time));
        Ok(Parsed::Record { time, log_source: Arc::clone(&self.class.log_source) })
    }
}

/// A line in its parts, as they stand in it.
struct Line<'l> {
    host: &'l str,
    client: &'l str,
    user: &'l str,
    time: &'l str,
    request: &'l str,
    status: &'l str,
    bytes: &'l str,
    referer: &'l str,
    agent: &'l str,
}

impl<'l> Line<'l> {
    fn cut(line: &'l str) -> Option<Self> {
        let (before, time, rest) = cut_time(line)?;
        let (request, rest) = cut_quoted(rest)?;
        let mut rest = rest.trim_start().splitn(3, ' ');
        let (status, bytes, rest) = (rest.next()?, rest.next().unwrap_or("-"), rest.next().unwrap_or_default());
        let is_status = status == "-" || (status.len() == 3 && status.bytes().all(|b| b.is_ascii_digit()));
        if !is_status {
            return None;
        }
        let (referer, rest) = cut_next_quoted(rest);
        let (agent, _) = cut_next_quoted(rest);
        let (host, client, user) = cut_client(before)?;
        Some(Self { host, client, user, time, request, status, bytes, referer, agent })
    }
}

/// Cuts the time out, and with it what is before and behind. The user name in front is the client's and may hold brackets; servers
/// escape a quote in it, so the time is what stands between the last bracket and the first quote that has one before it.
fn cut_time(line: &str) -> Option<(&str, &str, &str)> {
    let mut unreadable = None;
    for end in memchr::memmem::find_iter(line.as_bytes(), "] \"") {
        let from = end.saturating_sub(TIME_BYTES_MAX + 2);
        let Some(start) = memchr::memmem::rfind(&line.as_bytes()[from..end], b" [") else { continue };
        let start = from + start;
        let parts = (&line[..start], &line[start + 2..end], &line[end + 3..]);
        if read_time(parts.1).is_ok() {
            return Some(parts);
        }
        unreadable.get_or_insert(parts);
    }
    unreadable
}

/// `[host] client ident user`; a user may contain spaces.
fn cut_client(before: &str) -> Option<(&str, &str, &str)> {
    let (first, rest) = before.split_once(' ')?;
    let (second, third) = rest.split_once(' ')?;
    let is_address = |text: &str| text.parse::<std::net::IpAddr>().is_ok();
    if !is_address(first) && is_address(second) {
        let user = third.split_once(' ').map_or("-", |(_, user)| user);
        return Some((first, second, user));
    }
    Some(("-", first, third))
}

/// Cuts at the first quote that is not escaped.
fn cut_quoted(text: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some((&text[..at], &text[at + 1..])),
            _ => {}
        }
    }
    None
}

fn cut_next_quoted(text: &str) -> (&str, &str) {
    let inside = text.trim_start().strip_prefix('"').and_then(cut_quoted);
    inside.unwrap_or(("-", text))
}

/// `GET /path?query HTTP/1.1`, or whatever a client sent in its place.
fn push_request(builder: &mut EventBuilder, ids: &Ids, request: &str) {
    builder.push_by_id(ids.request, Value::Str(request));
    let Some((method, rest)) = request.split_once(' ') else { return };
    if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_')) {
        return;
    }
    let (uri, version) = match rest.rsplit_once(' ') {
        Some((uri, version)) if version.starts_with("HTTP/") => (uri, Some(version)),
        _ => (rest, None),
    };
    builder.push_by_id(ids.method, Value::Str(method));
    builder.push_by_id(ids.uri, Value::Str(uri));
    let (stem, query) = uri.split_once('?').map_or((uri, None), |(stem, query)| (stem, Some(query)));
    builder.push_by_id(ids.stem, Value::Str(stem));
    if let Some(query) = query {
        builder.push_by_id(ids.query, Value::Str(query));
    }
    builder.alias(ids.uri, ids.query);
    if let Some(version) = version {
        builder.push_by_id(ids.version, Value::Str(version));
    }
}

fn push_number(builder: &mut EventBuilder, id: FieldId, text: &str) {
    if let Ok(number) = text.parse() {
        builder.push_by_id(id, Value::Int(number));
    }
}

/// Undoes what servers escape inside quotes.
fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let (byte, taken) = match (first, after.first()) {
            (b'\\', Some(b'x')) => {
                let digits = after.get(1..3).and_then(|digits| std::str::from_utf8(digits).ok());
                digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).map_or((b'\\', 1), |byte| (byte, 4))
            }
            (b'\\', Some(quoted @ (b'"' | b'\\'))) => (*quoted, 2),
            _ => (*first, 1),
        };
        bytes.push(byte);
        rest = &rest[taken..];
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

/// `24/Nov/2026:07:00:00 +0000`.
fn read_time(text: &str) -> Result<Timestamp, UnknownTime> {
    let (civil, offset) = text.split_once(' ').unwrap_or((text, "+0000"));
    let mut parts = civil.split(['/', ':']);
    let day = parts.next().and_then(|day| day.parse().ok()).ok_or(UnknownTime::Unreadable)?;
    let month = month_number(parts.next().unwrap_or_default())?;
    let mut number = || parts.next().and_then(|part| part.parse::<i16>().ok()).ok_or(UnknownTime::Unreadable);
    let (year, hour, minute, second) = (number()?, number()?, number()?, number()?);
    let civil = civil_time(year, month, day, hour, minute, second)?;
    let offset: i64 = offset.parse().map_err(|_| UnknownTime::Unreadable)?;
    let offset_nanos = (offset / 100 * 60 + offset % 100) * 60_000_000_000;
    Timestamp::from_civil(civil).map(|moment| moment.saturating_add_nanos(-offset_nanos))
}
