//! Event logs (EVTX) made here: as small as they can be, and as no Windows writes them. One test vocabulary: [`Log`].

use crate::read;

const HEADER_BYTES: usize = 4096;
const CHUNK_BYTES: usize = 65_536;

/// A log of as many chunks, whose records all name one template: `<Event>` with a text of so many times `中`.
struct Log {
    bytes: Vec<u8>,
    /// How many records a chunk has.
    records: usize,
}

impl Log {
    fn new(chunks: u16, text_chars: usize) -> Self {
        let mut log = Self { bytes: header(chunks), records: 0 };
        for number in 0..chunks {
            let (chunk, records) = chunk(u64::from(number) * 10_000 + 1, text_chars);
            log.bytes.extend(chunk);
            log.records = records;
        }
        log
    }
}

fn header(chunks: u16) -> Vec<u8> {
    let mut header = vec![0; HEADER_BYTES];
    header[..8].copy_from_slice(b"ElfFile\0");
    put(&mut header, 16, &u64::from(chunks.saturating_sub(1)).to_le_bytes());
    put(&mut header, 32, &128_u32.to_le_bytes());
    put(&mut header, 36, &[1, 0, 3, 0, 0, 16]);
    put(&mut header, 42, &chunks.to_le_bytes());
    header
}

/// A chunk that is full of records; the first holds the template that the others name.
fn chunk(first: u64, text_chars: usize) -> (Vec<u8>, usize) {
    let mut chunk = vec![0; 512];
    put(&mut chunk, 0, b"ElfChnk\0");
    let (mut records, mut last, mut template) = (0, 0, None);
    loop {
        let begin = chunk.len();
        let mut record = vec![0x2a, 0x2a, 0, 0, 0, 0, 0, 0];
        record.extend((first + records).to_le_bytes());
        record.extend(133_000_000_000_000_000_u64.to_le_bytes());
        // The beginning of a fragment, and an instance of template 7.
        record.extend([0x0f, 1, 1, 0, 0x0c, 1, 7, 0, 0, 0]);
        match template {
            Some(at) => record.extend(u32::to_le_bytes(at)),
            None => {
                let at = u32::try_from(begin + record.len() + 4).expect("within a chunk");
                template = Some(at);
                record.extend(at.to_le_bytes());
                record.extend(definition(at, text_chars));
            }
        }
        // No values of its own.
        record.extend([0; 4]);
        while (record.len() + 4) % 8 != 0 {
            record.push(0);
        }
        let length = u32::try_from(record.len() + 4).expect("within a chunk");
        record.extend(length.to_le_bytes());
        put(&mut record, 4, &length.to_le_bytes());
        if begin + record.len() > CHUNK_BYTES {
            break;
        }
        last = begin;
        chunk.extend(record);
        records += 1;
    }
    for (at, number) in [(8, first), (16, first + records - 1), (24, first), (32, first + records - 1)] {
        put(&mut chunk, at, &number.to_le_bytes());
    }
    for (at, offset) in [(40, 128), (44, last), (48, chunk.len())] {
        put(&mut chunk, at, &u32::try_from(offset).expect("within a chunk").to_le_bytes());
    }
    chunk.resize(CHUNK_BYTES, 0);
    (chunk, usize::try_from(records).expect("few"))
}

/// The definition of template 7, which stands here in its chunk.
fn definition(at: u32, text_chars: usize) -> Vec<u8> {
    let utf_16 = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let length = |count: usize| u16::try_from(count).expect("a short text").to_le_bytes();
    let mut body = vec![0x0f, 1, 1, 0];
    // `<Event>`: its name stands 4 bytes behind the place that says where it stands.
    body.extend([0x01, 0xff, 0xff, 0, 0, 0, 0]);
    let name_at = at + 24 + u32::try_from(body.len()).expect("short") + 4;
    body.extend(name_at.to_le_bytes());
    body.extend([0; 6]);
    body.extend(length(5));
    body.extend(utf_16("Event\0"));
    // The end of the start tag, the text, the end tag, the end of the fragment.
    body.extend([0x02, 0x05, 0x01]);
    body.extend(length(text_chars));
    body.extend(utf_16(&"中".repeat(text_chars)));
    body.extend([0x04, 0x00]);
    let mut definition = vec![0, 0, 0, 0, 7, 0, 0, 0];
    definition.extend([0; 12]);
    definition.extend(u32::try_from(body.len()).expect("within a chunk").to_le_bytes());
    definition.extend(body);
    definition
}

fn put(bytes: &mut [u8], at: usize, what: &[u8]) {
    bytes[at..at + what.len()].copy_from_slice(what);
}

/// Splits what was read into events and reports.
fn events_and_reports(bytes: &[u8]) -> (Vec<String>, Vec<String>) {
    read(bytes).into_iter().partition(|record| !record.starts_with("skipped"))
}

#[test]
fn a_log_of_two_chunks_is_read() {
    let log = Log::new(2, 3);
    let (events, reports) = events_and_reports(&log.bytes);
    assert_eq!((events.len(), reports), (2 * log.records, Vec::new()));
    assert!(events[0].ends_with("Event=中中中"), "{}", events[0]);
}

#[test]
fn a_chunk_that_would_be_read_to_much_more_than_a_real_one_is_read_in_part_and_the_next_too() {
    const TEXT_BYTES: usize = 45_000;
    const JSON_BYTES_MAX: usize = 2 << 20;
    let log = Log::new(2, TEXT_BYTES / "中".len());
    assert!(log.records * TEXT_BYTES > 10 * JSON_BYTES_MAX, "{} records", log.records);
    let (events, reports) = events_and_reports(&log.bytes);
    let read: usize = events.iter().map(String::len).sum();
    assert!((JSON_BYTES_MAX..3 * JSON_BYTES_MAX).contains(&read), "{read} bytes");
    assert_eq!(reports.len(), 2, "{reports:?}");
    assert!(reports.iter().all(|report| report.contains("in its chunk")), "{reports:?}");
}

#[test]
fn a_log_that_is_cut_between_two_chunks_says_so() {
    let log = Log::new(3, 3);
    let (events, reports) = events_and_reports(&log.bytes[..HEADER_BYTES + CHUNK_BYTES]);
    assert_eq!(events.len(), log.records);
    assert_eq!(reports, ["skipped 0: the log ends behind chunk 1 of 3; the records of the others are lost"]);
}

#[test]
fn a_log_that_is_cut_within_a_chunk_says_so() {
    let log = Log::new(2, 3);
    let (events, reports) = events_and_reports(&log.bytes[..log.bytes.len() - CHUNK_BYTES / 2]);
    assert!((log.records + 1..2 * log.records).contains(&events.len()), "{} events", events.len());
    assert!(reports.iter().any(|report| report.contains("32768 bytes short")), "{reports:?}");
}
