//! A value of a feed, in the normal form of its type.
//!
//! Refangs and takes a port off. What has a folder or a key before a dot (`C:\dir\.profile`) is not taken for defanged.

use cresset_event::{HashAlgorithm, Matcher, ObservableKind, refang};

/// Reads a value of a known type; an error says what it is not.
pub(crate) fn read_as(kind: ObservableKind, text: &str) -> Result<Matcher, String> {
    let text = text.trim();
    let matcher = match kind {
        ObservableKind::Ipv4 | ObservableKind::Ipv6 | ObservableKind::Domain => {
            Matcher::of_kind(kind, text).or_else(|| Matcher::of_kind(kind, &host_of(text)))
        }
        // An event names a program by its path, so that a bare name would never be found as one.
        ObservableKind::Process if !text.contains(['\\', '/']) => read_file_name(text),
        ObservableKind::RegistryKey | ObservableKind::User | ObservableKind::Process => as_it_stands(kind, text),
        ObservableKind::FileName => read_file_name(text),
        ObservableKind::Url if refang(text).contains(char::is_whitespace) => None,
        _ => Matcher::of_kind(kind, text),
    };
    matcher.ok_or_else(|| format!("`{}` is not {}", crate::text::shortened(text, 80), article(kind)))
}

/// Reads a value and tells its type by its form.
pub(crate) fn read_by_form(text: &str) -> Result<Matcher, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("there is no value".to_owned());
    }
    if refang(text).contains(char::is_whitespace) {
        return Err("more than a value stands here; put comments behind ` #`".to_owned());
    }
    Matcher::parse(text).or_else(|| Matcher::parse(&host_of(text))).ok_or_else(|| {
        "neither an address, a range, a domain, a URL, an e-mail address nor a hash; other types need a CSV column `type`"
            .to_owned()
    })
}

/// Returns a refanged value without its port and brackets: `evil.example:80`, `[2001:db8::1]:443`.
fn host_of(text: &str) -> String {
    let text = refang(text);
    if let Some(inside) = text.strip_prefix('[') {
        return inside.split(']').next().unwrap_or(inside).to_owned();
    }
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    match text.rsplit_once(':') {
        Some((host, port)) if is_port(port) && !host.contains([':', '/']) => host.to_owned(),
        _ => text.into_owned(),
    }
}

/// Reads a value that is not refanged, in the form that observed ones are brought into.
fn as_it_stands(kind: ObservableKind, text: &str) -> Option<Matcher> {
    let is_value = !text.is_empty() && !text.contains(char::is_control);
    is_value.then(|| Matcher::of_observed(kind, text)).flatten()
}

fn read_file_name(text: &str) -> Option<Matcher> {
    let is_path = text.contains('/') || text.matches('\\').count() > 1;
    if !is_path {
        return Matcher::of_kind(ObservableKind::FileName, text);
    }
    let name = text.rsplit(['\\', '/']).next()?;
    as_it_stands(ObservableKind::FileName, name)
}

fn article(kind: ObservableKind) -> &'static str {
    match kind {
        ObservableKind::Ipv4 | ObservableKind::Ipv6 => "an address or a range of addresses",
        ObservableKind::Domain => "a domain name",
        ObservableKind::Url => "a URL; it needs its scheme and no blanks",
        ObservableKind::Email => "an e-mail address",
        ObservableKind::FileName => "a file name",
        ObservableKind::FileHash(HashAlgorithm::Md5) => "an MD5 hash (32 hexadecimal digits)",
        ObservableKind::FileHash(HashAlgorithm::Sha1) => "a SHA-1 hash (40 hexadecimal digits)",
        ObservableKind::FileHash(HashAlgorithm::Sha256) => "a SHA-256 hash (64 hexadecimal digits)",
        ObservableKind::FileHash(HashAlgorithm::Sha512) => "a SHA-512 hash (128 hexadecimal digits)",
        ObservableKind::FileHash(HashAlgorithm::ImpHash) => "an import hash (32 hexadecimal digits)",
        ObservableKind::RegistryKey => "a registry key",
        ObservableKind::User => "an account",
        ObservableKind::Process => "a program",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_form(text: &str, expected: Option<&str>) {
        assert_eq!(read_by_form(text).ok().map(|matcher| matcher.to_string()).as_deref(), expected, "{text:?}");
    }

    #[test]
    fn ports_come_off_hosts() {
        check_form("192.0.2.1:443", Some("192.0.2.1"));
        check_form("192[.]0[.]2[.]1:443", Some("192.0.2.1"));
        check_form("evil.example:8080", Some("evil.example"));
        check_form("[2001:db8::1]:443", Some("2001:db8::1"));
        check_form("2001:db8::1", Some("2001:db8::1"));
        check_form("evil.example:", None);
        check_form("evil.example:80/path", None);
        check_form("two words.example", None);
        check_form("two words [.] example", None);
        check_form("evil [.] example", Some("evil.example"));
        check_form("<evil[.example>", Some("evil.example"));
        check_form("", None);
    }

    #[test]
    fn a_dot_behind_a_backslash_stays_in_paths() {
        let read = |kind, text| read_as(kind, text).map(|matcher| matcher.to_string());
        assert_eq!(read(ObservableKind::RegistryKey, r"HKLM\Software\.NET"), Ok(r"hklm\software\.net".into()));
        assert_eq!(read(ObservableKind::FileName, r"C:\dir\.Profile"), Ok(".profile".into()));
        assert_eq!(read(ObservableKind::FileName, "evil[.]exe"), Ok("evil.exe".into()));
    }

    #[test]
    fn keys_and_programs_are_in_the_form_that_events_have() {
        let key = read_as(ObservableKind::RegistryKey, r"HKEY_LOCAL_MACHINE\Software\Evil").unwrap();
        assert_eq!(Some(key), Matcher::of_observed(ObservableKind::RegistryKey, r"HKLM\Software\Evil"));
        assert_eq!(read_as(ObservableKind::Process, "Evil.exe"), Ok(Matcher::FileName("evil.exe".into())));
        assert_eq!(read_as(ObservableKind::Process, r"C:\a.exe"), Ok(Matcher::Process(r"c:\a.exe".into())));
    }

    #[test]
    fn each_type_refuses_what_it_is_not() {
        for (kind, text) in [
            (ObservableKind::Ipv4, "evil.example"),
            (ObservableKind::Domain, "192.0.2.1"),
            (ObservableKind::Url, "evil.example/a"),
            (ObservableKind::Url, "http://evil.example/a b"),
            (ObservableKind::Email, "evil.example"),
            (ObservableKind::FileHash(HashAlgorithm::Sha256), "d41d8cd98f00b204e9800998ecf8427e"),
            (ObservableKind::FileName, r"C:\dir\more\"),
            (ObservableKind::RegistryKey, ""),
            (ObservableKind::User, "a\nb"),
        ] {
            assert!(read_as(kind, text).is_err(), "{kind} {text:?}");
        }
    }
}
