//! What an event must have that a rule fits, as values that an index of observables knows.

use cresset_event::{FieldNames, Matcher};

use super::expr::{Expr, TestId, Tests};
use super::test::{Test, TextOp};

/// Values of which an event has one: each was told of a field that says what it holds.
pub type OneOf = Vec<Matcher>;

/// Returns what an event that fulfils a condition has: of each part one value. Empty where nothing of that kind is asked for.
pub(crate) fn needs(condition: &Expr, tests: &Tests, names: &FieldNames) -> Vec<OneOf> {
    let of_part = |part: &Expr| needs(part, tests, names);
    match condition {
        Expr::Always | Expr::Not(_) => Vec::new(),
        // No value will do.
        Expr::Never => vec![OneOf::new()],
        Expr::Test(id) => of_test(*id, tests, names).into_iter().collect(),
        Expr::And(parts) => parts.iter().flat_map(of_part).collect(),
        // Whichever part it is, its shortest list.
        Expr::Or(parts) | Expr::AtLeast(_, parts) => {
            let shortest = parts.iter().map(|part| of_part(part).into_iter().min_by_key(Vec::len));
            shortest.collect::<Option<Vec<_>>>().map(|lists| lists.concat()).into_iter().collect()
        }
    }
}

fn of_test(id: TestId, tests: &Tests, names: &FieldNames) -> Option<OneOf> {
    let asked = tests.get(id);
    let Test::Text { op, literals, .. } = &asked.test else { return None };
    let is_end = match op {
        TextOp::Equals => false,
        TextOp::EndsWith => true,
        TextOp::Contains | TextOp::StartsWith => return None,
    };
    let name = names.name(asked.field?);
    // Each of several matchers finds the value.
    literals.iter().map(|text| Matcher::of_field(&name, text, is_end).into_iter().next()).collect()
}
