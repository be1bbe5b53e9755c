//! One value of one field.
//!
//! Text is borrowed from the event's buffer; numbers, truth values and null are kept as such, because Sigma compares
//! them differently (`field: null`, `field|gt: 5`). An array is not a value: its members are several fields of one name.

use std::borrow::Cow;

/// A value of a field, borrowed from its event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// Text, always valid UTF-8; what was not has U+FFFD in its place.
    Str(&'a str),
    /// A whole number that fits 64 bits; one that does not is kept as text.
    Int(i64),
    /// A number with a fraction or an exponent.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// An explicit null.
    Null,
    /// An array or object with nothing in it: the field is there, and has no value.
    Empty,
}

impl<'a> Value<'a> {
    /// Returns the value as text as a log would show it; `None` for null and empty.
    pub fn to_text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Str(text) => Some(Cow::Borrowed(text)),
            Self::Int(number) => Some(Cow::Owned(number.to_string())),
            Self::Float(number) => Some(Cow::Owned(number.to_string())),
            Self::Bool(truth) => Some(Cow::Borrowed(if truth { "true" } else { "false" })),
            Self::Null | Self::Empty => None,
        }
    }

    /// Returns the text itself where the value is text.
    pub fn as_str(self) -> Option<&'a str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }
}
