//! What is recorded is there, once, whole, and as it was.

use cresset_picture::IncidentId;
use cresset_store::{Act, Batch, DetectionFilter, Merge, SourceRow, StoreError};

use crate::{Place, analyst, at, both, detection, incident, record};

both!(
    what_is_recorded_is_read_back,
    a_detection_that_is_there_is_left_as_it_is,
    a_batch_that_does_not_fit_leaves_nothing,
    merged_incidents_are_one,
    the_picture_does_not_touch_what_people_added,
    any_text_is_kept,
    sources_are_kept,
    many_read_while_one_writes,
);

async fn what_is_recorded_is_read_back(place: Place) {
    let store = place.open().await;
    let mut new = detection(1);
    new.incident = Some(incident(1).id);
    let marks = vec![("eve.json".to_owned(), vec![0, 1, 255]), ("auth.log".into(), vec![])];
    let batch = Batch {
        at: at(0),
        detections: vec![new.clone()],
        incidents: vec![incident(1)],
        marks: marks.clone(),
        ..Batch::default()
    };
    let recorded = store.record(&batch).await.expect("recorded");
    assert_eq!((recorded.detections_new, recorded.last_seq), (1, 2));
    let stored = store.detection(new.facts.id).await.expect("there");
    assert_eq!((&stored.facts, &stored.links, &stored.detail), (&new.facts, &new.links, &new.detail));
    let row = &stored.row;
    assert_eq!(
        (row.id, row.time, row.arrived, row.level),
        (new.facts.id, new.facts.time, new.facts.arrived, new.facts.level)
    );
    assert_eq!((&row.title, &row.cause, &*row.kind), (&new.facts.title, &new.facts.cause, "rule"));
    assert_eq!((&row.host, &row.user, &row.process), (&new.facts.host, &new.facts.user, &new.facts.process));
    assert_eq!((row.incident, row.retro, &row.withheld_by), (new.incident, new.retro, &new.withheld_by));
    let page = store.incident(incident(1).id).await.expect("there");
    assert_eq!(page.incident, incident(1));
    assert_eq!((page.row.state, page.row.score), (incident(1).state, incident(1).priority.score));
    assert_eq!(page.counts.detections, 1);
    let sorted: Vec<_> = marks.into_iter().rev().collect();
    assert_eq!(store.marks().await.expect("read"), sorted);
    // Opened again, it is all there still.
    store.close().await;
    assert_eq!(place.open().await.detection(new.facts.id).await.expect("there"), stored);
}

async fn a_detection_that_is_there_is_left_as_it_is(place: Place) {
    let store = place.open().await;
    record(&store, 0..600, 0..0).await;
    let before = store.detection(detection(7).facts.id).await.expect("there");
    let mut again = detection(7);
    again.detail = "{}".into();
    let detections = vec![again, detection(600)];
    let recorded = store.record(&Batch { detections, ..Batch::default() }).await.expect("recorded");
    assert_eq!(recorded.detections_new, 1);
    assert_eq!(store.detection(before.row.id).await.expect("there"), before);
    let asked: Vec<_> = (0..900).rev().map(|number| detection(number).facts.id).collect();
    let known = store.known(&asked).await.expect("read");
    assert!(known.iter().zip((0..900).rev()).all(|(known, number)| *known == (number <= 600)));
}

async fn a_batch_that_does_not_fit_leaves_nothing(place: Place) {
    let store = place.open().await;
    let mut lost = detection(2);
    lost.incident = Some(incident(99).id);
    let marks = vec![("eve.json".to_owned(), vec![1])];
    let batch = Batch { detections: vec![detection(1), lost], incidents: vec![incident(1)], marks, ..Batch::default() };
    assert!(matches!(store.record(&batch).await, Err(StoreError::Conflict { .. })));
    assert!(matches!(store.detection(detection(1).facts.id).await, Err(StoreError::NotFound { .. })));
    assert!(matches!(store.incident(incident(1).id).await, Err(StoreError::NotFound { .. })));
    assert_eq!(store.marks().await.expect("read"), []);
}

fn of_incident(number: u64, id: IncidentId) -> cresset_store::NewDetection {
    cresset_store::NewDetection { incident: Some(id), ..detection(number) }
}

async fn merged_incidents_are_one(place: Place) {
    let store = place.open().await;
    let [one, two, three] = [1, 2, 3].map(|number| incident(number).id);
    let detections = vec![of_incident(1, one), of_incident(2, two), of_incident(3, three)];
    let incidents = vec![incident(1), incident(2), incident(3)];
    store.record(&Batch { detections, incidents, ..Batch::default() }).await.expect("recorded");
    store.act(&analyst(1), &Act::Note { incident: three, text: "seen before".into() }).await.expect("noted");
    // Two go up in each other, and so does one that was never stored.
    let merges = vec![
        Merge { into: two, from: three },
        Merge { into: two, from: incident(4).id },
        Merge { into: one, from: two },
    ];
    let detections = vec![of_incident(4, incident(4).id)];
    let batch = Batch { at: at(9), detections, incidents: vec![incident(1)], merges, ..Batch::default() };
    store.record(&batch).await.expect("recorded");
    let filter = DetectionFilter { incident: Some(one), ..DetectionFilter::default() };
    assert_eq!(store.detections(&filter, None, 50).await.expect("read").rows.len(), 4);
    let page = store.incident(one).await.expect("there");
    assert_eq!((page.merged, page.notes.len(), page.counts.detections), (vec![two, three], 1, 4));
    let acts: Vec<_> = page.history.iter().map(|row| (row.incident, &*row.act, row.actor.as_deref())).collect();
    assert_eq!(acts, [(three, "note", Some("token-ana")), (two, "merge", None), (one, "merge", None)]);
    // What went up is in no list, and what is done to it is done to what it is in now.
    assert_eq!(store.incident(three).await.expect("there").row.merged_into, Some(one));
    let listed = store.incidents(&Default::default(), Default::default(), None, 50).await.expect("read");
    assert_eq!(listed.rows.iter().map(|row| row.id).collect::<Vec<_>>(), [one]);
    let acted = store.act(&analyst(10), &Act::Note { incident: three, text: "late".into() }).await.expect("noted");
    assert_eq!(acted.incident, Some(one));
}

async fn the_picture_does_not_touch_what_people_added(place: Place) {
    let store = place.open().await;
    record(&store, 0..0, 1..2).await;
    let owner = Some("officer".to_owned());
    let assign = Act::Assign { incident: incident(1).id, owner: owner.clone() };
    store.act(&analyst(1), &assign).await.expect("assigned");
    let mut changed = incident(1);
    changed.title = "Worse".into();
    store.record(&Batch { incidents: vec![changed.clone()], ..Batch::default() }).await.expect("recorded");
    let page = store.incident(changed.id).await.expect("there");
    assert_eq!((page.row.owner, &page.row.title, page.incident), (owner, &changed.title, changed.clone()));
}

async fn any_text_is_kept(place: Place) {
    let store = place.open().await;
    let mut new = detection(1);
    let hostile = "a\0b'); drop table detections; -- ? $1 % _ \u{202e}\u{1f525}\r\n";
    new.facts.title = hostile.into();
    new.facts.host = Some(hostile.into());
    let detections = vec![new.clone()];
    store.record(&Batch { detections, ..Batch::default() }).await.expect("recorded");
    let stored = store.detection(new.facts.id).await.expect("there");
    assert_eq!(stored.facts, new.facts);
    assert_eq!(stored.row.host, Some(hostile.replace('\0', "␀")));
    let filter = DetectionFilter { host: Some(hostile.into()), title: Some("DROP Table".into()), ..Default::default() };
    assert_eq!(store.detections(&filter, None, 50).await.expect("read").rows.len(), 1);
}

async fn sources_are_kept(place: Place) {
    let store = place.open().await;
    let source = |name: &str, events| SourceRow {
        name: name.into(),
        kind: "file".into(),
        events,
        bytes: u64::MAX,
        skipped: 1,
        lost: 0,
        last_event: (events > 0).then(|| at(5)),
    };
    store.save_sources(&[source("b", 0), source("a", 4)]).await.expect("saved");
    store.save_sources(&[source("b", 9)]).await.expect("saved");
    let mut expected = [source("a", 4), source("b", 9)];
    // The largest that 64 bits with a sign hold.
    expected.iter_mut().for_each(|source| source.bytes = i64::MAX as u64);
    assert_eq!(store.sources().await.expect("read"), expected);
}

async fn many_read_while_one_writes(place: Place) {
    let store = place.open().await;
    let writer = tokio::spawn({
        let store = store.clone();
        async move {
            for number in (0..2000).step_by(50) {
                record(&store, number..number + 50, number..number + 1).await;
            }
        }
    });
    let readers = (0..4).map(|_| {
        let store = store.clone();
        tokio::spawn(async move {
            let (mut seen, mut last) = (0, 0);
            while seen < 2000 {
                seen = store.replay(0, 10_000).await.expect("read").len();
                // A batch is there whole or not at all, and nothing goes away.
                assert!(seen % 50 == 0 && seen >= last, "{seen} after {last}");
                last = seen;
                store.incidents(&Default::default(), Default::default(), None, 50).await.expect("read");
            }
        })
    });
    let readers: Vec<_> = readers.collect();
    writer.await.expect("the writer");
    // All is there now, so that each of them ends.
    for reader in readers {
        reader.await.expect("a reader");
    }
}
