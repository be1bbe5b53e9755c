//! What is ours and what it is worth: a list of machines and address ranges that a person keeps, as TOML or as CSV.
//!
//! A machine is found by its name, whatever the case, in its short form where the list or the log has no other (`dc01` is
//! `dc01.corp.example`, `dc01.corp.example` is not `dc01.other.example`); an address by the narrowest range that it lies in.
//! A list with an error is refused whole, with the line: half a list would call the other half worth nothing.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use cresset_event::{Network, ObservableKind, fold};
use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::keys::host_of_url;

/// Most assets of a list. A large ministry has a hundred thousand machines; those of normal value need not be listed.
pub const ASSETS_MAX: usize = 1_000_000;

/// What an asset is worth to the mission. Ordered: `Vital` is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AssetValue {
    /// Nobody misses it: a laboratory, a guest network.
    Low,
    /// What is in no list.
    #[default]
    Normal,
    /// Many depend on it.
    High,
    /// Without it the mission fails, or all else falls with it: a domain controller.
    Vital,
}

impl AssetValue {
    /// Every value, the least first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Normal, Self::High, Self::Vital];

    /// Returns its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Vital => "vital",
        }
    }
}

impl fmt::Display for AssetValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for AssetValue {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|value| value.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| format!("`{text}` is no value of an asset; write low, normal, high or vital"))
    }
}

/// A machine, or a range of addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    /// Its name, for a machine its host name.
    pub name: String,
    /// Its addresses, and ranges of them.
    pub addresses: Vec<Network>,
    /// Whom to call.
    pub owner: Option<String>,
    /// What it is worth.
    pub value: AssetValue,
}

/// Why a list of assets is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct AssetsError {
    /// The line, counted from 1.
    pub line: u64,
    /// What is wrong there, and what to do.
    pub reason: String,
}

/// The assets, by name and address.
#[derive(Debug, Clone, Default)]
pub struct Assets {
    all: Vec<Asset>,
    by_name: HashMap<String, u32>,
    /// The first labels of names that have several, for logs that have no more.
    by_first_label: HashMap<String, u32>,
    by_network: HashMap<Network, u32>,
    /// The lengths that ranges have, the longest last: (whether IPv4, bits).
    prefixes: BTreeSet<(bool, u8)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default, rename = "asset")]
    assets: Vec<Spanned<Row>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    #[serde(default)]
    addresses: Vec<String>,
    owner: Option<String>,
    value: Option<String>,
}

impl Assets {
    /// Returns a list without any: everything is of normal value.
    pub fn new() -> Self {
        Self::default()
    }

    /// Parses tables `[[asset]]` with `name`, and where wanted `addresses`, `owner` and `value`.
    pub fn from_toml(text: &str) -> Result<Self, AssetsError> {
        let line_of = |at: usize| text[..at.min(text.len())].matches('\n').count() as u64 + 1;
        let table: Table = toml::from_str(text).map_err(|error| AssetsError {
            line: error.span().map_or(1, |span| line_of(span.start)),
            reason: format!("{}; an asset is `[[asset]]` with name, addresses = [], owner, value", error.message()),
        })?;
        let mut assets = Self::new();
        for row in table.assets {
            let line = line_of(row.span().start);
            assets.take(row.into_inner()).map_err(|reason| AssetsError { line, reason })?;
        }
        Ok(assets)
    }

    /// Parses CSV whose first line names the columns: `name`, and in any order `addresses` (several divided by spaces or `;`),
    /// `owner` and `value`.
    pub fn from_csv(text: &str) -> Result<Self, AssetsError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
        let columns = Columns::of(reader.headers().map_err(|error| refused(&error))?)?;
        let mut assets = Self::new();
        for record in reader.records() {
            let record = record.map_err(|error| refused(&error))?;
            let line = record.position().map_or(1, csv::Position::line);
            assets.take(columns.row(&record)).map_err(|reason| AssetsError { line, reason })?;
        }
        Ok(assets)
    }

    fn take(&mut self, row: Row) -> Result<(), String> {
        let network = |text: &String| {
            Network::parse(text)
                .ok_or_else(|| format!("`{text}` is no address; write 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32"))
        };
        let value = row.value.filter(|value| !value.is_empty()).map(|value| value.parse()).transpose()?;
        self.add(Asset {
            addresses: row.addresses.iter().map(network).collect::<Result<_, _>>()?,
            owner: row.owner.filter(|owner| !owner.is_empty()),
            value: value.unwrap_or_default(),
            name: row.name,
        })
    }

    fn add(&mut self, asset: Asset) -> Result<(), String> {
        let place = u32::try_from(self.all.len()).ok().filter(|_| self.all.len() < ASSETS_MAX);
        let place = place.ok_or(format!("more than {ASSETS_MAX} assets; those of normal value need not be listed"))?;
        let name = fold(asset.name.trim().trim_end_matches('.'));
        if name.is_empty() {
            return Err("an asset without a name; give it its host name".into());
        }
        if let Some((label, _)) = name.split_once('.').filter(|_| name.parse::<IpAddr>().is_err()) {
            let value = asset.value;
            let known = *self.by_first_label.entry(label.to_owned()).or_insert(place);
            if self.all.get(known as usize).is_some_and(|known| known.value < value) {
                self.by_first_label.insert(label.to_owned(), place);
            }
        }
        for network in &asset.addresses {
            self.prefixes.insert((network.address.is_ipv4(), network.prefix_bits));
            if let Some(other) = self.by_network.insert(*network, place).filter(|other| *other != place) {
                let other = &self.all[other as usize].name;
                return Err(format!("{network} is listed for `{other}` already; leave it with one of them"));
            }
        }
        if self.by_name.insert(name, place).is_some() {
            return Err(format!("`{}` is listed twice; put its addresses into one entry", asset.name));
        }
        self.all.push(asset);
        Ok(())
    }

    /// Returns the asset of a machine's name, or of its address where it goes by that.
    pub fn of_host(&self, host: &str) -> Option<&Asset> {
        self.place_of_host(&fold(host.trim().trim_end_matches('.'))).map(|place| self.at(place))
    }

    /// Returns the asset in whose narrowest range an address lies.
    pub fn of_address(&self, address: IpAddr) -> Option<&Asset> {
        self.place_of_address(address).map(|place| self.at(place))
    }

    /// Returns whether an observable is one of them: an address, or a name in full, for others have machines of the same short
    /// name; also in a URL or an e-mail address.
    pub(crate) fn owns(&self, kind: ObservableKind, value: &str) -> bool {
        match kind {
            ObservableKind::Ipv4 | ObservableKind::Ipv6 => {
                value.parse().is_ok_and(|address| self.place_of_address(address).is_some())
            }
            ObservableKind::Domain => self.by_name.contains_key(value),
            ObservableKind::Url => host_of_url(value).is_some_and(|(kind, host)| self.owns(kind, host)),
            ObservableKind::Email => {
                value.rsplit_once('@').is_some_and(|(_, domain)| self.by_name.contains_key(domain))
            }
            _ => false,
        }
    }

    pub(crate) fn place_of_host(&self, folded: &str) -> Option<u32> {
        if let Some(place) = self.by_name.get(folded) {
            return Some(*place);
        }
        if let Ok(address) = folded.parse() {
            return self.place_of_address(address);
        }
        match folded.split_once('.') {
            Some((label, _)) => self.by_name.get(label).copied(),
            None => self.by_first_label.get(folded).copied(),
        }
    }

    pub(crate) fn place_of_address(&self, address: IpAddr) -> Option<u32> {
        let whole = Network::of(address, u8::MAX);
        let is_ipv4 = whole.address.is_ipv4();
        let lengths = self.prefixes.range((is_ipv4, 0)..=(is_ipv4, u8::MAX)).rev();
        let ranges = lengths.map(|(_, bits)| Network::of(whole.address, *bits));
        ranges.into_iter().find_map(|range| self.by_network.get(&range).copied())
    }

    pub(crate) fn at(&self, place: u32) -> &Asset {
        &self.all[place as usize]
    }

    /// Returns all assets, in the order of the list.
    pub fn iter(&self) -> impl Iterator<Item = &Asset> {
        self.all.iter()
    }
}

/// Where the columns stand.
struct Columns {
    name: usize,
    addresses: Option<usize>,
    owner: Option<usize>,
    value: Option<usize>,
}

impl Columns {
    fn of(header: &csv::StringRecord) -> Result<Self, AssetsError> {
        let refuse = |reason: String| AssetsError { line: 1, reason };
        let known = ["name", "addresses", "owner", "value"];
        if let Some(other) = header.iter().find(|column| !known.contains(column)) {
            return Err(refuse(format!("`{other}` is no column; they are name, addresses, owner and value")));
        }
        let at = |wanted: &str| header.iter().position(|column| column == wanted);
        let name = at("name").ok_or_else(|| refuse("no column `name`; the first line names the columns".into()))?;
        Ok(Self { name, addresses: at("addresses"), owner: at("owner"), value: at("value") })
    }

    fn row(&self, record: &csv::StringRecord) -> Row {
        let cell = |at: Option<usize>| at.and_then(|at| record.get(at)).map(String::from);
        let addresses = cell(self.addresses).unwrap_or_default();
        Row {
            name: cell(Some(self.name)).unwrap_or_default(),
            addresses: addresses.split([' ', ';']).filter(|part| !part.is_empty()).map(String::from).collect(),
            owner: cell(self.owner),
            value: cell(self.value),
        }
    }
}

fn refused(error: &csv::Error) -> AssetsError {
    let reason = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} columns where the first line names {expected_len}; quote cells that hold commas")
        }
        _ => format!("{error}; write CSV as RFC 4180 has it, in UTF-8"),
    };
    AssetsError { line: error.position().map_or(1, csv::Position::line), reason }
}
