//! A plan: the rules for one log source, and an index that says which of them an event could fit.
//!
//! Each rule has witnesses ([`super::witness`]); all texts among them are found in one pass over each value. A rule none of
//! whose witnesses is there is not looked at. Always: the index may name a rule that then does not fit, and never leaves out
//! one that does (`tests/it/oracle.rs` compares it with another engine that looks at every rule).

use std::collections::HashMap;

use cresset_event::{Event, FieldId, Value};
use foldhash::fast::FixedState;

use super::expr::{Expr, Reason, TestId, Tests};
use super::scan::Scanner;
use super::test::{Test, TextOp, number};
use super::view::{Lookup, View};
use super::witness::{Witness, Witnesses};

/// The rules for one log source.
#[derive(Debug)]
pub(crate) struct Plan {
    rules: Vec<PlannedRule>,
    /// Rules that may fit an event which has nothing of what they ask for.
    always: Vec<u32>,
    /// By field: what to look for in its values; nothing where no rule asks for it.
    fields: Vec<Option<FieldIndex>>,
    /// What to look for in every text.
    anywhere: TextIndex,
    reads_everything: bool,
    /// Tests that are false unless the index says otherwise, by number.
    decided: Vec<bool>,
}

#[derive(Debug)]
struct PlannedRule {
    /// Its place in the rule set.
    key: usize,
    condition: Expr,
}

/// What to look for in the values of one field.
#[derive(Debug, Default)]
struct FieldIndex {
    texts: TextIndex,
    /// By the number's bits.
    numbers: HashMap<u64, Hit, FixedState>,
    present: Vec<u32>,
}

/// Texts to look for.
#[derive(Debug, Default)]
struct TextIndex {
    equal: HashMap<Box<str>, Vec<Hit>, FixedState>,
    within: Scanner,
    /// By the number of the scanner's text.
    hits: Vec<Vec<Hit>>,
}

/// What it means that something was found.
#[derive(Debug, Clone)]
struct Hit {
    at: Anchor,
    /// The test that holds thereby.
    decides: Option<TestId>,
    /// The rules that could fit.
    rules: Vec<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Anchor {
    Anywhere,
    Start,
    End,
}

/// What is worked out of one event, kept for the next so that nothing is allocated again.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    lookup: Lookup,
    round: u32,
    /// By test: the round it was asked in, doubled, and one more where it holds.
    verdicts: Vec<u64>,
    /// By rule of the plan: the round it was raised in.
    raised: Vec<u32>,
    candidates: Vec<u32>,
}

impl Plan {
    /// Plans rules, given as their place in the rule set and their condition.
    pub(crate) fn new<'r>(rules: impl Iterator<Item = (usize, &'r Expr)>, tests: &Tests) -> Self {
        let rules: Vec<PlannedRule> =
            rules.map(|(key, condition)| PlannedRule { key, condition: condition.clone() }).collect();
        let witnesses = Witnesses::new(tests, rules.iter().map(|rule| &rule.condition));
        let mut builder = Builder::new(tests);
        for (rule, number) in rules.iter().zip(0..) {
            match witnesses.of(&rule.condition) {
                Some((_, found)) => found.iter().for_each(|witness| builder.add(witness, number)),
                None => builder.always.push(number),
            }
        }
        builder.see_fields(witnesses.uses.iter().zip(0..).filter(|(uses, _)| **uses > 0).map(|(_, id)| TestId(id)));
        builder.finish(rules)
    }

    /// Finds the rules that fit an event, by their place in the rule set; and why, of those that `explains` asks it of.
    pub(crate) fn find(
        &self,
        event: &Event,
        tests: &Tests,
        scratch: &mut Scratch,
        explains: impl Fn(usize) -> bool,
        mut found: impl FnMut(usize, Vec<Reason>),
    ) {
        if self.rules.is_empty() {
            return;
        }
        let Scratch { lookup, round, verdicts, raised, candidates } = scratch;
        *round = match round.checked_add(1) {
            Some(next) => next,
            None => {
                verdicts.clear();
                raised.clear();
                1
            }
        };
        verdicts.resize(tests.len().max(verdicts.len()), 0);
        raised.resize(self.rules.len().max(raised.len()), 0);
        candidates.clear();
        let view = lookup
            .read(event, |field| self.reads_everything || field.is_some_and(|field| self.index_of(field).is_some()));
        let mut verdicts = Verdicts { round: u64::from(*round) * 2, known: verdicts };
        let mut raising = Raising { round: *round, raised, candidates };
        raising.raise(&self.always);
        self.scan(&view, &mut verdicts, &mut raising);
        candidates.sort_unstable();
        let mut holds = |id: TestId| verdicts.holds(id, &self.decided, tests, &view);
        for candidate in candidates.iter() {
            let rule = &self.rules[*candidate as usize];
            if rule.condition.holds(&mut holds) {
                let mut reasons = Vec::new();
                if explains(rule.key) {
                    rule.condition.reasons(&mut holds, &mut |id| tests.get(id).explain(&view, &mut reasons));
                }
                found(rule.key, reasons);
            }
        }
    }

    fn index_of(&self, field: FieldId) -> Option<&FieldIndex> {
        self.fields.get(field.index())?.as_ref()
    }

    /// Looks for every witness in every value.
    fn scan(&self, view: &View<'_>, verdicts: &mut Verdicts<'_>, raising: &mut Raising<'_>) {
        for (at, entry) in view.event().entries().enumerate() {
            if let Some(index) = entry.field.and_then(|field| self.index_of(field)) {
                raising.raise(&index.present);
                if !index.numbers.is_empty()
                    && let Some(number) = number(entry.value)
                    && let Some(hit) = index.numbers.get(&number.to_bits())
                {
                    raising.raise(&hit.rules);
                }
                if !matches!(entry.value, Value::Null | Value::Empty) {
                    index.texts.scan(view.folded(at), verdicts, raising);
                }
            }
            if self.reads_everything && !entry.is_alias && matches!(entry.value, Value::Str(_)) {
                self.anywhere.scan(view.folded(at), verdicts, raising);
            }
        }
    }
}

impl TextIndex {
    fn scan(&self, text: &str, verdicts: &mut Verdicts<'_>, raising: &mut Raising<'_>) {
        if !self.equal.is_empty()
            && let Some(hits) = self.equal.get(text)
        {
            hits.iter().for_each(|hit| hit.apply(verdicts, raising));
        }
        self.within.scan(text, |place| {
            for hit in &self.hits[place.number as usize] {
                let fits = match hit.at {
                    Anchor::Anywhere => true,
                    Anchor::Start => place.start == 0,
                    Anchor::End => place.end == text.len(),
                };
                if fits {
                    hit.apply(verdicts, raising);
                }
            }
        });
    }
}

impl Hit {
    fn apply(&self, verdicts: &mut Verdicts<'_>, raising: &mut Raising<'_>) {
        if let Some(test) = self.decides {
            verdicts.set(test, true);
        }
        raising.raise(&self.rules);
    }
}

/// What is known of the event that is looked at.
struct Verdicts<'s> {
    round: u64,
    known: &'s mut [u64],
}

impl Verdicts<'_> {
    fn set(&mut self, test: TestId, holds: bool) {
        self.known[test.0 as usize] = self.round + u64::from(holds);
    }

    fn holds(&mut self, test: TestId, decided: &[bool], tests: &Tests, view: &View<'_>) -> bool {
        let known = self.known[test.0 as usize];
        if known >= self.round {
            return known > self.round;
        }
        let holds = !decided[test.0 as usize] && tests.get(test).holds(view);
        self.set(test, holds);
        holds
    }
}

/// The rules that an event could fit.
struct Raising<'s> {
    round: u32,
    raised: &'s mut [u32],
    candidates: &'s mut Vec<u32>,
}

impl Raising<'_> {
    fn raise(&mut self, rules: &[u32]) {
        for rule in rules {
            let raised = &mut self.raised[*rule as usize];
            if *raised != self.round {
                *raised = self.round;
                self.candidates.push(*rule);
            }
        }
    }
}

/// Collects what to look for.
struct Builder<'t> {
    tests: &'t Tests,
    always: Vec<u32>,
    fields: HashMap<FieldId, FieldBuilder>,
    anywhere: TextBuilder,
    reads_everything: bool,
    decided: Vec<bool>,
}

#[derive(Default)]
struct FieldBuilder {
    texts: TextBuilder,
    numbers: HashMap<u64, Hit>,
    present: Vec<u32>,
}

#[derive(Default)]
struct TextBuilder {
    equal: HashMap<Box<str>, Vec<Hit>>,
    within: HashMap<Box<str>, Vec<Hit>>,
}

impl<'t> Builder<'t> {
    fn new(tests: &'t Tests) -> Self {
        Self {
            tests,
            always: Vec::new(),
            fields: HashMap::new(),
            anywhere: TextBuilder::default(),
            reads_everything: false,
            decided: vec![false; tests.len()],
        }
    }

    fn add(&mut self, witness: &Witness, rule: u32) {
        match witness {
            Witness::Decided(id) => {
                self.decided[id.0 as usize] = true;
                let Test::Text { op, literals, .. } = &self.tests.get(*id).test else { return };
                let texts = self.texts_of(*id);
                literals.iter().for_each(|literal| texts.add(*op, literal, Some(*id), rule));
            }
            Witness::Literals(id, literals) => {
                let texts = self.texts_of(*id);
                literals.iter().for_each(|literal| texts.add(TextOp::Contains, literal, None, rule));
            }
            Witness::Number(id, number) => {
                let Some(field) = self.tests.get(*id).field else { return };
                let numbers = &mut self.fields.entry(field).or_default().numbers;
                // Both zeros are equal and have other bits.
                let keys = if *number == 0.0 { vec![0.0, -0.0] } else { vec![*number] };
                for key in keys {
                    numbers.entry(f64::to_bits(key)).or_insert_with(Hit::none).rules.push(rule);
                }
            }
            Witness::Present(id) => {
                let Some(field) = self.tests.get(*id).field else { return };
                self.fields.entry(field).or_default().present.push(rule);
            }
        }
    }

    fn texts_of(&mut self, id: TestId) -> &mut TextBuilder {
        match self.tests.get(id).field {
            Some(field) => &mut self.fields.entry(field).or_default().texts,
            None => &mut self.anywhere,
        }
    }

    /// Notes every field whose texts any test may read, so that they are folded.
    fn see_fields(&mut self, asked: impl Iterator<Item = TestId>) {
        for id in asked {
            let asked = self.tests.get(id);
            match asked.field {
                Some(field) => {
                    self.fields.entry(field).or_default();
                    if let Test::Field { field, .. } = asked.test {
                        self.fields.entry(field).or_default();
                    }
                }
                None => self.reads_everything = true,
            }
        }
    }

    fn finish(self, rules: Vec<PlannedRule>) -> Plan {
        let count = self.fields.keys().map(|field| field.index() + 1).max().unwrap_or(0);
        let mut fields: Vec<Option<FieldIndex>> = std::iter::repeat_with(|| None).take(count).collect();
        for (field, builder) in self.fields {
            let FieldBuilder { texts, numbers, present } = builder;
            fields[field.index()] =
                Some(FieldIndex { texts: texts.finish(), numbers: numbers.into_iter().collect(), present });
        }
        Plan {
            rules,
            always: self.always,
            fields,
            anywhere: self.anywhere.finish(),
            reads_everything: self.reads_everything,
            decided: self.decided,
        }
    }
}

impl Hit {
    fn none() -> Self {
        Self { at: Anchor::Anywhere, decides: None, rules: Vec::new() }
    }
}

impl TextBuilder {
    fn add(&mut self, op: TextOp, literal: &str, decides: Option<TestId>, rule: u32) {
        let (map, at) = match op {
            TextOp::Equals => (&mut self.equal, Anchor::Anywhere),
            TextOp::Contains => (&mut self.within, Anchor::Anywhere),
            TextOp::StartsWith => (&mut self.within, Anchor::Start),
            TextOp::EndsWith => (&mut self.within, Anchor::End),
        };
        let hits = map.entry(literal.into()).or_default();
        match hits.iter_mut().find(|hit| hit.at == at && hit.decides == decides) {
            Some(hit) => hit.rules.push(rule),
            None => hits.push(Hit { at, decides, rules: vec![rule] }),
        }
    }

    fn finish(self) -> TextIndex {
        let (patterns, hits): (Vec<Box<str>>, Vec<Vec<Hit>>) = self.within.into_iter().unzip();
        let patterns: Vec<&str> = patterns.iter().map(|pattern| &**pattern).collect();
        TextIndex { equal: self.equal.into_iter().collect(), within: Scanner::new(&patterns), hits }
    }
}
