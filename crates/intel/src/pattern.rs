//! STIX patterns (STIX 2.1 §9), as far as the values of one event can fulfil them.
//!
//! A hand-written parser over the text: observations joined by OR, in each comparisons joined by AND and OR; `=`, `IN` and
//! `ISSUBSET` with text. What comes of it is a list of alternatives, each of comparisons that must all hold in one event, so
//! an alternative that names something we do not match is refused by itself. What joins several events or negates
//! (`[…] AND […]`, `FOLLOWEDBY`, `NOT`, qualifiers) refuses the pattern: a part alone would say something else.
//!
//! Always: a pattern gives alternatives each of which alone fulfils it, or an error with its place; time, depth and what the
//! alternatives have in all are bounded. `tests/it/main.rs` throws random text at it.

use cresset_event::{HashAlgorithm, Matcher, ObservableKind};
use thiserror::Error;

use crate::value_type::{ValueType, read_part};

/// Longest pattern. Lists of hashes as one pattern reach some 100 KiB; past it the indicator is refused.
const PATTERN_BYTES_MAX: usize = 1 << 18;
/// Most comparisons of a pattern, in all its alternatives. Past it the indicator is refused.
const COMPARISONS_MAX: usize = 2_000;
/// Deepest nesting of parentheses. Made patterns have one or two.
const DEPTH_MAX: usize = 16;
/// Most steps of an object path; the longest that we read has three.
const PATH_STEPS_MAX: usize = 16;

/// Why a pattern is not taken. Positions count characters from 1.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum PatternError {
    #[error("`{construct}` at character {position} is not supported: {why}")]
    Unsupported { construct: String, position: usize, why: &'static str },
    #[error("expected {expected} at character {position}, found {found}")]
    Unexpected { expected: &'static str, found: String, position: usize },
    #[error("the pattern has {bytes} bytes; {PATTERN_BYTES_MAX} are read at most")]
    TooLong { bytes: usize },
    #[error("the pattern comes to more than {COMPARISONS_MAX} comparisons; split it")]
    TooMany,
    #[error("the parentheses at character {position} are nested more than {DEPTH_MAX} deep")]
    TooDeep { position: usize },
}

const JOINS: &str = "an indicator is matched by the values of one event; use a Sigma correlation rule";
const QUALIFIES: &str = "an indicator is matched by one event, without regard to others";
const COMPARES: &str = "only `=`, `IN` and `ISSUBSET` with text are matched";

/// Comparisons that must all hold in one event.
pub(crate) type Alternative = Vec<Comparison>;

/// A part of a pattern: an object path that equals a text (or lies within a range).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Comparison {
    object: String,
    path: Vec<String>,
    operator: Operator,
    value: String,
    position: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    Subset,
}

/// Parses a pattern into its alternatives.
pub(crate) fn parse_pattern(text: &str) -> Result<Vec<Alternative>, PatternError> {
    if text.len() > PATTERN_BYTES_MAX {
        return Err(PatternError::TooLong { bytes: text.len() });
    }
    let mut parser = Parser { text, at: 0, depth: 0, counted: (0, 0) };
    let alternatives = parser.observations()?;
    parser.skip_blanks();
    if parser.at < text.len() {
        return Err(parser.unexpected("OR or the end"));
    }
    Ok(alternatives)
}

impl Comparison {
    /// Returns what to look for; an error says why this alternative is not matched.
    pub(crate) fn matcher(&self) -> Result<Matcher, String> {
        let with_place = |reason| format!("{reason} (at character {})", self.position);
        let value_type =
            self.value_type().ok_or_else(|| with_place(format!("`{}` is not matched", self.shown_path())))?;
        let is_address = matches!(value_type, ValueType::Of(ObservableKind::Ipv4 | ObservableKind::Ipv6));
        if self.operator == Operator::Subset && !is_address {
            return Err(with_place(format!("ISSUBSET does not go with `{}`", self.shown_path())));
        }
        let matcher = read_part(value_type, &self.value).map_err(with_place)?;
        let matcher = matcher.ok_or_else(|| with_place("there is nothing to look for".to_owned()))?;
        match value_type {
            ValueType::Of(kind) if is_address && kind != matcher.kind() => {
                Err(with_place(format!("`{}` is no {kind}", crate::text::shortened(&self.value, 80))))
            }
            _ => Ok(matcher),
        }
    }

    /// Returns the type that the path names; those of STIX 2.0 (`binary_ref`) are still written.
    fn value_type(&self) -> Option<ValueType> {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        let kind = match (self.object.as_str(), &path[..]) {
            ("ipv4-addr", ["value"]) => ObservableKind::Ipv4,
            ("ipv6-addr", ["value"]) => ObservableKind::Ipv6,
            ("domain-name", ["value"]) => ObservableKind::Domain,
            ("url", ["value"]) => ObservableKind::Url,
            ("email-addr", ["value"]) | ("email-message", ["from_ref" | "sender_ref", "value"]) => {
                ObservableKind::Email
            }
            ("file", ["name"]) => ObservableKind::FileName,
            ("file", ["hashes", name]) => ObservableKind::FileHash(algorithm(name)?),
            ("windows-registry-key", ["key"]) => ObservableKind::RegistryKey,
            ("user-account", ["user_id" | "account_login"]) => ObservableKind::User,
            ("process", ["image_ref" | "binary_ref", "name"]) => ObservableKind::Process,
            ("network-traffic", ["dst_ref" | "src_ref", "value"]) => return Some(ValueType::Host),
            _ => return None,
        };
        Some(ValueType::Of(kind))
    }

    fn shown_path(&self) -> String {
        format!("{}:{}", self.object, self.path.join("."))
    }
}

/// `SHA-256`, `SHA256`, `sha_256`: the keys that are seen beside those of STIX 2.1 §10.8.
fn algorithm(name: &str) -> Option<HashAlgorithm> {
    let plain: String = name.chars().filter(|c| !matches!(c, '-' | '_')).collect();
    HashAlgorithm::from_name(&plain)
}

struct Parser<'p> {
    text: &'p str,
    at: usize,
    depth: usize,
    /// How many bytes of the text were counted as how many characters: a long pattern is counted once.
    counted: (usize, usize),
}

type Parsed<T> = Result<T, PatternError>;

impl<'p> Parser<'p> {
    /// `observation (OR observation)*`
    fn observations(&mut self) -> Parsed<Vec<Alternative>> {
        let mut all = Vec::new();
        loop {
            let found = self.observation()?;
            self.refuse_words(&["AND", "FOLLOWEDBY"], JOINS)?;
            add(&mut all, found)?;
            if !self.word("OR") {
                return Ok(all);
            }
        }
    }

    /// `[comparisons]` or `(observations)`, without qualifiers.
    fn observation(&mut self) -> Parsed<Vec<Alternative>> {
        let found = if self.mark("(") {
            self.nested(Self::observations)?
        } else if self.mark("[") {
            let found = self.alternatives()?;
            self.expect("]", "`]`, AND, OR or a comparison")?;
            found
        } else {
            return Err(self.unexpected("`[`"));
        };
        self.refuse_words(&["WITHIN", "REPEATS", "START", "STOP"], QUALIFIES)?;
        Ok(found)
    }

    /// `joined (OR joined)*`
    fn alternatives(&mut self) -> Parsed<Vec<Alternative>> {
        let mut all = Vec::new();
        loop {
            let found = self.joined()?;
            add(&mut all, found)?;
            if !self.word("OR") {
                return Ok(all);
            }
        }
    }

    /// `part (AND part)*`, which binds closer than OR (§9.5).
    fn joined(&mut self) -> Parsed<Vec<Alternative>> {
        let mut joined = self.part()?;
        while self.word("AND") {
            joined = both(joined, &self.part()?)?;
        }
        Ok(joined)
    }

    /// A comparison, or `(alternatives)`.
    fn part(&mut self) -> Parsed<Vec<Alternative>> {
        self.refuse_words(&["NOT", "EXISTS"], COMPARES)?;
        if self.mark("(") { self.nested(Self::alternatives) } else { self.comparison() }
    }

    fn nested(&mut self, inside: fn(&mut Self) -> Parsed<Vec<Alternative>>) -> Parsed<Vec<Alternative>> {
        if self.depth == DEPTH_MAX {
            return Err(PatternError::TooDeep { position: self.position() });
        }
        self.depth += 1;
        let found = inside(self)?;
        self.depth -= 1;
        self.expect(")", "`)`")?;
        Ok(found)
    }

    /// `path = 'text'`, `path IN ('text', …)` or `path ISSUBSET 'text'`.
    fn comparison(&mut self) -> Parsed<Vec<Alternative>> {
        self.skip_blanks();
        let position = self.next_position();
        let object = self.name("an object path such as `ipv4-addr:value`")?;
        if !self.mark_here(":") {
            return Err(self.unexpected("`:`"));
        }
        let path = self.path()?;
        self.refuse_words(&["NOT", "LIKE", "MATCHES", "ISSUPERSET"], COMPARES)?;
        self.refuse_marks(&["!=", "<>", "<", ">"])?;
        let is_in = self.word("IN");
        let operator = if self.word("ISSUBSET") { Operator::Subset } else { Operator::Equal };
        if is_in {
            return self.listed(object, &path, position);
        }
        if operator == Operator::Equal && !self.mark("==") && !self.mark("=") {
            return Err(self.unexpected("`=`, `IN` or `ISSUBSET`"));
        }
        let value = self.literal()?;
        Ok(vec![vec![Comparison { object: object.to_owned(), path, operator, value, position }]])
    }

    /// `('text', 'text')`, each an alternative.
    fn listed(&mut self, object: &str, path: &[String], position: usize) -> Parsed<Vec<Alternative>> {
        self.expect("(", "`(` after `IN`")?;
        let mut all = Vec::new();
        loop {
            let value = self.literal()?;
            let (object, path) = (object.to_owned(), path.to_vec());
            add(&mut all, vec![vec![Comparison { object, path, operator: Operator::Equal, value, position }]])?;
            if !self.mark(",") {
                self.expect(")", "`,` or `)`")?;
                return Ok(all);
            }
        }
    }

    /// The steps after the colon: `value`, `hashes.MD5`, `hashes.'SHA-256'`, `hashes."SHA-256"`.
    fn path(&mut self) -> Parsed<Vec<String>> {
        let mut steps = Vec::new();
        loop {
            let rest = self.rest();
            let step = match rest.chars().next() {
                Some('\'') => self.quoted('\'')?,
                Some('"') => self.quoted('"')?,
                _ => self.name("a property")?.to_owned(),
            };
            steps.push(step);
            if self.rest().starts_with('[') {
                return Err(self.unsupported("[", "members of lists are not matched one by one"));
            }
            if steps.len() > PATH_STEPS_MAX {
                return Err(self.unexpected("a shorter object path"));
            }
            if !self.mark_here(".") {
                return Ok(steps);
            }
        }
    }

    fn name(&mut self, expected: &'static str) -> Parsed<&'p str> {
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_')).unwrap_or(rest.len());
        if end == 0 {
            return Err(self.unexpected(expected));
        }
        self.at += end;
        Ok(&rest[..end])
    }

    /// A text in single quotes; numbers, truth values, times and bytes are literals that no observable equals.
    fn literal(&mut self) -> Parsed<String> {
        self.skip_blanks();
        if self.rest().starts_with('\'') { self.quoted('\'') } else { Err(self.unexpected("a text in single quotes")) }
    }

    /// A quoted text, in which a quote and a backslash have a backslash before them.
    fn quoted(&mut self, quote: char) -> Parsed<String> {
        let mut out = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => match chars.next() {
                    Some((_, escaped)) if escaped == quote || escaped == '\\' => out.push(escaped),
                    _ => {
                        self.at += at;
                        return Err(self.unexpected("a backslash or a quote after a backslash (double it)"));
                    }
                },
                _ if c == quote => {
                    self.at += at + 1;
                    return Ok(out);
                }
                _ => out.push(c),
            }
        }
        self.at = self.text.len();
        Err(self.unexpected("the closing quote"))
    }

    fn refuse_words(&mut self, words: &[&'static str], why: &'static str) -> Parsed<()> {
        self.skip_blanks();
        match words.iter().find(|word| self.is_word(word)) {
            Some(word) => Err(self.unsupported(word, why)),
            None => Ok(()),
        }
    }

    fn refuse_marks(&mut self, marks: &[&'static str]) -> Parsed<()> {
        self.skip_blanks();
        match marks.iter().find(|mark| self.rest().starts_with(**mark)) {
            Some(mark) => Err(self.unsupported(mark, COMPARES)),
            None => Ok(()),
        }
    }

    fn expect(&mut self, mark: &str, expected: &'static str) -> Parsed<()> {
        if self.mark(mark) { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    fn mark(&mut self, mark: &str) -> bool {
        self.skip_blanks();
        self.mark_here(mark)
    }

    fn mark_here(&mut self, mark: &str) -> bool {
        let is_here = self.rest().starts_with(mark);
        if is_here {
            self.at += mark.len();
        }
        is_here
    }

    fn word(&mut self, word: &str) -> bool {
        self.skip_blanks();
        let is_here = self.is_word(word);
        if is_here {
            self.at += word.len();
        }
        is_here
    }

    /// Whether the keyword stands here, and not as the beginning of a name. Keywords are in upper case (§9.1).
    fn is_word(&self, word: &str) -> bool {
        let Some(after) = self.rest().strip_prefix(word) else { return false };
        !after.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | ':' | '.'))
    }

    fn rest(&self) -> &'p str {
        &self.text[self.at..]
    }

    fn skip_blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// The position for a comparison; for errors, of which there is one, `position` does.
    fn next_position(&mut self) -> usize {
        let (bytes, characters) = self.counted;
        self.counted = (self.at, characters + self.text[bytes..self.at].chars().count());
        self.counted.1 + 1
    }

    fn position(&self) -> usize {
        self.text[..self.at].chars().count() + 1
    }

    fn unsupported(&self, construct: &str, why: &'static str) -> PatternError {
        PatternError::Unsupported { construct: construct.to_owned(), position: self.position(), why }
    }

    fn unexpected(&self, expected: &'static str) -> PatternError {
        let word: String = self.rest().chars().take_while(|c| !c.is_whitespace()).take(16).collect();
        let found = if word.is_empty() { "the end".to_owned() } else { format!("`{word}`") };
        PatternError::Unexpected { expected, found, position: self.position() }
    }
}

/// Adds alternatives to others, which are within the bound.
fn add(all: &mut Vec<Alternative>, more: Vec<Alternative>) -> Parsed<()> {
    if count(all) + count(&more) > COMPARISONS_MAX {
        return Err(PatternError::TooMany);
    }
    all.extend(more);
    Ok(())
}

/// Returns the alternatives of two parts that must both hold: each of one with each of the other.
fn both(mut left: Vec<Alternative>, right: &[Alternative]) -> Parsed<Vec<Alternative>> {
    let comparisons = count(&left) * right.len() + count(right) * left.len();
    if comparisons > COMPARISONS_MAX {
        return Err(PatternError::TooMany);
    }
    if let [only] = right {
        // Where many are joined one by one, what is there is not copied each time.
        left.iter_mut().for_each(|left| left.extend_from_slice(only));
        return Ok(left);
    }
    let pairs = left.iter().flat_map(|left| right.iter().map(move |right| [&left[..], &right[..]].concat()));
    Ok(pairs.collect())
}

fn count(alternatives: &[Alternative]) -> usize {
    alternatives.iter().map(Vec::len).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_pattern(pattern: &str, expected: &[(&str, &str)]) {
        let alternatives = parse_pattern(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
        let found: Vec<(String, String)> = alternatives
            .iter()
            .map(|comparisons| comparisons[0].matcher().unwrap_or_else(|reason| panic!("{pattern}: {reason}")))
            .map(|matcher| (matcher.kind().to_string(), matcher.to_string()))
            .collect();
        let found: Vec<(&str, &str)> = found.iter().map(|(kind, value)| (kind.as_str(), value.as_str())).collect();
        assert_eq!(found, expected, "{pattern}");
    }

    fn check_refused(pattern: &str, reason: &str) {
        let error = match parse_pattern(pattern) {
            Err(error) => error.to_string(),
            Ok(alternatives) => alternatives[0][0].matcher().expect_err(pattern),
        };
        assert!(error.contains(reason), "{pattern}: {error}");
    }

    #[test]
    fn every_path_that_is_matched() {
        for (path, value, kind, normal) in [
            ("ipv4-addr:value", "192.0.2.1", "ipv4-addr", "192.0.2.1"),
            ("ipv4-addr:value", "192.0.2.7/24", "ipv4-addr", "192.0.2.0/24"),
            ("ipv6-addr:value", "2001:DB8::1", "ipv6-addr", "2001:db8::1"),
            ("domain-name:value", "Evil.Example", "domain-name", "evil.example"),
            ("url:value", "HTTP://Evil.example/A", "url", "http://evil.example/A"),
            ("email-addr:value", "A@evil.example", "email-addr", "a@evil.example"),
            ("email-message:from_ref.value", "a@evil.example", "email-addr", "a@evil.example"),
            ("file:name", "Evil.exe", "file:name", "evil.exe"),
            ("windows-registry-key:key", r"HKLM\\Software\\Evil", "windows-registry-key", r"hklm\software\evil"),
            ("user-account:user_id", "Mallory", "user-account", "mallory"),
            ("user-account:account_login", "Mallory", "user-account", "mallory"),
            ("process:image_ref.name", "Evil.exe", "file:name", "evil.exe"),
            ("network-traffic:dst_ref.value", "192.0.2.1", "ipv4-addr", "192.0.2.1"),
            ("network-traffic:src_ref.value", "evil.example", "domain-name", "evil.example"),
        ] {
            check_pattern(&format!("[{path} = '{value}']"), &[(kind, normal)]);
        }
    }

    #[test]
    fn hashes_in_the_spellings_of_the_wild() {
        for (key, digits) in [
            ("MD5", 32),
            ("'MD5'", 32),
            ("\"md5\"", 32),
            ("'SHA-1'", 40),
            ("SHA1", 40),
            ("'SHA-256'", 64),
            ("\"SHA-256\"", 64),
            ("SHA256", 64),
            ("sha_256", 64),
            ("SHA-256", 64),
            ("'SHA-512'", 128),
            ("IMPHASH", 32),
        ] {
            let comparisons = parse_pattern(&format!("[file:hashes.{key} = '{}']", "A".repeat(digits))).unwrap();
            assert_eq!(comparisons[0][0].matcher().unwrap().to_string(), "a".repeat(digits), "{key}");
        }
        check_refused("[file:hashes.MD5 = 'aa']", "not an MD5 hash");
        check_refused("[file:hashes.SSDEEP = '3:a:b']", "`file:hashes.SSDEEP` is not matched");
    }

    #[test]
    fn or_in_all_its_places() {
        let two = [("ipv4-addr", "192.0.2.1"), ("domain-name", "evil.example")];
        check_pattern("[ipv4-addr:value = '192.0.2.1' OR domain-name:value = 'evil.example']", &two);
        check_pattern("[ipv4-addr:value='192.0.2.1']OR[domain-name:value='evil.example']", &two);
        check_pattern("([ipv4-addr:value = '192.0.2.1'] OR ([(domain-name:value = 'evil.example')]))", &two);
        let listed = [("ipv4-addr", "192.0.2.1"), ("ipv4-addr", "192.0.2.2")];
        check_pattern("[ipv4-addr:value IN ('192.0.2.1', '192.0.2.2')]", &listed);
        check_pattern("[ipv4-addr:value ISSUBSET '192.0.2.0/24']", &[("ipv4-addr", "192.0.2.0/24")]);
    }

    #[test]
    fn what_is_not_supported_is_named_with_its_place() {
        let a = "ipv4-addr:value = '192.0.2.1'";
        check_refused(&format!("[{a}] AND [{a}]"), "`AND` at character 33");
        check_refused(&format!("[{a}] FOLLOWEDBY [{a}]"), "`FOLLOWEDBY` at character 33");
        check_refused(&format!("[{a}] WITHIN 5 SECONDS"), "`WITHIN`");
        check_refused(&format!("[{a}] REPEATS 5 TIMES"), "`REPEATS`");
        check_refused(&format!("[{a}] START t'2024-01-01T00:00:00Z' STOP t'2025-01-01T00:00:00Z'"), "`START`");
        check_refused("[url:value LIKE 'http://%']", "`LIKE` at character 12");
        check_refused("[url:value MATCHES '^http']", "`MATCHES`");
        check_refused("[url:value NOT = 'a']", "`NOT`");
        check_refused("[NOT url:value = 'a']", "`NOT`");
        check_refused("[url:value != 'a']", "`!=` at character 12");
        check_refused("[ipv4-addr:value ISSUPERSET '192.0.2.0/24']", "`ISSUPERSET`");
        check_refused("[EXISTS url:value]", "`EXISTS`");
        check_refused("[domain-name:resolves_to_refs[*].value = '192.0.2.1']", "`[` at character 30");
        check_refused("[process:command_line = 'evil']", "`process:command_line` is not matched");
        check_refused("[mutex:name = 'evil']", "`mutex:name` is not matched");
        check_refused("[domain-name:value ISSUBSET 'evil.example']", "ISSUBSET does not go with");
        check_refused("[ipv6-addr:value = '192.0.2.1']", "is no ipv6-addr");
        check_refused("[network-traffic:dst_port = 443]", "a text in single quotes");
    }

    #[test]
    fn broken_patterns_are_errors_with_their_place() {
        check_refused("", "expected `[` at character 1, found the end");
        check_refused("[url:value = 'http://evil.example", "the closing quote");
        check_refused("[url:value = 'http://evil.example'", "expected `]`");
        check_refused("[url:value = 'http://evil.example'] x", "expected OR or the end at character 37, found `x`");
        check_refused("[url = 'x']", "expected `:` at character 5");
        check_refused(r"[file:name = 'a\b']", "after a backslash");
        check_refused("[ü:value = 'x']", "expected an object path");
        check_refused("[url:value IN ()]", "a text in single quotes");
        check_refused("[url:value IN ('http://a.example',)]", "a text in single quotes");
    }

    #[test]
    fn escapes_and_quotes_within_a_text() {
        check_pattern(r"[file:name = 'it\'s.exe']", &[("file:name", "it's.exe")]);
        check_pattern("[file:name = 'a OR b].exe']", &[("file:name", "a or b].exe")]);
    }

    #[test]
    fn one_alternative_that_is_not_matched_leaves_the_others() {
        let alternatives = parse_pattern("[mutex:name = 'x' OR domain-name:value = 'evil.example']").unwrap();
        assert!(alternatives[0][0].matcher().is_err());
        assert_eq!(alternatives[1][0].matcher().unwrap().to_string(), "evil.example");
    }

    #[test]
    fn what_and_joins_is_one_alternative() {
        let check = |pattern: &str, expected: &[&[&str]]| {
            let alternatives = parse_pattern(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
            let values =
                |comparisons: &Alternative| comparisons.iter().map(|each| each.value.clone()).collect::<Vec<_>>();
            assert_eq!(alternatives.iter().map(values).collect::<Vec<_>>(), expected, "{pattern}");
        };
        check("[a:b = '1' AND a:c = '2']", &[&["1", "2"]]);
        check("[a:b='1' AND a:c='2' OR a:d='3' AND a:e='4']", &[&["1", "2"], &["3", "4"]]);
        check("[a:b='1' AND (a:c='2' OR a:d='3')]", &[&["1", "2"], &["1", "3"]]);
        check("[a:b IN ('1', '2') AND a:c IN ('3', '4')]", &[&["1", "3"], &["1", "4"], &["2", "3"], &["2", "4"]]);
        check("[a:b='1' AND a:c='2'] OR [a:d='3']", &[&["1", "2"], &["3"]]);
        check_refused("[a:b='1' AND NOT a:c='2']", "`NOT`");
        check_refused("[a:b='1' AND]", "an object path");
    }

    #[test]
    fn the_bounds_are_held_at_their_edge() {
        let comparisons = |n: usize| format!("[{}]", vec!["url:value='a://b'"; n].join(" OR "));
        assert_eq!(parse_pattern(&comparisons(COMPARISONS_MAX)).map(|all| all.len()), Ok(COMPARISONS_MAX));
        assert_eq!(parse_pattern(&comparisons(COMPARISONS_MAX + 1)), Err(PatternError::TooMany));
        let pairs = |n: usize| format!("[{0} AND {0}]", format!("a:b IN ({})", vec!["'x'"; n].join(",")));
        assert_eq!(parse_pattern(&pairs(31)).map(|all| all.len()), Ok(31 * 31));
        assert_eq!(parse_pattern(&pairs(32)), Err(PatternError::TooMany));
        let joined = format!("[{}]", vec!["a:b IN ('x','y')"; 1000].join(" AND "));
        assert_eq!(parse_pattern(&joined), Err(PatternError::TooMany));
        let nested = |n: usize| format!("{}[url:value='a://b']{}", "(".repeat(n), ")".repeat(n));
        assert!(parse_pattern(&nested(DEPTH_MAX)).is_ok());
        assert!(matches!(parse_pattern(&nested(DEPTH_MAX + 1)), Err(PatternError::TooDeep { .. })));
        let long = " ".repeat(PATTERN_BYTES_MAX + 1);
        assert_eq!(parse_pattern(&long), Err(PatternError::TooLong { bytes: PATTERN_BYTES_MAX + 1 }));
        check_refused(&format!("[a:{} = 'x']", vec!["b"; 20].join(".")), "a shorter object path");
    }
}
