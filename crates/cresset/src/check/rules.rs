//! `cresset rules check`.

use std::collections::BTreeMap;
use std::io::{self, Write};

use cresset_detect::{Level, Refused, RuleFilter, RuleSet};
use cresset_pipeline::load_rules;
use serde::Serialize;

use crate::Outcome;
use crate::args::{CheckOutput, RulesCheckArgs};
use crate::escape;

/// What `--output json` gives: one object.
#[derive(Serialize)]
struct Checked<'a> {
    loaded: usize,
    levels: BTreeMap<&'static str, usize>,
    refused: Vec<RefusedOut<'a>>,
}

#[derive(Serialize)]
struct RefusedOut<'a> {
    file: &'a str,
    line: u64,
    reason: &'a str,
}

/// Says which rules load and which do not.
pub(crate) fn run(args: &RulesCheckArgs, out: &mut dyn Write) -> io::Result<Outcome> {
    let sources = load_rules(&args.paths);
    if sources.is_empty() {
        writeln!(io::stderr(), "cresset: no rule file (.yml, .yaml) was found there")?;
        return Ok(Outcome::Failed);
    }
    let (rules, refused) = RuleSet::compile(sources, &RuleFilter::default(), &Default::default());
    match args.output {
        CheckOutput::Json => write_json(&rules, &refused, out)?,
        CheckOutput::Text => write_text(&rules, &refused, out)?,
    }
    Ok(if refused.is_empty() { Outcome::Done } else { Outcome::Failed })
}

fn levels(rules: &RuleSet) -> BTreeMap<Level, usize> {
    let mut levels = BTreeMap::new();
    for rule in rules.rules() {
        *levels.entry(rule.level).or_default() += 1;
    }
    levels
}

fn write_json(rules: &RuleSet, refused: &[Refused], out: &mut dyn Write) -> io::Result<()> {
    let checked = Checked {
        loaded: rules.len(),
        levels: levels(rules).into_iter().map(|(level, count)| (level.as_str(), count)).collect(),
        refused: refused
            .iter()
            .map(|refused| RefusedOut { file: &refused.file, line: refused.line, reason: &refused.reason })
            .collect(),
    };
    let json = serde_json::to_string(&checked)?;
    writeln!(out, "{}", escape::json(&json))
}

fn write_text(rules: &RuleSet, refused: &[Refused], out: &mut dyn Write) -> io::Result<()> {
    for refused in refused {
        let (file, reason) = (escape::terminal(&refused.file), escape::terminal(&refused.reason));
        writeln!(out, "{file}:{}: {reason}", refused.line)?;
    }
    let levels: Vec<String> =
        levels(rules).into_iter().rev().map(|(level, count)| format!("{count} {level}")).collect();
    writeln!(out, "{} rules load ({}); {} refused", rules.len(), levels.join(", "), refused.len())
}
