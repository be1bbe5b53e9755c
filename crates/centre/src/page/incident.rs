//! One incident: what it is, why it is urgent, what it is made of and why, and what people did.

use cresset_event::Timestamp;
use cresset_picture::State;
use cresset_store::DetectionFilter;
use maud::{Markup, html};

use super::floor::{detection_row, strip};
use super::text::{age, clock, shown, written};
use crate::api::incidents::{NAME_CHARS_MAX, NOTE_CHARS_MAX};
use crate::api::types::{DetectionItem, Evidence, History, IncidentFull, LinkItem, Task};
use crate::api::{detections, incidents};
use crate::app::App;
use crate::problem::Problem;

/// Detections that are shown, the newest; all are in the API.
const DETECTIONS_MAX: usize = 100;

/// Characters of the id of an incident: `incident--` and a UUID.
const ID_CHARS: usize = 46;

/// What is shown of what a detection shares with others.
const LINKS_MAX: usize = 4;

/// All that the page of an incident shows.
pub(super) struct IncidentView {
    full: IncidentFull,
    detections: Vec<(DetectionItem, Vec<LinkItem>)>,
    may_work: bool,
    now: Timestamp,
}

impl IncidentView {
    pub(super) async fn of(app: &App, id: &str, may_work: bool) -> Result<Self, Problem> {
        let full = incidents::found(app, id).await?;
        let filter = DetectionFilter {
            incident: Some(incidents::incident_id(&full.incident.id)?),
            ..DetectionFilter::default()
        };
        let detections = detections::linked(app, &filter, DETECTIONS_MAX).await?;
        Ok(Self { full, detections, may_work, now: Timestamp::now() })
    }

    pub(super) fn title(&self) -> String {
        shown(&self.full.incident.title)
    }

    /// The parts that are marked live are put in anew by `page.js` whenever the incident changes, and nothing else is: what
    /// somebody is writing stays.
    pub(super) fn markup(&self) -> Markup {
        let item = &self.full.incident;
        html! {
            main .incident data-incident=(item.id) {
                div .headline {
                    (self.facts())
                    @if self.may_work { (self.acts()) }
                }
                (self.detections_panel())
                (self.work_panel())
                (self.why_panel())
                (self.history_panel())
            }
        }
    }

    fn facts(&self) -> Markup {
        let item = &self.full.incident;
        html! {
            div #facts .(item.priority.to_lowercase()) data-live {
                h1 { b .pri { (item.priority) } " " (shown(&item.title)) }
                dl .facts {
                    div { dt { "State" } dd { (item.state) } }
                    div { dt { "Owner" } dd { (item.owner.as_deref().map_or("nobody".into(), shown)) } }
                    div { dt { "Level" } dd { span .level .(item.level) { (item.level) } } }
                    div { dt { "Score" } dd { (item.score) } }
                    div { dt { "Detections" } dd { (item.detections) } }
                    div { dt { "Known for" } dd { (age(&item.aware_at, self.now)) } }
                    div { dt { "First event" } dd { time datetime=(item.first) { (clock(&item.first, self.now)) } } }
                    div { dt { "Last event" } dd { time datetime=(item.last) { (clock(&item.last, self.now)) } } }
                    div { dt { "Tactics" } dd { (strip(&item.tactics)) } }
                }
                @if let Some(into) = &item.merged_into { p .merged { "It went up in " a href={ "/incidents/" (into) } { (into) } "." } }
            }
        }
    }

    /// What is done to the incident as a whole.
    fn acts(&self) -> Markup {
        let now = self.full.incident.state.parse::<State>().ok();
        let states = State::ALL.into_iter().filter(|next| now.is_some_and(|now| now.may_become(*next)));
        html! {
            div .acts {
                (self.form("state", html! {
                    label { "Move to " select #to-state name="state" data-live {
                        @for state in states { option { (state) } }
                    } }
                    button { "Move" }
                }))
                (self.form("assign", html! {
                    label { "Owner " input name="owner" maxlength=(NAME_CHARS_MAX) autocomplete="off" placeholder="nobody"; }
                    button { "Assign" }
                }))
                (self.form("merge", html! {
                    label { "Take in " input name="from" required maxlength=(ID_CHARS) autocomplete="off" placeholder="incident--…"; }
                    button { "Merge" }
                }))
                noscript { p .muted { "Without JavaScript this page shows, and nothing can be done on it." } }
            }
            p #act-said .wrong role="alert" {}
        }
    }

    /// A form of something that may be done; `page.js` sends it to the API.
    fn form(&self, act: &str, inside: Markup) -> Markup {
        let to = format!("/api/v1/incidents/{}/{act}", self.full.incident.id);
        html! { form #{ "do-" (act) } method="post" data-act=(act) data-to=(to) { (inside) } }
    }

    fn detections_panel(&self) -> Markup {
        html! {
            section .panel .made-of aria-labelledby="h-made-of" {
                header { h2 #h-made-of { "What it is made of" } span #of-them .muted data-live { "newest first, " (self.detections.len()) " of " (self.full.incident.detections) } }
                @if self.may_work { div .acts {
                    (self.form("split", html! {
                        span .muted { "Those that are ticked are another matter: " }
                        button { "Split off" }
                    }))
                } }
                div .scroll tabindex="0" role="region" aria-labelledby="h-made-of" { table {
                    thead { tr { th scope="col" { "Time" } th scope="col" { "Level" } th scope="col" { "What" } th scope="col" { "Host" } th scope="col" { "User" } } }
                    tbody #detections data-live { @for (item, links) in &self.detections {
                        (detection_row(Some(item), self.now))
                        tr .why { td { @if self.may_work { (choose(item)) } } td colspan="4" {
                            @if links.is_empty() { "It opened the incident." }
                            @for link in told_apart(links) {
                                span { "same " (link.kind) " " b { (shown(&link.value)) } " " (format!("{:.0}", link.gap_seconds)) " s apart" }
                            }
                        } }
                    } }
                } }
            }
        }
    }

    fn why_panel(&self) -> Markup {
        let full = &self.full;
        let names = |what: &str, names: &[String], more: u64| {
            html! { @if !names.is_empty() {
                h3 { (what) }
                ul .names { @for name in names { li { (shown(name)) } } @if more > 0 { li .muted { "and " (more) " more" } } }
            } }
        };
        html! {
            section .panel aria-labelledby="h-why" {
                header { h2 #h-why data-live { "Why " (full.incident.priority) } }
                div #why data-live {
                    table { tbody { @for reason in &full.reasons {
                        tr { td .n { (format!("{:+}", reason.points)) } td { (shown(&reason.reason)) } }
                    } } }
                    (names("Hosts", &full.hosts, full.hosts_more))
                    (names("Users", &full.users, full.users_more))
                    (names("Tactics", &full.tactics, 0))
                    (names("Techniques", &full.techniques, 0))
                    h3 { "Rules and indicators" }
                    table { tbody { @for rule in &full.rules { tr { td .n { (rule.detections) } td { (shown(&rule.title)) } } } } }
                }
            }
        }
    }

    fn work_panel(&self) -> Markup {
        let full = &self.full;
        let is_empty = full.notes.is_empty() && full.tasks.is_empty() && full.evidence.is_empty();
        html! {
            section .panel aria-labelledby="h-work" {
                header { h2 #h-work { "Notes and tasks" } }
                @if self.may_work { (self.work_forms()) }
                div #work data-live {
                    @if !full.tasks.is_empty() { ul .tasks aria-label="Tasks" { @for task in &full.tasks { (self.task(task)) } } }
                    @for note in full.notes.iter().rev() {
                        article .note { p .muted { time datetime=(note.at) { (clock(&note.at, self.now)) } " " (self.who(&note.author)) } p .written { (written(&note.text)) } }
                    }
                    @for file in &full.evidence { p .file { (self.file_name(file)) " " span .muted { (file.bytes) " bytes, SHA-256 " (file.sha256) ", " (self.who(&file.author)) } } }
                    @if is_empty { p .empty { "Nothing was written down yet." } }
                }
            }
        }
    }

    fn work_forms(&self) -> Markup {
        html! {
            div .acts {
                (self.form("tasks", html! {
                    label { "Task " input name="title" required maxlength=(NAME_CHARS_MAX) autocomplete="off"; }
                    button { "Add task" }
                }))
                (self.form("notes", html! {
                    label { "Note " textarea name="text" required maxlength=(NOTE_CHARS_MAX) rows="2" {} }
                    button { "Add note" }
                }))
                (self.form("evidence", html! {
                    label { "File " input name="file" type="file" required; }
                    progress hidden aria-label="How much was sent" {}
                    button { "Keep file" }
                }))
            }
        }
    }

    /// The name of a file; who may fetch it does so by that.
    fn file_name(&self, file: &Evidence) -> Markup {
        let name = shown(&file.name);
        let at = format!("/api/v1/incidents/{}/evidence/{}", self.full.incident.id, file.number);
        html! { @if self.may_work { a href=(at) download { (name) } } @else { (name) } }
    }

    /// A task, and what may be done to it.
    fn task(&self, task: &Task) -> Markup {
        let (act, says) = if task.done_at.is_some() { ("reopen", "Reopen") } else { ("done", "Done") };
        let title = shown(&task.title);
        html! {
            li .done[task.done_at.is_some()] {
                span .mark-of { @if task.done_at.is_some() { "done" } @else { "to do" } }
                span .title { (title) }
                @if let Some(at) = &task.done_at { time .muted datetime=(at) { (clock(at, self.now)) } }
                @if self.may_work {
                    form method="post" data-act=(act) data-to={ "/api/v1/tasks/" (task.number) "/" (act) } {
                        button #{ "task-" (task.number) } .quiet aria-label={ (says) ": " (title) } { (says) }
                    }
                }
            }
        }
    }

    /// Returns what somebody is called who did something, else the id.
    fn who(&self, id: &str) -> String {
        shown(self.full.names.get(id).map_or(id, String::as_str))
    }

    fn history_panel(&self) -> Markup {
        html! {
            section .panel aria-labelledby="h-history" {
                header { h2 #h-history { "History" } }
                ol #history .history data-live { @for row in self.full.history.iter().rev() {
                    li { time datetime=(row.at) { (clock(&row.at, self.now)) } " " b { (did(row)) } " "
                        @if let Some(other) = other_of(row) { a href={ "/incidents/" (other) } { (other) } " " }
                        span .muted { (row.actor.as_deref().map_or("the centre".into(), |actor| self.who(actor))) } }
                } }
            }
        }
    }
}

/// What ticks a detection that is to be split off.
fn choose(item: &DetectionItem) -> Markup {
    let says = format!("Split off {} of {}", shown(&item.title), item.time);
    html! { input .choose type="checkbox" name="detections" value=(item.id) form="do-split" autocomplete="off" aria-label=(says); }
}

/// Returns the incident that went up in one, or was made of a part of it.
fn other_of(row: &History) -> Option<&str> {
    let name = match row.act.as_str() {
        "merge" => "from",
        "split" => "into",
        _ => return None,
    };
    row.detail[name].as_str()
}

/// Returns some of what a detection shares with others, each thing once.
fn told_apart(links: &[LinkItem]) -> Vec<&LinkItem> {
    let mut told: Vec<&LinkItem> = Vec::new();
    for link in links {
        if told.len() < LINKS_MAX && !told.iter().any(|known| known.kind == link.kind && known.value == link.value) {
            told.push(link);
        }
    }
    told
}

/// Says in words what was done.
fn did(row: &History) -> String {
    let of = |name: &str| row.detail[name].as_str().map(shown);
    match row.act.as_str() {
        "assign" => format!("given to {}", of("owner").unwrap_or_else(|| "nobody".into())),
        "set_state" => format!("moved to {}", of("state").unwrap_or_default()),
        "note" => "noted".into(),
        "add_task" => "task added".into(),
        "finish_task" => "task done".into(),
        "reopen_task" => "task reopened".into(),
        "add_evidence" => "evidence added".into(),
        "merge" => "merged".into(),
        "split" => "split".into(),
        other => shown(other),
    }
}
