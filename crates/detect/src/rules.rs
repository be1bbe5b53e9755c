//! The rules of a run, compiled.
//!
//! A rule runs only on events whose log source it fits: for each log source that is met, a plan of the rules that fit it is
//! made once ([`crate::engine`]). Rules are told apart by their place in the set and not by their ids, which files repeat.
//!
//! The order of rules does not change what is found; a rule that cannot be compiled is refused, and the others go on.
//!
//! A set never changes. One that differs from it in a few rules is derived from it and shares all the rest
//! ([`RuleSet::derive`]); rules keep their places in it, so that the plans that no changed rule fits still hold.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use cresset_event::{Event, FieldId, FieldNames, LogSource, Value};
use rsigma_parser::{Detection as Selection, SigmaRule};

use crate::budget::{Budget, Overrun};
use crate::correlation::{CorrelationSet, Digest};
use crate::detection::Matched;
use crate::engine::{Expr, Finds, Lowering, OneOf, Plan, Reason, Scratch, TestTable, Tests, needs};
use crate::filters;
use crate::level::{Level, Status};
use crate::rule::{Place, Refused, Rule, RuleSources};
use crate::wanted::WantedSource;

/// Most log sources for which a plan is kept. Built-in formats have about 150; a crafted log cannot add any.
const PLANS_MAX: usize = 1024;

/// Which rules report.
#[derive(Debug, Clone, Default)]
pub struct RuleFilter {
    /// Rules below this level do not.
    pub level_min: Option<Level>,
    /// Only rules of these states do; empty: all.
    pub statuses: Vec<Status>,
    /// Only rules with one of these tags do; empty: all. A tag stands for those below it: `attack.t1059` for `.001`.
    pub tags: Vec<String>,
    /// Rules of these ids or titles do not.
    pub exclude: Vec<String>,
}

impl RuleFilter {
    fn lets_report(&self, rule: &Rule) -> bool {
        let has_tag = |wanted: &String| {
            rule.tags.iter().any(|tag| {
                let head = tag.get(..wanted.len());
                head.is_some_and(|head| head.eq_ignore_ascii_case(wanted))
                    && matches!(tag.as_bytes().get(wanted.len()), None | Some(b'.'))
            })
        };
        self.level_min.is_none_or(|least| rule.level >= least)
            && (self.statuses.is_empty() || rule.status.is_some_and(|status| self.statuses.contains(&status)))
            && (self.tags.is_empty() || self.tags.iter().any(has_tag))
            && !self.exclude.iter().any(|name| rule.is_called(name))
    }
}

/// Compiled rules.
pub struct RuleSet {
    names: Arc<FieldNames>,
    /// `None` where a rule was that is not there any more.
    entries: Vec<Option<Arc<Entry>>>,
    tests: Tests,
    correlations: Arc<CorrelationSet>,
    /// Whether each correlation reports.
    correlations_report: Vec<bool>,
    plans: RwLock<Plans>,
    /// Whether any rule has used up its budget.
    any_stopped: AtomicBool,
}

type Plans = HashMap<Arc<LogSource>, Arc<Plan>>;

/// What matching keeps from event to event. Each thread has its own, and uses it with one rule set only.
#[derive(Debug, Default)]
pub(crate) struct MatchScratch {
    engine: Scratch,
    plans: PlansByAddress,
}

/// Plans by the address of the log source that an event holds, which is kept so that it stays its address.
type PlansByAddress = HashMap<usize, (Arc<LogSource>, Arc<Plan>)>;

#[derive(Debug)]
struct Entry {
    rule: Arc<Rule>,
    source: WantedSource,
    condition: Expr,
    /// Whether it reports by itself, or is there for a correlation only.
    reports: bool,
    fields: BTreeSet<String>,
    budget: Budget,
}

/// A rule that fits an event.
#[derive(Debug)]
pub(crate) struct RuleMatch {
    /// The rule's place in the set.
    pub(crate) key: usize,
    pub(crate) rule: Arc<Rule>,
    pub(crate) reports: bool,
    /// What made it fit, where it reports.
    pub(crate) reasons: Vec<Reason>,
}

/// What the rules come to for one event.
#[derive(Debug, Default)]
pub(crate) struct RuleMatches {
    /// Those that fit, in the order of the set.
    pub(crate) fitting: Vec<RuleMatch>,
    /// The places of those that gave up.
    pub(crate) gave_up: Vec<usize>,
}

/// Takes what the engine finds.
struct Finding<'s> {
    set: &'s RuleSet,
    found: RuleMatches,
}

impl Finds for Finding<'_> {
    fn is_stopped(&self, key: usize) -> bool {
        self.set.is_stopped(key)
    }

    fn explains(&self, key: usize) -> bool {
        self.set.entry(key).reports
    }

    fn fits(&mut self, key: usize, reasons: Vec<Reason>) {
        let entry = self.set.entry(key);
        self.found.fitting.push(RuleMatch { key, rule: Arc::clone(&entry.rule), reports: entry.reports, reasons });
    }

    fn gave_up(&mut self, key: usize) {
        self.found.gave_up.push(key);
    }
}

impl fmt::Debug for RuleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuleSet").field("rules", &self.len()).finish_non_exhaustive()
    }
}

impl RuleSet {
    /// Compiles what was read, for events whose field names are numbered in `names`; returns also what was refused, by the
    /// parser or here.
    pub fn compile(sources: RuleSources, filter: &RuleFilter, names: &Arc<FieldNames>) -> (Self, Vec<Refused>) {
        Self::compile_into(sources, filter, names, &mut TestTable::default())
    }

    /// Does the same with an empty table of tests, which [`RuleSet::derive`] needs later.
    pub(crate) fn compile_into(
        sources: RuleSources,
        filter: &RuleFilter,
        names: &Arc<FieldNames>,
        table: &mut TestTable,
    ) -> (Self, Vec<Refused>) {
        let RuleSources { mut rules, correlations, filters, mut refused } = sources;
        for (number, (narrowing, place)) in filters.iter().enumerate() {
            let mut meant: Vec<&mut SigmaRule> = rules.iter_mut().map(|(rule, _)| rule).collect();
            if filters::apply(narrowing, number, &mut meant) == 0 {
                refused.push(
                    place.refused("the filter names no rule that is loaded; load the rule too, or drop the filter"),
                );
            }
        }
        let mut lowering = Lowering { names, tests: table };
        let mut entries: Vec<Entry> = Vec::new();
        let counted: HashSet<&String> = correlations.iter().flat_map(|(rule, _)| &rule.rules).collect();
        let is_counted =
            |rule: &SigmaRule| [&rule.id, &rule.name].into_iter().flatten().any(|name| counted.contains(name));
        let mut definitions = HashMap::new();
        for (rule, place) in rules {
            let definition = is_counted(&rule).then(|| Digest::of_rule(&rule));
            match Entry::compile(rule, &place, &mut lowering, filter) {
                Ok(entry) => {
                    definitions.extend(definition.map(|definition| (entries.len(), definition)));
                    entries.push(entry);
                }
                Err(reason) => refused.push(place.refused(reason)),
            }
        }
        let find = |name: &str| (0..entries.len()).filter(|key| entries[*key].is_called(name)).collect();
        let (correlations, bad) = CorrelationSet::compile(&correlations, &find, &definitions);
        refused.extend(bad);
        for (key, entry) in entries.iter_mut().enumerate() {
            entry.reports &= !correlations.is_silent(key);
        }
        let correlations_report = correlations.rules().map(|rule| filter.lets_report(rule)).collect();
        refused.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        let set = Self {
            names: Arc::clone(names),
            entries: entries.into_iter().map(|entry| Some(Arc::new(entry))).collect(),
            tests: table.tests().clone(),
            correlations: Arc::new(correlations),
            correlations_report,
            plans: RwLock::default(),
            any_stopped: AtomicBool::default(),
        };
        (set, refused)
    }

    /// Returns this set without the rules of some files and with others in their place, and what was refused of those.
    /// None of them is one that a correlation or a filter means. `table` is the one that this set was compiled into.
    ///
    /// A plan is kept where no changed rule fits its log source, and else made anew here, so that whoever matches with the
    /// new set does not wait for it.
    pub(crate) fn derive(
        &self,
        is_replaced: &dyn Fn(&str) -> bool,
        added: Vec<(SigmaRule, Place)>,
        filter: &RuleFilter,
        table: &mut TestTable,
    ) -> (Self, Vec<Refused>) {
        let mut entries = self.entries.clone();
        let gone = entries.iter_mut().filter_map(|entry| entry.take_if(|entry| is_replaced(&entry.rule.file)));
        let mut changed: Vec<Arc<Entry>> = gone.collect();
        let mut lowering = Lowering { names: &self.names, tests: table };
        let mut refused = Vec::new();
        for (rule, place) in added {
            match Entry::compile(rule, &place, &mut lowering, filter).map(Arc::new) {
                Ok(entry) => {
                    changed.push(Arc::clone(&entry));
                    entries.push(Some(entry));
                }
                Err(reason) => refused.push(place.refused(reason)),
            }
        }
        let plans = self.plans.read().unwrap_or_else(PoisonError::into_inner).clone();
        let (stale, kept): (Plans, Plans) =
            plans.into_iter().partition(|(source, _)| changed.iter().any(|entry| entry.source.fits(source)));
        let set = Self {
            names: Arc::clone(&self.names),
            entries,
            tests: table.tests().clone(),
            correlations: Arc::clone(&self.correlations),
            correlations_report: self.correlations_report.clone(),
            plans: RwLock::new(kept),
            any_stopped: self.any_stopped.load(Ordering::Relaxed).into(),
        };
        stale.keys().for_each(|source| drop(set.plan(source)));
        (set, refused)
    }

    /// Makes the plans that another set has made, so that whoever matches with this one does not wait for them.
    pub(crate) fn plan_like(&self, other: &Self) {
        let sources: Vec<_> = other.plans.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect();
        sources.iter().for_each(|source| drop(self.plan(source)));
    }

    /// Returns how many places are empty in which there was a rule.
    pub(crate) fn count_gone(&self) -> usize {
        self.entries.iter().filter(|entry| entry.is_none()).count()
    }

    /// The detection rules and their places.
    fn entries(&self) -> impl Iterator<Item = (usize, &Entry)> {
        self.entries.iter().enumerate().filter_map(|(key, entry)| Some((key, &**entry.as_ref()?)))
    }

    /// Returns how many rules there are, correlations included.
    pub fn len(&self) -> usize {
        self.entries().count() + self.correlations_report.len()
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns every rule.
    pub fn rules(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.entries().map(|(_, entry)| &entry.rule).chain(self.correlations.rules())
    }

    /// Returns, for the log sources given, how many rules fit at least one of them, the fields that those ask for, and the
    /// log sources that the others wait for.
    pub fn coverage(&self, present: &[Arc<LogSource>]) -> Coverage {
        let is_fed = |entry: &Entry| present.iter().any(|source| entry.source.fits(source));
        let (fed, unfed): (Vec<_>, Vec<_>) = self.used().partition(|(_, entry)| is_fed(entry));
        let keys: Vec<usize> = fed.iter().map(|(key, _)| *key).collect();
        let mut coverage =
            Coverage { rules_fed: fed.len() + self.correlations.count_fed(&keys), ..Coverage::default() };
        for field in fed.iter().flat_map(|(_, entry)| &entry.fields) {
            *coverage.fields.entry(field.clone()).or_default() += 1;
        }
        for (_, entry) in unfed {
            *coverage.sources_missing.entry(entry.source.clone()).or_default() += 1;
        }
        coverage
    }

    /// Returns whether any rule looks at events of a log source.
    pub fn wants(&self, log_source: &LogSource) -> bool {
        self.used().any(|(_, entry)| entry.source.fits(log_source))
    }

    /// Returns what decides which rules fit events of a log source.
    pub fn reads(&self, log_source: &Arc<LogSource>) -> FieldsRead {
        let plan = self.plan(log_source);
        let name = |field: FieldId| self.names.name(field);
        FieldsRead {
            fields: plan.fields().map(|fields| fields.map(name).collect()),
            one_of: plan.one_of().map(|fields| fields.iter().copied().map(name).collect()),
        }
    }

    /// Returns for each rule what any event has that it fits: of each list one value. `None` where for one of them nothing can be said.
    pub fn needs(&self) -> Option<Vec<Vec<OneOf>>> {
        let of_rule =
            |entry: &Entry| Some(needs(&entry.condition, &self.tests, &self.names)).filter(|all| !all.is_empty());
        self.used().map(|(_, entry)| of_rule(entry)).collect()
    }

    /// Returns how many rules report, or are counted by a correlation.
    pub fn count_used(&self) -> usize {
        self.used().count() + self.correlations_report.len()
    }

    fn used(&self) -> impl Iterator<Item = (usize, &Entry)> {
        self.entries().filter(|(key, entry)| entry.reports || self.correlations.is_correlated(*key))
    }

    pub(crate) fn correlations(&self) -> &CorrelationSet {
        &self.correlations
    }

    /// Returns whether a correlation reports, or is there for another one only.
    pub(crate) fn correlation_reports(&self, correlation: usize) -> bool {
        self.correlations_report[correlation]
    }

    /// Finds the rules that fit an event, in the order of the set.
    pub(crate) fn matches(&self, event: &Event, scratch: &mut MatchScratch) -> RuleMatches {
        assert!(Arc::ptr_eq(event.names(), &self.names), "the event's fields are numbered in another table");
        let MatchScratch { engine, plans } = scratch;
        let plan = self.plan_of(&event.origin().log_source, plans);
        let mut finding = Finding { set: self, found: RuleMatches::default() };
        plan.find(event, engine, &mut finding);
        finding.found
    }

    fn entry(&self, key: usize) -> &Entry {
        self.entries[key].as_ref().expect("plans hold rules that are there")
    }

    /// Returns whether a rule has used up its budget.
    pub(crate) fn is_stopped(&self, key: usize) -> bool {
        self.any_stopped.load(Ordering::Relaxed) && self.entry(key).budget.is_used_up()
    }

    /// Counts an event on which a rule gave up. Called in the order of the events.
    pub(crate) fn overrun(&self, key: usize) {
        let budget = &self.entry(key).budget;
        budget.overrun();
        if budget.is_used_up() {
            self.any_stopped.store(true, Ordering::Relaxed);
        }
    }

    /// Returns the rules that gave up on events, in the order of the set. What they did counts for every set derived from
    /// this one and every detector that has it.
    pub fn overruns(&self) -> impl Iterator<Item = Overrun> {
        let overruns = self.entries().map(|(_, entry)| (entry, entry.budget.overruns()));
        overruns
            .filter(|(_, events)| *events > 0)
            .map(|(entry, events)| Overrun { rule: Arc::clone(&entry.rule), events })
    }

    /// Returns the fields and values behind the reasons for which a rule fits an event.
    pub(crate) fn explain(&self, event: &Event, reasons: &[Reason]) -> Vec<Matched> {
        let matched = reasons.iter().map(|reason| {
            let field = reason.field.map_or_else(|| "keyword".to_owned(), |field| self.names.name(field).to_string());
            let value = reason.entry.map(|entry| event.entry(entry).value()).and_then(Value::to_text);
            Matched::new(field, value.as_deref())
        });
        matched.collect()
    }

    /// Returns the plan for a log source; asks the shared table only for one that this thread has not met.
    fn plan_of<'p>(&self, source: &Arc<LogSource>, plans: &'p mut PlansByAddress) -> &'p Plan {
        let address = Arc::as_ptr(source) as usize;
        if plans.len() >= PLANS_MAX && !plans.contains_key(&address) {
            plans.clear();
        }
        let (_, plan) = plans.entry(address).or_insert_with(|| (Arc::clone(source), self.plan(source)));
        plan
    }

    /// Returns the plan of the rules that fit a log source.
    fn plan(&self, source: &Arc<LogSource>) -> Arc<Plan> {
        if let Some(plan) = self.plans.read().unwrap_or_else(PoisonError::into_inner).get(source) {
            return Arc::clone(plan);
        }
        let fitting = self.entries().filter(|(_, entry)| entry.source.fits(source));
        let plan = Arc::new(Plan::new(fitting.map(|(key, entry)| (key, &entry.condition)), &self.tests));
        let mut plans = self.plans.write().unwrap_or_else(PoisonError::into_inner);
        if plans.len() < PLANS_MAX {
            plans.insert(Arc::clone(source), Arc::clone(&plan));
        }
        plan
    }
}

/// The fields that decide which rules fit events of a log source, by their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldsRead {
    /// All of them; `None` where a rule looks for keywords, which can be in any.
    pub fields: Option<BTreeSet<Arc<str>>>,
    /// Those one of which any event has that a rule fits; `None` where a rule may fit an event that has nothing of what it asks
    /// for.
    pub one_of: Option<BTreeSet<Arc<str>>>,
}

/// Which rules the sources at hand can feed.
#[derive(Debug, Default)]
pub struct Coverage {
    /// Rules whose log source was present, and correlations that these can fulfil.
    pub rules_fed: usize,
    /// Fields that those rules ask for, and how many rules ask for each.
    pub fields: HashMap<String, usize>,
    /// Log sources that rules ask for and that were not present, and how many rules ask for each.
    pub sources_missing: BTreeMap<WantedSource, usize>,
}

impl Entry {
    fn compile(
        rule: SigmaRule,
        place: &Place,
        lowering: &mut Lowering<'_>,
        filter: &RuleFilter,
    ) -> Result<Self, String> {
        let condition = lowering.rule(&rule)?;
        let known = Rule::of_detection(&rule, &place.file);
        let mut fields = BTreeSet::new();
        rule.detection.named.values().for_each(|selection| collect_fields(selection, &mut fields));
        let source = WantedSource::of(&rule.logsource);
        let reports = filter.lets_report(&known);
        Ok(Self { reports, rule: Arc::new(known), source, condition, fields, budget: Budget::default() })
    }

    /// Whether a correlation that refers to an id or name means this rule.
    fn is_called(&self, name: &str) -> bool {
        self.rule.id.as_deref() == Some(name) || self.rule.name.as_deref() == Some(name)
    }
}

fn collect_fields(selection: &Selection, fields: &mut BTreeSet<String>) {
    match selection {
        Selection::AllOf(items) => fields.extend(items.iter().filter_map(|item| item.field.name.clone())),
        Selection::AnyOf(parts) | Selection::And(parts) => parts.iter().for_each(|part| collect_fields(part, fields)),
        Selection::Keywords(_) => {}
        Selection::ArrayMatch { field, .. } => {
            fields.insert(field.clone());
        }
        Selection::Conditional { named, .. } => named.values().for_each(|part| collect_fields(part, fields)),
    }
}
