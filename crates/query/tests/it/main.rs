//! Queries by the face of the crate: what is answered, what is left out, what is refused.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cresset_archive::{Archive, EVENTS, TableRows, Writer, WriterOptions};
use cresset_event::{
    Event, EventBuilder, EventTime, FieldNames, LogSource, Origin, Source, SourceIdentity, Timestamp, Value,
};
use cresset_query::arrow::array::{
    ArrayRef, FixedSizeBinaryBuilder, ListBuilder, RecordBatch, StringArray, StringBuilder, TimestampNanosecondArray,
};
use cresset_query::arrow::datatypes::{Field, Schema, SchemaRef};
use cresset_query::arrow::util::display::array_value_to_string;
use cresset_query::{Answer, Limits, QueryError, Rows, Sql};
use proptest::prelude::*;

/// 2026-11-01T00:00:00Z in seconds since 1970; each event has a minute of its own.
const BEGAN: i64 = 1_793_491_200;

/// An event of one of two services; of one of them with a field that the other has not.
fn event(number: u64) -> Event {
    let mut builder = EventBuilder::new(Arc::new(FieldNames::new()));
    let (service, host) = (["sshd", "web"][number as usize % 2], format!("host{}", number % 3));
    builder.set_raw(&format!("{service} {number}"));
    builder.push("host", Value::Str(&host));
    builder.push("Number", Value::Int(number as i64));
    if service == "web" {
        builder.push("http.url", Value::Str(&format!("/page/{number}")));
    }
    let word = |word: &str| Some(word.to_owned());
    builder.finish(Origin {
        source: Arc::new(Source { name: "a.log".into(), identity: SourceIdentity::Numbered }),
        record: number,
        time: EventTime::Known(Timestamp::from_nanos((BEGAN + 60 * number as i64) * 1_000_000_000)),
        log_source: Arc::new(LogSource { product: word("linux"), service: word(service), categories: vec![] }),
        ..Origin::default()
    })
}

/// An archive of segments with ten events each, the last of which are in the log still.
fn archive(events: u64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let options = WriterOptions { log_bytes: 1, ..WriterOptions::default() };
    let (mut writer, _) = Writer::open(folder.path(), options).expect("an archive");
    for begin in (0..events).step_by(10) {
        let mut packer = writer.packer();
        (begin..events.min(begin + 10)).for_each(|number| packer.add(&event(number)));
        writer.append(&packer.take()).expect("room");
    }
    // Not closed: what it was given last stays in the log.
    drop(writer);
    folder
}

/// Rows of a table of notes; each has a text, a list and the id of an event.
fn notes(numbers: &[u64]) -> TableRows {
    let (mut ids, mut events) = (FixedSizeBinaryBuilder::new(16), FixedSizeBinaryBuilder::new(16));
    let mut lists = ListBuilder::new(StringBuilder::new());
    for number in numbers {
        ids.append_value(u128::from(*number).to_be_bytes()).expect("16 bytes");
        events.append_value(event(*number).id().as_bytes()).expect("16 bytes");
        lists.append_value(["a", "b"].map(|letter| Some(format!("{letter}{number}"))));
    }
    let times = numbers
        .iter()
        .map(|number| (!number.is_multiple_of(10)).then(|| (BEGAN + 60 * *number as i64) * 1_000_000_000));
    let times = times.collect::<TimestampNanosecondArray>().with_timezone("UTC");
    let texts: StringArray = numbers.iter().map(|number| Some(format!("note {number}"))).collect();
    let columns: [ArrayRef; 3] = [Arc::new(texts), Arc::new(lists.finish()), Arc::new(events.finish())];
    let own = ["text", "list", "event_id"].into_iter().zip(&columns);
    let own = own.map(|(name, column)| Field::new(name, column.data_type().clone(), true));
    let schema = Schema::new(TableRows::columns().into_iter().chain(own).collect::<Vec<_>>());
    let first: [ArrayRef; 2] = [Arc::new(ids.finish()), Arc::new(times)];
    let columns = first.into_iter().chain(columns).collect();
    TableRows::new("notes", RecordBatch::try_new(schema.into(), columns).expect("as many of each"))
}

/// Rows as texts, and how many more are wanted.
struct Taken(Vec<Vec<String>>, usize);

impl Rows for Taken {
    type Error = std::convert::Infallible;

    fn begin(&mut self, columns: &SchemaRef) -> Result<(), Self::Error> {
        self.0 = vec![columns.fields().iter().map(|field| field.name().clone()).collect()];
        Ok(())
    }

    fn rows(&mut self, rows: &RecordBatch) -> Result<ControlFlow<()>, Self::Error> {
        let text = |row, column: &_| array_value_to_string(column, row).expect("a text");
        self.0.extend((0..rows.num_rows()).map(|row| rows.columns().iter().map(|column| text(row, column)).collect()));
        Ok(if self.0.len() > self.1 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }
}

fn open(folder: &Path, limits: Limits) -> Sql {
    Sql::open(Archive::open(folder).expect("an archive"), &[("notes", notes(&[]).batch().schema())], limits)
        .expect("it can be asked")
}

fn ask(sql: &Sql, query: &str) -> Result<(Vec<Vec<String>>, Answer), QueryError> {
    let mut taken = Taken(Vec::new(), usize::MAX);
    let answer = sql.ask(query, &mut taken)?.unwrap_or_else(|never| match never {});
    Ok((taken.0, answer))
}

/// Rows without the names of their columns.
fn rows(sql: &Sql, query: &str) -> Vec<String> {
    let (rows, _) = ask(sql, query).unwrap_or_else(|error| panic!("{query}: {error:?}"));
    rows[1..].iter().map(|row| row.join(" ")).collect()
}

#[test]
fn what_is_in_files_and_in_the_log_is_one_table() {
    let folder = archive(95);
    let archive = Archive::open(folder.path()).expect("an archive");
    assert!(archive.stats().events_in_log > 0 && archive.stats().event_files.0 > 0, "{:?}", archive.stats());
    let sql = open(folder.path(), Limits::default());
    assert_eq!(rows(&sql, "select count(*) from events"), ["95"]);
    let hosts = "select host, COUNT(*), min(time) from events group by host order by host";
    let first = ["2026-11-01T00:00:00Z", "2026-11-01T00:01:00Z", "2026-11-01T00:02:00Z"];
    assert_eq!(
        rows(&sql, hosts),
        [format!("host0 32 {}", first[0]), format!("host1 32 {}", first[1]), format!("host2 31 {}", first[2])]
    );
    // A field that one log source has, with a dot in its name; numbers are texts, and compared as numbers.
    assert_eq!(rows(&sql, "select \"http.url\" from events where Number = 7"), ["/page/7"]);
    assert_eq!(rows(&sql, "select count(*) from events where \"http.url\" is null"), ["48"]);
    assert_eq!(rows(&sql, "select count(*) from events where cast(Number as int) >= 90"), ["5"]);
    let id = event(14).id();
    assert_eq!(rows(&sql, &format!("select raw from events where id in ('{id}', 'none')")), ["sshd 14"]);
    assert_eq!(
        rows(&sql, &format!("select raw from events where id in ('{id}', '{}') order by 1", event(3).id())),
        ["sshd 14", "web 3"]
    );
    assert_eq!(rows(&sql, &format!("select count(*) from events where id <> '{id}'")), ["94"]);
    assert_eq!(rows(&sql, &format!("select raw from events where id = '{}'", id.to_string().to_uppercase())), [""; 0]);
    let plan = rows(&sql, &format!("explain analyze select raw from events where id = '{id}'")).join("\n");
    let pruned = plan.split_once("row_groups_pruned_bloom_filter=").map_or("", |(_, pruned)| pruned);
    assert!(pruned.contains("1 matched"), "{plan}");
    let id = event(94).id();
    assert_eq!(rows(&sql, &format!("select raw from events where id = '{id}'")), ["sshd 94"]);
    assert_eq!(rows(&sql, "select date_trunc('hour', time), count(*) from events group by 1 order by 1").len(), 2);
}

#[test]
fn files_are_left_out_by_time_and_log_source_and_it_is_said_by_which() {
    let folder = archive(65);
    let sql = open(folder.path(), Limits::default());
    let (rows, answer) =
        ask(&sql, "select Number from events where time < '2026-11-01T00:05:00Z' and service = 'web'").expect("rows");
    assert_eq!(rows.len(), 3);
    let scan = &answer.scans[0];
    assert_eq!((scan.read, scan.left_out.len()), (1, 2), "{scan:?}");
    assert_eq!(scan.left_out[1].condition, "service = web");
    assert!(scan.left_out.iter().all(|left_out| left_out.files > 0), "{scan:?}");
    // What the files say is shown too.
    let plan = self::rows(&sql, "explain select Number from events where time < '2026-11-01T00:05:00Z'").join("\n");
    assert!(plan.contains("pruning_predicate") && plan.contains("file_groups"), "{plan}");
    let (_, answer) = ask(&sql, "select count(*) from events where Number = '3'").expect("rows");
    assert_eq!(answer.scans[0].read, answer.scans[0].files);
}

#[test]
fn another_table_is_asked_and_joined_as_that_of_events_is() {
    let folder = archive(35);
    // Its columns are known before it has a row.
    let sql = open(folder.path(), Limits::default());
    assert_eq!(rows(&sql, "select count(*) from notes where text = 'note 1'"), ["0"]);
    let options = WriterOptions { log_bytes: 1, ..WriterOptions::default() };
    let (mut writer, _) = Writer::open(folder.path(), options).expect("an archive");
    for numbers in [0..10, 10..20, 20..30] {
        writer.append_rows(&notes(&numbers.collect::<Vec<_>>())).expect("room");
    }
    drop(writer);
    let sql = open(folder.path(), Limits::default());
    assert_eq!(rows(&sql, "select count(*), count(time) from notes"), ["30 27"]);
    let by_list = rows(&sql, "select id, text from notes where list[2] = 'b25'");
    assert_eq!(by_list, ["00000000-0000-0000-0000-000000000019 note 25"]);
    let joined = "select text, raw from notes join events on event_id = events.id where Number in (3, 24) order by 1";
    assert_eq!(rows(&sql, joined), ["note 24 sshd 24", "note 3 web 3"]);
    let (answered, answer) = ask(&sql, "select text from notes where time < '2026-11-01T00:03:00Z'").expect("rows");
    assert_eq!((answered.len(), answer.scans[0].files, answer.scans[0].read), (3, 2, 1), "{answer:?}");
    // A table of which nobody said that it is there.
    let unsaid = Sql::open(Archive::open(folder.path()).expect("an archive"), &[], Limits::default());
    assert_eq!(rows(&unsaid.expect("it can be asked"), "select min(text) from notes"), ["note 0"]);

    assert_eq!(damage(folder.path(), "notes"), 2);
    let sql = open(folder.path(), Limits::default());
    assert_eq!(rows(&sql, "select count(id) from notes"), ["10"]);
    assert_eq!(sql.damaged().len(), 2);
}

#[test]
fn nothing_but_one_select_is_answered() {
    let folder = archive(15);
    let sql = open(folder.path(), Limits::default());
    let out: PathBuf = folder.path().join("out.parquet");
    let refused = [
        "drop table events".to_owned(),
        "create table t as select * from events".into(),
        "create external table t stored as csv location '/etc/passwd'".into(),
        "insert into events select * from events".into(),
        "delete from events".into(),
        "update events set host = 'x'".into(),
        "set datafusion.execution.batch_size = 1".into(),
        format!("copy events to '{}'", out.display()),
        format!("explain copy events to '{}'", out.display()),
        "select 1; select 2".into(),
        String::new(),
        "select * into t from events".into(),
        "prepare p as select 1".into(),
        "show tables".into(),
    ];
    for query in refused {
        let error = ask(&sql, &query).expect_err(&query);
        assert!(matches!(error, QueryError::NotASelect { .. } | QueryError::Refused(_)), "{query}: {error:?}");
    }
    assert!(!out.exists());
    for query in [
        "select * from '/etc/passwd'",
        "select * from read_csv('/etc/passwd')",
        "select * from information_schema.tables",
    ] {
        let error = ask(&sql, query).expect_err(query);
        assert!(matches!(error, QueryError::Refused(_)), "{query}: {error:?}");
    }
    let long = format!("select '{}'", "x".repeat(1 << 20));
    assert!(matches!(ask(&sql, &long), Err(QueryError::Refused(_))));
    let deep = format!("select {}1{}", "(".repeat(100_000), ")".repeat(100_000));
    assert!(matches!(ask(&sql, &deep), Err(QueryError::Refused(_))));
    assert_eq!(rows(&sql, "select count(*) from events"), ["15"]);
}

#[test]
fn a_query_that_is_deep_is_answered_or_refused() {
    let folder = archive(15);
    let sql = open(folder.path(), Limits::default());
    let any_of = |count: usize| {
        let each: Vec<String> = (0..count).map(|number| format!("Number = '{number}'")).collect();
        format!("select count(*) from events where {}", each.join(" or "))
    };
    assert_eq!(rows(&sql, &any_of(500)), ["15"]);
    let sum = format!("select {}1", "1+".repeat(500));
    assert_eq!(rows(&sql, &sum), ["501"]);
    for query in [
        any_of(20_000),
        format!("select {}1", "1+".repeat(20_000)),
        "select 1 ".to_owned() + &"union all select 1 ".repeat(20_000),
    ] {
        let error = ask(&sql, &query).expect_err("it is too deep");
        assert!(error.to_string().contains("operators"), "{error}");
    }
    let values: Vec<String> = (0..5_000).map(|number| format!("'{number}'")).collect();
    assert_eq!(rows(&sql, &format!("select count(*) from events where Number in ({})", values.join(","))), ["15"]);
}

#[test]
fn an_error_says_what_is_wrong_with_the_query() {
    let folder = archive(15);
    let sql = open(folder.path(), Limits::default());
    let error = |query| ask(&sql, query).expect_err(query).to_string();
    assert_eq!(
        error("select number from events"),
        "No field named number. Did you mean 'events.\"Number\"'? `describe events` lists all"
    );
    assert!(error("selekt").contains("selekt"));
    assert!(error("select * from evnts").contains("evnts"));
}

#[test]
fn time_and_memory_are_bounded_and_a_query_can_be_broken_off() {
    let folder = archive(95);
    let hungry = "select a.raw, b.raw, c.raw from events a, events b, events c order by a.raw, b.raw, c.raw";
    let sql = open(folder.path(), Limits { time: Duration::ZERO, ..Limits::default() });
    assert!(matches!(ask(&sql, hungry), Err(QueryError::TimeOut { .. })));
    let sql = open(folder.path(), Limits { memory_bytes: 1 << 20, ..Limits::default() });
    assert!(matches!(ask(&sql, hungry), Err(QueryError::OutOfMemory { .. })));
    let sql = open(folder.path(), Limits::default());
    let mut taken = Taken(Vec::new(), 10);
    let endless = "select a.raw from events a, events b, events c, events d, events e, events f";
    let Ok(answer) = sql.ask(endless, &mut taken).expect("rows");
    assert!(answer.rows >= 10);
    // It is fit for the next.
    assert_eq!(rows(&sql, "select count(*) from events"), ["95"]);
}

/// Makes the first page of each file of events whose name has this unreadable.
fn damage(folder: &Path, name: &str) -> usize {
    let archive = Archive::open(folder).expect("an archive");
    let files = archive.tables().into_iter().flat_map(|table| archive.files_of(table));
    files
        .filter(|entry| entry.file.contains(name))
        .map(|entry| {
            let path = folder.join(&entry.file);
            let mut bytes = fs::read(&path).expect("a file");
            bytes[4..36].fill(0xff);
            fs::write(path, bytes).expect("room");
        })
        .count()
}

#[test]
fn files_that_are_damaged_are_named_and_the_rest_is_read() {
    let folder = archive(95);
    let damaged = damage(folder.path(), "sshd");
    assert!(damaged > 0);
    let sql = open(folder.path(), Limits::default());
    let left = rows(&sql, "select service, count(distinct id) from events where service = 'web' group by service");
    assert_eq!((left, sql.damaged().len()), (vec!["web 47".to_owned()], 0));
    let left = rows(&sql, "select service, count(distinct id) from events group by service order by service");
    assert_eq!(left.last().map(String::as_str), Some("web 47"));
    assert_eq!(sql.damaged().len(), damaged);
    assert!(sql.damaged()[0].to_string().contains("sshd"), "{:?}", sql.damaged());

    let archive = Archive::open(folder.path()).expect("an archive");
    let cut = archive.files_of(EVENTS).next().expect("a file").file.clone();
    fs::write(folder.path().join(&cut), b"PAR1").expect("room");
    let sql = open(folder.path(), Limits::default());
    assert_eq!(sql.damaged().len(), 1);
    assert_eq!(sql.damaged()[0].file, cut);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]
    #[test]
    fn conditions_leave_out_no_row_that_fits(events in 0u64..60, first in 0i64..70, last in 0i64..70, service in prop::sample::select(vec!["sshd", "web", "none"])) {
        let folder = archive(events);
        let sql = open(folder.path(), Limits::default());
        let time = |minute: i64| Timestamp::from_nanos((BEGAN + 60 * minute) * 1_000_000_000).to_string();
        let query = format!(
            "select count(*) from events where time >= '{}' and time < '{}' and service <> '{service}'",
            time(first), time(last)
        );
        let fits = |number: &u64| (first..last).contains(&(*number as i64)) && ["sshd", "web"][*number as usize % 2] != service;
        prop_assert_eq!(rows(&sql, &query), [(0..events).filter(fits).count().to_string()]);
    }
}
