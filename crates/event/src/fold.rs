//! The one fold for comparisons without regard to case.
//!
//! Character by character, so that a text that contains another still does so once both are folded: to lower case, and
//! then to the representative of Unicode's simple case folding where that is another (`ſ` is `s`, `ς` is `σ`). Characters
//! that lower case makes longer (`İ`) stay as they are. `regex` folds in the same way under `(?i)`.

/// Returns the folded character.
#[inline]
pub fn fold_char(c: char) -> char {
    let mut lower = c.to_lowercase();
    let first = lower.next().unwrap_or(c);
    if lower.next().is_some() {
        return c;
    }
    match first {
        'ſ' => 's',
        'ς' => 'σ',
        'µ' => 'μ',
        'ϐ' => 'β',
        'ϑ' => 'θ',
        'ϕ' => 'φ',
        'ϖ' => 'π',
        'ϰ' => 'κ',
        'ϱ' => 'ρ',
        'ϵ' => 'ε',
        'ẛ' => 'ṡ',
        '\u{345}' | '\u{1fbe}' => 'ι',
        'ᲀ' => 'в',
        'ᲁ' => 'д',
        'ᲂ' => 'о',
        'ᲃ' => 'с',
        'ᲄ' | 'ᲅ' => 'т',
        'ᲆ' => 'ъ',
        'ᲇ' => 'ѣ',
        'ᲈ' => 'ꙋ',
        '\u{1fd3}' => '\u{390}',
        '\u{1fe3}' => '\u{3b0}',
        'ﬅ' => 'ﬆ',
        other => other,
    }
}

/// Appends the folded text.
#[inline]
pub fn fold_into(text: &str, out: &mut String) {
    if text.is_ascii() {
        let start = out.len();
        out.push_str(text);
        out[start..].make_ascii_lowercase();
    } else {
        out.extend(text.chars().map(fold_char));
    }
}

/// Returns whether a text whose ASCII letters are in lower case is folded in whole.
#[inline]
pub fn is_folded(lower: &str) -> bool {
    lower.is_ascii() || lower.chars().all(|c| c.is_ascii() || fold_char(c) == c)
}

/// Returns the folded text.
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    fold_into(text, &mut folded);
    folded
}

#[cfg(test)]
mod tests {
    use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

    use super::*;

    /// Characters that simple case folding holds for one and the other, as `regex` does.
    fn alike(c: char) -> ClassUnicode {
        let mut class = ClassUnicode::new([ClassUnicodeRange::new(c, c)]);
        class.case_fold_simple();
        class
    }

    #[test]
    fn it_is_unicodes_simple_case_folding() {
        for c in char::MIN..=char::MAX {
            for range in alike(c).ranges() {
                for other in range.start()..=range.end() {
                    assert_eq!(fold_char(c), fold_char(other), "{c:?} and {other:?}");
                }
            }
        }
    }

    #[test]
    fn what_unicode_tells_apart_stays_apart() {
        let mut folded: std::collections::HashMap<char, char> = std::collections::HashMap::new();
        for c in char::MIN..=char::MAX {
            let first = *folded.entry(fold_char(c)).or_insert(c);
            let is_alike = alike(first).ranges().iter().any(|range| (range.start()..=range.end()).contains(&c));
            // The standard library may know a newer Unicode than `regex`.
            let is_lower_case = [c, first].iter().any(|c| c.to_lowercase().eq([fold_char(*c)]) && fold_char(*c) != *c);
            assert!(is_alike || is_lower_case, "{first:?} and {c:?} are folded to {:?}", fold_char(c));
        }
    }

    #[test]
    fn text_in_and_out_of_ascii() {
        assert_eq!(fold("C:\\Windows\\System32"), "c:\\windows\\system32");
        assert_eq!(fold("ÄRZTE İ ΣΊΣΥΦΟΣ Kelvin"), "ärzte İ σίσυφοσ kelvin");
    }
}
