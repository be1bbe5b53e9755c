//! Indicators against events.

mod twin;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use cresset_detect::{Cause, IndicatorSet, Level, Warnings};
use cresset_event::{Indicator, Matcher, Network, ObservableKind, Timestamp, Validity};
use cresset_testing::on_cpu;
use proptest::prelude::*;

use crate::{event, ready};

fn indicator(id: &str, matcher: Matcher) -> Indicator {
    Indicator {
        id: id.into(),
        name: None,
        matcher,
        also: Vec::new(),
        validity: Validity::default(),
        author: None,
        confidence: None,
        techniques: Vec::new(),
        references: Vec::new(),
        loaded_from: "test".into(),
    }
}

fn plain(value: &str) -> Indicator {
    indicator(value, Matcher::parse(value).expect("a value of some type"))
}

fn set(indicators: impl IntoIterator<Item = Indicator>) -> IndicatorSet {
    let set = IndicatorSet::new(Warnings::Apply);
    set.add_all(indicators);
    set
}

/// The ids that fire on an event with one field.
fn fires(set: IndicatorSet, seconds: i64, fields: &str) -> Vec<String> {
    let (mut builder, mut detector) = ready("", Arc::new(set));
    let mut found = Vec::new();
    detector.detect(&event(&mut builder, (seconds, fields)), |detection| {
        found.push(detection.cause_id().expect("indicators have ids").into_owned());
    });
    found
}

#[track_caller]
fn check_fires(value: &str, fields: &str, expected: bool) {
    assert_eq!(!fires(set([plain(value)]), 1, fields).is_empty(), expected, "{value} on {fields}");
}

#[test]
fn addresses_and_ranges() {
    check_fires("192.0.2.1", "src_ip=192.0.2.1", true);
    check_fires("192.0.2.1", "src_ip=::ffff:192.0.2.1", true);
    check_fires("192.0.2.1", "src_ip=192.0.2.10", false);
    check_fires("192.0.2.128/25", "src_ip=192.0.2.128", true);
    check_fires("192.0.2.128/25", "src_ip=192.0.2.127", false);
    check_fires("2001:db8::/32", "src_ip=2001:DB8:1::1", true);
    check_fires("192.0.2.1", "CommandLine=nc 192.0.2.1 443", true);
}

#[test]
fn several_values_of_one_event() {
    let parse = |value: &str| Matcher::parse(value).expect("a value");
    let with = |also: &[&str]| Indicator { also: also.iter().map(|also| parse(also)).collect(), ..plain("192.0.2.1") };
    let fires = |also: &[&str], fields: &str| !fires(set([with(also)]), 1, fields).is_empty();
    assert!(fires(&["evil.example"], "dst_ip=192.0.2.1;query=www.evil.example"));
    assert!(!fires(&["evil.example"], "dst_ip=192.0.2.1;query=notevil.example"));
    assert!(!fires(&["evil.example"], "dst_ip=192.0.2.2;query=evil.example"));
    assert!(fires(&["198.51.100.0/24", "evil.example"], "dst_ip=192.0.2.1;src_ip=198.51.100.7;query=evil.example"));
    assert!(!fires(&["198.51.100.0/24", "evil.example"], "dst_ip=192.0.2.1;src_ip=198.51.100.7"));

    // Of one id and one first value each is an indicator of its own.
    let set = set([with(&["evil.example"]), with(&["worse.example"]), with(&["evil.example"])]);
    assert_eq!(set.len(), 2);
    let (mut builder, mut detector) = ready("", Arc::new(set));
    let mut matched = Vec::new();
    let both = event(&mut builder, (1, "dst_ip=192.0.2.1;query=www.Worse.example"));
    detector.detect(&both, |detection| matched.push((detection.title().into_owned(), detection.matched)));
    let [(title, matched)] = &matched[..] else { panic!("{matched:?}") };
    let matched: Vec<_> = matched.iter().map(|has| (has.field.as_str(), has.value.as_deref().unwrap_or("-"))).collect();
    assert_eq!(title, "192.0.2.1 and worse.example");
    assert_eq!(matched, [("dst_ip", "192.0.2.1"), ("query", "www.worse.example")]);
}

#[test]
fn domains_with_all_below_them() {
    check_fires("evil[.]example", "query=evil.example.", true);
    check_fires("evil.example", "query=a.b.EVIL.example", true);
    check_fires("evil.example", "query=notevil.example", false);
    check_fires("a.evil.example", "query=evil.example", false);
    check_fires("evil.example", "url=http://www.evil.example:8080/x", true);
    check_fires("evil.example", "mailfrom=bob@evil.example", true);
}

#[test]
fn urls_hashes_and_mail_addresses_in_any_case() {
    check_fires("hxxp://Evil.example/A", "url=HTTP://evil.EXAMPLE/A", true);
    check_fires("http://evil.example/A", "url=http://evil.example/a", false);
    check_fires("http://evil.example/", "url=http://evil.example", true);
    check_fires("bad@evil.example", "mailfrom=BAD@evil.example", true);
    let sha1 = "AA".repeat(20);
    check_fires(&sha1, &format!("Hashes=SHA1={}", "aa".repeat(20)), true);
    check_fires(&sha1, &format!("Hashes=SHA1={}", "ab".repeat(20)), false);
}

#[test]
fn names_of_files_keys_accounts_and_programs() {
    let check = |kind, value: &str, fields: &str| {
        let matcher = Matcher::of_kind(kind, value).expect("of its kind");
        assert_eq!(fires(set([indicator("i", matcher)]), 1, fields), ["i"], "{value} on {fields}");
    };
    check(ObservableKind::FileName, "Evil.exe", r"TargetFilename=C:\Temp\eVIL.exe");
    check(ObservableKind::RegistryKey, r"HKLM\Software\Evil", r"TargetObject=hklm\software\EVIL");
    check(ObservableKind::User, "mallory", r"User=EXAMPLE\Mallory");
    check(ObservableKind::User, r"example\mallory", r"User=EXAMPLE\Mallory");
    check(ObservableKind::Process, r"C:\Temp\a.exe", r"Image=c:\temp\A.exe");
}

#[test]
fn validity_is_that_of_the_events_time() {
    let at = |seconds: i64| Timestamp::from_nanos(seconds * 1_000_000_000);
    let valid = Validity { from_inclusive: Some(at(10)), until_exclusive: Some(at(20)), revoked: false };
    let fires_at = |validity, seconds| {
        !fires(set([Indicator { validity, ..plain("192.0.2.1") }]), seconds, "src_ip=192.0.2.1").is_empty()
    };
    assert_eq!([9, 10, 19, 20].map(|seconds| fires_at(valid, seconds)), [false, true, true, false]);
    assert!(!fires_at(Validity { revoked: true, ..valid }, 15));
    // Where the event's time is unknown its arrival counts, which lies after the end.
    assert!(!fires_at(valid, i64::MIN));
}

#[test]
fn what_the_warning_list_names_is_kept_and_does_not_fire_unless_asked() {
    let held = set([plain("10.0.0.1"), plain("192.0.2.1")]);
    assert_eq!((held.len(), held.held_back().len()), (1, 1));
    assert!(fires(held, 1, "src_ip=10.0.0.1").is_empty());
    let asked = IndicatorSet::new(Warnings::Ignore);
    asked.add(plain("10.0.0.1"));
    assert_eq!(fires(asked, 1, "src_ip=10.0.0.1"), ["10.0.0.1"]);
}

#[test]
fn a_range_around_an_address_on_the_warning_list_does_not_fire_on_it() {
    check_fires("172.0.0.0/8", "src_ip=172.16.0.1", false);
    check_fires("172.0.0.0/8", "src_ip=172.32.0.1", true);
    check_fires("8.8.8.0/24", "src_ip=8.8.8.8", false);
}

#[test]
fn a_newer_version_takes_the_place_of_the_older() {
    let revoked = Indicator { validity: Validity { revoked: true, ..Validity::default() }, ..plain("192.0.2.1") };
    let changed = set([plain("192.0.2.1"), revoked]);
    assert_eq!(changed.len(), 1);
    assert!(fires(changed, 1, "src_ip=192.0.2.1").is_empty());
}

/// Each took time by the square: a minute for as many, where a second is ample.
#[test]
fn many_of_one_value_and_many_held_back_are_added_found_and_removed_at_once() {
    const MANY: u32 = 40_000;
    let began = on_cpu();
    let same = |number: u32| indicator(&format!("same-{number}"), Matcher::parse("192.0.2.1").expect("an address"));
    let private = |number: u32| plain(&format!("10.0.{}.{}", number >> 8, number & 255));
    let set = set((0..MANY).flat_map(|number| [same(number), private(number), same(number), private(number)]));
    assert_eq!((set.len(), set.held_back().len()), (MANY as usize, MANY as usize));
    for number in 1..MANY {
        assert_eq!(set.remove(&format!("same-{number}").into()), 1);
        assert_eq!(set.remove(&private(number).id), 1);
    }
    set.add_all((MANY..2 * MANY).map(same));
    assert_eq!(set.held_back().len(), 1);
    assert_eq!(fires(set, 1, "src_ip=192.0.2.1;dst_ip=192.0.2.1").len(), MANY as usize + 1);
    let took = on_cpu() - began;
    assert!(took < Duration::from_secs(30), "{took:?}");
}

#[test]
fn an_id_is_removed_with_all_its_values_and_no_other() {
    let of = |id: &str, value: &str| indicator(id, Matcher::parse(value).expect("a value"));
    let set = set([of("a", "192.0.2.1"), of("a", "192.0.2.0/24"), of("a", "10.0.0.1"), of("b", "192.0.2.1")]);
    assert_eq!(["c", "a", "a"].map(|id| set.remove(&id.into())), [0, 3, 0]);
    assert_eq!((set.len(), set.held_back().len()), (1, 0));
    assert_eq!(fires(set, 1, "src_ip=192.0.2.1"), ["b"]);
}

#[test]
fn an_indicator_fires_once_for_each_value_of_an_event() {
    assert_eq!(fires(set([plain("192.0.2.0/24")]), 1, "src_ip=192.0.2.1;dst_ip=192.0.2.1;c-ip=192.0.2.2").len(), 2);
    let twice = set([plain("192.0.2.1"), plain("192.0.2.1")]);
    assert_eq!(twice.len(), 1);
}

#[test]
fn confidence_is_the_level() {
    let level = |confidence| {
        let set = set([Indicator { confidence, ..plain("192.0.2.1") }]);
        let (mut builder, mut detector) = ready("", Arc::new(set));
        let mut level = None;
        detector.detect(&event(&mut builder, (1, "src_ip=192.0.2.1")), |detection| level = Some(detection.level()));
        level.expect("a detection")
    };
    assert_eq!([Some(10), Some(50), Some(90), None].map(level), [Level::Low, Level::Medium, Level::High, Level::High]);
}

#[test]
fn the_set_changes_while_it_is_matched_against() {
    let set = Arc::new(set([plain("203.0.113.1")]));
    let done = Arc::new(AtomicBool::new(false));
    let changes = {
        let (set, done) = (Arc::clone(&set), Arc::clone(&done));
        std::thread::spawn(move || {
            for round in 0..500 {
                set.add(plain("192.0.2.1"));
                assert_eq!(set.remove(&"192.0.2.1".into()), 1, "round {round}");
            }
            done.store(true, Ordering::SeqCst);
        })
    };
    let (mut builder, mut detector) = ready("", Arc::clone(&set));
    while !done.load(Ordering::SeqCst) {
        let mut steady = 0;
        detector.detect(&event(&mut builder, (1, "src_ip=203.0.113.1;dst_ip=192.0.2.1")), |detection| {
            steady += usize::from(detection.cause_id().as_deref() == Some("203.0.113.1"));
        });
        assert_eq!(steady, 1, "what is not changed is always found");
    }
    changes.join().expect("the other thread ends well");
    assert_eq!(set.len(), 1);
}

/// What was added before an event is found for it, whole, while the tables grow and others come and go.
#[test]
fn what_was_added_before_an_event_is_found_for_it() {
    const MANY: u32 = 20_000;
    let numbered = |number: u32| plain(&format!("203.{}.{}.1", number >> 8, number & 255));
    let passing = |number: u32| {
        let validity = Validity { until_exclusive: Some(Timestamp::from_nanos(5)), ..Validity::default() };
        Indicator { validity, ..plain(&format!("host{}.evil.example", number % 999)) }
    };
    let (set, added) = (Arc::new(IndicatorSet::default()), AtomicU32::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..MANY {
                assert!(set.add(numbered(number)));
                added.store(number + 1, Ordering::SeqCst);
            }
        });
        scope.spawn(|| {
            for number in 0.. {
                set.add_all((0..200).map(|more| passing(number + more)));
                set.remove(&passing(number).id);
                if number % 8 == 0 {
                    set.expire(Timestamp::from_nanos(5));
                }
                if added.load(Ordering::SeqCst) == MANY {
                    return;
                }
            }
        });
        let (mut builder, mut detector) = ready("", Arc::clone(&set));
        let mut number = 0_u32;
        while added.load(Ordering::SeqCst) < MANY {
            number = (number.wrapping_mul(48_271) + 11) % added.load(Ordering::SeqCst).max(1);
            if number >= added.load(Ordering::SeqCst) {
                continue;
            }
            let mut found = Vec::new();
            let fields = format!("src_ip={};query=host{}.evil.example", numbered(number).id, number % 999);
            detector.detect(&event(&mut builder, (1, &fields)), |detection| {
                let Cause::Indicator(indicator) = detection.cause else { panic!("there are no rules") };
                found.push(Indicator::clone(&indicator));
            });
            assert!(found.contains(&numbered(number)), "{number}: {found:?}");
            assert!(found.iter().all(|found| *found == numbered(number) || *found == passing(number)), "{found:?}");
        }
    });
    set.expire(Timestamp::from_nanos(5));
    assert_eq!(set.len(), MANY as usize);
}

#[test]
fn what_is_over_at_a_moment_is_taken_out_and_the_rest_stays() {
    let until = |nanos: i64, value: &str| {
        let until_exclusive = Some(Timestamp::from_nanos(nanos));
        Indicator { validity: Validity { until_exclusive, ..Validity::default() }, ..plain(value) }
    };
    let set = set([until(9, "192.0.2.1"), until(10, "192.0.2.0/24"), until(11, "evil.example"), until(10, "10.0.0.1")]);
    set.add(plain("192.0.2.2"));
    assert_eq!((set.expire(Timestamp::from_nanos(10)), set.expire(Timestamp::from_nanos(10))), (3, 0));
    assert_eq!((set.len(), set.held_back().len()), (2, 0));
}

/// So many that the set is laid out for them first; some twice, and far enough apart to be in different batches.
#[test]
fn many_at_once_are_as_many_one_by_one() {
    let numbered = |number: u32| plain(&format!("203.{}.{}.1", number >> 8, number & 255));
    let numbers = || (0..65_000).chain(0..1_000);
    let (at_once, one_by_one) = (IndicatorSet::default(), IndicatorSet::default());
    assert_eq!(at_once.add_all(numbers().map(numbered)), 0);
    assert!(numbers().all(|number| one_by_one.add(numbered(number))));
    assert_eq!((at_once.len(), one_by_one.len()), (65_000, 65_000));
    let all = (0..65_000).step_by(997).map(|number| format!("src_ip={}", numbered(number).id));
    let fields = all.collect::<Vec<_>>().join(";");
    let found = fires(at_once, 1, &fields);
    assert_eq!((found.len(), found), (66, fires(one_by_one, 1, &fields)));
}

#[test]
fn an_indicator_that_is_too_long_is_told_from_one_that_is_in() {
    let set = IndicatorSet::default();
    assert!(!set.add(Indicator { references: vec!["x".repeat(1 << 16)], ..plain("192.0.2.1") }));
    assert!(set.is_empty());
    assert!(set.add(plain("192.0.2.1")));
    assert_eq!(set.add_all([Indicator { references: vec!["x".repeat(1 << 16)], ..plain("192.0.2.1") }]), 1);
    assert_eq!(fires(set, 1, "src_ip=192.0.2.1"), ["192.0.2.1"], "the older version stays");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn ranges_are_found_as_a_scan_finds_them(
        ranges in proptest::collection::vec((any::<u32>(), 8..=32_u8), 0..20),
        near in any::<prop::sample::Index>(),
        flip in 0..32_u32,
    ) {
        let networks: Vec<Network> = ranges.iter().map(|(bits, prefix)| Network::of(IpAddr::V4((*bits).into()), *prefix)).collect();
        let address = ranges.get(near.index(ranges.len().max(1))).map_or(0, |(bits, _)| bits ^ (1 << flip));
        let address = IpAddr::V4(address.into());
        let set = IndicatorSet::new(Warnings::Ignore);
        for network in &networks {
            set.add(indicator(&network.to_string(), Matcher::Address(*network)));
        }
        let mut expected: Vec<String> = networks.iter().filter(|network| network.contains(address)).map(ToString::to_string).collect();
        let mut found = fires(set, 1, &format!("src_ip={address}"));
        expected.sort();
        found.sort();
        expected.dedup();
        prop_assert_eq!(found, expected);
    }
}
