//! Rules and indicators of a centre: from its own folders and the operator's, taken over as they change.
//!
//! A file that does not load keeps its last good version, and the others go on. What the centre tells of itself has rules too,
//! which are built in.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use cresset_detect::{IndicatorSet, Refused, RuleFilter, RuleSources, Rulebook, Warnings};
use cresset_event::FieldNames;
use cresset_pipeline::{Reloaded, Reloader, find_feeds, load_rule_files};
use tracing::{info, warn};

use crate::config::Config;

/// Rules over what the centre tells of itself.
const BUILT_IN: &[(&str, &str)] = &[
    ("built-in/source-silent.yml", include_str!("../rules/source-silent.yml")),
    ("built-in/lock-out.yml", include_str!("../rules/lock-out.yml")),
];
/// Refused rules that are kept to be shown; all are in the log.
const REFUSED_KEPT_MAX: usize = 100;

/// What there is to know of rules and indicators.
#[derive(Debug, Default)]
pub(crate) struct RulesState {
    pub(crate) rules: AtomicUsize,
    pub(crate) indicators: AtomicUsize,
    refused: Mutex<Vec<String>>,
}

impl RulesState {
    /// Returns why rules are refused, those that were refused last behind.
    pub(crate) fn refused(&self) -> Vec<String> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn refuse(&self, refused: &[Refused]) {
        let mut kept = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        for refused in refused {
            let Refused { file, line, reason } = refused;
            warn!(file, line, reason, "a rule is refused");
            kept.push(format!("{file}:{line}: {reason}"));
        }
        let over = kept.len().saturating_sub(REFUSED_KEPT_MAX);
        kept.drain(..over);
    }

    /// Takes note of what a look at the files came to.
    pub(crate) fn reloaded(&self, reloaded: &Reloaded) {
        info!(files = reloaded.files, rules = reloaded.rules, "rules were read again");
        self.rules.store(reloaded.rules, Ordering::Relaxed);
        for file in &reloaded.changed.kept {
            warn!(file, "does not load as a whole; its last good version goes on");
        }
        self.refuse(&reloaded.changed.refused);
    }
}

/// Loads the rules, and returns what looks for changes of them.
pub(crate) fn load(config: &Config, names: &Arc<FieldNames>, state: &RulesState) -> Reloader {
    let arguments = arguments(config.data.join("rules"), &config.rules.paths);
    let built_in = BUILT_IN.iter().map(|(name, text)| {
        let mut sources = RuleSources::default();
        sources.parse(name, text.as_bytes());
        ((*name).to_owned(), sources)
    });
    let files = || load_rule_files(&arguments).into_iter().chain(built_in);
    let reloader = Reloader::new(&arguments, || Rulebook::new(files(), RuleFilter::default(), names));
    state.refuse(reloader.book().refused());
    state.rules.store(reloader.book().set().len(), Ordering::Relaxed);
    reloader
}

/// Loads the indicators.
pub(crate) fn indicators(config: &Config, threads: usize, state: &RulesState) -> IndicatorSet {
    let set = IndicatorSet::new(Warnings::Apply);
    for source in find_feeds(&arguments(config.data.join("indicators"), &config.indicators.paths)) {
        let (feed, left_out) = source.read_into(&set, threads);
        if feed.refused_count() > 0 {
            warn!(file = feed.file, entries = feed.refused_count(), "entries are refused");
        }
        if left_out > 0 {
            warn!(file = feed.file, left_out, "there is no room for more indicators");
        }
    }
    state.indicators.store(set.len(), Ordering::Relaxed);
    set
}

fn arguments(own: PathBuf, others: &[PathBuf]) -> Vec<String> {
    std::iter::once(&own).chain(others).map(|path| path.display().to_string()).collect()
}
