//! The watch floor: what matters now, what comes, from where, and how far it has got.
//!
//! Rendered with all that there is at that moment; rows for what comes later are copies of the same markup, in templates,
//! which `page.js` fills.

use cresset_detect::TACTICS;
use cresset_event::Timestamp;
use cresset_store::{DetectionFilter, IncidentFilter, IncidentOrder, StateFilter};
use maud::{Markup, html};

use super::text::{age, clock, rate, shown, span};
use crate::api::status::{Status, all_sources};
use crate::api::types::{DetectionItem, IncidentItem, List, SourceItem};
use crate::api::{detections, incidents};
use crate::app::App;
use crate::problem::Problem;
use crate::sources::OWN;

/// Incidents that the floor lists, the most urgent: more are on nobody's mind at once.
const INCIDENTS_MAX: usize = 200;
/// Detections that the floor lists, the newest.
const DETECTIONS_MAX: usize = 60;
/// Incidents in the map of tactics, the most urgent.
const LANES_MAX: usize = 30;
/// Sources that the floor lists, those in trouble first.
const SOURCES_MAX: usize = 200;
/// Height of a row of the map.
const ROW: f64 = 16.0;

/// All that the floor shows.
pub(super) struct Floor {
    incidents: List<IncidentItem>,
    detections: List<DetectionItem>,
    sources: Vec<SourceItem>,
    status: Status,
    silent_after_seconds: u64,
    now: Timestamp,
}

impl Floor {
    pub(super) async fn of(app: &App) -> Result<Self, Problem> {
        let open = IncidentFilter { state: Some(StateFilter::Open), ..IncidentFilter::default() };
        let incidents = incidents::listed(app, &open, IncidentOrder::Priority, None, INCIDENTS_MAX).await?;
        let detections = detections::listed(app, &DetectionFilter::default(), None, DETECTIONS_MAX).await?;
        let silent_after_seconds = app.config.intake.silent_after_seconds;
        let mut sources = all_sources(app).items;
        sources.sort_by(|a, b| {
            let key = |source: &SourceItem| (is_silent(source, silent_after_seconds), source.lost + source.skipped > 0);
            key(b).cmp(&key(a)).then(b.rate.total_cmp(&a.rate))
        });
        Ok(Self {
            incidents,
            detections,
            sources,
            status: Status::of(app),
            silent_after_seconds,
            now: Timestamp::now(),
        })
    }

    pub(super) fn markup(&self) -> Markup {
        html! {
            div #troubles .troubles role="alert" hidden[self.status.troubles.is_empty()] {
                @for trouble in &self.status.troubles { p { (shown(trouble)) } }
            }
            noscript { p .notice { "Without JavaScript this page does not move by itself: it is loaded anew every 15 seconds." } }
            h1 .aloud { "Watch floor" }
            main .floor data-silent-after=(self.silent_after_seconds) data-incidents-max=(INCIDENTS_MAX)
                data-detections-max=(DETECTIONS_MAX) data-lanes-max=(LANES_MAX) data-sources-max=(SOURCES_MAX) {
                (self.incidents_panel())
                (self.detections_panel())
                (self.map_panel())
                (self.rate_panel())
                (self.sources_panel())
            }
            (self.templates())
        }
    }

    /// Returns how many incidents of a priority there are, as far as is known from those that are listed.
    fn tally(&self, class: &str) -> String {
        let List { items, next } = &self.incidents;
        let count = items.iter().filter(|item| item.priority == class).count();
        match items.last().filter(|_| next.is_some()) {
            Some(last) if last.priority.as_str() == class => format!("{count}+"),
            Some(last) if last.priority.as_str() < class => "–".into(),
            _ => count.to_string(),
        }
    }

    fn incidents_panel(&self) -> Markup {
        let items = &self.incidents.items;
        html! {
            section .panel .incidents aria-labelledby="h-incidents" {
                header {
                    h2 #h-incidents { "Open incidents" }
                    ul .tally aria-label="By priority" {
                        @for class in ["P1", "P2", "P3", "P4"] {
                            li .(class.to_lowercase()) { (class) " " b .none[self.tally(class) == "0"] data-tally=(class) { (self.tally(class)) } }
                        }
                    }
                    span #more .muted hidden[self.incidents.next.is_none()] { "the first " (INCIDENTS_MAX) }
                }
                div .scroll tabindex="0" role="region" aria-labelledby="h-incidents" {
                    table {
                        thead { tr {
                            th scope="col" { "Pri" } th scope="col" { "Incident" }
                            th scope="col" title="ATT&CK tactics reached, in the order of the matrix" { "Reach" }
                            th scope="col" { "State" } th scope="col" { "Owner" }
                            th scope="col" .n title="Detections" { "Det." }
                            th scope="col" .n title="Since its first detection arrived" { "Age" }
                        } }
                        tbody #incidents { @for item in items { (incident_row(Some(item), self.now)) } }
                    }
                    p #no-incidents .empty hidden[!items.is_empty()] { "No incident is open." }
                }
            }
        }
    }

    fn detections_panel(&self) -> Markup {
        let items = &self.detections.items;
        html! {
            section .panel .detections aria-labelledby="h-detections" {
                header { h2 #h-detections { "Detections" } span .muted { "newest first" } }
                div .scroll tabindex="0" role="region" aria-labelledby="h-detections" {
                    table {
                        thead { tr {
                            th scope="col" { "Time" } th scope="col" { "Level" } th scope="col" { "What" }
                            th scope="col" { "Host" } th scope="col" { "User" }
                        } }
                        tbody #detections { @for item in items { (detection_row(Some(item), self.now)) } }
                    }
                    p #no-detections .empty hidden[!items.is_empty()] { "Nothing was detected yet." }
                }
            }
        }
    }

    fn map_panel(&self) -> Markup {
        let height = ROW * TACTICS.len() as f64 + 22.0;
        let lanes = self.incidents.items.iter().take(LANES_MAX);
        html! {
            section .panel .map aria-labelledby="h-map" {
                header { h2 #h-map { "Tactics reached" } span .muted { "a column an incident, the most urgent first" } }
                div .scroll {
                    svg viewBox={ "0 0 620 " (height) } role="group" aria-labelledby="h-map" {
                        @for (row, (_, name)) in TACTICS.iter().enumerate() {
                            @let y = ROW.mul_add(row as f64, 20.0);
                            @let reached = self.incidents.items.iter().filter(|item| item.tactics.iter().any(|t| t == name)).count();
                            text .tactic x="128" y=(y + 8.0) text-anchor="end" { (name) }
                            text .count .none[reached == 0] x="156" y=(y + 8.0) text-anchor="end" data-tactic=(name) { (reached) }
                            line .rule x1="164" x2="618" y1=(y + 4.0) y2=(y + 4.0) {}
                        }
                        g #lanes { @for (at, item) in lanes.enumerate() { (lane(Some(item), at)) } }
                    }
                }
            }
        }
    }

    fn rate_panel(&self) -> Markup {
        let chart = |id: &str, name: &str, value: String| {
            html! {
                figure .chart {
                    figcaption { span { (name) } b #{ (id) "-now" } { (value) } span #{ (id) "-most" } .muted {} }
                    svg #(id) viewBox="0 0 300 60" preserveAspectRatio="none" role="img" aria-label=(name) {
                        line .rule x1="0" x2="300" y1="59.5" y2="59.5" {}
                        polygon points="" {} polyline points="" {}
                    }
                }
            }
        };
        html! {
            section .panel .rate aria-labelledby="h-rate" {
                header { h2 #h-rate { "Rate" } span .muted { "what this page has seen, 10 min" } }
                (chart("chart-events", "Events a second", rate(self.status.rate)))
                (chart("chart-detections", "Detections a minute", "–".into()))
            }
        }
    }

    fn sources_panel(&self) -> Markup {
        let silent = self.sources.iter().filter(|source| is_silent(source, self.silent_after_seconds)).count();
        html! {
            section .panel .sources aria-labelledby="h-sources" {
                header {
                    h2 #h-sources { "Sources" } span .muted #sources-count { (self.sources.len()) }
                    strong #sources-silent .silent hidden[silent == 0] { (silent) " silent" }
                }
                div .scroll tabindex="0" role="region" aria-labelledby="h-sources" {
                    table {
                        thead { tr {
                            th scope="col" { "Source" } th scope="col" .n { "Events/s" } th scope="col" .n { "Heard" }
                            th scope="col" .n { "Lost" } th scope="col" .n title="Records that could not be read" { "Skipped" }
                        } }
                        tbody #sources {
                            @for source in self.sources.iter().take(SOURCES_MAX) {
                                (source_row(Some(source), self.silent_after_seconds))
                            }
                        }
                    }
                    p #no-sources .empty hidden[!self.sources.is_empty()] { "Nothing was delivered yet." }
                }
            }
        }
    }

    fn templates(&self) -> Markup {
        html! {
            template #t-incident { table { tbody { (incident_row(None, self.now)) } } }
            template #t-detection { table { tbody { (detection_row(None, self.now)) } } }
            template #t-source { table { tbody { (source_row(None, 0)) } } }
            template #t-lane { svg { (lane(None, 0)) } }
        }
    }
}

/// The figures in the bar above.
pub(super) fn figures(floor: &Floor) -> Markup {
    let status = &floor.status;
    html! {
        dl .figures {
            div { dt { "Events/s" } dd #f-rate { (rate(status.rate)) } }
            div { dt { "Detections" } dd #f-detections { (status.detections) } }
            div { dt { "Withheld" } dd #f-withheld { (status.withheld) } }
            div { dt { "Rules" } dd #f-rules { (status.rules) } }
            div hidden[status.rules_refused.is_empty()] .bad { dt { "Refused" } dd #f-refused { (status.rules_refused.len()) } }
            div { dt { "Indicators" } dd #f-indicators { (status.indicators) } }
        }
    }
}

fn is_silent(source: &SourceItem, after_seconds: u64) -> bool {
    after_seconds > 0
        && !source.name.starts_with(OWN)
        && source.silent_seconds.is_some_and(|seconds| seconds >= after_seconds)
}

fn hosts_of(item: &IncidentItem) -> String {
    let mut hosts = item.hosts.iter().map(|host| shown(host)).collect::<Vec<_>>().join(", ");
    if item.hosts_more > 0 {
        hosts.push_str(&format!(" and {} more", item.hosts_more));
    }
    hosts
}

fn incident_row(item: Option<&IncidentItem>, now: Timestamp) -> Markup {
    let of = |part: fn(&IncidentItem) -> String| item.map(part).unwrap_or_default();
    html! {
        tr data-id=[item.map(|item| &item.id)] class=(of(|item| item.priority.to_lowercase())) {
            td { b .pri data-f="priority" { (of(|item| item.priority.clone())) } }
            td .what {
                a data-f="title" href=[item.map(|item| format!("/incidents/{}", item.id))] title=(of(|item| shown(&item.title))) {
                    (of(|item| shown(&item.title)))
                }
                span .sub data-f="hosts" { (of(hosts_of)) }
            }
            td .reach { (strip(item.map_or(&[], |item| &item.tactics))) }
            td .state data-f="state" { (of(|item| item.state.clone())) }
            td .owner data-f="owner" { (of(|item| item.owner.as_deref().map_or("–".into(), shown))) }
            td .n data-f="detections" { (of(|item| item.detections.to_string())) }
            td .n { time .age data-f="age" datetime=(of(|item| item.aware_at.clone())) { (item.map_or(String::new(), |item| age(&item.aware_at, now))) } }
        }
    }
}

/// The tactics that an incident reached, as cells in the order of the matrix.
pub(super) fn strip(reached: &[String]) -> Markup {
    let label = reached.join(", ");
    html! {
        svg .strip viewBox="0 0 112 12" role="img" aria-label=(label) {
            title { (label) }
            @for (at, (_, name)) in TACTICS.iter().enumerate() {
                rect .on[reached.iter().any(|tactic| tactic == name)] x=(at * 7) y="1" width="6" height="10" rx="1" data-tactic=(name) {}
            }
        }
    }
}

/// An incident in the map: a dot a tactic, and a line through them.
fn lane(item: Option<&IncidentItem>, at: usize) -> Markup {
    let is_reached = |name: &str| item.is_some_and(|item| item.tactics.iter().any(|tactic| tactic == name));
    let y = |row: usize| ROW.mul_add(row as f64, 24.0);
    let rows = || TACTICS.iter().enumerate().filter(|(_, (_, name))| is_reached(name)).map(|(row, _)| row);
    let (first, last) = (rows().min().unwrap_or(0), rows().max().unwrap_or(0));
    html! {
        a .lane .(item.map_or(String::new(), |item| item.priority.to_lowercase())) href=[item.map(|item| format!("/incidents/{}", item.id))]
            data-id=[item.map(|item| &item.id)] transform={ "translate(" (172 + at * 15) " 0)" } {
            title { (item.map_or(String::new(), |item| format!("{} {}", item.priority, shown(&item.title)))) }
            rect .hit x="-7" y="0" width="15" height="278" {}
            text .head x="0" y="13" text-anchor="middle" { (item.map_or("", |item| item.priority.trim_start_matches('P'))) }
            line .path x1="0" x2="0" y1=(y(first)) y2=(y(last)) {}
            @for (row, (_, name)) in TACTICS.iter().enumerate() {
                circle .on[is_reached(name)] cx="0" cy=(y(row)) r="4.5" data-tactic=(name) {}
            }
        }
    }
}

pub(super) fn detection_row(item: Option<&DetectionItem>, now: Timestamp) -> Markup {
    let or_none = |value: Option<&String>| value.map_or("–".into(), |value| shown(value));
    html! {
        tr data-id=[item.map(|item| &item.id)] class=(item.map_or("", |item| item.level)) {
            td .when { time data-f="time" datetime=[item.map(|item| &item.time)] { (item.map_or(String::new(), |item| clock(&item.time, now))) } }
            td { span .level data-f="level" { (item.map_or("", |item| item.level)) } }
            td .what {
                @let href = item.and_then(|item| item.incident.as_ref()).map(|id| format!("/incidents/{id}"));
                a data-f="title" href=[href] title=[item.map(|item| shown(&item.title))] { (item.map_or(String::new(), |item| shown(&item.title))) }
            }
            td .host data-f="host" { (or_none(item.and_then(|item| item.host.as_ref()))) }
            td .user data-f="user" { (or_none(item.and_then(|item| item.user.as_ref()))) }
        }
    }
}

fn source_row(item: Option<&SourceItem>, silent_after_seconds: u64) -> Markup {
    let count = |count: fn(&SourceItem) -> u64| item.map(count).unwrap_or_default();
    html! {
        tr .silent[item.is_some_and(|item| is_silent(item, silent_after_seconds))] {
            td .what { span data-f="name" title=[item.map(|item| shown(&item.name))] { (item.map_or(String::new(), |item| shown(&item.name))) } }
            td .n data-f="rate" { (item.map_or(String::new(), |item| rate(item.rate))) }
            td .n data-f="heard" {
                (item.and_then(|item| item.silent_seconds).map_or("never".into(), |seconds| span(i64::try_from(seconds).unwrap_or(i64::MAX))))
            }
            td .n .bad[count(|item| item.lost) > 0] data-f="lost" { (count(|item| item.lost)) }
            td .n .bad[count(|item| item.skipped) > 0] data-f="skipped" { (count(|item| item.skipped)) }
        }
    }
}
