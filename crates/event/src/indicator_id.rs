//! What an indicator is known by: nearly always `indicator--` and a UUID, which is kept in its 16 bytes.
//!
//! Feeds have millions of them, and each is made, hashed and compared several times on its way. An id that is not written
//! as [`fmt::Display`] writes a UUID (STIX 2.1 §2.9: lower case, with its dashes) is kept as text, so that every id is shown
//! as it came.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

const PREFIX: &str = "indicator--";
const UUID_LEN: usize = 36;
const UUID_DASHES: [usize; 4] = [8, 13, 18, 23];
const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The id of an indicator; the order is that of its text.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct IndicatorId(Form);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Form {
    Uuid([u8; 16]),
    Text(Box<str>),
}

/// An id as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IndicatorIdForm<'i> {
    /// The UUID behind `indicator--`.
    Uuid([u8; 16]),
    /// Anything else.
    Text(&'i str),
}

impl IndicatorId {
    /// Returns the id of a UUID.
    pub fn of_uuid(bytes: [u8; 16]) -> Self {
        Self(Form::Uuid(bytes))
    }

    /// Returns it as it is kept.
    pub fn as_form(&self) -> IndicatorIdForm<'_> {
        match &self.0 {
            Form::Uuid(bytes) => IndicatorIdForm::Uuid(*bytes),
            Form::Text(text) => IndicatorIdForm::Text(text),
        }
    }

    /// Returns it as it is shown.
    pub fn text(&self) -> Cow<'_, str> {
        match &self.0 {
            Form::Uuid(bytes) => Cow::Owned(show_uuid(bytes)),
            Form::Text(text) => Cow::Borrowed(text),
        }
    }
}

impl From<&str> for IndicatorId {
    fn from(text: &str) -> Self {
        Self(parse_uuid(text).map_or_else(|| Form::Text(text.into()), Form::Uuid))
    }
}

impl From<String> for IndicatorId {
    fn from(text: String) -> Self {
        Self(parse_uuid(&text).map_or_else(|| Form::Text(text.into()), Form::Uuid))
    }
}

impl From<IndicatorIdForm<'_>> for IndicatorId {
    fn from(form: IndicatorIdForm<'_>) -> Self {
        match form {
            IndicatorIdForm::Uuid(bytes) => Self::of_uuid(bytes),
            IndicatorIdForm::Text(text) => text.into(),
        }
    }
}

impl fmt::Display for IndicatorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl fmt::Debug for IndicatorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text(), f)
    }
}

impl Ord for IndicatorId {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Form::Uuid(ours), Form::Uuid(theirs)) => ours.cmp(theirs),
            _ => self.text().cmp(&other.text()),
        }
    }
}

impl PartialOrd for IndicatorId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let uuid: &[u8; UUID_LEN] = text.strip_prefix(PREFIX)?.as_bytes().try_into().ok()?;
    let (mut bytes, mut digits) = ([0; 16], 0);
    for (at, byte) in uuid.iter().enumerate() {
        if UUID_DASHES.contains(&at) {
            if *byte != b'-' {
                return None;
            }
            continue;
        }
        let nibble = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        bytes[digits / 2] |= if digits % 2 == 0 { nibble << 4 } else { nibble };
        digits += 1;
    }
    Some(bytes)
}

fn show_uuid(bytes: &[u8; 16]) -> String {
    let mut text = String::with_capacity(PREFIX.len() + UUID_LEN);
    text.push_str(PREFIX);
    let mut nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    for at in 0..UUID_LEN {
        let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
        text.push(if UUID_DASHES.contains(&at) { '-' } else { nibbles.next().map_or('0', digit) });
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id() -> impl Strategy<Value = String> {
        prop_oneof![
            "indicator--[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
            "indicator--[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-fA-F-]{12}",
            "indicator--[0-9A-F]{8}-[0-9a-f-]{27}",
            "\\PC{0,60}",
        ]
    }

    proptest! {
        #[test]
        fn an_id_is_shown_compared_and_ordered_as_its_text(ours in id(), theirs in id()) {
            let (left, right) = (IndicatorId::from(ours.as_str()), IndicatorId::from(theirs.clone()));
            prop_assert_eq!(left.to_string(), ours.clone());
            prop_assert_eq!(left == right, ours == theirs);
            prop_assert_eq!(left.cmp(&right), ours.cmp(&theirs));
            prop_assert_eq!(IndicatorId::from(left.as_form()), left);
        }
    }

    #[test]
    fn a_uuid_is_kept_in_its_bytes() {
        let id = IndicatorId::from("indicator--00112233-4455-6677-8899-aabbccddeeff");
        let bytes = [0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff];
        assert_eq!(id.as_form(), IndicatorIdForm::Uuid(bytes));
        assert_eq!(id, IndicatorId::of_uuid(bytes));
    }
}
