//! How often each name occurs, with the most frequent at hand.
//!
//! An incident may have a hundred thousand detections, and is shown after each of them: what is shown must not be looked for.
//! The first names by count are kept in order, the rest beside them; a count only grows, so that a name comes up by one at a
//! time. `it_is_what_counting_and_sorting_gives` compares it with counting everything.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::names::{Names, Sym};

/// Names that are listed of each kind: what fits on a page. The rest is told as a number.
pub(crate) const LISTED_MAX: usize = 16;

/// Counts by name.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// The most frequent, the first by name among equals.
    top: Vec<(Sym, u32)>,
    rest: BTreeMap<Sym, u32>,
}

impl Tally {
    /// Counts a name so many times more.
    pub(crate) fn add(&mut self, sym: Sym, times: u32, names: &Names) {
        let at = match self.top.iter().position(|(other, _)| *other == sym) {
            Some(at) => at,
            None => match self.enter(sym, times, names) {
                Some(at) => at,
                None => return,
            },
        };
        self.top[at].1 = self.top[at].1.saturating_add(times);
        self.rise(at, names);
    }

    /// Makes room for a name among the first, with the count that it had, where it comes up to them with `times` more; else
    /// counts it among the rest.
    fn enter(&mut self, sym: Sym, times: u32, names: &Names) -> Option<usize> {
        let had = self.rest.remove(&sym).unwrap_or(0);
        if let Some(last) = self.top.last().copied().filter(|_| self.top.len() == LISTED_MAX) {
            let comes = (sym, had.saturating_add(times));
            if !is_before(comes, last, names) {
                self.rest.insert(sym, comes.1);
                return None;
            }
            self.top.pop();
            self.rest.insert(last.0, last.1);
        }
        self.top.push((sym, had));
        Some(self.top.len() - 1)
    }

    fn rise(&mut self, mut at: usize, names: &Names) {
        while at > 0 && is_before(self.top[at], self.top[at - 1], names) {
            self.top.swap(at, at - 1);
            at -= 1;
        }
    }

    /// Adds all that another one counted.
    pub(crate) fn add_all(&mut self, other: &Self, names: &Names) {
        other.iter().for_each(|(sym, times)| self.add(sym, times, names));
    }

    /// Returns how many names there are.
    pub(crate) fn len(&self) -> usize {
        self.top.len() + self.rest.len()
    }

    /// Returns the most frequent names and their counts.
    pub(crate) fn top(&self) -> &[(Sym, u32)] {
        &self.top
    }

    /// Returns how many names are not among those.
    pub(crate) fn more(&self) -> u64 {
        self.rest.len() as u64
    }

    /// Returns all names and their counts.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Sym, u32)> {
        self.top.iter().copied().chain(self.rest.iter().map(|(sym, times)| (*sym, *times)))
    }

    /// Gives each name its new number.
    pub(crate) fn renumber(&mut self, number: impl Fn(Sym) -> Sym) {
        self.top.iter_mut().for_each(|(sym, _)| *sym = number(*sym));
        self.rest = std::mem::take(&mut self.rest).into_iter().map(|(sym, times)| (number(sym), times)).collect();
    }
}

fn is_before(one: (Sym, u32), other: (Sym, u32), names: &Names) -> bool {
    one.1 > other.1 || (one.1 == other.1 && names.order(one.0) < names.order(other.0))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::keys::Key;

    proptest! {
        #[test]
        fn it_is_what_counting_and_sorting_gives(seen in prop::collection::vec((0_usize..40, 1_u32..4), 0..200), half in 0_usize..200) {
            let mut names = Names::default();
            let syms: Vec<Sym> = (0..40).map(|i| names.sym(&Key::of_text(&format!("n{:02}", (i * 17) % 40)))).collect();
            let (mut tally, mut other) = (Tally::default(), Tally::default());
            let mut counts: HashMap<Sym, u32> = HashMap::new();
            for (at, (name, times)) in seen.into_iter().enumerate() {
                let which = if at < half { &mut tally } else { &mut other };
                which.add(syms[name], times, &names);
                *counts.entry(syms[name]).or_default() += times;
            }
            tally.add_all(&other, &names);
            let mut expected: Vec<(Sym, u32)> = counts.into_iter().collect();
            expected.sort_by_key(|(sym, times)| (std::cmp::Reverse(*times), names.shown(*sym).to_owned()));
            prop_assert_eq!(tally.len(), expected.len());
            expected.truncate(LISTED_MAX);
            prop_assert_eq!(tally.top(), expected);
        }
    }
}
