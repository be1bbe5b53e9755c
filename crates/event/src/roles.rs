//! What a field's name says about its value: the table that observables are read with.
//!
//! Names are those of the Sigma taxonomy and of the formats that `ingest` reads, after its renaming. A field that is not
//! here is looked at by the form of its value alone (`observable.rs`).

use crate::observable::{HashAlgorithm, ObservableKind, ObservableKinds};

/// What a field's values are, as far as its name tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Address,
    Domain,
    Url,
    Email,
    /// A file's path or name.
    File,
    Hash(HashAlgorithm),
    /// Sysmon's `SHA1=…,MD5=…,SHA256=…,IMPHASH=…`.
    Hashes,
    RegistryKey,
    User,
    /// The path of a program that ran.
    Process,
    /// Text that may contain URLs and addresses.
    Text,
    /// A value that is never an observable, whatever it looks like (GUIDs, numbers, flags).
    Nothing,
    /// Nothing is known: the form of the value decides.
    Unknown,
}

impl Role {
    /// Returns the kinds of observables that such a value may yield.
    pub(crate) const fn kinds(self) -> ObservableKinds {
        use ObservableKind::{Domain, Email, FileHash, FileName, Ipv4, Ipv6, Process, RegistryKey, Url, User};
        match self {
            Self::Address => ObservableKinds::of(&[Ipv4, Ipv6]),
            Self::Domain => ObservableKinds::of(&[Ipv4, Ipv6, Domain]),
            Self::Url | Self::Text => ObservableKinds::of(&[Ipv4, Ipv6, Domain, Url]),
            Self::Email => ObservableKinds::of(&[Email, Domain]),
            Self::File => ObservableKinds::of(&[FileName]),
            Self::Hash(algorithm) => ObservableKinds::of(&[FileHash(algorithm)]),
            Self::Hashes => HASHES,
            Self::RegistryKey => ObservableKinds::of(&[RegistryKey]),
            Self::User => ObservableKinds::of(&[User]),
            Self::Process => ObservableKinds::of(&[Process, FileName]),
            Self::Nothing => ObservableKinds::of(&[]),
            Self::Unknown => ObservableKinds::ALL,
        }
    }
}

const HASHES: ObservableKinds = ObservableKinds::of(&[
    ObservableKind::FileHash(HashAlgorithm::Md5),
    ObservableKind::FileHash(HashAlgorithm::Sha1),
    ObservableKind::FileHash(HashAlgorithm::Sha256),
    ObservableKind::FileHash(HashAlgorithm::Sha512),
    ObservableKind::FileHash(HashAlgorithm::ImpHash),
]);

/// Whom an event is about: what a detection names beside the rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// The machine that it happened on.
    Host,
    /// The account that did it.
    User,
    /// The program that did it.
    Process,
}

impl Subject {
    /// Returns the fields that say so, the best first; `has` tells which fields the event has.
    pub(crate) fn candidates(self, has: impl Fn(&str) -> bool) -> &'static [&'static str] {
        match self {
            Self::Host if is_of_the_wire(has) => WIRE_HOSTS,
            Self::Host => &[
                "Computer",
                "host.name",
                "host.hostname",
                "hostname",
                "Hostname",
                "host",
                "@system",
                "agent.hostname",
                "cs-host",
                "dest_ip",
                "id.resp_h",
            ],
            Self::User => &[
                "User",
                "SubjectUserName",
                "TargetUserName",
                "SourceUser",
                "user.name",
                "user",
                "cs-username",
                "username",
            ],
            Self::Process => &[
                "Image",
                "SourceImage",
                "ProcessName",
                "process.executable",
                "program",
                "Application",
                "ServiceFileName",
            ],
        }
    }
}

/// What Suricata and Zeek see happens between two machines: the one that acted is the client, who opened the flow. An
/// alert names that one apart (`flow.src_ip`), for its packet may be the server's. `host` is their sensor or a header.
const WIRE_HOSTS: &[&str] = &["id.orig_h", "flow.src_ip", "src_ip", "cs-host", "dest_ip", "id.resp_h"];

/// Whether a sensor between machines saw the event. A log of a server may name clients too (`src_ip`), but is its own.
fn is_of_the_wire(has: impl Fn(&str) -> bool) -> bool {
    has("id.orig_h") || (has("event_type") && has("src_ip") && has("dest_ip"))
}

/// Returns what a field of this name holds.
pub(crate) fn role_of(name: &str) -> Role {
    let known = |table: &[&str]| table.iter().any(|entry| entry.eq_ignore_ascii_case(name));
    if known(ADDRESSES) {
        return Role::Address;
    }
    if known(DOMAINS) {
        return Role::Domain;
    }
    if known(URLS) {
        return Role::Url;
    }
    if known(EMAILS) {
        return Role::Email;
    }
    if known(FILES) {
        return Role::File;
    }
    if known(REGISTRY_KEYS) {
        return Role::RegistryKey;
    }
    if known(USERS) {
        return Role::User;
    }
    if known(PROCESSES) {
        return Role::Process;
    }
    if known(TEXTS) {
        return Role::Text;
    }
    let is_nothing = |ending: &&str| name.ends_with(*ending);
    if known(NOTHING) || NOTHING_ENDINGS.iter().any(is_nothing) {
        return Role::Nothing;
    }
    if known(&["Hashes", "Hash"]) {
        return Role::Hashes;
    }
    hash_named(name).map_or(Role::Unknown, Role::Hash)
}

/// Reads the algorithm from the last word of names such as `md5`, `fileinfo.sha256` or `file.hash.sha1`.
fn hash_named(name: &str) -> Option<HashAlgorithm> {
    HashAlgorithm::from_name(name.rsplit(['.', '_']).next()?)
}

const ADDRESSES: &[&str] = &[
    "SourceIp",
    "DestinationIp",
    "IpAddress",
    "ClientAddress",
    "SourceAddress",
    "DestAddress",
    "SourceNetworkAddress",
    "src_ip",
    "dst_ip",
    "dest_ip",
    "id.orig_h",
    "id.resp_h",
    "id_orig_h",
    "id_resp_h",
    "c-ip",
    "s-ip",
    "r-ip",
    "source.ip",
    "destination.ip",
    "client.ip",
    "server.ip",
    "host.ip",
    "src",
    "dst",
    "tx_hosts",
    "rx_hosts",
    "xff",
];
const DOMAINS: &[&str] = &[
    "QueryName",
    "DestinationHostname",
    "SourceHostname",
    "query",
    "record_name",
    "dns.rrname",
    "dns.query.rrname",
    "dns.queries.rrname",
    "dns.answers.rrname",
    "dns.question.name",
    "tls.sni",
    "server_name",
    "http.hostname",
    "cs-host",
    "r-dns",
    "destination.domain",
    "source.domain",
    "url.domain",
];
const URLS: &[&str] =
    &["url", "uri", "c-uri", "http.url", "url.full", "url.original", "cs-referer", "referrer", "http.http_refer"];
const EMAILS: &[&str] =
    &["mailfrom", "rcptto", "from", "to", "cc", "smtp.mail_from", "smtp.rcpt_to", "email.from", "email.to"];
const FILES: &[&str] = &[
    "TargetFilename",
    "FileName",
    "ImageLoaded",
    "OriginalFileName",
    "file.name",
    "file.path",
    "fileinfo.filename",
    "filename",
    "ShareName",
    "RelativeTargetName",
    "Device",
];
const REGISTRY_KEYS: &[&str] = &["TargetObject", "ObjectName", "registry.path", "registry.key", "NewName"];
const USERS: &[&str] = &[
    "User",
    "SubjectUserName",
    "TargetUserName",
    "SourceUser",
    "TargetUser",
    "ParentUser",
    "AccountName",
    "user",
    "user.name",
    "username",
    "cs-username",
    "TargetOutboundUserName",
];
const PROCESSES: &[&str] = &[
    "Image",
    "ParentImage",
    "SourceImage",
    "TargetImage",
    "NewProcessName",
    "ParentProcessName",
    "ProcessName",
    "process.executable",
    "process.parent.executable",
    "Application",
];
const TEXTS: &[&str] = &[
    "CommandLine",
    "ParentCommandLine",
    "ProcessCommandLine",
    "process.command_line",
    "ScriptBlockText",
    "Payload",
    "HostApplication",
    "ContextInfo",
    "ImagePath",
    "ServiceFileName",
    "TaskContent",
    "Details",
    "Contents",
    "QueryResults",
    "answer",
    "answers",
    "message",
    "COMMAND",
    "c-useragent",
    "cs-uri-query",
];
const NOTHING: &[&str] = &[
    "UtcTime",
    "EventID",
    "EventRecordID",
    "Channel",
    "Keywords",
    "Version",
    "FileVersion",
    "LogonId",
    "TargetLogonId",
    "SubjectLogonId",
    "ProcessId",
    "ThreadID",
    "uid",
    "community_id",
    "ja3",
    "ja3s",
    "ja3.hash",
    "ja3s.hash",
    "TimeCreated",
    "Provider_Name",
    "CallTrace",
];
/// Endings of names whose values are never observables. The namespace of an XML document (`Event.#attributes.xmlns`) is a
/// name that nobody visits, in the form of a URL.
const NOTHING_ENDINGS: &[&str] = &["Guid", "GUID", "xmlns"];
