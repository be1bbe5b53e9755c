//! What two detections may have in common, and for how long that says that they belong together.
//!
//! Each kind of key has a gap: two detections that share the key belong together where their events lie no further apart.
//! A name that is the same on every machine, or that half the world uses, links nothing: it would make one incident of
//! all. Such names are still told ([`Key::links`] is false), for people ask who and where all the same.
//! `tests/it/links.rs` has a test for each kind and each trap.

use std::borrow::Cow;
use std::net::IpAddr;

use cresset_detect::WarningList;
use cresset_event::{HashAlgorithm, Matcher, ObservableKind, fold};
use serde::{Deserialize, Serialize};

use crate::facts::{Facts, ObservedFact};
use crate::incident::LinkKind;
use crate::text;

const MINUTE_NANOS: u64 = 60 * 1_000_000_000;

/// Steps of one attack on one machine, or by one account, follow each other within minutes; half an hour lets a person type
/// and a beacon sleep. With more, what happens on a busy server all day becomes one incident.
const HOST_GAP_NANOS: u64 = 30 * MINUTE_NANOS;
const USER_GAP_NANOS: u64 = 30 * MINUTE_NANOS;
/// The same program on the same machine is much more likely the same thing at work: half a working day.
const PROCESS_GAP_NANOS: u64 = 4 * 60 * MINUTE_NANOS;
/// An address, a domain or a hash of an attack is used for days, but is also seen by chance: a day joins what one shift sees
/// and the next one sees again.
const OBSERVABLE_GAP_NANOS: u64 = 24 * 60 * MINUTE_NANOS;

/// Names that every machine gives to itself, and what stands where there is no name.
const HOSTS_OF_ALL: &[&str] = &["localhost", "localhost.localdomain", "unknown", "none", "null", "(null)", "n/a"];
/// Accounts that every machine has, whoever is at work.
const ACCOUNTS_OF_ALL: &[&str] = &[
    "system",
    "système",
    "sistema",
    "local system",
    "localsystem",
    "local service",
    "localservice",
    "network service",
    "networkservice",
    "anonymous logon",
    "anonymous",
    "iusr",
    "root",
    "nobody",
    "none",
    "unknown",
    "null",
    "(null)",
    "(unknown user)",
    "n/a",
    "s-1-5-7",
    "s-1-5-18",
    "s-1-5-19",
    "s-1-5-20",
];
/// Authorities whose accounts are the machine's own: the same in every network.
const AUTHORITIES_OF_ALL: &[&str] = &[
    "nt authority",
    "nt-autorität",
    "autorite nt",
    "nt service",
    "nt virtual machine",
    "window manager",
    "font driver host",
    "iis apppool",
];
/// Accounts of the sessions of the window manager and the font driver, numbered by session: `DWM-1`, `UMFD-0`.
const SESSION_ACCOUNTS: &[&str] = &["dwm-", "umfd-"];
/// Accounts that many machines or domains have, each its own: they link only with the domain that they are of.
const ACCOUNTS_OF_MANY: &[&str] = &["administrator", "administrateur", "admin", "guest", "user", "defaultaccount"];

/// Folders of what systems bring along: the programs in them have the same hashes on every machine.
const SYSTEM_FOLDERS: &[&str] = &[
    r"\windows\system32\",
    r"\windows\syswow64\",
    r"\windows\winsxs\",
    r"\windows\servicing\",
    r"\windows\microsoft.net\",
    r"\windows\explorer.exe",
    r"\windows\regedit.exe",
    r"\program files\",
    r"\program files (x86)\",
];
const SYSTEM_FOLDERS_OF_UNIX: &[&str] =
    &["/bin/", "/sbin/", "/lib/", "/usr/bin/", "/usr/sbin/", "/usr/lib/", "/usr/libexec/"];

/// What stands between a machine and the path of a program on it: a character that neither has.
const ON_MACHINE: char = '\0';

/// What a key is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum KeyKind {
    Host,
    User,
    Process,
    Observable(#[serde(with = "text")] ObservableKind),
    /// A title, a tactic or a technique: told, and never a key.
    Text,
}

impl KeyKind {
    /// Returns how people see it as a link, and the most that two detections that share it are apart; `None` for text.
    pub(crate) fn link(self) -> Option<(LinkKind, u64)> {
        match self {
            Self::Host => Some((LinkKind::Host, HOST_GAP_NANOS)),
            Self::User => Some((LinkKind::User, USER_GAP_NANOS)),
            Self::Process => Some((LinkKind::Process, PROCESS_GAP_NANOS)),
            Self::Observable(_) => Some((LinkKind::Observable, OBSERVABLE_GAP_NANOS)),
            Self::Text => None,
        }
    }
}

/// A value that detections may have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key<'f> {
    pub(crate) kind: KeyKind,
    /// Whether sharing it means anything.
    pub(crate) links: bool,
    /// What is compared.
    pub(crate) value: Cow<'f, str>,
    /// How it is written.
    pub(crate) shown: &'f str,
}

impl<'f> Key<'f> {
    /// Returns a text that is told and never compared with others.
    pub(crate) fn of_text(text: &'f str) -> Self {
        Self { kind: KeyKind::Text, links: false, value: Cow::Borrowed(text), shown: text }
    }

    /// Returns the machine of a detection.
    pub(crate) fn of_host(facts: &'f Facts) -> Option<Self> {
        let shown = named(facts.host.as_deref())?;
        let value = fold(shown.trim_end_matches('.'));
        let is_own = |address: IpAddr| address.is_loopback() || address.is_unspecified();
        let links = !HOSTS_OF_ALL.contains(&value.as_str()) && !value.parse().is_ok_and(is_own);
        Some(Self { kind: KeyKind::Host, links, value: Cow::Owned(value), shown })
    }

    /// Returns the account of a detection.
    ///
    /// Some logs write an account with its domain and some without (`CORP\alice`, `alice@corp.example`, `alice`): it goes by its
    /// name alone, for within half an hour they are the same person far more often than two. What many machines have by the
    /// same name goes by name and domain, and an account of the machine itself links nothing that the machine does not.
    pub(crate) fn of_user(facts: &'f Facts) -> Option<Self> {
        let shown = named(facts.user.as_deref())?;
        let whole = fold(shown);
        let (domain, name) = parts_of_account(&whole);
        let key = |links: bool, value: &str| {
            Some(Self { kind: KeyKind::User, links, value: Cow::Owned(value.to_owned()), shown })
        };
        if is_account_of_all(domain, name) || domain.is_some_and(|domain| is_machine(domain, facts.host.as_deref())) {
            return key(false, &whole);
        }
        match domain {
            _ if !ACCOUNTS_OF_MANY.contains(&name) => key(true, name),
            Some(domain) => key(true, &format!("{domain}\\{name}")),
            None => key(false, &whole),
        }
    }

    /// Returns the program of a detection, on its machine.
    pub(crate) fn of_process(facts: &'f Facts, host: Option<&Key<'_>>) -> Option<Self> {
        let shown = named(facts.process.as_deref())?;
        let host = host.filter(|host| host.links)?;
        let value = format!("{}{ON_MACHINE}{}", host.value, fold(shown));
        Some(Self { kind: KeyKind::Process, links: true, value: Cow::Owned(value), shown })
    }

    /// Returns an observable of a detection; `None` where it links nothing and is no address, which may still be one of ours.
    pub(crate) fn of_observable(seen: &'f ObservedFact, facts: &Facts, warnings: &WarningList) -> Option<Self> {
        let ObservedFact { kind, value, is_ours } = seen;
        let links = !is_ours && links_observable(*kind, value, warnings) && !is_of_system(*kind, value, facts);
        let is_address = matches!(kind, ObservableKind::Ipv4 | ObservableKind::Ipv6);
        let key = Self { kind: KeyKind::Observable(*kind), links, value: Cow::Borrowed(value), shown: value };
        (links || is_address).then_some(key)
    }
}

/// Returns a name that is one.
fn named(name: Option<&str>) -> Option<&str> {
    name.map(str::trim).filter(|name| !matches!(*name, "" | "-"))
}

/// Takes `domain\name` and `name@domain` apart.
fn parts_of_account(account: &str) -> (Option<&str>, &str) {
    let (domain, name) = account.rsplit_once('\\').map_or((None, account), |(domain, name)| (Some(domain), name));
    let (name, realm) = name.split_once('@').map_or((name, None), |(name, realm)| (name, Some(realm)));
    let is_told = |domain: &&str| !matches!(*domain, "" | "." | "-");
    (domain.or(realm).filter(is_told), name)
}

fn is_account_of_all(domain: Option<&str>, name: &str) -> bool {
    let is_session = |prefix: &&str| {
        name.strip_prefix(*prefix)
            .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
    };
    matches!(name, "" | "-")
        || name.ends_with('$')
        || ACCOUNTS_OF_ALL.contains(&name)
        || domain.is_some_and(|domain| AUTHORITIES_OF_ALL.contains(&domain))
        || SESSION_ACCOUNTS.iter().any(is_session)
}

/// Whether the domain of an account is the machine itself.
fn is_machine(domain: &str, host: Option<&str>) -> bool {
    host.is_some_and(|host| {
        let host = fold(host);
        host == domain || host.split('.').next() == Some(domain)
    })
}

/// Whether the warning list lets an observable link. It holds private and special addresses, domains that everybody visits,
/// and hashes of nothing. Of a URL its host says as much.
fn links_observable(kind: ObservableKind, value: &str, warnings: &WarningList) -> bool {
    let (kind, value) = match kind {
        ObservableKind::Url => match host_of_url(value) {
            Some(host) => host,
            None => return false,
        },
        _ => (kind, value),
    };
    Matcher::of_kind(kind, value).is_some_and(|matcher| warnings.reason(&matcher).is_none())
}

/// Whether a hash is one that many machines have, and not what was looked for: of a program of the system, or an import
/// hash, which all programs of one compiler may share (and all that import nothing).
fn is_of_system(kind: ObservableKind, value: &str, facts: &Facts) -> bool {
    let is_common = match kind {
        ObservableKind::FileHash(HashAlgorithm::ImpHash) => true,
        ObservableKind::FileHash(_) => facts.process.as_deref().is_some_and(is_system_program),
        _ => return false,
    };
    let is_meant =
        || facts.matched.iter().any(|(_, found)| found.as_ref().is_some_and(|found| fold(found).contains(value)));
    is_common && !is_meant()
}

fn is_system_program(path: &str) -> bool {
    let path = fold(path);
    SYSTEM_FOLDERS.iter().any(|folder| path.contains(folder))
        || SYSTEM_FOLDERS_OF_UNIX.iter().any(|folder| path.starts_with(folder))
}

/// Returns the machine of a URL in normal form, and whether that is an address or a domain.
pub(crate) fn host_of_url(url: &str) -> Option<(ObservableKind, &str)> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if let Some(v6) = authority.strip_prefix('[') {
        return v6.split_once(']').map(|(address, _)| (ObservableKind::Ipv6, address));
    }
    let host = authority.split(':').next()?;
    let kind = if host.parse::<IpAddr>().is_ok() { ObservableKind::Ipv4 } else { ObservableKind::Domain };
    (!host.is_empty()).then_some((kind, host))
}
