//! Opening a source: what it is called, what it promises, and which format it has, told by content.

use std::cmp::Reverse;
use std::fs::{File, Metadata};
use std::io::{self, BufRead, Cursor, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use cresset_event::{FieldNames, LogSource, Source, SourceIdentity, Timestamp};

use crate::any_line::AnyLine;
use crate::block::BlockReader;
use crate::compressed::{HEAD_BYTES, unpack};
use crate::follow::{FileIdentity, Position, WholeLines};
use crate::format::{self, FormatInfo};
use crate::input::Input;
use crate::json_lines::{Framing, JsonStreamReader};
use crate::lines::{LineReader, Lines};
use crate::live::Live;
use crate::reader::{Decoders, LinePlace, Reader};
use crate::taxonomy::Taxonomy;
use crate::{access_log, evtx, json_lines, syslog, utf16, zeek_tsv};

/// Bytes of a file that go into its identity: of its first line, so that it stays the same while the file grows.
const IDENTITY_BYTES: usize = 256;
/// Lines by which a format has to be told of a file that grows; of fewer it may be told later.
const GROWING_LINES: usize = 10;

/// A reader of a file that grows, and which file that is.
pub(crate) type Growable = (Box<dyn Reader>, SourceIdentity);

/// Why a source could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The system would not let us.
    #[error("cannot read `{name}`")]
    Io {
        /// The source.
        name: String,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// It is in none of the formats.
    #[error("`{name}` is in no format that is known; see `cresset formats`")]
    UnknownFormat {
        /// The source.
        name: String,
        /// How it begins. Hostile: escape it before showing it.
        quote: String,
    },
    /// It is read as a whole only.
    #[error("`{name}` is no log of lines, and cannot be followed")]
    NotLines {
        /// The source.
        name: String,
    },
    /// There is nothing in it.
    #[error("`{name}` is empty")]
    Empty {
        /// The source.
        name: String,
    },
}

/// Records as they were delivered.
#[derive(Debug, Clone)]
pub enum Content {
    /// In any format, which is told by how they begin; compressed or not.
    Any(Vec<u8>),
    /// A JSON object a line.
    JsonLines {
        /// The lines.
        bytes: Vec<u8>,
        /// What of each line's key goes into its identity ([`SourceIdentity::key_bits`]); empty where lines have no keys.
        keys: Vec<u64>,
    },
    /// Lines of any logs, each told by itself, as syslog carries them; what is in no format is its message.
    Lines(Vec<u8>),
}

/// Opens sources. Holds what readers share: the table of field names, the taxonomy, and what makes decoders.
#[derive(Debug, Clone)]
pub struct Opener {
    names: Arc<FieldNames>,
    taxonomy: Arc<Taxonomy>,
    json: Decoders,
    evtx: Decoders,
}

impl Opener {
    /// Returns an opener whose events' names are numbered in `names`.
    pub fn new(names: Arc<FieldNames>) -> Self {
        let taxonomy = Arc::new(Taxonomy::built_in(&names));
        let json = json_lines::decoders(&names, &taxonomy);
        let evtx = evtx::decoders(&names, &taxonomy);
        Self { names, taxonomy, json, evtx }
    }

    /// Returns the formats that can be read.
    pub fn formats() -> &'static [FormatInfo] {
        format::ALL
    }

    /// Returns every log source that a record of some format can have.
    pub fn log_sources(&self) -> Vec<Arc<LogSource>> {
        self.taxonomy.log_sources()
    }

    /// Opens a file.
    pub fn open_file(&self, path: &Path) -> Result<Box<dyn Reader>, OpenError> {
        let name = path.display().to_string();
        let io_error = |cause| OpenError::Io { name: name.clone(), cause };
        let mut file = File::open(path).map_err(io_error)?;
        let metadata = file.metadata().map_err(io_error)?;
        if !metadata.is_file() {
            return self.open_stream(&name, Box::new(file));
        }
        let mut first = Vec::new();
        (&mut file).take(IDENTITY_BYTES as u64).read_to_end(&mut first).map_err(io_error)?;
        let identity = file_identity(&metadata, &first);
        let modified = metadata.modified().ok().and_then(timestamp_of);
        if evtx::is(&first) && evtx::is_whole(metadata.len()) {
            let chunks = evtx::Chunks::in_place(name.clone(), file, metadata.len()).map_err(io_error)?;
            return Ok(Box::new(BlockReader::new(chunks, &self.evtx)));
        }
        let source = Source { name: name.clone(), identity };
        self.open_stored(source, Box::new(Cursor::new(first).chain(file)), modified)
    }

    /// Opens a stream that cannot be read again and may be long in coming, such as standard input. Returns once so much of it
    /// is there that its format can be told.
    pub fn open_stream(&self, name: &str, raw: Box<dyn Read + Send>) -> Result<Box<dyn Reader>, OpenError> {
        let io_error = |cause| OpenError::Io { name: name.into(), cause };
        let taken = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&taken);
        let mut live = Live::start(move || unpack(raw, &counter).and_then(utf16::decode)).map_err(io_error)?;
        let (head, told) = live.head(tell_quiet).map_err(io_error)?;
        let told = told.or_else(|| tell(&head));
        self.open_unpacked(stream_source(name), told, head, Box::new(live), taken, None)
    }

    /// Opens bytes in memory.
    pub fn open_bytes(&self, name: &str, bytes: Vec<u8>) -> Result<Box<dyn Reader>, OpenError> {
        self.open_stored(stream_source(name), Box::new(Cursor::new(bytes)), None)
    }

    /// Opens what was delivered by whoever has told what it is.
    pub fn open_delivered(&self, source: Source, content: Content) -> Result<Box<dyn Reader>, OpenError> {
        let name = source.name.clone();
        let (told, bytes, keys) = match content {
            Content::Any(bytes) => return self.open_stored(source, Box::new(Cursor::new(bytes)), None),
            Content::JsonLines { bytes, keys } => (Told::Json(Framing::Lines), bytes, keys),
            Content::Lines(bytes) => (Told::AnyLines, bytes, Vec::new()),
        };
        if bytes.is_empty() {
            return Err(OpenError::Empty { name });
        }
        let input = Input { keys: keys.into(), ..Input::new(source, Box::new(Cursor::new(bytes))) };
        self.reader(told, input).map_err(|cause| OpenError::Io { name, cause })
    }

    fn open_stored(
        &self,
        source: Source,
        raw: Box<dyn Read + Send>,
        modified: Option<Timestamp>,
    ) -> Result<Box<dyn Reader>, OpenError> {
        let name = source.name.clone();
        let io_error = |cause| OpenError::Io { name: name.clone(), cause };
        let taken = Arc::new(AtomicU64::new(0));
        let mut bytes = unpack(raw, &taken).and_then(utf16::decode).map_err(io_error)?;
        let head = read_head(&mut bytes).map_err(io_error)?;
        self.open_unpacked(source, tell(&head), head, bytes, taken, modified)
    }

    fn open_unpacked(
        &self,
        source: Source,
        told: Option<Told>,
        head: Vec<u8>,
        rest: Box<dyn BufRead + Send>,
        taken: Arc<AtomicU64>,
        modified: Option<Timestamp>,
    ) -> Result<Box<dyn Reader>, OpenError> {
        let name = source.name.clone();
        if head.is_empty() {
            return Err(OpenError::Empty { name });
        }
        let Some(told) = told else {
            return Err(OpenError::UnknownFormat { name, quote: quote(&head) });
        };
        let bytes: Box<dyn BufRead + Send> = Box::new(Cursor::new(head).chain(rest));
        let input = Input { taken, modified, ..Input::new(source, bytes) };
        self.reader(told, input).map_err(|cause| OpenError::Io { name, cause })
    }

    /// Opens a file that grows, from its beginning or from a place between two lines; `None` where its format cannot be told
    /// yet, or where it is another file than was meant.
    pub(crate) fn open_growing(
        &self,
        path: &Path,
        metadata: &Metadata,
        mut lines: WholeLines,
        from: Option<&Position>,
    ) -> Result<Option<Growable>, OpenError> {
        let name = path.display().to_string();
        let io_error = |cause| OpenError::Io { name: name.clone(), cause };
        let mut head = Vec::new();
        (&mut lines).take(HEAD_BYTES as u64).read_to_end(&mut head).map_err(io_error)?;
        let identity = file_identity(metadata, &head);
        if from.is_some_and(|from| from.file != identity || from.place.bytes > metadata.len()) {
            return Ok(None);
        }
        let told = match tell(&head) {
            Some(Told::Evtx | Told::Json(Framing::Stream)) => return Err(OpenError::NotLines { name }),
            None if memchr::memchr_iter(b'\n', &head).count() < GROWING_LINES => return Ok(None),
            None => return Err(OpenError::UnknownFormat { name, quote: quote(&head) }),
            Some(told) => told,
        };
        let source = Source { name: name.clone(), identity };
        let mut begins_at = LinePlace::default();
        if let Some(Position { place, .. }) = from {
            // What is before it was read. A header says what all lines are.
            let header = if matches!(told, Told::ZeekTsv) { zeek_tsv::header_len(&head) } else { 0 };
            head.truncate(header.min(usize::try_from(place.bytes).unwrap_or(usize::MAX)));
            let lines_before = memchr::memchr_iter(b'\n', &head).count() as u64;
            // Fewer lines than the header has were never read up to here.
            let Some(lines_of_rest) = place.lines.checked_sub(lines_before) else { return Ok(None) };
            begins_at = LinePlace { lines: lines_of_rest, bytes: place.bytes - head.len() as u64 };
            lines.go_to(place.bytes).map_err(io_error)?;
        }
        let taken = lines.taken();
        let bytes = Box::new(Cursor::new(head).chain(lines));
        // Lines without a year are of that in which they come.
        let input = Input { taken, begins_at, grows: true, ..Input::new(source, bytes) };
        let reader = self.reader(told, input).map_err(io_error)?;
        Ok(Some((reader, identity)))
    }

    fn reader(&self, told: Told, input: Input) -> io::Result<Box<dyn Reader>> {
        let names = Arc::clone(&self.names);
        let taxonomy = &self.taxonomy;
        Ok(match told {
            Told::Evtx => Box::new(BlockReader::new(evtx::Chunks::spooled(input)?, &self.evtx)),
            Told::Json(Framing::Lines) => Box::new(BlockReader::new(Lines::new(input), &self.json)),
            Told::Json(Framing::Stream) => Box::new(JsonStreamReader::new(input, names, taxonomy)),
            Told::ZeekTsv => Box::new(LineReader::new(input, names, zeek_tsv::ZeekTsv::new(taxonomy))),
            Told::Syslog => Box::new(LineReader::new(input, names, syslog::Syslog::new(taxonomy))),
            Told::AccessLog => Box::new(LineReader::new(input, names, access_log::AccessLog::new(taxonomy))),
            Told::AnyLines => {
                let format = AnyLine::new(&names, taxonomy);
                Box::new(LineReader::new(input, names, format))
            }
        })
    }
}

/// Returns how a source begins, for a person.
fn quote(head: &[u8]) -> String {
    String::from_utf8_lossy(&head[..head.len().min(80)]).into_owned()
}

enum Told {
    Evtx,
    Json(Framing),
    ZeekTsv,
    Syslog,
    AccessLog,
    AnyLines,
}

/// Tells a format by the first bytes.
fn tell(head: &[u8]) -> Option<Told> {
    if evtx::is(head) {
        return Some(Told::Evtx);
    }
    if let Some(framing) = json_lines::framing(head) {
        return Some(Told::Json(framing));
    }
    if zeek_tsv::is(head) {
        return Some(Told::ZeekTsv);
    }
    tell_by_lines(head)
}

/// Tells the format of a stream that is quiet behind these bytes, where that can be done by whole lines.
fn tell_quiet(head: &[u8]) -> Option<Told> {
    if evtx::is(head) {
        return Some(Told::Evtx);
    }
    let lines = memchr::memrchr(b'\n', head).map_or(&head[..0], |end| &head[..=end]);
    tell(lines)
}

/// Tells a text format by which one most of the first lines are in, of two such the one that comes first: garbage in front
/// must not hide the rest.
fn tell_by_lines(head: &[u8]) -> Option<Told> {
    /// Lines that are looked at.
    const LINES: usize = 100;
    let text = String::from_utf8_lossy(head);
    let lines = || text.lines().filter(|line| !line.trim().is_empty()).take(LINES);
    let score = |is: fn(&str) -> bool| {
        let first = lines().position(is)?;
        Some((lines().filter(|line| is(line)).count(), Reverse(first)))
    };
    let scores = [
        (score(syslog::is_line), Told::Syslog),
        (score(access_log::is_line), Told::AccessLog),
        (score(json_lines::is_line), Told::Json(Framing::Lines)),
    ];
    scores.into_iter().filter(|(score, _)| score.is_some()).max_by_key(|(score, _)| *score).map(|(_, told)| told)
}

/// Takes the bytes that a format is told by.
fn read_head(bytes: &mut Box<dyn BufRead + Send>) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let read = bytes.take(HEAD_BYTES as u64).read_to_end(&mut head);
    match read {
        // What could be unpacked before the error is read; the reader meets the error again.
        Err(cause) if head.is_empty() => Err(cause),
        _ => Ok(head),
    }
}

fn stream_source(name: &str) -> Source {
    let began_nanos = Timestamp::now().as_nanos();
    Source { name: name.into(), identity: SourceIdentity::Stream { began_nanos } }
}

/// Returns the identity of a file that begins with these bytes.
fn file_identity(metadata: &Metadata, first: &[u8]) -> SourceIdentity {
    let first = &first[..first.len().min(IDENTITY_BYTES)];
    let line = memchr::memchr(b'\n', first).map_or(first, |end| &first[..end]);
    // Logs begin alike.
    let FileIdentity { device, inode, born_nanos } = FileIdentity::of(metadata);
    SourceIdentity::of_file(device, inode, &[&born_nanos.to_le_bytes()[..], line].concat())
}

fn timestamp_of(time: std::time::SystemTime) -> Option<Timestamp> {
    let since_epoch = time.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since_epoch.as_nanos()).ok().map(Timestamp::from_nanos)
}
