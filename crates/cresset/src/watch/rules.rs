//! The rules of a watch: compiled once, or with `--reload` again whenever their files change.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use cresset_detect::{Dropped, Refused, RuleFilter, RuleSet, Rulebook};
use cresset_event::FieldNames;
use cresset_pipeline::{Reloaded, Reloader, load_rule_files, load_rules};

use crate::args::WatchArgs;
use crate::escape;
use crate::output::rows::counted;

/// Rules, ready to run.
pub(super) struct Rules {
    pub(super) set: Arc<RuleSet>,
    /// Looks for changes of them, where that was asked.
    pub(super) reloader: Option<Reloader>,
}

/// Compiles the rules, and says on standard error which are refused; `None` where rules were named and none loads.
pub(super) fn compile(args: &WatchArgs, names: &Arc<FieldNames>, err: &mut dyn Write) -> io::Result<Option<Rules>> {
    let rules = load(args, names, err)?;
    let set = &rules.set;
    let problem = match () {
        () if args.rules.is_empty() => None,
        () if set.is_empty() => Some("no rule loads; `cresset rules check` says why"),
        () if is_missing(&args.rules) => Some("a path of --rules cannot be read"),
        () => None,
    };
    if let Some(problem) = problem {
        writeln!(err, "cresset: {problem}")?;
        return Ok(None);
    }
    if set.count_used() == 0 && !args.rules.is_empty() {
        writeln!(err, "cresset: --min-level, --status, --tag and --exclude leave no rule")?;
    }
    for name in &args.exclude {
        if !set.rules().any(|rule| rule.is_called(name)) {
            writeln!(err, "cresset: --exclude {}: no rule has this id or title", escape::terminal(name))?;
        }
    }
    Ok(Some(rules))
}

fn load(args: &WatchArgs, names: &Arc<FieldNames>, err: &mut dyn Write) -> io::Result<Rules> {
    let filter = RuleFilter {
        level_min: args.min_level,
        statuses: args.status.clone(),
        tags: args.tag.clone(),
        exclude: args.exclude.clone(),
    };
    if args.reload {
        let load = || Rulebook::new(load_rule_files(&args.rules), filter, names);
        let reloader = Reloader::new(&args.rules, load);
        tell_refused(reloader.book().refused(), err)?;
        return Ok(Rules { set: Arc::clone(reloader.book().set()), reloader: Some(reloader) });
    }
    let (set, refused) = RuleSet::compile(load_rules(&args.rules), &filter, names);
    tell_refused(&refused, err)?;
    Ok(Rules { set: Arc::new(set), reloader: None })
}

/// Returns whether something that was typed is not there at all.
fn is_missing(paths: &[String]) -> bool {
    paths.iter().any(|path| !path.contains(['*', '?', '[', '{']) && !Path::new(path).exists())
}

pub(crate) fn tell_refused(refused: &[Refused], err: &mut dyn Write) -> io::Result<()> {
    refused.iter().try_for_each(|refused| {
        let (file, reason) = (escape::terminal(&refused.file), escape::terminal(&refused.reason));
        writeln!(err, "rule refused: {file}:{}: {reason}", refused.line)
    })
}

/// Says what a look at the rules' files came to.
pub(super) fn tell_reloaded(reloaded: &Reloaded, err: &mut dyn Write) -> io::Result<()> {
    tell_refused(&reloaded.changed.refused, err)?;
    for file in &reloaded.changed.kept {
        writeln!(err, "rules: the last good version of {} goes on", escape::terminal(file))?;
    }
    if reloaded.files == 0 {
        writeln!(err, "rules: no file has changed; {} now", counted(reloaded.rules as u64, "rule"))?;
    }
    if reloaded.changed.is_changed {
        let files = counted((reloaded.files - reloaded.changed.kept.len()) as u64, "file");
        writeln!(err, "rules: {files} changed; {} now", counted(reloaded.rules as u64, "rule"))?;
    }
    Ok(())
}

/// Says that what a correlation remembered was forgotten.
pub(super) fn forgotten(dropped: &Dropped) -> String {
    let (groups, events) = (counted(dropped.groups as u64, "group"), counted(dropped.events as u64, "event"));
    format!("rules: {groups} with {events} forgotten, of `{}`: {}", dropped.title, dropped.reason)
}
