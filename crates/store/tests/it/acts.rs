//! What people do is done, told in the incident's history, and in the audit log: all three or none.

use cresset_picture::{Incident, IncidentId, Link, LinkKind, State, Verdict};
use cresset_store::{Act, AuditCheck, Batch, By, DetectionFilter, NewTuning, Store, StoreError, TuningKind};

use crate::tokens::new_token;
use crate::{Place, analyst, at, both, detection, incident, record};

both!(
    each_act_is_done_and_told,
    who_did_something_is_named,
    a_task_is_reopened_as_often_as_it_was_done,
    incidents_are_merged_and_split_by_hand,
    an_act_that_does_not_fit_leaves_nothing,
    exclusions_silences_and_assets_are_kept,
    the_audit_log_tells_no_value,
);

/// Returns what the audit log tells, the first row first: acts and objects.
async fn told(store: &Store) -> Vec<(String, String)> {
    let page = store.audit(None, 500).await.expect("read");
    page.rows.into_iter().rev().map(|row| (row.act, row.object)).collect()
}

async fn each_act_is_done_and_told(place: Place) {
    let store = place.open().await;
    record(&store, 0..0, 1..2).await;
    let mut one = incident(1);
    let id = one.id;
    let note = store.act(&analyst(1), &Act::Note { incident: id, text: "looks real".into() }).await.expect("done");
    let task =
        store.act(&analyst(2), &Act::AddTask { incident: id, title: "call the harbour".into() }).await.expect("done");
    store.act(&analyst(3), &Act::FinishTask { task: task.seq }).await.expect("done");
    store.act(&analyst(4), &Act::AddTask { incident: id, title: "image web1".into() }).await.expect("done");
    let evidence = Act::AddEvidence { incident: id, sha256: [7; 32], name: "web1.img".into(), bytes: 5 };
    store.act(&analyst(5), &evidence).await.expect("done");
    one.state = State::Closed(Verdict::TruePositive);
    store.act(&analyst(6), &Act::SetState { incident: Box::new(one.clone()), exclude: None }).await.expect("done");
    store.act(&analyst(7), &Act::Assign { incident: id, owner: None }).await.expect("done");
    let page = store.incident(id).await.expect("there");
    assert_eq!((page.row.state, page.row.owner, page.incident), (one.state, None, one));
    assert_eq!(
        (page.notes[0].seq, &*page.notes[0].text, &*page.notes[0].author),
        (note.seq, "looks real", "token-ana")
    );
    assert_eq!(page.tasks[0].done, Some((at(3), "token-ana".into())));
    assert_eq!(page.tasks[1].done, None);
    assert_eq!((&*page.evidence[0].sha256, page.evidence[0].bytes), (&*"07".repeat(32), 5));
    let counts = page.counts;
    assert_eq!((counts.notes, counts.tasks, counts.tasks_open, counts.evidence, counts.history), (1, 2, 1, 1, 7));
    let acts = ["note", "add_task", "finish_task", "add_task", "add_evidence", "set_state", "assign"];
    assert_eq!(page.history.iter().map(|row| &*row.act).collect::<Vec<_>>(), acts);
    assert_eq!(page.history.iter().map(|row| row.at).collect::<Vec<_>>(), (1..=7).map(at).collect::<Vec<_>>());
    let log: Vec<_> = acts.iter().map(|act| ((*act).to_owned(), id.to_string())).collect();
    assert_eq!(told(&store).await, log);
}

async fn who_did_something_is_named(place: Place) {
    let store = place.open().await;
    record(&store, 0..0, 1..2).await;
    let id = incident(1).id;
    let issued = store.issue_token(&analyst(0), new_token(None)).await.expect("issued");
    let by = By { actor: issued.token.id.clone(), at: at(1) };
    for by in [&by, &by, &analyst(2)] {
        store.act(by, &Act::Note { incident: id, text: "seen".into() }).await.expect("done");
    }
    let page = store.incident(id).await.expect("there");
    assert_eq!(page.names.into_iter().collect::<Vec<_>>(), [(issued.token.id, issued.token.issued.name)]);
}

async fn a_task_is_reopened_as_often_as_it_was_done(place: Place) {
    let store = place.open().await;
    record(&store, 0..0, 1..2).await;
    let add = Act::AddTask { incident: incident(1).id, title: "call the harbour".into() };
    let task = store.act(&analyst(1), &add).await.expect("done").seq;
    let (finish, reopen) = (Act::FinishTask { task }, Act::ReopenTask { task });
    for begin in [2, 10] {
        let refused = store.act(&analyst(begin), &reopen).await;
        assert!(matches!(refused, Err(StoreError::Conflict { .. })), "it is not done: {refused:?}");
        store.act(&analyst(begin + 1), &finish).await.expect("done");
        let refused = store.act(&analyst(begin + 2), &finish).await;
        assert!(matches!(refused, Err(StoreError::Conflict { .. })), "it is done already: {refused:?}");
        store.act(&analyst(begin + 3), &reopen).await.expect("done");
        let page = store.incident(incident(1).id).await.expect("there");
        assert_eq!((&page.tasks[0].done, page.counts.tasks_open), (&None, 1));
    }
    let acts: Vec<_> = told(&store).await.into_iter().map(|(act, _)| act).collect();
    assert_eq!(acts, ["add_task", "finish_task", "reopen_task", "finish_task", "reopen_task"]);
}

fn merge(into: Box<Incident>, from: IncidentId) -> Act {
    let link = Link { kind: LinkKind::Hand, value: String::new(), gap_nanos: 5, to: detection(1).facts.id };
    Act::Merge { into, from, link }
}

async fn incidents_are_merged_and_split_by_hand(place: Place) {
    let store = place.open().await;
    let [one, two] = [incident(1), incident(2)];
    let mut detections: Vec<_> = (1..6).map(detection).collect();
    detections.iter_mut().for_each(|new| new.incident = Some(two.id));
    let batch = Batch { detections: detections.clone(), incidents: vec![one.clone(), two.clone()], ..Batch::default() };
    store.record(&batch).await.expect("recorded");
    store.act(&analyst(1), &merge(Box::new(one.clone()), two.id)).await.expect("done");
    assert_eq!(store.incident(one.id).await.expect("there").counts.detections, 5);
    let leaving: Vec<_> = detections[..2].iter().map(|new| new.facts.id).collect();
    let split = Act::Split {
        from: Box::new(one.clone()),
        into: Box::new(incident(3)),
        detections: leaving.clone(),
        regained: vec![],
    };
    store.act(&analyst(2), &split).await.expect("done");
    let filter = DetectionFilter { incident: Some(incident(3).id), ..DetectionFilter::default() };
    let page = store.detections(&filter, None, 50).await.expect("read");
    let mut moved: Vec<_> = page.rows.iter().map(|row| row.id).collect();
    moved.sort();
    let mut expected = leaving;
    expected.sort();
    assert_eq!(moved, expected);
    let acts: Vec<_> = told(&store).await.into_iter().map(|(act, _)| act).collect();
    assert_eq!(acts, ["merge", "split"]);
}

async fn an_act_that_does_not_fit_leaves_nothing(place: Place) {
    let store = place.open().await;
    let mut inside = detection(1);
    inside.incident = Some(incident(1).id);
    let batch =
        Batch { detections: vec![inside, detection(2)], incidents: vec![incident(1), incident(2)], ..Batch::default() };
    store.record(&batch).await.expect("recorded");
    let one = Box::new(incident(1));
    store.act(&analyst(1), &merge(one.clone(), incident(2).id)).await.expect("done");
    let before = (store.audit_head().await.expect("read"), store.incident(one.id).await.expect("there"));
    let ids = [1, 2].map(|number| detection(number).facts.id).to_vec();
    let misfits = [
        Act::Note { incident: incident(9).id, text: String::new() },
        Act::Note { incident: one.id, text: "x".repeat(70_000) },
        Act::FinishTask { task: 999 },
        Act::ReopenTask { task: 999 },
        Act::SetState { incident: Box::new(incident(9)), exclude: None },
        Act::SetState { incident: Box::new(incident(2)), exclude: None },
        merge(one.clone(), one.id),
        merge(one.clone(), incident(2).id),
        // One of the two is in no incident.
        Act::Split { from: one.clone(), into: Box::new(incident(3)), detections: ids, regained: vec![] },
        Act::RemoveTuning { kind: TuningKind::Silence, id: "none".into() },
    ];
    for act in misfits {
        let refused = store.act(&analyst(2), &act).await.expect_err("it does not fit");
        let kinds =
            matches!(refused, StoreError::NotFound { .. } | StoreError::Conflict { .. } | StoreError::TooLong { .. });
        assert!(kinds, "{refused:?}");
    }
    assert!(store.incident(incident(3).id).await.is_err());
    assert_eq!((store.audit_head().await.expect("read"), store.incident(one.id).await.expect("there")), before);
}

fn tuning(kind: TuningKind, id: &str) -> NewTuning {
    NewTuning { kind, id: id.into(), definition: r#"{"host":"web1"}"#.into(), until: Some(at(60)) }
}

async fn exclusions_silences_and_assets_are_kept(place: Place) {
    let store = place.open().await;
    record(&store, 0..0, 1..2).await;
    let (exclusion, silence) = (tuning(TuningKind::Exclusion, "e1"), tuning(TuningKind::Silence, "s1"));
    for new in [&exclusion, &silence] {
        store.act(&analyst(1), &Act::AddTuning(new.clone())).await.expect("done");
    }
    let again = store.act(&analyst(2), &Act::AddTuning(exclusion.clone())).await;
    assert!(matches!(again, Err(StoreError::Conflict { .. })));
    let remove = Act::RemoveTuning { kind: TuningKind::Exclusion, id: "e1".into() };
    store.act(&analyst(3), &remove).await.expect("done");
    assert!(matches!(store.act(&analyst(4), &remove).await, Err(StoreError::NotFound { .. })));
    let kept = store.tunings().await.expect("read");
    assert_eq!(kept.iter().map(|row| &row.tuning).collect::<Vec<_>>(), [&exclusion, &silence]);
    assert_eq!(kept[0].removed, Some((at(3), "token-ana".into())));
    assert_eq!(kept[1].removed, None);
    assert_eq!(store.assets().await.expect("read"), None);
    let mut vital = incident(1);
    vital.priority.score = 100;
    for (seconds, text) in [(5, "name,value"), (6, "name,value\nweb1,vital")] {
        let changed = vec![vital.clone()];
        let act = Act::SetAssets { form: "csv".into(), text: text.into(), changed };
        store.act(&analyst(seconds), &act).await.expect("done");
    }
    let assets = store.assets().await.expect("read").expect("some");
    assert_eq!((assets.at, &*assets.form, &*assets.text), (at(6), "csv", "name,value\nweb1,vital"));
    assert_eq!(store.incident(vital.id).await.expect("there").row.score, 100);
    let acts: Vec<_> = told(&store).await.into_iter().map(|(act, _)| act).collect();
    assert_eq!(acts, ["add_exclusion", "add_silence", "remove_exclusion", "set_assets", "set_assets"]);
}

async fn the_audit_log_tells_no_value(place: Place) {
    let store = place.open().await;
    record(&store, 0..0, 1..2).await;
    let id = incident(1).id;
    let acts = [
        Act::Note { incident: id, text: "hush".into() },
        Act::Assign { incident: id, owner: Some("hush".into()) },
        Act::AddTask { incident: id, title: "hush".into() },
        Act::AddEvidence { incident: id, sha256: [1; 32], name: "hush".into(), bytes: 4 },
        Act::AddTuning(NewTuning { definition: "hush".into(), ..tuning(TuningKind::Silence, "s1") }),
        Act::SetAssets { form: "csv".into(), text: "hush".into(), changed: vec![] },
    ];
    for act in &acts {
        store.act(&analyst(1), act).await.expect("done");
    }
    let rows = store.audit(None, 50).await.expect("read").rows;
    assert_eq!(rows.len(), acts.len());
    let digest = store.audit_digest("hush");
    for row in rows {
        assert!(!format!("{row:?}").contains("hush"), "{row:?}");
        // Whoever has the store can look a value up.
        assert!(row.detail.contains(&digest), "{row:?}");
    }
    assert!(matches!(store.audit_verify(None).await.expect("read"), AuditCheck::Whole(_)));
}
