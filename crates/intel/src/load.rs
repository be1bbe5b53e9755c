//! Tells the format of a feed by its content, and has it read.

use std::collections::HashMap;

use cresset_event::Indicator;

use crate::collector::Collector;
use crate::crew::Crew;
use crate::feed::{Feed, FeedKind, Loaded, Taken};
use crate::findings::Place;
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
pub fn read(name: &str, bytes: &[u8], take: impl FnMut(Taken) + Send) -> Feed {
    read_on(1, name, bytes, take)
}

/// Reads a feed as [`read`] does, on several threads where it is one of lines: with the same outcome, whatever their number.
/// `take` is called on any of them, on one at a time.
pub fn read_on(threads: usize, name: &str, bytes: &[u8], take: impl FnMut(Taken) + Send) -> Feed {
    read_by(Crew::of(threads), name, bytes, take)
}

fn read_by(crew: Crew, name: &str, bytes: &[u8], mut take: impl FnMut(Taken) + Send) -> Feed {
    let take = &mut take;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if let Some(reason) = unreadable(bytes) {
        let mut collector = Collector::new(name, FeedKind::List, 0, take);
        collector.refuse(Place::File, reason, "");
        return collector.finish();
    }
    let expected = indicators_expected(bytes);
    if is_json(bytes) {
        let mut collector = Collector::new(name, FeedKind::Stix, expected, take);
        stix::read(bytes, &mut collector);
        return collector.finish();
    }
    if let Some(layout) = csv::sniff(bytes) {
        let mut collector = Collector::new(name, FeedKind::Csv, expected, take);
        csv::read(bytes, &layout, crew, &mut collector);
        return collector.finish();
    }
    let mut collector = Collector::new(name, FeedKind::List, expected, take);
    list::read(bytes, crew, &mut collector);
    collector.finish()
}

/// Returns about how many indicators a feed has: one a line. 0 where nothing tells, as with STIX.
pub fn indicators_expected(bytes: &[u8]) -> usize {
    if is_json(bytes) { 0 } else { memchr::memchr_iter(b'\n', bytes).count() }
}

/// Reads a feed as [`read`] does, and gives its indicators all at once: for small ones.
pub fn load(name: &str, bytes: &[u8]) -> Loaded {
    Loaded::gather(|take| read(name, bytes, take))
}

impl Loaded {
    /// Puts what is passed on into a list.
    pub(crate) fn gather(read: impl FnOnce(&mut (dyn FnMut(Taken) + Send)) -> Feed) -> Self {
        let mut indicators: Vec<Indicator> = Vec::new();
        let mut positions = HashMap::new();
        let feed = read(&mut |Taken { indicator, replaces }| {
            let key = (indicator.id.clone(), indicator.matcher.clone(), indicator.also.clone());
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
    use proptest::prelude::*;

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

    /// What is passed on, in its order, and the rest.
    fn read_with(crew: Crew, text: &str) -> (Vec<Taken>, Feed) {
        let mut taken = Vec::new();
        let feed = read_by(crew, "feed", text.as_bytes(), |one| taken.push(one));
        (taken, feed)
    }

    /// Lines as feeds have them: good, bad, some again, some that go on behind their end.
    fn line() -> impl Strategy<Value = String> {
        let value =
            prop::sample::select(vec!["evil.example", "EVIL[.]example", "192.0.2.1", "192.0.2.0/24", "word", ""]);
        let until = prop::sample::select(vec!["", "2024-01-01", "2025-01-01", "soon"]);
        let rest = prop::sample::select(vec!["", ",x", ",\"x", ",\"two\nlines\"", " # why", "\r"]);
        let numbered = (0..40_u8, prop::sample::select(vec!["", ",2024-06-01"]))
            .prop_map(|(number, until)| format!("host{number}.example{until}"));
        prop_oneof![
            3 => numbered,
            2 => (value, until, rest).prop_map(|(value, until, rest)| format!("{value},{until}{rest}")),
            1 => prop::sample::select(vec!["", "# a comment", "0.0.0.0 a.example b.example"]).prop_map(str::to_owned),
        ]
    }

    proptest! {
        #[test]
        fn several_threads_read_what_one_reads(
            header in prop::sample::select(vec!["", "value,expires,name\n"]),
            lines in prop::collection::vec(line(), 0..200),
            threads in 2..=4_usize,
            batch_entries in 1..20_usize,
        ) {
            let text = format!("{header}{}", lines.join("\n"));
            let together = read_with(Crew::of_small_batches(threads, batch_entries), &text);
            prop_assert_eq!(together, read_with(Crew::of(1), &text));
        }
    }

    /// Records that are too long are refused between those around them, and the reading goes on behind their first line.
    #[test]
    fn several_threads_meet_quotes_that_are_not_closed_as_one_does() {
        let filler: String = (0..6_000).map(|number| format!("host{number}.example,x\n")).collect();
        for quotes in [1, 3, 40] {
            let text = format!("value,name\n{}", format!("\"evil.example,x\n{filler}").repeat(quotes));
            let alone = read_with(Crew::of(1), &text);
            assert!(!alone.1.refused.is_empty());
            assert_eq!(read_with(Crew::of_small_batches(3, 5), &text), alone);
        }
    }
}
