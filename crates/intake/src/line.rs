//! One message, or one object of JSON, as one line, for what reads lines behind us.
//!
//! What would end the line or the text is written as rsyslog does it on receipt (`$EscapeControlCharactersOnReceive`):
//! `#` and three octal digits, `#012` for a line feed. Its users know that form, and rules are written for it. All
//! else, tabs too, stays as it came. As with rsyslog the way back is open for every message that does not itself hold
//! such a text.

/// Adds a message as a line; nothing where it is empty. Returns whether there was one.
pub(crate) fn push_line(message: &[u8], lines: &mut Vec<u8>) -> bool {
    let kept = message.iter().rposition(|byte| !ends_line(*byte)).map_or(0, |last| last + 1);
    let mut rest = &message[..kept];
    if rest.is_empty() {
        return false;
    }
    while let Some(at) = memchr::memchr3(b'\n', b'\r', 0, rest) {
        lines.extend_from_slice(&rest[..at]);
        lines.extend_from_slice(match rest[at] {
            b'\n' => b"#012",
            b'\r' => b"#015",
            _ => b"#000",
        });
        rest = &rest[at + 1..];
    }
    lines.extend_from_slice(rest);
    lines.push(b'\n');
    true
}

/// Adds an object that may stand on several lines as one. JSON has no ends of lines but between values.
pub(crate) fn push_object(object: &[u8], docs: &mut Vec<u8>) {
    let start = docs.len();
    docs.extend_from_slice(object.trim_ascii());
    for byte in &mut docs[start..] {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    docs.push(b'\n');
}

/// What senders put behind a message, and no part of it.
pub(crate) fn ends_line(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r' | 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(message: &[u8]) -> String {
        let mut lines = Vec::new();
        assert_eq!(push_line(message, &mut lines), !lines.is_empty());
        String::from_utf8(lines).expect("UTF-8 stays UTF-8")
    }

    #[test]
    fn what_would_end_a_line_is_written_out_and_the_rest_stays() {
        assert_eq!(line(b"<34>a\nb\r\nc\0d\te\x1b"), "<34>a#012b#015#012c#000d\te\u{1b}\n");
        assert_eq!(line("é\n".as_bytes()), "é\n");
        assert_eq!(line(b"a\r\n\0"), "a\n");
        assert_eq!(line(b"\r\n\0"), "");
    }
}
