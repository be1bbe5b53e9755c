//! The index against a list that is looked through, what is merged against what is made at once, and damage.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use cresset_event::{EventId, HashAlgorithm, Matcher, ObservableKind, Timestamp};
use proptest::prelude::*;

use crate::error::ArchiveError;
use crate::index::footer::{FOOTER_BYTES, Footer};
use crate::index::testing::{Value, any_matcher, any_observable, matches};
use crate::index::{IndexBuilder, IndexFile, Seen, Sighting, Wanted, merge, push_key};

/// A value of an event of its own.
#[derive(Debug, Clone)]
struct Fact {
    value: Value,
    id: EventId,
    time: Option<i64>,
    host: Option<String>,
    source: String,
    field: String,
}

/// What is known of a value, with names.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    count: u64,
    times: Option<(i64, i64)>,
    hosts: BTreeMap<String, u64>,
    sources: BTreeMap<String, u64>,
    examples: Vec<(EventId, Option<i64>, String)>,
}

/// What was found: by the place of what looks for it and by key.
type Found = BTreeMap<(usize, Vec<u8>), Known>;

impl Fact {
    fn key(&self) -> Option<Vec<u8>> {
        let mut key = Vec::new();
        push_key(&self.value.raw(), &mut key).then_some(key)
    }
}

impl Known {
    fn of_sighting(sighting: &Sighting, file: &IndexFile) -> Self {
        let names = file.names().expect("names");
        let name = |name: Option<&str>| name.expect("a name").to_owned();
        Self {
            count: sighting.count,
            times: sighting.times,
            hosts: sighting.hosts.iter().map(|(host, count)| (name(names.hosts.text(*host)), *count)).collect(),
            sources: sighting.sources.iter().map(|(of, count)| (name(names.sources.text(*of)), *count)).collect(),
            examples: sighting
                .examples
                .iter()
                .map(|example| (example.id, example.time, name(names.fields.text(example.field))))
                .collect(),
        }
    }

    fn of_facts(mut facts: Vec<&Fact>) -> Self {
        let mut times: Vec<i64> = facts.iter().filter_map(|fact| fact.time).collect();
        times.sort_unstable();
        let (mut hosts, mut sources) = (BTreeMap::new(), BTreeMap::new());
        for fact in &facts {
            fact.host.iter().for_each(|host| *hosts.entry(host.clone()).or_default() += 1);
            *sources.entry(fact.source.clone()).or_default() += 1;
        }
        let count = facts.len() as u64;
        facts.sort_by_key(|fact| (fact.time, fact.id));
        let unknown = facts.len() - times.len();
        // Of those whose time is known the first and the last, or else of all.
        let ends = if times.is_empty() { 0..unknown } else { unknown..facts.len() };
        let (first, last) = (facts[ends.start], facts[ends.end - 1]);
        let between = facts.iter().filter(|fact| fact.id != first.id && fact.id != last.id).min_by_key(|fact| fact.id);
        let mut examples = vec![first];
        examples.extend(between);
        examples.extend((first.id != last.id).then_some(last));
        Self {
            count,
            times: times.first().copied().zip(times.last().copied()),
            hosts,
            sources,
            examples: examples.iter().map(|fact| (fact.id, fact.time, fact.field.clone())).collect(),
        }
    }
}

fn build(facts: &[Fact]) -> Vec<u8> {
    let mut builder = IndexBuilder::new();
    for fact in facts {
        if let Some(key) = fact.key() {
            let (id, time) = (fact.id, fact.time.map(Timestamp::from_nanos));
            let seen = Seen { id, time, field: &fact.field, host: fact.host.as_deref(), source: &fact.source };
            builder.add(&key, seen);
        }
    }
    builder.finish()
}

fn open(bytes: impl Into<Bytes>) -> Result<IndexFile, ArchiveError> {
    IndexFile::open("index", Arc::new(bytes.into()))
}

/// What a file answers, and whether it says that this is all.
fn look_up(file: &IndexFile, wanted: &[Wanted]) -> (Found, bool) {
    let (mut found, mut named) = (Vec::new(), Found::new());
    let answer = file.look_up(wanted, |at, key, sighting| found.push(((at, key.to_vec()), sighting)));
    let (names, all) = (file.names().is_ok(), found.len());
    for (of, sighting) in found.into_iter().filter(|_| names) {
        named.insert(of, Known::of_sighting(&sighting, file));
    }
    let is_all = answer.is_ok() && names;
    assert!(!is_all || named.len() == all, "nothing is found twice");
    (named, is_all)
}

/// What a list that is looked through answers.
fn expected(facts: &[Fact], matchers: &[Matcher]) -> Found {
    let mut found: BTreeMap<(usize, Vec<u8>), Vec<&Fact>> = BTreeMap::new();
    for (at, matcher) in matchers.iter().enumerate() {
        for fact in facts.iter().filter(|fact| matches(matcher, &fact.value.raw())) {
            found.entry((at, fact.key().expect("what is matched has a key"))).or_default().push(fact);
        }
    }
    found.into_iter().map(|(of, facts)| (of, Known::of_facts(facts))).collect()
}

/// A random-looking id, always the same.
fn id(at: usize) -> EventId {
    let high = (at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&high);
    bytes[8..].copy_from_slice(&(at as u64).to_be_bytes());
    EventId::from_bytes(bytes)
}

fn any_facts(len: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Fact>> {
    let time = prop_oneof![2 => Just(None), 6 => (0_i64..50).prop_map(Some), 1 => any::<i64>().prop_map(Some)];
    let fact = (any_observable(), time, proptest::option::of("h[0-9]{1,2}"), "s[0-3]", "f[0-3]");
    let facts = proptest::collection::vec(fact, len);
    facts.prop_map(|facts| {
        let one = |(at, (value, time, host, source, field))| Fact { value, id: id(at), time, host, source, field };
        facts.into_iter().enumerate().map(one).collect()
    })
}

/// Facts that fill several blocks: each value twice, every third without a host, every fifth without a time.
fn many_facts(values: usize) -> Vec<Fact> {
    let fact = |at: usize| Fact {
        value: match at % values % 3 {
            0 => {
                Value { kind: ObservableKind::Ipv4, text: format!("10.{}.{}.7", at % values / 250, at % values % 250) }
            }
            1 => Value { kind: ObservableKind::Domain, text: format!("w{}.n{}.example", at % values, at % values % 7) },
            _ => Value {
                kind: ObservableKind::FileHash(HashAlgorithm::Md5),
                text: format!("{:032x}", (at % values) as u128 * 0x9e37_79b9_7f4a_7c15_f39c),
            },
        },
        id: id(at),
        time: (!at.is_multiple_of(5)).then_some(1_700_000_000_000_000_000 + at as i64),
        host: (!at.is_multiple_of(3)).then(|| format!("host{}", at % 11)),
        source: format!("source{}", at % 2),
        field: format!("field{}", at % 4),
    };
    (0..values * 2).map(fact).collect()
}

fn of_all(facts: &[Fact]) -> (Vec<Matcher>, Vec<Wanted>) {
    let matchers = facts.iter().filter_map(|fact| Matcher::of_kind(fact.value.kind, &fact.value.text));
    let mut matchers: Vec<Matcher> = matchers.collect();
    matchers.extend(
        ["10.0.0.0/8", "10.1.0.0/16", "0.0.0.0/0", "example", "n3.example", "192.0.2.1"]
            .map(|text| Matcher::parse(text).unwrap_or_else(|| Matcher::Domain(text.into()))),
    );
    let wanted = matchers.iter().map(Wanted::of).collect();
    (matchers, wanted)
}

proptest! {
    #[test]
    fn it_finds_what_a_list_has(facts in any_facts(0..120), matchers in proptest::collection::vec(any_matcher(), 0..40)) {
        let file = open(build(&facts)).expect("a file");
        let wanted: Vec<Wanted> = matchers.iter().map(Wanted::of).collect();
        prop_assert_eq!(look_up(&file, &wanted), (expected(&facts, &matchers), true));
        prop_assert!(file.verify().is_empty());
    }

    #[test]
    fn a_merged_file_has_the_bytes_of_one_made_at_once(facts in any_facts(0..150), cuts in proptest::collection::vec(0_usize..150, 0..5)) {
        let mut parts: Vec<Vec<Fact>> = vec![Vec::new(); cuts.len() + 1];
        for (at, fact) in facts.iter().enumerate() {
            parts[cuts.iter().filter(|cut| at * 7 % 150 >= **cut).count()].push(fact.clone());
        }
        let mut files: Vec<IndexFile> = parts.iter().map(|part| open(build(part)).expect("a file")).collect();
        let at_once = build(&facts);
        prop_assert!(merge(&files, Vec::new()).expect("it is merged") == at_once);
        let some = files.split_off(files.len() / 2);
        let halves = [files, some].map(|half| open(merge(&half, Vec::new()).expect("it is merged")).expect("a file"));
        prop_assert!(merge(&halves, Vec::new()).expect("it is merged") == at_once);
    }
}

#[test]
fn many_blocks_are_looked_into() {
    let facts = many_facts(3000);
    let file = open(build(&facts)).expect("a file");
    assert!(file.fences().expect("fences").blocks() > 20);
    let (matchers, wanted) = of_all(&facts[..1500]);
    assert_eq!(look_up(&file, &wanted), (expected(&facts, &matchers), true));
    let keys: Vec<Vec<u8>> = file.iter().map(|entry| entry.expect("an entry").0).collect();
    assert!(keys.len() == 3000 && keys.is_sorted());
}

#[test]
fn an_empty_file_has_nothing() {
    let file = open(build(&[])).expect("a file");
    let (_, wanted) = of_all(&[]);
    assert_eq!(look_up(&file, &wanted), (Found::new(), true));
    assert!(file.iter().next().is_none() && file.verify().is_empty() && file.times().is_none());
    assert!(merge(&[], Vec::new()).expect("a file of none") == build(&[]));
}

/// Looks at a file of which something was changed: whatever it finds is right, and what it does not find it tells of.
fn check_damaged(bytes: Vec<u8>, wanted: &[Wanted], whole: &Found) -> Result<(), TestCaseError> {
    let Ok(file) = open(bytes) else { return Ok(()) };
    let (found, is_all) = look_up(&file, wanted);
    prop_assert!(found.iter().all(|(of, known)| whole.get(of) == Some(known)), "what is found is right");
    prop_assert!(!is_all || found.len() == whole.len(), "what is missing is told of");
    prop_assert!(!file.verify().is_empty(), "what was changed is found out");
    Ok(())
}

#[test]
fn a_truncated_file_is_told_from_a_whole_one() {
    let bytes = build(&many_facts(100));
    for len in 0..bytes.len() {
        assert!(open(bytes[..len].to_vec()).is_err(), "{len}");
    }
}

#[test]
fn what_was_changed_is_an_error_or_makes_no_difference() {
    let facts = many_facts(300);
    let (bytes, (_, wanted)) = (build(&facts), of_all(&facts[..100]));
    let whole = look_up(&open(bytes.clone()).expect("a file"), &wanted).0;
    let mut config = ProptestConfig::with_cases(1500);
    config.failure_persistence = None;
    let mut runner = proptest::test_runner::TestRunner::new(config);
    // As many changes in the short parts at the end as in the blocks.
    let len = bytes.len();
    let at = prop_oneof![0..len, len - 2500..len, len - FOOTER_BYTES as usize..len];
    let run = runner.run(&(at, 1_u8..=255), |(at, bits)| {
        let mut changed = bytes.clone();
        changed[at] ^= bits;
        check_damaged(changed, &wanted, &whole)
    });
    run.expect("no change goes unnoticed");
}

#[test]
fn the_rest_of_a_damaged_file_is_read() {
    let facts = many_facts(3000);
    let (mut bytes, (_, wanted)) = (build(&facts), of_all(&facts[..3000]));
    let whole = look_up(&open(bytes.clone()).expect("a file"), &wanted).0;
    bytes[5000] ^= 1;
    let file = open(bytes).expect("its end is whole");
    let (found, is_all) = look_up(&file, &wanted);
    assert!(!is_all && found.len() < whole.len() && found.len() * 10 > whole.len() * 9);
    let damage: Vec<String> = file.verify().iter().map(ToString::to_string).collect();
    assert!(damage.len() == 1 && damage[0].contains("block "), "{damage:?}");
    assert_eq!(file.iter().filter(Result::is_err).count(), 1);
    assert!(merge(&[file], Vec::new()).is_err());
}

proptest! {
    /// Somebody makes a file that has the right checksums and says what is not so.
    #[test]
    fn a_footer_that_lies_is_survived(
        lens in proptest::array::uniform4(prop_oneof![0_u64..3000, any::<u64>()]), blocks in prop_oneof![0_u64..20, any::<u64>()],
        keys in any::<u64>(), moved in any::<bool>(),
    ) {
        let facts = many_facts(60);
        let mut bytes = build(&facts);
        let body = bytes.len() - FOOTER_BYTES as usize;
        let mut footer = Footer::decode(&bytes[body..], bytes.len() as u64).expect("a footer");
        let before = footer;
        footer.lens = if moved { lens } else { [lens[0] % 3000, 0, 0, 0] };
        if !moved {
            let rest = (body as u64).saturating_sub(footer.lens[0]);
            footer.lens[1] = rest / 96 * 32;
            footer.lens[2] = rest - footer.lens[1];
        }
        (footer.blocks, footer.keys) = (blocks, keys);
        for (part, crc) in footer.crcs.iter_mut().enumerate() {
            let start = footer.lens[..part].iter().fold(0, |sum: u64, len| sum.saturating_add(*len));
            let place = start.min(body as u64) as usize..start.saturating_add(footer.lens[part]).min(body as u64) as usize;
            *crc = crc32fast::hash(&bytes[place]);
        }
        bytes.truncate(body);
        bytes.extend(footer.encode());
        if let Ok(file) = open(bytes) {
            let (_, wanted) = of_all(&facts);
            file.look_up(&wanted, |_, _, _| ()).ok();
            prop_assert!(footer == before || !file.verify().is_empty());
            merge(&[file], Vec::new()).ok();
        }
    }
}

/// The format, byte by byte. A change of it needs another version (`docs/archive-index.md`).
#[test]
fn the_format_is_as_it_was() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/index/golden.hex");
    let bytes = build(&many_facts(6));
    let lines = bytes.chunks(32).map(|line| line.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n");
    let hex: String = lines.collect();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &hex).expect("it is written");
    }
    let golden = std::fs::read_to_string(&path).expect("the golden file");
    assert!(hex == golden, "the format has changed; look at the difference with UPDATE_GOLDEN=1 and `git diff`");
}
