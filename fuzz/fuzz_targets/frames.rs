//! Any bytes as a stream of syslog, whole and cut in two at a place that its first byte tells: `cargo +nightly fuzz run
//! frames`.
#![no_main]

use cresset_intake::frames::Frames;

/// Short, so that messages past it come soon.
const BYTES_MAX: usize = 64;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((cut, stream)) = bytes.split_first() else { return };
    let read = |pieces: &[&[u8]]| {
        let (mut frames, mut lines) = (Frames::new(BYTES_MAX), Vec::new());
        let error = pieces.iter().find_map(|piece| frames.read(piece, &mut lines).err());
        if error.is_none() {
            frames.finish(&mut lines);
        }
        assert_eq!(lines.iter().filter(|byte| **byte == b'\n').count() as u64, frames.counts().messages);
        (lines, error, frames.counts())
    };
    let (first, rest) = stream.split_at(usize::from(*cut).min(stream.len()));
    assert_eq!(read(&[stream]), read(&[first, rest]));
});
