//! A picture that is rebuilt is told what the first one was told, in that order.

use cresset_picture::{State, Verdict};
use cresset_store::{Act, Batch, Merge, Replayed, Store, Told};

use crate::{Place, analyst, at, both, detection, incident, record};

both!(what_was_told_is_told_again_in_its_place, any_steps_tell_the_same);

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
    store.act(&analyst(1), &Act::SetState { incident: Box::new(closed) }).await.expect("done");
    store.act(&analyst(2), &Act::Note { incident: one.id, text: "beside the picture".into() }).await.expect("done");
    store.act(&analyst(3), &Act::Merge { into: Box::new(one.clone()), from: two.id }).await.expect("done");
    record(store, 10..20, 0..0).await;
    let detections = vec![detection(3).facts.id, detection(5).facts.id];
    let split = Act::Split { from: Box::new(one.clone()), into: Box::new(incident(3)), detections };
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
