//! What a rule's tags say in the words of MITRE ATT&CK: techniques and tactics.
//!
//! Sigma tags them `attack.t1059.001` and `attack.defense-evasion` (older rules: `attack.defense_evasion`).

/// The tactics of ATT&CK for Enterprise in the order of its matrix: (tag, name).
pub const TACTICS: &[(&str, &str)] = &[
    ("reconnaissance", "Reconnaissance"),
    ("resource-development", "Resource Development"),
    ("initial-access", "Initial Access"),
    ("execution", "Execution"),
    ("persistence", "Persistence"),
    ("privilege-escalation", "Privilege Escalation"),
    ("stealth", "Stealth"),
    ("defense-evasion", "Defense Evasion"),
    ("defense-impairment", "Defense Impairment"),
    ("credential-access", "Credential Access"),
    ("discovery", "Discovery"),
    ("lateral-movement", "Lateral Movement"),
    ("collection", "Collection"),
    ("command-and-control", "Command and Control"),
    ("exfiltration", "Exfiltration"),
    ("impact", "Impact"),
];

/// Returns the techniques that the tags name, as ATT&CK writes them: `T1059.001`.
pub(crate) fn techniques(tags: &[String]) -> Vec<String> {
    let ids = tags.iter().filter_map(|tag| tag.strip_prefix("attack.")).filter(|id| is_technique(id));
    ids.map(str::to_uppercase).collect()
}

/// Returns the tactics that the tags name, as ATT&CK writes them, in the order of the tags.
pub(crate) fn tactics(tags: &[String]) -> Vec<&'static str> {
    let words = tags.iter().filter_map(|tag| tag.strip_prefix("attack.")).map(|word| word.replace('_', "-"));
    words.filter_map(|word| TACTICS.iter().find(|(tag, _)| *tag == word).map(|(_, name)| *name)).collect()
}

fn is_technique(id: &str) -> bool {
    let digits = |text: &str, len: usize| text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit());
    let Some(number) = id.strip_prefix(['t', 'T']) else { return false };
    match number.split_once('.') {
        Some((technique, sub)) => digits(technique, 4) && digits(sub, 3),
        None => digits(number, 4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_both_spellings_are_read_and_others_are_left() {
        let tags: Vec<String> = [
            "attack.t1059.001",
            "attack.T1105",
            "attack.g0016",
            "attack.s0002",
            "cve.2021-44228",
            "attack.defense_evasion",
            "attack.command-and-control",
            "attack.t10",
            "attack.t1059.01",
        ]
        .map(String::from)
        .to_vec();
        assert_eq!(techniques(&tags), ["T1059.001", "T1105"]);
        assert_eq!(tactics(&tags), ["Defense Evasion", "Command and Control"]);
    }
}
