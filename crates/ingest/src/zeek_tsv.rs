//! Zeek's own tab-separated logs: driven by the header in the file, whichever log it is.
//!
//! `#fields` names the columns and `#types` says how to read them; a header in the middle of a file (logs that were put
//! together) starts anew. An unset value (`-`) is no field; a set or vector is several values of one field.

use std::sync::Arc;

use cresset_event::{EventBuilder, FieldId, Value};

use crate::format::FormatInfo;
use crate::lines::{BadLine, LineFormat, Parsed, When};
use crate::taxonomy::Taxonomy;
use crate::zeek::Zeek;

pub(crate) const INFO: FormatInfo = FormatInfo {
    name: "zeek-tsv",
    title: "Zeek logs as tab-separated text with their header",
    example: "#separator \\x09\n#path\tdns\n#fields\tts\tuid\tid.orig_h\tquery\n#types\ttime\tstring\taddr\tstring\n1764000000.250000\tCMdzit1AMNsmfAIiQc\t192.0.2.7\ta.example",
};

/// Most columns that a header may have. The widest log that ships with Zeek has about 40.
const COLUMNS_MAX: usize = 1024;

/// Returns whether a file begins as Zeek's logs do: with their separator, or with a header that names tabbed columns.
pub(crate) fn is(head: &[u8]) -> bool {
    let head = head.strip_prefix("\u{feff}".as_bytes()).unwrap_or(head).trim_ascii_start();
    let mut header =
        head.split(|byte| *byte == b'\n').take_while(|line| line.trim_ascii().is_empty() || line[0] == b'#');
    head.starts_with(b"#separator ") || header.any(|line| line.starts_with(b"#fields\t"))
}

/// Returns how many bytes the lines have that a log begins with and that say what all others are.
pub(crate) fn header_len(head: &[u8]) -> usize {
    let lines = head.split_inclusive(|byte| *byte == b'\n');
    lines.take_while(|line| line.starts_with(b"#") || line.trim_ascii().is_empty()).map(<[u8]>::len).sum()
}

/// Reads the lines of one log.
pub(crate) struct ZeekTsv {
    taxonomy: Arc<Taxonomy>,
    zeek: Option<Zeek>,
    separator: String,
    set_separator: String,
    empty: String,
    unset: String,
    path: String,
    names: Vec<String>,
    types: Vec<Type>,
    ids: Vec<Option<FieldId>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Text,
    Int,
    Float,
    Bool,
}

impl Type {
    /// Reads Zeek's name of a type; a set or vector has the type of its members.
    fn parse(name: &str) -> (Self, bool) {
        let inner = name.split_once('[').and_then(|(_, rest)| rest.strip_suffix(']'));
        let read = match inner.unwrap_or(name) {
            "count" | "int" | "port" => Self::Int,
            "double" | "interval" => Self::Float,
            "bool" => Self::Bool,
            _ => Self::Text,
        };
        (read, inner.is_some())
    }
}

impl ZeekTsv {
    pub(crate) fn new(taxonomy: &Arc<Taxonomy>) -> Self {
        Self {
            taxonomy: Arc::clone(taxonomy),
            zeek: None,
            separator: "\t".into(),
            set_separator: ",".into(),
            empty: "(empty)".into(),
            unset: "-".into(),
            path: String::new(),
            names: Vec::new(),
            types: Vec::new(),
            ids: Vec::new(),
        }
    }

    fn header(&mut self, line: &str) -> Result<(), BadLine> {
        if let Some(separator) = line.strip_prefix("separator ") {
            self.separator = unescape(separator);
            return if self.separator.is_empty() { Err("a header with an empty separator".into()) } else { Ok(()) };
        }
        let mut parts = line.split(self.separator.as_str());
        let key = parts.next().unwrap_or_default();
        match key {
            "set_separator" => self.set_separator = parts.next().unwrap_or(",").into(),
            "empty_field" => self.empty = parts.next().unwrap_or_default().into(),
            "unset_field" => self.unset = parts.next().unwrap_or_default().into(),
            "path" => self.path = parts.next().unwrap_or_default().into(),
            "fields" => {
                self.names = parts.take(COLUMNS_MAX).map(Into::into).collect();
                self.types.clear();
                self.ids.clear();
            }
            "types" => self.types = parts.take(COLUMNS_MAX).map(|name| Type::parse(name).0).collect(),
            _ => {}
        }
        Ok(())
    }

    fn columns(&mut self, line: &str, builder: &mut EventBuilder) -> Result<(), BadLine> {
        if self.names.is_empty() {
            return Err("a record before any `#fields` header".into());
        }
        if self.ids.is_empty() {
            self.ids = self.names.iter().map(|name| builder.intern(name)).collect();
        }
        let mut count = 0;
        for (column, text) in line.split(self.separator.as_str()).enumerate() {
            count = column + 1;
            let Some(name) = self.names.get(column) else { continue };
            if text == self.unset {
                continue;
            }
            let read = self.types.get(column).copied().unwrap_or(Type::Text);
            let is_several = read == Type::Text && name != "ts" && text.contains(self.set_separator.as_str());
            let members = if is_several { text.split(self.set_separator.as_str()) } else { text.split("\0") };
            for member in members {
                let value = if member == self.empty { Value::Empty } else { Value::Str(member) };
                push(builder, self.ids[column], name, typed(read, value));
            }
        }
        if count != self.names.len() {
            return Err(BadLine(format!("{count} columns where the header names {}", self.names.len())));
        }
        Ok(())
    }
}

impl LineFormat for ZeekTsv {
    const NAME: &'static str = INFO.name;

    fn parse(&mut self, line: &str, _: &When, builder: &mut EventBuilder) -> Result<Parsed, BadLine> {
        if let Some(header) = line.strip_prefix('#') {
            self.header(header)?;
            return Ok(Parsed::NotARecord);
        }
        self.columns(line, builder)?;
        let names = Arc::clone(builder.names());
        let zeek = self.zeek.get_or_insert_with(|| Zeek::new(&names, &self.taxonomy));
        let (time, log_source) = zeek.finish_as(&self.path, builder);
        Ok(Parsed::Record { time, log_source })
    }
}

fn push(builder: &mut EventBuilder, id: Option<FieldId>, name: &str, value: Value<'_>) {
    match (id, value) {
        (id, Value::Str(text)) if text.contains("\\x") => {
            let plain = unescape(text);
            match id {
                Some(id) => builder.push_by_id(id, Value::Str(&plain)),
                None => builder.push(name, Value::Str(&plain)),
            }
        }
        (Some(id), value) => builder.push_by_id(id, value),
        (None, value) => builder.push(name, value),
    }
}

fn typed(read: Type, value: Value<'_>) -> Value<'_> {
    let Value::Str(text) = value else { return value };
    match read {
        Type::Text => value,
        Type::Int => text.parse().map_or(value, Value::Int),
        Type::Float => text.parse().map_or(value, Value::Float),
        Type::Bool => match text {
            "T" => Value::Bool(true),
            "F" => Value::Bool(false),
            _ => value,
        },
    }
}

/// Undoes Zeek's `\xHH`. What is not UTF-8 afterwards is shown as U+FFFD.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = rest.get(1..4).filter(|tail| *first == b'\\' && tail[0] == b'x');
        let byte = escaped
            .and_then(|tail| std::str::from_utf8(&tail[1..]).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte {
            Some(byte) => {
                bytes.push(byte);
                rest = &rest[4..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
