//! Witnesses: of each rule a set of things, one of which any event that the rule fits must have.
//!
//! The rarer they are, the fewer rules are looked at in vain. How rare a text is nobody knows beforehand: a long one is
//! rarer than a short one, and one that many rules ask for is one that is often there.

use cresset_event::{FieldId, fold, fold_char};
use memchr::memmem;
use regex_syntax::hir::{Hir, HirKind};

use super::expr::{Expr, TestId, Tests};
use super::test::{Case, Comparison, Number, Test, TextOp};

/// Most alternatives of a regular expression that are followed.
const ALTERNATIVES_MAX: usize = 64;

/// How common something is thought to be, from 0 (never seen) to 1 (in every event) and more for several together.
pub(crate) type Weight = f32;

/// One thing that an event may have.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Witness {
    /// A test of text that is decided by looking for its literals.
    Decided(TestId),
    /// A value of the test's field, folded, compares with one of these folded texts as a test of text asks, or else has one
    /// within; it must then be looked at.
    Literals(TestId, Vec<String>),
    /// A number that a value of the field equals.
    Number(FieldId, f64),
    /// The field is there at all.
    Present(FieldId),
}

/// Folded texts one of which any value contains that fits a test.
#[derive(Debug)]
pub(crate) struct Literals {
    texts: Vec<String>,
    /// Of all of them together, where one rule asks for them.
    weight: Weight,
}

impl Literals {
    /// Returns those of a test; `None` where there is none that can be looked for.
    pub(crate) fn of(test: &Test) -> Option<Self> {
        let (op, texts) = literals(test)?;
        let weight = texts.iter().map(|text| weight_of(op, text)).sum();
        Some(Self { texts, weight })
    }
}

/// Finds witnesses for the rules of one plan.
pub(crate) struct Witnesses<'t> {
    tests: &'t Tests,
    /// How many rules of the plan ask for each test.
    uses: Vec<u32>,
}

impl<'t> Witnesses<'t> {
    /// Counts who asks for what.
    pub(crate) fn new<'e>(tests: &'t Tests, rules: impl Iterator<Item = &'e Expr>) -> Self {
        let mut witnesses = Self { tests, uses: vec![0; tests.len()] };
        rules.for_each(|rule| witnesses.count(rule));
        witnesses
    }

    fn count(&mut self, expr: &Expr) {
        match expr {
            Expr::Test(id) => self.uses[id.0 as usize] += 1,
            Expr::Not(inner) => self.count(inner),
            Expr::And(parts) | Expr::Or(parts) | Expr::AtLeast(_, parts) => {
                parts.iter().for_each(|part| self.count(part));
            }
            Expr::Always | Expr::Never => {}
        }
    }

    /// Returns the tests that any rule of the plan asks for.
    pub(crate) fn asked(&self) -> impl Iterator<Item = TestId> {
        self.uses.iter().zip(0..).filter(|(uses, _)| **uses > 0).map(|(_, id)| TestId(id))
    }

    /// Returns the rarest witnesses of a condition; `None` where an event may have nothing and fit.
    pub(crate) fn of(&self, expr: &Expr) -> Option<(Weight, Vec<Witness>)> {
        match expr {
            Expr::Never => Some((0.0, Vec::new())),
            Expr::Always | Expr::Not(_) => None,
            Expr::Test(id) => self.of_test(*id),
            Expr::And(parts) => parts.iter().filter_map(|part| self.of(part)).min_by(|(a, _), (b, _)| a.total_cmp(b)),
            Expr::Or(parts) => join(parts.iter().map(|part| self.of(part)).collect::<Option<Vec<_>>>()?),
            Expr::AtLeast(least, parts) => {
                // All but `least - 1` of them: at least one of any so many must hold.
                let mut each: Vec<_> = parts.iter().filter_map(|part| self.of(part)).collect();
                let needed = parts.len() + 1 - least;
                each.sort_by(|(a, _), (b, _)| a.total_cmp(b));
                each.truncate(needed);
                if each.len() < needed { None } else { join(each) }
            }
        }
    }

    fn of_test(&self, id: TestId) -> Option<(Weight, Vec<Witness>)> {
        let asked = self.tests.get(id);
        if asked.field.is_some() && !asked.test.needs_field() {
            return None;
        }
        let uses = self.uses[id.0 as usize].max(1) as Weight;
        let by_literals = asked.literals().map(|Literals { texts, weight }| {
            let witness = match &asked.test {
                Test::Text { case: Case::Folded, .. } => Witness::Decided(id),
                _ => Witness::Literals(id, texts.clone()),
            };
            // However many literals there are, one of them is there less often than the field.
            ((weight * uses).min(0.9 * PRESENCE), vec![witness])
        });
        let by_number = match asked.test {
            Test::Number(Comparison::Equal, Number(number)) => {
                asked.field.map(|field| (0.02 * uses, vec![Witness::Number(field, number)]))
            }
            _ => None,
        };
        let by_presence = asked.field.map(|field| (PRESENCE, vec![Witness::Present(field)]));
        by_literals.or(by_number).or(by_presence)
    }
}

/// How common it is that a field which is asked for is there.
const PRESENCE: Weight = 1.0;

/// How common a text is that stands in a typical value.
const TYPICAL_WEIGHT: Weight = 0.2;

/// Values, folded, that ordinary machines log all day: a text that stands in one of them tells little.
const TYPICAL: &str = r"
c:\windows\system32\svchost.exe -k netsvcs
c:\windows\system32\services.exe
c:\windows\system32\cmd.exe /c
c:\windows\system32\windowspowershell\v1.0\powershell.exe
c:\windows\explorer.exe
c:\windows\syswow64\
c:\program files\common files\
c:\program files (x86)\
c:\users\public\
\appdata\local\temp\
\appdata\roaming\microsoft\windows\
c:\programdata\microsoft\windows defender\
hklm\software\microsoft\windows\currentversion\
hklm\system\currentcontrolset\services\
nt authority\system
microsoft corporation
microsoft® windows® operating system
windows powershell
https://www.
http://
mozilla/5.0 (windows nt 10.0; win64; x64) applewebkit/537.36 (khtml, like gecko) chrome/
/usr/bin/bash -c
/bin/sh
/etc/
/tmp/
";

fn join(each: Vec<(Weight, Vec<Witness>)>) -> Option<(Weight, Vec<Witness>)> {
    let weight = each.iter().map(|(weight, _)| weight).sum();
    Some((weight, each.into_iter().flat_map(|(_, witnesses)| witnesses).collect()))
}

fn weight_of(op: TextOp, literal: &str) -> Weight {
    if memmem::find(TYPICAL.as_bytes(), literal.as_bytes()).is_some() {
        return TYPICAL_WEIGHT;
    }
    let rare = literal.bytes().filter(|byte| is_rare(*byte)).count();
    let weight = 1.0 / (1.0 + (literal.len() + RARE_LEN * rare) as Weight).powi(2);
    if op == TextOp::Equals { weight / 4.0 } else { weight }
}

/// How many ordinary letters more tell as much as a sign that ordinary values do not have.
const RARE_LEN: usize = 3;

/// Whether typical values do not have it. Each letter and digit is in some.
fn is_rare(byte: u8) -> bool {
    !byte.is_ascii_alphanumeric() && !TYPICAL.as_bytes().contains(&byte)
}

/// Returns folded texts one of which any fitting value contains; `None` where there is none that can be looked for.
fn literals(test: &Test) -> Option<(TextOp, Vec<String>)> {
    let found = match test {
        Test::Text { op, case, literals } => {
            let folded = literals.iter().map(|literal| match case {
                Case::Folded => literal.to_string(),
                Case::Kept => fold(literal),
            });
            (*op, folded.collect())
        }
        Test::Glob { glob, .. } => (TextOp::Contains, vec![fold(glob.longest_literal()?)]),
        Test::Regex(pattern) => (TextOp::Contains, regex_literals(pattern)?),
        _ => return None,
    };
    found.1.iter().all(|literal| !literal.is_empty() || found.0 == TextOp::Equals).then_some(found)
}

fn regex_literals(pattern: &str) -> Option<Vec<String>> {
    let hir = regex_syntax::parse(pattern).ok()?;
    let found = required(&hir)?;
    found.iter().all(|literal| tells(literal)).then_some(found)
}

/// Whether a text of a regular expression is worth looking for.
fn tells(literal: &str) -> bool {
    literal.len() >= 3 || weight_of(TextOp::Contains, literal) < 1.0 / 16.0
}

/// Returns folded texts of which any match contains one.
fn required(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Literal(_) | HirKind::Class(_) => fixed(hir).map(|text| vec![text]),
        HirKind::Capture(capture) => required(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => required(&repetition.sub),
        HirKind::Alternation(parts) if parts.len() <= ALTERNATIVES_MAX => {
            let each: Vec<Vec<String>> = parts.iter().map(required).collect::<Option<_>>()?;
            let all: Vec<String> = each.into_iter().flatten().collect();
            (all.len() <= ALTERNATIVES_MAX).then_some(all)
        }
        HirKind::Concat(parts) => {
            let mut best: Option<Vec<String>> = None;
            let mut run = String::new();
            for part in parts {
                match fixed(part) {
                    Some(text) => run.push_str(&text),
                    None => {
                        best = better(best, Some(vec![std::mem::take(&mut run)]));
                        best = better(best, required(part));
                    }
                }
            }
            better(best, Some(vec![run]))
        }
        _ => None,
    }
}

/// The one folded text that this matches; `None` where there are several.
fn fixed(hir: &Hir) -> Option<String> {
    match hir.kind() {
        HirKind::Literal(literal) => std::str::from_utf8(&literal.0).ok().map(fold),
        HirKind::Class(regex_syntax::hir::Class::Unicode(class)) => {
            let first = fold_char(class.ranges().first()?.start());
            let mut chars = class.ranges().iter().flat_map(|range| range.start()..=range.end()).take(8);
            (class.ranges().len() < 8 && chars.all(|c| fold_char(c) == first)).then(|| first.to_string())
        }
        HirKind::Capture(capture) => fixed(&capture.sub),
        HirKind::Concat(parts) => parts.iter().map(fixed).collect(),
        _ => None,
    }
}

/// The set whose most common text is rarer; of two alike the smaller.
fn better(a: Option<Vec<String>>, b: Option<Vec<String>>) -> Option<Vec<String>> {
    let commonness = |set: &Option<Vec<String>>| {
        let of = |text: &String| if tells(text) { weight_of(TextOp::Contains, text) } else { PRESENCE };
        set.iter().flatten().map(of).reduce(Weight::max)
    };
    let (Some(of_b), count_b) = (commonness(&b), b.iter().flatten().count()) else { return a };
    let Some(of_a) = commonness(&a) else { return b };
    if of_b < of_a || (of_b == of_a && count_b < a.iter().flatten().count()) { b } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, expected: Option<&[&str]>) {
        let expected = expected.map(|texts| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        assert_eq!(regex_literals(pattern), expected, "{pattern}");
    }

    #[test]
    fn what_any_match_of_a_regex_contains() {
        check("foo.*Barbaz", Some(&["barbaz"]));
        check("(?i)System32", Some(&["system32"]));
        check("(?:curl|WGET) +http", Some(&["curl", "wget"]));
        check("^(?:powershell|pwsh)$", Some(&["powershell", "pwsh"]));
        check("(abc)+x?", Some(&["abc"]));
        check("(abc)*", None);
        check("[a-z]+", None);
        check("ab", None);
        check(r"\w+`(?:\w+|-)`", Some(&["`"]));
        check(r"(?i)\$\{`?e`?n`?v`?", Some(&["${"]));
        check("a[^;]+;;b", Some(&[";;b"]));
        check("ab[0-9]+-", None);
        check("(foo)?", None);
        check("a|longer", None);
    }
}
