//! What the API gives and takes, as JSON: one type a thing, closed, and its schema with it.
//!
//! Times are texts in RFC 3339, UTC. What is not known is `null`. Lists never carry raw records.

use std::collections::BTreeMap;

use cresset_event::Timestamp;
use cresset_picture::{Incident, IncidentId, Link};
use cresset_store::{DetectionRow, EvidenceRow, HistoryRow, IncidentPage, IncidentRow, NoteRow, Reach, TaskRow, Token};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::fetch::FeedStanding;
use crate::sources::Source;

/// A part of a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct List<T: ToSchema> {
    /// Its items.
    pub(crate) items: Vec<T>,
    /// What to send as `cursor` for the next part; `null` behind the last.
    pub(crate) next: Option<String>,
}

/// A detection as lists show it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DetectionItem {
    /// Its id.
    pub(crate) id: String,
    /// Its place among all that was recorded; live streams go on from there.
    pub(crate) seq: u64,
    /// When it happened.
    #[schema(format = DateTime)]
    pub(crate) time: String,
    /// When it was read.
    #[schema(format = DateTime)]
    pub(crate) arrived: String,
    /// Sigma's word for how much it matters.
    pub(crate) level: &'static str,
    /// The title of the rule, or the name of the indicator.
    pub(crate) title: String,
    /// The id of the rule or indicator.
    pub(crate) cause: String,
    /// `rule`, `correlation` or `indicator`.
    pub(crate) kind: String,
    /// The machine.
    pub(crate) host: Option<String>,
    /// The account.
    pub(crate) user: Option<String>,
    /// The program.
    pub(crate) process: Option<String>,
    /// The incident that it is in.
    pub(crate) incident: Option<String>,
    /// Whether it was found in the past, by a hunt.
    pub(crate) retro: bool,
    /// The exclusion or silence for which it is in no incident.
    pub(crate) withheld_by: Option<String>,
}

impl From<DetectionRow> for DetectionItem {
    fn from(row: DetectionRow) -> Self {
        Self {
            id: row.id.to_string(),
            seq: row.seq,
            time: row.time.to_string(),
            arrived: row.arrived.to_string(),
            level: row.level.as_str(),
            title: row.title,
            cause: row.cause,
            kind: row.kind,
            host: row.host,
            user: row.user,
            process: row.process,
            incident: row.incident.map(|id| id.to_string()),
            retro: row.retro,
            withheld_by: row.withheld_by,
        }
    }
}

/// All that is kept of a detection.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DetectionFull {
    /// What lists show.
    pub(crate) detection: DetectionItem,
    /// Why it is in its incident.
    pub(crate) links: Vec<LinkItem>,
    /// The record as `docs/detection.schema.json` describes it.
    #[schema(value_type = Object)]
    pub(crate) record: Value,
}

/// Why a detection is in its incident: what it shares with another.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LinkItem {
    /// `host`, `user`, `process`, `observable`, or `hand` where a person said so.
    pub(crate) kind: &'static str,
    /// What they share.
    pub(crate) value: String,
    /// How far apart they are, in seconds of event time.
    pub(crate) gap_seconds: f64,
    /// The other detection.
    pub(crate) to: String,
}

impl From<&Link> for LinkItem {
    fn from(link: &Link) -> Self {
        let gap_seconds = link.gap_nanos as f64 / 1e9;
        Self { kind: link.kind.as_str(), value: link.value.clone(), gap_seconds, to: link.to.to_string() }
    }
}

/// An incident as lists show it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IncidentItem {
    /// Its id.
    pub(crate) id: String,
    /// Its title.
    pub(crate) title: String,
    /// The highest level of its detections.
    pub(crate) level: &'static str,
    /// `P1` to `P4`.
    pub(crate) priority: String,
    /// 0 to 100.
    #[schema(maximum = 100)]
    pub(crate) score: u8,
    /// The earliest event.
    #[schema(format = DateTime)]
    pub(crate) first: String,
    /// The latest event.
    #[schema(format = DateTime)]
    pub(crate) last: String,
    /// When its first detection arrived.
    #[schema(format = DateTime)]
    pub(crate) aware_at: String,
    /// How many detections it has.
    pub(crate) detections: u64,
    /// The machines that it has most of; all that are known are on its own page.
    #[schema(max_items = 3)]
    pub(crate) hosts: Vec<String>,
    /// How many machines are not listed.
    pub(crate) hosts_more: u64,
    /// The ATT&CK tactics that it reached, by name.
    pub(crate) tactics: Vec<String>,
    /// `new`, `triage`, `contained`, `eradicated`, `recovered`, or `closed:` and a verdict.
    pub(crate) state: String,
    /// Who works on it.
    pub(crate) owner: Option<String>,
    /// The incident that it went up in.
    pub(crate) merged_into: Option<String>,
}

/// Machines of an incident that lists name.
const HOSTS_LISTED_MAX: usize = 3;

impl IncidentItem {
    pub(crate) fn new(row: IncidentRow, reach: Reach) -> Self {
        let Reach { mut hosts, hosts_more, tactics } = reach;
        let hosts_more = hosts_more + hosts.len().saturating_sub(HOSTS_LISTED_MAX) as u64;
        hosts.truncate(HOSTS_LISTED_MAX);
        Self {
            id: row.id.to_string(),
            title: row.title,
            level: row.level.as_str(),
            priority: row.class.to_string(),
            score: row.score,
            first: row.first.to_string(),
            last: row.last.to_string(),
            aware_at: row.aware_at.to_string(),
            detections: row.detections,
            hosts,
            hosts_more,
            tactics,
            state: row.state.to_string(),
            owner: row.owner,
            merged_into: row.merged_into.map(|id| id.to_string()),
        }
    }
}

/// An incident that is new or has changed, as live streams tell it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IncidentChange {
    id: String,
    title: String,
    level: &'static str,
    priority: String,
    score: u8,
    last: String,
    detections: u64,
    state: String,
    tactics: Vec<String>,
}

impl From<&Incident> for IncidentChange {
    fn from(incident: &Incident) -> Self {
        Self {
            id: incident.id.to_string(),
            title: incident.title.clone(),
            level: incident.level.as_str(),
            priority: incident.priority.class.to_string(),
            score: incident.priority.score,
            last: incident.last.to_string(),
            detections: incident.detections,
            state: incident.state.to_string(),
            tactics: incident.tactics.clone(),
        }
    }
}

/// That an incident went up in another, or in another than before, as streams tell it.
#[derive(Debug, Serialize)]
pub(crate) struct IncidentMerged {
    id: String,
    into: String,
}

impl IncidentMerged {
    pub(crate) fn new(from: IncidentId, into: IncidentId) -> Self {
        Self { id: from.to_string(), into: into.to_string() }
    }
}

/// All that is known of an incident.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IncidentFull {
    /// What lists show.
    pub(crate) incident: IncidentItem,
    /// Why it has its priority: a reason and what it adds to the score.
    pub(crate) reasons: Vec<Reason>,
    /// The machines, the most frequent first.
    pub(crate) hosts: Vec<String>,
    /// How many machines are not listed.
    pub(crate) hosts_more: u64,
    /// The accounts.
    pub(crate) users: Vec<String>,
    /// How many accounts are not listed.
    pub(crate) users_more: u64,
    /// The ATT&CK tactics, by name.
    pub(crate) tactics: Vec<String>,
    /// The ATT&CK techniques.
    pub(crate) techniques: Vec<String>,
    /// The rules and indicators, and how many detections each has.
    pub(crate) rules: Vec<RuleCount>,
    /// How many rules and indicators are not listed.
    pub(crate) rules_more: u64,
    /// Closed incidents that it has something in common with.
    pub(crate) follows: Vec<String>,
    /// Incidents that went up in it.
    pub(crate) merged: Vec<String>,
    /// What people wrote down; the last thousand.
    pub(crate) notes: Vec<Note>,
    /// What is to be done; the last thousand.
    pub(crate) tasks: Vec<Task>,
    /// Files; the last thousand.
    pub(crate) evidence: Vec<Evidence>,
    /// What happened to it; the last thousand.
    pub(crate) history: Vec<History>,
    /// What those are called who did that: the names of their tokens, by id.
    pub(crate) names: BTreeMap<String, String>,
}

/// A reason of a priority.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reason {
    /// Why.
    pub(crate) reason: String,
    /// What it adds to the score.
    pub(crate) points: i16,
}

/// A rule or an indicator, and how many detections it has.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleCount {
    /// Its title.
    pub(crate) title: String,
    /// How many.
    pub(crate) detections: u64,
}

impl From<IncidentPage> for IncidentFull {
    fn from(page: IncidentPage) -> Self {
        let Incident { priority, hosts, users, tactics, techniques, rules, follows, .. } = page.incident;
        let reason = |(reason, points)| Reason { reason, points };
        let hosts_more = page.incident.hosts_more;
        let reach = Reach { hosts: hosts.clone(), hosts_more, tactics: tactics.clone() };
        Self {
            incident: IncidentItem::new(page.row, reach),
            reasons: priority.reasons.into_iter().map(reason).collect(),
            hosts,
            hosts_more,
            users,
            users_more: page.incident.users_more,
            tactics,
            techniques,
            rules: rules.into_iter().map(|(title, detections)| RuleCount { title, detections }).collect(),
            rules_more: page.incident.rules_more,
            follows: follows.iter().map(ToString::to_string).collect(),
            merged: page.merged.iter().map(ToString::to_string).collect(),
            notes: page.notes.into_iter().map(Note::from).collect(),
            tasks: page.tasks.into_iter().map(Task::from).collect(),
            evidence: page.evidence.into_iter().map(Evidence::from).collect(),
            history: page.history.into_iter().map(History::from).collect(),
            names: page.names,
        }
    }
}

/// Something that a person wrote down.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Note {
    /// Its number.
    pub(crate) number: u64,
    /// When.
    #[schema(format = DateTime)]
    pub(crate) at: String,
    /// Who: the id of a token.
    pub(crate) author: String,
    /// What.
    pub(crate) text: String,
}

impl From<NoteRow> for Note {
    fn from(row: NoteRow) -> Self {
        Self { number: row.seq, at: row.at.to_string(), author: row.author, text: row.text }
    }
}

/// Something that is to be done.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Task {
    /// Its number.
    pub(crate) number: u64,
    /// When it was added.
    #[schema(format = DateTime)]
    pub(crate) at: String,
    /// By whom.
    pub(crate) author: String,
    /// What it is.
    pub(crate) title: String,
    /// When it was done.
    #[schema(format = DateTime)]
    pub(crate) done_at: Option<String>,
    /// By whom.
    pub(crate) done_by: Option<String>,
}

impl From<TaskRow> for Task {
    fn from(row: TaskRow) -> Self {
        let (done_at, done_by) = row.done.map(|(at, by)| (at.to_string(), by)).unzip();
        Self { number: row.seq, at: row.at.to_string(), author: row.author, title: row.title, done_at, done_by }
    }
}

/// A file.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Evidence {
    /// Its number.
    pub(crate) number: u64,
    /// When it was added.
    #[schema(format = DateTime)]
    pub(crate) at: String,
    /// By whom.
    pub(crate) author: String,
    /// The SHA-256 of its bytes.
    pub(crate) sha256: String,
    /// What it is called.
    pub(crate) name: String,
    /// How long it is.
    pub(crate) bytes: u64,
}

impl From<EvidenceRow> for Evidence {
    fn from(row: EvidenceRow) -> Self {
        let EvidenceRow { seq: number, at, author, sha256, name, bytes } = row;
        Self { number, at: at.to_string(), author, sha256, name, bytes }
    }
}

/// What happened to an incident.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct History {
    /// Its number.
    pub(crate) number: u64,
    /// The incident that it happened to: this one, or one that went up in it.
    pub(crate) incident: String,
    /// When.
    #[schema(format = DateTime)]
    pub(crate) at: String,
    /// Who did it; `null` is the centre itself.
    pub(crate) actor: Option<String>,
    /// What.
    pub(crate) act: String,
    /// The rest.
    #[schema(value_type = Object)]
    pub(crate) detail: Value,
}

impl From<HistoryRow> for History {
    fn from(row: HistoryRow) -> Self {
        let HistoryRow { seq, incident, at, actor, act, detail } = row;
        Self { number: seq, incident: incident.to_string(), at: at.to_string(), actor, act, detail }
    }
}

/// A source of logs.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SourceItem {
    /// Its name.
    pub(crate) name: String,
    /// `file`, `http`, `bulk`, `otlp`, `syslog-udp`, `syslog-tcp`, `syslog-tls` or `cresset`.
    pub(crate) kind: String,
    /// Events that were read.
    pub(crate) events: u64,
    /// Bytes that came.
    pub(crate) bytes: u64,
    /// Records that could not be read.
    pub(crate) skipped: u64,
    /// Messages that were lost before they were read: UDP alone loses any.
    pub(crate) lost: u64,
    /// Events a second of the last minute.
    pub(crate) rate: f64,
    /// When its latest event says it happened.
    #[schema(format = DateTime)]
    pub(crate) last_event: Option<String>,
    /// For how long it has given nothing; `null` where it never gave anything.
    pub(crate) silent_seconds: Option<u64>,
}

impl SourceItem {
    pub(crate) fn new(source: Source, now: Timestamp) -> Self {
        let (rate, silent_seconds) = (source.rate_at(now), source.silent_seconds(now));
        let row = source.row;
        Self {
            name: row.name,
            kind: row.kind,
            events: row.events,
            bytes: row.bytes,
            skipped: row.skipped,
            lost: row.lost,
            rate,
            last_event: row.last_event.map(|time| time.to_string()),
            silent_seconds,
        }
    }
}

/// A feed of indicators that is fetched.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FeedItem {
    /// Its name.
    pub(crate) name: String,
    /// Where it comes from: scheme and host. Behind them keys may stand.
    pub(crate) url: String,
    /// When it was had last, changed or not; `null` where it never was.
    #[schema(format = DateTime)]
    pub(crate) last_success: Option<String>,
    /// How many seconds ago that was.
    pub(crate) age_seconds: Option<u64>,
    /// When it could not be had last; `null` once it can be again.
    #[schema(format = DateTime)]
    pub(crate) last_failure: Option<String>,
    /// Why.
    pub(crate) last_error: Option<String>,
    /// How often in a row it could not be had.
    pub(crate) failures: u32,
    /// Bytes of the version that counts, unpacked.
    pub(crate) bytes: u64,
    /// Indicators in it.
    pub(crate) indicators: u64,
}

impl FeedItem {
    pub(crate) fn new(feed: FeedStanding, now: Timestamp) -> Self {
        let age_seconds = feed.age_seconds(now);
        let (last_failure, last_error) = feed.last_error.unzip();
        Self {
            name: feed.name,
            url: feed.url,
            last_success: feed.last_success.map(|time| time.to_string()),
            age_seconds,
            last_failure: last_failure.map(|time| time.to_string()),
            last_error,
            failures: feed.failures,
            bytes: feed.bytes,
            indicators: feed.indicators,
        }
    }
}

/// A token, without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenItem {
    /// Its id.
    id: String,
    /// What people call it.
    name: String,
    /// Its role.
    role: &'static str,
    /// The rights that it has of those of its role; empty: all of them.
    scopes: Vec<String>,
    /// The member whose person it is.
    member: Option<String>,
    /// The person's nationality.
    nationality: Option<String>,
    /// What the person is cleared for.
    clearances: Vec<String>,
    /// When it was issued.
    #[schema(format = DateTime)]
    created: String,
    /// By whom.
    created_by: String,
    /// Until when it holds.
    #[schema(format = DateTime)]
    expires: Option<String>,
    /// When it was taken back.
    #[schema(format = DateTime)]
    revoked: Option<String>,
    /// When it was used last, to the minute.
    #[schema(format = DateTime)]
    last_used: Option<String>,
}

impl From<Token> for TokenItem {
    fn from(token: Token) -> Self {
        let text = |time: Option<Timestamp>| time.map(|time| time.to_string());
        Self {
            id: token.id,
            name: token.issued.name,
            role: token.issued.role.as_str(),
            scopes: token.issued.scopes,
            member: token.issued.member,
            nationality: token.issued.nationality,
            clearances: token.issued.clearances,
            created: token.created.to_string(),
            created_by: token.created_by,
            expires: text(token.issued.expires),
            revoked: text(token.revoked),
            last_used: text(token.last_used),
        }
    }
}

/// A number that something was given.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Made {
    /// The number of the note, task, evidence or history row.
    pub(crate) number: u64,
    /// The incident that it was done to: another than was named where that went up in it.
    pub(crate) incident: Option<String>,
}
