//! A layer for the ATT&CK Navigator, in version 4.5 of its format: how many rules name each technique.
//!
//! `tactic` is left out, so that a technique is scored wherever it stands in the matrix; so is `versions.attack`, since rules
//! do not say which version of ATT&CK their tags are of.

use cresset_detect::Rule;
use serde::Serialize;

use super::covered::{Covered, levels_of};
use crate::escape;

/// Rules of a technique from which on it is as dark as can be. A bound that does not depend on the rules, so that two layers
/// can be compared; a few techniques have hundreds and would leave all others pale.
const SCORE_DARKEST: usize = 10;
/// Most rules that a comment names; past it they are counted.
const COMMENT_RULES_MAX: usize = 20;
/// Few rules are light, many dark.
const COLORS: [&str; 3] = ["#e5f5e0", "#74c476", "#006d2c"];

/// The file.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Layer<'r> {
    name: String,
    versions: Versions,
    domain: &'static str,
    description: String,
    sorting: u8,
    layout: Layout,
    hide_disabled: bool,
    techniques: Vec<Technique<'r>>,
    gradient: Gradient,
    legend_items: Vec<LegendItem>,
    show_tactic_row_background: bool,
    tactic_row_background: &'static str,
    select_techniques_across_tactics: bool,
    select_subtechniques_with_parent: bool,
    select_visible_techniques: bool,
}

#[derive(Debug, Serialize)]
struct Versions {
    navigator: &'static str,
    layer: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Layout {
    layout: &'static str,
    #[serde(rename = "showID")]
    show_id: bool,
    show_name: bool,
    expanded_subtechniques: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Technique<'r> {
    #[serde(rename = "techniqueID")]
    technique_id: &'r str,
    score: usize,
    comment: String,
    enabled: bool,
    metadata: Vec<Metadata>,
}

#[derive(Debug, Serialize)]
struct Metadata {
    name: &'static str,
    value: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Gradient {
    colors: [&'static str; 3],
    min_value: usize,
    max_value: usize,
}

#[derive(Debug, Serialize)]
struct LegendItem {
    label: String,
    color: &'static str,
}

/// Returns the layer of what rules cover.
pub(super) fn layer<'r>(covered: &Covered<'r>, paths: &[String]) -> Layer<'r> {
    let techniques = covered.techniques();
    let legend =
        ["1 rule".to_owned(), format!("{} rules", SCORE_DARKEST / 2), format!("{SCORE_DARKEST} rules or more")];
    Layer {
        name: "Sigma rules".into(),
        versions: Versions { navigator: "5.0.0", layer: "4.5" },
        domain: "enterprise-attack",
        description: format!(
            "How many rules of {} name each technique: {} in {} rules. By Cresset {}.",
            paths.join(", "),
            techniques.len(),
            covered.rules,
            env!("CARGO_PKG_VERSION")
        ),
        sorting: 3,
        layout: Layout { layout: "side", show_id: true, show_name: true, expanded_subtechniques: "annotated" },
        hide_disabled: false,
        techniques: techniques.into_iter().map(|(id, rules)| technique(id, rules)).collect(),
        gradient: Gradient { colors: COLORS, min_value: 1, max_value: SCORE_DARKEST },
        legend_items: legend.into_iter().zip(COLORS).map(|(label, color)| LegendItem { label, color }).collect(),
        show_tactic_row_background: true,
        tactic_row_background: "#dddddd",
        select_techniques_across_tactics: true,
        select_subtechniques_with_parent: false,
        select_visible_techniques: false,
    }
}

fn technique<'r>(technique_id: &'r str, rules: &[&Rule]) -> Technique<'r> {
    let titles = rules.iter().take(COMMENT_RULES_MAX).map(|rule| escape::terminal(&rule.title).into_owned());
    let more = rules.len().saturating_sub(COMMENT_RULES_MAX);
    let rest = (more > 0).then(|| format!("… and {more} more"));
    let levels = levels_of(rules).into_iter().rev();
    Technique {
        technique_id,
        score: rules.len(),
        comment: titles.chain(rest).collect::<Vec<_>>().join("\n"),
        enabled: true,
        metadata: levels.map(|(level, count)| Metadata { name: level.as_str(), value: count.to_string() }).collect(),
    }
}
