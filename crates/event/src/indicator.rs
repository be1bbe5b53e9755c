//! An indicator that is ready to be matched: a plain value, who says so and for how long.
//!
//! `intel` makes them out of STIX, CSV and lists; `detect` and `archive` compare observables with them. Matching is on
//! normal forms (see [`Matcher::parse`]): a hash in lower case, an address in its shortest form, a domain without its dot.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::fold::{fold, fold_into};
use crate::indicator_id::IndicatorId;
use crate::observable::{HashAlgorithm, ObservableKind, is_domain};
use crate::refang::refang;
use crate::time::Timestamp;

/// One value to look for, and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Indicator {
    /// Its id: STIX's own, else derived from its source and value.
    pub id: IndicatorId,
    /// What a person calls it, where that is not its value.
    pub name: Option<String>,
    /// What it looks for.
    pub matcher: Matcher,
    /// What else the same event must have: each of these in some value of its own. Empty for nearly all.
    pub also: Vec<Matcher>,
    /// When it counts.
    pub validity: Validity,
    /// Who says so, where that is told.
    pub author: Option<Arc<str>>,
    /// How sure they are, 0 to 100 (STIX 2.1 §3.2 `confidence`).
    pub confidence: Option<u8>,
    /// ATT&CK techniques that it stands for (`T1071.001`).
    pub techniques: Vec<String>,
    /// Where to read more.
    pub references: Vec<String>,
    /// The file it was loaded from, for people.
    pub loaded_from: Arc<str>,
}

impl Indicator {
    /// Returns what a person calls it: its name, or else what it looks for.
    pub fn title(&self) -> Cow<'_, str> {
        match self.name.as_deref() {
            Some(name) => Cow::Borrowed(name),
            None if self.also.is_empty() => self.matcher.text(),
            None => {
                let all = std::iter::once(&self.matcher).chain(&self.also);
                Cow::Owned(all.map(Matcher::text).collect::<Vec<_>>().join(" and "))
            }
        }
    }
}

/// What an indicator looks for, in normal form.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Matcher {
    /// An address or a range of them.
    Address(Network),
    /// A domain and all below it.
    Domain(String),
    /// A URL, compared without regard to the case of scheme and host, default ports and fragments.
    Url(String),
    /// An e-mail address.
    Email(String),
    /// A file's name without folders, in any case.
    FileName(String),
    /// A file's content.
    FileHash(HashAlgorithm, String),
    /// A registry key, in any case.
    RegistryKey(String),
    /// An account, in any case.
    User(String),
    /// The path of a program, in any case.
    Process(String),
}

impl Matcher {
    /// Reads a bare value and tells its type by its form, refanged: address, range, URL, e-mail address, hash, domain.
    /// A file name cannot be told from a domain and must be typed by its source. `None` where it is none of these.
    pub fn parse(text: &str) -> Option<Self> {
        let text = refang(text.trim());
        let text = text.as_ref();
        if let Some(network) = Network::parse(text) {
            return Some(Self::Address(network));
        }
        if text.contains("://") {
            return Self::of_kind(ObservableKind::Url, text);
        }
        if text.contains('@') {
            return Self::of_kind(ObservableKind::Email, text);
        }
        if let Some(algorithm) = HashAlgorithm::of_hex(text) {
            return Self::of_kind(ObservableKind::FileHash(algorithm), text);
        }
        Self::of_kind(ObservableKind::Domain, text)
    }

    /// Brings a value of a known type into normal form; `None` where it is not of that type.
    pub fn of_kind(kind: ObservableKind, text: &str) -> Option<Self> {
        // Keys, accounts and paths of programs are not defanged, and hold the backslashes that refanging takes away.
        let is_path = matches!(kind, ObservableKind::RegistryKey | ObservableKind::User | ObservableKind::Process);
        let text = if is_path { Cow::Borrowed(text.trim()) } else { refang(text.trim()) };
        let text = text.as_ref();
        if text.is_empty() || has_control(text) {
            return None;
        }
        match kind {
            ObservableKind::Ipv4 | ObservableKind::Ipv6 => Network::parse(text).map(Self::Address),
            ObservableKind::Domain => {
                let domain = fold(text.strip_prefix("*.").unwrap_or(text).trim_matches('.'));
                is_domain(&domain).then_some(Self::Domain(domain))
            }
            ObservableKind::Url => normal_url(text).map(Self::Url),
            ObservableKind::Email => {
                let (local, domain) = text.rsplit_once('@')?;
                (!local.is_empty() && is_domain(domain)).then(|| Self::Email(fold(text)))
            }
            ObservableKind::FileName => {
                let name = text.rsplit(['\\', '/']).next()?;
                (!name.is_empty()).then(|| Self::FileName(fold(name)))
            }
            ObservableKind::FileHash(algorithm) => {
                let expected = HashAlgorithm::of_hex(text)?;
                let same =
                    expected == algorithm || (expected == HashAlgorithm::Md5 && algorithm == HashAlgorithm::ImpHash);
                same.then(|| Self::FileHash(algorithm, fold(text)))
            }
            ObservableKind::RegistryKey => Some(Self::RegistryKey(normal_key(text))),
            ObservableKind::User => Some(Self::User(fold(text))),
            ObservableKind::Process => Some(Self::Process(fold(text))),
        }
    }

    /// Brings an observed value into the form that indicators have. Unlike [`Matcher::of_kind`] it takes the value as it is:
    /// what a log says was not written to be harmless. `None` for addresses and domains, which are looked up by parts.
    pub fn of_observed(kind: ObservableKind, value: &str) -> Option<Self> {
        let mut normal = String::new();
        if !push_observed(kind, value, &mut normal) {
            return None;
        }
        match kind {
            ObservableKind::Ipv4 | ObservableKind::Ipv6 | ObservableKind::Domain => None,
            ObservableKind::Url => Some(Self::Url(normal)),
            ObservableKind::Email => Some(Self::Email(normal)),
            ObservableKind::FileName => Some(Self::FileName(normal)),
            ObservableKind::FileHash(algorithm) => Some(Self::FileHash(algorithm, normal)),
            ObservableKind::RegistryKey => Some(Self::RegistryKey(normal)),
            ObservableKind::User => Some(Self::User(normal)),
            ObservableKind::Process => Some(Self::Process(normal)),
        }
    }

    /// Returns the value as it is shown.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Address(network) => Cow::Owned(network.to_string()),
            Self::Domain(text)
            | Self::Url(text)
            | Self::Email(text)
            | Self::FileName(text)
            | Self::FileHash(_, text)
            | Self::RegistryKey(text)
            | Self::User(text)
            | Self::Process(text) => Cow::Borrowed(text),
        }
    }

    /// Returns the type of observable that it is compared with.
    pub fn kind(&self) -> ObservableKind {
        match self {
            Self::Address(network) if network.address.is_ipv4() => ObservableKind::Ipv4,
            Self::Address(_) => ObservableKind::Ipv6,
            Self::Domain(_) => ObservableKind::Domain,
            Self::Url(_) => ObservableKind::Url,
            Self::Email(_) => ObservableKind::Email,
            Self::FileName(_) => ObservableKind::FileName,
            Self::FileHash(algorithm, _) => ObservableKind::FileHash(*algorithm),
            Self::RegistryKey(_) => ObservableKind::RegistryKey,
            Self::User(_) => ObservableKind::User,
            Self::Process(_) => ObservableKind::Process,
        }
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

fn has_control(text: &str) -> bool {
    let has_ascii = text.bytes().fold(false, |has, byte| has | byte.is_ascii_control());
    has_ascii || !text.is_ascii() && text.contains(char::is_control)
}

/// Adds an observed value to `out` in the form that indicators have; `false` where it is not of that kind.
pub fn push_observed(kind: ObservableKind, value: &str, out: &mut String) -> bool {
    match kind {
        ObservableKind::Url => push_normal_url(value, out),
        ObservableKind::RegistryKey => {
            push_normal_key(value, out);
            true
        }
        _ => {
            fold_into(value, out);
            true
        }
    }
}

/// Brings a URL into the form that all its spellings have alike.
fn normal_url(text: &str) -> Option<String> {
    let mut normal = String::with_capacity(text.len());
    push_normal_url(text, &mut normal).then_some(normal)
}

/// Adds a URL in the form that all its spellings have alike (RFC 3986 §6.2): scheme and host in lower case, no port that goes
/// without saying, no slash alone as path, no fragment, which no request holds. The rest stands as it is.
fn push_normal_url(text: &str, out: &mut String) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let rest = rest.split('#').next().unwrap_or(rest);
    let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let start = out.len();
    fold_into(scheme, out);
    let host = without_default_port(&out[start..], host);
    if !is_scheme(&out[start..]) || host.is_empty() {
        return false;
    }
    out.push_str("://");
    fold_into(host, out);
    out.push_str(path.strip_prefix('/').filter(|rest| rest.is_empty() || rest.starts_with('?')).unwrap_or(path));
    true
}

/// Whether this may be the scheme of a URL (RFC 3986 §3.1); `h**p` is the mark of a value that was made unreadable.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

fn without_default_port<'t>(scheme: &str, host: &'t str) -> &'t str {
    const DEFAULTS: &[(&str, &str)] = &[("http", "80"), ("https", "443"), ("ftp", "21"), ("ws", "80"), ("wss", "443")];
    let is_default = |port: &str| port.is_empty() || DEFAULTS.contains(&(scheme, port));
    host.rsplit_once(':').filter(|(_, port)| is_default(port)).map_or(host, |(host, _)| host)
}

/// Brings a registry key into lower case, with its hive in the short form that Sysmon writes.
fn normal_key(text: &str) -> String {
    let mut normal = String::with_capacity(text.len());
    push_normal_key(text, &mut normal);
    normal
}

fn push_normal_key(text: &str, out: &mut String) {
    const HIVES: &[(&str, &str)] = &[
        ("hkey_local_machine", "hklm"),
        ("hkey_users", "hku"),
        ("hkey_current_user", "hkcu"),
        ("hkey_classes_root", "hkcr"),
        (r"\registry\machine", "hklm"),
        (r"\registry\user", "hku"),
    ];
    let start = out.len();
    fold_into(text, out);
    if let Some((long, short)) = HIVES.iter().find(|(long, _)| out[start..].starts_with(long)) {
        out.replace_range(start..start + long.len(), short);
    }
}

/// A range of addresses; a single address is the range of its full length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network {
    /// The first address of the range.
    pub address: IpAddr,
    /// How many leading bits are fixed: 0 to 32, or to 128.
    pub prefix_bits: u8,
}

impl Network {
    /// Parses `192.0.2.1`, `192.0.2.0/24`, `2001:db8::/32`; bits past the prefix are cleared.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let full = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match prefix {
            Some(prefix) => prefix.parse().ok().filter(|bits| *bits <= full)?,
            None => full,
        };
        Some(Self::of(address, prefix_bits))
    }

    /// Returns the range of this many leading bits that an address lies in; more bits than it has count as all.
    pub fn of(address: IpAddr, prefix_bits: u8) -> Self {
        let prefix_bits = prefix_bits.min(if address.is_ipv4() { 32 } else { 128 });
        if let IpAddr::V6(v6) = address
            && let Some(v4) = v6.to_ipv4_mapped()
            && prefix_bits >= 96
        {
            return Self::of(IpAddr::V4(v4), prefix_bits - 96);
        }
        Self { address: mask(address, prefix_bits), prefix_bits }
    }

    /// Returns whether the address lies in the range.
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4() && mask(address, self.prefix_bits) == self.address
    }

    /// Returns whether it is one address only.
    pub fn is_single(&self) -> bool {
        self.prefix_bits == if self.address.is_ipv4() { 32 } else { 128 }
    }
}

fn mask(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            IpAddr::V4((u32::from(v4) & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            IpAddr::V6((u128::from(v6) & mask).into())
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_single() { self.address.fmt(f) } else { write!(f, "{}/{}", self.address, self.prefix_bits) }
    }
}

/// When an indicator counts (STIX 2.1 §4.7: `valid_from` inclusive, `valid_until` exclusive, `revoked` for ever).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Validity {
    /// From when on; `None`: always.
    pub from_inclusive: Option<Timestamp>,
    /// Until when; `None`: for ever.
    pub until_exclusive: Option<Timestamp>,
    /// Taken back by who made it: counts never.
    pub revoked: bool,
}

impl Validity {
    /// Returns whether it counts at `moment`.
    pub fn holds_at(&self, moment: Timestamp) -> bool {
        !self.revoked
            && self.from_inclusive.is_none_or(|from| from <= moment)
            && self.until_exclusive.is_none_or(|until| moment < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_values_are_typed_by_their_form() {
        let kind = |text| Matcher::parse(text).map(|matcher| (matcher.kind(), matcher.to_string()));
        assert_eq!(kind("192.0.2[.]1"), Some((ObservableKind::Ipv4, "192.0.2.1".into())));
        assert_eq!(kind("192.0.2.77/24"), Some((ObservableKind::Ipv4, "192.0.2.0/24".into())));
        assert_eq!(kind("2001:DB8::1"), Some((ObservableKind::Ipv6, "2001:db8::1".into())));
        assert_eq!(kind("hxxp://Evil[.]example/A"), Some((ObservableKind::Url, "http://evil.example/A".into())));
        assert_eq!(kind("Bad(at)evil.example"), Some((ObservableKind::Email, "bad@evil.example".into())));
        assert_eq!(kind("*.Evil.example."), Some((ObservableKind::Domain, "evil.example".into())));
        let md5 = "D41D8CD98F00B204E9800998ECF8427E";
        assert_eq!(kind(md5), Some((ObservableKind::FileHash(HashAlgorithm::Md5), md5.to_lowercase())));
        for nothing in ["", "word", "1.2.3.4.5", "192.0.2.1/33", "://", "@", "a@", "evil .example", "-"] {
            assert_eq!(kind(nothing), None, "{nothing:?}");
        }
    }

    #[test]
    fn spellings_of_one_url_are_one() {
        let normal = |text| Matcher::of_kind(ObservableKind::Url, text).map(|matcher| matcher.to_string());
        for (spelling, expected) in [
            ("http://x.example:80/", "http://x.example"),
            ("HTTP://X.example:/#top", "http://x.example"),
            ("https://x.example:443/A?b=/C#d", "https://x.example/A?b=/C"),
            ("http://x.example/?q", "http://x.example?q"),
            ("http://x.example:443/", "http://x.example:443"),
            ("https://x.example:80/a/", "https://x.example:80/a/"),
            ("http://[2001:db8::80]:80/a", "http://[2001:db8::80]/a"),
            ("http://[2001:db8::80]/a", "http://[2001:db8::80]/a"),
            ("http://x.example//", "http://x.example//"),
        ] {
            assert_eq!(normal(spelling).as_deref(), Some(expected), "{spelling}");
            assert_eq!(Matcher::of_observed(ObservableKind::Url, spelling), Some(Matcher::Url(expected.into())));
        }
        for nothing in ["h**p://x.example/", "ht tp://x.example", "1http://x.example", "://x.example", "http://:80/"] {
            assert_eq!(normal(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn a_range_contains_its_ends_and_no_more() {
        let network = Network::parse("192.0.2.128/25").expect("a range");
        assert_eq!(Network::parse("::ffff:192.0.2.1"), Network::parse("192.0.2.1"));
        let contains = |text: &str| network.contains(text.parse().expect("an address"));
        assert!(contains("192.0.2.128") && contains("192.0.2.255"));
        assert!(!contains("192.0.2.127") && !contains("192.0.3.0") && !contains("2001:db8::"));
        assert!(Network::parse("0.0.0.0/0").expect("a range").contains([255; 4].into()));
    }

    #[test]
    fn validity_is_inclusive_below_and_exclusive_above() {
        let at = Timestamp::from_nanos;
        let validity = Validity { from_inclusive: Some(at(10)), until_exclusive: Some(at(20)), revoked: false };
        let holds: Vec<bool> = [9, 10, 19, 20].into_iter().map(|nanos| validity.holds_at(at(nanos))).collect();
        assert_eq!(holds, [false, true, true, false]);
        assert!(!Validity { revoked: true, ..validity }.holds_at(at(15)));
    }
}
