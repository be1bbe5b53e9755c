//! The JSON that logs have, in one pass over its bytes; `None` at the first thing that is not plain.
//!
//! That is whatever is wrong, and a few things that are right and rare: nesting past [`DEPTH_MAX`], names past the bound.
//! A text without escapes stays where it is in the raw record. A name is compared with the one that stood there in the
//! record before, in place; only another one is put together and looked up.

use std::ops::Range;

use cresset_event::{EventBuilder, FieldId, Value};

use super::{PATH_BYTES_MAX, Scratch};

/// Deepest nesting that is read here. Logs have about ten; each level takes a little of the stack.
const DEPTH_MAX: usize = 32;

/// Most digits of a whole number that fits 64 bits whatever they are.
const SAFE_DIGITS: usize = 18;

/// Reads one object that is the whole of `text`. After `None` the builder holds a part of the fields.
pub(super) fn read_object(text: &str, scratch: &mut Scratch, builder: &mut EventBuilder) -> Option<()> {
    scratch.path.clear();
    let is_raw = !builder.raw().is_empty();
    debug_assert!(!is_raw || builder.raw() == text, "the raw record is another");
    let mut object = Quick { text, bytes: text.as_bytes(), at: 0, depth: 0, is_raw, scratch, builder };
    object.take(b'{')?;
    object.members()?;
    object.next().is_none().then_some(())
}

/// What is being read, and how far it was.
struct Quick<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// Objects and arrays that are open, without the outermost object.
    depth: usize,
    /// The builder's raw record is the text.
    is_raw: bool,
    scratch: &'a mut Scratch,
    builder: &'a mut EventBuilder,
}

/// The name of a member.
enum Key {
    /// The expected one; where it stands.
    Expected(FieldId, Range<usize>),
    /// Another one, which the path ends with.
    InPath,
}

/// What a string is.
enum Text {
    /// As it stands there.
    Plain(Range<usize>),
    /// In the scratch.
    Decoded,
}

impl Quick<'_> {
    /// Reads the members of an object, behind its brace.
    fn members(&mut self) -> Option<()> {
        let base = self.scratch.path.len();
        let mut byte = self.next()?;
        if byte == b'}' {
            if self.depth > 0 {
                self.push(&Key::InPath, Value::Empty);
            }
            return Some(());
        }
        loop {
            if byte != b'"' {
                return None;
            }
            let key = self.key(base)?;
            self.take(b':')?;
            let first = self.next()?;
            self.value(first, key)?;
            self.scratch.path.truncate(base);
            match self.next()? {
                b',' => byte = self.next()?,
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    /// Reads the members of an array, behind its bracket.
    fn elements(&mut self) -> Option<()> {
        let mut byte = self.next()?;
        if byte == b']' {
            self.push(&Key::InPath, Value::Empty);
            return Some(());
        }
        loop {
            self.value(byte, Key::InPath)?;
            match self.next()? {
                b',' => byte = self.next()?,
                b']' => return Some(()),
                _ => return None,
            }
        }
    }

    /// Reads a value behind its first byte.
    fn value(&mut self, first: u8, key: Key) -> Option<()> {
        match first {
            b'"' => self.text_value(&key),
            b'-' | b'0'..=b'9' => self.number(&key),
            b'{' | b'[' => self.nested(first, key),
            b'n' => self.word("ull", &key, Value::Null),
            b't' => self.word("rue", &key, Value::Bool(true)),
            b'f' => self.word("alse", &key, Value::Bool(false)),
            _ => None,
        }
    }

    fn nested(&mut self, bracket: u8, key: Key) -> Option<()> {
        if self.depth == DEPTH_MAX {
            return None;
        }
        if let Key::Expected(_, place) = key {
            enter(&mut self.scratch.path, &self.text[place])?;
        }
        self.depth += 1;
        if bracket == b'{' {
            self.members()?
        } else {
            self.elements()?
        }
        self.depth -= 1;
        Some(())
    }

    fn word(&mut self, rest: &str, key: &Key, value: Value<'_>) -> Option<()> {
        self.bytes[self.at..].starts_with(rest.as_bytes()).then_some(())?;
        self.at += rest.len();
        self.push(key, value);
        Some(())
    }

    fn text_value(&mut self, key: &Key) -> Option<()> {
        match self.string()? {
            Text::Plain(place) => self.push_place(key, place),
            Text::Decoded => {
                let Scratch { path, decoded } = &mut *self.scratch;
                push(self.builder, key, path, Value::Str(decoded));
            }
        }
        Some(())
    }

    /// A number behind its first byte. What is not a short whole number has its meaning from `serde_json`, to the last bit.
    fn number(&mut self, key: &Key) -> Option<()> {
        let start = self.at - 1;
        let is_part = |byte: &&u8| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E');
        self.at += self.bytes[self.at..].iter().take_while(is_part).count();
        let token = &self.text[start..self.at];
        if let Some(number) = short_whole(token) {
            self.push(key, Value::Int(number));
            return Some(());
        }
        let number: serde_json::Number = serde_json::from_str(token).ok()?;
        match number.as_i64() {
            Some(number) => self.push(key, Value::Int(number)),
            // JSON has one form for it, so that it is text as it stands.
            None if number.is_u64() => self.push_place(key, start..self.at),
            None => self.push(key, Value::Float(number.as_f64()?)),
        }
        Some(())
    }

    /// Reads a name behind its quote.
    fn key(&mut self, base: usize) -> Option<Key> {
        let Self { bytes, at, scratch, builder, .. } = self;
        let rest = &bytes[*at..];
        let mut len = 0;
        let expected = builder.intern_expected(|name| {
            let Some(own) = own_name(name, &scratch.path) else { return false };
            len = own.len();
            rest.get(len) == Some(&b'"') && rest.starts_with(own)
        });
        if let Some(id) = expected {
            let place = *at..*at + len;
            *at = place.end + 1;
            return Some(Key::Expected(id, place));
        }
        self.other_key(base)
    }

    #[cold]
    fn other_key(&mut self, base: usize) -> Option<Key> {
        let name = self.string()?;
        let Scratch { path, decoded } = &mut *self.scratch;
        debug_assert_eq!(path.len(), base, "the path is that of the object");
        enter(
            path,
            match name {
                Text::Plain(place) => &self.text[place],
                Text::Decoded => decoded,
            },
        )?;
        Some(Key::InPath)
    }

    /// Reads a string behind its quote.
    fn string(&mut self) -> Option<Text> {
        let start = self.at;
        let end = start + plain_len(&self.bytes[start..]);
        match *self.bytes.get(end)? {
            b'"' => {
                self.at = end + 1;
                Some(Text::Plain(start..end))
            }
            b'\\' => self.decode(start, end),
            _ => None,
        }
    }

    /// Reads a string from `start`, whose first escape is at `escape`, into the scratch.
    fn decode(&mut self, start: usize, escape: usize) -> Option<Text> {
        let decoded = &mut self.scratch.decoded;
        decoded.clear();
        let (mut from, mut to) = (start, escape);
        loop {
            decoded.push_str(&self.text[from..to]);
            match *self.bytes.get(to)? {
                b'"' => {
                    self.at = to + 1;
                    return Some(Text::Decoded);
                }
                b'\\' => {}
                _ => return None,
            }
            let code = *self.bytes.get(to + 1)?;
            from = to + 2;
            match code {
                // They stand for themselves, and are copied with what follows.
                b'"' | b'\\' | b'/' => from = to + 1,
                b'b' => decoded.push('\u{8}'),
                b'f' => decoded.push('\u{c}'),
                b'n' => decoded.push('\n'),
                b'r' => decoded.push('\r'),
                b't' => decoded.push('\t'),
                b'u' => {
                    let (char, len) = unicode(&self.bytes[from..])?;
                    decoded.push(char);
                    from += len;
                }
                _ => return None,
            }
            let next = from.max(to + 2);
            to = next + plain_len(&self.bytes[next..]);
        }
    }

    /// Adds a value that stands in the text.
    fn push_place(&mut self, key: &Key, place: Range<usize>) {
        let id = match key {
            _ if !self.is_raw => None,
            Key::Expected(id, _) => Some(*id),
            Key::InPath => self.builder.intern(&self.scratch.path),
        };
        match id {
            Some(id) => self.builder.push_raw(id, place),
            None => self.push(key, Value::Str(&self.text[place])),
        }
    }

    fn push(&mut self, key: &Key, value: Value<'_>) {
        push(self.builder, key, &self.scratch.path, value);
    }

    /// Steps over the next byte that is not a space, which must be this one.
    fn take(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    /// Steps over the next byte that is not a space, and returns it.
    fn next(&mut self) -> Option<u8> {
        loop {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            if !matches!(byte, b' ' | b'\n' | b'\t' | b'\r') {
                return Some(byte);
            }
        }
    }
}

fn push(builder: &mut EventBuilder, key: &Key, path: &str, value: Value<'_>) {
    match key {
        Key::Expected(id, _) => builder.push_by_id(*id, value),
        Key::InPath => builder.push(path, value),
    }
}

/// Appends a name to the path; `None` past the bound.
fn enter(path: &mut String, name: &str) -> Option<()> {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(name);
    (path.len() <= PATH_BYTES_MAX).then_some(())
}

/// What of a dotted name is a member's own, in the object at `path`.
fn own_name<'n>(name: &'n str, path: &str) -> Option<&'n [u8]> {
    let name = name.as_bytes();
    if path.is_empty() { Some(name) } else { name.strip_prefix(path.as_bytes())?.strip_prefix(b".") }
}

/// A whole number in its only form, which is short enough to fit.
fn short_whole(token: &str) -> Option<i64> {
    let (is_negative, digits) = match token.as_bytes() {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [b'0'] if !is_negative => return Some(0),
        [] | [b'0', ..] => return None,
        _ if digits.len() > SAFE_DIGITS => return None,
        _ => {}
    }
    let mut number = 0;
    for digit in digits {
        number = number * 10 + i64::from(digit.is_ascii_digit().then(|| digit - b'0')?);
    }
    Some(if is_negative { -number } else { number })
}

/// How many bytes there are before a quote, a backslash or a control character. Eight at a time: the lowest byte in question
/// gets its high bit set, for which the highest that was set before, of a byte past ASCII, is masked out.
fn plain_len(bytes: &[u8]) -> usize {
    const EACH: u64 = u64::MAX / 0xff;
    let mut len = 0;
    while let Some(word) = bytes[len..].first_chunk() {
        let word = u64::from_le_bytes(*word);
        // With bit 1 flipped, a quote is 0x20 and nothing else comes to be at or below it but the control characters.
        let quote_or_control = (word ^ (EACH * 0x02)).wrapping_sub(EACH * 0x21);
        let backslash = (word ^ (EACH * u64::from(b'\\'))).wrapping_sub(EACH);
        let special = (quote_or_control | backslash) & !word & (EACH * 0x80);
        if special != 0 {
            return len + special.trailing_zeros() as usize / 8;
        }
        len += 8;
    }
    let rest = &bytes[len..];
    len + rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..b' ')).unwrap_or(rest.len())
}

/// The character behind `\u`, and how many bytes it takes with its second half. Halves that stand alone are refused.
fn unicode(bytes: &[u8]) -> Option<(char, usize)> {
    let first = hex(bytes.get(..4)?)?;
    if let Some(char) = char::from_u32(first) {
        return Some((char, 4));
    }
    let second = hex(bytes.get(4..10)?.strip_prefix(br"\u")?)?;
    let halves = [first as u16, second as u16];
    char::decode_utf16(halves).next()?.ok().map(|char| (char, 10))
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, digit| Some(number << 4 | char::from(*digit).to_digit(16)?))
}
