//! The body of an answer as it was before it was packed, written on as it comes, within a bound on both.
//!
//! What is received and what it unpacks to are counted apart, and neither may be longer than allowed: a bomb is stopped by its length.
//! Memory is bounded by the windows of the decoders, whatever comes.

use std::io::{self, Write};

use flate2::write::MultiGzDecoder;
use zstd::stream::write::Decoder as ZstdDecoder;

/// Largest window of a zstd frame, as a power of two: 8 MiB, the most that HTTP allows (RFC 9659 §3).
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// How bodies may be packed, as it stands in requests.
pub(crate) const ACCEPTED: &str = "gzip, zstd";

/// Why a body cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is packed in a way that was not asked for.
    #[error("the answer is packed as `{0}`, which nobody asked for")]
    Encoding(String),
    /// It is longer than allowed, as it came or unpacked.
    #[error("the answer has more than {bytes_max} bytes: allow more if it is meant to be so long")]
    TooLong {
        /// How many it may have, inclusive.
        bytes_max: u64,
    },
    /// It is not what its encoding says.
    #[error("the answer cannot be unpacked")]
    Damaged(#[source] io::Error),
    /// It cannot be written where it is to go.
    #[error("the answer cannot be written")]
    Sink(#[source] io::Error),
}

/// A body on its way.
pub(crate) struct Body<'s> {
    unpacking: Unpacking<'s>,
    received: u64,
    bytes_max: u64,
}

enum Unpacking<'s> {
    Plain(Bounded<'s>),
    Gzip(Box<MultiGzDecoder<Bounded<'s>>>),
    Zstd(Box<ZstdDecoder<'static, Bounded<'s>>>),
}

/// Where it goes, so far.
struct Bounded<'s> {
    sink: &'s mut (dyn Write + Send),
    written: u64,
    bytes_max: u64,
    failed: Option<BodyError>,
}

impl<'s> Body<'s> {
    /// Begins a body that is packed as `encoding` says.
    pub(crate) fn new(
        encoding: Option<&str>,
        bytes_max: u64,
        sink: &'s mut (dyn Write + Send),
    ) -> Result<Self, BodyError> {
        let bounded = Bounded { sink, written: 0, bytes_max, failed: None };
        let unpacking = match encoding.map(|name| name.trim().to_ascii_lowercase()).as_deref() {
            None | Some("" | "identity") => Unpacking::Plain(bounded),
            Some("gzip" | "x-gzip") => Unpacking::Gzip(Box::new(MultiGzDecoder::new(bounded))),
            Some("zstd") => {
                let mut decoder = ZstdDecoder::new(bounded).map_err(BodyError::Damaged)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(BodyError::Damaged)?;
                Unpacking::Zstd(Box::new(decoder))
            }
            Some(other) => return Err(BodyError::Encoding(other.chars().take(40).collect())),
        };
        Ok(Self { unpacking, received: 0, bytes_max })
    }

    /// Takes the next bytes.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<(), BodyError> {
        self.received += bytes.len() as u64;
        if self.received > self.bytes_max {
            return Err(BodyError::TooLong { bytes_max: self.bytes_max });
        }
        let taken = match &mut self.unpacking {
            Unpacking::Plain(bounded) => bounded.write_all(bytes),
            Unpacking::Gzip(decoder) => decoder.write_all(bytes),
            Unpacking::Zstd(decoder) => decoder.write_all(bytes),
        };
        taken.map_err(|cause| self.failed(cause))
    }

    /// Ends the body, and returns how many bytes it has unpacked.
    pub(crate) fn finish(mut self) -> Result<u64, BodyError> {
        let finished = match &mut self.unpacking {
            Unpacking::Plain(bounded) => bounded.flush(),
            Unpacking::Gzip(decoder) => decoder.try_finish(),
            Unpacking::Zstd(decoder) => decoder.do_finish(),
        };
        finished.map_err(|cause| self.failed(cause))?;
        Ok(self.bounded().written)
    }

    /// Returns whose failure it was.
    fn failed(&mut self, cause: io::Error) -> BodyError {
        self.bounded().failed.take().unwrap_or(BodyError::Damaged(cause))
    }

    fn bounded(&mut self) -> &mut Bounded<'s> {
        match &mut self.unpacking {
            Unpacking::Plain(bounded) => bounded,
            Unpacking::Gzip(decoder) => decoder.get_mut(),
            Unpacking::Zstd(decoder) => decoder.get_mut(),
        }
    }
}

impl Bounded<'_> {
    fn fail(&mut self, failed: BodyError) -> io::Error {
        // Decoders try again: what failed first is what is told.
        self.failed.get_or_insert(failed);
        io::Error::other("the body ends here")
    }
}

impl Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.failed.is_some() || self.written + bytes.len() as u64 > self.bytes_max {
            let bytes_max = self.bytes_max;
            return Err(self.fail(BodyError::TooLong { bytes_max }));
        }
        match self.sink.write(bytes) {
            Ok(count) => {
                self.written += count as u64;
                Ok(count)
            }
            Err(cause) => Err(self.fail(BodyError::Sink(cause))),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush().map_err(|cause| self.fail(BodyError::Sink(cause)))
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;

    const BYTES_MAX: u64 = 1 << 20;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("a vector takes all")
    }

    fn packed(bytes: &[u8]) -> [(Option<&'static str>, Vec<u8>); 3] {
        let zstd = zstd::encode_all(bytes, 3).expect("a vector takes all");
        [(None, bytes.to_vec()), (Some("gzip"), gzip(bytes)), (Some("zstd"), zstd)]
    }

    /// Takes a body in pieces of this length.
    fn unpack(encoding: Option<&str>, body: &[u8], piece: usize, bytes_max: u64) -> Result<Vec<u8>, BodyError> {
        let mut sink = Vec::new();
        let mut taking = Body::new(encoding, bytes_max, &mut sink)?;
        body.chunks(piece).try_for_each(|piece| taking.take(piece))?;
        let bytes = taking.finish()?;
        assert_eq!(bytes, sink.len() as u64);
        Ok(sink)
    }

    #[test]
    fn a_bomb_ends_at_the_bound() {
        for (encoding, body) in packed(&vec![0; BYTES_MAX as usize + 1]) {
            let mut sink = Vec::new();
            let mut taking = Body::new(encoding, BYTES_MAX, &mut sink).expect("a known encoding");
            let taken =
                body.chunks(1000).try_for_each(|piece| taking.take(piece)).and_then(|()| taking.finish().map(drop));
            assert!(matches!(taken, Err(BodyError::TooLong { .. })), "{encoding:?}: {taken:?}");
            assert!(sink.len() as u64 <= BYTES_MAX, "{encoding:?}");
        }
        for (encoding, body) in packed(&vec![0; BYTES_MAX as usize]) {
            assert!(unpack(encoding, &body, 1000, BYTES_MAX).is_ok(), "{encoding:?}");
        }
    }

    #[test]
    fn a_body_that_is_cut_short_is_damaged() {
        for (encoding, body) in packed(&b"evil.example\n".repeat(100)).into_iter().skip(1) {
            for cut in [0, 1, body.len() / 2, body.len() - 1] {
                let error = unpack(encoding, &body[..cut], 7, BYTES_MAX).expect_err("half a body");
                assert!(matches!(error, BodyError::Damaged(_)), "{encoding:?} {cut}: {error}");
            }
        }
    }

    #[test]
    fn what_nobody_asked_for_is_refused() {
        for encoding in ["br", "gzip, gzip", "deflate", "compress"] {
            let error = unpack(Some(encoding), b"", 1, BYTES_MAX).expect_err(encoding);
            assert!(error.to_string().contains(encoding), "{error}");
        }
        assert_eq!(unpack(Some(" GZip "), &gzip(b"a"), 1, BYTES_MAX).expect("gzip"), b"a");
    }

    #[test]
    fn a_full_disk_is_told_as_that() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        for (encoding, body) in packed(&vec![7; 1 << 20]) {
            let mut full = Full;
            let mut taking = Body::new(encoding, BYTES_MAX, &mut full).expect("a known encoding");
            let taken = taking.take(&body).and_then(|()| taking.finish().map(drop));
            assert!(matches!(taken, Err(BodyError::Sink(_))), "{encoding:?}: {taken:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(bytes in prop::collection::vec(any::<u8>(), 0..2000), piece in 1..100_usize) {
            for (encoding, body) in packed(&bytes) {
                prop_assert_eq!(&unpack(encoding, &body, piece, BYTES_MAX).expect("what was packed"), &bytes);
            }
        }

        #[test]
        fn any_bytes_are_a_body_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
            for encoding in ["gzip", "zstd"] {
                let unpacked = unpack(Some(encoding), &bytes, 10, 1000);
                prop_assert!(unpacked.map_or(0, |body| body.len()) <= 1000);
            }
        }
    }
}
