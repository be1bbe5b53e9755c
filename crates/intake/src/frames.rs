//! Syslog on a stream: where a message ends (RFC 6587), over TCP and over TLS (RFC 5425), and in a datagram (RFC 5426).
//!
//! [`Frames`] takes bytes as they come and adds each message as one line. Each frame tells how it is framed: a number,
//! a space and a `<` begin one whose octets are counted; anything else goes on to a line feed or a NUL. What is read
//! does not depend on where the stream was cut into pieces. A message past the bound is cut, counted, and the stream
//! goes on in step.
//!
//! Behind a counted message only a number, a `<` or an end of line can follow. Anything else shows that the last count
//! was wrong, and then nobody knows where the next message begins: to search for one would let whoever writes into a
//! message choose where it is found. Such a connection is to be closed ([`BadFrame`]); senders connect again, and are
//! in step.

use crate::line::{ends_line, push_line};

/// Bytes that are kept of a message. RFC 5425 §4.3.1 asks for 8 KiB; rsyslog's senders are often set to 64 KiB. What
/// is longer is cut there.
pub const MESSAGE_BYTES_MAX: usize = 64 << 10;
/// Longest message whose count is believed: past the bound above its bytes are passed over, which takes that many from
/// the sender. A larger count is taken for a broken one.
const COUNT_MAX: u64 = 16 << 20;
/// Most digits that are taken for a count: what 64 bits hold. More begin a line.
const COUNT_DIGITS_MAX: usize = 19;

/// Why a connection must be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadFrame {
    /// A count that cannot be meant.
    #[error("a syslog frame says that it has {count} octets, of {COUNT_MAX} at most: close the connection")]
    Count {
        /// What it says.
        count: u64,
    },
    /// Behind a counted message stands something that begins none.
    #[error("behind a counted syslog message stands {byte:#04x}, where a count begins: close the connection")]
    OutOfStep {
        /// What stands there.
        byte: u8,
    },
}

/// What was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FrameCounts {
    /// Messages that were given as lines.
    pub messages: u64,
    /// Of these, how many are not whole: longer than the bound, or the stream ended within.
    pub cut: u64,
}

/// Takes messages out of one connection's bytes.
#[derive(Debug)]
pub struct Frames {
    bytes_max: usize,
    state: State,
    /// The message so far, up to the bound; of a count its digits.
    message: Vec<u8>,
    /// Whether bytes of the message were left out.
    is_cut: bool,
    /// Whether a counted message was read: then each must begin as one does.
    is_counted: bool,
    counts: FrameCounts,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Between two messages.
    Start,
    /// In digits that may be a count.
    Digits { count: u64 },
    /// Behind a count's space.
    Space { count: u64 },
    /// In a message with so many octets to come.
    Counted { left: u64 },
    /// In a message that a line feed or a NUL ends.
    Delimited,
}

impl Default for Frames {
    fn default() -> Self {
        Self::new(MESSAGE_BYTES_MAX)
    }
}

impl Frames {
    /// Returns what reads a connection from its beginning, keeping `bytes_max` bytes of a message.
    pub fn new(bytes_max: usize) -> Self {
        let counts = FrameCounts::default();
        Self { bytes_max, state: State::Start, message: Vec::new(), is_cut: false, is_counted: false, counts }
    }

    /// Adds the messages that these bytes complete to `lines`, each with a line feed behind it. After an error only
    /// lines that were complete before are there, and the connection is to be closed.
    pub fn read(&mut self, mut bytes: &[u8], lines: &mut Vec<u8>) -> Result<(), BadFrame> {
        while let Some(first) = bytes.first() {
            let taken = match self.state {
                State::Counted { left } => self.take_counted(left, bytes, lines),
                State::Delimited => self.take_delimited(bytes, lines),
                State::Start => self.start(*first)?,
                State::Digits { count } => self.go_on_with_count(count, *first)?,
                State::Space { count } => self.begin_counted(count, *first)?,
            };
            bytes = &bytes[taken..];
        }
        Ok(())
    }

    /// Adds what the stream left off with, at its end.
    pub fn finish(&mut self, lines: &mut Vec<u8>) {
        self.is_cut |= matches!(self.state, State::Counted { .. });
        self.end(lines);
    }

    /// Returns what was read so far.
    pub fn counts(&self) -> FrameCounts {
        self.counts
    }

    /// Begins a message by its first byte. Ends of lines before one are passed over: some senders put them behind a
    /// counted message. So are spaces where none is counted: some Cisco devices put one behind a line feed.
    fn start(&mut self, byte: u8) -> Result<usize, BadFrame> {
        match byte {
            b' ' if !self.is_counted => return Ok(1),
            _ if ends_line(byte) => return Ok(1),
            b'1'..=b'9' => self.state = State::Digits { count: 0 },
            b'<' => self.state = State::Delimited,
            _ => self.begin_delimited(byte)?,
        }
        Ok(0)
    }

    /// What does not begin as a counted message does is a line, unless the connection counts.
    fn begin_delimited(&mut self, byte: u8) -> Result<(), BadFrame> {
        if self.is_counted {
            return Err(BadFrame::OutOfStep { byte });
        }
        self.state = State::Delimited;
        Ok(())
    }

    fn go_on_with_count(&mut self, count: u64, byte: u8) -> Result<usize, BadFrame> {
        match byte {
            b'0'..=b'9' if self.message.len() < COUNT_DIGITS_MAX => {
                self.state = State::Digits { count: count * 10 + u64::from(byte - b'0') };
            }
            b' ' => self.state = State::Space { count },
            _ => {
                self.begin_delimited(byte)?;
                return Ok(0);
            }
        }
        self.message.push(byte);
        Ok(1)
    }

    /// Tells a count from a line that begins with a number: every syslog message begins with `<` (RFC 5424 §6).
    fn begin_counted(&mut self, count: u64, byte: u8) -> Result<usize, BadFrame> {
        if byte != b'<' {
            self.begin_delimited(byte)?;
        } else if count > COUNT_MAX {
            return Err(BadFrame::Count { count });
        } else {
            self.message.clear();
            self.is_counted = true;
            self.state = State::Counted { left: count };
        }
        Ok(0)
    }

    fn take_counted(&mut self, left: u64, bytes: &[u8], lines: &mut Vec<u8>) -> usize {
        let taken = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
        self.keep(&bytes[..taken]);
        self.state = State::Counted { left: left - taken as u64 };
        if left == taken as u64 {
            self.end(lines);
        }
        taken
    }

    fn take_delimited(&mut self, bytes: &[u8], lines: &mut Vec<u8>) -> usize {
        match memchr::memchr2(b'\n', 0, bytes) {
            Some(end) => {
                self.keep(&bytes[..end]);
                self.end(lines);
                end + 1
            }
            None => {
                self.keep(bytes);
                bytes.len()
            }
        }
    }

    /// Keeps bytes of a message up to the bound.
    fn keep(&mut self, bytes: &[u8]) {
        let room = self.bytes_max.saturating_sub(self.message.len());
        let dropped = bytes.get(room..).unwrap_or_default();
        self.is_cut |= !dropped.iter().all(|byte| ends_line(*byte));
        self.message.extend_from_slice(&bytes[..room.min(bytes.len())]);
    }

    fn end(&mut self, lines: &mut Vec<u8>) {
        if push_line(&self.message, lines) {
            self.counts.messages += 1;
            self.counts.cut += u64::from(self.is_cut);
        }
        self.message.clear();
        self.is_cut = false;
        self.state = State::Start;
    }
}

/// Adds the message of a datagram as a line, cut at `bytes_max` bytes: one message each, whatever it holds (RFC 5426
/// §3.1). Returns what it came to.
pub fn datagram(bytes: &[u8], bytes_max: usize, lines: &mut Vec<u8>) -> FrameCounts {
    let mut frames = Frames { state: State::Counted { left: bytes.len() as u64 }, ..Frames::new(bytes_max) };
    frames.take_counted(bytes.len() as u64, bytes, lines);
    frames.counts()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads a stream in pieces, and its end; lines, what was counted, and the error where there was one.
    fn read(pieces: &[&[u8]], bytes_max: usize) -> (String, FrameCounts, Option<BadFrame>) {
        let (mut frames, mut lines) = (Frames::new(bytes_max), Vec::new());
        let error = pieces.iter().find_map(|piece| frames.read(piece, &mut lines).err());
        if error.is_none() {
            frames.finish(&mut lines);
        }
        (String::from_utf8_lossy(&lines).into_owned(), frames.counts(), error)
    }

    #[track_caller]
    fn check_reads(stream: &[u8], expected: &str) {
        let (lines, counts, error) = read(&[stream], MESSAGE_BYTES_MAX);
        assert_eq!((lines.as_str(), counts.cut, error), (expected, 0, None));
        assert_eq!(counts.messages, expected.lines().count() as u64);
    }

    #[track_caller]
    fn check_refuses(stream: &[u8], before: &str, expected: BadFrame) {
        let (lines, _, error) = read(&[stream], MESSAGE_BYTES_MAX);
        assert_eq!((lines.as_str(), error), (before, Some(expected)));
    }

    #[test]
    fn each_frame_tells_how_it_is_framed() {
        check_reads(b"<34>a\n<34>b\r\n<34>c\0\n<34>d", "<34>a\n<34>b\n<34>c\n<34>d\n");
        check_reads(b"5 <34>a6 <34>bc", "<34>a\n<34>bc\n");
        check_reads(b"6 <34>a\n6 <34>b\n\n5 <34>c", "<34>a\n<34>b\n<34>c\n");
        check_reads(b"5 <34>a<34>b\n5 <34>c", "<34>a\n<34>b\n<34>c\n");
        check_reads(b"7 <34>a\nb", "<34>a#012b\n");
    }

    #[test]
    fn a_line_may_begin_with_a_number() {
        check_reads(b"2026-11-24T07:00:00Z h p: m\n", "2026-11-24T07:00:00Z h p: m\n");
        check_reads(b"12 monkeys\n0 <34>a\n", "12 monkeys\n0 <34>a\n");
        check_reads(b"123456789012345678901234567890 <34>a\n", "123456789012345678901234567890 <34>a\n");
        check_reads(b"17", "17\n");
        check_reads(b" <34>Cisco's space\n", "<34>Cisco's space\n");
    }

    #[test]
    fn a_count_that_was_wrong_closes_the_connection() {
        check_refuses(b"4 <34>a5 <34>b", "<34>\n", BadFrame::OutOfStep { byte: b'a' });
        check_refuses(b"7 <34>a15 <34>b", "<34>a15\n", BadFrame::OutOfStep { byte: b' ' });
        check_refuses(b"5 <34>a5 34>b", "<34>a\n", BadFrame::OutOfStep { byte: b'3' });
        check_refuses(b"5 <34>a5x", "<34>a\n", BadFrame::OutOfStep { byte: b'x' });
        check_refuses(b"99999999999 <34>a", "", BadFrame::Count { count: 99_999_999_999 });
        check_refuses(b"16777217 <", "", BadFrame::Count { count: COUNT_MAX + 1 });
    }

    #[test]
    fn a_message_past_the_bound_is_cut_and_the_stream_goes_on() {
        for stream in [&b"8 <34>abcd5 <34>e"[..], b"<34>abcd\n<34>e\n"] {
            let (lines, counts, error) = read(&[stream], 6);
            assert_eq!((lines.as_str(), error), ("<34>ab\n<34>e\n", None));
            assert_eq!(counts, FrameCounts { messages: 2, cut: 1 });
        }
        assert_eq!(read(&[b"7 <34>ab\n<34>c\n"], 6).1, FrameCounts { messages: 2, cut: 0 }, "its end is no part of it");
        assert_eq!(read(&[b"9 <34>a"], 6).1, FrameCounts { messages: 1, cut: 1 }, "the stream ended within");
    }

    #[test]
    fn a_datagram_is_one_message() {
        let mut lines = Vec::new();
        assert_eq!(datagram(b"<34>a\n<34>b\n", 64, &mut lines), FrameCounts { messages: 1, cut: 0 });
        assert_eq!(datagram(b"5 <34>", 4, &mut lines), FrameCounts { messages: 1, cut: 1 });
        assert_eq!(datagram(b"\n", 64, &mut lines), FrameCounts::default());
        assert_eq!(String::from_utf8_lossy(&lines), "<34>a#012<34>b\n5 <3\n");
    }

    /// A message that both framings can carry, once as counted and once as delimited.
    fn message() -> impl Strategy<Value = (String, bool)> {
        ("<[0-9]{1,3}>[ -~\t]{0,30}[!-~]", any::<bool>())
    }

    proptest! {
        #[test]
        fn what_is_framed_is_unframed(messages in prop::collection::vec(message(), 0..8)) {
            let frame = |(text, is_counted): &(String, bool)| match is_counted {
                true => format!("{} {text}", text.len()),
                false => format!("{text}\n"),
            };
            let stream: String = messages.iter().map(frame).collect();
            let expected: String = messages.iter().map(|(text, _)| format!("{text}\n")).collect();
            prop_assert_eq!(read(&[stream.as_bytes()], MESSAGE_BYTES_MAX).0, expected);
        }

        #[test]
        fn where_the_stream_is_cut_does_not_matter(
            stream in prop::collection::vec(prop::sample::select(b"0123456789 <>\n\r\0a\xff".as_slice()), 0..60),
            cuts in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
            bytes_max in 1_usize..20,
        ) {
            let whole = read(&[&stream], bytes_max);
            let (first, rest) = stream.split_at(cuts.0.index(stream.len() + 1));
            let (second, third) = rest.split_at(cuts.1.index(rest.len() + 1));
            prop_assert_eq!(read(&[first, second, third], bytes_max), whole.clone());
            let bytes: Vec<&[u8]> = stream.chunks(1).collect();
            prop_assert_eq!(read(&bytes, bytes_max), whole);
        }

        #[test]
        fn any_bytes_are_lines_that_are_counted_and_bounded(
            stream in prop::collection::vec(any::<u8>(), 0..400),
            bytes_max in 1_usize..50,
        ) {
            let (mut frames, mut lines) = (Frames::new(bytes_max), Vec::new());
            let _ = frames.read(&stream, &mut lines);
            prop_assert!(frames.message.len() <= bytes_max.max(COUNT_DIGITS_MAX + 1));
            let given: Vec<&[u8]> = lines.split_inclusive(|byte| *byte == b'\n').collect();
            prop_assert_eq!(given.len() as u64, frames.counts().messages);
            // Four bytes stand for one that is written out.
            prop_assert!(given.iter().all(|line| line.len() <= 4 * bytes_max.max(COUNT_DIGITS_MAX + 1) + 1));
        }
    }
}
