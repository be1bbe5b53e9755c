//! The JSON that logs have, in one pass over its bytes; `None` at the first thing that is not plain.
//!
//! That is whatever is wrong, and a few things that are right and rare: nesting past [`DEPTH_MAX`], names past the bound.
//! A text without escapes stays where it is in the raw record. A name is compared with the one that stood there in the
//! record before, in place; only another one is put together and looked up.

use cresset_event::{EventBuilder, FieldId, Value};

use super::{PATH_BYTES_MAX, Scratch};

/// Deepest nesting that is read here. Logs have about ten; each level takes a little of the stack.
const DEPTH_MAX: usize = 32;

/// Most digits of a whole number that fits 64 bits whatever they are.
const DIGITS_MAX: usize = 18;

/// Reads one object that is the whole of `text`. After `None` the builder holds a part of the fields.
pub(super) fn read_object(text: &str, scratch: &mut Scratch, builder: &mut EventBuilder) -> Option<()> {
    scratch.path.clear();
    let is_raw = !builder.raw().is_empty();
    debug_assert!(!is_raw || builder.raw() == text, "the raw record is another");
    let rest = take(text.as_bytes(), b'{')?;
    let rest = Quick { text, depth: 0, is_raw, scratch, builder }.members(rest)?;
    next(rest).is_none().then_some(())
}

/// What is being read. How far it was, each step takes as the rest of the text and returns: it stays in registers.
struct Quick<'a> {
    text: &'a str,
    /// Objects and arrays that are open, without the outermost object.
    depth: usize,
    /// The builder's raw record is the text.
    is_raw: bool,
    scratch: &'a mut Scratch,
    builder: &'a mut EventBuilder,
}

/// What a value belongs to.
#[derive(Clone, Copy)]
enum Field<'a> {
    /// The field that the record before had at this place; the bytes are a member's own name.
    Expected(FieldId, &'a [u8]),
    /// The path has its name.
    InPath,
}

impl<'a> Quick<'a> {
    /// Reads the members of an object, behind its brace.
    fn members(&mut self, rest: &'a [u8]) -> Option<&'a [u8]> {
        let base = self.scratch.path.len();
        let (mut byte, mut rest) = next(rest)?;
        if byte == b'}' {
            if self.depth > 0 {
                self.push(Field::InPath, Value::Empty);
            }
            return Some(rest);
        }
        loop {
            if byte != b'"' {
                return None;
            }
            let (field, behind) = self.name(rest)?;
            let (first, behind) = next(take(behind, b':')?)?;
            let behind = self.value(first, behind, field)?;
            if matches!(field, Field::InPath) {
                self.scratch.path.truncate(base);
            }
            match next(behind)? {
                (b',', behind) => (byte, rest) = next(behind)?,
                (b'}', behind) => return Some(behind),
                _ => return None,
            }
        }
    }

    /// Reads the members of an array, behind its bracket.
    fn elements(&mut self, rest: &'a [u8]) -> Option<&'a [u8]> {
        let (mut byte, mut rest) = next(rest)?;
        if byte == b']' {
            self.push(Field::InPath, Value::Empty);
            return Some(rest);
        }
        loop {
            match next(self.value(byte, rest, Field::InPath)?)? {
                (b',', behind) => (byte, rest) = next(behind)?,
                (b']', behind) => return Some(behind),
                _ => return None,
            }
        }
    }

    /// Reads a value behind its first byte.
    #[inline(always)]
    fn value(&mut self, first: u8, rest: &'a [u8], field: Field<'a>) -> Option<&'a [u8]> {
        match first {
            b'"' => self.text_value(rest, field),
            b'0'..=b'9' => self.number(first, rest, field),
            b'-' => self.odd_number(rest, field),
            b'{' | b'[' => self.nested(first, rest, field),
            b'n' => self.word("ull", Value::Null, rest, field),
            b't' => self.word("rue", Value::Bool(true), rest, field),
            b'f' => self.word("alse", Value::Bool(false), rest, field),
            _ => None,
        }
    }

    fn nested(&mut self, bracket: u8, rest: &'a [u8], field: Field<'a>) -> Option<&'a [u8]> {
        if self.depth == DEPTH_MAX {
            return None;
        }
        let base = self.scratch.path.len();
        if let Field::Expected(_, name) = field {
            enter(&mut self.scratch.path, std::str::from_utf8(name).ok()?)?;
        }
        self.depth += 1;
        let rest = if bracket == b'{' { self.members(rest)? } else { self.elements(rest)? };
        self.depth -= 1;
        self.scratch.path.truncate(base);
        Some(rest)
    }

    fn word(&mut self, end: &str, value: Value<'_>, rest: &'a [u8], field: Field<'a>) -> Option<&'a [u8]> {
        let rest = rest.strip_prefix(end.as_bytes())?;
        self.push(field, value);
        Some(rest)
    }

    #[inline(always)]
    fn text_value(&mut self, rest: &'a [u8], field: Field<'a>) -> Option<&'a [u8]> {
        let (text, behind) = rest.split_at_checked(plain_len(rest))?;
        match behind.split_first()? {
            (b'"', behind) => {
                self.push_place(field, rest, text.len());
                Some(behind)
            }
            (b'\\', _) => {
                let behind = self.decode(rest, text.len())?;
                push(self.builder, field, &self.scratch.path, Value::Str(&self.scratch.decoded));
                Some(behind)
            }
            _ => None,
        }
    }

    /// A number behind its first digit.
    #[inline(always)]
    fn number(&mut self, first: u8, rest: &'a [u8], field: Field<'a>) -> Option<&'a [u8]> {
        let mut number = i64::from(first - b'0');
        let mut len = 0;
        while let Some(digit @ b'0'..=b'9') = rest.get(len) {
            number = number.wrapping_mul(10).wrapping_add(i64::from(digit - b'0'));
            len += 1;
        }
        let behind = &rest[len..];
        let is_short_whole = len < DIGITS_MAX && (first != b'0' || len == 0);
        if !is_short_whole || behind.first().is_some_and(|byte| is_of_number(*byte)) {
            return self.odd_number(rest, field);
        }
        self.push(field, Value::Int(number));
        Some(behind)
    }

    /// A number behind its first byte that is not short and whole: `serde_json` says what it is, to the last bit.
    fn odd_number(&mut self, rest: &'a [u8], field: Field<'a>) -> Option<&'a [u8]> {
        let len = rest.iter().take_while(|byte| is_of_number(**byte)).count();
        let start = self.place(rest) - 1;
        let number: serde_json::Number = serde_json::from_str(&self.text[start..start + 1 + len]).ok()?;
        match number.as_i64() {
            Some(number) => self.push(field, Value::Int(number)),
            // JSON has one form for it, so that it is text as it stands.
            None if number.is_u64() => self.push_place(field, &self.text.as_bytes()[start..], len + 1),
            None => self.push(field, Value::Float(number.as_f64()?)),
        }
        Some(&rest[len..])
    }

    /// Reads the name of a member behind its quote.
    #[inline]
    fn name(&mut self, rest: &'a [u8]) -> Option<(Field<'a>, &'a [u8])> {
        let path = &self.scratch.path;
        let mut name_and_behind = None;
        let expected = self.builder.intern_expected(|expected| {
            name_and_behind = own_name(expected, path).and_then(|own| split_name(rest, own));
            name_and_behind.is_some()
        });
        match (expected, name_and_behind) {
            (Some(id), Some((name, behind))) => Some((Field::Expected(id, name), behind)),
            _ => Some((Field::InPath, self.other_name(rest)?)),
        }
    }

    /// Reads a name into the path.
    #[cold]
    fn other_name(&mut self, rest: &'a [u8]) -> Option<&'a [u8]> {
        let behind = self.decode(rest, plain_len(rest))?;
        let Scratch { path, decoded } = &mut *self.scratch;
        enter(path, decoded)?;
        Some(behind)
    }

    /// Reads a string behind its quote into the scratch; nothing is to be decoded before `plain`.
    fn decode(&mut self, rest: &'a [u8], plain: usize) -> Option<&'a [u8]> {
        let decoded = &mut self.scratch.decoded;
        decoded.clear();
        let text = &self.text[self.text.len() - rest.len()..];
        let (mut from, mut to) = (0, plain);
        loop {
            decoded.push_str(&text[from..to]);
            match *rest.get(to)? {
                b'"' => return Some(&rest[to + 1..]),
                b'\\' => {}
                _ => return None,
            }
            let code = *rest.get(to + 1)?;
            let mut next = to + 2;
            from = next;
            match code {
                // They stand for themselves, and are copied with what follows.
                b'"' | b'\\' | b'/' => from = to + 1,
                b'b' => decoded.push('\u{8}'),
                b'f' => decoded.push('\u{c}'),
                b'n' => decoded.push('\n'),
                b'r' => decoded.push('\r'),
                b't' => decoded.push('\t'),
                b'u' => {
                    let (char, len) = unicode(&rest[next..])?;
                    decoded.push(char);
                    next += len;
                    from = next;
                }
                _ => return None,
            }
            to = next + plain_len(&rest[next..]);
        }
    }

    /// Adds the first bytes of the rest as text.
    #[inline]
    fn push_place(&mut self, field: Field<'a>, rest: &[u8], len: usize) {
        let place = self.place(rest)..self.place(rest) + len;
        let id = match field {
            _ if !self.is_raw => None,
            Field::Expected(id, _) => Some(id),
            Field::InPath => self.builder.intern(&self.scratch.path),
        };
        match id {
            Some(id) => self.builder.push_raw(id, place),
            None => self.push(field, Value::Str(&self.text[place])),
        }
    }

    #[inline]
    fn push(&mut self, field: Field<'a>, value: Value<'_>) {
        push(self.builder, field, &self.scratch.path, value);
    }

    /// Where in the text the rest begins.
    #[inline]
    fn place(&self, rest: &[u8]) -> usize {
        self.text.len() - rest.len()
    }
}

fn push(builder: &mut EventBuilder, field: Field<'_>, path: &str, value: Value<'_>) {
    match field {
        Field::Expected(id, _) => builder.push_by_id(id, value),
        Field::InPath => builder.push(path, value),
    }
}

/// Steps over the next byte that is not a space, which must be this one.
#[inline]
fn take(rest: &[u8], wanted: u8) -> Option<&[u8]> {
    let (byte, rest) = next(rest)?;
    (byte == wanted).then_some(rest)
}

/// Steps over the next byte that is not a space, and returns it. Before most there is none, or one.
#[inline]
fn next(rest: &[u8]) -> Option<(u8, &[u8])> {
    match rest {
        [byte, behind @ ..] | [b' ', byte, behind @ ..] if *byte > b' ' => Some((*byte, behind)),
        _ => next_behind_spaces(rest),
    }
}

#[inline(never)]
fn next_behind_spaces(mut rest: &[u8]) -> Option<(u8, &[u8])> {
    loop {
        let (byte, behind) = rest.split_first()?;
        if !matches!(byte, b' ' | b'\n' | b'\t' | b'\r') {
            return Some((*byte, behind));
        }
        rest = behind;
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
#[inline]
fn own_name<'n>(name: &'n [u8], path: &str) -> Option<&'n [u8]> {
    if path.is_empty() { Some(name) } else { name.strip_prefix(path.as_bytes())?.strip_prefix(b".") }
}

/// Splits a name and its closing quote off, where it is this one.
#[inline]
fn split_name<'a>(rest: &'a [u8], wanted: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let (name, behind) = rest.split_at_checked(wanted.len())?;
    let behind = behind.strip_prefix(b"\"")?;
    is_same(name, wanted).then_some((name, behind))
}

/// Compares two texts of one length, word by word: they are short, and a call would cost more than the comparison. The last
/// word overlaps the one before.
#[inline]
fn is_same(left: &[u8], right: &[u8]) -> bool {
    if let (Some(left_end), Some(right_end)) = (left.last_chunk::<8>(), right.last_chunk::<8>()) {
        let (left, right) = (left.as_chunks::<8>().0, right.as_chunks::<8>().0);
        return left_end == right_end && left.iter().zip(right).all(|(left, right)| left == right);
    }
    if let (Some(left_end), Some(right_end)) = (left.last_chunk::<4>(), right.last_chunk::<4>()) {
        return left_end == right_end && left.first_chunk::<4>() == right.first_chunk::<4>();
    }
    left.iter().zip(right).all(|(left, right)| left == right)
}

fn is_of_number(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E')
}

/// How many bytes there are before a quote, a backslash or a control character.
#[inline]
fn plain_len(bytes: &[u8]) -> usize {
    let mut len = 0;
    while let Some(words) = bytes[len..].first_chunk::<16>() {
        // Without a branch in it, so that the compiler compares all at once.
        if words.iter().fold(false, |any, byte| any | is_special(byte)) {
            let (words, _) = words.as_chunks::<8>();
            let [first, second] = [words[0], words[1]].map(first_special);
            return len + first.or(second.map(|at| at + 8)).unwrap_or(16);
        }
        len += 16;
    }
    let rest = &bytes[len..];
    len + rest.iter().position(is_special).unwrap_or(rest.len())
}

#[inline]
fn is_special(byte: &u8) -> bool {
    // With bit 1 flipped, a quote is a space, and nothing else comes to be at or below it but the control characters.
    (*byte ^ 0x02 <= b' ') | (*byte == b'\\')
}

/// Where in a word the first special byte is. Of the bytes up to it only its own high bit is set in the end; that of a byte
/// past ASCII is masked out.
#[inline]
fn first_special(word: [u8; 8]) -> Option<usize> {
    const EACH: u64 = u64::MAX / 0xff;
    let word = u64::from_le_bytes(word);
    let quote_or_control = (word ^ (EACH * 0x02)).wrapping_sub(EACH * 0x21);
    let backslash = (word ^ (EACH * b'\\' as u64)).wrapping_sub(EACH);
    let special = (quote_or_control | backslash) & !word & (EACH * 0x80);
    (special != 0).then(|| special.trailing_zeros() as usize / 8)
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
