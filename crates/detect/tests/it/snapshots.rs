//! What correlations remember, written and read again.

use std::sync::Arc;

use cresset_detect::{Detector, DropReason, Dropped, SnapshotError};
use cresset_event::{EventBuilder, FieldNames};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use crate::{Given, compile, event, ready, show};

/// A correlation of each kind, and one that builds on another.
const RULES: &str = "\
title: X
name: x
logsource: {product: linux}
detection: {s: {e: x}, condition: s}
---
title: Y
id: 00000000-0000-4000-8000-00000000000f
name: y
logsource: {product: linux}
detection: {s: {e: y}, condition: s}
---
title: Count
name: count
correlation: {type: event_count, rules: [x], group-by: [u], timespan: 1m, condition: {gte: 3}}
---
title: Values
name: values
correlation: {type: value_count, rules: [x, y], timespan: 1m, condition: {field: u, gte: 3}}
---
title: Order
name: order
correlation: {type: temporal_ordered, rules: [x, y], group-by: [u, n], timespan: 1m}
---
title: Any
name: any
correlation: {type: temporal, rules: [x, y], group-by: [u], timespan: 1m}
---
title: Sum
name: sum
correlation: {type: value_sum, rules: [x], group-by: [u], timespan: 1m, condition: {field: n, gte: 5}}
---
title: Median
correlation: {type: value_median, rules: [y], timespan: 1m, condition: {field: n, gt: 1}}
---
title: Chained
name: chained
correlation: {type: temporal_ordered, rules: [count, y], group-by: [u], timespan: 5m}
";

/// Events in runs of the program, with a snapshot between each run and the next. A run may have rules of its own.
#[derive(Default)]
struct Runs {
    found: Vec<String>,
    snapshot: Option<Vec<u8>>,
    dropped: Vec<Dropped>,
    restored: (usize, usize),
}

impl Runs {
    fn run(&mut self, rules: &str, events: &[Given<'_>]) {
        let (mut builder, mut detector) = ready(rules, Arc::default());
        if let Some(snapshot) = &self.snapshot {
            let restored = detector.restore(snapshot).expect("a snapshot");
            self.dropped = restored.dropped;
            self.restored = (restored.groups, restored.events);
        }
        self.found.extend(told(&mut builder, &mut detector, events));
        self.snapshot = Some(detector.snapshot().bytes);
    }
}

fn told(builder: &mut EventBuilder, detector: &mut Detector, events: &[Given<'_>]) -> Vec<String> {
    let mut found = Vec::new();
    for given in events {
        detector.detect(&event(builder, *given), |detection| found.push(show(&detection)));
    }
    found
}

/// A snapshot of a few events of each correlation.
fn snapshot() -> Vec<u8> {
    let mut runs = Runs::default();
    runs.run(RULES, &[(1, "e=x;u=a;n=1"), (2, "e=x;u=a;n=1"), (3, "e=y;u=b;n=1"), (4, "e=x;u=\u{202e}\"b\n;n=0")]);
    runs.snapshot.expect("a snapshot")
}

/// The same lines under a first line that vouches for them.
fn signed(lines: &str) -> Vec<u8> {
    let digest: String = Sha256::digest(lines).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("cresset-correlations 1 {digest}\n{lines}").into_bytes()
}

fn restore(bytes: &[u8]) -> Result<(), SnapshotError> {
    let names = Arc::new(FieldNames::new());
    Detector::new(Arc::new(compile(RULES, &names)), Arc::default()).restore(bytes).map(drop)
}

#[test]
fn a_window_stays_open_over_a_restart() {
    let mut runs = Runs::default();
    runs.run(RULES, &[(1, "e=x;u=a;n=1"), (2, "e=x;u=a;n=1")]);
    assert!(!runs.found.iter().any(|found| found.starts_with("Count")));
    runs.run(RULES, &[(3, "e=x;u=a;n=1")]);
    assert_eq!(runs.found.last().map(String::as_str), Some("Count u=a 3 over 3"));
    assert!(runs.dropped.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 64 } else { 512 }))]

    /// Invariant 1, over streams in any order and as many cuts as there may be.
    #[test]
    fn runs_with_snapshots_between_them_find_what_one_run_finds(
        events in proptest::collection::vec((0..400_i64, 0..2_usize, 0..4_usize, -2..4_i64), 1..60),
        cuts in proptest::collection::vec(0..60_usize, 0..4),
    ) {
        let texts: Vec<String> =
            events.iter().map(|(_, rule, user, n)| format!("e={};u={};n={n}", ["x", "y"][*rule], user)).collect();
        let events: Vec<Given<'_>> = events.iter().zip(&texts).map(|(event, text)| (event.0, text.as_str())).collect();
        let mut whole = Runs::default();
        whole.run(RULES, &events);

        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(events.len())).collect();
        cuts.sort_unstable();
        cuts.push(events.len());
        let (mut parts, mut from) = (Runs::default(), 0);
        for to in cuts {
            parts.run(RULES, &events[from..to]);
            prop_assert!(parts.dropped.is_empty());
            from = to;
        }
        prop_assert_eq!(&parts.found, &whole.found);
        prop_assert_eq!(parts.snapshot, whole.snapshot);
    }

    /// Any line, signed: an error or a memory within its bounds, and no panic.
    #[test]
    fn hostile_lines_do_no_harm(
        rule in 0..9_usize,
        values in proptest::collection::vec(".{0,3}", 0..3),
        entries in proptest::collection::vec((any::<i64>(), 0..4_usize, any::<u64>()), 0..4),
        spent in proptest::collection::vec((any::<i64>(), any::<i64>()), 0..3),
    ) {
        let rules: String = String::from_utf8(snapshot()).expect("text").lines().filter(|line| line.contains("digest"))
            .map(|line| format!("{line}\n")).collect();
        let group = serde_json::json!({"group": {"rule": rule, "values": values, "entries": entries, "spent": spent}});
        let (mut builder, mut detector) = ready(RULES, Arc::default());
        let _ = detector.restore(&signed(&format!("{rules}{group}\n")));
        told(&mut builder, &mut detector, &[(1, "e=x;u=a;n=1"), (2, "e=y;u=a;n=1"), (i64::MAX / 2_000_000_000, "e=x;u=a")]);
    }
}

/// Invariant 2.
#[test]
fn damage_in_any_byte_is_told_and_nothing_is_restored() {
    let whole = snapshot();
    assert!(restore(&whole).is_ok());
    let (mut builder, mut detector) = ready(RULES, Arc::default());
    told(&mut builder, &mut detector, &[(1, "e=x;u=z;n=1")]);
    let before = detector.snapshot();
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << bit;
            assert!(detector.restore(&damaged).is_err(), "byte {at}, bit {bit}");
        }
        assert!(detector.restore(&whole[..at]).is_err(), "the first {at} bytes");
    }
    assert!(detector.restore(&[whole.as_slice(), b"\n"].concat()).is_err());
    assert_eq!(detector.snapshot(), before);
}

#[test]
fn what_cannot_be_restored_says_why() {
    let check = |bytes: &[u8], reason: &str| {
        let error = restore(bytes).expect_err("an error").to_string();
        assert!(error.contains(reason), "{error}");
    };
    check(b"", "not a snapshot");
    check(b"title: a rule\n", "not a snapshot");
    let later = String::from_utf8(snapshot()).expect("text").replacen("correlations 1 ", "correlations 12 ", 1);
    check(later.as_bytes(), "a snapshot of version 12; version 1 is read");
    check(&signed("{\"rule\":{}}\n"), "line 2 of the snapshot is not what is written there");

    let whole = String::from_utf8(snapshot()).expect("text");
    let (_, lines) = whole.split_once('\n').expect("a first line");
    let rule = lines.lines().find(|line| line.contains("\"title\":\"Order\"")).expect("the rule");
    let group = |group: &str| signed(&format!("{rule}\n{{\"group\":{group}}}\n"));
    let fine = r#"{"rule":0,"values":["a","1"],"entries":[[1,0,0],[1,1,0]],"spent":[[5,6]]}"#;
    assert!(restore(&group(fine)).is_ok());
    let instead = |old: &str, new: &str, reason: &str| check(&group(&fine.replace(old, new)), reason);
    instead("\"rule\":0", "\"rule\":1", "a group of no rule");
    instead("[\"a\",\"1\"]", "[\"a\"]", "does not group by");
    instead("\"a\"", &format!("{:?}", "a".repeat(4096)), "does not group by");
    instead("\"a\"", &format!("{:?}", "a".repeat(1 << 20)), "longer than any");
    instead("[1,0,0],[1,1,0]", "[1,1,0],[1,0,0]", "out of order");
    instead("[1,1,0]", "[1,2,0]", "does not list");
    instead("[1,1,0]", "[1,1,7]", "does not keep");
    instead("[[1,0,0],[1,1,0]]", &format!("[{}[1,1,0]]", "[1,0,0],".repeat(4096)), "more than is remembered");
    instead("[[5,6]]", "[[6,5]]", "ends before it begins");
    instead("[[5,6]]", &format!("[{}[5,6]]", "[5,6],".repeat(64)), "more than is remembered");
    check(&signed(&format!("{rule}\n{{\"group\":{fine}}}\n{{\"group\":{fine}}}\n")), "twice");
}

/// Invariant 3, over all groups together.
#[test]
fn more_groups_and_events_than_are_remembered_are_refused() {
    let whole = String::from_utf8(snapshot()).expect("text");
    let rule = whole.lines().find(|line| line.contains("\"title\":\"Count\"")).expect("the rule");
    let group = |number: usize, entries: &str| {
        format!("{{\"group\":{{\"rule\":0,\"values\":[\"{number}\"],\"entries\":[{entries}],\"spent\":[]}}}}\n")
    };
    let check = |groups: String| {
        let error = restore(&signed(&format!("{rule}\n{groups}"))).expect_err("an error");
        assert!(error.to_string().contains("more than is remembered"), "{error}");
    };
    check((0..=100_000).map(|number| group(number, "[1,0,0]")).collect());
    let full = format!("{}[1,0,0]", "[1,0,0],".repeat(4095));
    check((0..=2_000_000 / 4096).map(|number| group(number, &full)).collect());
}

#[test]
fn rules_that_changed_lose_their_groups_and_others_keep_them() {
    let first = [(1, "e=x;u=a;n=1"), (2, "e=y;u=a;n=1")];
    let check = |rules: &str, expected: &[(&str, DropReason)]| {
        let mut runs = Runs::default();
        runs.run(RULES, &first);
        runs.run(rules, &[]);
        let mut dropped: Vec<_> = runs.dropped.iter().map(|dropped| (dropped.title.as_str(), dropped.reason)).collect();
        dropped.sort_by_key(|(title, _)| *title);
        assert_eq!(dropped, expected);
        assert!(runs.dropped.iter().all(|dropped| dropped.groups > 0));
    };
    check(RULES, &[]);
    // Words for people are not what is counted; nor is the order of the rules.
    check(&RULES.replace("title: X\n", "title: Other\nlevel: high\n"), &[]);
    check(&RULES.replace("title: Count\n", "title: Other\nlevel: low\ndescription: d\n"), &[]);
    let mut documents: Vec<&str> = RULES.split("---\n").collect();
    documents.reverse();
    check(&documents.join("---\n"), &[]);
    // The correlation itself, and what builds on it.
    let changed = DropReason::Changed;
    check(&RULES.replace("condition: {gte: 3}", "condition: {gte: 2}"), &[("Chained", changed), ("Count", changed)]);
    check(&RULES.replace("group-by: [u, n]", "group-by: [n, u]"), &[("Order", changed)]);
    check(&RULES.replace("type: temporal,", "type: temporal_ordered,"), &[("Any", changed)]);
    // A rule that it counts, and a filter on that.
    let of_y = ["Any", "Chained", "Median", "Order", "Values"].map(|title| (title, changed));
    check(&RULES.replace("{e: y}", "{e: [y, z]}"), &of_y);
    let filter = "---\ntitle: F\nlogsource: {product: linux}\nfilter: {rules: [y], f: {u: c}, condition: not f}\n";
    check(&format!("{RULES}{filter}"), &of_y);
    // One that is not there any more.
    let without: Vec<&str> = RULES.split("---\n").filter(|rule| !rule.contains("title: Sum")).collect();
    check(&without.join("---\n"), &[("Sum", DropReason::Gone)]);
}

#[test]
fn a_chained_correlation_changes_with_what_it_builds_on() {
    let mut runs = Runs::default();
    runs.run(RULES, &[(1, "e=x;u=a"), (2, "e=x;u=a"), (3, "e=x;u=a")]);
    runs.run(&RULES.replace("condition: {gte: 3}", "condition: {gte: 4}"), &[(4, "e=y;u=a")]);
    assert!(runs.dropped.iter().any(|dropped| dropped.title == "Chained"), "{:?}", runs.dropped);
    assert!(!runs.found.iter().any(|found| found.starts_with("Chained")));
}

#[test]
fn a_definition_that_stands_twice_keeps_two_memories() {
    let twice = format!(
        "{RULES}---\ntitle: Again\nname: count\ncorrelation: {{type: event_count, rules: [x], group-by: [u], timespan: 1m, condition: {{gte: 3}}}}\n"
    );
    let mut runs = Runs::default();
    runs.run(&twice, &[(1, "e=x;u=a"), (2, "e=x;u=a")]);
    runs.run(&twice, &[(3, "e=x;u=a")]);
    assert_eq!(runs.found.iter().filter(|found| found.ends_with("u=a 3 over 3")).count(), 2, "{:?}", runs.found);
}
