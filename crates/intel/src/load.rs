//! Tells the format of a feed by its content, and has it read.

use crate::collector::{Collector, Place};
use crate::loaded::{FeedKind, Loaded};
use crate::{csv, list, stix};

/// Largest file that is read, in bytes. The largest public bundle (ATT&CK for enterprise) has 50 MB; a larger file is
/// refused as a whole.
pub const FILE_BYTES_MAX: usize = 1 << 27;

/// Reads a feed: STIX where it begins as JSON, CSV where it has a header or steady columns, else a list of values.
///
/// `name` is what a person calls it; it stands in each indicator and each refusal. Any bytes give a result.
pub fn load(name: &str, bytes: &[u8]) -> Loaded {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if let Some(reason) = unreadable(bytes) {
        let mut collector = Collector::new(name, FeedKind::List);
        collector.refuse(Place::File, reason, "");
        return collector.finish();
    }
    if is_json(bytes) {
        let mut collector = Collector::new(name, FeedKind::Stix);
        stix::read(bytes, &mut collector);
        return collector.finish();
    }
    if let Some(layout) = csv::sniff(bytes) {
        let mut collector = Collector::new(name, FeedKind::Csv);
        csv::read(bytes, &layout, &mut collector);
        return collector.finish();
    }
    let mut collector = Collector::new(name, FeedKind::List);
    list::read(bytes, &mut collector);
    collector.finish()
}

fn unreadable(bytes: &[u8]) -> Option<String> {
    if bytes.len() > FILE_BYTES_MAX {
        return Some(format!("the file has more than {FILE_BYTES_MAX} bytes, the most that is read; split it"));
    }
    let is_utf16 = bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff");
    is_utf16.then(|| "the file is UTF-16; save it as UTF-8".to_owned())
}

/// Whether the file begins as JSON does. A list may begin with `[` too, as in `[2001:db8::1]:443`.
fn is_json(bytes: &[u8]) -> bool {
    let mut visible = bytes.iter().filter(|byte| !byte.is_ascii_whitespace());
    match (visible.next(), visible.next()) {
        (Some(b'{'), second) => matches!(second, Some(b'"' | b'}') | None),
        (Some(b'['), second) => matches!(second, Some(b'{' | b'"' | b']') | None),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_kind(text: &str, expected: FeedKind) {
        assert_eq!(load("feed", text.as_bytes()).kind, expected, "{text:?}");
    }

    #[test]
    fn the_format_is_told_by_the_content() {
        check_kind(r#"{"type":"bundle","id":"bundle--1","objects":[]}"#, FeedKind::Stix);
        check_kind("\u{feff} [\n{}]", FeedKind::Stix);
        check_kind("type,value\ndomain,evil.example\n", FeedKind::Csv);
        check_kind("value\nevil.example\n", FeedKind::Csv);
        check_kind("evil.example;2024-01-01\nevil2.example;2024-01-02\n", FeedKind::Csv);
        check_kind("[2001:db8::1]:443\n", FeedKind::List);
        check_kind("evil.example\nworse.example\n", FeedKind::List);
        check_kind("0.0.0.0\tbad.example\n0.0.0.0\tworse.example\n", FeedKind::List);
        check_kind("", FeedKind::List);
    }

    #[test]
    fn a_file_that_is_too_large_or_utf16_is_refused_as_a_whole() {
        let large = vec![b'\n'; FILE_BYTES_MAX + 1];
        assert!(load("large", &large).refused[0].reason.contains("more than 134217728 bytes"));
        let loaded = load("utf16", b"\xff\xfea\0.\0b\0");
        assert_eq!((loaded.refused.len(), loaded.indicators.len()), (1, 0));
        assert!(loaded.refused[0].reason.contains("UTF-16"));
    }
}
