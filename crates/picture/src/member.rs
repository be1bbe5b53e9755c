//! What is kept of a detection: enough to work out its incident again without the others, in some hundred bytes.

use std::collections::HashMap;
use std::sync::Arc;

use cresset_detect::{DetectionId, Level, TACTICS, WarningList};
use cresset_event::Timestamp;
use serde::{Deserialize, Serialize};

use crate::facts::{Facts, OBSERVABLES_MAX};
use crate::keys::Key;
use crate::names::{Names, Sym};
use crate::saved::packed;

/// The place of a detection among all that are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Slot(pub(crate) u32);

/// The place of an incident among all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Place(pub(crate) u32);

/// A detection.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Member {
    #[serde(with = "packed")]
    pub(crate) id: DetectionId,
    #[serde(with = "packed")]
    pub(crate) time: Timestamp,
    #[serde(with = "packed")]
    pub(crate) arrived: Timestamp,
    pub(crate) cause: u32,
    pub(crate) host: Option<Sym>,
    pub(crate) user: Option<Sym>,
    pub(crate) process: Option<Sym>,
    pub(crate) observables: Box<[Sym]>,
    /// The incident that it is in.
    pub(crate) place: Place,
}

impl Member {
    /// Returns what is kept of a detection. It is in no incident yet.
    pub(crate) fn of(facts: &Facts, names: &mut Names, causes: &mut Causes, warnings: &WarningList) -> Self {
        let host = Key::of_host(facts);
        let process = Key::of_process(facts, host.as_ref());
        let seen = facts.observables.iter().take(OBSERVABLES_MAX);
        let seen = seen.filter_map(|seen| Key::of_observable(seen, facts, warnings));
        let mut observables: Vec<Sym> = seen.map(|key| names.sym(&key)).collect();
        observables.sort_unstable();
        observables.dedup();
        Self {
            id: facts.id,
            time: facts.time,
            arrived: facts.arrived,
            cause: causes.number(Cause::of(facts, names)),
            observables: observables.into_boxed_slice(),
            host: host.map(|key| names.sym(&key)),
            user: Key::of_user(facts).map(|key| names.sym(&key)),
            process: process.map(|key| names.sym(&key)),
            place: Place(u32::MAX),
        }
    }

    /// Returns all that it names.
    pub(crate) fn syms(&self) -> impl Iterator<Item = Sym> {
        let single = [self.host, self.user, self.process].into_iter().flatten();
        single.chain(self.observables.iter().copied())
    }

    /// Returns what it may have in common with others.
    pub(crate) fn keys(&self, names: &Names) -> impl Iterator<Item = Sym> {
        self.syms().filter(|sym| names.get(*sym).links)
    }

    /// Returns where it happened, and the addresses that it names.
    pub(crate) fn touched(&self) -> impl Iterator<Item = Sym> {
        self.host.into_iter().chain(self.observables.iter().copied())
    }

    /// Gives each name its new number.
    pub(crate) fn renumber(&mut self, number: impl Fn(Sym) -> Sym) {
        for sym in [&mut self.host, &mut self.user, &mut self.process] {
            *sym = sym.map(&number);
        }
        self.observables.iter_mut().for_each(|sym| *sym = number(*sym));
    }
}

/// What found a detection: the same for all that a rule or an indicator finds.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Cause {
    pub(crate) title: Sym,
    #[serde(with = "packed")]
    pub(crate) level: Level,
    pub(crate) tactics: Box<[Sym]>,
    pub(crate) techniques: Box<[Sym]>,
    /// The place of the latest tactic in [`TACTICS`].
    pub(crate) latest_tactic: Option<usize>,
}

impl Cause {
    fn of(facts: &Facts, names: &mut Names) -> Self {
        let place = |name: &String| TACTICS.iter().position(|(_, tactic)| tactic == name);
        let mut syms = |texts: &[String]| {
            let mut syms: Vec<Sym> = texts.iter().map(|text| names.sym(&Key::of_text(text))).collect();
            syms.sort_unstable();
            syms.dedup();
            syms.into_boxed_slice()
        };
        Self {
            tactics: syms(&facts.tactics),
            techniques: syms(&facts.techniques),
            latest_tactic: facts.tactics.iter().filter_map(place).max(),
            title: names.sym(&Key::of_text(&facts.title)),
            level: facts.level,
        }
    }

    fn syms_mut(&mut self) -> impl Iterator<Item = &mut Sym> {
        std::iter::once(&mut self.title).chain(self.tactics.iter_mut()).chain(self.techniques.iter_mut())
    }

    fn syms(&self) -> impl Iterator<Item = Sym> {
        std::iter::once(self.title).chain(self.tactics.iter().copied()).chain(self.techniques.iter().copied())
    }
}

/// Everything that ever found something, each once. It is not forgotten: there are no more than rules and indicators.
#[derive(Debug, Default)]
pub(crate) struct Causes {
    all: Vec<Arc<Cause>>,
    numbers: HashMap<Arc<Cause>, u32, foldhash::fast::FixedState>,
}

impl Causes {
    /// Returns these, in their order.
    pub(crate) fn of(all: Vec<Cause>) -> Self {
        let mut causes = Self::default();
        (0..).zip(all).for_each(|(number, cause)| causes.push(Arc::new(cause), number));
        causes
    }

    /// Returns all, in their order.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Cause> {
        self.all.iter().map(|cause| &**cause)
    }

    pub(crate) fn get(&self, number: u32) -> &Cause {
        &self.all[number as usize]
    }

    fn number(&mut self, cause: Cause) -> u32 {
        if let Some(number) = self.numbers.get(&cause) {
            return *number;
        }
        let number = u32::try_from(self.all.len()).expect("fewer than four thousand million causes fit in memory");
        self.push(Arc::new(cause), number);
        number
    }

    fn push(&mut self, cause: Arc<Cause>, number: u32) {
        self.numbers.insert(Arc::clone(&cause), number);
        self.all.push(cause);
    }

    /// Returns all that they name.
    pub(crate) fn syms(&self) -> impl Iterator<Item = Sym> {
        self.all.iter().flat_map(|cause| cause.syms())
    }

    /// Gives each name its new number.
    pub(crate) fn renumber(&mut self, number: impl Fn(Sym) -> Sym) {
        self.numbers.clear();
        for (cause, at) in std::mem::take(&mut self.all).into_iter().zip(0..) {
            let mut cause = Arc::unwrap_or_clone(cause);
            cause.syms_mut().for_each(|sym| *sym = number(*sym));
            self.push(Arc::new(cause), at);
        }
    }
}
