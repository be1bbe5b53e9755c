//! Lists show what looking at everything shows, whatever the filter, in pages of any size.

use cresset_detect::Level;
use cresset_event::Timestamp;
use cresset_picture::{Incident, Link, LinkKind, PriorityClass, State, Verdict};
use cresset_store::{
    Act, Cursor, DetectionFilter, IncidentFilter, IncidentOrder, NewDetection, OwnerFilter, PAGE_ROWS_MAX, StateFilter,
    Store, StoreError,
};

use crate::{Batch, Place, analyst, both, detection, incident, record};

both!(
    detections_are_those_that_fit,
    incidents_are_those_that_fit,
    pages_are_bounded_and_a_cursor_fits_its_list,
    a_title_is_found_in_whatever_case,
    a_search_goes_on_behind_what_one_page_looks_at,
    the_reach_of_those_that_a_list_shows_is_theirs,
    the_links_of_many_are_those_of_each,
);

const DETECTIONS: u64 = 600;
const INCIDENTS: u64 = 400;

/// Reads a list page by page, as it is shown on the way.
async fn all_detections(store: &Store, filter: &DetectionFilter) -> Vec<cresset_detect::DetectionId> {
    let (mut ids, mut after) = (Vec::new(), None);
    loop {
        let page = store.detections(filter, after.as_ref(), 37).await.expect("a page");
        ids.extend(page.rows.iter().map(|row| row.id));
        let Some(next) = page.next else { return ids };
        after = Some(Cursor::parse(&next.to_string()).expect("a cursor"));
    }
}

fn fits(filter: &DetectionFilter, new: &NewDetection) -> bool {
    let facts = &new.facts;
    filter.level_min.is_none_or(|least| facts.level >= least)
        && filter.incident.is_none_or(|id| new.incident == Some(id))
        && filter.host.as_ref().is_none_or(|host| facts.host.as_ref() == Some(host))
        && filter.cause.as_ref().is_none_or(|cause| facts.cause == *cause)
        && filter.retro.is_none_or(|retro| new.retro == retro)
        && filter.from_inclusive.is_none_or(|from| facts.time >= from)
        && filter.until_exclusive.is_none_or(|until| facts.time < until)
        && filter.title.as_ref().is_none_or(|part| facts.title.to_lowercase().contains(&part.to_lowercase()))
}

fn detection_filters() -> Vec<DetectionFilter> {
    let any = DetectionFilter::default;
    let times: Vec<_> = (0..3).map(|number| detection(number).facts.time).collect();
    let mut filters = vec![
        any(),
        DetectionFilter { incident: Some(incident(1).id), ..any() },
        DetectionFilter { host: detection(5).facts.host, ..any() },
        DetectionFilter { cause: Some("rule-7".into()), level_min: Some(Level::Medium), ..any() },
        DetectionFilter { cause: Some("no-such-rule".into()), ..any() },
        DetectionFilter { retro: Some(true), ..any() },
        DetectionFilter { retro: Some(false), level_min: Some(Level::High), ..any() },
        DetectionFilter { from_inclusive: Some(times[0]), ..any() },
        DetectionFilter { until_exclusive: Some(times[1]), ..any() },
        DetectionFilter { title: Some("certUTIL".into()), from_inclusive: Some(times[2]), ..any() },
    ];
    filters.extend(Level::ALL.map(|level| DetectionFilter { level_min: Some(level), ..any() }));
    filters
}

async fn detections_are_those_that_fit(place: Place) {
    let store = place.open().await;
    record(&store, 0..0, 0..2).await;
    let mut detections: Vec<NewDetection> = (0..DETECTIONS).map(detection).collect();
    detections.iter_mut().step_by(3).for_each(|new| new.incident = Some(incident(1).id));
    store.record(&Batch { detections: detections.clone(), ..Batch::default() }).await.expect("recorded");
    // The newest first; of those of one moment, the one that was stored last.
    detections.reverse();
    detections.sort_by_key(|new| std::cmp::Reverse(new.facts.time));
    for filter in detection_filters() {
        let expected: Vec<_> = detections.iter().filter(|new| fits(&filter, new)).map(|new| new.facts.id).collect();
        assert_eq!(all_detections(&store, &filter).await, expected, "{filter:?}");
    }
}

async fn all_incidents(
    store: &Store,
    filter: &IncidentFilter,
    order: IncidentOrder,
) -> Vec<cresset_picture::IncidentId> {
    let (mut ids, mut after) = (Vec::new(), None);
    loop {
        let page = store.incidents(filter, order, after.as_ref(), 37).await.expect("a page");
        ids.extend(page.rows.iter().map(|row| row.id));
        let Some(next) = page.next else { return ids };
        after = Some(Cursor::parse(&next.to_string()).expect("a cursor"));
    }
}

fn owner_of(number: usize) -> Option<String> {
    number.is_multiple_of(5).then(|| format!("officer{}", number % 3))
}

fn incident_fits(filter: &IncidentFilter, incident: &Incident, owner: Option<&str>) -> bool {
    let state = match filter.state {
        None => true,
        Some(StateFilter::Open) => !incident.state.is_closed(),
        Some(StateFilter::Closed) => incident.state.is_closed(),
        Some(StateFilter::Is(state)) => incident.state == state,
    };
    let owned = match &filter.owner {
        None => true,
        Some(OwnerFilter::Nobody) => owner.is_none(),
        Some(OwnerFilter::Is(wanted)) => owner == Some(wanted),
    };
    let titled = filter.title.as_ref().is_none_or(|part| incident.title.contains(part));
    state && owned && titled && filter.class.is_none_or(|class| incident.priority.class == class)
}

fn incident_filters() -> Vec<IncidentFilter> {
    let any = IncidentFilter::default;
    let officer = || Some(OwnerFilter::Is("officer1".into()));
    vec![
        any(),
        IncidentFilter { state: Some(StateFilter::Open), ..any() },
        IncidentFilter { state: Some(StateFilter::Closed), ..any() },
        IncidentFilter { state: Some(StateFilter::Is(State::Triage)), ..any() },
        IncidentFilter { state: Some(StateFilter::Is(State::Closed(Verdict::FalsePositive))), ..any() },
        IncidentFilter { class: Some(PriorityClass::P1), ..any() },
        IncidentFilter { class: Some(PriorityClass::P4), state: Some(StateFilter::Open), ..any() },
        IncidentFilter { owner: officer(), ..any() },
        IncidentFilter { owner: Some(OwnerFilter::Nobody), state: Some(StateFilter::Open), ..any() },
        IncidentFilter { title: Some("on web4".into()), owner: officer(), ..any() },
    ]
}

async fn incidents_are_those_that_fit(place: Place) {
    let store = place.open().await;
    record(&store, 0..0, 0..INCIDENTS).await;
    let mut incidents: Vec<_> = (0..INCIDENTS).map(incident).zip((0..).map(owner_of)).collect();
    for (incident, owner) in incidents.iter().filter(|(_, owner)| owner.is_some()) {
        store.act(&analyst(1), &Act::Assign { incident: incident.id, owner: owner.clone() }).await.expect("assigned");
    }
    incidents.reverse();
    for order in [IncidentOrder::Last, IncidentOrder::Priority] {
        incidents.sort_by_key(|(incident, _)| std::cmp::Reverse(incident.last));
        if order == IncidentOrder::Priority {
            incidents.sort_by_key(|(incident, _)| std::cmp::Reverse(incident.priority.score));
        }
        for filter in incident_filters() {
            let fit = incidents.iter().filter(|(incident, owner)| incident_fits(&filter, incident, owner.as_deref()));
            let expected: Vec<_> = fit.map(|(incident, _)| incident.id).collect();
            assert_eq!(all_incidents(&store, &filter, order).await, expected, "{order:?} {filter:?}");
        }
    }
}

async fn pages_are_bounded_and_a_cursor_fits_its_list(place: Place) {
    let store = place.open().await;
    record(&store, 0..DETECTIONS, 0..3).await;
    let any = DetectionFilter::default();
    let page = store.detections(&any, None, usize::MAX).await.expect("a page");
    assert_eq!(page.rows.len(), PAGE_ROWS_MAX);
    assert_eq!(store.detections(&any, None, 0).await.expect("a page").rows.len(), 1);
    // The last page says that it is.
    let rest = store.detections(&any, page.next.as_ref(), usize::MAX).await.expect("a page");
    assert_eq!((rest.rows.len(), rest.next), (DETECTIONS as usize - PAGE_ROWS_MAX, None));
    let other = store.incidents(&Default::default(), Default::default(), page.next.as_ref(), 50).await;
    assert!(matches!(other, Err(StoreError::Cursor)));
}

async fn a_title_is_found_in_whatever_case(place: Place) {
    let store = place.open().await;
    let mut one = incident(1);
    one.title = "STRASSE 50%_off ÄÖÜ Σίσυφος".into();
    store.record(&Batch { incidents: vec![one.clone(), incident(2)], ..Batch::default() }).await.expect("recorded");
    for (part, found) in [("50%_OFF", 1), ("äöü", 1), ("σίσυφοσ", 1), ("50__off", 0), ("%", 1), ("strasse", 1)]
    {
        let filter = IncidentFilter { title: Some(part.into()), ..IncidentFilter::default() };
        let page = store.incidents(&filter, IncidentOrder::Last, None, 50).await.expect("a page");
        assert_eq!(page.rows.len(), found, "{part}");
    }
}

async fn a_search_goes_on_behind_what_one_page_looks_at(place: Place) {
    let store = place.open().await;
    record(&store, 0..10_050, 0..0).await;
    let mut found = detection(10_050);
    found.facts.title = "In No Other Title".into();
    found.facts.time = Timestamp::from_nanos(1);
    store.record(&Batch { detections: vec![found.clone()], ..Batch::default() }).await.expect("recorded");
    let filter = DetectionFilter { title: Some("no other".into()), ..DetectionFilter::default() };
    let page = store.detections(&filter, None, 50).await.expect("a page");
    assert_eq!(page.rows, []);
    let rest = store.detections(&filter, page.next.as_ref(), 50).await.expect("a page");
    assert_eq!((rest.rows[0].id, rest.rows.len(), rest.next), (found.facts.id, 1, None));
    // Those that all have it are all there, on whatever pages.
    let every = DetectionFilter { title: Some("suspicious".into()), ..DetectionFilter::default() };
    let mut ids = all_detections(&store, &every).await;
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 10_050);
}

async fn the_reach_of_those_that_a_list_shows_is_theirs(place: Place) {
    let store = place.open().await;
    record(&store, 0..0, 0..INCIDENTS).await;
    let ids: Vec<_> = (0..INCIDENTS + 1).map(|number| incident(number).id).collect();
    let reach = store.reach(&ids).await.expect("what they reach");
    assert_eq!(reach.len() as u64, INCIDENTS, "one is not there");
    for incident in (0..INCIDENTS).map(incident) {
        let found = &reach[&incident.id];
        assert_eq!((&found.hosts, &found.tactics), (&incident.hosts, &incident.tactics));
    }
}

async fn the_links_of_many_are_those_of_each(place: Place) {
    let store = place.open().await;
    record(&store, 0..0, 0..2).await;
    let mut detections: Vec<NewDetection> = (0..DETECTIONS).map(detection).collect();
    for (number, new) in detections.iter_mut().enumerate() {
        let link =
            |gap_nanos| Link { kind: LinkKind::Host, value: "web1".into(), gap_nanos, to: detection(0).facts.id };
        new.links = (0..number as u64 % 3).map(link).collect();
    }
    store.record(&Batch { detections: detections.clone(), ..Batch::default() }).await.expect("recorded");
    let ids: Vec<_> = (0..=DETECTIONS).map(|number| detection(number).facts.id).collect();
    let links = store.links(&ids).await.expect("links");
    assert_eq!(links.len() as u64, DETECTIONS, "one is not there");
    for new in &detections {
        assert_eq!(links[&new.facts.id], new.links);
        assert_eq!(store.detection(new.facts.id).await.expect("there").links, new.links);
    }
    assert!(store.links(&[]).await.expect("none").is_empty());
}
