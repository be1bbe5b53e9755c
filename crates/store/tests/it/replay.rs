//! A picture that is rebuilt is told what the first one was told, in that order.

use std::collections::BTreeSet;

use cresset_picture::{Assets, Incident, IncidentId, Picture, State, Verdict};
use cresset_store::{Act, Batch, Merge, NewDetection, Replayed, Store, Told};

use crate::{Place, analyst, at, both, detection, incident, record};

both!(
    what_was_told_is_told_again_in_its_place,
    any_steps_tell_the_same,
    a_rebuilt_picture_is_the_same,
    what_was_forgotten_is_forgotten_again,
    a_picture_that_was_kept_goes_on_behind_its_place,
    the_picture_that_was_kept_last_is_there_whatever_its_size,
);

async fn all(store: &Store, limit: usize) -> Vec<Replayed> {
    let mut told: Vec<Replayed> = Vec::new();
    loop {
        let after = told.last().map_or(0, |last| last.seq);
        let step = store.replay(after, limit).await.expect("read");
        if step.is_empty() {
            return told;
        }
        told.extend(step);
    }
}

fn facts_of(number: u64) -> Told {
    let new = detection(number);
    Told::Detection { facts: Box::new(new.facts), withheld: new.withheld_by.is_some() }
}

/// Records ten detections of incident 1, has people act, and records ten more.
async fn worked(store: &Store) {
    let (one, two) = (incident(1), incident(2));
    let within = |number| cresset_store::NewDetection { incident: Some(one.id), ..detection(number) };
    let detections = (0..10).map(within).collect();
    let batch = Batch { detections, incidents: vec![one.clone(), two.clone(), incident(4)], ..Batch::default() };
    store.record(&batch).await.expect("recorded");
    let mut closed = two.clone();
    closed.state = State::Closed(Verdict::Duplicate);
    store.act(&analyst(1), &Act::SetState { incident: Box::new(closed), exclude: None }).await.expect("done");
    store.act(&analyst(2), &Act::Note { incident: one.id, text: "beside the picture".into() }).await.expect("done");
    let link = detection(1).links.remove(0);
    let merge = Act::Merge { into: Box::new(one.clone()), from: two.id, link };
    store.act(&analyst(3), &merge).await.expect("done");
    record(store, 10..20, 0..0).await;
    let detections = vec![detection(3).facts.id, detection(5).facts.id];
    let split = Act::Split { from: Box::new(one.clone()), into: Box::new(incident(3)), detections, regained: vec![] };
    store.act(&analyst(4), &split).await.expect("done");
    // What the picture does by itself it does again.
    let merges = vec![Merge { into: one.id, from: incident(4).id }];
    store.record(&Batch { at: at(5), merges, ..Batch::default() }).await.expect("recorded");
}

async fn what_was_told_is_told_again_in_its_place(place: Place) {
    let store = place.open().await;
    worked(&store).await;
    let (one, two) = (incident(1).id, incident(2).id);
    let mut expected: Vec<Told> = (0..10).map(facts_of).collect();
    expected.push(Told::State { incident: two, state: State::Closed(Verdict::Duplicate) });
    expected.push(Told::Merge { into: one, from: two });
    expected.extend((10..20).map(facts_of));
    let detections = vec![detection(3).facts.id, detection(5).facts.id];
    expected.push(Told::Split { from: one, detections });
    let told: Vec<Told> = all(&store, 10_000).await.into_iter().map(|replayed| replayed.what).collect();
    assert_eq!(told, expected);
}

async fn any_steps_tell_the_same(place: Place) {
    let store = place.open().await;
    worked(&store).await;
    let whole = all(&store, 10_000).await;
    for limit in [1, 2, 7, 23] {
        assert_eq!(all(&store, limit).await, whole, "{limit}");
    }
}

/// Takes detections of these numbers in, and records what came of them.
async fn watch(picture: &mut Picture, store: &Store, numbers: std::ops::Range<u64>) {
    let mut batch = Batch { at: at(0), ..Batch::default() };
    let mut changed: BTreeSet<IncidentId> = BTreeSet::new();
    for number in numbers {
        let new = detection(number);
        let placed = if new.withheld_by.is_none() { picture.add(&new.facts) } else { Default::default() };
        if let Some(into) = placed.incident {
            batch.merges.extend(placed.merged.into_iter().map(|from| Merge { into, from }));
            changed.insert(into);
        }
        batch.detections.push(NewDetection { incident: placed.incident, links: placed.links, ..new });
    }
    // One that went up in another is found as that other.
    let ids: BTreeSet<IncidentId> = changed.into_iter().map(|id| shown(picture, id).id).collect();
    batch.incidents = ids.into_iter().map(|id| shown(picture, id)).collect();
    store.record(&batch).await.expect("recorded");
}

fn shown(picture: &Picture, id: IncidentId) -> Incident {
    picture.incident(id).expect("an incident")
}

/// Has people act on whatever incidents there are: the largest is taken apart, two become one, one is closed.
async fn work(picture: &mut Picture, store: &Store) {
    let mut ids: Vec<_> = picture.incidents().map(|id| (picture.detections(id).count(), id)).collect();
    ids.sort();
    ids.retain(|(_, id)| !shown(picture, *id).state.is_closed());
    let (largest, [one, other, third]) = (ids[ids.len() - 1].1, [ids[0].1, ids[1].1, ids[2].1]);
    let mut leaving: Vec<_> = picture.detections(largest).collect();
    leaving.sort();
    leaving.truncate(leaving.len() / 2);
    let part = picture.split(largest, &leaving).expect("a part");
    let (from, into) = (Box::new(shown(picture, largest)), Box::new(shown(picture, part)));
    let mut regained = store.incident(largest).await.expect("there").merged;
    regained.retain(|id| shown(picture, *id).id == part);
    store.act(&analyst(1), &Act::Split { from, into, detections: leaving, regained }).await.expect("done");
    let merged = picture.merge(one, other).expect("two");
    let into = Box::new(shown(picture, one));
    store.act(&analyst(2), &Act::Merge { into, from: merged.from, link: merged.link }).await.expect("done");
    picture.set_state(third, State::Closed(Verdict::BenignPositive)).expect("a step");
    let incident = Box::new(shown(picture, third));
    store.act(&analyst(3), &Act::SetState { incident, exclude: None }).await.expect("done");
}

fn tell(picture: &mut Picture, told: Told) {
    match told {
        Told::Detection { withheld: true, .. } => {}
        Told::Detection { facts, .. } => drop(picture.add(&facts)),
        Told::Forget(moment) => drop(picture.forget_before(moment)),
        Told::Merge { into, from } => drop(picture.merge(into, from).expect("two")),
        Told::Split { from, detections } => drop(picture.split(from, &detections).expect("a part")),
        Told::State { incident, state } => picture.set_state(incident, state).expect("a step"),
    }
}

async fn a_rebuilt_picture_is_the_same(place: Place) {
    let store = place.open().await;
    let mut picture = Picture::new(Assets::new());
    for round in 0..6 {
        watch(&mut picture, &store, round * 60..(round + 1) * 60).await;
        work(&mut picture, &store).await;
    }
    let mut rebuilt = Picture::new(Assets::new());
    for replayed in all(&store, 100).await {
        tell(&mut rebuilt, replayed.what);
    }
    let ids: BTreeSet<_> = picture.incidents().collect();
    assert!(ids.len() > 20, "{} incidents", ids.len());
    assert_eq!(rebuilt.incidents().collect::<BTreeSet<_>>(), ids);
    for id in ids {
        assert_eq!(rebuilt.incident(id), picture.incident(id));
        // The store shows what the picture shows, and has its detections.
        let page = store.incident(id).await.expect("there");
        assert_eq!((Some(page.incident), page.row.merged_into), (picture.incident(id), None));
        assert_eq!(page.counts.detections, picture.detections(id).count() as u64);
        // What went up is found where the picture finds it.
        assert!(page.merged.iter().all(|gone| shown(&picture, *gone).id == id), "{id}: {:?}", page.merged);
    }
}

async fn a_picture_that_was_kept_goes_on_behind_its_place(place: Place) {
    let store = place.open().await;
    let mut picture = Picture::new(Assets::new());
    for round in 0..6 {
        watch(&mut picture, &store, round * 60..(round + 1) * 60).await;
        work(&mut picture, &store).await;
        if round == 3 {
            store.save_picture(&picture.save()).await.expect("kept");
        }
    }
    let kept = store.saved_picture().await.expect("read").expect("it was kept");
    let mut again = Picture::of_saved(&kept.bytes, Assets::new()).expect("it was saved");
    let behind = store.replay(kept.seq, 10_000).await.expect("read");
    assert!(behind.iter().any(|told| matches!(told.what, Told::Split { .. })), "people acted since");
    assert!(behind.iter().filter(|told| matches!(told.what, Told::Detection { .. })).count() == 120);
    behind.into_iter().for_each(|told| tell(&mut again, told.what));
    assert_eq!(again.save(), picture.save());
}

async fn the_picture_that_was_kept_last_is_there_whatever_its_size(place: Place) {
    let store = place.open().await;
    assert_eq!(store.saved_picture().await.expect("read"), None);
    let mut last = 0;
    for size in [3_500_000, 1 << 20, 1] {
        let bytes: Vec<u8> = (0..size).map(|at: u32| at.to_le_bytes()[at as usize % 3]).collect();
        store.save_picture(&bytes).await.expect("kept");
        let kept = store.saved_picture().await.expect("read").expect("it was kept");
        assert!(kept.bytes == bytes && kept.seq > last, "{size} bytes, at {}", kept.seq);
        last = kept.seq;
    }
    store.close().await;
    assert_eq!(place.open().await.saved_picture().await.expect("read").map(|kept| kept.bytes.len()), Some(1));
}

async fn what_was_forgotten_is_forgotten_again(place: Place) {
    let store = place.open().await;
    let mut picture = Picture::new(Assets::new());
    watch(&mut picture, &store, 0..120).await;
    work(&mut picture, &store).await;
    let mut last: Vec<_> = picture.incidents().map(|id| shown(&picture, id).last).collect();
    last.sort();
    let (moment, before) = (last[last.len() / 2], picture.incidents().count());
    assert!(picture.forget_before(moment));
    store.forget(moment).await.expect("noted");
    // What is near to what was forgotten is another incident now.
    watch(&mut picture, &store, 120..240).await;
    let mut rebuilt = Picture::new(Assets::new());
    for replayed in all(&store, 50).await {
        tell(&mut rebuilt, replayed.what);
    }
    let ids: BTreeSet<_> = picture.incidents().collect();
    assert!(ids.len() > 10 && before > 10, "{} incidents, {before} before", ids.len());
    assert_eq!(rebuilt.incidents().collect::<BTreeSet<_>>(), ids);
    for id in ids {
        assert_eq!(rebuilt.incident(id), picture.incident(id));
        let detections = |picture: &Picture| picture.detections(id).collect::<BTreeSet<_>>();
        assert_eq!(detections(&rebuilt), detections(&picture));
    }
}
