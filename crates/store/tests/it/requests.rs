//! A request that is sent again is answered, and not done again.

use cresset_store::{Act, Answer, Request, StoreError};

use crate::{By, Place, analyst, at, both, incident, record};

both!(
    a_request_that_comes_again_is_answered_as_before,
    two_at_once_are_done_once,
    an_act_that_fails_leaves_no_answer,
    answers_are_kept_for_a_day,
);

const DAY: i64 = 24 * 3600;

fn request(key: &str, digest: &str) -> Request {
    Request { key: key.into(), digest: digest.into() }
}

fn answer(body: &str) -> Answer {
    Answer { status: 201, body: body.into() }
}

fn note() -> Act {
    Act::Note { incident: incident(1).id, text: "once".into() }
}

async fn a_request_that_comes_again_is_answered_as_before(place: Place) {
    let store = place.open().await;
    record(&store, 0..0, 1..2).await;
    let (by, asked) = (analyst(0), request("k1", "d1"));
    assert_eq!(store.answer_to(&by, &asked).await.expect("read"), None);
    let first = store.act_once(&by, &note(), &asked, |acted| answer(&acted.seq.to_string())).await.expect("done");
    let again = store.act_once(&analyst(5), &note(), &asked, |_| answer("again")).await.expect("answered");
    assert_eq!((&again, again.status), (&first, 201));
    assert_eq!(store.answer_to(&by, &asked).await.expect("read"), Some(first.clone()));
    assert_eq!(store.save_answer(&by, &asked, answer("late")).await.expect("answered"), first);
    assert_eq!(store.incident(incident(1).id).await.expect("there").counts.notes, 1);
    // Another request with the same key is told, another person's key is another.
    let other = request("k1", "d2");
    assert!(matches!(store.answer_to(&by, &other).await, Err(StoreError::KeyReused { .. })));
    let refused = store.act_once(&by, &note(), &other, |_| answer("other")).await;
    assert!(matches!(refused, Err(StoreError::KeyReused { .. })));
    let somebody = By { actor: "token-bob".into(), at: at(0) };
    assert_eq!(store.answer_to(&somebody, &other).await.expect("read"), None);
}

async fn two_at_once_are_done_once(place: Place) {
    let store = place.open().await;
    record(&store, 0..0, 1..2).await;
    let tasks: Vec<_> = (0..8)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                let asked = request("k1", "d1");
                store
                    .act_once(&analyst(number), &note(), &asked, |_| answer(&number.to_string()))
                    .await
                    .expect("answered")
            })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.expect("a task"));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(store.incident(incident(1).id).await.expect("there").counts.notes, 1);
}

async fn an_act_that_fails_leaves_no_answer(place: Place) {
    let store = place.open().await;
    let asked = request("k1", "d1");
    let failed = store.act_once(&analyst(0), &note(), &asked, |_| answer("done")).await;
    assert!(matches!(failed, Err(StoreError::NotFound { .. })));
    assert_eq!(store.answer_to(&analyst(0), &asked).await.expect("read"), None);
}

async fn answers_are_kept_for_a_day(place: Place) {
    let store = place.open().await;
    let asked = request("k1", "d1");
    store.save_answer(&analyst(0), &asked, answer("old")).await.expect("kept");
    assert!(store.answer_to(&analyst(DAY - 1), &asked).await.expect("read").is_some());
    assert!(store.answer_to(&analyst(DAY), &asked).await.expect("read").is_none());
    let other = request("k1", "d2");
    let kept = store.save_answer(&analyst(DAY), &other, answer("new")).await.expect("kept");
    assert_eq!(kept, answer("new"));
}
