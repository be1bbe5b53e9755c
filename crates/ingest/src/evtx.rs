//! Windows event logs as they lie on disk (EVTX), through the `evtx` crate.
//!
//! A chunk (64 KiB) is a block: each can be decoded by itself. A record is rendered to JSON and read as any nested Windows
//! event, so that a rule sees the same fields whichever way the event came. A chunk or record that is damaged is reported;
//! the others are read.

use std::env;
use std::fs::File;
use std::io::{self, BufRead, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cresset_event::{Event, EventBuilder, FieldId, FieldNames, Source, SourceIdentity};
use evtx::{EvtxChunkData, EvtxParser, IntoIterChunks, ParserSettings};

use crate::block::{Block, Blocks, Place, Whence};
use crate::format::FormatInfo;
use crate::input::Input;
use crate::json_lines::JsonShapes;
use crate::reader::{Decoder, Decoders, Record, Skipped};
use crate::taxonomy::Taxonomy;

pub(crate) const INFO: FormatInfo = FormatInfo {
    name: "evtx",
    title: "Windows event logs (EVTX), whole or truncated",
    example: "ElfFile\\0… (binary; C:\\Windows\\System32\\winevt\\Logs\\*.evtx)",
};

/// Returns whether these are the first bytes of an event log.
pub(crate) fn is(head: &[u8]) -> bool {
    head.starts_with(b"ElfFile\0")
}

/// Returns whether a log of so many bytes ends with a whole chunk.
pub(crate) fn is_whole(bytes: u64) -> bool {
    bytes.checked_sub(HEADER_BYTES).is_some_and(|chunks| chunks.is_multiple_of(CHUNK_BYTES))
}

/// Cuts a log into its chunks.
pub(crate) struct Chunks {
    chunks: IntoIterChunks<File>,
    /// What is missing of the log, until that is told.
    broken: Option<Skipped>,
    whence: Whence,
    taken: Arc<AtomicU64>,
    /// Bytes that are not counted as taken yet.
    left: u64,
}

impl Chunks {
    /// Opens a log that is a file of so many bytes, with a whole chunk at its end.
    pub(crate) fn in_place(name: String, mut file: File, bytes: u64) -> io::Result<Self> {
        file.rewind()?;
        let mut chunks = Self::new(name, file)?;
        chunks.left = bytes;
        Ok(chunks)
    }

    /// Opens any other log. It must be seekable, since its oldest records may stand anywhere, and so goes through an unlinked
    /// temporary file: the bytes may come from a pipe or out of a gzip.
    pub(crate) fn spooled(mut input: Input) -> io::Result<Self> {
        let (file, broken) = spool(&mut input.bytes)?;
        let mut chunks = Self::new(input.source.name.clone(), file)?;
        if let Some(reason) = broken {
            chunks.broken = Some(chunks.whence.skipped(0, reason, &[]));
        }
        chunks.taken = input.taken;
        Ok(chunks)
    }

    /// Opens a log that is at its beginning.
    fn new(name: String, mut file: File) -> io::Result<Self> {
        let whence = Whence::new(Arc::new(Source { name, identity: SourceIdentity::Numbered }));
        let broken = missing_chunks(&mut file)?.map(|reason| whence.skipped(0, reason, &[]));
        let chunks = EvtxParser::from_read_seek(file).map_err(io::Error::other)?.into_chunks();
        Ok(Self { chunks, broken, whence, taken: Arc::default(), left: 0 })
    }
}

impl Blocks for Chunks {
    fn next_block(&mut self) -> Option<Result<Block, Skipped>> {
        if let Some(broken) = self.broken.take() {
            return Some(Err(broken));
        }
        let chunk = self.chunks.next();
        let counted = if chunk.is_some() { CHUNK_BYTES.min(self.left) } else { self.left };
        self.left -= counted;
        self.taken.fetch_add(counted, Ordering::Relaxed);
        self.whence.arrives_now();
        Some(match chunk? {
            Ok(chunk) => {
                let at = Place { number: chunk.number.unwrap_or_default(), offset: 0 };
                Ok(Block::new(chunk.data, at, self.whence.clone()))
            }
            Err(cause) => Err(self.whence.skipped(0, causes(&cause), &[])),
        })
    }

    fn reuse(&mut self, _: Vec<u8>) {
        // The `evtx` crate brings its own.
    }

    fn bytes_taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }
}

/// Returns what decodes chunks.
pub(crate) fn decoders(names: &Arc<FieldNames>, taxonomy: &Arc<Taxonomy>) -> Decoders {
    let (names, taxonomy) = (Arc::clone(names), Arc::clone(taxonomy));
    Decoders::new(move || Box::new(ChunkDecoder::new(&names, &taxonomy)))
}

/// Decodes chunks, on whichever thread.
struct ChunkDecoder {
    settings: Arc<ParserSettings>,
    /// What the chunk at hand holds and was not given yet.
    ready: std::vec::IntoIter<Rendered>,
    shapes: JsonShapes,
    builder: EventBuilder,
    /// The field that holds the event's own number.
    number_field: FieldId,
}

/// A record as JSON, or why there is none.
enum Rendered {
    Record { number: u64, json: Vec<u8> },
    Bad { reason: String },
}

impl ChunkDecoder {
    fn new(names: &Arc<FieldNames>, taxonomy: &Arc<Taxonomy>) -> Self {
        Self {
            settings: Arc::new(ParserSettings::new().num_threads(1).validate_checksums(false)),
            ready: Vec::new().into_iter(),
            shapes: JsonShapes::new(names, taxonomy),
            builder: EventBuilder::new(Arc::clone(names)),
            number_field: names.intern("EventRecordID").expect("names of the built-in shapes come first"),
        }
    }

    /// Renders the records of a chunk.
    fn render(&self, number: u64, bytes: Vec<u8>) -> Vec<Rendered> {
        let bad = |cause: &dyn std::error::Error| Rendered::Bad { reason: causes(cause) };
        let mut chunk = match EvtxChunkData::new(bytes, false) {
            Ok(chunk) => EvtxChunkData { number: Some(number), ..chunk },
            Err(cause) => return vec![bad(&cause)],
        };
        match chunk.parse(Arc::clone(&self.settings)) {
            Ok(mut parsed) => {
                let mut rendered = Vec::new();
                let mut room = CHUNK_JSON_BYTES_MAX;
                for record in parsed.iter().map(|record| record.and_then(|record| record.into_json_bytes())) {
                    let record = match record {
                        Ok(record) => record,
                        Err(cause) => {
                            rendered.push(bad(&cause));
                            continue;
                        }
                    };
                    let number = record.event_record_id;
                    let Some(left) = room.checked_sub(record.data.len()) else {
                        rendered.push(Rendered::Bad { reason: too_long(number) });
                        break;
                    };
                    room = left;
                    rendered.push(Rendered::Record { number, json: record.data });
                }
                rendered
            }
            Err(cause) => vec![bad(&cause)],
        }
    }

    fn read(&mut self, number: u64, json: Vec<u8>, whence: &Whence) -> Record {
        let json = match String::from_utf8(json) {
            Ok(json) => json,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        };
        self.builder.clear();
        match self.shapes.read(&json, &mut self.builder) {
            Ok((time, log_source)) => {
                let at = Place { number: self.record_id().unwrap_or(number), offset: 0 };
                Record::Event(self.builder.finish(whence.origin(at, time, log_source)))
            }
            Err(cause) => {
                let reason = format!("the record's content could not be read: {cause}");
                Record::Skipped(whence.skipped(number, reason, json.as_bytes()))
            }
        }
    }

    /// The number that the log gave the event, which it keeps in an exported log; the records of that are numbered anew.
    fn record_id(&self) -> Option<u64> {
        self.builder.get(self.number_field)?.to_text()?.parse().ok()
    }
}

impl Decoder for ChunkDecoder {
    fn next_record(&mut self, block: &mut Block) -> Option<Record> {
        if let Some((at, bytes)) = block.take() {
            self.ready = self.render(at.number, bytes).into_iter();
        }
        Some(match self.ready.next()? {
            Rendered::Record { number, json } => self.read(number, json, block.whence()),
            Rendered::Bad { reason } => Record::Skipped(block.whence().skipped(0, reason, &[])),
        })
    }

    fn recycle(&mut self, event: Event) {
        self.builder.recycle(event);
    }

    fn format(&self) -> &'static str {
        INFO.name
    }
}

/// Bytes of the header of a log, and of each chunk behind it.
const HEADER_BYTES: u64 = 4096;
const CHUNK_BYTES: u64 = 65_536;

/// Most bytes of JSON that a chunk is read to. A real one comes to at most 170 kB; a crafted one, whose records name the same
/// long text again and again, to 64 MB.
const CHUNK_JSON_BYTES_MAX: usize = 2 << 20;

fn too_long(number: u64) -> String {
    let bound = CHUNK_JSON_BYTES_MAX;
    format!(
        "record {number} and those behind it in its chunk: as JSON the chunk has more than {bound} bytes, as no real log has"
    )
}

/// Says how many chunks are missing at the end of a log that its header counts. The file is at its beginning, and is again.
fn missing_chunks(file: &mut File) -> io::Result<Option<String>> {
    /// Where the header says in 16 bits how many chunks there are.
    const COUNT: Range<usize> = 42..44;
    let mut header = [0; COUNT.end];
    file.read_exact(&mut header)?;
    let counted = u64::from(u16::from_le_bytes([header[COUNT.start], header[COUNT.start + 1]]));
    let there = file.seek(SeekFrom::End(0))?.saturating_sub(HEADER_BYTES) / CHUNK_BYTES;
    file.rewind()?;
    Ok((there < counted)
        .then(|| format!("the log ends behind chunk {there} of {counted}; the records of the others are lost")))
}

/// Copies the bytes into a file that goes when it is closed. A source that breaks off is read as far as it came: the
/// chunk that is cut is filled up, so that the records before the cut are found; what was missing is said.
fn spool(bytes: &mut dyn BufRead) -> io::Result<(File, Option<String>)> {
    // A full disk is another one than the log's.
    let in_folder = |cause: io::Error| {
        let folder = env::temp_dir();
        io::Error::new(cause.kind(), format!("{cause}, in the folder for temporary files `{}`", folder.display()))
    };
    let mut file = tempfile::tempfile().map_err(in_folder)?;
    let mut broken = None;
    loop {
        match bytes.fill_buf() {
            Ok([]) => break,
            Ok(chunk) => {
                file.write_all(chunk).map_err(in_folder)?;
                let taken = chunk.len();
                bytes.consume(taken);
            }
            Err(cause) => {
                broken = Some(format!("the source could not be read further: {cause}"));
                break;
            }
        }
    }
    let length = file.stream_position()?;
    if !is_whole(length) {
        let in_chunk = length.saturating_sub(HEADER_BYTES) % CHUNK_BYTES;
        let missing = if length < HEADER_BYTES { HEADER_BYTES - length } else { CHUNK_BYTES - in_chunk };
        file.set_len(length + missing)?;
        broken.get_or_insert(format!(
            "the log ends within a chunk, {missing} bytes short; records behind the cut are lost"
        ));
    }
    file.rewind()?;
    Ok((file, broken))
}

/// An error with its causes, on one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        text = format!("{text}: {deeper}");
        cause = deeper.source();
    }
    text.replace(['\n', '\r'], " ")
}
