//! A test: what a rule asks of the values of one field, and whether an event's values are so.
//!
//! A field may have several values (the members of an array); a test holds where one of them fits. Text is compared as a
//! log would show the value, so that `1` and `"1"` are alike (Sigma specification, "Value modifiers" and "Types").

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::OnceLock;

use aho_corasick::AhoCorasick;
use cresset_event::{FieldId, Network, Timestamp, Value};
use memchr::memmem::{self, Finder};

use super::glob::Glob;
use super::pattern::Pattern;
use super::view::{Reads, View};

/// Literals from which on a set of them is looked for in one pass.
const MANY_LITERALS: usize = 5;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Test {
    /// The text is, contains, begins or ends with one of these. Sorted, each once; folded where the case does not count.
    Text { op: TextOp, case: Case, literals: Box<[Box<str>]> },
    /// The text fits wildcards.
    Glob { glob: Glob, case: Case },
    /// A regular expression is found in the text, flags written inside it.
    Regex(Box<str>),
    /// The text is an address in this range.
    Network(Network),
    /// The number compares so.
    Number(Comparison, Number),
    /// The truth value is this.
    Bool(bool),
    /// The field is absent, or null.
    Null,
    /// The field is there, and not null.
    Exists,
    /// The field is there.
    Present,
    /// The text compares so with a value of another field.
    Field { field: FieldId, op: TextOp, case: Case },
    /// The text compares so with this one, with the values of other fields in it.
    Template { parts: Box<[TemplatePart]>, op: TextOp, case: Case },
    /// The time in the value has this part.
    TimePart(TimePart, Number),
}

/// How texts are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum TextOp {
    Equals,
    Contains,
    StartsWith,
    EndsWith,
}

/// Whether case counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Case {
    Kept,
    Folded,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Comparison {
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

/// A number of a rule, told from others by its bits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Number(pub(crate) f64);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum TemplatePart {
    Text(Box<str>),
    Field(FieldId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum TimePart {
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
}

/// What a test needs beside itself to be quick.
#[derive(Debug)]
pub(crate) enum Prepared {
    Nothing,
    Regex(Pattern),
    /// A finder for each literal.
    Few(Box<[Finder<'static>]>),
    /// One for all. Built when it is first asked for: most are decided by the plan's index and never are.
    Many(OnceLock<Option<AhoCorasick>>),
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Number {}

impl std::hash::Hash for Number {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

impl TextOp {
    fn holds(self, text: &str, literal: &str) -> bool {
        match self {
            Self::Equals => text == literal,
            Self::Contains => memmem::find(text.as_bytes(), literal.as_bytes()).is_some(),
            Self::StartsWith => text.starts_with(literal),
            Self::EndsWith => text.ends_with(literal),
        }
    }
}

impl Comparison {
    fn holds(self, has: f64, wants: f64) -> bool {
        match self {
            Self::Equal => has == wants,
            Self::Greater => has > wants,
            Self::GreaterOrEqual => has >= wants,
            Self::Less => has < wants,
            Self::LessOrEqual => has <= wants,
        }
    }
}

impl Test {
    /// Compiles what the test needs; `Err` where a regular expression cannot be compiled within its bounds.
    pub(crate) fn prepare(&self) -> Result<Prepared, String> {
        Ok(match self {
            Self::Regex(pattern) => Prepared::Regex(Pattern::new(pattern)?),
            Self::Text { op: TextOp::Contains, literals, .. } if literals.len() >= MANY_LITERALS => {
                Prepared::Many(OnceLock::new())
            }
            Self::Text { op: TextOp::Contains, literals, .. } => {
                Prepared::Few(literals.iter().map(|literal| Finder::new(literal.as_bytes()).into_owned()).collect())
            }
            _ => Prepared::Nothing,
        })
    }

    /// Returns whether the test can hold only where the field is there.
    pub(crate) fn needs_field(&self) -> bool {
        !matches!(self, Self::Null)
    }

    /// Returns what the test reads of its field's values.
    pub(crate) fn reads(&self) -> Reads {
        match self {
            Self::Text { .. } | Self::Glob { .. } | Self::Regex(_) | Self::Field { .. } | Self::Template { .. } => {
                Reads::Texts
            }
            _ => Reads::Values,
        }
    }

    /// Returns the fields that the test compares its own with, and what it reads of them.
    pub(crate) fn other_fields(&self) -> Vec<(FieldId, Reads)> {
        match self {
            Self::Field { field, .. } => vec![(*field, Reads::Texts)],
            Self::Template { parts, .. } => {
                let field = |part: &TemplatePart| match part {
                    TemplatePart::Field(field) => Some((*field, Reads::Values)),
                    TemplatePart::Text(_) => None,
                };
                parts.iter().filter_map(field).collect()
            }
            _ => Vec::new(),
        }
    }

    /// How much it costs to find out, roughly, for the order in which tests are made.
    pub(crate) fn cost(&self) -> u32 {
        match self {
            Self::Null | Self::Exists | Self::Present | Self::Bool(_) => 1,
            Self::Number(..) => 2,
            Self::Text { op: TextOp::Contains, literals, .. } => 8 + 4 * literals.len().min(16) as u32,
            Self::Text { literals, .. } => 2 + literals.len().min(64) as u32 / 2,
            Self::Network(_) => 10,
            Self::Field { .. } | Self::Template { .. } => 20,
            Self::Glob { .. } => 30,
            Self::TimePart(..) => 50,
            Self::Regex(_) => 200,
        }
    }

    /// Returns whether the event's values of a field are so; see [`View::gave_up`].
    pub(crate) fn holds(&self, prepared: &Prepared, field: FieldId, view: &View<'_>) -> bool {
        let mut entries = view.entries(field);
        match self {
            Self::Present => entries.next().is_some(),
            // Several values are an array, and an array is not null.
            Self::Null => {
                entries.next().is_none_or(|first| view.value(first) == Value::Null) && entries.next().is_none()
            }
            Self::Exists => !Self::Null.holds(prepared, field, view),
            _ => entries.any(|entry| self.fits(prepared, entry, view)),
        }
    }

    /// Returns whether any text of the event is so, whatever its field.
    pub(crate) fn holds_anywhere(&self, prepared: &Prepared, view: &View<'_>) -> bool {
        view.texts().any(|entry| self.fits(prepared, entry, view))
    }

    /// Returns whether one value is so.
    pub(crate) fn fits(&self, prepared: &Prepared, entry: usize, view: &View<'_>) -> bool {
        match self {
            Self::Text { op, case, literals } => match prepared {
                Prepared::Few(finders) => view
                    .text(entry, *case)
                    .is_some_and(|text| finders.iter().any(|finder| finder.find(text.as_bytes()).is_some())),
                Prepared::Many(automaton) => {
                    let automaton = automaton.get_or_init(|| AhoCorasick::new(literals.iter().map(|l| &**l)).ok());
                    let contains = |text: &str| match automaton {
                        Some(automaton) => automaton.is_match(text),
                        None => literals.iter().any(|literal| text.contains(&**literal)),
                    };
                    view.text(entry, *case).is_some_and(|text| contains(&text))
                }
                _ => {
                    view.text(entry, *case).is_some_and(|text| literals.iter().any(|literal| op.holds(&text, literal)))
                }
            },
            Self::Glob { glob, case } => view.text(entry, *case).is_some_and(|text| glob.is_match(&text)),
            Self::Regex(_) => {
                let Prepared::Regex(pattern) = prepared else { return false };
                view.text(entry, Case::Kept)
                    .is_some_and(|text| pattern.is_match(&text).unwrap_or_else(|| view.give_up()))
            }
            Self::Network(network) => view
                .text(entry, Case::Kept)
                .is_some_and(|text| text.parse::<IpAddr>().is_ok_and(|address| network.contains(address))),
            Self::Number(comparison, wants) => {
                number(view.value(entry)).is_some_and(|has| comparison.holds(has, wants.0))
            }
            Self::Bool(wants) => truth(view.value(entry)) == Some(*wants),
            Self::Field { field, op, case } => {
                let Some(text) = view.text(entry, *case) else { return false };
                view.entries(*field).any(|other| view.text(other, *case).is_some_and(|other| op.holds(&text, &other)))
            }
            Self::Template { parts, op, case } => {
                let Some(wants) = fill(parts, view) else { return false };
                view.text(entry, *case).is_some_and(|text| op.holds(&text, &case.apply(&wants)))
            }
            Self::TimePart(part, wants) => {
                part.of(view.value(entry)).is_some_and(|has| Comparison::Equal.holds(has, wants.0))
            }
            Self::Null | Self::Exists | Self::Present => false,
        }
    }
}

/// The value as a number, as `|gt` and plain numbers compare it; text counts where it is one.
pub(crate) fn number(value: Value<'_>) -> Option<f64> {
    match value {
        Value::Int(number) => Some(number as f64),
        Value::Float(number) => Some(number),
        Value::Str(text) => text.parse().ok(),
        Value::Bool(_) | Value::Null | Value::Empty => None,
    }
}

fn truth(value: Value<'_>) -> Option<bool> {
    let is = |text: &str, words: [&str; 3]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    match value {
        Value::Bool(truth) => Some(truth),
        Value::Str(text) if is(text, ["true", "1", "yes"]) => Some(true),
        Value::Str(text) if is(text, ["false", "0", "no"]) => Some(false),
        _ => None,
    }
}

/// Puts the value of each field that a template names in its place; `None` where one has none, or several: a placeholder
/// that stands for nothing fits nothing.
fn fill(parts: &[TemplatePart], view: &View<'_>) -> Option<String> {
    let parts = parts.iter().map(|part| match part {
        TemplatePart::Text(text) => Some(Cow::Borrowed(&**text)),
        TemplatePart::Field(field) => {
            let mut entries = view.entries(*field);
            let only = entries.next().filter(|_| entries.next().is_none());
            only.and_then(|entry| view.text(entry, Case::Kept))
        }
    });
    parts.collect()
}

impl TimePart {
    /// The part of the time in a value: RFC 3339 or close to it, or seconds or milliseconds since 1970; in UTC.
    fn of(self, value: Value<'_>) -> Option<f64> {
        /// Numbers past this count milliseconds: as seconds it is the year 33658.
        const SECONDS_MAX: i64 = 1_000_000_000_000;
        let seconds = |number: i64| {
            let seconds = if number > SECONDS_MAX { number / 1000 } else { number };
            seconds.checked_mul(1_000_000_000).map(Timestamp::from_nanos)
        };
        let moment = match value {
            Value::Str(text) => Timestamp::parse_rfc3339(text).ok(),
            Value::Int(number) => seconds(number),
            Value::Float(number) => seconds(number as i64),
            Value::Bool(_) | Value::Null | Value::Empty => None,
        }?;
        let civil = moment.to_civil();
        Some(match self {
            Self::Minute => f64::from(civil.minute()),
            Self::Hour => f64::from(civil.hour()),
            Self::Day => f64::from(civil.day()),
            Self::Week => f64::from(civil.iso_week_date().week()),
            Self::Month => f64::from(civil.month()),
            Self::Year => f64::from(civil.year()),
        })
    }
}
