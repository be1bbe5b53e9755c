//! A Sigma rule as a person knows it, and the reading of rule files.
//!
//! Parsing is `rsigma-parser`'s; what it cannot read is a [`Refused`] with its place and reason, and the other rules of
//! the file still load.

use rsigma_parser::{CorrelationRule, FilterRule, SigmaCollection, SigmaRule, parse_sigma_yaml};

use crate::attack;
use crate::level::{Level, Status};

/// Most YAML aliases in one file. Rules hardly ever use them; nested, they are how a small file becomes a huge one.
const ALIASES_MAX: usize = 64;

/// Everything about a rule but its logic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its id, a UUID by the specification; `None` where the author gave none.
    pub id: Option<String>,
    /// Its short name, by which correlations may refer to it.
    pub name: Option<String>,
    /// Its title.
    pub title: String,
    /// How much it matters; rules without a level count as medium (`level_of`).
    pub level: Level,
    /// How far it is proved.
    pub status: Option<Status>,
    /// Who wrote it.
    pub author: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Where to read more.
    pub references: Vec<String>,
    /// Its tags, as written.
    pub tags: Vec<String>,
    /// ATT&CK techniques among the tags: `T1059.001`.
    pub techniques: Vec<String>,
    /// ATT&CK tactics among the tags, by name.
    pub tactics: Vec<&'static str>,
    /// When it fires without an attack.
    pub false_positives: Vec<String>,
    /// The file it was loaded from.
    pub file: String,
}

/// Reads what detection and correlation rules have alike; the parser has a type of its own for each.
macro_rules! describe {
    ($rule:expr, $file:expr) => {
        Rule {
            id: $rule.id.clone(),
            name: $rule.name.clone(),
            title: $rule.title.clone(),
            level: level_of($rule.level),
            status: $rule.status.map(status_of),
            author: $rule.author.clone(),
            description: $rule.description.clone(),
            references: $rule.references.clone(),
            techniques: attack::techniques(&$rule.tags),
            tactics: attack::tactics(&$rule.tags),
            tags: $rule.tags.clone(),
            false_positives: $rule.falsepositives.clone(),
            file: $file.into(),
        }
    };
}

impl Rule {
    pub(crate) fn of_detection(rule: &SigmaRule, file: &str) -> Self {
        describe!(rule, file)
    }

    pub(crate) fn of_correlation(rule: &CorrelationRule, file: &str) -> Self {
        describe!(rule, file)
    }

    /// Returns what a rule is known by from run to run: its id, else its name, else its title.
    pub(crate) fn handle(&self) -> &str {
        self.id.as_deref().or(self.name.as_deref()).unwrap_or(&self.title)
    }

    /// Returns whether a person who names a rule by id or title means this one.
    pub fn is_called(&self, name: &str) -> bool {
        self.id.as_deref().is_some_and(|id| id.eq_ignore_ascii_case(name)) || self.title.eq_ignore_ascii_case(name)
    }
}

/// A rule without a level is one that its author did not rank: medium, so that no threshold hides it unseen.
fn level_of(level: Option<rsigma_parser::Level>) -> Level {
    use rsigma_parser::Level as Parsed;
    match level {
        Some(Parsed::Informational) => Level::Informational,
        Some(Parsed::Low) => Level::Low,
        Some(Parsed::Medium) | None => Level::Medium,
        Some(Parsed::High) => Level::High,
        Some(Parsed::Critical) => Level::Critical,
    }
}

fn status_of(status: rsigma_parser::Status) -> Status {
    use rsigma_parser::Status as Parsed;
    match status {
        Parsed::Stable => Status::Stable,
        Parsed::Test => Status::Test,
        Parsed::Experimental => Status::Experimental,
        Parsed::Deprecated => Status::Deprecated,
        Parsed::Unsupported => Status::Unsupported,
    }
}

/// A rule, or a document that should have been one, that is not used.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Refused {
    /// The file.
    pub file: String,
    /// The line in it, counted from 1: where the fault is, or where its document begins.
    pub line: u64,
    /// What is wrong, and what to do where that is known.
    pub reason: String,
}

/// What was read of some files and is not compiled yet.
#[derive(Debug, Clone, Default)]
pub struct RuleSources {
    pub(crate) rules: Vec<(SigmaRule, Place)>,
    pub(crate) correlations: Vec<(CorrelationRule, Place)>,
    pub(crate) filters: Vec<(FilterRule, Place)>,
    pub(crate) refused: Vec<Refused>,
}

/// Where a rule stands.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) file: String,
    pub(crate) line: u64,
}

impl Place {
    pub(crate) fn refused(&self, reason: impl Into<String>) -> Refused {
        Refused { file: self.file.clone(), line: self.line, reason: reason.into() }
    }
}

impl RuleSources {
    /// Longest rule file that is read. The longest of SigmaHQ's has 40 KiB; a set of rules in one file may be larger. A
    /// longer one is refused as a whole: whoever reads files for [`RuleSources::parse`] need not read on past it.
    pub const FILE_BYTES_MAX: usize = 8 << 20;

    /// Reads the rules of one file; what cannot be read is kept as refused.
    pub fn parse(&mut self, file: &str, text: &[u8]) {
        let whole = Place { file: file.into(), line: 1 };
        let text = match check_text(text) {
            Ok(text) => text,
            Err(reason) => return self.refused.push(whole.refused(reason)),
        };
        for (line, document) in documents(text) {
            self.parse_document(Place { file: file.into(), line }, document);
        }
    }

    /// Returns whether nothing was read, not even a refused document.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.correlations.is_empty() && self.filters.is_empty() && self.refused.is_empty()
    }

    /// Adds what was read of other files.
    pub fn append(&mut self, mut other: Self) {
        self.rules.append(&mut other.rules);
        self.correlations.append(&mut other.correlations);
        self.filters.append(&mut other.filters);
        self.refused.append(&mut other.refused);
    }

    /// Keeps a file as refused that could not even be read.
    pub fn refuse(&mut self, file: &str, reason: impl Into<String>) {
        self.refused.push(Place { file: file.into(), line: 1 }.refused(reason));
    }

    fn parse_document(&mut self, place: Place, document: &str) {
        match parse_sigma_yaml(document) {
            Ok(mut parsed) => {
                self.refuse_bad_levels(&mut parsed, &place, document);
                self.rules.extend(parsed.rules.into_iter().map(|rule| (rule, place.clone())));
                self.correlations.extend(parsed.correlations.into_iter().map(|rule| (rule, place.clone())));
                self.filters.extend(parsed.filters.into_iter().map(|rule| (rule, place.clone())));
                self.refused.extend(parsed.errors.iter().map(|error| refused_at(&place, error)));
            }
            Err(error) => self.refused.push(refused_at(&place, &error.to_string())),
        }
    }

    /// Takes rules out whose level is a word of their author's own, which the parser passes as no level at all: no
    /// threshold could place them. Where documents build on each other, one without a level goes with them.
    fn refuse_bad_levels(&mut self, parsed: &mut SigmaCollection, place: &Place, document: &str) {
        let bad: Vec<String> = parsed.errors.extract_if(.., |error| error.starts_with("invalid level: ")).collect();
        if bad.is_empty() {
            return;
        }
        let taken = parsed.rules.extract_if(.., |rule| rule.level.is_none()).count()
            + parsed.correlations.extract_if(.., |rule| rule.level.is_none()).count()
            + parsed.filters.extract_if(.., |rule| rule.level.is_none()).count();
        let before = document.lines().take_while(|line| !line.starts_with("level:")).count();
        let place = Place { file: place.file.clone(), line: place.line + before as u64 };
        let reason = format!("{}; write informational, low, medium, high or critical", bad.join(", "));
        self.refused.extend((0..taken).map(|_| place.refused(&*reason)));
    }
}

/// Bounds what is given to the YAML parser.
fn check_text(text: &[u8]) -> Result<&str, String> {
    let bytes_max = RuleSources::FILE_BYTES_MAX;
    if text.len() > bytes_max {
        return Err(format!("a rule file of more than {bytes_max} bytes, the longest that is read; split it"));
    }
    // Editors on Windows begin a file with a byte order mark, which the parser would take for part of the first key.
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let text = std::str::from_utf8(text)
        .map_err(|error| format!("not UTF-8 at byte {}; save the file as UTF-8", error.valid_up_to()))?;
    let aliases = text.lines().filter(|line| has_alias(line)).count();
    if aliases > ALIASES_MAX {
        return Err(format!(
            "{aliases} lines with YAML aliases; at most {ALIASES_MAX} are expanded, write the values out"
        ));
    }
    Ok(text)
}

/// Whether a line uses a YAML alias (`*name` where a value may stand); a wildcard in an unquoted value looks alike.
fn has_alias(line: &str) -> bool {
    let starts_value =
        |before: &str| before.trim_end().ends_with(['-', ':', '[', ',', '{']) || before.trim().is_empty();
    line.match_indices('*').any(|(at, _)| {
        starts_value(&line[..at]) && line[at + 1..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
    })
}

/// Cuts a file into its documents with the line each begins at; one whose documents build on each other stays whole.
fn documents(text: &str) -> Vec<(u64, &str)> {
    if text.lines().any(|line| line.starts_with("action:")) {
        return vec![(1, text)];
    }
    let mut documents = Vec::new();
    let (mut start, mut start_line, mut at) = (0, 1, 0);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        if line.trim_end() == "---" {
            documents.push((start_line, &text[start..at]));
            start = at + line.len();
            start_line = number as u64 + 2;
        }
        at += line.len();
    }
    documents.push((start_line, &text[start..]));
    documents.retain(|(_, document)| document.lines().any(|line| !line.trim().is_empty() && !line.starts_with('#')));
    documents
}

/// Takes the line out of an error that names one.
fn refused_at(place: &Place, error: &str) -> Refused {
    let named = error.split("line ").nth(1).and_then(|rest| {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        rest[..digits].parse::<u64>().ok()
    });
    let line = named.map_or(place.line, |line| place.line + line.saturating_sub(1));
    Refused { file: place.file.clone(), line, reason: error.replace(['\n', '\r'], " ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> Vec<(u64, String)> {
        let mut sources = RuleSources::default();
        sources.parse("a.yml", text.as_bytes());
        sources.refused.into_iter().map(|refused| (refused.line, refused.reason)).collect()
    }

    #[test]
    fn a_bad_document_names_its_line_and_the_next_one_loads() {
        let text = "title: Bad\nlogsource:\n  product: linux\ndetection:\n  a: [1\n---\ntitle: Good\nlogsource: {product: linux}\ndetection:\n  a: {b: 1}\n  condition: a\n";
        let mut sources = RuleSources::default();
        sources.parse("a.yml", text.as_bytes());
        assert_eq!(sources.rules.len(), 1);
        assert_eq!(sources.rules[0].1.line, 7);
        assert_eq!(sources.refused.len(), 1);
        assert!((1..=6).contains(&sources.refused[0].line), "{:?}", sources.refused);
    }

    const RULE: &str = "title: Good\nlogsource: {product: linux}\ndetection:\n  a: {b: 1}\n  condition: a\n";

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_key() {
        let mut sources = RuleSources::default();
        sources.parse("a.yml", format!("\u{feff}{RULE}---\n{RULE}").as_bytes());
        assert_eq!((sources.rules.len(), sources.refused.len()), (2, 0), "{:?}", sources.refused);
        let mut sources = RuleSources::default();
        sources.parse("a.yml", "\u{feff}detection: {a: {b: 1}, condition: a}\ntitle: A\nlogsource: {}\n".as_bytes());
        assert_eq!((sources.rules.len(), sources.refused.len()), (1, 0), "{:?}", sources.refused);
    }

    #[test]
    fn a_rule_of_an_unknown_level_is_refused_and_does_not_load() {
        let mut sources = RuleSources::default();
        sources.parse("a.yml", format!("{RULE}---\n{RULE}level: severe\n---\n{RULE}level: high\n").as_bytes());
        assert_eq!(sources.rules.len(), 2);
        let [refused] = sources.refused.as_slice() else { panic!("one is refused: {:?}", sources.refused) };
        assert_eq!(refused.line, 12);
        assert!(refused.reason.contains("'severe'; write informational"), "{refused:?}");
    }

    #[test]
    fn a_yaml_bomb_is_refused_at_once() {
        let mut text = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
        for i in 1..100 {
            text.push_str(&format!("a{i}: &a{i} [*a{0},*a{0},*a{0},*a{0},*a{0},*a{0},*a{0},*a{0},*a{0}]\n", i - 1));
        }
        let found = refused(&text);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].1.contains("aliases"));
    }

    #[test]
    fn a_small_yaml_bomb_is_refused_too() {
        let mut text = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
        for i in 1..12 {
            text.push_str(&format!("a{i}: &a{i} [*a{0},*a{0},*a{0},*a{0},*a{0},*a{0},*a{0},*a{0},*a{0}]\n", i - 1));
        }
        assert_eq!(refused(&text).len(), 1);
    }

    #[test]
    fn bytes_that_are_no_text_are_refused_with_their_place() {
        let mut sources = RuleSources::default();
        sources.parse("a.yml", b"title: \xff");
        assert!(sources.refused[0].reason.contains("byte 7"));
    }
}
