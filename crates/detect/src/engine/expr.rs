//! A rule's condition, with all its selections put in: tests joined by and, or, not.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use cresset_event::FieldId;

use super::test::{Prepared, Test};
use super::view::View;
use super::witness::Literals;

/// Most places of one keyword that are named; a short one may stand in every field of an event.
const KEYWORD_REASONS_MAX: usize = 16;

/// Why a rule fits: a value that it asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reason {
    /// The field that was asked for; `None` for a keyword.
    pub(crate) field: Option<FieldId>,
    /// The value's place in the event; `None` where the rule asks that there is none.
    pub(crate) entry: Option<usize>,
}

/// The number of a test in its [`Tests`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TestId(pub(crate) u32);

/// A condition.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expr {
    Always,
    Never,
    Test(TestId),
    Not(Box<Expr>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    /// At least so many of these.
    AtLeast(usize, Vec<Expr>),
}

impl Expr {
    /// Joins conditions of which all must hold.
    pub(crate) fn and(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut joined = Vec::new();
        for part in parts {
            match part {
                Self::Always => {}
                Self::Never => return Self::Never,
                Self::And(inner) => joined.extend(inner),
                other => joined.push(other),
            }
        }
        match joined.len() {
            0 => Self::Always,
            1 => joined.remove(0),
            _ => Self::And(joined),
        }
    }

    /// Joins conditions of which one must hold.
    pub(crate) fn or(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut joined = Vec::new();
        for part in parts {
            match part {
                Self::Never => {}
                Self::Always => return Self::Always,
                Self::Or(inner) => joined.extend(inner),
                other => joined.push(other),
            }
        }
        match joined.len() {
            0 => Self::Never,
            1 => joined.remove(0),
            _ => Self::Or(joined),
        }
    }

    /// Joins conditions of which `least` must hold.
    pub(crate) fn at_least(least: usize, parts: Vec<Self>) -> Self {
        match least {
            0 => Self::Always,
            1 => Self::or(parts),
            _ if least > parts.len() => Self::Never,
            _ if least == parts.len() => Self::and(parts),
            _ => Self::AtLeast(least, parts),
        }
    }

    /// Turns a condition round.
    pub(crate) fn not(part: Self) -> Self {
        match part {
            Self::Always => Self::Never,
            Self::Never => Self::Always,
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }

    /// Returns what the condition costs at most, given what a test does.
    pub(crate) fn cost(&self, cost: &impl Fn(TestId) -> u32) -> u32 {
        match self {
            Self::Always | Self::Never => 0,
            Self::Test(id) => cost(*id),
            Self::Not(inner) => inner.cost(cost),
            Self::And(parts) | Self::Or(parts) | Self::AtLeast(_, parts) => {
                parts.iter().fold(0, |total, part| total.saturating_add(part.cost(cost)))
            }
        }
    }

    /// Returns whether the condition holds, asking `holds` for each test.
    pub(crate) fn holds(&self, holds: &mut impl FnMut(TestId) -> bool) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Test(id) => holds(*id),
            Self::Not(inner) => !inner.holds(holds),
            Self::And(parts) => parts.iter().all(|part| part.holds(holds)),
            Self::Or(parts) => parts.iter().any(|part| part.holds(holds)),
            Self::AtLeast(least, parts) => {
                let mut missing = *least;
                parts.iter().any(|part| {
                    missing -= usize::from(part.holds(holds));
                    missing == 0
                })
            }
        }
    }
}

/// The tests of a rule set, by number. A copy costs little.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tests(Vec<Arc<Asked>>);

/// Tests as rules are compiled: each once, whichever rules ask for it.
#[derive(Debug, Default)]
pub(crate) struct TestTable {
    tests: Tests,
    ids: HashMap<(Option<FieldId>, Test), TestId>,
}

/// A test, and of what it is asked.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The field; `None` for keywords, which may stand anywhere.
    pub(crate) field: Option<FieldId>,
    pub(crate) test: Test,
    prepared: Prepared,
    literals: OnceLock<Option<Literals>>,
}

impl TestTable {
    /// Adds a test, or finds it; `Err` where it cannot be compiled.
    pub(crate) fn add(&mut self, field: Option<FieldId>, test: Test) -> Result<TestId, String> {
        let key = (field, test);
        if let Some(id) = self.ids.get(&key) {
            return Ok(*id);
        }
        let id = TestId(u32::try_from(self.tests.len()).map_err(|_| "too many tests".to_owned())?);
        let prepared = key.1.prepare()?;
        self.tests.0.push(Arc::new(Asked { field, test: key.1.clone(), prepared, literals: OnceLock::new() }));
        self.ids.insert(key, id);
        Ok(id)
    }

    /// Returns the tests.
    pub(crate) fn tests(&self) -> &Tests {
        &self.tests
    }
}

impl Tests {
    /// Returns a test.
    pub(crate) fn get(&self, id: TestId) -> &Arc<Asked> {
        &self.0[id.0 as usize]
    }

    /// Returns how many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Asked {
    /// Returns what must stand in a value that fits, if anything must. Worked out once, for every plan asks.
    pub(crate) fn literals(&self) -> Option<&Literals> {
        self.literals.get_or_init(|| Literals::of(&self.test)).as_ref()
    }

    /// Returns whether the event is so.
    pub(crate) fn holds(&self, view: &View<'_>) -> bool {
        match self.field {
            Some(field) => self.test.holds(&self.prepared, field, view),
            None => self.test.holds_anywhere(&self.prepared, view),
        }
    }

    /// Adds what makes the test hold, where it does.
    pub(crate) fn explain(&self, view: &View<'_>, reasons: &mut Vec<Reason>) {
        let field = self.field;
        let fits = |entry: &usize| self.test.fits(&self.prepared, *entry, view);
        let mut add = |entry: Option<usize>| reasons.push(Reason { field, entry });
        match (field, &self.test) {
            (_, Test::Null) => add(None),
            (Some(field), Test::Exists | Test::Present) => view.entries(field).for_each(|entry| add(Some(entry))),
            (Some(field), _) => view.entries(field).filter(fits).for_each(|entry| add(Some(entry))),
            (None, _) => view.texts().filter(fits).take(KEYWORD_REASONS_MAX).for_each(|entry| add(Some(entry))),
        }
    }
}
