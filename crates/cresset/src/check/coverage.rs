//! `cresset rules coverage`: which ATT&CK techniques rules cover, and which rules no log can feed.
//!
//! ATT&CK's own matrix is not built in: what there is to say comes of the rules' tags alone. A sub-technique counts as one of
//! its own.

mod covered;
mod navigator;
mod text;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

use cresset_detect::{Coverage, Detector, IndicatorSet, Refused, RuleFilter, RuleSet, RuleSources};
use cresset_event::{FieldNames, LogSource};
use cresset_ingest::{Opener, Skipped};
use cresset_pipeline::{Progress, Sink, Unreadable, Watch, WatchOptions, find_sources, load_rules};
use serde::Serialize;

use crate::Outcome;
use crate::args::{CheckOutput, RulesCoverageArgs};
use crate::check::coverage::covered::Covered;
use crate::escape;
use crate::output::Style;
use crate::output::rows::counted;
use crate::watch::{Bar, total_bytes};
use cresset_pipeline::whole_file::{self, Readers};

/// What was found out, for either output.
struct Findings<'r> {
    covered: Covered<'r>,
    feeding: Feeding,
    refused: usize,
}

/// Which of the rules are fed.
struct Feeding {
    by: FedBy,
    /// All of them, correlations included.
    rules: usize,
    coverage: Coverage,
}

/// What feeds rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum FedBy {
    /// The logs that were named.
    Logs,
    /// Whatever log some format can hold.
    Formats,
}

impl Feeding {
    /// Correlations that cannot fire, since the rules that they count are not fed.
    fn correlations_unfed(&self) -> usize {
        self.rules - self.coverage.rules_fed - self.coverage.sources_missing.values().sum::<usize>()
    }

    /// Returns the log sources that rules wait for, those of most rules first.
    fn sources_missing(&self) -> Vec<SourceOut<'_>> {
        let missing = self.coverage.sources_missing.iter().map(|(source, rules)| SourceOut {
            product: source.product.as_deref(),
            category: source.category.as_deref(),
            service: source.service.as_deref(),
            shown: source.to_string(),
            rules: *rules,
        });
        let mut missing: Vec<_> = missing.collect();
        missing.sort_by_key(|source| std::cmp::Reverse(source.rules));
        missing
    }
}

/// What `--output json` gives: one object.
#[derive(Serialize)]
struct CoverageOut<'r> {
    rules: usize,
    refused: usize,
    levels: BTreeMap<&'static str, usize>,
    tactics: Vec<TacticOut>,
    techniques: Vec<TechniqueOut<'r>>,
    untagged: Vec<UntaggedOut<'r>>,
    fed_by: FedBy,
    rules_fed: usize,
    correlations_unfed: usize,
    sources_missing: Vec<SourceOut<'r>>,
}

#[derive(Serialize)]
struct TacticOut {
    tactic: &'static str,
    techniques: usize,
    rules: usize,
}

#[derive(Serialize)]
struct TechniqueOut<'r> {
    technique: &'r str,
    rules: usize,
}

#[derive(Serialize)]
struct UntaggedOut<'r> {
    title: &'r str,
    id: Option<&'r str>,
    file: &'r str,
}

#[derive(Serialize)]
struct SourceOut<'r> {
    product: Option<&'r str>,
    category: Option<&'r str>,
    service: Option<&'r str>,
    #[serde(skip)]
    shown: String,
    rules: usize,
}

/// Says what rules cover.
pub(crate) fn run(args: &RulesCoverageArgs, out: &mut dyn Write) -> io::Result<Outcome> {
    let names = Arc::new(FieldNames::new());
    let (rules, refused) = RuleSet::compile(load_rules(&args.paths), &RuleFilter::default(), &names);
    tell_refused(&refused)?;
    if rules.is_empty() {
        writeln!(io::stderr(), "cresset: no rule loads; `cresset rules check` says why")?;
        return Ok(Outcome::Failed);
    }
    let (by, present, is_read) = if args.logs.is_empty() {
        (FedBy::Formats, Opener::new(names).log_sources(), true)
    } else {
        let (present, is_read) = sources_of(&args.logs, names)?;
        (FedBy::Logs, present, is_read)
    };
    let feeding = Feeding { by, rules: rules.count_used(), coverage: rules.coverage(&present) };
    let findings = Findings { covered: Covered::of(&rules), feeding, refused: refused.len() };
    match args.output {
        CheckOutput::Json => write_json(&findings, out)?,
        CheckOutput::Text => text::write(&findings, Style::new(args.color.wanted_on(&io::stdout())), out)?,
    }
    let mut is_whole = is_read && refused.is_empty();
    if let Some(path) = &args.navigator {
        let layer = navigator::layer(&findings.covered, &args.paths);
        if let Err(error) =
            whole_file::write(path, Readers::Usual, escape::json(&serde_json::to_string(&layer)?).as_bytes())
        {
            let path = escape::terminal(&path.display().to_string()).into_owned();
            writeln!(io::stderr(), "cresset: cannot write the layer to `{path}`: {error}")?;
            is_whole = false;
        }
    }
    Ok(if is_whole { Outcome::Done } else { Outcome::Failed })
}

fn tell_refused(refused: &[Refused]) -> io::Result<()> {
    if refused.is_empty() {
        return Ok(());
    }
    let rules = counted(refused.len() as u64, "rule");
    writeln!(io::stderr(), "cresset: {rules} refused and not counted; `cresset rules check` says why")
}

/// Reads logs for what log sources their events have, and whether all of them could be read.
fn sources_of(logs: &[String], names: Arc<FieldNames>) -> io::Result<(Vec<Arc<LogSource>>, bool)> {
    let (sources, unreadable) = find_sources(logs);
    let mut sink = LookingOn(Bar::new(total_bytes(&sources)));
    unreadable.iter().try_for_each(|failed| sink.unreadable(failed))?;
    // A watch that looks for nothing.
    let (nothing, _) = RuleSet::compile(RuleSources::default(), &RuleFilter::default(), &names);
    let detector = Detector::new(Arc::new(nothing), Arc::new(IndicatorSet::default()));
    let report = Watch::new(names, detector, WatchOptions::default()).run(&sources, &mut sink)?;
    sink.0.finish();
    if report.skipped > 0 {
        let records = counted(report.skipped, "record");
        writeln!(io::stderr(), "not read: {records}; `cresset watch` says why")?;
    }
    Ok((report.log_sources(), unreadable.is_empty() && report.unreadable.is_empty()))
}

/// Takes how far the reading is, and what cannot be read.
struct LookingOn(Bar);

impl Sink for LookingOn {
    fn detection(&mut self, _: cresset_detect::Detection) -> io::Result<()> {
        Ok(())
    }

    fn skipped(&mut self, _: &Skipped) -> io::Result<()> {
        Ok(())
    }

    fn unreadable(&mut self, unreadable: &Unreadable) -> io::Result<()> {
        let text = format!("not read: `{}`: {}", unreadable.source, unreadable.reason);
        self.0.suspend(|| writeln!(io::stderr(), "{}", escape::terminal(&text)))
    }

    fn progress(&mut self, progress: &Progress<'_>) {
        self.0.set(progress);
    }
}

fn write_json(findings: &Findings<'_>, out: &mut dyn Write) -> io::Result<()> {
    let Findings { covered, feeding, refused } = findings;
    let tactics = covered.tactics.iter().map(|tactic| TacticOut {
        tactic: tactic.name,
        techniques: tactic.techniques.len(),
        rules: tactic.rules(),
    });
    let techniques = covered.techniques();
    let techniques = techniques.iter().map(|(technique, rules)| TechniqueOut { technique, rules: rules.len() });
    let untagged = covered.untagged.iter().map(|rule| UntaggedOut {
        title: &rule.title,
        id: rule.id.as_deref(),
        file: &rule.file,
    });
    let json = serde_json::to_string(&CoverageOut {
        rules: feeding.rules,
        refused: *refused,
        levels: covered.levels.iter().map(|(level, count)| (level.as_str(), *count)).collect(),
        tactics: tactics.collect(),
        techniques: techniques.collect(),
        untagged: untagged.collect(),
        fed_by: feeding.by,
        rules_fed: feeding.coverage.rules_fed,
        correlations_unfed: feeding.correlations_unfed(),
        sources_missing: feeding.sources_missing(),
    })?;
    writeln!(out, "{}", escape::json(&json))
}
