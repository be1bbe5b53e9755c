//! Every type of correlation, after the examples of the Sigma correlation rules specification, and its invariants.

use proptest::prelude::*;

use std::sync::Arc;

use crate::{ARRIVED_SECONDS, check_detects, detect, event, ready, refused, show};

/// Rules that fit events by their field `e`.
fn base(names: &[&str]) -> String {
    let rule = |name: &&str| {
        format!(
            "title: {name}\nname: {name}\nlogsource: {{product: linux}}\ndetection:\n  s: {{e: {name}}}\n  condition: s\n---\n"
        )
    };
    names.iter().map(rule).collect()
}

fn correlation(kind: &str, rules: &str, rest: &str) -> String {
    format!(
        "title: C\nname: c\ncorrelation:\n  type: {kind}\n  rules: [{rules}]\n  timespan: 1m\n{rest}\nlevel: high\n"
    )
}

fn with(names: &[&str], kind: &str, rest: &str) -> String {
    base(names) + &correlation(kind, &names.join(", "), rest)
}

#[test]
fn event_count() {
    let rules = with(&["fail"], "event_count", "  group-by: [user]\n  condition: {gte: 3}");
    check_detects(
        &rules,
        &[(1, "e=fail;user=a"), (2, "e=fail;user=b"), (3, "e=fail;user=a"), (4, "e=ok;user=a"), (5, "e=fail;user=a")],
        &["C user=a 3 over 3"],
    );
}

#[test]
fn the_ends_of_a_window_are_both_inside() {
    let rules = with(&["fail"], "event_count", "  condition: {gte: 2}");
    check_detects(&rules, &[(0, "e=fail"), (60, "e=fail")], &["C 2 over 2"]);
    check_detects(&rules, &[(0, "e=fail"), (61, "e=fail")], &[]);
}

#[test]
fn value_count() {
    let rules = with(&["fail"], "value_count", "  group-by: [ip]\n  condition: {field: user, gte: 3}");
    let event = |user| format!("e=fail;ip=1;user={user}");
    let events: Vec<String> = ["a", "b", "a", "a", "c"].iter().map(event).collect();
    let events: Vec<(i64, &str)> = (0..).zip(events.iter().map(String::as_str)).collect();
    check_detects(&rules, &events, &["C ip=1 3 over 5"]);
    check_detects(&rules, &events[..4], &[]);
}

#[test]
fn temporal_in_any_order() {
    let rules = with(&["x", "y", "z"], "temporal", "  group-by: [host]");
    check_detects(
        &rules,
        &[(1, "e=z;host=h"), (2, "e=x;host=h"), (3, "e=y;host=g"), (4, "e=y;host=h")],
        &["C host=h 3 over 3"],
    );
    check_detects(&rules, &[(1, "e=z;host=h"), (2, "e=x;host=h"), (62, "e=y;host=h")], &[]);
}

#[test]
fn temporal_in_order() {
    let rules = with(&["x", "y"], "temporal_ordered", "  group-by: [host]");
    check_detects(&rules, &[(1, "e=x;host=h"), (2, "e=y;host=h")], &["C host=h 2 over 2"]);
    check_detects(&rules, &[(1, "e=y;host=h"), (2, "e=x;host=h")], &[]);
    check_detects(&rules, &[(1, "e=y;host=h"), (2, "e=x;host=h"), (3, "e=y;host=h")], &["C host=h 2 over 3"]);
    // The order is that of the events' times and not of their arrival.
    check_detects(&rules, &[(2, "e=y;host=h"), (1, "e=x;host=h")], &["C host=h 2 over 2"]);
}

#[test]
fn value_sum_average_median_and_percentile() {
    let events = [(1, "e=x;n=10"), (2, "e=x;n=20"), (3, "e=x;n=90"), (4, "e=x;n=no number")];
    let check = |kind: &str, condition: &str, expected: &[&str]| {
        check_detects(&with(&["x"], kind, &format!("  condition: {{field: n, {condition}}}")), &events, expected);
    };
    check("value_sum", "gte: 120", &["C 120 over 3"]);
    check("value_sum", "gt: 120", &[]);
    check("value_avg", "gte: 40", &["C 40 over 3"]);
    check("value_median", "gt: 15", &["C 20 over 3"]);
    check("value_percentile", "gte: 80, percentile: 95", &["C 83 over 3"]);
}

#[test]
fn comparisons_of_every_kind_and_ranges() {
    let events = [(1, "e=x"), (2, "e=x"), (3, "e=x")];
    let check = |condition: &str, expected: &[&str]| {
        check_detects(&with(&["x"], "event_count", &format!("  condition: {{{condition}}}")), &events, expected);
    };
    check("eq: 2", &["C 2 over 2"]);
    check("gt: 2", &["C 3 over 3"]);
    check("gt: 1, lte: 2", &["C 2 over 2"]);
    check("lt: 2", &["C 1 over 1"]);
}

#[test]
fn several_correlations_over_one_rule_all_fire() {
    let second = correlation("value_count", "fail", "  condition: {field: user, gte: 2}")
        .replace("title: C", "title: D")
        .replace("name: c", "name: d");
    let rules = with(&["fail"], "event_count", "  condition: {gte: 2}") + "---\n" + &second;
    check_detects(&rules, &[(1, "e=fail;user=a"), (2, "e=fail;user=b")], &["C 2 over 2", "D 2 over 2"]);
}

#[test]
fn base_rules_report_by_themselves_only_where_generate_says_so() {
    let rules = with(&["fail"], "event_count", "  condition: {gte: 2}\n  generate: true");
    check_detects(&rules, &[(1, "e=fail"), (2, "e=fail")], &["fail", "fail", "C 2 over 2"]);
}

#[test]
fn aliases_join_fields_of_different_names() {
    let rules = with(&["x", "y"], "temporal", "  group-by: [ip]\n  aliases:\n    ip:\n      x: src\n      y: dst");
    check_detects(&rules, &[(1, "e=x;src=1"), (2, "e=y;dst=1")], &["C ip=1 2 over 2"]);
    check_detects(&rules, &[(1, "e=x;src=1"), (2, "e=y;dst=2")], &[]);
}

#[test]
fn correlations_build_on_correlations() {
    let many = correlation("event_count", "fail", "  group-by: [user]\n  condition: {gte: 2}")
        .replace("name: c", "name: many")
        .replace("title: C", "title: Many");
    let then = correlation("temporal_ordered", "many, ok", "  group-by: [user]");
    let rules = base(&["fail", "ok"]) + &then + "---\n" + &many;
    check_detects(
        &rules,
        &[(1, "e=fail;user=a"), (2, "e=fail;user=a"), (3, "e=ok;user=b"), (4, "e=ok;user=a")],
        &["Many user=a 2 over 2", "C user=a 2 over 2"],
    );
}

#[test]
fn an_event_dated_in_the_future_silences_nothing() {
    let rules = with(&["fail"], "event_count", "  condition: {gte: 2}");
    let far = ARRIVED_SECONDS + 301;
    let (found, detector) = detect(&rules, &[(far, "e=fail"), (i64::MIN, "e=fail"), (1, "e=fail"), (2, "e=fail")]);
    assert_eq!(found.iter().map(show).collect::<Vec<_>>(), ["C 2 over 2"]);
    let stats = detector.correlation_stats();
    assert_eq!((stats.times_future, stats.times_unknown), (1, 1));
}

#[test]
fn a_long_attack_fires_once_a_timespan() {
    let rules = with(&["fail"], "event_count", "  condition: {gte: 3}");
    let events: Vec<(i64, &str)> = (0..600).map(|second| (second, "e=fail")).collect();
    let (found, _) = detect(&rules, &events);
    assert!((8..=11).contains(&found.len()), "{} firings in ten minutes", found.len());
}

#[test]
fn an_event_without_a_field_to_group_by_takes_no_part() {
    let rules = with(&["fail"], "event_count", "  group-by: [user]\n  condition: {gte: 2}");
    let (found, detector) = detect(&rules, &[(1, "e=fail"), (2, "e=fail")]);
    assert!(found.is_empty());
    assert_eq!(detector.correlation_stats().ungrouped, 2);
}

#[test]
fn what_cannot_work_is_refused_and_says_why() {
    let check = |rules: &str, reason: &str| {
        let found = refused(rules);
        assert!(found.len() == 1 && found[0].contains(reason), "{found:?}");
    };
    check(&(base(&["x"]) + &correlation("event_count", "nowhere", "  condition: {gte: 1}")), "`nowhere`");
    check(&(base(&["x"]) + &correlation("event_count", "c", "  condition: {gte: 1}")), "builds on itself");
    check(&with(&["x"], "event_count", "  condition: {gte: 100000}"), "remembered");
    check(&with(&["x"], "value_percentile", "  condition: {field: n, gte: 1, percentile: 101}"), "0 and 100");
}

#[test]
fn a_hostile_number_of_events_is_bounded() {
    let rules = with(&["x"], "value_count", "  group-by: [g]\n  condition: {field: v, gte: 2}");
    let events: Vec<String> = (0..6_000).map(|_| "e=x;g=1;v=same".to_string()).collect();
    let events: Vec<(i64, &str)> = events.iter().map(|event| (1, event.as_str())).collect();
    let (found, detector) = detect(&rules, &events);
    assert!(found.is_empty());
    assert!(detector.correlation_stats().entries_shed > 0);
}

#[test]
fn events_in_reverse_order_cost_a_bounded_time_and_are_told() {
    let rules = with(&["x"], "value_median", "  group-by: [g]\n  condition: {field: v, gte: 2}").replace("1m", "1d");
    let events: Vec<(i64, &str)> = (0..4_000).rev().map(|second| (second, "e=x;g=1;v=1")).collect();
    let (found, detector) = detect(&rules, &events);
    assert!(found.is_empty());
    assert!(detector.correlation_stats().windows_left > 0);
    let counted = with(&["x"], "event_count", "  group-by: [g]\n  condition: {gte: 3000}").replace("1m", "1d");
    let (found, detector) = detect(&counted, &events);
    assert_eq!(found.len(), 1);
    assert_eq!(detector.correlation_stats().windows_left, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Invariant 2: more events can only fulfil `gte`, so the order of arrival does not decide whether a group fires.
    #[test]
    fn a_group_fires_in_every_order_if_in_one(
        mut times in proptest::collection::vec((0..400_i64, 0..2_usize), 1..24),
        least in 1..5_usize,
        kind in prop::sample::select(vec!["event_count", "temporal"]),
    ) {
        let condition = if kind == "event_count" { format!("  condition: {{gte: {least}}}") } else { String::new() };
        let rules = with(&["x", "y"], kind, &condition);
        let fires = |times: &[(i64, usize)]| {
            let events: Vec<(i64, &str)> = times.iter().map(|(time, rule)| (*time, ["e=x", "e=y"][*rule])).collect();
            !detect(&rules, &events).0.is_empty()
        };
        let as_given = fires(&times);
        let (mut sorted, spec) = (times.clone(), naive(&times, kind, least));
        sorted.sort_unstable();
        times.reverse();
        prop_assert_eq!(as_given, spec);
        prop_assert_eq!(fires(&sorted), spec);
        prop_assert_eq!(fires(&times), spec);
    }
}

/// The slow twin: looks at the window behind each event.
fn naive(times: &[(i64, usize)], kind: &str, least: usize) -> bool {
    times.iter().any(|(end, _)| {
        let inside: Vec<_> = times.iter().filter(|(time, _)| (end - 60..=*end).contains(time)).collect();
        match kind {
            "event_count" => inside.len() >= least,
            _ => (0..2).all(|rule| inside.iter().any(|(_, is)| *is == rule)),
        }
    })
}

/// The hostile rule counts by a field that is another in each event; the other one's single group is the oldest of all.
#[test]
fn a_correlation_that_fills_the_memory_pushes_no_other_out() {
    let rules = "title: X\nname: x\nlogsource: {}\ndetection:\n  s: {e: x}\n  condition: s\n---\n\
        title: Y\nname: y\nlogsource: {}\ndetection:\n  s: {e: y}\n  condition: s\n---\n\
        title: Quiet\ncorrelation: {type: event_count, rules: [y], group-by: [g], timespan: 1h, condition: {gte: 2}}\n---\n\
        title: Hostile\ncorrelation: {type: event_count, rules: [x], group-by: [g], timespan: 1h, condition: {gte: 2}}\n";
    let (mut builder, mut detector) = ready(rules, Arc::default());
    let mut detect = |given: &str| {
        let mut found = Vec::new();
        detector.detect(&event(&mut builder, (1, given)), |detection| found.push(show(&detection)));
        found
    };
    detect("e=y;g=a");
    (0..100_001).for_each(|number| drop(detect(&format!("e=x;g={number}"))));
    assert_eq!(detect("e=y;g=a"), ["Quiet g=a 2 over 2"]);
    assert_eq!(detect("e=x;g=100000"), ["Hostile g=100000 2 over 2"]);
    let shed: Vec<_> = detector.correlations_shed().keys().map(String::as_str).collect();
    assert_eq!(shed, ["Hostile"]);
}
