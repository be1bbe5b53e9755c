//! ATT&CK technique ids, as they stand in references and labels.

/// Most techniques that are kept of one indicator; more than a handful says nothing any more.
const TECHNIQUES_MAX: usize = 16;

/// Adds the technique `text` (`T1071`, `T1071.001`) if it is one and is not there yet.
pub(crate) fn add_technique(techniques: &mut Vec<String>, text: &str) {
    let text = text.trim().to_ascii_uppercase();
    if is_technique(&text) && techniques.len() < TECHNIQUES_MAX && !techniques.contains(&text) {
        techniques.push(text);
    }
}

/// Adds the techniques that a label names, such as `attack.t1059.001` or MISP's `mitre-attack-pattern="Shell - T1059"`.
pub(crate) fn add_labelled(techniques: &mut Vec<String>, label: &str) {
    for word in label.split(|c: char| !c.is_ascii_alphanumeric() && c != '.') {
        add_technique(techniques, word.strip_prefix("attack.").unwrap_or(word));
    }
}

fn is_technique(text: &str) -> bool {
    let digits = |text: &str, len: usize| text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit());
    let Some(rest) = text.strip_prefix('T') else { return false };
    match rest.split_once('.') {
        Some((technique, sub)) => digits(technique, 4) && digits(sub, 3),
        None => digits(rest, 4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_that_name_techniques() {
        let mut found = Vec::new();
        for label in
            ["attack.t1059.001", "misp-galaxy:mitre-attack-pattern=\"Shell - T1059\"", "T10591", "attack.t1", "T1059"]
        {
            add_labelled(&mut found, label);
        }
        assert_eq!(found, ["T1059.001", "T1059"]);
    }
}
