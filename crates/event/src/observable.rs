//! Observables: the values of an event that an indicator can name, typed as STIX 2.1 cyber-observables (§6).
//!
//! What a value is follows from the field's name (`roles.rs`), else from its form: an address, a URL, an e-mail address
//! or a hash that is the whole value. A URL also yields its host; an e-mail address its domain; a path its file name.
//! Values are normal: addresses in their shortest form, domains and hashes in lower case. Nothing is computed until asked.
//!
//! Whoever only looks values up takes them as they stand ([`RawObservable`]) and of the kinds that are looked for: of each
//! event nearly all are compared and thrown away, so that nothing is copied and no text searched in vain.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use memchr::{memchr, memchr_iter, memchr2_iter, memrchr};

use crate::event::Event;
use crate::fold::{fold, is_folded};
use crate::indicator::{Matcher, Network};
use crate::names::FieldId;
use crate::roles::{Role, role_of};

/// Most URLs and addresses that are taken out of one text: a script block can hold thousands.
const FOUND_IN_TEXT_MAX: usize = 64;
/// Longest text that is searched for them; the rest is left, as Sysmon cuts a command line at 32 KiB anyway.
const TEXT_BYTES_MAX: usize = 1 << 16;

/// What stands between the parts of a path.
const SEPARATORS: [char; 2] = ['\\', '/'];
/// Longest domain, and longest label of one (RFC 1035, section 2.3.4).
const DOMAIN_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

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
    /// Every kind, each at its [`ObservableKind::index`].
    pub const ALL: [Self; 14] = [
        Self::Ipv4,
        Self::Ipv6,
        Self::Domain,
        Self::Url,
        Self::Email,
        Self::FileName,
        Self::RegistryKey,
        Self::User,
        Self::Process,
        Self::FileHash(HashAlgorithm::Md5),
        Self::FileHash(HashAlgorithm::Sha1),
        Self::FileHash(HashAlgorithm::Sha256),
        Self::FileHash(HashAlgorithm::Sha512),
        Self::FileHash(HashAlgorithm::ImpHash),
    ];

    /// Returns its place in [`ObservableKind::ALL`].
    pub const fn index(self) -> usize {
        match self {
            Self::Ipv4 => 0,
            Self::Ipv6 => 1,
            Self::Domain => 2,
            Self::Url => 3,
            Self::Email => 4,
            Self::FileName => 5,
            Self::RegistryKey => 6,
            Self::User => 7,
            Self::Process => 8,
            Self::FileHash(HashAlgorithm::Md5) => 9,
            Self::FileHash(HashAlgorithm::Sha1) => 10,
            Self::FileHash(HashAlgorithm::Sha256) => 11,
            Self::FileHash(HashAlgorithm::Sha512) => 12,
            Self::FileHash(HashAlgorithm::ImpHash) => 13,
        }
    }

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
        is_hex(hex).then_some(algorithm)
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

/// Kinds of observables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ObservableKinds(u16);

impl ObservableKinds {
    /// Every kind.
    pub const ALL: Self = Self((1 << ObservableKind::ALL.len()) - 1);

    /// Returns these kinds.
    pub(crate) const fn of(kinds: &[ObservableKind]) -> Self {
        let mut all = Self(0);
        let mut at = 0;
        while at < kinds.len() {
            all = all.with(kinds[at]);
            at += 1;
        }
        all
    }

    /// Returns these and one more.
    #[must_use]
    pub const fn with(self, kind: ObservableKind) -> Self {
        Self(self.0 | 1 << kind.index())
    }

    /// Returns these but one.
    #[must_use]
    pub const fn without(self, kind: ObservableKind) -> Self {
        Self(self.0 & !(1 << kind.index()))
    }

    /// Returns whether a kind is among them.
    pub const fn contains(self, kind: ObservableKind) -> bool {
        self.0 & 1 << kind.index() != 0
    }

    /// Returns whether any kind is among both.
    pub const fn meets(self, others: Self) -> bool {
        self.0 & others.0 != 0
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

/// An observable as it stands in the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawObservable<'e> {
    /// Its type.
    pub kind: ObservableKind,
    /// What stands there.
    pub text: &'e str,
    /// What that means, of addresses alone.
    pub address: Option<IpAddr>,
    /// The field that it was read from; `None` where the table of names was full.
    pub field: Option<FieldId>,
}

impl<'e> RawObservable<'e> {
    /// Returns the observable in normal form.
    pub fn normal(&self) -> Observable<'e> {
        let value = match (self.kind, self.address) {
            (_, Some(address)) => {
                let normal = address.to_string();
                if normal == self.text { Cow::Borrowed(self.text) } else { Cow::Owned(normal) }
            }
            (ObservableKind::Domain | ObservableKind::Email | ObservableKind::FileHash(_), None) => folded(self.text),
            _ => Cow::Borrowed(self.text),
        };
        Observable { kind: self.kind, value, field: self.field }
    }
}

impl Event {
    /// Passes every observable of the event to `visit`, in the order of the fields; a value may come more than once. A second
    /// name is looked at where it says something else of the value than the first does.
    pub fn visit_observables<'e>(&'e self, mut visit: impl FnMut(Observable<'e>)) {
        self.visit_raw_observables(ObservableKinds::ALL, |observable| visit(observable.normal()));
    }

    /// Passes the observables of some kinds to `visit` as they stand, in the same order.
    pub fn visit_raw_observables<'e>(&'e self, wanted: ObservableKinds, mut visit: impl FnMut(RawObservable<'e>)) {
        self.names().with_roles(|roles| {
            self.visit_texts(
                roles,
                |role| role.kinds().meets(wanted),
                |field, role, text| {
                    read_value(role, text, &mut Sink { field, wanted, visit: &mut visit });
                },
            );
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

impl Matcher {
    /// Returns what every event is found by whose field of this name is this text, or ends with it, whatever the case: each of
    /// the matchers finds all of them. None where the field's name does not say what it holds.
    pub fn of_field(name: &str, text: &str, is_end: bool) -> Vec<Self> {
        let role = role_of(name);
        // In a log these may be no text, and no observable then.
        let may_be_plain =
            text.parse::<f64>().is_ok() || ["true", "false"].iter().any(|word| word.eq_ignore_ascii_case(text));
        let mut found = Vec::new();
        let mut visit = |observable: RawObservable<'_>| found.extend(Self::of_part(&observable));
        let wanted = match role {
            _ if may_be_plain => return found,
            // Behind the last separator is the whole name.
            Role::File | Role::Process if is_end && text.contains(SEPARATORS) => {
                ObservableKinds::of(&[ObservableKind::FileName])
            }
            Role::Email | Role::Url | Role::Text | Role::Nothing | Role::Unknown => return found,
            _ if is_end => return found,
            _ => ObservableKinds::ALL,
        };
        read_value(role, text, &mut Sink { field: None, wanted, visit: &mut visit });
        found
    }

    /// Returns what finds a value whatever its case.
    fn of_part(observable: &RawObservable<'_>) -> Option<Self> {
        match (observable.address, observable.kind) {
            (Some(address), _) => Some(Self::Address(Network::of(address, u8::MAX))),
            // Letters that are alike but for their case may have three times the bytes; a name is none beyond its bounds.
            (None, ObservableKind::Domain) => {
                let is_short = observable.text.len() <= DOMAIN_BYTES_MAX / 3
                    && observable.text.split('.').all(|label| label.len() <= LABEL_BYTES_MAX / 3);
                is_short.then(|| Self::Domain(fold(observable.text)))
            }
            (None, kind) => Self::of_observed(kind, observable.text),
        }
    }
}

struct Sink<'s, F> {
    field: Option<FieldId>,
    wanted: ObservableKinds,
    visit: &'s mut F,
}

impl<'e, F: FnMut(RawObservable<'e>)> Sink<'_, F> {
    fn give(&mut self, kind: ObservableKind, text: &'e str) {
        if self.wanted.contains(kind) {
            (self.visit)(RawObservable { kind, text, address: None, field: self.field });
        }
    }

    fn give_address(&mut self, address: IpAddr, text: &'e str) {
        let address = plain_address(address);
        let kind = if address.is_ipv4() { ObservableKind::Ipv4 } else { ObservableKind::Ipv6 };
        if self.wanted.contains(kind) {
            (self.visit)(RawObservable { kind, text, address: Some(address), field: self.field });
        }
    }
}

fn read_value<'e, F: FnMut(RawObservable<'e>)>(role: Role, text: &'e str, sink: &mut Sink<'_, F>) {
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
fn read_by_form<'e, F: FnMut(RawObservable<'e>)>(text: &'e str, sink: &mut Sink<'_, F>) {
    if let Some(address) = parse_address(text) {
        sink.give_address(address, text);
    } else if let Some(algorithm) = HashAlgorithm::of_hex(text) {
        give_hash(algorithm, text, sink);
    } else if find_scheme_end(text).is_some() {
        if text.contains(char::is_whitespace) {
            find_in_text(text, sink);
        } else {
            read_url(text, sink);
        }
    } else {
        read_email(text, sink);
    }
}

fn read_addresses<'e, F: FnMut(RawObservable<'e>)>(text: &'e str, sink: &mut Sink<'_, F>) {
    for part in text.split([',', ' ', ';']).filter(|part| !part.is_empty()) {
        if let Some(address) = parse_address(part) {
            sink.give_address(address, part);
        }
    }
}

fn read_domain_or_address<'e, F: FnMut(RawObservable<'e>)>(text: &'e str, sink: &mut Sink<'_, F>) {
    let host = strip_port(text);
    match parse_address(host) {
        Some(address) => sink.give_address(address, host),
        None => give_domain(host, sink),
    }
}

fn read_url<'e, F: FnMut(RawObservable<'e>)>(text: &'e str, sink: &mut Sink<'_, F>) {
    let Some(at) = find_scheme_end(text) else { return };
    let (scheme, rest) = (&text[..at], &text[at + 3..]);
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

/// Returns where the first `://` stands.
fn find_scheme_end(text: &str) -> Option<usize> {
    memchr_iter(b':', text.as_bytes()).find(|at| text[*at..].starts_with("://"))
}

fn read_email<'e, F: FnMut(RawObservable<'e>)>(text: &'e str, sink: &mut Sink<'_, F>) {
    let Some(at) = memrchr(b'@', text.as_bytes()) else { return };
    let (local, domain) = (&text[..at], &text[at + 1..]);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&byte);
    if local.is_empty() || local.len() > 64 || !local.bytes().all(plain) || !is_domain(domain) {
        return;
    }
    sink.give(ObservableKind::Email, text);
    give_domain(domain, sink);
}

/// Sysmon's list of hashes, or one bare hash.
fn read_hashes<'e, F: FnMut(RawObservable<'e>)>(text: &'e str, sink: &mut Sink<'_, F>) {
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
///
/// Only colons and dots are looked for, for few words have any: a URL has its `://`, an address up to three digits and a
/// bracket before its first dot. `found_in_text_as_word_by_word` compares it with looking at each word.
fn find_in_text<'e, F: FnMut(RawObservable<'e>)>(text: &'e str, sink: &mut Sink<'_, F>) {
    let text = &text[..text.floor_char_boundary(TEXT_BYTES_MAX)];
    let (mut found, mut behind) = (0, 0);
    for at in memchr2_iter(b':', b'.', text.as_bytes()) {
        if found == FOUND_IN_TEXT_MAX {
            return;
        }
        if at < behind {
            continue;
        }
        if text.as_bytes()[at] == b':' {
            if text[at..].starts_with("://") {
                let scheme = text[behind..at].bytes().rev().take_while(u8::is_ascii_alphabetic).count();
                behind = word_end(text, at);
                read_url(&text[at - scheme..behind], sink);
                found += 1;
            }
        } else if let Some(start) = address_start(&text[behind..at]).map(|start| behind + start) {
            let word = &text[start..word_end(text, at)];
            let host = strip_port(word);
            if find_scheme_end(word).is_none()
                && let Some(address) = parse_address(host).filter(IpAddr::is_ipv4)
            {
                behind = start + word.len();
                sink.give_address(address, host);
                found += 1;
            }
        }
    }
}

/// Returns where a word begins that is the start of an IPv4 address up to its first dot; `before` is what stands before that.
fn address_start(before: &str) -> Option<usize> {
    let digits = before.bytes().rev().take(4).take_while(u8::is_ascii_digit).count();
    let head = &before[..before.len() - digits];
    let head = head.strip_suffix('[').unwrap_or(head);
    let begins_a_word = head.chars().next_back().is_none_or(divides_words);
    ((1..=3).contains(&digits) && begins_a_word).then_some(head.len())
}

fn word_end(text: &str, from: usize) -> usize {
    text[from..].find(divides_words).map_or(text.len(), |end| from + end)
}

fn divides_words(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '(' | ')' | ',' | ';' | '|' | '`' | '{' | '}')
}

fn give_domain<'e, F: FnMut(RawObservable<'e>)>(text: &'e str, sink: &mut Sink<'_, F>) {
    let text = text.trim_end_matches('.');
    if is_domain(text) {
        sink.give(ObservableKind::Domain, text);
    }
}

fn give_hash<'e, F: FnMut(RawObservable<'e>)>(algorithm: HashAlgorithm, hex: &'e str, sink: &mut Sink<'_, F>) {
    let kind = ObservableKind::FileHash(algorithm);
    if sink.wanted.contains(kind) && hex.len() == algorithm.hex_len() && is_hex(hex) {
        sink.give(kind, hex);
    }
}

/// Looks at every digit, which takes less than stopping at one that is none: many are looked at in one step.
fn is_hex(text: &str) -> bool {
    text.bytes().fold(true, |is_hex, byte| is_hex & byte.is_ascii_hexdigit())
}

fn give_file_name<'e, F: FnMut(RawObservable<'e>)>(path: &'e str, sink: &mut Sink<'_, F>) {
    let name = path.rsplit(SEPARATORS).next().unwrap_or(path);
    if !name.is_empty() {
        sink.give(ObservableKind::FileName, name);
    }
}

/// Parses an address, with the zone (`fe80::1%eth0`) and brackets that logs add taken off.
fn parse_address(text: &str) -> Option<IpAddr> {
    let bytes = text.as_bytes();
    let first_mark = bytes.iter().position(|byte| !byte.is_ascii_hexdigit())?;
    let may_be = match bytes[first_mark] {
        b'.' => (1..=3).contains(&first_mark),
        b':' => first_mark <= 4,
        b'[' => first_mark == 0,
        _ => false,
    };
    if !may_be || text.len() > 60 {
        return None;
    }
    let text = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let zone = memchr(b'%', text.as_bytes()).unwrap_or(text.len());
    text[..zone].parse().ok()
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

/// Whether this is a domain name of at least two labels (RFC 1035 §2.3.4 lengths; underscores as in DNS use), of which the
/// last has a letter.
pub(crate) fn is_domain(text: &str) -> bool {
    let (mut labels, mut label_len, mut has_letter) = (1, 0, false);
    for c in text.chars() {
        if c == '.' && label_len > 0 {
            (labels, label_len, has_letter) = (labels + 1, 0, false);
            continue;
        }
        label_len += c.len_utf8();
        has_letter |= c.is_alphabetic();
        if label_len > LABEL_BYTES_MAX || !(c.is_alphanumeric() || matches!(c, '-' | '_')) {
            return false;
        }
    }
    text.len() <= DOMAIN_BYTES_MAX && labels > 1 && label_len > 0 && has_letter
}

fn folded(text: &str) -> Cow<'_, str> {
    let is_lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
    if is_lower && is_folded(text) { Cow::Borrowed(text) } else { Cow::Owned(fold(text)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_kind_stands_at_its_index() {
        for (at, kind) in ObservableKind::ALL.into_iter().enumerate() {
            assert_eq!(kind.index(), at, "{kind}");
        }
        assert!(!ObservableKinds::ALL.without(ObservableKind::Url).contains(ObservableKind::Url));
    }

    /// What [`find_in_text`] does, word by word.
    fn find_in_words<'e, F: FnMut(RawObservable<'e>)>(text: &'e str, sink: &mut Sink<'_, F>) {
        for word in text.split(divides_words) {
            if let Some(at) = word.find("://") {
                let letters = word[..at].bytes().rev().take_while(u8::is_ascii_alphabetic).count();
                read_url(&word[at - letters..], sink);
            } else if let Some(address) = parse_address(strip_port(word)).filter(IpAddr::is_ipv4) {
                sink.give_address(address, strip_port(word));
            }
        }
    }

    proptest! {
        #[test]
        fn found_in_text_as_word_by_word(words in proptest::collection::vec(
            prop::sample::select(vec![
                "http", "://", ":", "/", ".", "192", "0", "1234", "1.2.3.4", "192.0.2.1:80", "[", "]", "[192.0.2.1]:80", "a",
                "evil.example", " ", "\u{a0}", "\u{3000}", "(", ",", "é", "@", "%1", "::ffff:", "-",
            ]),
            0..24,
        )) {
            let text = words.concat();
            let (mut fast, mut slow) = (Vec::new(), Vec::new());
            find_in_text(&text, &mut Sink { field: None, wanted: ObservableKinds::ALL, visit: &mut |found| fast.push(found) });
            find_in_words(&text, &mut Sink { field: None, wanted: ObservableKinds::ALL, visit: &mut |found| slow.push(found) });
            prop_assert_eq!(fast, slow, "{}", text);
        }
    }
}
