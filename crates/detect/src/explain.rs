//! Why a rule fits an event, or why not: its condition part by part.
//!
//! Nothing is skipped for being decided already, and no index is used: it is for a person who writes a rule. Always: the
//! whole comes to what the engine says (`tests/it/oracle.rs`).

use cresset_event::{Event, Value};
use rsigma_parser::{
    ConditionExpr, Detection as Selection, DetectionItem, Detections, FieldSpec, Quantifier, SigmaRule, SigmaValue,
};

use crate::engine::{Lookup, Lowering, Reads, TestTable, View, meant};
use crate::rule::RuleSources;
use crate::wanted::WantedSource;

/// Most values of a field that are shown.
const SEEN_MAX: usize = 4;
/// Longest shown list of a rule's values, in characters.
const WANTED_CHARS_MAX: usize = 200;

/// A rule, and what an event is to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleExplained {
    /// The rule's title.
    pub title: String,
    /// Whether the rule is meant for the event's log source; if not, it never sees the event.
    pub fits_source: bool,
    /// The log source that the rule names.
    pub wants_source: WantedSource,
    /// Its condition.
    pub condition: Explained,
}

/// A part of a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// What is asked, in the rule's words.
    pub what: String,
    /// Whether it is so.
    pub holds: bool,
    /// For a field: the values that the event has there.
    pub seen: Option<Vec<String>>,
    /// What it is made of.
    pub parts: Vec<Explained>,
}

impl RuleExplained {
    /// Returns whether the rule fits the event.
    pub fn holds(&self) -> bool {
        self.fits_source && self.condition.holds
    }
}

impl RuleSources {
    /// Explains every detection rule that was read; `Err` names a rule that cannot be compiled, and why.
    pub fn explain(&self, event: &Event) -> Vec<Result<RuleExplained, String>> {
        self.rules.iter().map(|(rule, _)| explain(rule, event)).collect()
    }
}

fn explain(rule: &SigmaRule, event: &Event) -> Result<RuleExplained, String> {
    let mut tests = TestTable::default();
    let mut lookup = Lookup::default();
    lookup.begin(event);
    event.entries().enumerate().for_each(|(at, entry)| lookup.add(at, entry, Reads::Texts));
    let view = lookup.view(event);
    let named = |reason| format!("{}: {reason}", rule.title);
    let mut explainer = Explainer { lowering: Lowering { names: event.names(), tests: &mut tests }, view };
    // Compiled as a whole first: it checks what no part shows.
    explainer.lowering.rule(rule).map_err(named)?;
    let conditions = rule.detection.conditions.iter();
    let mut parts: Vec<Explained> = conditions
        .map(|condition| explainer.condition(condition, &rule.detection))
        .collect::<Result<_, _>>()
        .map_err(named)?;
    let condition = if parts.len() == 1 { parts.remove(0) } else { any("one of these conditions", parts) };
    let wants = WantedSource::of(&rule.logsource);
    Ok(RuleExplained {
        title: rule.title.clone(),
        fits_source: wants.fits(&event.origin().log_source),
        wants_source: wants,
        condition,
    })
}

struct Explainer<'e, 'l> {
    lowering: Lowering<'l>,
    view: View<'e>,
}

impl Explainer<'_, '_> {
    fn condition(&mut self, condition: &ConditionExpr, selections: &Detections) -> Result<Explained, String> {
        let mut each = |parts: &[ConditionExpr]| -> Result<Vec<Explained>, String> {
            parts.iter().map(|part| self.condition(part, selections)).collect()
        };
        Ok(match condition {
            ConditionExpr::And(parts) => all("all of", each(parts)?),
            ConditionExpr::Or(parts) => any("one of", each(parts)?),
            ConditionExpr::Not(part) => {
                let part = self.condition(part, selections)?;
                Explained { what: "not".into(), holds: !part.holds, seen: None, parts: vec![part] }
            }
            ConditionExpr::Identifier(name) => {
                let selection = selections.named.get(name).ok_or_else(|| format!("`{name}` is no selection"))?;
                self.selection(name, selection)?
            }
            ConditionExpr::Selector { quantifier, pattern } => {
                let parts: Vec<Explained> = meant(selections, pattern)
                    .into_iter()
                    .map(|(name, selection)| self.selection(name, selection))
                    .collect::<Result<_, _>>()?;
                let count = parts.iter().filter(|part| part.holds).count();
                let holds = match quantifier {
                    Quantifier::Any => count > 0,
                    Quantifier::All => count == parts.len(),
                    Quantifier::Count(least) => count as u64 >= *least,
                };
                Explained { what: condition.to_string(), holds, seen: None, parts }
            }
        })
    }

    fn selection(&mut self, what: &str, selection: &Selection) -> Result<Explained, String> {
        Ok(match selection {
            Selection::AllOf(items) => all(what, items.iter().map(|item| self.item(item)).collect::<Result<_, _>>()?),
            Selection::AnyOf(parts) => any(what, self.alternatives(parts)?),
            Selection::And(parts) => all(what, self.alternatives(parts)?),
            Selection::Keywords(values) => {
                let item = DetectionItem { field: FieldSpec::new(None, Vec::new()), values: values.clone() };
                any(what, vec![self.item(&item)?])
            }
            Selection::ArrayMatch { .. } | Selection::Conditional { .. } => {
                return Err("quantifiers over members of arrays are not in Sigma 2.1".into());
            }
        })
    }

    fn alternatives(&mut self, parts: &[Selection]) -> Result<Vec<Explained>, String> {
        let numbered = parts.iter().zip(1..);
        numbered.map(|(part, number)| self.selection(&format!("alternative {number}"), part)).collect()
    }

    fn item(&mut self, item: &DetectionItem) -> Result<Explained, String> {
        let asked = self.lowering.item(item)?;
        let (tests, view) = (self.lowering.tests.tests(), self.view);
        // Where a test gave up it may be so or not.
        let holds_where = |given_up: bool| {
            asked.holds(&mut |id| {
                let holds = tests.get(id).holds(&view);
                view.gave_up() && given_up || holds
            })
        };
        let holds = holds_where(false);
        let is_known = holds == holds_where(true);
        let gave_up = if is_known { "" } else { " (took too long on this value: whether it is so is not known)" };
        let field = item.field.name.as_deref();
        Ok(Explained {
            what: show_item(item) + gave_up,
            holds,
            seen: field.map(|field| self.seen(field)),
            parts: Vec::new(),
        })
    }

    fn seen(&self, field: &str) -> Vec<String> {
        let show = |value: Value<'_>| value.to_text().map_or_else(|| "null".to_owned(), |text| text.into_owned());
        self.view.event().get(field).take(SEEN_MAX).map(show).collect()
    }
}

fn all(what: &str, parts: Vec<Explained>) -> Explained {
    Explained { what: what.into(), holds: parts.iter().all(|part| part.holds), seen: None, parts }
}

fn any(what: &str, parts: Vec<Explained>) -> Explained {
    Explained { what: what.into(), holds: parts.iter().any(|part| part.holds), seen: None, parts }
}

/// `CommandLine|contains: 'whoami' or 'net user'`, cut where it is long.
fn show_item(item: &DetectionItem) -> String {
    let modifiers: String = item.field.modifiers.iter().map(|modifier| format!("|{}", name_of(*modifier))).collect();
    let joint = if item.field.modifiers.contains(&rsigma_parser::Modifier::All) { " and " } else { " or " };
    let values = item.values.iter().map(|value| match value {
        // Quoted, so that spaces at the ends are seen.
        SigmaValue::String(text) => format!("'{text}'"),
        other => other.to_string(),
    });
    let values: Vec<String> = values.collect();
    let wanted = values.join(joint);
    let wanted = match wanted.char_indices().nth(WANTED_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &wanted[..end]),
        None => wanted,
    };
    format!("{}{modifiers}: {wanted}", item.field.name.as_deref().unwrap_or("keyword"))
}

fn name_of(modifier: rsigma_parser::Modifier) -> String {
    format!("{modifier:?}").to_lowercase()
}
