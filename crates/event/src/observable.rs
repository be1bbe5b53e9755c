//! Observables: the values of an event that an indicator can name, typed as STIX 2.1 cyber-observables (§6).
//!
//! What a value is follows from the field's name (`roles.rs`), else from its form: an address, a URL, an e-mail address
//! or a hash that is the whole value. A URL also yields its host; an e-mail address its domain; a path its file name.
//! Values are normal: addresses in their shortest form, domains and hashes in lower case. Nothing is computed until asked.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use crate::event::Event;
use crate::names::FieldId;
use crate::roles::Role;
use crate::value::Value;

/// Most URLs and addresses that are taken out of one text: a script block can hold thousands.
const FOUND_IN_TEXT_MAX: usize = 64;
/// Longest text that is searched for them; the rest is left, as Sysmon cuts a command line at 32 KiB anyway.
const TEXT_BYTES_MAX: usize = 1 << 16;

/// The type of an observable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ObservableKind {
    /// `ipv4-addr`.
    Ipv4,
    /// `ipv6-addr`.
    Ipv6,
    /// `domain-name`.
    Domain,
    /// `url`.
    Url,
    /// `email-addr`.
    Email,
    /// `file`, by its name without folders.
    FileName,
    /// `file`, by a hash of its content.
    FileHash(HashAlgorithm),
    /// `windows-registry-key`.
    RegistryKey,
    /// `user-account`.
    User,
    /// `process`, by the path of its program.
    Process,
}

impl ObservableKind {
    /// Returns the STIX 2.1 type, for a hash with its algorithm (`file:hashes.'SHA-256'`).
    pub fn stix_path(self) -> &'static str {
        match self {
            Self::Ipv4 => "ipv4-addr",
            Self::Ipv6 => "ipv6-addr",
            Self::Domain => "domain-name",
            Self::Url => "url",
            Self::Email => "email-addr",
            Self::FileName => "file:name",
            Self::FileHash(HashAlgorithm::Md5) => "file:hashes.MD5",
            Self::FileHash(HashAlgorithm::Sha1) => "file:hashes.'SHA-1'",
            Self::FileHash(HashAlgorithm::Sha256) => "file:hashes.'SHA-256'",
            Self::FileHash(HashAlgorithm::Sha512) => "file:hashes.'SHA-512'",
            Self::FileHash(HashAlgorithm::ImpHash) => "file:hashes.IMPHASH",
            Self::RegistryKey => "windows-registry-key",
            Self::User => "user-account",
            Self::Process => "process",
        }
    }
}

impl fmt::Display for ObservableKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.stix_path())
    }
}

/// The algorithm of a file hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HashAlgorithm {
    /// 32 hexadecimal digits.
    Md5,
    /// 40 hexadecimal digits.
    Sha1,
    /// 64 hexadecimal digits.
    Sha256,
    /// 128 hexadecimal digits.
    Sha512,
    /// The import hash of a Windows program: 32 digits, told from MD5 only by its name.
    ImpHash,
}

impl HashAlgorithm {
    /// Returns the algorithm that is called so: `SHA-256`, `sha256`, `IMPHASH`, …
    pub fn from_name(name: &str) -> Option<Self> {
        const NAMES: &[(&str, HashAlgorithm)] = &[
            ("md5", HashAlgorithm::Md5),
            ("sha1", HashAlgorithm::Sha1),
            ("sha-1", HashAlgorithm::Sha1),
            ("sha256", HashAlgorithm::Sha256),
            ("sha-256", HashAlgorithm::Sha256),
            ("sha512", HashAlgorithm::Sha512),
            ("sha-512", HashAlgorithm::Sha512),
            ("imphash", HashAlgorithm::ImpHash),
        ];
        NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, algorithm)| *algorithm)
    }

    /// Returns the algorithm whose hashes are this long; 32 digits are taken as MD5.
    pub fn of_hex(hex: &str) -> Option<Self> {
        let algorithm = match hex.len() {
            32 => Self::Md5,
            40 => Self::Sha1,
            64 => Self::Sha256,
            128 => Self::Sha512,
            _ => return None,
        };
        hex.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(algorithm)
    }

    fn hex_len(self) -> usize {
        match self {
            Self::Md5 | Self::ImpHash => 32,
            Self::Sha1 => 40,
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

/// A typed value of an event, and the field it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observable<'e> {
    /// Its type.
    pub kind: ObservableKind,
    /// Its value in normal form.
    pub value: Cow<'e, str>,
    /// The field that it was read from; `None` where the table of names was full.
    pub field: Option<FieldId>,
}

impl Event {
    /// Passes every observable of the event to `visit`, in the order of the fields; a value may come more than once.
    pub fn visit_observables<'e>(&'e self, mut visit: impl FnMut(Observable<'e>)) {
        self.names().with_roles(|roles| {
            for (field, value) in self.values() {
                let Value::Str(text) = value else { continue };
                let role = field.map_or(Role::Unknown, |id| roles[id.index()]);
                let mut sink = Sink { field, visit: &mut visit };
                read_value(role, text, &mut sink);
            }
        });
    }

    /// Returns the event's observables, each once.
    pub fn observables(&self) -> Vec<Observable<'_>> {
        let mut all: Vec<Observable<'_>> = Vec::new();
        self.visit_observables(|observable| {
            if !all.contains(&observable) {
                all.push(observable);
            }
        });
        all
    }
}

struct Sink<'s, F> {
    field: Option<FieldId>,
    visit: &'s mut F,
}

impl<'e, F: FnMut(Observable<'e>)> Sink<'_, F> {
    fn give(&mut self, kind: ObservableKind, value: impl Into<Cow<'e, str>>) {
        (self.visit)(Observable { kind, value: value.into(), field: self.field });
    }

    fn give_address(&mut self, address: IpAddr, text: &'e str) {
        let address = plain_address(address);
        let kind = if address.is_ipv4() { ObservableKind::Ipv4 } else { ObservableKind::Ipv6 };
        let normal = address.to_string();
        if normal == text {
            self.give(kind, text);
        } else {
            self.give(kind, normal);
        }
    }
}

fn read_value<'e, F: FnMut(Observable<'e>)>(role: Role, text: &'e str, sink: &mut Sink<'_, F>) {
    let text = text.trim();
    if text.is_empty() || text == "-" {
        return;
    }
    match role {
        Role::Nothing => {}
        Role::Address => read_addresses(text, sink),
        Role::Domain => read_domain_or_address(text, sink),
        Role::Url => read_url(text, sink),
        Role::Email => text.split([',', ' ', '<', '>']).for_each(|part| read_email(part, sink)),
        Role::File => give_file_name(text, sink),
        Role::Process => {
            sink.give(ObservableKind::Process, text);
            give_file_name(text, sink);
        }
        Role::Hash(algorithm) => give_hash(algorithm, text, sink),
        Role::Hashes => read_hashes(text, sink),
        Role::RegistryKey => sink.give(ObservableKind::RegistryKey, text),
        Role::User => sink.give(ObservableKind::User, text),
        Role::Text => find_in_text(text, sink),
        Role::Unknown => read_by_form(text, sink),
    }
}

/// The whole value is an address, a URL, an e-mail address or a hash, or it is nothing.
fn read_by_form<'e, F: FnMut(Observable<'e>)>(text: &'e str, sink: &mut Sink<'_, F>) {
    if let Some(address) = parse_address(text) {
        sink.give_address(address, text);
    } else if let Some(algorithm) = HashAlgorithm::of_hex(text) {
        give_hash(algorithm, text, sink);
    } else if text.contains("://") {
        if text.contains(char::is_whitespace) {
            find_in_text(text, sink);
        } else {
            read_url(text, sink);
        }
    } else {
        read_email(text, sink);
    }
}

fn read_addresses<'e, F: FnMut(Observable<'e>)>(text: &'e str, sink: &mut Sink<'_, F>) {
    for part in text.split([',', ' ', ';']).filter(|part| !part.is_empty()) {
        if let Some(address) = parse_address(part) {
            sink.give_address(address, part);
        }
    }
}

fn read_domain_or_address<'e, F: FnMut(Observable<'e>)>(text: &'e str, sink: &mut Sink<'_, F>) {
    let host = strip_port(text);
    match parse_address(host) {
        Some(address) => sink.give_address(address, host),
        None => give_domain(host, sink),
    }
}

fn read_url<'e, F: FnMut(Observable<'e>)>(text: &'e str, sink: &mut Sink<'_, F>) {
    let Some((scheme, rest)) = text.split_once("://") else { return };
    let is_scheme =
        !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    if !is_scheme || rest.is_empty() {
        return;
    }
    sink.give(ObservableKind::Url, text);
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or(rest);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    read_domain_or_address(host, sink);
}

fn read_email<'e, F: FnMut(Observable<'e>)>(text: &'e str, sink: &mut Sink<'_, F>) {
    let Some((local, domain)) = text.rsplit_once('@') else { return };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&byte);
    if local.is_empty() || local.len() > 64 || !local.bytes().all(plain) || !is_domain(domain) {
        return;
    }
    sink.give(ObservableKind::Email, lower(text));
    give_domain(domain, sink);
}

/// Sysmon's list of hashes, or one bare hash.
fn read_hashes<'e, F: FnMut(Observable<'e>)>(text: &'e str, sink: &mut Sink<'_, F>) {
    for part in text.split([',', ' ', '|']) {
        match part.split_once('=') {
            Some((name, hex)) => {
                if let Some(algorithm) = HashAlgorithm::from_name(name) {
                    give_hash(algorithm, hex, sink);
                }
            }
            None => {
                if let Some(algorithm) = HashAlgorithm::of_hex(part) {
                    give_hash(algorithm, part, sink);
                }
            }
        }
    }
}

/// Takes URLs and IPv4 addresses out of running text such as a command line.
fn find_in_text<'e, F: FnMut(Observable<'e>)>(text: &'e str, sink: &mut Sink<'_, F>) {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let is_separator = |c: char| {
        c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '(' | ')' | ',' | ';' | '|' | '`' | '{' | '}')
    };
    let words = text[..end].split(is_separator);
    let mut found = 0;
    for word in words {
        if found == FOUND_IN_TEXT_MAX {
            return;
        }
        if let Some(at) = word.find("://") {
            let start = word[..at]
                .rfind(|c: char| !c.is_ascii_alphabetic())
                .map_or(0, |i| i + word[i..].chars().next().map_or(1, char::len_utf8));
            read_url(&word[start..], sink);
            found += 1;
        } else if word.starts_with(|c: char| c.is_ascii_digit() || c == '[') {
            let host = strip_port(word);
            if let Some(address) = parse_address(host).filter(IpAddr::is_ipv4) {
                sink.give_address(address, host);
                found += 1;
            }
        }
    }
}

fn give_domain<'e, F: FnMut(Observable<'e>)>(text: &'e str, sink: &mut Sink<'_, F>) {
    let text = text.trim_end_matches('.');
    if is_domain(text) {
        sink.give(ObservableKind::Domain, lower(text));
    }
}

fn give_hash<'e, F: FnMut(Observable<'e>)>(algorithm: HashAlgorithm, hex: &'e str, sink: &mut Sink<'_, F>) {
    if hex.len() == algorithm.hex_len() && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        sink.give(ObservableKind::FileHash(algorithm), lower(hex));
    }
}

fn give_file_name<'e, F: FnMut(Observable<'e>)>(path: &'e str, sink: &mut Sink<'_, F>) {
    let name = path.rsplit(['\\', '/']).next().unwrap_or(path);
    if !name.is_empty() {
        sink.give(ObservableKind::FileName, name);
    }
}

/// Parses an address, with the zone (`fe80::1%eth0`) and brackets that logs add taken off.
fn parse_address(text: &str) -> Option<IpAddr> {
    let may_be = text.len() <= 60 && text.starts_with(|c: char| c.is_ascii_hexdigit() || matches!(c, ':' | '['));
    if !may_be {
        return None;
    }
    let text = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    text.split('%').next()?.parse().ok()
}

/// An IPv4 address written as IPv6 (`::ffff:192.0.2.1`, as Windows and many daemons log it) is that IPv4 address.
fn plain_address(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4),
        v4 => v4,
    }
}

/// Takes a port off a host: `a.example:443`, `192.0.2.1:80`, `[2001:db8::1]:443`; a bare IPv6 address keeps its colons.
fn strip_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((rest, port))
            if port.bytes().all(|b| b.is_ascii_digit()) && (!rest.contains(':') || rest.ends_with(']')) =>
        {
            rest
        }
        _ => host,
    }
}

/// Whether this is a domain name of at least two labels (RFC 1035 §2.3.4 lengths; underscores as in DNS use).
pub(crate) fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty() && label.len() <= 63 && label.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    text.len() <= 253
        && text.contains('.')
        && text.split('.').all(is_label)
        && last.contains(|c: char| c.is_alphabetic())
        && text.parse::<Ipv6Addr>().is_err()
}

fn lower(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_uppercase) { Cow::Owned(text.to_lowercase()) } else { Cow::Borrowed(text) }
}
