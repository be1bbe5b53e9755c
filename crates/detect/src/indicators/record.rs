//! An indicator in about 46 bytes.
//!
//! | part | bytes |
//! | --- | --- |
//! | what follows, and in which form | 2 |
//! | id: the UUID behind `indicator--`; any other as text | 16, or as text |
//! | valid from, until: seconds since 1970, or days since `from`; nanoseconds where there are any | 0, 2, 4 or 8 each |
//! | confidence | 0 or 1 |
//! | number of its [`Profile`]: what it has in common with others | 1 to 5 |
//! | number of its name, where others may have it too and it is not the value | 0 to 5 |
//! | value: as [`Key`]; its length before it where that varies | 4 to 64, or as text |
//! | what else an event must have: the bytes of all, and each as its code and [`Key`] | 0, or as text |
//! | name that is its own; references | as text |
//!
//! Text has its length before it. Numbers have seven bits a byte, the lowest first. What was encoded comes back the same
//! (`tests` below).

use std::sync::Arc;

use cresset_event::{Indicator, IndicatorIdForm as Id, Matcher, Timestamp, Validity};

use crate::indicators::key::{Code, Key, push_matcher};

const NANOS_A_SECOND: i64 = 1_000_000_000;
const SECONDS_A_DAY: i64 = 86_400;

/// What many indicators have in common: those of one feed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Profile {
    pub(crate) author: Option<Arc<str>>,
    pub(crate) techniques: Vec<String>,
    pub(crate) loaded_from: Arc<str>,
    pub(crate) revoked: bool,
}

/// Where the name of an indicator stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name<'n> {
    /// It has none, or it is the value.
    Value,
    /// Among the shared names.
    Shared(u32),
    /// In the record.
    Own(&'n str),
}

/// What becomes of an indicator that is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Fires,
    /// The warning list names it.
    HeldBack,
}

/// A record, its parts told apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<'r> {
    pub(crate) id: Id<'r>,
    pub(crate) key: Key<'r>,
    /// What else an event must have, see [`Record::also`].
    also: &'r [u8],
    pub(crate) standing: Standing,
    pub(crate) profile: u32,
    from: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
    confidence: Option<u8>,
    name: Form,
    name_shared: u32,
    has_references: bool,
    /// How long the parts before the name of its own are.
    head_len: usize,
    tail: &'r [u8],
}

/// How a part is written. The numbers are those of the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Not at all.
    Left,
    /// A name as its number; a time in seconds.
    Short,
    /// A name as text; a time in nanoseconds.
    Long,
    /// A time in days since another.
    Days,
}

impl Form {
    fn of(bits: u16) -> Self {
        match bits & 3 {
            0 => Self::Left,
            1 => Self::Short,
            2 => Self::Long,
            _ => Self::Days,
        }
    }
}

const HELD_BACK: u16 = 1 << Code::BITS;
const ID_TEXT: u16 = HELD_BACK << 1;
const NAME_SHIFT: u32 = Code::BITS + 2;
const FROM_SHIFT: u32 = NAME_SHIFT + 2;
const UNTIL_SHIFT: u32 = FROM_SHIFT + 2;
const REFERENCES: u16 = 1 << (UNTIL_SHIFT + 2);
const CONFIDENCE: u16 = REFERENCES << 1;
const ALSO: u16 = CONFIDENCE << 1;

/// Adds a record to `out`; `profile` and `name` are what the caller made of those parts.
pub(crate) fn write(indicator: &Indicator, standing: Standing, profile: u32, name: Name<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; 2]);
    let mut header = if standing == Standing::HeldBack { HELD_BACK } else { 0 };
    match indicator.id.as_form() {
        Id::Uuid(bytes) => out.extend_from_slice(&bytes),
        Id::Text(text) => {
            header |= ID_TEXT;
            push_text(text, out);
        }
    }
    let Validity { from_inclusive: from, until_exclusive: until, .. } = indicator.validity;
    header |= (push_time(from, None, out) as u16) << FROM_SHIFT;
    header |= (push_time(until, from, out) as u16) << UNTIL_SHIFT;
    if let Some(confidence) = indicator.confidence {
        header |= CONFIDENCE;
        out.push(confidence);
    }
    push_number(profile as usize, out);
    header |= match name {
        Name::Value => Form::Left as u16,
        Name::Shared(number) => {
            push_number(number as usize, out);
            Form::Short as u16
        }
        Name::Own(_) => Form::Long as u16,
    } << NAME_SHIFT;
    header |= u16::from(push_value(&indicator.matcher, out).0);
    if !indicator.also.is_empty() {
        header |= ALSO;
        let from = out.len();
        indicator.also.iter().for_each(|also| push_also(also, out));
        push_length_before(from, out);
    }
    if let Name::Own(name) = name {
        push_text(name, out);
    }
    if !indicator.references.is_empty() {
        header |= REFERENCES;
        push_number(indicator.references.len(), out);
        indicator.references.iter().for_each(|reference| push_text(reference, out));
    }
    out[start..start + 2].copy_from_slice(&header.to_le_bytes());
}

fn push_value(matcher: &Matcher, out: &mut Vec<u8>) -> Code {
    let start = out.len();
    let code = push_matcher(matcher, out);
    if code.fixed_len().is_none() {
        push_length_before(start, out);
    }
    code
}

fn push_also(matcher: &Matcher, out: &mut Vec<u8>) {
    let at = out.len();
    out.push(0);
    out[at] = push_value(matcher, out).0;
}

/// Puts the length of what stands behind `start` before it. It is known only then, and numbers grow with what they say.
fn push_length_before(start: usize, out: &mut Vec<u8>) {
    let len = out.len() - start;
    push_number(len, out);
    out[start..].rotate_left(len);
}

impl<'r> Record<'r> {
    /// Reads a record; more may stand behind it. Built into its callers, which look at a part or two: a table that grows
    /// then waits for several records at once, and not for one after another.
    #[inline(always)]
    pub(crate) fn read(bytes: &'r [u8]) -> Self {
        let mut rest = Rest(bytes);
        let header = u16::from_le_bytes(rest.array());
        let code = Code((header & ((1 << Code::BITS) - 1)) as u8);
        let id = if header & ID_TEXT == 0 { Id::Uuid(rest.array()) } else { Id::Text(rest.text()) };
        let from = rest.time(Form::of(header >> FROM_SHIFT), None);
        let until = rest.time(Form::of(header >> UNTIL_SHIFT), from);
        let confidence = (header & CONFIDENCE != 0).then(|| rest.array::<1>()[0]);
        let profile = rest.number() as u32;
        let name = Form::of(header >> NAME_SHIFT);
        let name_shared = if name == Form::Short { rest.number() as u32 } else { 0 };
        let key = rest.key(code);
        let also = if header & ALSO == 0 { &[] } else { rest.bytes() };
        Self {
            id,
            key,
            also,
            standing: if header & HELD_BACK == 0 { Standing::Fires } else { Standing::HeldBack },
            profile,
            from,
            until,
            confidence,
            name,
            name_shared,
            has_references: header & REFERENCES != 0,
            head_len: bytes.len() - rest.0.len(),
            tail: rest.0,
        }
    }

    /// Returns what else an event must have.
    pub(crate) fn also(&self) -> impl Iterator<Item = Key<'r>> {
        let mut rest = Rest(self.also);
        std::iter::from_fn(move || {
            let (code, behind) = rest.0.split_first()?;
            rest.0 = behind;
            Some(rest.key(Code(*code)))
        })
    }

    /// Returns whether both are of one indicator: an older and a newer version of it.
    pub(crate) fn is_same(&self, other: &Record<'_>) -> bool {
        self.id == other.id && self.key == other.key && self.also == other.also
    }

    /// Returns where its name stands.
    pub(crate) fn name(&self) -> Name<'r> {
        match self.name {
            Form::Short => Name::Shared(self.name_shared),
            Form::Long => Name::Own(Rest(self.tail).text()),
            _ => Name::Value,
        }
    }

    /// Returns when it counts; a [`Profile`] says whether it was revoked.
    pub(crate) fn validity(&self, profile: &Profile) -> Validity {
        Validity { from_inclusive: self.from, until_exclusive: self.until, revoked: profile.revoked }
    }

    /// Returns how many bytes it has.
    pub(crate) fn byte_len(&self) -> usize {
        let (_, rest) = self.read_tail();
        self.head_len + self.tail.len() - rest.len()
    }

    /// Returns the indicator.
    pub(crate) fn indicator(&self, profile: &Profile, name_shared: impl Fn(u32) -> String) -> Indicator {
        let matcher = self.key.matcher();
        Indicator {
            id: self.id.into(),
            name: match self.name() {
                Name::Value => None,
                Name::Shared(number) => Some(name_shared(number)),
                Name::Own(name) => Some(name.to_owned()),
            },
            matcher,
            also: self.also().map(Key::matcher).collect(),
            validity: self.validity(profile),
            author: profile.author.clone(),
            confidence: self.confidence,
            techniques: profile.techniques.clone(),
            references: self.read_tail().0,
            loaded_from: profile.loaded_from.clone(),
        }
    }

    /// Returns the references, and what stands behind the record.
    fn read_tail(&self) -> (Vec<String>, &'r [u8]) {
        let mut rest = Rest(self.tail);
        if self.name == Form::Long {
            rest.text();
        }
        let count = if self.has_references { rest.number() } else { 0 };
        let references = (0..count).map(|_| rest.text().to_owned()).collect();
        (references, rest.0)
    }
}

/// What of a record is still to be read.
struct Rest<'r>(&'r [u8]);

impl<'r> Rest<'r> {
    fn take(&mut self, len: usize) -> &'r [u8] {
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        taken
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        *self.take(N).first_chunk().expect("as many were taken")
    }

    fn number(&mut self) -> usize {
        let (mut number, mut shift) = (0, 0);
        loop {
            let [byte] = self.array();
            number |= usize::from(byte & 127) << shift;
            if byte < 128 {
                return number;
            }
            shift += 7;
        }
    }

    fn bytes(&mut self) -> &'r [u8] {
        let len = self.number();
        self.take(len)
    }

    fn text(&mut self) -> &'r str {
        std::str::from_utf8(self.bytes()).expect("text was written")
    }

    fn key(&mut self, code: Code) -> Key<'r> {
        let len = code.fixed_len().unwrap_or_else(|| self.number());
        Key { code, bytes: self.take(len) }
    }

    fn time(&mut self, form: Form, from: Option<Timestamp>) -> Option<Timestamp> {
        let seconds = |seconds: i64| seconds * NANOS_A_SECOND;
        Some(Timestamp::from_nanos(match form {
            Form::Left => return None,
            Form::Short => seconds(u32::from_le_bytes(self.array()).into()),
            Form::Long => i64::from_le_bytes(self.array()),
            Form::Days => from?.as_nanos() + seconds(i64::from(u16::from_le_bytes(self.array())) * SECONDS_A_DAY),
        }))
    }
}

/// Writes a time in the shortest form that keeps it, and returns which.
fn push_time(time: Option<Timestamp>, from: Option<Timestamp>, out: &mut Vec<u8>) -> Form {
    let Some(nanos) = time.map(Timestamp::as_nanos) else { return Form::Left };
    let whole = |nanos: i64, of: i64| (nanos % of == 0).then_some(nanos / of);
    let days = from
        .and_then(|from| whole(nanos.checked_sub(from.as_nanos())?, SECONDS_A_DAY * NANOS_A_SECOND))
        .and_then(|days| u16::try_from(days).ok());
    if let Some(days) = days {
        out.extend_from_slice(&days.to_le_bytes());
        return Form::Days;
    }
    if let Some(seconds) = whole(nanos, NANOS_A_SECOND).and_then(|seconds| u32::try_from(seconds).ok()) {
        out.extend_from_slice(&seconds.to_le_bytes());
        return Form::Short;
    }
    out.extend_from_slice(&nanos.to_le_bytes());
    Form::Long
}

fn push_number(mut number: usize, out: &mut Vec<u8>) {
    while number >= 128 {
        out.push((number & 127) as u8 | 128);
        number >>= 7;
    }
    out.push(number as u8);
}

fn push_text(text: &str, out: &mut Vec<u8>) {
    push_number(text.len(), out);
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use cresset_event::{HashAlgorithm, IndicatorId, Network};
    use proptest::prelude::*;

    use super::*;

    fn time() -> impl Strategy<Value = Option<Timestamp>> {
        prop_oneof![
            Just(None),
            any::<i64>().prop_map(|nanos| Some(Timestamp::from_nanos(nanos))),
            (0..40_000_i64, 0..2_i64)
                .prop_map(|(days, rest)| Some(Timestamp::from_nanos((days * SECONDS_A_DAY + rest) * NANOS_A_SECOND))),
        ]
    }

    fn id() -> impl Strategy<Value = IndicatorId> {
        prop_oneof![any::<[u8; 16]>().prop_map(IndicatorId::of_uuid), "\\PC{0,200}".prop_map(IndicatorId::from)]
    }

    fn also() -> impl Strategy<Value = Matcher> {
        prop_oneof![
            "\\PC{0,200}".prop_map(Matcher::User),
            Just(Matcher::FileHash(HashAlgorithm::Md5, "ab".repeat(16))),
            any::<[u8; 4]>().prop_map(|bits| Matcher::Address(Network::of(bits.into(), 24))),
        ]
    }

    proptest! {
        #[test]
        fn what_was_encoded_comes_back_the_same(
            id in id(),
            name in prop::sample::select(vec![None, Some("shared"), Some("own")]),
            value in "\\PC{0,300}",
            (from, until) in (time(), time()),
            references in prop::collection::vec("\\PC{0,9}", 0..3),
            also in prop::collection::vec(also(), 0..3),
            (profile_number, name_number) in any::<(u32, u32)>(),
            behind in prop::collection::vec(any::<u8>(), 0..9),
        ) {
            let indicator = Indicator {
                id,
                name: name.map(str::to_owned),
                matcher: Matcher::Domain(value),
                also,
                validity: Validity { from_inclusive: from, until_exclusive: until, revoked: true },
                author: Some("author".into()),
                confidence: Some(7),
                techniques: vec!["T1071".to_owned()],
                references,
                loaded_from: "feed".into(),
            };
            let profile = Profile {
                author: indicator.author.clone(),
                techniques: indicator.techniques.clone(),
                loaded_from: indicator.loaded_from.clone(),
                revoked: true,
            };
            let name = match name {
                Some("shared") => Name::Shared(name_number),
                Some(name) => Name::Own(name),
                None => Name::Value,
            };
            let mut bytes = Vec::new();
            write(&indicator, Standing::HeldBack, profile_number, name, &mut bytes);
            let len = bytes.len();
            bytes.extend(behind);
            let record = Record::read(&bytes);
            prop_assert_eq!((record.profile, record.name(), record.byte_len()), (profile_number, name, len));
            prop_assert_eq!(record.standing, Standing::HeldBack);
            let shared = |number| {
                assert_eq!(number, name_number);
                "shared".to_owned()
            };
            prop_assert_eq!(record.indicator(&profile, shared), indicator);
        }
    }
}
