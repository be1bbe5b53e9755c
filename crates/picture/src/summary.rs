//! What a set of detections comes to: counted as they come, so that an incident is shown without looking at them again.
//!
//! Two summaries of disjoint sets add up to that of both, in any order.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use cresset_detect::{DetectionId, Level};
use cresset_event::Timestamp;
use serde::{Deserialize, Serialize};

use crate::assets::AssetValue;
use crate::incident::IncidentId;
use crate::member::{Cause, Causes, Member, Slot};
use crate::names::{Names, Sym};
use crate::priority::{Grounds, Priority};
use crate::saved::packed;
use crate::tally::Tally;

/// The detections of an incident, and what they come to.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// Those that are kept.
    pub(crate) members: Vec<Slot>,
    /// How many there are, with those that were forgotten.
    pub(crate) detections: u64,
    #[serde(with = "packed")]
    pub(crate) first: Timestamp,
    #[serde(with = "packed")]
    pub(crate) last: Timestamp,
    #[serde(with = "packed")]
    pub(crate) last_arrived: Timestamp,
    /// The first to arrive, and its event's time.
    pub(crate) opener: Opener,
    lead: Lead,
    hosts: Tally,
    users: Tally,
    tactics: Tally,
    techniques: Tally,
    titles: Tally,
    latest_tactic: Option<usize>,
    worth: Option<(AssetValue, Sym)>,
    /// Closed incidents that they have something in common with.
    pub(crate) follows: BTreeSet<IncidentId>,
}

/// The detection that opened an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Opener {
    #[serde(with = "packed")]
    pub(crate) arrived: Timestamp,
    #[serde(with = "packed")]
    pub(crate) id: DetectionId,
    #[serde(with = "packed")]
    pub(crate) time: Timestamp,
}

/// The detection that an incident is named for: of the highest level the earliest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Lead {
    #[serde(with = "packed")]
    level: Reverse<Level>,
    #[serde(with = "packed")]
    time: Timestamp,
    #[serde(with = "packed")]
    id: DetectionId,
    title: Sym,
    host: Option<Sym>,
}

impl Opener {
    fn of(member: &Member) -> Self {
        Self { arrived: member.arrived, id: member.id, time: member.time }
    }
}

impl Lead {
    fn of(member: &Member, cause: &Cause) -> Self {
        let Member { id, time, host, .. } = *member;
        Self { level: Reverse(cause.level), time, id, title: cause.title, host }
    }
}

/// Where detections and names are looked up.
#[derive(Clone, Copy)]
pub(crate) struct Books<'b> {
    pub(crate) names: &'b Names,
    pub(crate) causes: &'b Causes,
}

impl Summary {
    /// Returns the summary of one detection.
    pub(crate) fn of(slot: Slot, member: &Member, books: Books<'_>) -> Self {
        let mut summary = Self {
            members: Vec::new(),
            detections: 0,
            first: member.time,
            last: member.time,
            last_arrived: member.arrived,
            opener: Opener::of(member),
            lead: Lead::of(member, books.causes.get(member.cause)),
            hosts: Tally::default(),
            users: Tally::default(),
            tactics: Tally::default(),
            techniques: Tally::default(),
            titles: Tally::default(),
            latest_tactic: None,
            worth: None,
            follows: BTreeSet::new(),
        };
        summary.count(slot, member, books);
        summary
    }

    /// Takes in one more detection.
    pub(crate) fn count(&mut self, slot: Slot, member: &Member, Books { names, causes }: Books<'_>) {
        let cause = causes.get(member.cause);
        self.members.push(slot);
        self.detections += 1;
        self.first = self.first.min(member.time);
        self.last = self.last.max(member.time);
        self.last_arrived = self.last_arrived.max(member.arrived);
        self.opener = self.opener.min(Opener::of(member));
        self.lead = self.lead.min(Lead::of(member, cause));
        let counted: [(&mut Tally, &[Sym]); 5] = [
            (&mut self.hosts, member.host.as_slice()),
            (&mut self.users, member.user.as_slice()),
            (&mut self.tactics, &cause.tactics),
            (&mut self.techniques, &cause.techniques),
            (&mut self.titles, &[cause.title]),
        ];
        for (tally, syms) in counted {
            syms.iter().for_each(|sym| tally.add(*sym, 1, names));
        }
        self.latest_tactic = self.latest_tactic.max(cause.latest_tactic);
        self.worth = worthier(self.worth, worth_of(member, names), names);
    }

    /// Takes in another one; cheap where the other is the smaller.
    pub(crate) fn add(&mut self, other: Self, names: &Names) {
        self.members.extend(other.members);
        self.detections += other.detections;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.last_arrived = self.last_arrived.max(other.last_arrived);
        self.opener = self.opener.min(other.opener);
        self.lead = self.lead.min(other.lead);
        self.hosts.add_all(&other.hosts, names);
        self.users.add_all(&other.users, names);
        self.tactics.add_all(&other.tactics, names);
        self.techniques.add_all(&other.techniques, names);
        self.titles.add_all(&other.titles, names);
        self.latest_tactic = self.latest_tactic.max(other.latest_tactic);
        self.worth = worthier(self.worth, other.worth, names);
        self.follows.extend(other.follows);
    }

    /// Returns whether some of the detections are not kept any more.
    pub(crate) fn is_partial(&self) -> bool {
        self.detections > self.members.len() as u64
    }

    /// Works out again the most valuable thing that was touched, after assets changed.
    pub(crate) fn appraise(&mut self, members: &[Member], names: &Names) {
        let all = self.members.iter().map(|slot| worth_of(&members[slot.0 as usize], names));
        self.worth = all.fold(None, |worth, other| worthier(worth, other, names));
    }

    pub(crate) fn level(&self) -> Level {
        self.lead.level.0
    }

    pub(crate) fn priority(&self, names: &Names) -> Priority {
        Priority::of(Grounds {
            level: self.level(),
            worth: self.worth.map(|(value, sym)| (value, names.shown(sym))),
            tactics: self.tactics.len() as u64,
            latest_tactic: self.latest_tactic,
            hosts: self.hosts.len() as u64,
        })
    }

    /// Returns the title of the lead, and where it was: `… on DC01 and 3 more hosts`.
    pub(crate) fn title(&self, names: &Names) -> String {
        let title = names.shown(self.lead.title);
        let host = self.lead.host.or_else(|| self.hosts.top().first().map(|(sym, _)| *sym));
        let Some(host) = host else { return title.to_owned() };
        let host = names.shown(host);
        match self.hosts.len() - 1 {
            0 => format!("{title} on {host}"),
            1 => format!("{title} on {host} and 1 more host"),
            more => format!("{title} on {host} and {more} more hosts"),
        }
    }

    pub(crate) fn tallies(&self) -> Tallies<'_> {
        Tallies {
            hosts: &self.hosts,
            users: &self.users,
            tactics: &self.tactics,
            techniques: &self.techniques,
            titles: &self.titles,
        }
    }

    /// Returns all names that it holds itself.
    pub(crate) fn syms(&self) -> impl Iterator<Item = Sym> {
        let Tallies { hosts, users, tactics, techniques, titles } = self.tallies();
        let counted = [hosts, users, tactics, techniques, titles].into_iter().flat_map(|tally| tally.iter());
        let single = [Some(self.lead.title), self.lead.host, self.worth.map(|(_, sym)| sym)];
        counted.map(|(sym, _)| sym).chain(single.into_iter().flatten())
    }

    /// Gives each name and each detection its new number.
    pub(crate) fn renumber(&mut self, number: impl Fn(Sym) -> Sym + Copy, slot: impl Fn(Slot) -> Slot) {
        let tallies = [&mut self.hosts, &mut self.users, &mut self.tactics, &mut self.techniques, &mut self.titles];
        tallies.into_iter().for_each(|tally| tally.renumber(number));
        self.lead.title = number(self.lead.title);
        self.lead.host = self.lead.host.map(number);
        self.worth = self.worth.map(|(value, sym)| (value, number(sym)));
        self.members.iter_mut().for_each(|member| *member = slot(*member));
    }
}

/// What is counted of an incident.
pub(crate) struct Tallies<'t> {
    pub(crate) hosts: &'t Tally,
    pub(crate) users: &'t Tally,
    pub(crate) tactics: &'t Tally,
    pub(crate) techniques: &'t Tally,
    pub(crate) titles: &'t Tally,
}

/// Returns the most valuable thing that a detection touches. A machine in no list is of normal value; an address in none is
/// somebody else's.
fn worth_of(member: &Member, names: &Names) -> Option<(AssetValue, Sym)> {
    let value = |sym: Sym| match names.asset(sym) {
        Some(asset) => Some((asset.value, sym)),
        None => (member.host == Some(sym)).then_some((AssetValue::Normal, sym)),
    };
    member.touched().map(value).fold(None, |worth, other| worthier(worth, other, names))
}

/// Returns the more valuable of two; among equals the first by name.
fn worthier(
    one: Option<(AssetValue, Sym)>,
    other: Option<(AssetValue, Sym)>,
    names: &Names,
) -> Option<(AssetValue, Sym)> {
    let rank = |(value, sym): &(AssetValue, Sym)| (*value, Reverse(names.order(*sym)));
    one.into_iter().chain(other).max_by(|one, other| rank(one).cmp(&rank(other)))
}
