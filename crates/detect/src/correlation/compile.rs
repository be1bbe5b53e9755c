//! Correlation rules, checked and with their references resolved.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rsigma_parser::{
    ConditionExpr, ConditionOperator, CorrelationCondition, CorrelationRule, CorrelationType, WindowMode,
};

use super::identity::Digest;
use super::window::ENTRIES_MAX;
use crate::rule::{Place, Refused, Rule};

/// Longest window: a year.
const TIMESPAN_SECONDS_MAX: u64 = 366 * 86_400;
/// Most fields to group by, and most rules that one correlation names.
const LISTED_MAX: usize = 64;

/// What can be counted: a rule that fits an event, or a correlation that fired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Input {
    Rule(usize),
    Correlation(usize),
}

/// Compiled correlation rules.
#[derive(Debug, Default)]
pub(crate) struct CorrelationSet {
    correlations: Vec<Correlation>,
    /// Which correlations an input feeds, and as which of the rules that they list.
    fed: HashMap<Input, Vec<(usize, usize)>>,
    correlated: HashSet<usize>,
    silent: HashSet<usize>,
    /// How many correlations have each definition: files may repeat one.
    definitions: HashMap<Digest, usize>,
}

/// One correlation rule.
#[derive(Debug)]
pub(super) struct Correlation {
    pub(super) rule: Arc<Rule>,
    /// What it counts, and how; no two correlations of a set have the same.
    pub(super) digest: Digest,
    pub(super) kind: CorrelationType,
    pub(super) rules: Vec<String>,
    pub(super) group_by: Vec<GroupBy>,
    pub(super) span_nanos: i64,
    pub(super) fields: Vec<String>,
    pub(super) percentile: f64,
    pub(super) test: Test,
}

/// A field to group by, which each of the rules may call otherwise.
#[derive(Debug)]
pub(super) struct GroupBy {
    pub(super) name: String,
    by_position: Vec<Option<String>>,
}

impl GroupBy {
    pub(super) fn field_of(&self, position: usize) -> &str {
        self.by_position.get(position).and_then(Option::as_deref).unwrap_or(&self.name)
    }
}

/// What must hold over a window.
#[derive(Debug)]
pub(super) enum Test {
    /// All of these comparisons.
    Numbers(Vec<(ConditionOperator, f64)>),
    /// This expression over the rules that were seen.
    Seen(ConditionExpr),
}

impl CorrelationSet {
    /// Compiles correlation rules. `find` gives the detection rules of an id or name, `definitions` what each of them asks.
    pub(crate) fn compile(
        rules: &[(CorrelationRule, Place)],
        find: &dyn Fn(&str) -> Vec<usize>,
        definitions: &HashMap<usize, Digest>,
    ) -> (Self, Vec<Refused>) {
        let mut set = Self::default();
        let mut refused = Vec::new();
        let mut waiting: Vec<&(CorrelationRule, Place)> = rules.iter().collect();
        // A correlation is compiled once all that it builds on is; what is left over in the end builds on itself or on
        // what is not there.
        loop {
            let before = waiting.len();
            waiting.retain(|(rule, place)| match set.resolve(rule, find) {
                Ok(inputs) => {
                    if let Err(reason) = set.add(rule, place, inputs, definitions) {
                        refused.push(place.refused(reason));
                    }
                    false
                }
                Err(_) => true,
            });
            if waiting.len() == before {
                break;
            }
        }
        for (rule, place) in waiting {
            let missing = set.resolve(rule, find).err().unwrap_or_default();
            refused.push(place.refused(format!(
                "the correlation names `{missing}`, which is no rule that is loaded, or builds on itself; load that rule too"
            )));
        }
        (set, refused)
    }

    /// Returns whether any correlation counts a rule.
    pub(crate) fn is_correlated(&self, rule: usize) -> bool {
        self.correlated.contains(&rule)
    }

    /// Returns whether a rule is there for correlations that do not want it reported by itself (`generate: false`).
    pub(crate) fn is_silent(&self, rule: usize) -> bool {
        self.silent.contains(&rule)
    }

    /// Returns what a person knows of a correlation.
    pub(crate) fn rule(&self, correlation: usize) -> &Arc<Rule> {
        &self.correlations[correlation].rule
    }

    /// Returns every correlation's rule.
    pub(crate) fn rules(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.correlations.iter().map(|correlation| &correlation.rule)
    }

    /// Returns how many correlations could fire where only these rules can fit: a temporal one needs all that it lists.
    pub(crate) fn count_fed(&self, rules: &[usize]) -> usize {
        let mut positions: Vec<HashSet<usize>> = vec![HashSet::new(); self.correlations.len()];
        let feed = |input: Input, positions: &mut [HashSet<usize>]| {
            for (correlation, position) in self.fed_by(input) {
                positions[*correlation].insert(*position);
            }
        };
        rules.iter().for_each(|rule| feed(Input::Rule(*rule), &mut positions));
        let mut count = 0;
        // A correlation stands behind all that it builds on.
        for (index, correlation) in self.correlations.iter().enumerate() {
            if positions[index].len() >= correlation.positions_needed() {
                count += 1;
                feed(Input::Correlation(index), &mut positions);
            }
        }
        count
    }

    pub(super) fn get(&self, correlation: usize) -> &Correlation {
        &self.correlations[correlation]
    }

    pub(super) fn all(&self) -> &[Correlation] {
        &self.correlations
    }

    pub(super) fn fed_by(&self, input: Input) -> &[(usize, usize)] {
        self.fed.get(&input).map_or(&[], Vec::as_slice)
    }

    /// Finds what each listed rule is; `Err` names the first that is nothing yet.
    fn resolve(&self, rule: &CorrelationRule, find: &dyn Fn(&str) -> Vec<usize>) -> Result<Vec<Vec<Input>>, String> {
        let resolve_one = |name: &String| {
            let rules = find(name).into_iter().map(Input::Rule);
            let is_meant = |correlation: &Correlation| correlation.is_called(name);
            let chained = (0..self.correlations.len()).filter(|index| is_meant(&self.correlations[*index]));
            let inputs: Vec<Input> = rules.chain(chained.map(Input::Correlation)).collect();
            if inputs.is_empty() { Err(name.clone()) } else { Ok(inputs) }
        };
        rule.rules.iter().map(resolve_one).collect()
    }

    /// Returns what inputs ask of events, in an order that is not that of the files.
    fn digests(&self, inputs: &[Input], definitions: &HashMap<usize, Digest>) -> Vec<Digest> {
        let digest = |input: &Input| match input {
            Input::Rule(key) => definitions[key],
            Input::Correlation(index) => self.correlations[*index].digest,
        };
        let mut digests: Vec<Digest> = inputs.iter().map(digest).collect();
        digests.sort_unstable();
        digests
    }

    fn add(
        &mut self,
        rule: &CorrelationRule,
        place: &Place,
        inputs: Vec<Vec<Input>>,
        definitions: &HashMap<usize, Digest>,
    ) -> Result<(), String> {
        let index = self.correlations.len();
        let builds_on: Vec<_> = inputs.iter().map(|inputs| self.digests(inputs, definitions)).collect();
        let mut correlation = Correlation::compile(rule, place, &builds_on)?;
        let same = self.definitions.entry(correlation.digest).or_default();
        correlation.digest = Digest::of(&(correlation.digest, *same));
        *same += 1;
        self.correlations.push(correlation);
        for (position, inputs) in inputs.into_iter().enumerate() {
            for input in inputs {
                self.fed.entry(input).or_default().push((index, position));
                if let Input::Rule(key) = input {
                    self.correlated.insert(key);
                    if !rule.generate {
                        self.silent.insert(key);
                    }
                }
            }
        }
        Ok(())
    }
}

impl Correlation {
    /// Compiles one; `builds_on` holds, for each rule that it lists, what that stands for.
    fn compile(rule: &CorrelationRule, place: &Place, builds_on: &[Vec<Digest>]) -> Result<Self, String> {
        if rule.rules.is_empty() || rule.rules.len() > LISTED_MAX || rule.group_by.len() > LISTED_MAX {
            return Err(format!(
                "a correlation names 1 to {LISTED_MAX} rules and groups by at most {LISTED_MAX} fields"
            ));
        }
        if rule.window != WindowMode::Sliding {
            return Err("`window` is not in Sigma 2.1, whose windows slide; leave it out".into());
        }
        if !(1..=TIMESPAN_SECONDS_MAX).contains(&rule.timespan.seconds) {
            return Err(format!("`timespan` must lie between 1 second and {} days", TIMESPAN_SECONDS_MAX / 86_400));
        }
        let (test, fields, percentile) = compile_condition(rule)?;
        let group_by: Vec<GroupBy> = rule.group_by.iter().map(|name| group_by(rule, name)).collect();
        let known = Rule::of_correlation(rule, &place.file);
        let how = (rule.correlation_type, &rule.rules, &group_by, rule.timespan.seconds, &fields, percentile, &test);
        Ok(Self {
            digest: Digest::of(&(known.handle(), how, builds_on)),
            rule: Arc::new(known),
            kind: rule.correlation_type,
            rules: rule.rules.clone(),
            group_by,
            span_nanos: rule.timespan.seconds as i64 * 1_000_000_000,
            fields,
            percentile,
            test,
        })
    }

    /// How many of the rules that it lists must be there for it to fire at all.
    fn positions_needed(&self) -> usize {
        let is_temporal = matches!(self.kind, CorrelationType::Temporal | CorrelationType::TemporalOrdered);
        match &self.test {
            Test::Numbers(numbers) if is_temporal && numbers.is_empty() => self.rules.len(),
            _ => 1,
        }
    }

    /// Returns whether a value is one that it keeps of an event.
    pub(super) fn can_keep(&self, value: f64) -> bool {
        use CorrelationType as Type;
        match self.kind {
            Type::EventCount | Type::Temporal | Type::TemporalOrdered => value.to_bits() == 0,
            Type::ValueCount => true,
            Type::ValueSum | Type::ValueAvg | Type::ValuePercentile | Type::ValueMedian => value.is_finite(),
        }
    }

    fn is_called(&self, name: &str) -> bool {
        self.rule.id.as_deref() == Some(name) || self.rule.name.as_deref() == Some(name)
    }
}

/// Reads which of the rules calls a field otherwise.
fn group_by(rule: &CorrelationRule, name: &str) -> GroupBy {
    let alias = rule.aliases.iter().find(|alias| alias.alias == name);
    let of_rule = |listed: &String| alias.and_then(|alias| alias.mapping.get(listed).cloned());
    GroupBy { name: name.into(), by_position: rule.rules.iter().map(of_rule).collect() }
}

fn compile_condition(rule: &CorrelationRule) -> Result<(Test, Vec<String>, f64), String> {
    use CorrelationType as Type;
    let needs_field = matches!(
        rule.correlation_type,
        Type::ValueCount | Type::ValueSum | Type::ValueAvg | Type::ValuePercentile | Type::ValueMedian
    );
    match &rule.condition {
        CorrelationCondition::Extended(expression) => {
            if !matches!(rule.correlation_type, Type::Temporal | Type::TemporalOrdered) {
                return Err(
                    "only temporal correlations have a condition over rule names; give a number to compare with".into(),
                );
            }
            Ok((Test::Seen(expression.clone()), Vec::new(), 0.0))
        }
        CorrelationCondition::Threshold { predicates, field, percentile } => {
            let fields = field.clone().unwrap_or_default();
            if needs_field && fields.is_empty() {
                return Err("this type of correlation needs `field` in its condition".into());
            }
            let percentile = percentile.unwrap_or(50);
            if percentile > 100 {
                return Err("`percentile` lies between 0 and 100".into());
            }
            let too_many = predicates.iter().any(|(_, number)| *number > ENTRIES_MAX as u64);
            if too_many && matches!(rule.correlation_type, Type::EventCount | Type::ValueCount) {
                return Err(format!("at most {ENTRIES_MAX} events of a group are remembered; ask for fewer"));
            }
            // The parser writes a temporal correlation that has no condition as one of at least 1.
            let is_without = predicates[..] == [(ConditionOperator::Gte, 1)];
            if is_without && matches!(rule.correlation_type, Type::Temporal | Type::TemporalOrdered) {
                return Ok((Test::Numbers(Vec::new()), fields, 0.0));
            }
            let numbers = predicates.iter().map(|(operator, number)| (*operator, *number as f64)).collect();
            Ok((Test::Numbers(numbers), fields, percentile as f64))
        }
    }
}
