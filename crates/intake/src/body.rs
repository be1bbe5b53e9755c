//! The body of a request as it was before it was packed: `Content-Encoding` gzip, deflate, zstd or none.
//!
//! What is unpacked is bounded twice: by what the caller allows, and by a ratio to what was sent, so that a few
//! kilobytes do not cost as much as a body of the largest size. The bound is met while unpacking: memory never exceeds
//! it.

use std::borrow::Cow;
use std::io::{self, Read};

/// Highest ratio of unpacked to packed bytes: real logs pack at most about 100 to 1, gzip can reach 1,032 to 1 and zstd
/// far more. Past it the request is refused.
const RATIO_MAX: usize = 300;
/// Unpacked bytes up to which the ratio does not matter: a short run of equal lines is not an attack.
const FREE_BYTES: usize = 1 << 20;
/// Largest window of a zstd frame, as a power of two: 8 MiB, the most that HTTP allows (RFC 9659 §3).
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// How a body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Not at all.
    Identity,
    /// RFC 1952, one member or several.
    Gzip,
    /// RFC 1950; also RFC 1951 alone, which some clients take it for.
    Deflate,
    /// RFC 8878.
    Zstd,
}

/// Why a body cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is packed in a way that is not known here.
    #[error("`Content-Encoding: {0}` is not known here: use gzip, zstd, deflate or none")]
    UnknownEncoding(String),
    /// It is too large, unpacked.
    #[error("the body has more than {bytes_max} bytes unpacked: send less at once")]
    TooLarge {
        /// How many it may have, inclusive.
        bytes_max: usize,
    },
    /// It unpacks to far more than logs do.
    #[error("the body unpacks to more than {RATIO_MAX} times its size, which logs do not")]
    Bomb,
    /// It is not what its encoding says.
    #[error("the body cannot be unpacked as {encoding:?}")]
    Damaged {
        /// What it was said to be.
        encoding: Encoding,
        /// What is wrong with it.
        #[source]
        cause: io::Error,
    },
}

impl BodyError {
    /// Returns the status of HTTP that says so.
    pub fn status(&self) -> u16 {
        match self {
            Self::UnknownEncoding(_) => 415,
            Self::TooLarge { .. } | Self::Bomb => 413,
            Self::Damaged { .. } => 400,
        }
    }
}

impl Encoding {
    /// Parses the header `Content-Encoding`; `None` is a request without one. Several encodings on top of each other
    /// are refused.
    pub fn parse(header: Option<&str>) -> Result<Self, BodyError> {
        let name = header.unwrap_or_default().trim();
        let known = [
            ("", Self::Identity),
            ("identity", Self::Identity),
            ("gzip", Self::Gzip),
            ("x-gzip", Self::Gzip),
            ("deflate", Self::Deflate),
            ("zstd", Self::Zstd),
        ];
        let found = known.iter().find(|(known, _)| name.eq_ignore_ascii_case(known));
        found.map(|(_, encoding)| *encoding).ok_or_else(|| BodyError::UnknownEncoding(name.into()))
    }
}

/// Returns how many bytes a body of this length can have unpacked, at the most.
pub fn unpacked_bytes_max(encoding: Encoding, packed_bytes: usize, bytes_max: usize) -> usize {
    match encoding {
        Encoding::Identity => packed_bytes,
        _ => packed_bytes.saturating_mul(RATIO_MAX).max(FREE_BYTES),
    }
    .min(bytes_max)
}

/// Returns a body unpacked, with `bytes_max` bytes at most.
pub fn unpack(encoding: Encoding, body: &[u8], bytes_max: usize) -> Result<Cow<'_, [u8]>, BodyError> {
    let damaged = |cause| BodyError::Damaged { encoding, cause };
    let bound = unpacked_bytes_max(encoding, body.len(), bytes_max);
    let unpacked = match encoding {
        Encoding::Identity if body.len() > bytes_max => return Err(BodyError::TooLarge { bytes_max }),
        Encoding::Identity => return Ok(Cow::Borrowed(body)),
        Encoding::Gzip => read(flate2::bufread::MultiGzDecoder::new(body), bound),
        Encoding::Deflate if has_zlib_header(body) => read(flate2::bufread::ZlibDecoder::new(body), bound),
        Encoding::Deflate => read(flate2::bufread::DeflateDecoder::new(body), bound),
        Encoding::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(body).map_err(damaged)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(damaged)?;
            read(decoder, bound)
        }
    };
    let unpacked = unpacked.map_err(damaged)?;
    match unpacked.len() > bound {
        true if bound < bytes_max => Err(BodyError::Bomb),
        true => Err(BodyError::TooLarge { bytes_max }),
        false => Ok(Cow::Owned(unpacked)),
    }
}

/// Reads up to the bound and one byte more, which tells that there is more.
fn read(decoder: impl Read, bound: usize) -> io::Result<Vec<u8>> {
    let mut unpacked = Vec::new();
    decoder.take(bound as u64 + 1).read_to_end(&mut unpacked)?;
    Ok(unpacked)
}

/// Returns whether bytes begin as RFC 1950 §2.2 demands.
fn has_zlib_header(body: &[u8]) -> bool {
    matches!(body, [method, flags, ..] if method & 0x0f == 8 && (u16::from(*method) << 8 | u16::from(*flags)) % 31 == 0)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use proptest::prelude::*;

    use super::*;

    const BYTES_MAX: usize = 4 << 20;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("a vector takes all")
    }

    /// Packs bytes in every way that is known.
    fn packed(bytes: &[u8]) -> Vec<(Encoding, Vec<u8>)> {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        let mut deflate = DeflateEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(bytes).expect("a vector takes all");
        deflate.write_all(bytes).expect("a vector takes all");
        vec![
            (Encoding::Identity, bytes.to_vec()),
            (Encoding::Gzip, gzip(bytes)),
            (Encoding::Deflate, zlib.finish().expect("a vector takes all")),
            (Encoding::Deflate, deflate.finish().expect("a vector takes all")),
            (Encoding::Zstd, zstd::encode_all(bytes, 3).expect("a vector takes all")),
        ]
    }

    #[test]
    fn headers_that_are_known() {
        for (header, expected) in [
            (None, Encoding::Identity),
            (Some(""), Encoding::Identity),
            (Some(" GZip "), Encoding::Gzip),
            (Some("zstd"), Encoding::Zstd),
        ] {
            assert_eq!(Encoding::parse(header).expect("a known one"), expected);
        }
        for header in ["br", "gzip, gzip", "snappy"] {
            let error = Encoding::parse(Some(header)).expect_err("an unknown one");
            assert_eq!(error.status(), 415);
            assert!(error.to_string().contains(header), "{error}");
        }
    }

    #[test]
    fn several_members_are_one_body() {
        let two = [gzip(b"a\n"), gzip(b"b\n")].concat();
        assert_eq!(&*unpack(Encoding::Gzip, &two, BYTES_MAX).expect("two members"), b"a\nb\n");
    }

    #[test]
    fn a_body_may_be_as_large_as_allowed_and_no_larger() {
        let noise: Vec<u8> =
            (0..40_000_u32).flat_map(|number| number.wrapping_mul(0x9e37_79b9).to_le_bytes()).collect();
        for (encoding, body) in packed(&noise) {
            assert_eq!(&*unpack(encoding, &body, noise.len()).expect("as large as allowed"), &noise, "{encoding:?}");
            let error = unpack(encoding, &body, noise.len() - 1).expect_err("one byte too many");
            assert!(matches!(error, BodyError::TooLarge { .. }), "{encoding:?}: {error}");
        }
    }

    #[test]
    fn a_bomb_is_stopped_by_its_ratio() {
        let zeros = vec![0; 64 << 20];
        for (encoding, body) in packed(&zeros).into_iter().skip(1) {
            let error = unpack(encoding, &body, usize::MAX).expect_err("a bomb");
            assert!(matches!(error, BodyError::Bomb), "{encoding:?}: {error}");
            assert_eq!(error.status(), 413);
        }
        let (encoding, short) = &packed(&zeros[..FREE_BYTES])[1];
        assert_eq!(unpack(*encoding, short, BYTES_MAX).expect("short enough").len(), FREE_BYTES);
    }

    #[test]
    fn a_body_that_is_cut_short_is_damaged() {
        for (encoding, body) in packed(&b"{\"a\":1}\n".repeat(100)).into_iter().skip(1) {
            let error = unpack(encoding, &body[..body.len() / 2], BYTES_MAX).expect_err("half a body");
            assert_eq!(error.status(), 400, "{encoding:?}: {error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            for (encoding, body) in packed(&bytes) {
                prop_assert_eq!(&*unpack(encoding, &body, BYTES_MAX).expect("what was packed"), &bytes);
            }
        }

        #[test]
        fn any_bytes_are_a_body_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
            for encoding in [Encoding::Gzip, Encoding::Deflate, Encoding::Zstd] {
                let unpacked = unpack(encoding, &bytes, 1000);
                prop_assert!(unpacked.map_or(0, |body| body.len()) <= 1000);
            }
        }
    }
}
