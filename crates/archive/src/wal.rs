//! The write-ahead log: packs of events in the order in which they came, until they are in segments.
//!
//! A file begins with [`MAGIC`]; then frames: [`FRAME`], the length of a pack and its CRC-32, 4 bytes each, and the pack. What
//! was synced stays. A frame that was cut at the end of the file was never promised to anybody; what is damaged otherwise
//! is reported, and the frames behind it are read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::error::ArchiveError;
use crate::pack::Pack;
use crate::storage::sync_file;
use crate::wire::Taker;

/// What a log begins with; the last digit is the version.
const MAGIC: &[u8; 8] = b"CRSTWAL1";
/// What a frame begins with: how the next one is found behind one that is damaged.
const FRAME: &[u8; 4] = b"PACK";
/// Bytes in front of each pack.
const HEAD_BYTES: usize = 12;
/// Places that are tried as the next frame behind one that is damaged.
const TRIES_MAX: usize = 1000;
/// Longest pack. Those that a watch writes have a few megabytes and one record of at most 4.
const PACK_BYTES_MAX: usize = 1 << 28;

/// A log that is being written.
#[derive(Debug)]
pub(crate) struct WalWriter {
    file: File,
    path: PathBuf,
    /// Up to where there are whole frames.
    len: u64,
    is_spoilt: bool,
}

/// What a log holds.
#[derive(Debug, Default)]
pub(crate) struct WalContent {
    pub(crate) packs: Vec<Pack>,
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
    pub(crate) fn append(&mut self, pack: &Pack) -> Result<(), ArchiveError> {
        let bytes = pack.bytes();
        assert!(bytes.len() <= PACK_BYTES_MAX, "a pack of {} bytes", bytes.len());
        let (length, crc) = ((bytes.len() as u32).to_le_bytes(), crc32fast::hash(bytes).to_le_bytes());
        match self.file.write_all(&[*FRAME, length, crc].concat()).and_then(|()| self.file.write_all(bytes)) {
            Ok(()) => {
                self.len += (HEAD_BYTES + bytes.len()) as u64;
                Ok(())
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
        if let Some((end, pack)) = frame(bytes, at) {
            content.packs.push(pack);
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
    match (head.array(), head.array().map(u32::from_le_bytes), head.array::<4>()) {
        (Some(mark), Some(length), Some(_)) => mark == *FRAME && length as usize > head.rest().len(),
        _ => FRAME.starts_with(&bytes[..FRAME.len().min(bytes.len())]),
    }
}

/// Returns where the next whole frame begins.
fn next_frame(bytes: &Bytes, from: usize) -> Option<usize> {
    let places = memchr::memmem::find_iter(&bytes[from..], FRAME).map(|place| from + place);
    places.take(TRIES_MAX).find(|place| frame(bytes, *place).is_some())
}

/// Returns where a frame ends, and its pack; `None` where there is none that is whole.
fn frame(bytes: &Bytes, at: usize) -> Option<(usize, Pack)> {
    let mut head = Taker::new(bytes.get(at..at + HEAD_BYTES)?);
    let mut number = || head.array().map(u32::from_le_bytes);
    let (mark, length, crc) = (number()?, number()? as usize, number()?);
    let start = at + HEAD_BYTES;
    if mark.to_le_bytes() != *FRAME || length > PACK_BYTES_MAX.min(bytes.len() - start) {
        return None;
    }
    let pack = bytes.slice(start..start + length);
    let pack = if crc32fast::hash(&pack) == crc { Pack::parse(pack) } else { None };
    Some((start + length, pack?))
}
