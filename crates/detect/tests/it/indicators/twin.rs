//! The set against a list that is looked through: the same indicators fire, whatever was added, taken out and expired.

use std::sync::Arc;

use cresset_detect::{Cause, IndicatorSet, WarningList, Warnings};
use cresset_event::{Event, Indicator, IndicatorId, Matcher, Network, Observable, ObservableKind, Timestamp, Validity};
use proptest::prelude::*;

use crate::{event, ready};

const VALUES: &[(Option<ObservableKind>, &str)] = &[
    (None, "192.0.2.1"),
    (None, "192.0.2.0/24"),
    (None, "192.0.0.0/16"),
    (None, "10.0.0.1"),
    (None, "8.8.8.0/24"),
    (None, "2001:db8::1"),
    (None, "2001:db8::/32"),
    (None, "evil.example"),
    (None, "a.evil.example"),
    (None, "co.uk"),
    (None, "http://evil.example/a"),
    (None, "bad@evil.example"),
    (None, "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"),
    (None, "d41d8cd98f00b204e9800998ecf8427e"),
    (None, "1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b"),
    (Some(ObservableKind::FileName), "a.exe"),
    (Some(ObservableKind::RegistryKey), r"HKLM\Software\Evil"),
    (Some(ObservableKind::User), "mallory"),
    (Some(ObservableKind::User), r"example\mallory"),
    (Some(ObservableKind::Process), r"c:\temp\a.exe"),
];

const FIELDS: &[&str] = &[
    "src_ip=192.0.2.1",
    "dst_ip=192.0.2.77",
    "c-ip=10.0.0.1",
    "dst_ip=8.8.8.8",
    "src_ip=2001:DB8::1",
    "query=b.A.evil.example.",
    "query=evil.co.uk",
    "url=HTTP://evil.example:80/a#x",
    "mailfrom=BAD@evil.example",
    "Hashes=MD5=0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A,SHA256=1B1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b",
    r"User=EXAMPLE\Mallory",
    "User=mallory",
    r"Image=C:\Temp\A.exe",
    r"TargetObject=HKEY_LOCAL_MACHINE\Software\Evil",
    "CommandLine=nc 192.0.2.1:443 <http://evil.example/a> 192.0.2.1",
];

/// A change, or an event of which both are asked.
#[derive(Debug, Clone)]
enum Step {
    Add(Vec<Indicator>),
    Remove(IndicatorId),
    Expire(Timestamp),
    Look { seconds: i64, fields: String },
}

fn id() -> impl Strategy<Value = IndicatorId> {
    (0..6_u8).prop_map(|number| match number % 2 {
        0 => format!("indicator--00000000-0000-4000-8000-00000000000{number}").into(),
        _ => format!("list {number}").into(),
    })
}

fn validity() -> impl Strategy<Value = Validity> {
    let time = || prop::option::of((0..20_i64).prop_map(|tenths| Timestamp::from_nanos(tenths * 500_000_000)));
    (time(), time(), prop::bool::weighted(0.1)).prop_map(|(from_inclusive, until_exclusive, revoked)| Validity {
        from_inclusive,
        until_exclusive,
        revoked,
    })
}

fn matcher() -> impl Strategy<Value = Matcher> {
    prop::sample::select(VALUES).prop_map(|(kind, value)| {
        let matcher = match kind {
            Some(kind) => Matcher::of_kind(kind, value),
            None => Matcher::parse(value),
        };
        matcher.expect("a value")
    })
}

fn indicator() -> impl Strategy<Value = Indicator> {
    let name = prop::sample::select(vec!["", "a name", "another"]);
    let also = prop_oneof![2 => Just(Vec::new()), 1 => prop::collection::vec(matcher(), 1..3)];
    (id(), name, matcher(), also, validity(), prop::option::of(0..=100_u8), 0..3_usize).prop_map(
        |(id, name, matcher, also, validity, confidence, references)| Indicator {
            id,
            name: (!name.is_empty()).then(|| name.to_owned()),
            matcher,
            also,
            validity,
            author: confidence.map(|confidence| format!("author {}", confidence % 3).into()),
            confidence,
            techniques: Vec::new(),
            references: vec!["https://report.example".to_owned(); references],
            loaded_from: "feed".into(),
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let fields = prop::collection::vec(prop::sample::select(FIELDS), 1..4).prop_map(|fields| fields.join(";"));
    prop_oneof![
        4 => prop::collection::vec(indicator(), 1..12).prop_map(Step::Add),
        2 => id().prop_map(Step::Remove),
        1 => (0..12_i64).prop_map(|seconds| Step::Expire(Timestamp::from_nanos(seconds * 1_000_000_000))),
        4 => (0..11_i64, fields).prop_map(|(seconds, fields)| Step::Look { seconds, fields }),
    ]
}

/// Indicators, and nothing else.
#[derive(Default)]
struct Twin(Vec<Indicator>);

impl Twin {
    fn add(&mut self, indicator: Indicator) {
        let key = |of: &Indicator| (of.id.clone(), of.matcher.clone(), of.also.clone());
        self.0.retain(|has| key(has) != key(&indicator));
        self.0.push(indicator);
    }

    fn take_out(&mut self, is_wanted: impl Fn(&Indicator) -> bool) -> usize {
        let before = self.0.len();
        self.0.retain(|has| !is_wanted(has));
        before - self.0.len()
    }

    fn look(&self, event: &Event, warnings: &WarningList) -> Vec<(Indicator, String)> {
        let moment = event.origin().time.known().expect("events of the test have times");
        let mut found = Vec::new();
        for observable in event.observables() {
            let is_warned = Network::parse(&observable.value)
                .is_some_and(|network| warnings.reason(&Matcher::Address(network)).is_some());
            let firing = self.0.iter().filter(|indicator| {
                let matcher = &indicator.matcher;
                !is_warned && warnings.reason(matcher).is_none() && fits(matcher, &observable)
            });
            let is_there = |also: &Matcher| event.observables().iter().any(|other| fits(also, other));
            let whole = firing.filter(|indicator| indicator.also.iter().all(is_there));
            let counting = whole.filter(|indicator| indicator.validity.holds_at(moment));
            found.extend(counting.map(|indicator| (indicator.clone(), observable.value.to_string())));
        }
        in_order(found)
    }
}

fn fits(matcher: &Matcher, observable: &Observable<'_>) -> bool {
    let value = &*observable.value;
    match (matcher, observable.kind) {
        (Matcher::Address(network), ObservableKind::Ipv4 | ObservableKind::Ipv6) => {
            network.contains(value.parse().expect("an address"))
        }
        (Matcher::Domain(domain), ObservableKind::Domain) => value == domain || value.ends_with(&format!(".{domain}")),
        (Matcher::User(user), ObservableKind::User) => {
            let value = value.to_lowercase();
            value == *user || value.rsplit_once('\\').is_some_and(|(_, account)| account == user)
        }
        _ => Matcher::of_observed(observable.kind, value).as_ref() == Some(matcher),
    }
}

/// Of two fields with one value, one is told.
fn in_order(mut found: Vec<(Indicator, String)>) -> Vec<(Indicator, String)> {
    let order = |(indicator, value): &(Indicator, String)| {
        (indicator.id.clone(), indicator.matcher.clone(), indicator.also.clone(), value.clone())
    };
    found.sort_by_cached_key(order);
    found.dedup();
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_set_finds_what_looking_through_a_list_finds(steps in prop::collection::vec(step(), 1..40)) {
        let set = Arc::new(IndicatorSet::new(Warnings::Apply));
        let (mut builder, mut detector) = ready("", Arc::clone(&set));
        let warnings = WarningList::built_in();
        let mut twin = Twin::default();
        for step in steps {
            match step {
                Step::Add(indicators) => {
                    indicators.iter().for_each(|indicator| twin.add(indicator.clone()));
                    prop_assert_eq!(set.add_all(indicators), 0);
                }
                Step::Remove(id) => prop_assert_eq!(set.remove(&id), twin.take_out(|has| has.id == id)),
                Step::Expire(now) => {
                    let is_over = |has: &Indicator| has.validity.until_exclusive.is_some_and(|until| until <= now);
                    prop_assert_eq!(set.expire(now), twin.take_out(is_over));
                }
                Step::Look { seconds, fields } => {
                    let event = event(&mut builder, (seconds, &fields));
                    let mut found = Vec::new();
                    detector.detect(&event, |detection| {
                        let Cause::Indicator(indicator) = &detection.cause else { panic!("there are no rules") };
                        let value = detection.matched[0].value.clone().expect("indicators have values");
                        found.push((Indicator::clone(indicator), value));
                    });
                    let count = found.len();
                    let found = in_order(found);
                    prop_assert_eq!(found.len(), count, "each is told once");
                    prop_assert_eq!(found, twin.look(&event, &warnings));
                }
            }
            let held = twin.0.iter().filter(|has| warnings.reason(&has.matcher).is_some()).count();
            prop_assert_eq!((set.len(), set.held_back().len()), (twin.0.len() - held, held));
        }
    }
}
