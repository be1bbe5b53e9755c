//! One incident: what it is, why it is urgent, what it is made of and why, and what people did.

use cresset_event::Timestamp;
use cresset_picture::State;
use cresset_store::DetectionFilter;
use maud::{Markup, html};

use super::floor::{detection_row, strip};
use super::text::{age, clock, shown};
use crate::api::types::{DetectionItem, IncidentFull, LinkItem};
use crate::api::{detections, incidents};
use crate::app::App;
use crate::problem::Problem;

/// Detections that are shown, the newest; all are in the API.
const DETECTIONS_MAX: usize = 100;

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
        let mut found = Vec::new();
        for item in detections::listed(app, &filter, None, DETECTIONS_MAX).await?.items {
            let links = detections::found(app, &item.id).await?.links;
            found.push((item, links));
        }
        Ok(Self { full, detections: found, may_work, now: Timestamp::now() })
    }

    pub(super) fn title(&self) -> String {
        shown(&self.full.incident.title)
    }

    pub(super) fn markup(&self) -> Markup {
        let item = &self.full.incident;
        html! {
            main .incident data-incident=(item.id) {
                div #changed .notice role="status" hidden { "This incident has changed. " a href="" { "Load it anew" } }
                div .headline .(item.priority.to_lowercase()) {
                    p { a href="/" { "Watch floor" } }
                    h1 { b .pri { (item.priority) } " " (shown(&item.title)) }
                    dl .facts {
                        div { dt { "State" } dd { (item.state) } }
                        div { dt { "Owner" } dd { (item.owner.as_deref().map_or("nobody".into(), shown)) } }
                        div { dt { "Level" } dd { span .level { (item.level) } } }
                        div { dt { "Score" } dd { (item.score) } }
                        div { dt { "Detections" } dd { (item.detections) } }
                        div { dt { "Known for" } dd { (age(&item.aware_at, self.now)) } }
                        div { dt { "First event" } dd { time { (item.first) } } }
                        div { dt { "Last event" } dd { time { (item.last) } } }
                        div { dt { "Tactics" } dd { (strip(&item.tactics)) } }
                    }
                    @if let Some(into) = &item.merged_into { p { "It went up in " a href={ "/incidents/" (into) } { (into) } "." } }
                    @if self.may_work { (self.acts()) }
                }
                (self.detections_panel())
                (self.why_panel())
                (self.work_panel())
                (self.history_panel())
            }
        }
    }

    /// Forms of what may be done; `page.js` sends them to the API.
    fn acts(&self) -> Markup {
        let now = &self.full.incident.state;
        let open = State::ALL.iter().map(ToString::to_string);
        html! {
            div .acts {
                form data-act="state" {
                    label { "Move to " select name="state" {
                        @for state in open.filter(|state| state != now) { option { (state) } }
                    } }
                    button { "Move" }
                }
                form data-act="assign" {
                    label { "Owner " input name="owner" maxlength="200" autocomplete="off"; }
                    button { "Assign" }
                }
                form data-act="notes" { label { "Note " input name="text" required autocomplete="off"; } button { "Add" } }
                form data-act="tasks" { label { "Task " input name="title" required maxlength="200" autocomplete="off"; } button { "Add" } }
                output #act-said role="status" {}
            }
        }
    }

    fn detections_panel(&self) -> Markup {
        html! {
            section .panel .made-of aria-labelledby="h-made-of" {
                header { h2 #h-made-of { "What it is made of" } span .muted { "newest first, " (self.detections.len()) " of " (self.full.incident.detections) } }
                div .scroll tabindex="0" role="region" aria-labelledby="h-made-of" { table {
                    thead { tr { th scope="col" { "Time" } th scope="col" { "Level" } th scope="col" { "What" } th scope="col" { "Host" } th scope="col" { "User" } } }
                    tbody { @for (item, links) in &self.detections {
                        (detection_row(Some(item), self.now))
                        tr .why { td {} td colspan="4" {
                            @if links.is_empty() { "It opened the incident." }
                            @for link in links.iter().take(4) {
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
                header { h2 #h-why { "Why " (full.incident.priority) } }
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

    fn work_panel(&self) -> Markup {
        let full = &self.full;
        html! {
            section .panel aria-labelledby="h-work" {
                header { h2 #h-work { "Notes and tasks" } }
                @for task in &full.tasks {
                    p .task { (if task.done_at.is_some() { "done: " } else { "to do: " }) (shown(&task.title)) }
                }
                @for note in full.notes.iter().rev() {
                    article .note { p .muted { time { (clock(&note.at, self.now)) } } p { (shown(&note.text)) } }
                }
                @for file in &full.evidence { p { (shown(&file.name)) " " span .muted { (file.bytes) " bytes, SHA-256 " (file.sha256) } } }
                @if full.notes.is_empty() && full.tasks.is_empty() && full.evidence.is_empty() { p .empty { "Nothing was written down yet." } }
            }
        }
    }

    fn history_panel(&self) -> Markup {
        html! {
            section .panel aria-labelledby="h-history" {
                header { h2 #h-history { "History" } }
                ol .history { @for row in self.full.history.iter().rev() {
                    li { time { (clock(&row.at, self.now)) } " " b { (row.act) } " "
                        span .muted { (row.actor.as_deref().map_or("the centre".into(), shown)) } }
                } }
            }
        }
    }
}
