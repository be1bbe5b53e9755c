//! The names that feeds give to types: STIX, MISP, and what CSV files of vendors say.
//!
//! A MISP type such as `domain|ip` names the parts of a value that is divided in the same way.

use std::borrow::Cow;

use cresset_event::{HashAlgorithm, Matcher, ObservableKind};

use crate::value::{read_as, read_by_form};

/// How a part of a value is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ValueType {
    /// As a value of this type.
    Of(ObservableKind),
    /// As an address or a domain.
    Host,
    /// By its form.
    ByForm,
    /// Not at all: it only narrows the part beside it (a port, a value of a registry key).
    Beside,
}

/// Reads a value of a named type, and adds its indicators to `out`; an error says what is wrong with either.
pub(crate) fn read_named(type_name: &str, value: &str, out: &mut Vec<Matcher>) -> Result<(), String> {
    let plain = plain_type(type_name);
    let unknown = || format!("type `{}` is none that can be matched", crate::text::shortened(type_name, 40));
    if !plain.contains('|') && plain != MALWARE_SAMPLE {
        out.extend(read_part(single(&plain).ok_or_else(unknown)?, value)?);
        return Ok(());
    }
    let types = parts_of(&plain).ok_or_else(unknown)?;
    let values: Vec<&str> = value.split('|').collect();
    if values.len() != types.len() {
        return Err(format!("type `{type_name}` needs {} parts divided by `|`", types.len()));
    }
    let has_hash = types.iter().any(|part| matches!(part, ValueType::Of(ObservableKind::FileHash(_))));
    let is_looked_for = |part: ValueType| !(has_hash && part == ValueType::Of(ObservableKind::FileName));
    for (part, value) in types.into_iter().zip(values).filter(|(part, _)| is_looked_for(*part)) {
        out.extend(read_part(part, value)?);
    }
    Ok(())
}

/// Reads one part; `Ok(None)` where it is only beside another.
pub(crate) fn read_part(part: ValueType, value: &str) -> Result<Option<Matcher>, String> {
    match part {
        ValueType::Of(kind) => read_as(kind, value).map(Some),
        ValueType::Host => read_as(ObservableKind::Ipv4, value)
            .or_else(|_| read_as(ObservableKind::Domain, value))
            .map_err(|_| format!("`{}` is neither an address nor a domain name", crate::text::shortened(value, 80)))
            .map(Some),
        ValueType::ByForm => read_by_form(value).map(Some),
        ValueType::Beside => Ok(None),
    }
}

/// A type of MISP that names a file and its hash without saying so.
const MALWARE_SAMPLE: &str = "malwaresample";

/// Returns a type's name by its letters, digits and bars alone.
fn plain_type(name: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'|';
    if name.bytes().all(is_plain) {
        return Cow::Borrowed(name);
    }
    let letters = name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '|');
    Cow::Owned(letters.map(|c| c.to_ascii_lowercase()).collect())
}

/// Returns what a type's name says of each part of its values. A file name beside a hash is left out by the caller: the
/// hash is exact, and names such as `setup.exe` would fire everywhere.
fn parts_of(plain: &str) -> Option<Vec<ValueType>> {
    if plain == MALWARE_SAMPLE {
        return Some(vec![ValueType::Of(ObservableKind::FileName), ValueType::Of(hash(HashAlgorithm::Md5))]);
    }
    plain.split('|').map(single).collect()
}

const fn hash(algorithm: HashAlgorithm) -> ObservableKind {
    ObservableKind::FileHash(algorithm)
}

/// Returns the type of one part, named by letters and digits alone.
pub(crate) fn single(plain: &str) -> Option<ValueType> {
    let kind = match plain {
        "" | "hash" | "filehash" | "any" | "auto" => return Some(ValueType::ByForm),
        "port" | "value" => return Some(ValueType::Beside),
        "host" | "hostport" => return Some(ValueType::Host),
        "ip" | "ipv4" | "ipv4addr" | "ipv4address" | "ipaddress" | "ipaddr" | "address" | "addr" | "ipdst"
        | "ipsrc" | "dstip" | "srcip" | "destip" | "sourceip" | "destinationip" | "ipport" | "cidr" | "netblock"
        | "ipv4cidr" | "ipv4addrvalue" | "iprange" | "subnet" | "network" => ObservableKind::Ipv4,
        "ipv6" | "ipv6addr" | "ipv6address" | "ipv6addrvalue" | "ipv6cidr" => ObservableKind::Ipv6,
        "domain" | "domainname" | "hostname" | "fqdn" | "domainnamevalue" => ObservableKind::Domain,
        "url" | "uri" | "urlvalue" => ObservableKind::Url,
        "email" | "emailaddr" | "emailaddress" | "emailsrc" | "emaildst" | "mail" | "emailaddrvalue" => {
            ObservableKind::Email
        }
        "filename" | "file" | "filepath" => ObservableKind::FileName,
        "md5" | "md5hash" | "filehashmd5" | "filehashesmd5" | "hashmd5" => hash(HashAlgorithm::Md5),
        "sha1" | "sha1hash" | "filehashsha1" | "filehashessha1" | "hashsha1" => hash(HashAlgorithm::Sha1),
        "sha256" | "sha256hash" | "filehashsha256" | "filehashessha256" | "hashsha256" => hash(HashAlgorithm::Sha256),
        "sha512" | "sha512hash" | "filehashsha512" | "filehashessha512" | "hashsha512" => hash(HashAlgorithm::Sha512),
        "imphash" => hash(HashAlgorithm::ImpHash),
        "regkey" | "registry" | "registrykey" | "windowsregistrykey" => ObservableKind::RegistryKey,
        "user" | "username" | "useraccount" | "account" => ObservableKind::User,
        "process" | "processname" | "image" => ObservableKind::Process,
        _ => return None,
    };
    Some(ValueType::Of(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(type_name: &str, value: &str) -> Result<Vec<Matcher>, String> {
        let mut found = Vec::new();
        read_named(type_name, value, &mut found).map(|()| found)
    }

    fn check_read(type_name: &str, value: &str, expected: &[&str]) {
        let read = read(type_name, value).expect("a readable value");
        let shown: Vec<String> = read.iter().map(Matcher::to_string).collect();
        assert_eq!(shown, expected, "{type_name}");
    }

    #[test]
    fn the_composite_types_of_misp() {
        let sha256 = "a".repeat(64);
        check_read("ip-dst|port", "192.0.2.1|443", &["192.0.2.1"]);
        check_read("hostname|port", "c2.evil.example|443", &["c2.evil.example"]);
        check_read("domain|ip", "evil.example|192.0.2.1", &["evil.example", "192.0.2.1"]);
        check_read("filename|sha256", &format!("setup.exe|{}", sha256.to_uppercase()), &[&sha256]);
        check_read("regkey|value", r"HKLM\Software\Evil|1", &[r"hklm\software\evil"]);
        check_read("malware-sample", "a.exe|d41d8cd98f00b204e9800998ecf8427e", &["d41d8cd98f00b204e9800998ecf8427e"]);
    }

    #[test]
    fn the_names_of_vendors() {
        check_read("FileHash-SHA1", &"B".repeat(40), &[&"b".repeat(40)]);
        check_read("IPv4-Addr", "192.0.2[.]0/24", &["192.0.2.0/24"]);
        check_read("ip:port", "192.0.2.9:8080", &["192.0.2.9"]);
        check_read("", "a(at)evil.example", &["a@evil.example"]);
        check_read("host", "evil.example", &["evil.example"]);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        assert!(read("user-agent", "x").is_err());
        assert!(read("domain|ip", "evil.example").is_err());
        assert!(read("domain|ip", "evil.example|nowhere").is_err());
    }
}
