//! What came of an event: a Detection, with everything that a person needs to act on it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use cresset_event::{
    Event, EventId, EventTime, IdDigest, Indicator, LogSource, ObservableKind, ObservableKinds, Origin, RawObservable,
    Source, Subject, Timestamp, push_observed, write_uuid,
};

use crate::level::Level;
use crate::rule::Rule;

/// Longest matched value that is kept; script blocks run to tens of kilobytes. The cut is marked with `…`.
const VALUE_BYTES_MAX: usize = 2048;
/// Longest name of a host, an account or a program that is kept. Windows allows paths of 32 KiB; people's have 300 bytes.
const SUBJECT_BYTES_MAX: usize = 512;
/// Most observables that are kept. A process event of Sysmon has five; a script block can hold thousands, of which the first
/// tell as much.
const OBSERVABLES_MAX: usize = 32;
/// Longest observable that is kept. A longer one is left out, for a part of it would be another value.
const OBSERVABLE_BYTES_MAX: usize = 2048;
/// What two events can have in common that is not of one machine alone: names of files and accounts mean another thing on
/// each, and registry keys and programs are everywhere.
const OBSERVED_KINDS: ObservableKinds = ObservableKinds::ALL
    .without(ObservableKind::FileName)
    .without(ObservableKind::RegistryKey)
    .without(ObservableKind::User)
    .without(ObservableKind::Process);

/// One finding: a rule, a correlation or an indicator that fits what was read.
#[derive(Debug, Clone)]
pub struct Detection {
    /// What found it.
    pub cause: Cause,
    /// When the event (for a correlation: the last of them) says it happened.
    pub time: EventTime,
    /// When it was read.
    pub arrived: Timestamp,
    /// The event's identity.
    pub event: EventId,
    /// Where it was read.
    pub source: Arc<Source>,
    /// The number of the record in it.
    pub record: u64,
    /// What the event is.
    pub log_source: Arc<LogSource>,
    /// The machine that it happened on.
    pub host: Option<String>,
    /// The account that did it.
    pub user: Option<String>,
    /// The program that did it.
    pub process: Option<String>,
    /// The fields and values that fitted.
    pub matched: Vec<Matched>,
    /// The addresses, domains, URLs, hashes and e-mail addresses of the event, each once, in the order of its fields; the
    /// first 32 of them. Shared by all that was found in the event.
    pub observables: Arc<[Observed]>,
}

/// The identity of a detection: the same cause over the same event has the same one. Shown as a UUID of version 8 (RFC 9562).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DetectionId([u8; 16]);

impl DetectionId {
    /// Returns the id of these 16 bytes, as [`DetectionId::as_bytes`] gave them.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the 16 bytes of the UUID.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Reads an id as it is shown, and in no other form.
    pub fn parse(text: &str) -> Option<Self> {
        EventId::parse(text).map(|id| Self(*id.as_bytes()))
    }
}

impl fmt::Display for DetectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_uuid(&self.0, f)
    }
}

impl fmt::Debug for DetectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DetectionId({self})")
    }
}

/// What found something.
#[derive(Debug, Clone)]
pub enum Cause {
    /// A Sigma rule.
    Rule(Arc<Rule>),
    /// A Sigma correlation rule over several events.
    Correlation {
        /// The correlation rule.
        rule: Arc<Rule>,
        /// The values that the events have in common: (field, value).
        group: Vec<(String, String)>,
        /// What was counted or computed.
        value: f64,
        /// How many events it was computed over.
        events: u64,
        /// The first of them.
        first: Timestamp,
        /// The last of them.
        last: Timestamp,
    },
    /// An indicator.
    Indicator(Arc<Indicator>),
}

/// A field and the value in it that fitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matched {
    /// The field; `keyword` where the rule looks at every value.
    pub field: String,
    /// The value, cut where it is very long; `None` where the rule asks that there is none.
    pub value: Option<String>,
}

impl Matched {
    pub(crate) fn new(field: impl Into<String>, value: Option<&str>) -> Self {
        Self { field: field.into(), value: value.map(|value| cut(value, VALUE_BYTES_MAX)) }
    }
}

/// A value of the event in the form that indicators have: addresses in their shortest form, domains and hashes in lower case,
/// all spellings of a URL alike.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Observed {
    /// Its type.
    pub kind: ObservableKind,
    /// Its value.
    pub value: String,
}

impl Observed {
    /// Returns the observables of an event that detections keep.
    pub(crate) fn all_of(event: &Event) -> Arc<[Self]> {
        let mut all: Vec<Self> = Vec::new();
        event.visit_raw_observables(OBSERVED_KINDS, |observable| {
            if all.len() < OBSERVABLES_MAX
                && let Some(observed) = Self::of(&observable)
                && !all.contains(&observed)
            {
                all.push(observed);
            }
        });
        all.into()
    }

    fn of(RawObservable { kind, text, address, .. }: &RawObservable<'_>) -> Option<Self> {
        if let Some(address) = address {
            return Some(Self { kind: *kind, value: address.to_string() });
        }
        let mut value = String::new();
        let is_one = text.len() <= OBSERVABLE_BYTES_MAX && push_observed(*kind, text, &mut value);
        is_one.then_some(Self { kind: *kind, value })
    }
}

/// Copies so much of a value and no more.
fn cut(value: &str, bytes_max: usize) -> String {
    if value.len() <= bytes_max {
        return value.to_owned();
    }
    let mut end = bytes_max;
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &value[..end])
}

/// What all detections of one event have in common and is not cheap to work out.
pub(crate) struct Known {
    id: EventId,
    observables: Arc<[Observed]>,
}

impl Known {
    pub(crate) fn of(event: &Event) -> Self {
        Self { id: event.id(), observables: Observed::all_of(event) }
    }
}

impl Detection {
    /// Returns a detection. What is known of the event is worked out once, however much it comes to.
    pub(crate) fn new(cause: Cause, event: &Event, known: &Known, matched: Vec<Matched>) -> Self {
        let Origin { source, record, log_source, time, arrived, .. } = event.origin();
        let subject = |subject| event.subject(subject).map(|text| cut(&text, SUBJECT_BYTES_MAX));
        Self {
            cause,
            time: *time,
            arrived: *arrived,
            event: known.id,
            source: Arc::clone(source),
            record: *record,
            log_source: Arc::clone(log_source),
            host: subject(Subject::Host),
            user: subject(Subject::User),
            process: subject(Subject::Process),
            matched,
            observables: Arc::clone(&known.observables),
        }
    }

    /// Returns its identity: of what found it, a correlation's group, and the event. A rule without an id goes by its title.
    pub fn id(&self) -> DetectionId {
        let mut digest = IdDigest::new(self.kind());
        digest.part(self.cause_id().unwrap_or_else(|| self.title()).as_bytes());
        if let Cause::Correlation { group, .. } = &self.cause {
            for (field, value) in group {
                digest.part(field.as_bytes());
                digest.part(value.as_bytes());
            }
        }
        digest.part(self.event.as_bytes());
        DetectionId(digest.finish())
    }

    /// Returns how much it matters. An indicator counts by its maker's confidence, on the scale of STIX 2.1 Appendix A.
    pub fn level(&self) -> Level {
        match &self.cause {
            Cause::Rule(rule) | Cause::Correlation { rule, .. } => rule.level,
            Cause::Indicator(indicator) => match indicator.confidence {
                Some(0..=29) => Level::Low,
                Some(30..=69) => Level::Medium,
                _ => Level::High,
            },
        }
    }

    /// Returns the title of the rule, or the name of the indicator.
    pub fn title(&self) -> Cow<'_, str> {
        match &self.cause {
            Cause::Rule(rule) | Cause::Correlation { rule, .. } => Cow::Borrowed(&rule.title),
            Cause::Indicator(indicator) => indicator.title(),
        }
    }

    /// Returns the id of the rule or indicator.
    pub fn cause_id(&self) -> Option<Cow<'_, str>> {
        match &self.cause {
            Cause::Rule(rule) | Cause::Correlation { rule, .. } => rule.id.as_deref().map(Cow::Borrowed),
            Cause::Indicator(indicator) => Some(indicator.id.text()),
        }
    }

    /// Returns who made the rule or indicator.
    pub fn author(&self) -> Option<&str> {
        match &self.cause {
            Cause::Rule(rule) | Cause::Correlation { rule, .. } => rule.author.as_deref(),
            Cause::Indicator(indicator) => indicator.author.as_deref(),
        }
    }

    /// Returns where to read more.
    pub fn references(&self) -> &[String] {
        match &self.cause {
            Cause::Rule(rule) | Cause::Correlation { rule, .. } => &rule.references,
            Cause::Indicator(indicator) => &indicator.references,
        }
    }

    /// Returns the ATT&CK techniques: `T1059.001`.
    pub fn techniques(&self) -> &[String] {
        match &self.cause {
            Cause::Rule(rule) | Cause::Correlation { rule, .. } => &rule.techniques,
            Cause::Indicator(indicator) => &indicator.techniques,
        }
    }

    /// Returns the ATT&CK tactics, by name; an indicator names none.
    pub fn tactics(&self) -> &[&'static str] {
        match &self.cause {
            Cause::Rule(rule) | Cause::Correlation { rule, .. } => &rule.tactics,
            Cause::Indicator(_) => &[],
        }
    }

    /// Returns the kind of thing that found it: `rule`, `correlation` or `indicator`.
    pub fn kind(&self) -> &'static str {
        match &self.cause {
            Cause::Rule(_) => "rule",
            Cause::Correlation { .. } => "correlation",
            Cause::Indicator(_) => "indicator",
        }
    }
}
