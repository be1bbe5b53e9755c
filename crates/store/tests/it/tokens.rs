//! Tokens let in whoever holds them while they hold, and nobody else.

use cresset_event::Timestamp;
use cresset_store::{NewToken, Role, StoreError};

use crate::{Place, analyst, at, both};

both!(
    a_token_lets_in_whoever_has_its_secret,
    a_token_ends,
    last_used_is_written_once_a_minute,
    the_first_administrator_comes_in_once,
    whoever_owns_the_folder_is_no_first_administrator,
    the_last_that_can_issue_others_stays,
    all_are_taken_back_and_the_first_comes_in_again,
    secrets_are_not_kept,
);

pub(crate) fn new_token(expires: Option<Timestamp>) -> NewToken {
    NewToken {
        name: "Ana's laptop".into(),
        role: Role::WatchOfficer,
        scopes: vec!["incidents".into(), "detections:read".into()],
        member: Some("NL".into()),
        nationality: Some("NLD".into()),
        clearances: vec!["NS".into()],
        expires,
    }
}

async fn a_token_lets_in_whoever_has_its_secret(place: Place) {
    let store = place.open().await;
    let issued = store.issue_token(&analyst(0), new_token(None)).await.expect("issued");
    let other = store.issue_token(&analyst(0), new_token(None)).await.expect("issued");
    let presented = issued.secret.reveal();
    let token = store.token_of(presented, at(1)).await.expect("read").expect("it holds");
    assert_eq!(token, issued.token);
    assert_eq!((token.issued, &*token.created_by), (new_token(None), "token-ana"));
    let its_secret = presented.rsplit('_').next().expect("a secret");
    assert_eq!(its_secret.len(), 64);
    let last = if presented.ends_with('0') { "1" } else { "0" };
    let wrong = [
        format!("{}{last}", &presented[..presented.len() - 1]),
        presented[..presented.len() - 1].to_owned(),
        format!("{presented}0"),
        presented.to_uppercase(),
        its_secret.to_owned(),
        format!("cresset_{}_{its_secret}", other.token.id),
        format!("cresset_{}_", issued.token.id),
        "cresset__".into(),
        String::new(),
    ];
    for presented in wrong {
        assert_eq!(store.token_of(&presented, at(1)).await.expect("read"), None, "{presented}");
    }
}

async fn a_token_ends(place: Place) {
    let store = place.open().await;
    let issued = store.issue_token(&analyst(0), new_token(Some(at(100)))).await.expect("issued");
    let lasts = |seconds| {
        let (store, presented) = (store.clone(), issued.secret.reveal().to_owned());
        async move { store.token_of(&presented, at(seconds)).await.expect("read").is_some() }
    };
    assert!(lasts(99).await);
    assert!(!lasts(100).await);
    store.revoke_token(&analyst(50), &issued.token.id).await.expect("revoked");
    assert!(!lasts(99).await);
    store.revoke_token(&analyst(60), &issued.token.id).await.expect("revoked already");
    assert_eq!(store.tokens().await.expect("read")[0].revoked, Some(at(50)));
    let none = store.revoke_token(&analyst(0), "none").await;
    assert!(matches!(none, Err(StoreError::NotFound { .. })));
    assert_eq!(store.audit_head().await.expect("read").count, 3);
}

async fn last_used_is_written_once_a_minute(place: Place) {
    let store = place.open().await;
    let issued = store.issue_token(&analyst(0), new_token(None)).await.expect("issued");
    for (now, last_used) in [(10, 10), (69, 10), (70, 70), (80, 70)] {
        store.token_of(issued.secret.reveal(), at(now)).await.expect("read").expect("it holds");
        assert_eq!(store.tokens().await.expect("read")[0].last_used, Some(at(last_used)), "{now}");
    }
}

async fn the_first_administrator_comes_in_once(place: Place) {
    let store = place.open().await;
    let first = store.first_run_secret(at(0), at(100)).await.expect("made").expect("the first");
    // Each start has a link of its own, and those before it let nobody in.
    let lost = store.first_run_secret(at(50), at(100)).await.expect("made").expect("another");
    assert!(store.use_first_run(first.reveal(), "root", at(60)).await.expect("read").is_none());
    assert!(store.use_first_run(lost.reveal(), "root", at(100)).await.expect("read").is_none());
    let second = store.first_run_secret(at(100), at(200)).await.expect("made").expect("the second");
    assert_ne!(first, second);
    for wrong in [first.reveal(), lost.reveal(), "cresset_first_", ""] {
        assert!(store.use_first_run(wrong, "root", at(150)).await.expect("read").is_none(), "{wrong}");
    }
    let issued = store.use_first_run(second.reveal(), "root", at(150)).await.expect("read").expect("comes in");
    assert_eq!((issued.token.issued.role, issued.token.issued.clearances.len()), (Role::Administrator, 0));
    assert!(store.token_of(issued.secret.reveal(), at(151)).await.expect("read").is_some());
    assert!(store.use_first_run(second.reveal(), "again", at(151)).await.expect("read").is_none());
    assert!(store.first_run_secret(at(999), at(1999)).await.expect("read").is_none());
    assert_eq!(store.audit_head().await.expect("read").count, 4);
}

async fn secrets_are_not_kept(place: Place) {
    if !place.is_sqlite() {
        return;
    }
    let store = place.open().await;
    let issued = store.issue_token(&analyst(0), new_token(None)).await.expect("issued");
    let first = store.first_run_secret(at(0), at(100)).await.expect("made").expect("the first");
    store.close().await;
    let kept = std::fs::read(place.file()).expect("read");
    for secret in [&issued.secret, &first] {
        let its_secret = secret.reveal().rsplit('_').next().expect("a secret").as_bytes();
        assert!(!kept.windows(its_secret.len()).any(|part| part == its_secret));
        assert!(!format!("{secret:?}").contains(std::str::from_utf8(its_secret).expect("hex")));
    }
}

async fn whoever_owns_the_folder_is_no_first_administrator(place: Place) {
    let store = place.open().await;
    let one = store.renew_local_token(at(0)).await.expect("issued");
    let other = store.renew_local_token(at(10)).await.expect("issued");
    assert_eq!(store.token_of(one.secret.reveal(), at(11)).await.expect("read"), None);
    let token = store.token_of(other.secret.reveal(), at(11)).await.expect("read").expect("it holds");
    assert_eq!(token.issued.role, Role::Administrator);
    assert!(store.first_run_secret(at(12), at(99)).await.expect("made").is_some());
    store.revoke_local_token(at(13)).await.expect("revoked");
    assert_eq!(store.token_of(other.secret.reveal(), at(14)).await.expect("read"), None);
    store.revoke_local_token(at(15)).await.expect("there is none");
    store.audit_restored(&analyst(16), at(3)).await.expect("written");
    let log = store.audit(None, 50).await.expect("read").rows;
    let acts: Vec<&str> = log.iter().rev().map(|row| &*row.act).collect();
    let told = ["issue_token", "revoke_token", "issue_token", "make_first_run_link", "revoke_token", "restore"];
    assert_eq!(acts, told);
    // It says behind which line the log goes on.
    assert!(log[0].detail.contains(&log[1].hash) && log[0].detail.contains("\"rows\":5"), "{}", log[0].detail);
}

async fn the_last_that_can_issue_others_stays(place: Place) {
    let store = place.open().await;
    let local = store.renew_local_token(at(0)).await.expect("issued");
    let administrator = |scopes: &[&str], expires| NewToken {
        role: Role::Administrator,
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        ..new_token(expires)
    };
    let by = analyst(0);
    let issue = |new| store.issue_token(&by, new);
    let first = issue(administrator(&[], None)).await.expect("issued").token.id;
    // None of these can issue another, or not for long.
    for new in [administrator(&["backup"], None), administrator(&[], Some(at(5))), new_token(None)] {
        issue(new).await.expect("issued");
    }
    let refused = store.revoke_token(&analyst(10), &first).await.expect_err("the last");
    assert!(matches!(&refused, StoreError::Conflict { reason } if reason.contains("issue one")), "{refused:?}");
    let second = issue(administrator(&["read", "tokens"], None)).await.expect("issued").token.id;
    store.revoke_token(&analyst(11), &first).await.expect("there is another");
    store.revoke_token(&analyst(12), &first).await.expect("revoked already");
    store.revoke_token(&analyst(13), &second).await.expect_err("the last");
    let owner = cresset_store::By { actor: local.token.id.clone(), at: at(14) };
    store.revoke_token(&owner, &second).await.expect("whoever owns the folder issues another");
}

async fn all_are_taken_back_and_the_first_comes_in_again(place: Place) {
    let store = place.open().await;
    let link = store.first_run_secret(at(0), at(100)).await.expect("made").expect("the first");
    let first = store.use_first_run(link.reveal(), "root", at(1)).await.expect("read").expect("comes in");
    let other = store.issue_token(&analyst(2), new_token(None)).await.expect("issued");
    store.issue_token(&analyst(2), new_token(Some(at(3)))).await.expect("issued");
    assert_eq!(store.revoke_all_tokens(&analyst(4)).await.expect("taken back"), 2, "one holds no more");
    for issued in [&first, &other] {
        assert_eq!(store.token_of(issued.secret.reveal(), at(5)).await.expect("read"), None);
    }
    assert_eq!(store.tokens().await.expect("read").len(), 3, "who they were is known still");
    assert!(store.use_first_run(link.reveal(), "root", at(6)).await.expect("read").is_none());
    let link = store.first_run_secret(at(6), at(100)).await.expect("made").expect("another");
    assert!(store.use_first_run(link.reveal(), "root", at(7)).await.expect("read").is_some());
}
