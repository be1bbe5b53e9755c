//! Text that is kept of a feed: shortened where it is longer than anyone reads.

use std::borrow::Cow;

/// Longest name of an indicator that is kept: names are sentences at most, and each comparison of a pattern copies it.
pub(crate) const NAME_BYTES_MAX: usize = 256;

/// Returns `text`, cut at a character with `…` behind it where it is longer than `bytes_max`.
pub(crate) fn shortened(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(bytes_max)])
}

/// Returns a value of a cell or line without blanks, a comma behind it and the quotes around it.
pub(crate) fn unquoted(text: &str) -> &str {
    let text = text.trim();
    let text = text.strip_suffix(',').unwrap_or(text).trim_end();
    for quote in ['"', '\'', '`'] {
        if let Some(inside) = text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return inside.trim();
        }
    }
    text
}

/// Reads a line as text; an error says where it stops to be UTF-8.
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes)
        .map_err(|error| format!("not UTF-8 from byte {} of the entry on; save the file as UTF-8", error.valid_up_to()))
}

/// Returns bytes as far as they can be shown.
pub(crate) fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(&bytes[..bytes.len().min(1024)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_at_a_character() {
        assert_eq!(shortened("abc", 3), "abc");
        assert_eq!(shortened("abcd", 3), "abc…");
        assert_eq!(shortened("aé", 2), "a…");
    }

    #[test]
    fn quotes_come_off_in_pairs() {
        for (quoted, plain) in [("\"a\",", "a"), (" 'a' ", "a"), ("`a`", "a"), ("\"a", "\"a"), ("\"", "\""), ("a", "a")]
        {
            assert_eq!(unquoted(quoted), plain);
        }
    }
}
