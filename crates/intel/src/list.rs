//! Plain lists: one value a line.
//!
//! `#`, `//` and `;` begin a comment at the start of a line or after a blank; a comment behind a value becomes its name.
//! Read as well: quoted values, lines of a hosts file (`0.0.0.0 bad.example`) and of `sha256sum` (hash, then file name).

use std::sync::Arc;

use cresset_event::{HashAlgorithm, Indicator, Matcher, ObservableKind, Validity};

use crate::collector::Collector;
use crate::crew::Crew;
use crate::findings::Findings;
use crate::identity::Sources;
use crate::text::{NAME_BYTES_MAX, lossy, shortened, unquoted, utf8};
use crate::value::{read_as, read_by_form};

/// Longest line. Browsers send URLs of up to 8 KiB; a longer line is refused.
const LINE_BYTES_MAX: usize = 8192;
/// Addresses that block lists in the form of a hosts file send a domain to.
const SINKS: &[&str] = &["0.0.0.0", "127.0.0.1", "::", "::0", "::1"];

/// Reads a list.
pub(crate) fn read(bytes: &[u8], crew: Crew, collector: &mut Collector<'_>) {
    let mut lines = bytes.split(|byte| *byte == b'\n').zip(1..);
    let findings = collector.findings();
    crew.run(
        || Work { lines: Vec::new(), sources: Sources::default(), findings: findings.for_thread() },
        |work| {
            work.lines.clear();
            work.lines.extend(lines.by_ref().take(crew.batch_entries));
            !work.lines.is_empty()
        },
        Work::read,
        |work| collector.take(&mut work.findings),
    );
}

/// A batch of lines with their numbers, and what they come to.
struct Work<'b> {
    lines: Vec<(&'b [u8], u64)>,
    sources: Sources,
    findings: Findings,
}

impl Work<'_> {
    fn read(&mut self) {
        let Self { lines, sources, findings } = self;
        for (line, number) in lines {
            read_bytes(line, *number, sources, findings);
        }
    }
}

fn read_bytes(line: &[u8], number: u64, sources: &mut Sources, findings: &mut Findings) {
    if line.len() > LINE_BYTES_MAX {
        let reason = format!("the line has {} bytes; {LINE_BYTES_MAX} are read at most", line.len());
        return findings.refuse(number, reason, &lossy(line));
    }
    match utf8(line) {
        Ok(text) => read_line(text, number, sources, findings),
        Err(reason) => findings.refuse(number, reason, &lossy(line)),
    }
}

fn read_line(line: &str, number: u64, sources: &mut Sources, findings: &mut Findings) {
    let (entry, comment) = split_comment(line);
    let entry = unquoted(entry);
    if entry.is_empty() {
        return;
    }
    let mut take = |read: Result<Matcher, String>, name: Option<&str>| match read {
        Ok(matcher) => findings.offer(listed(findings.file(), sources, matcher, name)),
        Err(reason) => findings.refuse(number, reason, line),
    };
    if let Some(domains) = hosts_line(entry) {
        domains.for_each(|domain| take(read_as(ObservableKind::Domain, domain), comment));
    } else if let Some((hash, file)) = checksum_line(entry) {
        take(Ok(hash), comment.or(Some(file)));
    } else {
        take(read_by_form(entry), comment);
    }
}

/// Returns an indicator of which nothing is known but its value and a name.
fn listed(file: &Arc<str>, sources: &mut Sources, matcher: Matcher, name: Option<&str>) -> Indicator {
    Indicator {
        id: sources.get(source_of(file)).derived_id(&matcher),
        name: name.map(|name| shortened(name, NAME_BYTES_MAX)),
        matcher,
        also: Vec::new(),
        validity: Validity::default(),
        author: None,
        confidence: None,
        techniques: Vec::new(),
        references: Vec::new(),
        loaded_from: Arc::clone(file),
    }
}

/// Returns the file's name without folders: the same list moved to another folder is the same source.
pub(crate) fn source_of(file: &str) -> &str {
    file.rsplit(['/', '\\']).next().unwrap_or(file)
}

/// Returns whether the line is a comment as a whole.
pub(crate) fn is_comment(line: &str) -> bool {
    line.starts_with('#') || line.starts_with("//") || line.starts_with(';')
}

/// Divides a line into its entry and the comment, if any. A `#` within a URL is none: no blank stands before it.
fn split_comment(line: &str) -> (&str, Option<&str>) {
    let line = line.trim();
    if is_comment(line) {
        return ("", None);
    }
    let begins = |at: usize| line[..at].ends_with(char::is_whitespace) && is_comment(&line[at..]);
    match line.char_indices().map(|(at, _)| at).find(|at| begins(*at)) {
        Some(at) => {
            let comment = line[at..].trim_start_matches(['#', '/', ';']).trim();
            (line[..at].trim_end(), Some(comment).filter(|comment| !comment.is_empty()))
        }
        None => (line, None),
    }
}

/// Returns the domains of a line of a hosts file.
pub(crate) fn hosts_line(entry: &str) -> Option<impl Iterator<Item = &str>> {
    let (sink, domains) = entry.split_once(char::is_whitespace)?;
    SINKS.contains(&sink).then(|| domains.split_whitespace())
}

/// Returns the hash and the file name of a line that `sha256sum` and its kin write.
fn checksum_line(entry: &str) -> Option<(Matcher, &str)> {
    let (hash, file) = entry.split_once(char::is_whitespace)?;
    let algorithm = HashAlgorithm::of_hex(hash)?;
    let matcher = Matcher::of_kind(ObservableKind::FileHash(algorithm), hash)?;
    Some((matcher, file.trim_start().trim_start_matches('*')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::{FeedKind, Loaded};

    fn list(text: &[u8]) -> Loaded {
        Loaded::gather(|take| {
            let mut collector = Collector::new("lists/list.txt", FeedKind::List, 0, take);
            read(text, Crew::of_small_batches(1, 2), &mut collector);
            collector.finish()
        })
    }

    fn check_values(text: &str, expected: &[&str]) {
        let loaded = list(text.as_bytes());
        let found: Vec<String> = loaded.indicators.iter().map(|indicator| indicator.matcher.to_string()).collect();
        assert_eq!(found, expected, "{text:?}, refused: {:?}", loaded.feed.refused);
    }

    #[test]
    fn comments_blanks_and_quotes() {
        check_values("# a\n// b\n; c\n\n  \r\nevil.example\r\n", &["evil.example"]);
        check_values("\"evil.example\",\n'worse.example'\n", &["evil.example", "worse.example"]);
        check_values(
            "evil.example # c\nworse.example // c\n192.0.2.0/24 ; c",
            &["evil.example", "worse.example", "192.0.2.0/24"],
        );
        check_values("http://evil.example/a;b//c#d", &["http://evil.example/a;b//c"]);
    }

    #[test]
    fn a_comment_behind_a_value_is_its_name() {
        let loaded = list(b"evil.example # the bad one\nworse.example #");
        assert_eq!(loaded.indicators[0].title(), "the bad one");
        assert_eq!(loaded.indicators[1].title(), "worse.example");
    }

    #[test]
    fn lines_of_hosts_files_and_checksums() {
        check_values(
            "0.0.0.0 bad.example worse.example\n127.0.0.1\tevil.example",
            &["bad.example", "worse.example", "evil.example"],
        );
        let hash = "a".repeat(64);
        check_values(&format!("{hash}  dir/evil.bin"), &[&hash]);
    }

    #[test]
    fn refusals_have_their_line() {
        let long = format!("{}.example", "a".repeat(LINE_BYTES_MAX));
        let text = [b"evil.example\n\xffbad\nword\ntwo words\n".as_slice(), long.as_bytes()].concat();
        let loaded = list(&text);
        let lines: Vec<Option<u64>> = loaded.feed.refused.iter().map(|refused| refused.line).collect();
        assert_eq!(lines, [Some(2), Some(3), Some(4), Some(5)]);
        assert!(loaded.feed.refused[0].reason.contains("not UTF-8 from byte 0"));
        assert_eq!(loaded.feed.refused[2].quote, "two words");
    }

    #[test]
    fn a_value_twice_is_a_duplicate_in_any_spelling() {
        let loaded = list(b"evil.example\nEVIL[.]example\n");
        assert_eq!((loaded.indicators.len(), loaded.feed.duplicates), (1, 1));
    }
}
