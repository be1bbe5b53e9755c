//! Making hostile values harmless where they are shown.
//!
//! A log holds what an attacker sent. On a terminal, control characters could move the cursor, rewrite the title or hide
//! text, and characters that turn the direction of writing could show another file name than there is; in a spreadsheet
//! a cell that begins as a formula is run. Both are shown as what they are.

use std::borrow::Cow;
use std::fmt::Write;

/// Returns whether a character does something other than being seen.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{061c}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Returns whether a text has such a character; most have none but printable ASCII, of which many are looked at in one step.
fn has_unseen(text: &str) -> bool {
    let is_plain = text.bytes().fold(true, |is_plain, byte| is_plain & matches!(byte, b' '..=b'~'));
    !is_plain && text.contains(is_unseen)
}

/// Returns the text for a terminal: what is not seen is shown as `\n`, `\x1b` or `\u{202e}`.
pub(crate) fn terminal(text: &str) -> Cow<'_, str> {
    if !has_unseen(text) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            c if is_unseen(c) && c.is_ascii() => {
                let _ = write!(shown, "\\x{:02x}", u32::from(c));
            }
            c if is_unseen(c) => {
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
            }
            c => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// Returns the text for a cell of a CSV file: as for a terminal, with a quote before what a spreadsheet would compute.
pub(crate) fn csv_cell(text: &str) -> Cow<'_, str> {
    let shown = terminal(text);
    if shown.starts_with(['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}']) {
        return Cow::Owned(format!("'{shown}"));
    }
    shown
}

/// Escapes, in finished JSON, what JSON itself allows and a terminal obeys: the text stays the same JSON.
pub(crate) fn json(line: &str) -> Cow<'_, str> {
    if !has_unseen(line) {
        return Cow::Borrowed(line);
    }
    let mut shown = String::with_capacity(line.len() + 16);
    for c in line.chars() {
        if is_unseen(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        assert_eq!(terminal("plain ünï 漢字"), "plain ünï 漢字");
        assert_eq!(terminal("\x1b]0;owned\x07"), "\\x1b]0;owned\\x07");
        assert_eq!(terminal("a\r\nb\tc\u{9b}31m"), "a\\r\\nb\\tc\\u{9b}31m");
        assert_eq!(terminal("exe.\u{202e}gpj"), "exe.\\u{202e}gpj");
    }

    #[test]
    fn what_a_spreadsheet_would_compute_is_quoted() {
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\u{ff1d}1"] {
            assert_eq!(csv_cell(formula), format!("'{formula}"));
        }
        assert_eq!(csv_cell("\t=1"), "\\t=1");
        assert_eq!(csv_cell("a=1"), "a=1");
    }

    #[test]
    fn json_stays_the_same_json() {
        let value = "\u{7f}\u{9b}31m \u{202e} \u{e0041} \x1b \n plain";
        let line = serde_json::to_string(value).expect("a string");
        let escaped = json(&line);
        assert!(escaped.is_ascii());
        assert_eq!(serde_json::from_str::<String>(&escaped).expect("still JSON"), value);
    }
}
