//! What is left out, by whose decision, and until when.

use cresset_event::Timestamp;
use cresset_picture::{Exclusion, LeftOutBy, Silence, Tuning, TuningError};

use crate::{MINUTE_NANOS, found};

fn at(minute: i64) -> Timestamp {
    Timestamp::from_nanos(minute * MINUTE_NANOS)
}

fn exclusion(id: &str) -> Exclusion {
    Exclusion {
        id: id.into(),
        cause: None,
        host: None,
        user: None,
        process: None,
        fields: Vec::new(),
        owner: "soc".into(),
        reason: "backup".into(),
        expires: at(100),
    }
}

fn silence(cause: &str) -> Silence {
    Silence { cause: cause.into(), until: at(10), reason: "being mended".into(), owner: "soc".into() }
}

/// What leaves a detection of these words out at a minute, by its id or cause.
fn left_out(tuning: &Tuning, words: &str, minute: i64) -> Option<String> {
    tuning.applies(&found(1, 0, words), at(minute)).map(|by| match by {
        LeftOutBy::Exclusion(exclusion) => exclusion.id.clone(),
        LeftOutBy::Silence(silence) => silence.cause.clone(),
    })
}

#[test]
fn all_conditions_of_an_exclusion_must_hold() {
    let whole = Exclusion {
        cause: Some("rule".into()),
        host: Some("BACKUP01".into()),
        user: Some(r"CORP\svc".into()),
        process: Some(r"C:\backup.exe".into()),
        fields: vec![("Path".into(), "D:\\".into())],
        ..exclusion("e")
    };
    let tuning = Tuning::new(vec![whole], Vec::new()).expect("it has conditions");
    let fitting = r"cause=rule host=backup01 user=corp\SVC process=c:\BACKUP.exe Path=d:\";
    assert_eq!(left_out(&tuning, fitting, 0).as_deref(), Some("e"));
    for word in fitting.split(' ') {
        let (name, _) = word.split_once('=').expect("name=value");
        assert_eq!(left_out(&tuning, &fitting.replace(word, &format!("{name}=other")), 0), None, "{name}");
        if name != "cause" {
            assert_eq!(left_out(&tuning, &fitting.replace(word, ""), 0), None, "without {name}");
        }
    }
}

#[test]
fn a_condition_holds_for_the_whole_value_and_no_part_of_it() {
    let tuning =
        Tuning::new(vec![Exclusion { host: Some("ws01".into()), ..exclusion("e") }], Vec::new()).expect("good");
    assert_eq!(left_out(&tuning, "host=ws01.corp.example", 0), None);
    assert_eq!(left_out(&tuning, "host=WS01", 0).as_deref(), Some("e"));
}

#[test]
fn both_end_by_themselves() {
    let any = Exclusion { user: Some("x".into()), ..exclusion("e") };
    let tuning = Tuning::new(vec![any], vec![silence("rule")]).expect("good");
    assert_eq!(left_out(&tuning, "user=x", 9).as_deref(), Some("rule"), "the silence comes first");
    assert_eq!(left_out(&tuning, "user=x", 10).as_deref(), Some("e"));
    assert_eq!(left_out(&tuning, "user=x", 99).as_deref(), Some("e"));
    assert_eq!(left_out(&tuning, "user=x", 100), None);
    assert_eq!(left_out(&tuning, "user=x cause=other", 9).as_deref(), Some("e"));
    assert_eq!(left_out(&tuning, "cause=other", 9), None);
}

#[test]
fn what_would_leave_out_everything_or_has_nobody_to_answer_for_it_is_refused() {
    let refused = |exclusion| Tuning::new(vec![exclusion], Vec::new()).map(drop);
    assert_eq!(refused(exclusion("e")), Err(TuningError::NoCondition("e".into())));
    let host = || Exclusion { host: Some("a".into()), ..exclusion("e") };
    assert_eq!(refused(Exclusion { owner: " ".into(), ..host() }), Err(TuningError::NotAnswered("e".into())));
    assert_eq!(refused(Exclusion { reason: String::new(), ..host() }), Err(TuningError::NotAnswered("e".into())));
    let unanswered = Silence { owner: String::new(), ..silence("rule") };
    assert_eq!(Tuning::new(Vec::new(), vec![unanswered]).map(drop), Err(TuningError::NotAnswered("rule".into())));
    assert_eq!(refused(host()), Ok(()));
}

#[test]
fn they_are_kept_as_json() {
    let one = Exclusion { host: Some("a".into()), ..exclusion("e") };
    let json = serde_json::to_string(&one).expect("an exclusion is JSON");
    assert_eq!(serde_json::from_str::<Exclusion>(&json).expect("what was written"), one);
    assert!(
        serde_json::from_str::<Exclusion>(&json.replace("host", "hosts")).is_err(),
        "a condition that is mistyped is no condition"
    );
}
