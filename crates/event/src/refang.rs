//! Refanging: turning a value that was made harmless for mail and chat back into what it names.
//!
//! The spellings are those that reports and feeds use: `hxxp://evil[.]example/a`, `user(at)evil(dot)example`,
//! `1.2.3[.]4`, `evil[dot]example`, `hxxps[:]//`, `evil\.example`, `evil [.] example`, and by a slip of the hand
//! `evil[.example` and `evil.]example`. Angle brackets around the whole value (`<evil.example>`) are taken off.

use std::borrow::Cow;

/// Returns the value without its defanging; borrowed where there was none.
pub fn refang(text: &str) -> Cow<'_, str> {
    let text = text.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).map_or(text, str::trim);
    let has_mark = text.bytes().fold(false, |has, byte| has | matches!(byte, b'[' | b']' | b'(' | b'{' | b'\\'));
    let is_defanged = has_mark || text.get(..3).is_some_and(|head| head.eq_ignore_ascii_case("hxx"));
    if !is_defanged && !text.get(..4).is_some_and(|head| head.eq_ignore_ascii_case("meow")) {
        return Cow::Borrowed(text);
    }
    let mut out = replace_half_brackets(&replace_brackets(text));
    for (fanged, plain) in [("hxxps", "https"), ("hxxp", "http"), ("meow", "http")] {
        if out.get(..fanged.len()).is_some_and(|head| head.eq_ignore_ascii_case(fanged))
            && out[fanged.len()..].starts_with("://")
        {
            out.replace_range(..fanged.len(), plain);
        }
    }
    Cow::Owned(out)
}

/// Replaces `[.` and `.]` between letters or digits: one of the two brackets was left out.
fn replace_half_brackets(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = [rest.find("[."), rest.find(".]")].into_iter().flatten().min() {
        let (before, half, after) = (&rest[..at], &rest[at..at + 2], &rest[at + 2..]);
        let is_between = before.ends_with(char::is_alphanumeric) && after.starts_with(char::is_alphanumeric);
        out.push_str(before);
        out.push_str(if is_between { "." } else { half });
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Replaces `[.]`, `(dot)`, `{at}`, `[:]`, `[://]`, `[/]` and a dot with a backslash before it.
fn replace_brackets(text: &str) -> String {
    const MARKS: &[(&str, &str)] =
        &[(".", "."), ("dot", "."), ("@", "@"), ("at", "@"), (":", ":"), ("://", "://"), ("/", "/")];
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['[', '(', '{', '\\']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix("\\.") {
            out.push('.');
            rest = after;
            continue;
        }
        let close = match rest.as_bytes()[0] {
            b'[' => ']',
            b'(' => ')',
            b'{' => '}',
            _ => '\0',
        };
        let mark = rest[1..].split_once(close).and_then(|(inside, after)| {
            let inside = inside.trim();
            MARKS.iter().find(|(mark, _)| mark.eq_ignore_ascii_case(inside)).map(|(_, plain)| (*plain, after))
        });
        match mark {
            Some((plain, after)) => {
                out.truncate(out.trim_end().len());
                out.push_str(plain);
                rest = after.trim_start();
            }
            None => {
                out.push_str(&rest[..1]);
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spellings_of_reports_and_feeds() {
        for (defanged, plain) in [
            ("hxxp://evil[.]example/a", "http://evil.example/a"),
            ("hXXps[:]//evil[dot]example", "https://evil.example"),
            ("hxxps[://]evil.example[/]x", "https://evil.example/x"),
            ("user(at)evil(dot)example", "user@evil.example"),
            ("user[@]evil{.}example", "user@evil.example"),
            ("192.0.2[.]1", "192.0.2.1"),
            (r"evil\.example", "evil.example"),
            ("http://[2001:db8::1]/", "http://[2001:db8::1]/"),
            ("plain.example", "plain.example"),
            ("[", "["),
            ("a[.", "a[."),
            ("evil2[.example", "evil2.example"),
            ("evil11.]example", "evil11.example"),
            ("a[.b.]c[.]example", "a.b.c.example"),
            ("evil3 [.] example", "evil3.example"),
            ("user (at) evil [dot] example", "user@evil.example"),
            ("<evil12.example>", "evil12.example"),
            ("< evil[.]example >", "evil.example"),
            ("<a", "<a"),
            (".]", ".]"),
            ("a ] b", "a ] b"),
        ] {
            assert_eq!(refang(defanged), plain);
        }
    }
}
