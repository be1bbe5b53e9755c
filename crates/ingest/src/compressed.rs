//! Unpacking: gzip and zstd, told by their first bytes, in bounded memory and time.
//!
//! A bomb is stopped by its ratio: real logs pack at most about 100 to 1, gzip can reach 1,032 to 1 and zstd far more.

use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::input::Counted;

/// Highest ratio of unpacked to packed bytes that is read on; past it the rest of the source is reported and left.
const RATIO_MAX: u64 = 300;
/// Unpacked bytes up to which the ratio does not matter: a short file of zeros is not an attack.
const FREE_BYTES: u64 = 64 << 20;
/// Layers of compression that are unpacked.
const LAYERS_MAX: usize = 2;
/// Largest window of a zstd frame, as a power of two: 128 MiB, the most that `zstd -d` takes unasked.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;
/// Bytes that tell how a source is packed or encoded. No record that says anything has fewer.
const MAGIC_BYTES: usize = 4;
/// Bytes looked at to tell a format.
pub(crate) const HEAD_BYTES: usize = 64 << 10;

/// Returns what is in bytes that may be packed (gzip, zstd), as logs are unpacked: what is not packed is given as it is. Reading on
/// fails where it is damaged, or where the ratio says that it is a bomb.
pub fn unpacked(raw: Box<dyn Read + Send>) -> io::Result<Box<dyn BufRead + Send>> {
    unpack(raw, &Arc::default())
}

/// Unpacks as often as there are layers.
pub(crate) fn unpack(raw: Box<dyn Read + Send>, taken: &Arc<AtomicU64>) -> io::Result<Box<dyn BufRead + Send>> {
    let counted = Counted::new(raw, Arc::clone(taken));
    let mut bytes: Box<dyn BufRead + Send> = Box::new(BufReader::with_capacity(HEAD_BYTES, counted));
    for _ in 0..LAYERS_MAX {
        bytes = with_head(bytes)?;
        let head = bytes.fill_buf()?;
        let unpacked: Box<dyn Read + Send> = if head.starts_with(&[0x1f, 0x8b]) {
            Box::new(flate2::bufread::MultiGzDecoder::new(bytes))
        } else if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            let mut decoder = zstd::Decoder::with_buffer(bytes)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            Box::new(decoder)
        } else {
            return Ok(bytes);
        };
        let bounded = Bounded { inner: unpacked, given: 0, taken: Arc::clone(taken) };
        bytes = Box::new(BufReader::with_capacity(HEAD_BYTES, bounded));
    }
    Ok(bytes)
}

/// Sees to it that the first [`MAGIC_BYTES`] can be looked at together, however they come.
pub(crate) fn with_head(mut bytes: Box<dyn BufRead + Send>) -> io::Result<Box<dyn BufRead + Send>> {
    let mut head = Vec::new();
    loop {
        match bytes.fill_buf() {
            Ok(more) if head.is_empty() && more.len() >= MAGIC_BYTES => return Ok(bytes),
            Ok([]) => break,
            Ok([first, ..]) => head.push(*first),
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => continue,
            Err(cause) if head.is_empty() => return Err(cause),
            // The reader meets it again.
            Err(_) => break,
        }
        bytes.consume(1);
        if head.len() == MAGIC_BYTES {
            break;
        }
    }
    Ok(Box::new(Cursor::new(head).chain(bytes)))
}

/// Fails once the ratio says that this is a bomb.
struct Bounded {
    inner: Box<dyn Read + Send>,
    given: u64,
    taken: Arc<AtomicU64>,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let taken = self.taken.load(Ordering::Relaxed);
        if self.given > FREE_BYTES && self.given / RATIO_MAX > taken {
            return Err(io::Error::other(format!(
                "unpacks to more than {RATIO_MAX} times its size: a decompression bomb; unpack it by hand if it is not"
            )));
        }
        let read = self.inner.read(buffer)?;
        self.given += read as u64;
        Ok(read)
    }
}
