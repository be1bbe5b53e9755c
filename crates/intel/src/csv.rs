//! CSV feeds: columns divided by comma, tab or semicolon.
//!
//! [`sniff`] looks at the first lines for a header that we know (also behind `#`, as abuse.ch writes it) or, without one,
//! for steady columns of which one holds indicators. [`read`] has the file cut into records (`csv/records.rs`) and each of
//! them read (`csv/row.rs`); a quote that is not closed costs its own line, not the rest of the file.

mod records;
mod row;

use ::csv::{ByteRecord, Reader, ReaderBuilder};

use crate::collector::Collector;
use crate::crew::Crew;
use crate::csv::records::{Batch, Fault, Records};
use crate::csv::row::{Scratch, read_record};
use crate::findings::Findings;
use crate::list::{hosts_line, is_comment};
use crate::text::{lossy, unquoted};
use crate::value::read_by_form;
use crate::value_type::{ValueType, single};

/// How much of a file, and how many of its lines, are looked at to tell its columns.
const SAMPLE_BYTES: usize = 1 << 16;
const SAMPLE_LINES: usize = 32;
/// Most columns that are looked at for values and their like.
const COLUMNS_MAX: usize = 256;

/// How a file's columns are laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    delimiter: u8,
    columns: Columns,
    first_row: FirstRow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FirstRow {
    Header,
    Entry,
}

/// Where what stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Columns {
    values: Vec<(usize, ValueType)>,
    value_type: Option<usize>,
    from: Option<usize>,
    until: Option<usize>,
    confidence: Option<usize>,
    name: Option<usize>,
    reference: Option<usize>,
    source: Option<usize>,
    revoked: Option<usize>,
    to_ids: Option<usize>,
}

/// Names of columns, the better first, by letters and digits alone. MISP's `date` is when an attribute was last changed,
/// not when it begins to count, and is left.
const VALUES: &[&str] = &["indicator", "value", "ioc", "iocvalue", "indicatorvalue", "observable", "observablevalue"];
const TYPES: &[&str] = &["type", "ioctype", "indicatortype", "valuetype", "kind", "observabletype"];
const FROM: &[&str] = &["validfrom", "firstseen", "firstseenutc", "begin", "start"];
const UNTIL: &[&str] = &["validuntil", "expires", "expiry", "expiration", "expirationdate", "expiresat", "validto"];
const CONFIDENCE: &[&str] = &["confidence", "confidencelevel"];
const NAMES: &[&str] = &["name", "title", "description", "comment", "malwareprintable", "malware", "threat", "notes"];
const REFERENCES: &[&str] = &["reference", "references", "link", "urlhauslink"];
const SOURCES: &[&str] = &["source", "author", "createdby", "provider", "reporter"];

/// Tells the layout of a CSV file; `None` where it is a plain list.
pub(crate) fn sniff(bytes: &[u8]) -> Option<Layout> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(SAMPLE_BYTES)]);
    let mut lines: Vec<&str> = head.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if bytes.len() > SAMPLE_BYTES {
        lines.pop();
    }
    let first = lines.iter().position(|line| !line.starts_with('#') && !line.starts_with("//"))?;
    let commented = lines[..first].last().map(|line| line.trim_start_matches(['#', '/', ' ']));
    let sample: Vec<&str> =
        lines[first..].iter().copied().filter(|line| !is_comment(line)).take(SAMPLE_LINES).collect();
    let delimiters = [b',', b'\t', b';'];
    delimiters
        .into_iter()
        .find_map(|delimiter| with_header(&sample, commented, delimiter))
        .or_else(|| delimiters.into_iter().find_map(|delimiter| by_form(&sample, delimiter)))
}

fn with_header(sample: &[&str], commented: Option<&str>, delimiter: u8) -> Option<Layout> {
    let first = cells(sample.first()?, delimiter);
    if let Some(columns) = Columns::of_header(&first) {
        return Some(Layout { delimiter, columns, first_row: FirstRow::Header });
    }
    let header = cells(commented?, delimiter);
    if header.len() < 2 || header.len() != first.len() {
        return None;
    }
    Columns::of_header(&header).map(|columns| Layout { delimiter, columns, first_row: FirstRow::Entry })
}

/// At least two lines of the same number of columns, of which one holds values in at least half of them.
fn by_form(sample: &[&str], delimiter: u8) -> Option<Layout> {
    let rows: Vec<Vec<String>> = sample.iter().map(|line| cells(line, delimiter)).collect();
    let width = rows.first()?.len();
    let is_steady = rows.len() >= 2 && width >= 2 && rows.iter().all(|row| row.len() == width);
    let is_hosts = sample.iter().any(|line| hosts_line(line).is_some());
    if !is_steady || is_hosts {
        return None;
    }
    let hits = |column: usize| rows.iter().filter(|row| read_by_form(&row[column]).is_ok()).count();
    let best =
        (0..width.min(COLUMNS_MAX)).map(|column| (hits(column), column)).max_by_key(|(n, i)| (*n, usize::MAX - i))?;
    let columns = Columns { values: vec![(best.1, ValueType::ByForm)], ..Columns::default() };
    (best.0 * 2 >= rows.len()).then_some(Layout { delimiter, columns, first_row: FirstRow::Entry })
}

fn cells(line: &str, delimiter: u8) -> Vec<String> {
    let mut record = ByteRecord::new();
    let mut reader = reader(line.as_bytes(), delimiter);
    match reader.read_byte_record(&mut record) {
        Ok(true) => record.iter().map(|cell| unquoted(&String::from_utf8_lossy(cell)).to_owned()).collect(),
        _ => Vec::new(),
    }
}

fn reader(bytes: &[u8], delimiter: u8) -> Reader<&[u8]> {
    ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).comment(Some(b'#')).from_reader(bytes)
}

impl Columns {
    /// Reads a header; `None` where no column of it holds values, or where it holds a value itself.
    fn of_header(cells: &[String]) -> Option<Self> {
        let plain: Vec<String> = cells.iter().take(COLUMNS_MAX).map(|cell| plain_name(cell)).collect();
        let find = |names: &[&str]| names.iter().find_map(|name| plain.iter().position(|cell| cell == name));
        let values = match find(VALUES) {
            Some(column) => vec![(column, ValueType::ByForm)],
            None => typed_columns(&plain),
        };
        let is_entry = cells.iter().any(|cell| read_by_form(cell).is_ok());
        if values.is_empty() || is_entry {
            return None;
        }
        Some(Self {
            values,
            value_type: find(TYPES),
            from: find(FROM),
            until: find(UNTIL),
            confidence: find(CONFIDENCE),
            name: find(NAMES),
            reference: find(REFERENCES),
            source: find(SOURCES),
            revoked: find(&["revoked"]),
            to_ids: find(&["toids"]),
        })
    }
}

/// Columns that are named for the type of what they hold. Beside a hash, a file name only describes, and is left.
fn typed_columns(plain: &[String]) -> Vec<(usize, ValueType)> {
    use cresset_event::ObservableKind::{FileHash, FileName, Process, User};
    let typed = plain.iter().enumerate().filter(|(_, name)| !name.is_empty());
    let mut values: Vec<(usize, ValueType)> = typed
        .filter_map(|(column, name)| single(name).map(|value_type| (column, value_type)))
        .filter(|(_, value_type)| !matches!(value_type, ValueType::Beside | ValueType::Of(User | Process)))
        .collect();
    if values.iter().any(|(_, value_type)| matches!(value_type, ValueType::Of(FileHash(_)))) {
        values.retain(|(_, value_type)| *value_type != ValueType::Of(FileName));
    }
    values
}

fn plain_name(cell: &str) -> String {
    cell.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
}

/// Reads the records of a CSV file.
pub(crate) fn read(bytes: &[u8], layout: &Layout, crew: Crew, collector: &mut Collector<'_>) {
    let mut records = Records::new(bytes, layout);
    let findings = collector.findings();
    crew.run(
        || Work { batch: Batch::default(), scratch: Scratch::default(), findings: findings.for_thread() },
        |work| records.cut(&mut work.batch, crew.batch_entries),
        |work| work.read(layout),
        |work| collector.take(&mut work.findings),
    );
}

/// A batch of records, and what they come to.
struct Work<'b> {
    batch: Batch<'b>,
    scratch: Scratch,
    findings: Findings,
}

impl Work<'_> {
    fn read(&mut self, layout: &Layout) {
        let Self { batch, scratch, findings } = self;
        for record in batch.records() {
            read_record(record, layout, scratch, findings);
        }
        for Fault { line, reason, bytes } in &batch.faults {
            findings.refuse(*line, reason, &lossy(bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use cresset_event::Validity;

    use super::records::{RECORD_BYTES_MAX, RESUMES_MAX};
    use super::*;
    use crate::feed::{FeedKind, Loaded};
    use crate::moment::parse_moment;

    fn csv(text: &[u8]) -> Loaded {
        let layout = sniff(text).expect("a CSV file");
        Loaded::gather(|take| {
            let mut collector = Collector::new("feed.csv", FeedKind::Csv, 0, take);
            read(text, &layout, Crew::of_small_batches(1, 2), &mut collector);
            collector.finish()
        })
    }

    fn check_values(text: &str, expected: &[&str]) {
        let loaded = csv(text.as_bytes());
        let found: Vec<String> = loaded.indicators.iter().map(|indicator| indicator.matcher.to_string()).collect();
        assert_eq!(found, expected, "{text:?}, refused: {:?}", loaded.feed.refused);
    }

    #[test]
    fn a_full_header() {
        let loaded = csv(b"type,indicator,valid_from,valid_until,confidence,description,reference,source\n\
            domain,Evil[.]example,2024-01-01,2024-06-01T00:00:00Z,high,\"C2, first\",https://r.example/1,CERT\n");
        let found = &loaded.indicators[0];
        assert_eq!(found.matcher.to_string(), "evil.example");
        assert_eq!(found.name.as_deref(), Some("C2, first"));
        assert_eq!((found.author.as_deref(), found.confidence), (Some("CERT"), Some(85)));
        assert_eq!(found.references, ["https://r.example/1"]);
        assert_eq!(found.validity.from_inclusive, parse_moment("2024-01-01"));
        assert_eq!(found.validity.until_exclusive, parse_moment("2024-06-01"));
    }

    #[test]
    fn columns_of_a_misp_export() {
        let text = "uuid,event_id,category,type,value,comment,to_ids,date,object_relation\n\
            0,1,Network activity,ip-dst|port,192.0.2.1|443,c2,1,20240101,\n\
            0,1,Payload delivery,filename|md5,a.exe|d41d8cd98f00b204e9800998ecf8427e,,1,20240101,\n\
            0,1,Network activity,domain|ip,evil.example|192.0.2.2,,1,20240101,\n\
            0,1,Other,text,hello,,1,20240101,\n\
            0,1,Network activity,domain,good.example,,0,20240101,\n";
        check_values(text, &["192.0.2.1", "d41d8cd98f00b204e9800998ecf8427e", "evil.example", "192.0.2.2"]);
        let loaded = csv(text.as_bytes());
        let lines: Vec<Option<u64>> = loaded.feed.refused.iter().map(|refused| refused.line).collect();
        assert_eq!(lines, [Some(5), Some(6)]);
        let found = &loaded.indicators[0];
        assert_eq!((found.name.as_deref(), found.validity), (Some("c2"), Validity::default()));
    }

    #[test]
    fn a_header_in_a_comment_and_other_delimiters() {
        check_values(
            "# feed of today\n# \"first_seen_utc\", \"ioc_value\", \"ioc_type\"\n\
            \"2024-01-01 00:00:00\", \"192.0.2.1:80\", \"ip:port\"\n",
            &["192.0.2.1"],
        );
        check_values("ioc;type\nevil.example;domain\n", &["evil.example"]);
        check_values("ioc\ttype\nevil.example\tdomain\n", &["evil.example"]);
        check_values("first_seen_utc,dst_ip,dst_port\n2024-01-01 00:00:00,192.0.2.1,443\n", &["192.0.2.1"]);
    }

    #[test]
    fn columns_named_for_their_type() {
        let (md5, sha1) = ("a".repeat(32), "b".repeat(40));
        check_values(&format!("md5_hash,sha1_hash,file_name\n{md5},{sha1},setup.exe\n{md5},,x\n"), &[&md5, &sha1]);
        check_values("filename\nevil.exe\n", &["evil.exe"]);
    }

    #[test]
    fn steady_columns_without_a_header() {
        check_values("2024,evil.example,x\n2025,192.0.2.1,y\n", &["evil.example", "192.0.2.1"]);
        assert_eq!(sniff(b"evil.example,x\nworse.example\n"), None, "columns that are not steady");
        assert_eq!(sniff(b"a,b\nc,d\n"), None, "no values");
        assert_eq!(sniff(b"http://evil.example/a,b\n"), None, "one line says nothing");
    }

    #[test]
    fn rows_that_cannot_be_taken_are_refused_with_their_line() {
        let loaded = csv(b"value,expires\n\
            evil.example,soon\n\
            \xff.example,\n\
            ,2024-01-01\n\
            \"two\nlines\",\n\
            worse.example,2024-01-01\n");
        let lines: Vec<Option<u64>> = loaded.feed.refused.iter().map(|refused| refused.line).collect();
        assert_eq!(lines, [Some(2), Some(3), Some(4), Some(5)]);
        assert_eq!(loaded.indicators.len(), 1);
    }

    #[test]
    fn lines_are_counted_over_comments_blanks_and_both_line_ends() {
        for text in ["# a\nvalue,x\n\n# b\nbad,1\n", "# a\r\nvalue,x\r\n\r\n# b\r\nbad,1\r\n"] {
            assert_eq!(csv(text.as_bytes()).feed.refused[0].line, Some(5), "{text:?}");
        }
    }

    #[test]
    fn a_quote_that_is_not_closed_costs_its_line_only() {
        let filler = "good.example,x\n".repeat(RECORD_BYTES_MAX / 10);
        let loaded = csv(format!("value,comment\n\n\"evil.example,x\n{filler}last.example,x\n").as_bytes());
        let values: Vec<String> = loaded.indicators.iter().map(|indicator| indicator.matcher.to_string()).collect();
        assert_eq!(values, ["good.example", "last.example"]);
        assert_eq!(loaded.feed.refused[0].line, Some(3));
        assert_eq!(loaded.feed.refused.len(), 1);
    }

    #[test]
    fn many_quotes_that_are_not_closed_end_the_reading() {
        let part = format!("\"evil.example,x\n{}", "good.example,x\n".repeat(RECORD_BYTES_MAX / 10));
        let loaded = csv(format!("value,comment\n{}\"x", part.repeat(RESUMES_MAX * 2 + 4)).as_bytes());
        let last = loaded.feed.refused.last().unwrap();
        assert!(last.reason.contains("the rest of the file is not read"), "{last:?}");
    }

    #[test]
    fn the_same_value_again_keeps_the_longer_validity() {
        let loaded = csv(b"value,expires\nevil.example,2024-01-01\nevil.example,2025-01-01\nevil.example,2023-01-01\n");
        assert_eq!((loaded.indicators.len(), loaded.feed.duplicates), (1, 2));
        assert_eq!(loaded.indicators[0].validity.until_exclusive, parse_moment("2025-01-01"));
    }
}
