//! Feeds that are fetched, and where the centre may go for them: what stands in the configuration, and what is wrong with it.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use cresset_outbound::{Authorities, Destination, Permit, Proxy, Scheme};
use serde::Deserialize;

use super::Config;

/// Longest name of a feed: it names a file.
const NAME_BYTES_MAX: usize = 64;

/// Where the centre may go for what somebody typed, beside the public net.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Outbound {
    /// Addresses, networks and names that may be gone to though they are private.
    pub private: Vec<String>,
    /// Hosts that are spoken to in clear.
    pub clear: Vec<String>,
    /// A proxy that everything goes through but what is private.
    pub proxy: Option<String>,
    /// A file with the `name:password` that lets us in there, read each time.
    pub proxy_credentials: Option<PathBuf>,
    /// Authorities that are believed beside the system's, in PEM.
    pub ca: Option<PathBuf>,
}

/// A feed of indicators that is fetched.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feed {
    /// What it is called: letters, digits, `.`, `_` and `-`.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// How often it is asked for, in seconds.
    #[serde(default = "an_hour")]
    pub every_seconds: u64,
    /// Longest answer that is taken, in bytes, as it comes and unpacked.
    #[serde(default = "a_quarter_gibibyte")]
    pub bytes_max: u64,
    /// Authorities that are believed for it alone, in PEM.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// A file with the secret that lets us in, read each time.
    #[serde(default)]
    pub credentials: Option<PathBuf>,
    /// `bearer`, `basic` (the file has `name:password`) or the name of a header.
    #[serde(default = "bearer")]
    pub credentials_as: String,
}

fn an_hour() -> u64 {
    3600
}

fn a_quarter_gibibyte() -> u64 {
    256 << 20
}

fn bearer() -> String {
    "bearer".into()
}

/// Feeds as they are fetched: read, and fit to be.
pub(crate) struct Plan {
    pub(crate) permit: Permit,
    /// With the file of its name and password.
    pub(crate) proxy: Option<(Proxy, Option<PathBuf>)>,
    pub(crate) feeds: Vec<PlannedFeed>,
}

/// A feed as it is fetched.
pub(crate) struct PlannedFeed {
    pub(crate) name: String,
    pub(crate) to: Destination,
    pub(crate) every: Duration,
    pub(crate) bytes_max: u64,
    pub(crate) authorities: Authorities,
    /// The file with the secret, and how that is sent.
    pub(crate) credentials: Option<(PathBuf, Scheme)>,
}

impl Plan {
    /// Reads what stands in the configuration; returns everything that is wrong with it. Nothing is opened.
    pub(crate) fn of(config: &Config) -> Result<Self, Vec<String>> {
        let outbound = &config.outbound;
        let permit = Permit::parse(&outbound.private, &outbound.clear);
        let permit = permit.map_err(|error| vec![format!("outbound: {error}")])?;
        let proxy = outbound.proxy.as_deref().map(Proxy::parse).transpose();
        let proxy = proxy.map_err(|_| vec!["outbound.proxy: write http://proxy.example:3128".to_owned()])?;
        if proxy.is_none() && outbound.proxy_credentials.is_some() {
            return Err(vec!["outbound.proxy_credentials: there is no proxy; name it with `proxy`".to_owned()]);
        }
        let proxy = proxy.map(|proxy| (proxy, outbound.proxy_credentials.clone()));
        let (mut feeds, mut wrong, mut names) = (Vec::new(), Vec::new(), HashSet::new());
        for feed in &config.feeds {
            match PlannedFeed::of(feed, &permit, outbound.ca.as_ref()) {
                Ok(planned) => feeds.push(planned),
                Err(why) => wrong.push(format!("feeds: `{}`: {why}", feed.name.escape_debug())),
            }
            // Two names that differ in their case alone are one file on some systems.
            if !names.insert(feed.name.to_ascii_lowercase()) {
                wrong.push(format!("feeds: two are called `{}`", feed.name.escape_debug()));
            }
        }
        if wrong.is_empty() { Ok(Self { permit, proxy, feeds }) } else { Err(wrong) }
    }
}

impl PlannedFeed {
    fn of(feed: &Feed, permit: &Permit, ca: Option<&PathBuf>) -> Result<Self, String> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let is_name = feed.name.bytes().all(is_plain) && feed.name.starts_with(|first: char| first.is_alphanumeric());
        if !is_name || feed.name.len() > NAME_BYTES_MAX {
            return Err("a name is made of letters, digits, `.`, `_` and `-`, and begins with one of the former".into());
        }
        if feed.every_seconds == 0 || feed.bytes_max == 0 {
            return Err("every_seconds and bytes_max must be more than 0".into());
        }
        let to = Destination::parse(&feed.url, permit).map_err(|refused| refused.to_string())?;
        let scheme = Scheme::parse(&feed.credentials_as).map_err(|error| error.to_string())?;
        if feed.credentials.is_some() && !to.is_tls() {
            return Err("credentials are not sent in clear: write https://".into());
        }
        let authorities = match (&feed.ca, ca) {
            (Some(own), _) => Authorities::Only(own.clone()),
            (None, Some(ca)) => Authorities::SystemAnd(ca.clone()),
            (None, None) => Authorities::System,
        };
        Ok(Self {
            name: feed.name.clone(),
            to,
            every: Duration::from_secs(feed.every_seconds),
            bytes_max: feed.bytes_max,
            authorities,
            credentials: feed.credentials.clone().map(|file| (file, scheme)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(config: &str) -> String {
        Config::parse(config).expect("a configuration").check().join("\n")
    }

    fn feed(lines: &str) -> String {
        format!("[[feeds]]\nname = \"f\"\nurl = \"https://feeds.example/list\"\n{lines}\n")
    }

    #[test]
    fn a_feed_needs_a_name_and_an_address() {
        let config = Config::parse(&feed("")).expect("a configuration");
        assert_eq!(config.check(), Vec::<String>::new());
        let plan = Plan::of(&config).unwrap_or_else(|wrong| panic!("{wrong:?}"));
        assert_eq!((plan.feeds[0].every, plan.feeds[0].bytes_max), (Duration::from_secs(3600), 256 << 20));
        assert!(Config::parse("[[feeds]]\nname = \"f\"\n").is_err());
    }

    #[test]
    fn what_is_wrong_with_a_feed_is_told_with_its_remedy() {
        for (config, part) in [
            (feed("every_seconds = 0"), "must be more than 0"),
            (feed("credentials_as = \"no header\""), "write bearer, basic or a name"),
            (feed("ca = \"none.pem\""), "feeds.ca: there is no file `none.pem`"),
            (feed("credentials = \"none\""), "feeds.credentials: there is no file `none`"),
            (feed("") + &feed(""), "two are called `f`"),
            (feed("").replace("\"f\"", "\"../f\""), "a name is made of letters"),
            (feed("").replace("\"f\"", "\".f\""), "a name is made of letters"),
            (feed("").replace("https", "http"), "list `feeds.example` under `clear`"),
            (feed("").replace("feeds.example", "127.0.0.1:8443"), "list 127.0.0.1 under `private`"),
            (feed("").replace("feeds.example", "u:p@feeds.example"), "write them in a file"),
            ("[outbound]\nprivate = [\"*.example\"]".into(), "outbound: `*.example` is no address"),
            ("[outbound]\nproxy = \"proxy:3128\"".into(), "outbound.proxy: write http://"),
            ("[outbound]\nca = \"none.pem\"".into(), "outbound.ca: there is no file `none.pem`"),
            ("[outbound]\nproxy_credentials = \"none\"".into(), "outbound.proxy_credentials: there is no file `none`"),
            ("[outbound]\nproxy_credentials = \"none\"".into(), "outbound.proxy_credentials: there is no proxy"),
        ] {
            assert!(wrong(&config).contains(part), "{config}: {}", wrong(&config));
        }
        assert_eq!(
            wrong(&("[outbound]\nclear = [\"feeds.example\"]\n".to_owned() + &feed("").replace("https", "http"))),
            ""
        );
    }
}
