//! A pipe that is quiet is read as far as it came. One test vocabulary: [`check_reads_quiet`].

use std::io::{self, PipeWriter, Read, Write};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use cresset_event::Timestamp;
use cresset_ingest::{Opener, Record};

use crate::{gzip, show};

/// Long enough for the slowest machine; what is waited for comes in a fraction of a second.
const PATIENCE: Duration = Duration::from_secs(60);

const LINE: &str = "{\"time\":\"2026-11-24T07:00:00Z\",\"n\":1}\n";

/// Reads a stream on another thread; gives its records as they come.
fn records(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (said, heard) = channel();
    thread::spawn(move || match Opener::new(Default::default()).open_stream("pipe", Box::new(stream)) {
        Ok(mut reader) => {
            let _ = std::iter::from_fn(|| reader.next_record()).try_for_each(|record| said.send(show(&record)));
        }
        Err(error) => drop(said.send(format!("not opened: {error}"))),
    });
    heard
}

/// A pipe that is being read.
struct Pipe {
    writer: PipeWriter,
    records: Receiver<String>,
}

impl Pipe {
    fn new() -> Self {
        let (reader, writer) = io::pipe().expect("a pipe");
        Self { writer, records: records(reader) }
    }

    fn give(&mut self, bytes: impl AsRef<[u8]>) -> &Self {
        self.writer.write_all(bytes.as_ref()).expect("somebody reads");
        self
    }

    #[track_caller]
    fn check_silent(&self) {
        const MOMENT: Duration = Duration::from_millis(300);
        assert_eq!(self.records.recv_timeout(MOMENT).ok(), None);
    }

    #[track_caller]
    fn check_gives(&self, expected: &[&str]) {
        for expected in expected {
            let record = self.records.recv_timeout(PATIENCE).expect("a record while the pipe is open");
            assert!(record.contains(expected), "{record}");
        }
    }
}

/// Checks that bytes are read to records with these words, although the pipe stays open behind them.
#[track_caller]
fn check_reads_quiet(bytes: impl AsRef<[u8]>, expected: &[&str]) {
    let mut pipe = Pipe::new();
    pipe.give(bytes).check_gives(expected);
}

#[test]
fn a_line_is_read_at_once() {
    check_reads_quiet(LINE, &["n=1"]);
    check_reads_quiet("\u{feff}\n{\"a\":2}\n", &["a=2"]);
    check_reads_quiet("Nov 24 07:00:00 h p: m\n", &["m"]);
    check_reads_quiet("1.1.1.1 - - [24/Nov/2026:07:00:00 +0000] \"GET /a HTTP/1.1\" 200 1 \"-\" \"-\"\n", &["/a"]);
    check_reads_quiet("#separator \\x09\n#fields\ta\tb\n1\t2\n", &["b=2"]);
    check_reads_quiet("garbage\nNov 24 07:00:00 h p: m\n", &["skipped 1", "m"]);
}

#[test]
fn objects_over_several_lines_are_read_at_once() {
    check_reads_quiet("{\n  \"a\": 1,\n  \"b\": 2\n}\n", &["a=1"]);
    check_reads_quiet("[\n{\"a\":1},\n{\"a\":2}", &["a=1", "a=2"]);
    check_reads_quiet("[{\"a\":1},\n", &["a=1"]);
    check_reads_quiet("{\"Records\":[\n{\"a\":1},\n", &["a=1"]);
}

#[test]
fn what_is_packed_is_read_at_once() {
    let line = LINE.as_bytes();
    check_reads_quiet(gzip(line), &["n=1"]);
    check_reads_quiet(gzip(&gzip(line)), &["n=1"]);
    check_reads_quiet(zstd::encode_all(line, 1).expect("memory"), &["n=1"]);

    // Within a member, and within a frame.
    let mut member = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    member.write_all(line).and_then(|()| member.flush()).expect("memory");
    check_reads_quiet(member.get_ref(), &["n=1"]);
    let mut frame = zstd::Encoder::new(Vec::new(), 1).expect("memory");
    frame.write_all(line).and_then(|()| frame.flush()).expect("memory");
    check_reads_quiet(frame.get_ref(), &["n=1"]);
}

#[test]
fn utf_16_is_read_at_once() {
    let bytes = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let mut pipe = Pipe::new();
    pipe.give(bytes("\u{feff}{\"a\":\"ä\u{1f525}\"}\n")).check_gives(&["a=ä\u{1f525}"]);
    // Cut within a unit, and within a pair.
    let second = bytes("{\"b\":\"\u{1f525}\"}\n");
    for cut in second.chunks(3) {
        pipe.give(cut);
    }
    pipe.check_gives(&["b=\u{1f525}"]);
}

/// Gives bytes one at a time.
struct Trickle<R>(R);

impl<R: Read> Read for Trickle<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = buffer.len().min(1);
        self.0.read(&mut buffer[..room])
    }
}

#[test]
fn what_comes_byte_by_byte_is_told_all_the_same() {
    let utf_16 = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_be_bytes).collect() };
    for bytes in [
        LINE.into(),
        gzip(LINE.as_bytes()),
        zstd::encode_all(gzip(LINE.as_bytes()).as_slice(), 1).expect("memory"),
        utf_16(&format!("\u{feff}{LINE}")),
    ] {
        let records: Vec<_> = records(Trickle(io::Cursor::new(bytes))).iter().collect();
        assert_eq!(records.len(), 1, "{records:?}");
        assert!(records[0].contains("n=1"), "{records:?}");
    }
}

#[test]
fn a_pipe_is_told_when_it_can_be() {
    // A moment is longer than what more is waited for; should it not be, on a slow machine, nothing fails here.
    let mut pipe = Pipe::new();
    pipe.give("some words\n").check_silent();
    pipe.give("{\"a\":").check_silent();
    pipe.give("1}\n").check_gives(&["skipped 1", "a=1"]);
    pipe.give("{\"a\":2}\n").check_gives(&["a=2"]);
}

#[test]
fn what_stands_in_whole_lines_tells_the_format() {
    // Were the half line a whole one there would be two of its kind.
    let halves = "{\"a\":1}\n{\"a\":2}";
    check_reads_quiet(format!("Nov 24 07:00:00 h p: m\n{halves}"), &["m", "skipped 2"]);
    check_reads_quiet(format!("{{\"a\":0}}\nNov 24 07:00:00 h p: m\n{halves}"), &["a=0", "skipped 2", "a=1"]);
}

/// Checks that what comes later through a pipe arrives later.
#[track_caller]
fn check_arrives_when_it_comes(pieces: [&str; 2]) {
    let (reader, mut writer) = io::pipe().expect("a pipe");
    writer.write_all(pieces[0].as_bytes()).expect("room in the pipe");
    let mut reader = Opener::new(Default::default()).open_stream("pipe", Box::new(reader)).expect("a format");
    let mut arrived = || match reader.next_record() {
        Some(Record::Event(event)) => event.origin().arrived,
        other => panic!("{other:?}"),
    };
    let first = arrived();
    let between = Timestamp::now();
    writer.write_all(pieces[1].as_bytes()).expect("room in the pipe");
    let second = arrived();
    assert!(first <= between && between <= second, "{first} {between} {second}");
}

#[test]
fn what_comes_later_arrives_later() {
    check_arrives_when_it_comes([LINE, LINE]);
    check_arrives_when_it_comes(["[\n{\"a\":1},\n", "{\"a\":2}"]);
    check_arrives_when_it_comes(["Nov 24 07:00:00 h p: m\n", "Nov 24 07:00:01 h p: m\n"]);
}

#[test]
fn lines_that_come_together_are_told_by_most_of_them() {
    let lines = ["Nov 24 07:00:00 h p: starting\n", LINE, LINE, LINE].concat();
    let records: Vec<_> = records(io::Cursor::new(lines)).iter().collect();
    assert_eq!(records.len(), 4, "{records:?}");
    assert!(records[0].starts_with("skipped 1") && records[3].contains("n=1"), "{records:?}");
}

#[test]
fn a_stream_that_breaks_off_gives_what_came_and_the_reason() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("no more"))
        }
    }
    let broken: Vec<_> = records(Broken).iter().collect();
    assert_eq!(broken, ["not opened: cannot read `pipe`"]);
    let broken: Vec<_> = records(io::Cursor::new(LINE).chain(Broken)).iter().collect();
    assert_eq!(broken.len(), 2, "{broken:?}");
    assert!(broken[1].ends_with("the source could not be read further: no more"), "{broken:?}");
}

#[test]
fn a_stream_whose_reader_panics_is_no_stream_that_ended() {
    struct Panics;
    impl Read for Panics {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            panic!("in the thread that reads")
        }
    }
    let lost: Vec<_> = records(io::Cursor::new(LINE).chain(Panics)).iter().collect();
    assert!(lost.last().is_some_and(|last| last.contains("was lost")), "{lost:?}");
}
