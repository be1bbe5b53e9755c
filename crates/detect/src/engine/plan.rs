//! A plan: the rules for one log source, and an index that says which of them an event could fit.
//!
//! Each rule has witnesses ([`super::witness`]); all texts among them are found in one pass over each value
//! ([`super::index`]). A rule none of whose witnesses is there is not looked at. Always: the index may name a rule that then
//! does not fit, and never leaves out one that does (`tests/it/oracle.rs` compares it with another engine that looks at
//! every rule).

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use cresset_event::{Event, FieldId};

use super::expr::{Asked, Expr, Reason, TestId, Tests};
use super::index::{FieldIndex, Found, IndexBuilder, TextIndex};
use super::program::{Planned, Programs, Start};
use super::test::{Test, TextOp};
use super::view::{Lookup, Reads};
use super::witness::{Witness, Witnesses};

/// Stands for "none" in [`Plan::places`].
const NOWHERE: u32 = u32::MAX;

/// The rules for one log source. Its tests have numbers of their own, so that what one event needs lies close together.
#[derive(Debug)]
pub(crate) struct Plan {
    rules: Vec<PlannedRule>,
    programs: Programs,
    tests: Vec<PlannedTest>,
    /// Rules that may fit an event which has nothing of what they ask for.
    always: Vec<u32>,
    /// By field: its place in `indexes`; none where no rule asks for it.
    places: Vec<u32>,
    indexes: Vec<FieldIndex>,
    /// What to look for in every text.
    anywhere: TextIndex,
    /// How many texts mean much, see [`Found::is_first`].
    crowds: u32,
    reads_everything: bool,
    /// The fields of witnesses.
    witnessed: BTreeSet<FieldId>,
}

#[derive(Debug)]
struct PlannedRule {
    /// Its place in the rule set.
    key: usize,
    condition: Start,
}

#[derive(Debug)]
struct PlannedTest {
    asked: Arc<Asked>,
    /// Whether it is false unless the index says otherwise.
    is_decided: bool,
}

/// Takes what is found, and says what is asked of a rule, given by its place in the rule set.
pub(crate) trait Finds {
    /// Whether the rule is not to be looked at.
    fn is_stopped(&self, key: usize) -> bool;
    /// Whether it is asked why the rule fits.
    fn explains(&self, key: usize) -> bool;
    /// The rule fits, for these reasons.
    fn fits(&mut self, key: usize, reasons: Vec<Reason>);
    /// Whether the rule fits would cost too much to find out.
    fn gave_up(&mut self, key: usize);
}

/// The lowest bits of what is known of a test: whether it holds, and whether it was given up on.
const VERDICT_BITS: u32 = 2;
const HOLDS: u32 = 1;
const GAVE_UP: u32 = 2;

/// What is worked out of one event, kept for the next so that nothing is allocated again.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    lookup: Lookup,
    marks: Marks,
}

/// What is known of the event that is looked at. What older events left is told by its round.
#[derive(Debug, Default)]
struct Marks {
    round: u32,
    /// By test: the round it was asked in, and behind it the bits of the verdict.
    verdicts: Vec<u32>,
    /// By rule: the round it was raised in.
    raised: Vec<u32>,
    /// By text that means much: the round it was found in.
    crowds: Vec<u32>,
    candidates: Vec<u32>,
}

impl Plan {
    /// Plans rules, given as their place in the rule set and their condition.
    pub(crate) fn new<'r>(rules: impl Iterator<Item = (usize, &'r Expr)>, tests: &Tests) -> Self {
        let rules: Vec<(usize, &Expr)> = rules.collect();
        let witnesses = Witnesses::new(tests, rules.iter().map(|(_, condition)| *condition));
        let mut builder = Builder::new(tests, &witnesses);
        let mut always = Vec::new();
        for ((_, condition), number) in rules.iter().zip(0..) {
            match witnesses.of(condition) {
                Some((_, found)) => found.iter().for_each(|witness| builder.add(witness, number)),
                None => always.push(number),
            }
        }
        let mut programs = Programs::default();
        let planned = rules.iter().map(|(key, condition)| PlannedRule {
            key: *key,
            condition: programs.add(condition, &|id| builder.planned(id)),
        });
        let rules = planned.collect();
        let reads_everything = builder.see_fields();
        let (fields, anywhere, crowds) = builder.index.finish();
        let mut places = vec![NOWHERE; fields.iter().map(|(field, _)| field.index() + 1).max().unwrap_or(0)];
        let mut indexes = Vec::with_capacity(fields.len());
        for (field, index) in fields {
            places[field.index()] = indexes.len() as u32;
            indexes.push(index);
        }
        let (tests, witnessed) = (builder.planned, builder.witnessed);
        Self { rules, programs, tests, always, places, indexes, anywhere, crowds, reads_everything, witnessed }
    }

    /// Returns the fields that decide which rules fit; `None` where every value can.
    pub(crate) fn fields(&self) -> Option<impl Iterator<Item = FieldId>> {
        let reads = self.tests.iter().flat_map(|PlannedTest { asked, .. }| {
            asked.field.into_iter().chain(asked.test.other_fields().into_iter().map(|(field, _)| field))
        });
        (!self.reads_everything).then_some(reads)
    }

    /// Returns fields one of which any event has that a rule fits; `None` where one may fit that has none of what is asked for.
    pub(crate) fn one_of(&self) -> Option<&BTreeSet<FieldId>> {
        (self.always.is_empty() && !self.reads_everything).then_some(&self.witnessed)
    }

    /// Finds the rules that fit an event, by their place in the rule set.
    pub(crate) fn find(&self, event: &Event, scratch: &mut Scratch, found: &mut impl Finds) {
        if self.rules.is_empty() {
            return;
        }
        let Scratch { lookup, marks } = scratch;
        marks.begin(self);
        marks.raise(&self.always);
        self.scan(event, lookup, marks);
        let view = lookup.view(event);
        let Marks { round, verdicts, candidates, .. } = marks;
        // In the order of the set.
        candidates.sort_unstable();
        let gave_up = Cell::new(false);
        let mut holds = |test: u32| {
            let known = &mut verdicts[test as usize];
            if *known >> VERDICT_BITS != *round {
                let PlannedTest { asked, is_decided } = &self.tests[test as usize];
                let holds = !is_decided && asked.holds(&view);
                let verdict = match (holds, view.gave_up()) {
                    // Of several values one may fit although another was given up on.
                    (true, _) => HOLDS,
                    (false, true) => GAVE_UP,
                    (false, false) => 0,
                };
                *known = (*round << VERDICT_BITS) | verdict;
            }
            gave_up.set(gave_up.get() || *known & GAVE_UP != 0);
            *known & HOLDS != 0
        };
        for candidate in candidates.iter() {
            let rule = &self.rules[*candidate as usize];
            if found.is_stopped(rule.key) {
                continue;
            }
            let fits = self.programs.holds(rule.condition, &mut holds);
            if gave_up.take() {
                found.gave_up(rule.key);
            } else if fits {
                let mut reasons = Vec::new();
                if found.explains(rule.key) {
                    let mut explain = |test: u32| self.tests[test as usize].asked.explain(&view, &mut reasons);
                    self.programs.reasons(rule.condition, &mut holds, &mut explain);
                    // What was given up on here was not needed to fit.
                    view.gave_up();
                    gave_up.set(false);
                }
                found.fits(rule.key, reasons);
            }
        }
    }

    fn index_of(&self, field: FieldId) -> Option<&FieldIndex> {
        self.indexes.get(*self.places.get(field.index())? as usize)
    }

    /// Looks for every witness in every value.
    fn scan(&self, event: &Event, lookup: &mut Lookup, marks: &mut Marks) {
        lookup.begin(event);
        for (at, entry) in event.entries().enumerate() {
            let index = entry.field().and_then(|field| self.index_of(field));
            let is_searched = self.reads_everything && entry.text_range().is_some();
            let reads = match index {
                _ if is_searched => Reads::Texts,
                Some(index) => index.reads,
                None => continue,
            };
            lookup.add(at, entry, reads);
            if let Some(index) = index {
                index.look(entry, lookup.folded_bytes(at), marks);
            }
            if is_searched && !entry.is_alias() {
                self.anywhere.look(lookup.folded_bytes(at), marks);
            }
        }
    }
}

impl Marks {
    /// Begins the next event.
    fn begin(&mut self, plan: &Plan) {
        // A verdict has fewer bits for its round.
        self.round = (self.round + 1) & (u32::MAX >> VERDICT_BITS);
        if self.round == 0 {
            self.verdicts.clear();
            self.raised.clear();
            self.crowds.clear();
            self.round = 1;
        }
        self.verdicts.resize(plan.tests.len().max(self.verdicts.len()), 0);
        self.raised.resize(plan.rules.len().max(self.raised.len()), 0);
        self.crowds.resize(self.crowds.len().max(plan.crowds as usize), 0);
        self.candidates.clear();
    }
}

impl Found for Marks {
    fn holds(&mut self, test: u32) {
        self.verdicts[test as usize] = (self.round << VERDICT_BITS) | HOLDS;
    }

    fn raise(&mut self, rules: &[u32]) {
        for rule in rules {
            let raised = &mut self.raised[*rule as usize];
            if *raised != self.round {
                *raised = self.round;
                self.candidates.push(*rule);
            }
        }
    }

    fn is_first(&mut self, crowd: u32) -> bool {
        std::mem::replace(&mut self.crowds[crowd as usize], self.round) != self.round
    }
}

/// Numbers the tests of a plan and collects what to look for.
struct Builder<'t> {
    tests: &'t Tests,
    planned: Vec<PlannedTest>,
    numbers: HashMap<TestId, u32>,
    index: IndexBuilder,
    witnessed: BTreeSet<FieldId>,
}

impl<'t> Builder<'t> {
    fn new(tests: &'t Tests, witnesses: &Witnesses<'_>) -> Self {
        let planned = |id| PlannedTest { asked: Arc::clone(tests.get(id)), is_decided: false };
        let planned: Vec<PlannedTest> = witnesses.asked().map(planned).collect();
        let numbers = witnesses.asked().zip(0..).collect();
        Self { tests, planned, numbers, index: IndexBuilder::default(), witnessed: BTreeSet::new() }
    }

    fn planned(&self, id: TestId) -> Planned {
        let number = self.numbers[&id];
        let is_decided = self.planned[number as usize].is_decided;
        Planned { number, cost: if is_decided { 0 } else { self.tests.get(id).test.cost() } }
    }

    fn add(&mut self, witness: &Witness, rule: u32) {
        self.witnessed.extend(match witness {
            Witness::Decided(id) | Witness::Literals(id, _) => self.tests.get(*id).field,
            Witness::Number(field, _) | Witness::Present(field) => Some(*field),
        });
        match witness {
            Witness::Decided(id) => {
                let number = self.numbers[id];
                self.planned[number as usize].is_decided = true;
                let asked = self.tests.get(*id);
                let Test::Text { op, literals, .. } = &asked.test else { return };
                for literal in literals {
                    self.index.text(asked.field, *op, literal, Some(number), rule);
                }
            }
            Witness::Literals(id, literals) => {
                let asked = self.tests.get(*id);
                let op = match asked.test {
                    Test::Text { op, .. } => op,
                    _ => TextOp::Contains,
                };
                for literal in literals {
                    self.index.text(asked.field, op, literal, None, rule);
                }
            }
            Witness::Number(field, number) => self.index.number(*field, *number, rule),
            Witness::Present(field) => self.index.present(*field, rule),
        }
    }

    /// Notes every field that any test may read; returns whether one reads all of them.
    fn see_fields(&mut self) -> bool {
        for PlannedTest { asked, .. } in &self.planned {
            if let Some(field) = asked.field {
                self.index.reads(field, asked.test.reads());
            }
            for (field, reads) in asked.test.other_fields() {
                self.index.reads(field, reads);
            }
        }
        self.planned.iter().any(|test| test.asked.field.is_none())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cresset_event::{EventBuilder, FieldNames, Origin, Value};

    use super::super::expr::TestTable;
    use super::super::test::Case;
    use super::*;

    #[derive(Default)]
    struct Fitting(Vec<usize>);

    impl Finds for Fitting {
        fn is_stopped(&self, _: usize) -> bool {
            false
        }

        fn explains(&self, _: usize) -> bool {
            false
        }

        fn fits(&mut self, key: usize, _: Vec<Reason>) {
            self.0.push(key);
        }

        fn gave_up(&mut self, key: usize) {
            panic!("gave up on {key}");
        }
    }

    #[test]
    fn nothing_is_left_of_older_events_when_rounds_begin_anew() {
        let names = Arc::new(FieldNames::new());
        let field = names.intern_asked("a");
        let mut tests = TestTable::default();
        let one = Test::Text { op: TextOp::Contains, case: Case::Folded, literals: ["one".into()].into() };
        let one = Expr::Test(tests.add(field, one).expect("a test"));
        let rules = [one.clone(), Expr::not(one)];
        let plan = Plan::new(rules.iter().enumerate(), tests.tests());
        let mut scratch = Scratch::default();
        let mut builder = EventBuilder::new(names);
        for (text, fitting) in [("one", 0), ("two", 1), ("one", 0)] {
            builder.push("a", Value::Str(text));
            let event = builder.finish(Origin::default());
            let mut found = Fitting::default();
            plan.find(&event, &mut scratch, &mut found);
            assert_eq!(found.0, [fitting], "{text}");
            // The last one before they begin anew.
            scratch.marks.round = u32::MAX >> VERDICT_BITS;
        }
    }
}
