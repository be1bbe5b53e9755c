//! The events of one group in the order of their times, and the windows over them.

use std::collections::HashSet;

use cresset_event::Timestamp;
use rsigma_parser::{ConditionExpr, ConditionOperator, CorrelationType, SelectorPattern};

use super::CorrelationStats;
use super::compile::{Correlation, Test};

/// Most events that are remembered of one group; past it the earliest are shed. It bounds what one more event can cost
/// (an evaluation of a full window, about 20 µs) as well as the memory (100 KiB).
pub(super) const ENTRIES_MAX: usize = 4096;
/// Most entries that are looked at for one event, a fraction of a millisecond. An event in the order of its time needs one window, of
/// [`ENTRIES_MAX`] at most; one that comes late may stand in as many windows as there are events after it.
const WORK_MAX: usize = 1 << 16;
/// Most stretches of time that a group remembers having fired for; the earliest are forgotten.
const SPENT_MAX: usize = 64;

/// From and to, both inclusive.
pub(super) type Stretch = (i64, i64);

/// What is kept of an event.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    /// When it happened.
    pub(super) time: i64,
    /// Which of the rules that the correlation lists it fits.
    pub(super) position: usize,
    /// A number, or a digest to be told apart.
    pub(super) value: f64,
}

/// What fulfilled the condition.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Window {
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
    pub(crate) events: u64,
    /// What was counted or computed; for temporal types, how many of the rules were seen.
    pub(crate) value: f64,
}

/// One group of one correlation.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// In the order of their times, then of the rules listed.
    entries: Vec<Entry>,
    /// Stretches of time that fired already.
    spent: Vec<Stretch>,
    pub(super) touched: u64,
}

impl Group {
    /// Puts a group together again; `Err` says what no group of this correlation can hold.
    pub(super) fn restore(
        entries: Vec<Entry>,
        spent: Vec<Stretch>,
        touched: u64,
        correlation: &Correlation,
    ) -> Result<Self, &'static str> {
        match () {
            () if entries.len() > ENTRIES_MAX || spent.len() > SPENT_MAX => Err("a group with more than is remembered"),
            () if !entries.is_sorted_by_key(|entry| (entry.time, entry.position)) => Err("events out of order"),
            () if entries.iter().any(|entry| entry.position >= correlation.rules.len()) => {
                Err("an event of a rule that the correlation does not list")
            }
            () if !entries.iter().all(|entry| correlation.can_keep(entry.value)) => {
                Err("a value that the correlation does not keep")
            }
            () if spent.iter().any(|(from, to)| from > to) => Err("a stretch of time that ends before it begins"),
            () => Ok(Self { entries, spent, touched }),
        }
    }

    /// Returns the events, and the stretches of time that fired already.
    pub(super) fn parts(&self) -> (&[Entry], &[Stretch]) {
        (&self.entries, &self.spent)
    }

    /// Returns how many events it remembers.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Takes an event in, and returns the window that it fulfils, if any.
    pub(super) fn add(
        &mut self,
        entry: Entry,
        correlation: &Correlation,
        stats: &mut CorrelationStats,
    ) -> Option<Window> {
        if self.spent.iter().any(|(from, to)| (*from..=*to).contains(&entry.time)) {
            return None;
        }
        let at = self.entries.partition_point(|has| (has.time, has.position) <= (entry.time, entry.position));
        self.entries.insert(at, entry);
        self.shed(correlation.span_nanos, &mut stats.entries_shed);
        let window = self.find(entry.time, correlation, &mut stats.windows_left)?;
        self.spend(&window, correlation.span_nanos);
        Some(window)
    }

    /// Looks at the windows that end with an event at or after `time` and still reach back to it, within [`WORK_MAX`].
    fn find(&self, time: i64, correlation: &Correlation, windows_left: &mut u64) -> Option<Window> {
        let mut work = WORK_MAX;
        let first_end = self.entries.partition_point(|entry| entry.time < time);
        let ends = self.entries[first_end..].iter().enumerate();
        let reaches_back = ends.take_while(|(_, end)| end.time.saturating_sub(correlation.span_nanos) <= time);
        for (offset, end) in reaches_back {
            let next = self.entries.get(first_end + offset + 1);
            // Of events at the same time the window ends with the last.
            if next.is_some_and(|next| next.time == end.time) {
                continue;
            }
            let from = end.time.saturating_sub(correlation.span_nanos);
            let start = self.entries.partition_point(|entry| entry.time < from);
            let inside = &self.entries[start..=first_end + offset];
            // How many there are is known without looking.
            let cost = if correlation.kind == CorrelationType::EventCount { 1 } else { inside.len() };
            let Some(rest) = work.checked_sub(cost) else {
                *windows_left += 1;
                return None;
            };
            work = rest;
            if let Some(value) = fulfilled(correlation, inside) {
                return Some(Window {
                    first: Timestamp::from_nanos(inside[0].time),
                    last: Timestamp::from_nanos(end.time),
                    events: inside.len() as u64,
                    value,
                });
            }
        }
        None
    }

    /// Takes the window's events, and what comes within one more timespan, out of the count.
    fn spend(&mut self, window: &Window, span: i64) {
        let stretch = (window.first.as_nanos(), window.last.as_nanos().saturating_add(span));
        self.entries.retain(|entry| !(stretch.0..=stretch.1).contains(&entry.time));
        if self.spent.len() == SPENT_MAX {
            self.spent.remove(0);
        }
        self.spent.push(stretch);
    }

    fn shed(&mut self, span: i64, shed: &mut u64) {
        if self.entries.len() <= ENTRIES_MAX {
            return;
        }
        let newest = self.entries.last().map_or(0, |entry| entry.time);
        let outside = self.entries.partition_point(|entry| entry.time < newest.saturating_sub(span));
        // What no window with the newest event can hold goes first, and is no loss to it.
        let gone = outside.clamp(1, ENTRIES_MAX / 2);
        *shed += u64::from(outside == 0);
        self.entries.drain(..gone);
    }
}

/// Returns what a window comes to, if that fulfils the condition.
fn fulfilled(correlation: &Correlation, inside: &[Entry]) -> Option<f64> {
    use CorrelationType as Type;
    let numbers = || inside.iter().map(|entry| entry.value);
    let value = match correlation.kind {
        Type::EventCount => inside.len() as f64,
        Type::ValueCount => numbers().map(f64::to_bits).collect::<HashSet<u64>>().len() as f64,
        Type::ValueSum => numbers().sum(),
        Type::ValueAvg => numbers().sum::<f64>() / inside.len() as f64,
        Type::ValueMedian => percentile(numbers().collect(), 50.0),
        Type::ValuePercentile => percentile(numbers().collect(), correlation.percentile),
        Type::Temporal | Type::TemporalOrdered => return seen(correlation, inside),
    };
    let Test::Numbers(comparisons) = &correlation.test else { return None };
    comparisons.iter().all(|(operator, number)| compares(value, *operator, *number)).then_some(value)
}

/// Interpolates linearly between the two nearest values, as databases' `percentile_cont` does.
fn percentile(mut values: Vec<f64>, percent: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = percent / 100.0 * (values.len() - 1) as f64;
    let (below, above) = (values[rank.floor() as usize], values[rank.ceil() as usize]);
    below + (above - below) * rank.fract()
}

fn compares(value: f64, operator: ConditionOperator, number: f64) -> bool {
    match operator {
        ConditionOperator::Lt => value < number,
        ConditionOperator::Lte => value <= number,
        ConditionOperator::Gt => value > number,
        ConditionOperator::Gte => value >= number,
        ConditionOperator::Eq => value == number,
        ConditionOperator::Neq => value != number,
    }
}

/// Temporal types: which of the rules were seen, for the ordered one in the order listed.
fn seen(correlation: &Correlation, inside: &[Entry]) -> Option<f64> {
    let listed = correlation.rules.len();
    let positions: HashSet<usize> = inside.iter().map(|entry| entry.position).collect();
    let is_seen =
        |name: &str| correlation.rules.iter().position(|rule| rule == name).is_some_and(|at| positions.contains(&at));
    let fulfilled = match &correlation.test {
        Test::Seen(expression) => holds(expression, &correlation.rules, &is_seen),
        // A number counts the rules that were seen; without one, all of them must be.
        Test::Numbers(numbers) if numbers.is_empty() => positions.len() == listed,
        Test::Numbers(numbers) => {
            numbers.iter().all(|(operator, number)| compares(positions.len() as f64, *operator, *number))
        }
    };
    let in_order = correlation.kind == CorrelationType::Temporal || is_in_order(inside, &positions);
    (fulfilled && in_order).then_some(positions.len() as f64)
}

/// Returns whether the rules that were seen can be found in the order in which they are listed.
fn is_in_order(inside: &[Entry], positions: &HashSet<usize>) -> bool {
    let mut wanted: Vec<usize> = positions.iter().copied().collect();
    wanted.sort_unstable();
    let mut wanted = wanted.into_iter().peekable();
    for entry in inside {
        wanted.next_if_eq(&entry.position);
    }
    wanted.peek().is_none()
}

fn holds(expression: &ConditionExpr, rules: &[String], is_seen: &dyn Fn(&str) -> bool) -> bool {
    match expression {
        ConditionExpr::And(parts) => parts.iter().all(|part| holds(part, rules, is_seen)),
        ConditionExpr::Or(parts) => parts.iter().any(|part| holds(part, rules, is_seen)),
        ConditionExpr::Not(part) => !holds(part, rules, is_seen),
        ConditionExpr::Identifier(name) => is_seen(name),
        ConditionExpr::Selector { quantifier, pattern } => {
            let is_meant = |rule: &&String| match pattern {
                SelectorPattern::Them => true,
                SelectorPattern::Pattern(pattern) => match pattern.split_once('*') {
                    Some((head, tail)) => {
                        rule.len() >= head.len() + tail.len() && rule.starts_with(head) && rule.ends_with(tail)
                    }
                    None => *rule == pattern,
                },
            };
            let meant: Vec<&String> = rules.iter().filter(is_meant).collect();
            let count = meant.iter().filter(|rule| is_seen(rule)).count();
            match quantifier {
                rsigma_parser::Quantifier::Any => count > 0,
                rsigma_parser::Quantifier::All => count == meant.len() && !meant.is_empty(),
                rsigma_parser::Quantifier::Count(least) => count as u64 >= *least,
            }
        }
    }
}
