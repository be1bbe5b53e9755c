//! Rules and indicators of a centre: from its own folders and the operator's, taken over as they change.
//!
//! A file that does not load keeps its last good version, and the others go on. What the centre tells of itself has rules too,
//! which are built in.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use cresset_detect::{IndicatorSet, Refused, RuleFilter, RuleSources, Rulebook, Warnings};
use cresset_event::FieldNames;
use cresset_intel::Feed;
use cresset_pipeline::{FeedChanged, Feeds, Reloaded, Reloader, RuleFiles, load_rule_files};
use tracing::{info, warn};

use crate::config::Config;

/// Rules over what the centre tells of itself.
const BUILT_IN: &[(&str, &str)] = &[
    ("built-in/source-silent.yml", include_str!("../rules/source-silent.yml")),
    ("built-in/feed-failing.yml", include_str!("../rules/feed-failing.yml")),
    ("built-in/lock-out.yml", include_str!("../rules/lock-out.yml")),
];
/// Refused rules that are kept to be shown; all are in the log.
const REFUSED_KEPT_MAX: usize = 100;

/// What there is to know of rules and indicators.
#[derive(Debug, Default)]
pub(crate) struct RulesState {
    pub(crate) rules: AtomicUsize,
    pub(crate) indicators: AtomicUsize,
    /// Hunts into the past that were done.
    pub(crate) hunts: AtomicUsize,
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

    /// Takes note of feeds that have changed.
    pub(crate) fn feeds_changed(&self, changed: &[FeedChanged], indicators: usize) {
        for FeedChanged { path, feed, is_kept, new, removed, left_out } in changed {
            let file = path.display();
            let refused = feed.as_ref().map_or(0, Feed::refused_count);
            if refused > 0 {
                warn!(%file, refused, "entries are refused");
            }
            if *is_kept {
                warn!(%file, "nothing of it can be used; what it gave before stays");
            }
            if *left_out > 0 {
                warn!(%file, left_out, "there is no room for more indicators");
            }
            info!(%file, new = new.len(), removed, "a feed was read");
        }
        self.indicators.store(indicators, Ordering::Relaxed);
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

/// Returns the feeds of indicators, not read yet.
pub(crate) fn feeds(config: &Config, threads: usize) -> Feeds {
    let set = Arc::new(IndicatorSet::new(Warnings::Apply));
    Feeds::new(&arguments(config.data.join("indicators"), &config.indicators.paths), set, threads)
}

/// Returns the rule files, none of which was looked at.
pub(crate) fn files(config: &Config) -> RuleFiles {
    RuleFiles::new(&arguments(config.data.join("rules"), &config.rules.paths))
}

fn arguments(own: PathBuf, others: &[PathBuf]) -> Vec<String> {
    std::iter::once(&own).chain(others).map(|path| path.display().to_string()).collect()
}
