//! Every name once: machines, accounts, programs, observables, titles, as small numbers.
//!
//! A million detections name a few hundred thousand things. A name is compared by what it is of and its value; it is shown
//! in the first of its spellings in the order of their bytes, so that it does not matter which was seen first.

use std::hash::{BuildHasher, Hash};
use std::num::NonZeroU32;

use cresset_event::ObservableKind;
use hashbrown::HashTable;
use serde::{Deserialize, Serialize};

use crate::assets::{Asset, Assets};
use crate::keys::{Key, KeyKind};

/// A name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Sym(NonZeroU32);

impl Sym {
    fn of(place: usize) -> Self {
        let number = u32::try_from(place + 1).ok().and_then(NonZeroU32::new);
        Self(number.expect("four thousand million names do not fit in memory"))
    }

    pub(crate) fn place(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// What is known of a name.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Name {
    pub(crate) kind: KeyKind,
    pub(crate) links: bool,
    value: Box<str>,
    /// How it is written, where that is not its value.
    shown: Option<Box<str>>,
    /// Which asset it is.
    #[serde(skip)]
    asset: Option<u32>,
}

impl Name {
    pub(crate) fn shown(&self) -> &str {
        self.shown.as_deref().unwrap_or(&self.value)
    }

    fn is(&self, key: &Key<'_>) -> bool {
        self.kind == key.kind && self.links == key.links && *self.value == *key.value
    }
}

/// All names.
#[derive(Debug, Default)]
pub(crate) struct Names {
    all: Vec<Name>,
    by_key: HashTable<Sym>,
    hasher: foldhash::fast::FixedState,
    assets: Assets,
}

impl Names {
    pub(crate) fn new(assets: Assets) -> Self {
        Self { assets, ..Self::default() }
    }

    /// Returns these names, in their order; no assets are known.
    pub(crate) fn of(all: Vec<Name>) -> Self {
        let mut names = Self::default();
        for name in all {
            names.put(name);
        }
        names
    }

    /// Returns all names, in their order.
    pub(crate) fn all(&self) -> &[Name] {
        &self.all
    }

    pub(crate) fn get(&self, sym: Sym) -> &Name {
        &self.all[sym.place()]
    }

    pub(crate) fn shown(&self, sym: Sym) -> &str {
        self.get(sym).shown()
    }

    /// Returns what names are put in order by: what is compared, not how it is written, which may change.
    pub(crate) fn order(&self, sym: Sym) -> (&str, bool) {
        let name = self.get(sym);
        (&name.value, name.links)
    }

    /// Returns the asset that a machine or an address is.
    pub(crate) fn asset(&self, sym: Sym) -> Option<&Asset> {
        self.get(sym).asset.map(|place| self.assets.at(place))
    }

    /// Returns the number of a name, a new one where it was never seen.
    pub(crate) fn sym(&mut self, key: &Key<'_>) -> Sym {
        let hash = hash_of(&self.hasher, key.kind, key.links, &key.value);
        let known = self.by_key.find(hash, |sym| self.all[sym.place()].is(key));
        let sym = known.copied().unwrap_or_else(|| self.push(key));
        let name = &mut self.all[sym.place()];
        if key.shown < name.shown() {
            name.shown = (*key.shown != *name.value).then(|| key.shown.into());
        }
        sym
    }

    fn push(&mut self, key: &Key<'_>) -> Sym {
        let asset = place_of_asset(&self.assets, key.kind, &key.value);
        let shown = (*key.shown != *key.value).then(|| key.shown.into());
        self.put(Name { kind: key.kind, links: key.links, value: (*key.value).into(), shown, asset })
    }

    /// Puts a name that is not there behind all others, and returns its number.
    fn put(&mut self, name: Name) -> Sym {
        let sym = Sym::of(self.all.len());
        self.all.push(name);
        let (all, hasher) = (&self.all, &self.hasher);
        let hash = |sym: &Sym| {
            let name = &all[sym.place()];
            hash_of(hasher, name.kind, name.links, &name.value)
        };
        self.by_key.insert_unique(hash(&sym), sym, hash);
        sym
    }

    /// Returns the assets.
    pub(crate) fn assets(&self) -> &Assets {
        &self.assets
    }

    /// Takes other assets for all names.
    pub(crate) fn set_assets(&mut self, assets: Assets) {
        self.assets = assets;
        for name in &mut self.all {
            name.asset = place_of_asset(&self.assets, name.kind, &name.value);
        }
    }

    /// Forgets names that nothing uses any more, and returns the new number of each that stays. Their order stays.
    pub(crate) fn keep(&mut self, used: &[bool]) -> Vec<Option<Sym>> {
        let old = std::mem::take(&mut self.all);
        self.by_key.clear();
        let mut moved = Vec::with_capacity(old.len());
        for (place, name) in old.into_iter().enumerate() {
            moved.push(used[place].then(|| self.put(name)));
        }
        self.all.shrink_to_fit();
        moved
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }
}

fn hash_of(hasher: &impl BuildHasher, kind: KeyKind, links: bool, value: &str) -> u64 {
    struct Parts<'p>(KeyKind, bool, &'p str);

    impl Hash for Parts<'_> {
        fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
            (self.0, self.1, self.2).hash(state);
        }
    }

    hasher.hash_one(Parts(kind, links, value))
}

fn place_of_asset(assets: &Assets, kind: KeyKind, value: &str) -> Option<u32> {
    match kind {
        KeyKind::Host => assets.place_of_host(value),
        KeyKind::Observable(ObservableKind::Ipv4 | ObservableKind::Ipv6) => {
            value.parse().ok().and_then(|address| assets.place_of_address(address))
        }
        _ => None,
    }
}
