//! Sigma's wildcards: `*` is any text, line ends included, and `?` is any one character (Sigma specification, "Wildcards").
//!
//! A pattern is cut at its `*` into segments; each segment has a fixed number of characters, so that the leftmost place
//! that fits is always the right one, and matching never goes back. Time is bounded by text × longest segment.

use cresset_event::fold;
use memchr::memmem;
use rsigma_parser::{SigmaString, SpecialChar, StringPart};

use super::test::{Case, TextOp};

/// The dashes that the `windash` modifier holds for one another (Sigma specification, modifiers appendix).
const DASHES: [char; 5] = ['-', '/', '\u{2013}', '\u{2014}', '\u{2015}'];

/// A pattern with wildcards.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Glob {
    segments: Vec<Segment>,
    /// Whether anything may stand before the first segment, and behind the last.
    open_start: bool,
    open_end: bool,
}

/// What stands between two `*`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Segment {
    atoms: Vec<Atom>,
    chars: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Atom {
    Text(String),
    AnyChar,
    AnyDash,
}

/// Whether `-` stands for every kind of dash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dashes {
    Literal,
    Any,
}

impl Glob {
    /// Compiles a value of a rule.
    pub(crate) fn new(value: &SigmaString, op: TextOp, case: Case, dashes: Dashes) -> Self {
        let mut glob = Self {
            segments: vec![Segment::default()],
            open_start: matches!(op, TextOp::Contains | TextOp::EndsWith),
            open_end: matches!(op, TextOp::Contains | TextOp::StartsWith),
        };
        for part in &value.parts {
            match part {
                StringPart::Plain(text) => glob.push_text(&case.apply(text), dashes),
                StringPart::Special(SpecialChar::WildcardSingle) => glob.last().push(Atom::AnyChar, 1),
                StringPart::Special(SpecialChar::WildcardMulti) => glob.segments.push(Segment::default()),
            }
        }
        glob.open_start |= glob.segments.len() > 1 && glob.segments[0].chars == 0;
        glob.open_end |= glob.segments.len() > 1 && glob.last().chars == 0;
        glob.segments.retain(|segment| segment.chars > 0);
        glob
    }

    fn last(&mut self) -> &mut Segment {
        self.segments.last_mut().expect("there is one from the beginning")
    }

    fn push_text(&mut self, text: &str, dashes: Dashes) {
        let mut rest = text;
        if dashes == Dashes::Any {
            while let Some((before, behind)) = rest.split_once(DASHES) {
                self.push_literal(before);
                self.last().push(Atom::AnyDash, 1);
                rest = behind;
            }
        }
        self.push_literal(rest);
    }

    fn push_literal(&mut self, text: &str) {
        if let Some(Atom::Text(last)) = self.last().atoms.last_mut() {
            last.push_str(text);
            self.last().chars += text.chars().count();
        } else if !text.is_empty() {
            self.last().push(Atom::Text(text.into()), text.chars().count());
        }
    }

    /// Returns the plain comparison that the pattern comes to, where it is one.
    pub(crate) fn as_plain(&self) -> Option<(TextOp, &str)> {
        let text = match &self.segments[..] {
            [] => "",
            [Segment { atoms, .. }] => match &atoms[..] {
                [Atom::Text(text)] => text,
                _ => return None,
            },
            _ => return None,
        };
        let op = match (self.open_start, self.open_end) {
            (true, true) => TextOp::Contains,
            (false, true) => TextOp::StartsWith,
            (true, false) => TextOp::EndsWith,
            (false, false) => TextOp::Equals,
        };
        Some((op, text))
    }

    /// Returns the longest text that any match must contain.
    pub(crate) fn longest_literal(&self) -> Option<&str> {
        let literals = self.segments.iter().flat_map(|segment| &segment.atoms).filter_map(|atom| match atom {
            Atom::Text(text) => Some(text.as_str()),
            _ => None,
        });
        literals.max_by_key(|text| text.len())
    }

    /// Returns whether the whole text fits.
    pub(crate) fn is_match(&self, text: &str) -> bool {
        let mut segments = &self.segments[..];
        let mut from = 0;
        if !self.open_start
            && let [first, rest @ ..] = segments
        {
            match first.match_at(text, 0) {
                Some(end) => from = end,
                None => return false,
            }
            segments = rest;
        }
        if !self.open_end {
            return match segments {
                [] => self.open_start || from == text.len(),
                [middle @ .., last] => {
                    let end = last.start_before_end(text).filter(|start| last.match_at(text, *start).is_some());
                    end.is_some_and(|end| find_all(middle, text, from).is_some_and(|middle_end| middle_end <= end))
                }
            };
        }
        find_all(segments, text, from).is_some()
    }
}

/// Finds segments one behind the other, each as far left as it can be; returns where the last one ends.
fn find_all(segments: &[Segment], text: &str, from: usize) -> Option<usize> {
    segments.iter().try_fold(from, |from, segment| segment.find(text, from))
}

impl Segment {
    fn push(&mut self, atom: Atom, chars: usize) {
        self.atoms.push(atom);
        self.chars += chars;
    }

    /// Returns where a match that begins at `start` ends.
    fn match_at(&self, text: &str, start: usize) -> Option<usize> {
        self.atoms.iter().try_fold(start, |at, atom| {
            let rest = text.get(at..)?;
            match atom {
                Atom::Text(literal) => rest.starts_with(literal.as_str()).then(|| at + literal.len()),
                Atom::AnyChar => rest.chars().next().map(|c| at + c.len_utf8()),
                Atom::AnyDash => rest.chars().next().filter(|c| DASHES.contains(c)).map(|c| at + c.len_utf8()),
            }
        })
    }

    /// Returns where the leftmost match at or behind `from` ends.
    fn find(&self, text: &str, from: usize) -> Option<usize> {
        let mut start = from;
        loop {
            if let Some(Atom::Text(literal)) = self.atoms.first() {
                start += memmem::find(text.as_bytes().get(start..)?, literal.as_bytes())?;
            }
            if let Some(end) = self.match_at(text, start) {
                return Some(end);
            }
            start += text.get(start..)?.chars().next()?.len_utf8();
        }
    }

    /// Returns where a match must begin to end with the text.
    fn start_before_end(&self, text: &str) -> Option<usize> {
        text.char_indices().rev().nth(self.chars.checked_sub(1)?).map(|(at, _)| at)
    }
}

impl Case {
    /// Returns a rule's text in the form in which it is compared.
    pub(crate) fn apply(self, text: &str) -> String {
        match self {
            Self::Kept => text.to_owned(),
            Self::Folded => fold(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn glob(pattern: &str) -> Glob {
        Glob::new(&SigmaString::new(pattern), TextOp::Equals, Case::Folded, Dashes::Literal)
    }

    #[track_caller]
    fn check(pattern: &str, fits: &[&str], does_not: &[&str]) {
        let glob = glob(pattern);
        fits.iter().for_each(|text| assert!(glob.is_match(text), "{pattern} should fit {text:?}"));
        does_not.iter().for_each(|text| assert!(!glob.is_match(text), "{pattern} should not fit {text:?}"));
    }

    #[test]
    fn wildcards() {
        check("a*b", &["ab", "axxb", "aab", "a\nb", "abb"], &["", "a", "b", "abc", "cab"]);
        check("*a*b*", &["ab", "xaxbx"], &["ba", "a"]);
        check("a?c", &["abc", "aéc", "a\nc"], &["ac", "abbc"]);
        check("?", &["x", "漢"], &["", "xy"]);
        check("*??", &["xy", "xxy"], &["x"]);
        check("a*?a", &["axa", "axxa"], &["aa", "a"]);
        check("*ab", &["ab", "aab", "abab"], &["aba"]);
        check("a*a", &["aa", "aba"], &["a"]);
        check("*", &["", "x"], &[]);
        check(r"a\*b", &["a*b"], &["axb"]);
        check(r"\\server\*", &[r"\server*"], &[r"\server\x"]);
    }

    #[test]
    fn any_dash() {
        let value = SigmaString::new("-x -/y");
        let glob = Glob::new(&value, TextOp::Contains, Case::Folded, Dashes::Any);
        assert!(glob.is_match("cmd /x \u{2014}\u{2015}y"));
        assert!(!glob.is_match("cmd +x --y"));
    }

    #[test]
    fn plain_ones_are_told() {
        assert_eq!(glob("*x*").as_plain(), Some((TextOp::Contains, "x")));
        assert_eq!(glob("x*").as_plain(), Some((TextOp::StartsWith, "x")));
        assert_eq!(glob("").as_plain(), Some((TextOp::Equals, "")));
        assert_eq!(glob("*").as_plain(), Some((TextOp::Contains, "")));
        assert_eq!(glob("*a*b*").as_plain(), None);
        assert_eq!(glob("*a*bcd?").longest_literal(), Some("bcd"));
    }

    proptest! {
        #[test]
        fn it_matches_as_a_regex_does(pattern in "[ab*?]{0,8}", text in "[abé\n]{0,10}") {
            let regex: String = pattern.chars().map(|c| match c {
                '*' => ".*".into(),
                '?' => ".".into(),
                c => c.to_string(),
            }).collect();
            let regex = regex::Regex::new(&format!("(?s)^{regex}$")).expect("a regex");
            prop_assert_eq!(glob(&pattern).is_match(&text), regex.is_match(&text));
        }
    }
}
