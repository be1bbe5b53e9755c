//! What a centre is told by its operator: a file in TOML, or nothing at all.
//!
//! Two stages: what stands in the file ([`Config::parse`]), and what is wrong with it ([`Config::check`]), each with place and
//! remedy. Without a file everything has a value that works on one machine: a folder here, and loopback.

mod feeds;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use self::feeds::{Feed, Outbound};
pub(crate) use self::feeds::{Plan, PlannedFeed};

/// The example that `cresset config example` writes: every setting, with its default.
pub const EXAMPLE: &str = include_str!("config/example.toml");

/// What a centre is told.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where everything lies that the centre keeps.
    pub data: PathBuf,
    /// Where API and pages are served.
    pub listen: SocketAddr,
    /// Threads that match events; one a core where none is named.
    pub threads: Option<usize>,
    /// Certificates.
    pub tls: Tls,
    /// Rules.
    pub rules: Paths,
    /// Indicators.
    pub indicators: Paths,
    /// Indicators that are fetched.
    pub feeds: Vec<Feed>,
    /// Where the centre may go for them.
    pub outbound: Outbound,
    /// The archive.
    pub archive: Archive,
    /// Where logs come from.
    pub intake: Intake,
    /// Files that people keep.
    pub evidence: Evidence,
    /// How often one may ask.
    pub limits: Limits,
    /// What is worth protecting: a file in TOML or CSV.
    pub assets: Option<PathBuf>,
    /// The file that this stands in, which backups keep as well.
    #[serde(skip)]
    pub file: Option<PathBuf>,
}

/// Files that people keep as evidence.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Evidence {
    /// How long a file may be, in bytes.
    pub bytes_max: u64,
}

impl Default for Evidence {
    fn default() -> Self {
        Self { bytes_max: 1 << 30 }
    }
}

/// How often one may ask, and be wrong.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests a second of one token; twice as many at once.
    pub requests_a_second: u32,
    /// Tokens that are none at once of one address; after that one in ten seconds.
    pub wrong_tokens: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { requests_a_second: 200, wrong_tokens: 10 }
    }
}

/// Certificates for the API, the pages and syslog over TLS.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// Whether API and pages are served over TLS. Off loopback they always are.
    pub on: bool,
    /// The chain of certificates, in PEM. Without one the centre makes its own.
    pub certificate: Option<PathBuf>,
    /// The key to it, in PEM.
    pub key: Option<PathBuf>,
    /// Names by which the centre is reached, for the certificate that it makes.
    pub names: Vec<String>,
}

/// Files and folders that are looked at again as they change.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Paths {
    /// Beside the folder of that name in the centre's own.
    pub paths: Vec<PathBuf>,
}

/// What is remembered of events.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Archive {
    /// Leaves out the raw records.
    pub fields_only: bool,
}

/// Where logs come from, beside HTTP.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Intake {
    /// Files and folders that are followed.
    pub follow: Vec<String>,
    /// Syslog over UDP (RFC 5426).
    pub syslog_udp: Option<SocketAddr>,
    /// Syslog over TCP (RFC 6587).
    pub syslog_tcp: Option<SocketAddr>,
    /// Syslog over TLS (RFC 5425).
    pub syslog_tls: Option<SocketAddr>,
    /// Longest body of a request, in bytes, before and after it is unpacked.
    pub body_bytes_max: usize,
    /// Most bytes that were taken in and are not on the disk yet; more is refused with 429.
    pub waiting_bytes_max: usize,
    /// After so many seconds without an event a source that gave some counts as fallen silent; 0: never.
    pub silent_after_seconds: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: "cresset-data".into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 8420)),
            threads: None,
            tls: Tls::default(),
            rules: Paths::default(),
            indicators: Paths::default(),
            feeds: Vec::new(),
            outbound: Outbound::default(),
            archive: Archive::default(),
            intake: Intake::default(),
            evidence: Evidence::default(),
            limits: Limits::default(),
            assets: None,
            file: None,
        }
    }
}

impl Default for Intake {
    fn default() -> Self {
        Self {
            follow: Vec::new(),
            syslog_udp: None,
            syslog_tcp: None,
            syslog_tls: None,
            body_bytes_max: 32 << 20,
            waiting_bytes_max: 256 << 20,
            silent_after_seconds: 3600,
        }
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read `{}`", .file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What the system said.
        #[source]
        cause: std::io::Error,
    },
    /// The file is no configuration.
    #[error("`{}` is no configuration; `cresset config example` shows one", .file.display())]
    Syntax {
        /// The file.
        file: PathBuf,
        /// What is wrong, with its line.
        #[source]
        cause: toml::de::Error,
    },
}

impl Config {
    /// Reads a file. Paths in it are taken from its folder.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(file).map_err(|cause| ConfigError::Io { file: file.to_owned(), cause })?;
        let mut config = Self::parse(&text).map_err(|cause| ConfigError::Syntax { file: file.to_owned(), cause })?;
        config.take_paths_from(file.parent().unwrap_or(Path::new("")));
        config.file = Some(file.to_owned());
        Ok(config)
    }

    /// Reads the text of a file.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    fn take_paths_from(&mut self, folder: &Path) {
        let paths = [&mut self.data].into_iter().chain(&mut self.tls.certificate).chain(&mut self.tls.key);
        let paths = paths.chain(&mut self.rules.paths).chain(&mut self.indicators.paths).chain(&mut self.assets);
        let feeds = self.feeds.iter_mut().flat_map(|feed| feed.ca.iter_mut().chain(&mut feed.credentials));
        let paths = paths.chain(&mut self.outbound.ca).chain(&mut self.outbound.proxy_credentials).chain(feeds);
        paths.for_each(|path| *path = folder.join(&*path));
    }

    /// Returns whether API and pages are served over TLS: always, but on loopback.
    pub fn is_tls(&self) -> bool {
        self.tls.on || self.tls.certificate.is_some() || !self.listen.ip().is_loopback()
    }

    /// Returns everything that is wrong with it, each with its remedy; nothing is opened but the files that it names.
    pub fn check(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        if self.tls.certificate.is_some() != self.tls.key.is_some() {
            wrong.push("tls: a certificate needs its key, and a key its certificate: name both, or neither".into());
        }
        let files = [
            ("tls.certificate", &self.tls.certificate),
            ("tls.key", &self.tls.key),
            ("assets", &self.assets),
            ("outbound.ca", &self.outbound.ca),
            ("outbound.proxy_credentials", &self.outbound.proxy_credentials),
        ];
        let feeds = self.feeds.iter();
        let of_feeds = feeds.flat_map(|feed| [("feeds.ca", &feed.ca), ("feeds.credentials", &feed.credentials)]);
        for (setting, file) in files.into_iter().chain(of_feeds) {
            if let Some(file) = file.as_ref().filter(|file| !file.is_file()) {
                wrong.push(format!("{setting}: there is no file `{}`", file.display()));
            }
        }
        for (setting, paths) in [("rules.paths", &self.rules.paths), ("indicators.paths", &self.indicators.paths)] {
            for path in paths.iter().filter(|path| !path.exists()) {
                wrong.push(format!("{setting}: there is no file or folder `{}`", path.display()));
            }
        }
        if self.threads == Some(0) {
            wrong.push("threads: at least one is needed; leave it out for one a core".into());
        }
        if self.intake.waiting_bytes_max < self.intake.body_bytes_max || self.intake.body_bytes_max == 0 {
            wrong.push("intake: waiting_bytes_max must be at least body_bytes_max, and that more than 0".into());
        }
        if self.limits.requests_a_second == 0 || self.limits.wrong_tokens == 0 {
            wrong.push("limits: at least one of each is needed".into());
        }
        if self.intake.waiting_bytes_max > u32::MAX as usize {
            wrong.push("intake: waiting_bytes_max must be below 4 GiB".into());
        }
        wrong.extend(Plan::of(self).err().into_iter().flatten());
        wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_says_what_holds_without_one() {
        let example = Config::parse(EXAMPLE).expect("a configuration");
        assert_eq!(format!("{example:?}"), format!("{:?}", Config::default()));
        assert_eq!(example.check(), Vec::<String>::new());
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let error = Config::parse("listen = \"127.0.0.1:1\"\nlisten_on = 2\n").expect_err("an unknown setting");
        assert!(error.to_string().contains("line 2") && error.to_string().contains("listen_on"), "{error}");
        let config = Config::parse("assets = \"none.toml\"\n[tls]\nkey = \"k.pem\"\n").expect("a configuration");
        let wrong = config.check().join("\n");
        for part in ["a key its certificate", "tls.key: there is no file `k.pem`", "assets: there is no file"] {
            assert!(wrong.contains(part), "{wrong}");
        }
    }

    #[test]
    fn off_loopback_nothing_is_served_in_clear() {
        let config = |listen: &str| Config::parse(&format!("listen = \"{listen}\"")).expect("a configuration");
        assert!(config("0.0.0.0:1").is_tls() && config("[::]:1").is_tls() && config("192.0.2.1:1").is_tls());
        assert!(!config("127.0.0.1:1").is_tls() && !config("[::1]:1").is_tls());
    }
}
