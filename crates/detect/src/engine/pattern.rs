//! Regular expressions, within bounds of time.
//!
//! `regex` is linear in the text and in the states of the expression, of which a large one has so many that a text of 100 KB
//! takes seconds. Nearly always a deterministic automaton that is built as the text is read decides in a few steps a byte;
//! where it does not, because nearly every byte leads to a state that was never met, a long text is given up on. Always:
//! whether it is depends on the expression and the text alone, not on what was searched before.

use std::sync::OnceLock;

use regex::{Regex, RegexBuilder};
use regex_automata::hybrid::dfa::{Config, DFA};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::{Input, MatchErrorKind};

/// Largest regular expression, compiled. The largest of SigmaHQ has 4 MB (`\w{1,64}`), and the next one 1 MB.
const BYTES_MAX: usize = 8 << 20;
/// Most memory that the states of one regular expression take, in each thread that meets it.
const STATES_BYTES_MAX: usize = 16 << 20;

/// Longest text that is searched to its end, whatever it costs: a few milliseconds for the largest expressions.
const SHORT: usize = 4096;
/// States for a longer text take so much memory; when it is full they are forgotten and built anew as they are met again.
const LONG_STATES_BYTES_MAX: usize = 2 << 20;
/// A text is given up on after they were forgotten so often, where each was built for no more than so many bytes.
const FORGOTTEN_MAX: usize = 3;
const BYTES_A_STATE_MIN: usize = 10;

/// A regular expression.
#[derive(Debug)]
pub(crate) struct Pattern {
    regex: Regex,
    /// For long texts, of which most expressions meet none; `None` where there is no such automaton.
    long: OnceLock<Option<Box<DFA>>>,
}

impl Pattern {
    /// Compiles a regular expression; `Err` where it is none, or too large.
    pub(crate) fn new(pattern: &str) -> Result<Self, String> {
        // Without room for its states `regex` falls back to a search that is a hundred times slower.
        let built = RegexBuilder::new(pattern).size_limit(BYTES_MAX).dfa_size_limit(STATES_BYTES_MAX).build();
        let regex = built.map_err(|error| format!("the regular expression cannot be used: {error}"))?;
        Ok(Self { regex, long: OnceLock::new() })
    }

    /// Returns whether it is found in a text; `None` where that would cost too much to find out.
    pub(crate) fn is_match(&self, text: &str) -> Option<bool> {
        if text.len() <= SHORT {
            return Some(self.regex.is_match(text));
        }
        let Some(dfa) = self.long.get_or_init(|| self.build_long()) else { return Some(self.regex.is_match(text)) };
        match dfa.try_search_fwd(&mut dfa.create_cache(), &Input::new(text).earliest(true)) {
            Ok(found) => Some(found.is_some()),
            Err(error) if matches!(error.kind(), MatchErrorKind::GaveUp { .. }) => None,
            // A bound of a word beside a letter past ASCII, which such an automaton cannot tell.
            Err(_) => Some(self.regex.is_match(text)),
        }
    }

    fn build_long(&self) -> Option<Box<DFA>> {
        let states = Config::new()
            .cache_capacity(LONG_STATES_BYTES_MAX)
            .skip_cache_capacity_check(true)
            .minimum_cache_clear_count(Some(FORGOTTEN_MAX))
            .minimum_bytes_per_state(Some(BYTES_A_STATE_MIN))
            .unicode_word_boundary(true);
        let compiled = thompson::Config::new().nfa_size_limit(Some(BYTES_MAX)).which_captures(WhichCaptures::None);
        let built = DFA::builder().configure(states).thompson(compiled).build(self.regex.as_str());
        built.ok().map(Box::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(bytes: usize) -> String {
        let mut state = 1_u32;
        let letters = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            char::from(b'a' + ((state >> 16) % 4) as u8)
        });
        letters.take(bytes).collect()
    }

    #[test]
    fn a_long_text_is_decided_as_a_short_one_is() {
        let patterns = [r"b{3}x", r"\bword\b", r"(?i)WÖRD$", r"^a+$", r"\w+[0-9]{3}", r"(?s)end.?$"];
        let ends = ["", "bbbx", " word ", "wörd", "zab123", "end\n", "end\u{e9}", "é word"];
        for pattern in patterns.map(|pattern| Pattern::new(pattern).expect("a pattern")) {
            for end in ends {
                let text = "a".repeat(SHORT) + end;
                assert_eq!(pattern.is_match(&text), Some(pattern.regex.is_match(&text)), "{pattern:?} {end}");
            }
        }
    }

    #[test]
    fn what_needs_a_new_state_at_each_byte_is_given_up_on() {
        let pattern = Pattern::new("a.{0,900}b.{0,900}[0-9]").expect("a pattern");
        assert_eq!(pattern.is_match(&random(100_000)), None);
        assert_eq!(pattern.is_match(&"a".repeat(100_000)), Some(false));
        assert_eq!(pattern.is_match(&random(SHORT)), Some(false));
        assert_eq!(pattern.is_match(&(random(SHORT) + "ab1")), Some(true));
        assert_eq!(pattern.is_match(&random(100_000)), None);
    }
}
