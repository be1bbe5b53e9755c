//! The write-ahead log: packs of events, and rows of other tables, in the order in which they came, until they are in segments.
//!
//! A file begins with [`MAGIC`]; then frames: [`PACK`] or [`ROWS`], the length of the content and its CRC-32, 4 bytes each, and the content. What
//! was synced stays. A frame that was cut at the end of the file was never promised to anybody; what is damaged otherwise
//! is reported, and the frames behind it are read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::error::ArchiveError;
use crate::pack::Pack;
use crate::storage::sync_file;
use crate::table_rows::TableRows;
use crate::wire::Taker;

/// What a log begins with; the last digit is the version.
const MAGIC: &[u8; 8] = b"CRSTWAL1";
/// What a frame begins with that holds events, or rows of another table: how the next one is found behind one that is damaged.
const PACK: &[u8; 4] = b"PACK";
const ROWS: &[u8; 4] = b"ROWS";
/// Bytes in front of each content.
const HEAD_BYTES: usize = 12;
/// Places that are tried as the next frame behind one that is damaged.
const TRIES_MAX: usize = 1000;
/// Longest content. Packs that a watch writes have a few megabytes and one record of at most 4.
const CONTENT_BYTES_MAX: usize = 1 << 28;

/// A log that is being written.
#[derive(Debug)]
pub(crate) struct WalWriter {
    file: File,
    path: PathBuf,
    /// Up to where there are whole frames.
    len: u64,
    is_spoilt: bool,
}

/// What was written to a log.
#[derive(Debug, Default)]
pub(crate) struct Logged {
    pub(crate) packs: Vec<Pack>,
    pub(crate) rows: Vec<TableRows>,
}

/// What a log holds.
#[derive(Debug, Default)]
pub(crate) struct WalContent {
    pub(crate) logged: Logged,
    /// Bytes at the end that belong to no whole frame.
    pub(crate) torn: u64,
    /// Parts that are not as they were written, and not cut either.
    pub(crate) damaged: u64,
}

/// Returns the file of a log.
pub(crate) fn path_of(folder: &Path, number: u64) -> PathBuf {
    folder.join(name_of(number))
}

/// Returns the name of a log in its folder.
pub(crate) fn name_of(number: u64) -> String {
    format!("{number:010}.wal")
}

/// Returns the numbers of the logs in a folder, in order.
pub(crate) fn list(folder: &Path) -> Result<Vec<u64>, ArchiveError> {
    let entries = fs::read_dir(folder).map_err(|cause| ArchiveError::io(folder, cause))?;
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry.map_err(|cause| ArchiveError::io(folder, cause))?.file_name();
        numbers.extend(name.to_str().and_then(|name| name.strip_suffix(".wal")?.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

impl WalWriter {
    /// Begins a log.
    pub(crate) fn create(folder: &Path, number: u64) -> Result<Self, ArchiveError> {
        let path = path_of(folder, number);
        let failed = |cause| ArchiveError::io(&path, cause);
        let mut file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(failed)?;
        if let Err(error) = file.write_all(MAGIC).map_err(failed).and_then(|()| sync_file(folder)) {
            // Else it could not be begun once there is room.
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        Ok(Self { file, path, len: MAGIC.len() as u64, is_spoilt: false })
    }

    /// Writes a pack. It is on the disk once [`WalWriter::sync`] says so; where this fails nothing of it is left.
    pub(crate) fn append(&mut self, pack: &Pack) -> Result<u64, ArchiveError> {
        self.append_frame(PACK, pack.bytes())
    }

    /// Writes rows of a table, in the same way.
    pub(crate) fn append_rows(&mut self, rows: &TableRows) -> Result<u64, ArchiveError> {
        self.append_frame(ROWS, &rows.bytes())
    }

    /// Writes a frame, and returns how many bytes it has.
    fn append_frame(&mut self, mark: &[u8; 4], bytes: &[u8]) -> Result<u64, ArchiveError> {
        assert!(bytes.len() <= CONTENT_BYTES_MAX, "a frame of {} bytes", bytes.len());
        let (length, crc) = ((bytes.len() as u32).to_le_bytes(), crc32fast::hash(bytes).to_le_bytes());
        match self.file.write_all(&[*mark, length, crc].concat()).and_then(|()| self.file.write_all(bytes)) {
            Ok(()) => {
                let written = (HEAD_BYTES + bytes.len()) as u64;
                self.len += written;
                Ok(written)
            }
            Err(cause) => {
                // Should this fail as well the frame is cut, which a reader copes with, and nothing is written behind it.
                let taken_back = self.file.set_len(self.len).and_then(|()| self.file.seek(SeekFrom::Start(self.len)));
                self.is_spoilt |= taken_back.is_err();
                Err(ArchiveError::io(&self.path, cause))
            }
        }
    }

    /// Brings everything to the disk. Where this fails the log is spoilt.
    pub(crate) fn sync(&mut self) -> Result<(), ArchiveError> {
        let synced = self.file.sync_data();
        self.is_spoilt |= synced.is_err();
        synced.map_err(|cause| ArchiveError::io(&self.path, cause))
    }

    /// Returns whether it must not be written any more. A system that failed to bring something to the disk may take it for
    /// done the next time.
    pub(crate) fn is_spoilt(&self) -> bool {
        self.is_spoilt
    }

    /// Loses what is written from now on, as a disk that fails does, and fails to be brought there.
    #[cfg(test)]
    pub(crate) fn lose(&mut self) {
        self.file = OpenOptions::new().write(true).open("/dev/null").expect("a device");
    }

    /// Returns how many bytes it has.
    pub(crate) fn byte_len(&self) -> u64 {
        self.len
    }
}

/// Reads a log; `None` where there is none any more.
pub(crate) fn read(folder: &Path, number: u64) -> Result<Option<WalContent>, ArchiveError> {
    let path = path_of(folder, number);
    let mut bytes = Vec::new();
    match File::open(&path).and_then(|mut file| file.read_to_end(&mut bytes)) {
        Ok(_) => Ok(Some(parse(&Bytes::from(bytes)))),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(ArchiveError::io(&path, cause)),
    }
}

fn parse(bytes: &Bytes) -> WalContent {
    let mut content = WalContent::default();
    let mut at = MAGIC.len().min(bytes.len());
    content.damaged += u64::from(!MAGIC.starts_with(&bytes[..at]));
    while at < bytes.len() {
        if let Some((end, frame)) = frame(bytes, at) {
            content.logged.add(frame);
            at = end;
            continue;
        }
        match next_frame(bytes, at + 1) {
            Some(next) => {
                content.damaged += 1;
                at = next;
            }
            None if is_cut(&bytes[at..]) => {
                content.torn = (bytes.len() - at) as u64;
                break;
            }
            None => {
                content.damaged += 1;
                break;
            }
        }
    }
    content
}

/// Returns whether these bytes are how a longer frame begins.
fn is_cut(bytes: &[u8]) -> bool {
    let mut head = Taker::new(bytes);
    match (head.array::<4>(), head.array().map(u32::from_le_bytes), head.array::<4>()) {
        (Some(mark), Some(length), Some(_)) => is_mark(&mark) && length as usize > head.rest().len(),
        _ => [PACK, ROWS].iter().any(|mark| mark.starts_with(&bytes[..mark.len().min(bytes.len())])),
    }
}

/// Returns where the next whole frame begins.
fn next_frame(bytes: &Bytes, from: usize) -> Option<usize> {
    let places = memchr::memchr2_iter(PACK[0], ROWS[0], &bytes[from..]).map(|place| from + place);
    let places = places.filter(|place| bytes.get(*place..place + PACK.len()).is_some_and(is_mark));
    places.take(TRIES_MAX).find(|place| frame(bytes, *place).is_some())
}

/// Whether a frame may begin so.
fn is_mark(bytes: &[u8]) -> bool {
    [&PACK[..], ROWS].contains(&bytes)
}

/// What a frame holds.
enum Frame {
    Pack(Pack),
    Rows(TableRows),
}

impl Logged {
    fn add(&mut self, frame: Frame) {
        match frame {
            Frame::Pack(pack) => self.packs.push(pack),
            Frame::Rows(rows) => self.rows.push(rows),
        }
    }

    /// Adds what stands behind this.
    pub(crate) fn extend(&mut self, other: Self) {
        self.packs.extend(other.packs);
        self.rows.extend(other.rows);
    }
}

/// Returns where a frame ends, and what it holds; `None` where there is none that is whole.
fn frame(bytes: &Bytes, at: usize) -> Option<(usize, Frame)> {
    let mut head = Taker::new(bytes.get(at..at + HEAD_BYTES)?);
    let mark: [u8; 4] = head.array()?;
    let mut number = || head.array().map(u32::from_le_bytes);
    let (length, crc) = (number()? as usize, number()?);
    let start = at + HEAD_BYTES;
    if !is_mark(&mark) || length > CONTENT_BYTES_MAX.min(bytes.len() - start) {
        return None;
    }
    let content = bytes.slice(start..start + length);
    if crc32fast::hash(&content) != crc {
        return None;
    }
    let frame =
        if mark == *PACK { Pack::parse(content).map(Frame::Pack) } else { TableRows::parse(&content).map(Frame::Rows) };
    Some((start + length, frame?))
}
