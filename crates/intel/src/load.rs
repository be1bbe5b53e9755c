//! Tells the format of a feed by its content, and has it read.

use std::collections::HashMap;

use cresset_event::Indicator;

use crate::collector::{Collector, Place};
use crate::feed::{Feed, FeedKind, Loaded, Taken};
use crate::{csv, list, stix};

/// Largest file that is read, in bytes: ten million lines with all columns. A larger file is refused as a whole.
pub const FILE_BYTES_MAX: usize = 1 << 30;
/// Largest file of STIX, whose objects are held until the last is read, for they refer to each other. The largest public
/// bundle (ATT&CK for enterprise) has 50 MB.
const STIX_BYTES_MAX: usize = 1 << 27;

/// Reads a feed: STIX where it begins as JSON, CSV where it has a header or steady columns, else a list of values. Passes
/// its indicators to `take` in the order of the file, and holds none of them.
///
/// `name` is what a person calls it; it stands in each indicator and each refusal. Any bytes give a result.
pub fn read(name: &str, bytes: &[u8], mut take: impl FnMut(Taken)) -> Feed {
    let take = &mut take;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if let Some(reason) = unreadable(bytes) {
        let mut collector = Collector::new(name, FeedKind::List, take);
        collector.refuse(Place::File, reason, "");
        return collector.finish();
    }
    if is_json(bytes) {
        let mut collector = Collector::new(name, FeedKind::Stix, take);
        stix::read(bytes, &mut collector);
        return collector.finish();
    }
    if let Some(layout) = csv::sniff(bytes) {
        let mut collector = Collector::new(name, FeedKind::Csv, take);
        csv::read(bytes, &layout, &mut collector);
        return collector.finish();
    }
    let mut collector = Collector::new(name, FeedKind::List, take);
    list::read(bytes, &mut collector);
    collector.finish()
}

/// Reads a feed as [`read`] does, and gives its indicators all at once: for small ones.
pub fn load(name: &str, bytes: &[u8]) -> Loaded {
    Loaded::gather(|take| read(name, bytes, take))
}

impl Loaded {
    /// Puts what is passed on into a list.
    pub(crate) fn gather(read: impl FnOnce(&mut dyn FnMut(Taken)) -> Feed) -> Self {
        let mut indicators: Vec<Indicator> = Vec::new();
        let mut positions = HashMap::new();
        let feed = read(&mut |Taken { indicator, replaces }| {
            let key = (indicator.id.clone(), indicator.matcher.clone());
            let position = *positions.entry(key).or_insert(indicators.len());
            match replaces {
                Some(_) => indicators[position] = indicator,
                None => indicators.push(indicator),
            }
        });
        Self { indicators, feed }
    }
}

fn unreadable(bytes: &[u8]) -> Option<String> {
    let bytes_max = if is_json(bytes) { STIX_BYTES_MAX } else { FILE_BYTES_MAX };
    if bytes.len() > bytes_max {
        return Some(format!("the file has more than {bytes_max} bytes, the most that is read; split it"));
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
        assert_eq!(load("feed", text.as_bytes()).feed.kind, expected, "{text:?}");
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
        let mut large = vec![b'\n'; STIX_BYTES_MAX + 1];
        large[..2].copy_from_slice(b"[{");
        assert!(load("large", &large).feed.refused[0].reason.contains("more than 134217728 bytes"));
        let loaded = load("utf16", b"\xff\xfea\0.\0b\0");
        assert_eq!((loaded.feed.refused.len(), loaded.indicators.len()), (1, 0));
        assert!(loaded.feed.refused[0].reason.contains("UTF-16"));
    }
}
