//! Objects: cut out of a stream of JSON by their braces, in bounded memory, whatever the lines are.
//!
//! At the top an object may be a list in a wrapper, as cloud services and converters write them: `{"Records":[{…},{…}]}`.
//! It is told by what stands before the list, and then its members are the objects. After an object that is not closed,
//! or too long, reading goes on at the next line that begins with a brace.

use crate::lines::LINE_BYTES_MAX;

/// Longest object that is kept whole. What is longer is reported and passed over.
pub(crate) const OBJECT_BYTES_MAX: usize = LINE_BYTES_MAX;
/// Most bytes before a list in which it must be told. Cloud services put a link or two there.
const WRAPPER_BYTES_MAX: usize = 8 << 10;
/// Bytes of bad objects that are looked through again, beside some for each byte of the source. With nothing but braces
/// that are never closed each one would cost [`OBJECT_BYTES_MAX`]; past the bound all that was read is dropped at once.
const RESCANNED_FREE: u64 = 64 << 20;
const RESCANNED_EACH: u64 = 4;
/// Bytes of a dropped object that are kept for its report.
const QUOTE_BYTES: usize = 200;

/// Members of a wrapper that hold its list.
const LISTS: &[&[u8]] = &[b"Records", b"records", b"Events", b"events", b"Event", b"value"];
/// Members that a wrapper has beside its list: how many, and where there is more. Any other belongs to a record.
const BESIDE: &[&[u8]] = &[
    b"count",
    b"Count",
    b"total",
    b"kind",
    b"etag",
    b"next",
    b"nextLink",
    b"nextToken",
    b"NextToken",
    b"nextPageToken",
];

/// What the beginning of an object says about a list in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// It is a record itself.
    Record,
    /// It is a wrapper; its list's first object begins at `first`, inside of `depth` braces.
    List { first: usize, depth: usize },
    /// It ends too early to tell.
    CutShort,
}

/// Tells whether an object is a wrapper, by its beginning.
pub(crate) fn tell(object: &[u8]) -> Told {
    let head = &object[..object.len().min(WRAPPER_BYTES_MAX)];
    match (Cursor { text: head, at: 0 }.wrapper(1), head.len() < object.len()) {
        (Told::CutShort, true) => Told::Record,
        (told, _) => told,
    }
}

/// Returns the objects of a text that is one wrapper, with their places; `None` where it is no wrapper, or has members
/// of its own behind the list.
pub(crate) fn cut_wrapper(text: &str) -> Option<Vec<(String, u64)>> {
    let Told::List { .. } = tell(text.trim_ascii_start().as_bytes()) else { return None };
    let mut objects = Objects::default();
    objects.add(text.as_bytes(), 0);
    let mut cut = Vec::new();
    while let Some(object) = objects.take() {
        cut.push(object);
    }
    let behind = objects.list_end.map(|end| &text.as_bytes()[end + 1..]);
    if behind.is_some_and(|text| !Cursor { text, at: 0 }.has_only_known()) {
        return None;
    }
    if objects.is_open() {
        let start = objects.start.unwrap_or(objects.scanned);
        cut.push((text.get(start..).unwrap_or_default().to_owned(), start as u64));
    }
    Some(cut)
}

/// Reads the beginning of an object, as far as it is there.
struct Cursor<'t> {
    text: &'t [u8],
    at: usize,
}

impl<'t> Cursor<'t> {
    /// Reads an object's members up to its list.
    fn wrapper(&mut self, depth: usize) -> Told {
        if self.next() != Some(b'{') {
            return self.unless_cut();
        }
        loop {
            let Some(key) = self.key() else { return self.unless_cut() };
            if LISTS.contains(&key) {
                return self.list(key, depth);
            }
            if !is_beside(key) || !self.skip_scalar() || self.next() != Some(b',') {
                return self.unless_cut();
            }
        }
    }

    fn list(&mut self, key: &[u8], depth: usize) -> Told {
        match self.peek() {
            Some(b'[') => {
                self.at += 1;
                match self.peek() {
                    Some(b'{') => Told::List { first: self.at, depth },
                    _ => self.unless_cut(),
                }
            }
            // `{"Events":{"Event":[…]}}`, or one object where a converter from XML met one.
            Some(b'{') if key == b"Events" && depth == 1 => match self.wrapper(2) {
                Told::Record if self.text[self.at..].starts_with(b"{") => Told::List { first: self.at, depth: 2 },
                told => told,
            },
            _ => self.unless_cut(),
        }
    }

    /// Whether what follows are scalars that wrappers have, up to the end.
    fn has_only_known(&mut self) -> bool {
        loop {
            match self.next() {
                Some(b'}') => {}
                None => return true,
                Some(b',') if self.key().is_some_and(is_beside) && self.skip_scalar() => {}
                Some(_) => return false,
            }
        }
    }

    /// `"name":`, without escapes.
    fn key(&mut self) -> Option<&'t [u8]> {
        if self.next()? != b'"' {
            return None;
        }
        let rest = self.text.get(self.at..)?;
        let end = self.end_at(memchr::memchr(b'"', rest))?;
        self.at += end + 1;
        (self.next()? == b':').then(|| &rest[..end])
    }

    fn skip_scalar(&mut self) -> bool {
        let text = self.text;
        match self.peek() {
            Some(b'"') => {
                let mut escaped = false;
                let end = text[self.at + 1..].iter().position(|byte| {
                    let is_end = *byte == b'"' && !escaped;
                    escaped = *byte == b'\\' && !escaped;
                    is_end
                });
                self.end_at(end).is_some_and(|end| {
                    self.at += end + 2;
                    true
                })
            }
            Some(b'{' | b'[') | None => false,
            Some(_) => {
                let end = text[self.at..].iter().position(|byte| matches!(byte, b',' | b'}' | b']'));
                self.end_at(end).is_some_and(|end| {
                    self.at += end;
                    true
                })
            }
        }
    }

    fn end_at(&mut self, end: Option<usize>) -> Option<usize> {
        if end.is_none() {
            self.at = self.text.len();
        }
        end
    }

    fn peek(&mut self) -> Option<u8> {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn unless_cut(&self) -> Told {
        if self.at >= self.text.len() { Told::CutShort } else { Told::Record }
    }
}

fn is_beside(key: &[u8]) -> bool {
    key.starts_with(b"@odata.") || key.starts_with(b"odata.") || BESIDE.contains(&key)
}

/// What of a stream was read and not yet cut into objects.
#[derive(Default)]
pub(crate) struct Objects {
    text: Vec<u8>,
    /// Offset of the text's first byte in the source.
    offset: u64,
    /// Bytes that were looked at.
    scanned: usize,
    /// Where the object that is open begins.
    start: Option<usize>,
    /// Braces that are open, and how many of them are a wrapper's.
    depth: usize,
    base: usize,
    /// Brackets of a wrapper's list that are open, and where the last one closed.
    brackets: usize,
    list_end: Option<usize>,
    in_string: bool,
    escaped: bool,
    /// The open object is too long and already reported; its end is looked for.
    is_passing: bool,
    has_ended: bool,
    /// Bytes that are looked through again because an object was given up.
    rescanned: u64,
}

impl Objects {
    /// Takes a piece of the source in.
    pub(crate) fn add(&mut self, piece: &[u8], offset: u64) {
        // One byte more, because a brace at the beginning of a line is told by it.
        self.forget(self.start.unwrap_or(self.scanned.saturating_sub(1)));
        if self.text.is_empty() {
            self.offset = offset;
        }
        self.text.extend_from_slice(piece);
    }

    /// Says that nothing more comes; `true` where that is news, and something may be cut out now.
    pub(crate) fn end(&mut self) -> bool {
        !std::mem::replace(&mut self.has_ended, true)
    }

    /// Returns whether an object or a list was begun and not closed.
    pub(crate) fn is_open(&self) -> bool {
        !self.is_passing && (self.start.is_some() || self.base > 0)
    }

    /// Returns whether the object that is open is longer than objects may be.
    pub(crate) fn is_too_long(&self) -> bool {
        self.start.is_some_and(|start| self.scanned - start > OBJECT_BYTES_MAX)
    }

    /// Takes the next whole object out, with its offset.
    pub(crate) fn take(&mut self) -> Option<(String, u64)> {
        while let Some(byte) = self.text.get(self.scanned).copied() {
            let at = self.scanned;
            if byte == b'{' && !self.open_brace(at)? {
                continue;
            }
            self.scanned += 1;
            if self.step(byte, at) {
                if std::mem::take(&mut self.is_passing) {
                    continue;
                }
                let start = self.start.take().expect("an object that ends has begun");
                let object = String::from_utf8_lossy(&self.text[start..self.scanned]).into_owned();
                return Some((object, self.offset + start as u64));
            }
        }
        None
    }

    /// Looks at a brace before it is stepped over: `false` where it began a wrapper, which is entered; `None` where more
    /// of the source is needed.
    fn open_brace(&mut self, at: usize) -> Option<bool> {
        if self.is_passing && at > 0 && self.text[at - 1] == b'\n' {
            self.reset();
        }
        if self.depth > 0 {
            return Some(true);
        }
        match tell(&self.text[at..]) {
            Told::CutShort if !self.has_ended && self.text.len() - at < WRAPPER_BYTES_MAX => None,
            Told::List { first, depth } => {
                self.scanned = at + first;
                (self.depth, self.base, self.brackets, self.list_end) = (depth, depth, 1, None);
                Some(false)
            }
            Told::Record | Told::CutShort => Some(true),
        }
    }

    /// Steps over one byte; `true` where it closes an object.
    fn step(&mut self, byte: u8, at: usize) -> bool {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' if self.depth > 0 => self.in_string = true,
            b'{' => {
                if self.depth == self.base && (self.base == 0 || self.list_end.is_none()) {
                    self.start = Some(at);
                }
                self.depth += 1;
            }
            b'}' if self.depth > 0 => return self.close_brace(),
            b'[' if self.base > 0 && self.depth == self.base => self.brackets += 1,
            b']' if self.base > 0 && self.depth == self.base => self.close_bracket(at),
            _ => {}
        }
        false
    }

    fn close_brace(&mut self) -> bool {
        self.depth -= 1;
        if self.depth < self.base {
            self.base = self.depth;
        }
        self.depth == self.base && (self.start.is_some() || self.is_passing)
    }

    fn close_bracket(&mut self, at: usize) {
        self.brackets = self.brackets.saturating_sub(1);
        if self.brackets == 0 && self.list_end.is_none() {
            self.list_end = Some(at);
        }
    }

    fn forget(&mut self, bytes: usize) {
        self.text.drain(..bytes);
        self.offset += bytes as u64;
        self.scanned -= bytes;
        self.start = self.start.map(|start| start - bytes);
    }

    fn reset(&mut self) {
        let Self { text, offset, scanned, has_ended, rescanned, .. } = std::mem::take(self);
        *self = Self { text, offset, scanned, has_ended, rescanned, ..Self::default() };
    }

    /// Drops the object that is open, up to a line that begins one, and returns how it began. Without such a line its end
    /// is looked for, where more is to come.
    pub(crate) fn give_up(&mut self) -> Vec<u8> {
        let start = self.start.unwrap_or(self.scanned);
        let quote = self.text[start..].iter().take(QUOTE_BYTES).copied().collect();
        let is_spent = self.rescanned > RESCANNED_FREE + RESCANNED_EACH * self.offset;
        let find = if is_spent { memchr::memmem::rfind } else { memchr::memmem::find };
        let next = find(&self.text[start..], b"\n{").map(|at| start + at + 1);
        self.rescanned += (self.text.len() - next.unwrap_or(self.text.len())) as u64;
        match next {
            Some(next) => {
                self.start = None;
                self.scanned = next;
                self.reset();
            }
            None if self.has_ended => {
                self.scanned = self.text.len();
                self.reset();
            }
            None => {
                self.start = None;
                self.is_passing = true;
            }
        }
        quote
    }
}
