//! Sigma filters: rules that narrow other rules without touching their files (Sigma filters specification).
//!
//! Applied to the parsed rules before they are compiled: the filter's detections are added under names of their own, and
//! each condition becomes `(condition) and (filter's condition)`.

use rsigma_parser::{ConditionExpr, FilterRule, FilterRuleTarget, SelectorPattern, SigmaRule};

/// Narrows every rule that the filter names; returns to how many it applied.
pub(crate) fn apply(filter: &FilterRule, number: usize, rules: &mut [&mut SigmaRule]) -> usize {
    let mut applied = 0;
    for rule in rules.iter_mut().filter(|rule| is_meant(filter, rule)) {
        narrow(filter, number, rule);
        applied += 1;
    }
    applied
}

/// Returns whether a filter narrows a rule.
pub(crate) fn is_meant(filter: &FilterRule, rule: &SigmaRule) -> bool {
    let is_named = match &filter.rules {
        FilterRuleTarget::Any => true,
        FilterRuleTarget::Specific(names) => names
            .iter()
            .any(|name| rule.id.as_ref() == Some(name) || rule.name.as_ref() == Some(name) || rule.title == *name),
    };
    let same = |wants: &Option<String>, has: &Option<String>| {
        wants.as_ref().is_none_or(|wants| has.as_ref().is_some_and(|has| has.eq_ignore_ascii_case(wants)))
    };
    is_named
        && filter.logsource.as_ref().is_none_or(|wants| {
            same(&wants.product, &rule.logsource.product)
                && same(&wants.category, &rule.logsource.category)
                && same(&wants.service, &rule.logsource.service)
        })
}

fn narrow(filter: &FilterRule, number: usize, rule: &mut SigmaRule) {
    let prefix = format!("_filter_{number}_");
    for (name, detection) in &filter.detection.named {
        rule.detection.named.insert(format!("{prefix}{name}"), detection.clone());
    }
    for condition in &mut rule.detection.conditions {
        let of_filter = filter.detection.conditions.iter().map(|condition| prefixed(condition, &prefix));
        *condition = ConditionExpr::And(std::iter::once(condition.clone()).chain(of_filter).collect());
    }
}

/// Points a filter's condition at its detections' new names. "Them" are the filter's own, not the rule's.
fn prefixed(condition: &ConditionExpr, prefix: &str) -> ConditionExpr {
    let all = |parts: &[ConditionExpr]| parts.iter().map(|part| prefixed(part, prefix)).collect();
    match condition {
        ConditionExpr::And(parts) => ConditionExpr::And(all(parts)),
        ConditionExpr::Or(parts) => ConditionExpr::Or(all(parts)),
        ConditionExpr::Not(part) => ConditionExpr::Not(Box::new(prefixed(part, prefix))),
        ConditionExpr::Identifier(name) => ConditionExpr::Identifier(format!("{prefix}{name}")),
        ConditionExpr::Selector { quantifier, pattern } => ConditionExpr::Selector {
            quantifier: quantifier.clone(),
            pattern: SelectorPattern::Pattern(match pattern {
                SelectorPattern::Them => format!("{prefix}*"),
                SelectorPattern::Pattern(pattern) => format!("{prefix}{pattern}"),
            }),
        },
    }
}
