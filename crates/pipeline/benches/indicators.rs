//! Ten million indicators: what they take, what an event costs more, how long changes last.
//!
//! Thirty per cent each are IPv4 addresses, domains and SHA-256 hashes, five per cent URLs and ranges. Every indicator has
//! an id, a validity and a confidence of its own and one of forty authors. Needs the corpus (`CRESSET_CORPUS`) for events.
//!
//!     cargo bench -p cresset-pipeline --bench indicators             # `-- 1000000` for fewer

#![expect(clippy::print_stdout, reason = "a bench shows what it measured")]

mod corpus;

use std::fs::File;
use std::hint::black_box;
use std::io::{self, BufWriter, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cresset_detect::{Detector, IndicatorSet, RuleFilter, RuleSet, Warnings};
use cresset_event::{Event, FieldNames, HashAlgorithm, Indicator, IndicatorId, Matcher, Network, Timestamp, Validity};
use cresset_ingest::{Opener, Record};
use cresset_pipeline::{find_feeds, load_rules};
use cresset_testing::corpus;

use crate::corpus::lines;

const INDICATORS: u64 = 10_000_000;
const CHANGES: u64 = 10_000;
const BULK: u64 = 100_000;
/// Rounds over the events, of which the median counts.
const ROUNDS: usize = 31;

fn main() {
    let asked = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let count = asked.unwrap_or(INDICATORS);
    add(count);
    let set = Arc::new(load(count).expect("a temporary folder with room"));
    let empty = Arc::new(IndicatorSet::new(Warnings::Apply));
    if let Some(corpus) = corpus() {
        match_events(&corpus, &set, &empty);
    }
    change(&set, count, "nobody matches");
    if let Some(corpus) = corpus() {
        change_while_matched(&corpus, &set, count);
    }
    expire(&set);
}

/// Adds indicators as a library does, and says what they take.
fn add(count: u64) {
    let set = IndicatorSet::new(Warnings::Apply);
    let before = resident_bytes();
    let began = Instant::now();
    (0..count).for_each(|number| {
        black_box(indicator(number));
    });
    let making = began.elapsed();
    let began = Instant::now();
    let left_out = set.add_all((0..count).map(indicator));
    let took = began.elapsed().saturating_sub(making);
    let bytes = resident_bytes().saturating_sub(before) as f64 / set.len() as f64;
    println!("added: {} in {took:.2?}, {left_out} left out, held back {}", set.len(), set.held_back().len());
    println!("memory: {bytes:.1} bytes an indicator");
}

/// Writes a feed and reads it as `cresset watch` does.
fn load(count: u64) -> io::Result<IndicatorSet> {
    let path = std::env::temp_dir().join(format!("cresset-bench-{}.csv", std::process::id()));
    let mut file = BufWriter::new(File::create(&path)?);
    writeln!(file, "type,value,valid_from,valid_until,confidence,source")?;
    for Indicator { matcher, validity, confidence, author, .. } in (0..count).map(indicator) {
        let (from, until) = (validity.from_inclusive.unwrap_or_default(), validity.until_exclusive.unwrap_or_default());
        let (confidence, author) = (confidence.unwrap_or_default(), author.unwrap_or_default());
        let kind = match &matcher {
            Matcher::Address(_) => "ip",
            Matcher::Domain(_) => "domain",
            Matcher::Url(_) => "url",
            _ => "sha256",
        };
        writeln!(file, "{kind},{matcher},{from},{until},{confidence},{author}")?;
    }
    file.into_inner()?;
    let bytes = path.metadata()?.len();
    let set = IndicatorSet::new(Warnings::Apply);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let began = Instant::now();
    for feed in find_feeds(&[path.display().to_string()]) {
        let (feed, left_out) = feed.read_into(&set, threads);
        let took = began.elapsed();
        let (taken, refused) = (feed.indicators, feed.refused_count() + left_out);
        println!(
            "loaded: {taken} of a CSV file of {bytes} bytes in {took:.2?} on {threads} threads, {refused} refused"
        );
    }
    std::fs::remove_file(path)?;
    Ok(set)
}

/// An event that is read and matched, with no indicators and with all of them; without rules, and with all rules.
fn match_events(corpus: &Path, set: &Arc<IndicatorSet>, empty: &Arc<IndicatorSet>) {
    let lines = lines(&corpus.join("evtx-attack-samples"), 0..1);
    let names = Arc::new(FieldNames::new());
    let opener = Opener::new(Arc::clone(&names));
    let detector = |indicators: &Arc<IndicatorSet>, rules: &[String]| {
        let (rules, _) = RuleSet::compile(load_rules(rules), &RuleFilter::default(), &names);
        Detector::new(Arc::new(rules), Arc::clone(indicators))
    };
    let mut found = 0;
    let mut round = |detector: &mut Detector| {
        let took = timed(|| {
            let mut reader = opener.open_bytes("bench", lines.text.clone()).expect("JSON lines");
            while let Some(record) = reader.next_record() {
                let Record::Event(event) = record else { continue };
                detector.detect(&event, |_| found += 1);
                reader.recycle(event);
            }
        });
        took.as_secs_f64() * 1e6 / lines.sources.len() as f64
    };
    let with_rules = [corpus.join("sigma/rules").display().to_string()];
    for (what, rules) in [("without rules", &[][..]), ("with all rules", &with_rules)] {
        let (mut none, mut all) = (detector(empty, rules), detector(set, rules));
        let rounds: Vec<(f64, f64)> = (0..ROUNDS).map(|_| (round(&mut none), round(&mut all))).collect();
        let more = median(rounds.iter().map(|(none, all)| all - none).collect());
        let (none, all) = rounds.into_iter().unzip();
        let (none, all) = (median(none), median(all));
        println!("an event read and matched {what}: {none:.2} µs; with the indicators {all:.2} µs, {more:.2} µs more");
    }
    println!("detections: {found}");
}

fn change(set: &IndicatorSet, count: u64, when: &str) {
    let fresh = |range: std::ops::Range<u64>| range.map(|number| indicator(count + number)).collect::<Vec<_>>();
    let single = fresh(0..CHANGES);
    let ids: Vec<IndicatorId> = single.iter().map(|indicator| indicator.id.clone()).collect();
    show("add one", when, single.into_iter().map(|one| timed(|| assert!(set.add(one)))).collect());
    show("revoke one", when, ids.iter().map(|id| timed(|| assert_eq!(set.remove(id), 1))).collect());
    let many = fresh(0..BULK);
    let ids: Vec<IndicatorId> = many.iter().map(|indicator| indicator.id.clone()).collect();
    let added = timed(|| assert_eq!(set.add_all(many), 0));
    let removed = timed(|| assert_eq!(ids.iter().map(|id| set.remove(id)).sum::<usize>(), ids.len()));
    println!("{BULK} at once, {when}: added in {added:.2?}, revoked in {removed:.2?}");
}

fn change_while_matched(corpus: &Path, set: &Arc<IndicatorSet>, count: u64) {
    let events = events(corpus);
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let matching = scope.spawn(|| {
            let (rules, _) = RuleSet::compile(load_rules(&[]), &RuleFilter::default(), events[0].names());
            let mut matcher = Detector::new(Arc::new(rules), Arc::clone(set)).matcher();
            let mut longest = Duration::ZERO;
            let began = Instant::now();
            let mut matched = 0_u32;
            while !is_done.load(Ordering::Relaxed) {
                for event in &events {
                    longest = longest.max(timed(|| drop(black_box(matcher.matches(event)))));
                    matched += 1;
                }
            }
            (began.elapsed() / matched, longest)
        });
        change(set, count, "one matches");
        is_done.store(true, Ordering::Relaxed);
        let (mean, longest) = matching.join().expect("it ends well");
        println!("an event meanwhile: {mean:.2?} on average, {longest:.2?} the longest");
    });
}

fn expire(set: &IndicatorSet) {
    let now = Timestamp::from_nanos((BEGIN_SECONDS + 50 * 86_400) * 1_000_000_000);
    let mut expired = 0;
    let took = timed(|| expired = set.expire(now));
    println!("expired: {expired} in {took:.2?}, {} remain", set.len());
}

fn events(corpus: &Path) -> Vec<Event> {
    let opener = Opener::new(Arc::new(FieldNames::new()));
    let lines = lines(&corpus.join("evtx-attack-samples"), 0..1);
    let mut reader = opener.open_bytes("bench", lines.text).expect("JSON lines");
    let mut events = Vec::new();
    while let Some(record) = reader.next_record() {
        if let Record::Event(event) = record {
            events.push(event);
        }
    }
    events
}

fn timed(act: impl FnOnce()) -> Duration {
    let began = Instant::now();
    act();
    began.elapsed()
}

fn show(what: &str, when: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
    println!("{what}, {when}: median {:.2?}, 99.9 % {:.2?}, longest {:.2?}", at(0.5), at(0.999), at(1.0));
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// What of the process is in memory, where the system tells.
fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or_default() * 4096
}

/// From when on the indicators count: 2024-01-01.
const BEGIN_SECONDS: i64 = 1_704_067_200;

fn indicator(number: u64) -> Indicator {
    let mut random = Random(number);
    let matcher = matcher(number, &mut random);
    let id = u128::from(random.next()) << 64 | u128::from(random.next());
    let from = BEGIN_SECONDS + random.below(90 * 86_400) as i64;
    let days = [7, 30, 90, 365][random.below(4) as usize];
    let moment = |seconds: i64| Some(Timestamp::from_nanos(seconds * 1_000_000_000));
    Indicator {
        id: IndicatorId::of_uuid(id.to_be_bytes()),
        name: None,
        matcher,
        also: Vec::new(),
        validity: Validity {
            from_inclusive: moment(from),
            until_exclusive: moment(from + days * 86_400),
            revoked: false,
        },
        author: Some(format!("source {}", random.below(40)).into()),
        confidence: Some(random.below(101) as u8),
        techniques: Vec::new(),
        references: Vec::new(),
        loaded_from: "intel/feed.csv".into(),
    }
}

fn matcher(number: u64, random: &mut Random) -> Matcher {
    // Public addresses: few of them are on the warning list.
    let address = |random: &mut Random| IpAddr::V4(Ipv4Addr::from(0x0b00_0000 + random.below(0x6000_0000) as u32));
    match number % 20 {
        0..6 => Matcher::Address(Network::of(address(random), 32)),
        6..12 => Matcher::Domain(domain(random)),
        12..18 => {
            let hash = (0..4).map(|_| format!("{:016x}", random.next())).collect();
            Matcher::FileHash(HashAlgorithm::Sha256, hash)
        }
        18 => {
            let host = domain(random);
            Matcher::Url(format!("https://{host}/{}/{:08x}.php", word(random, 8), random.next() as u32))
        }
        _ => {
            let bits = 16 + random.below(14) as u8;
            Matcher::Address(Network::of(address(random), bits))
        }
    }
}

fn domain(random: &mut Random) -> String {
    let top = ["com", "net", "org", "ru", "cn", "info", "top", "xyz"][random.below(8) as usize];
    let length = 6 + random.below(10);
    let name = word(random, length);
    match random.below(3) {
        0 => format!("{}.{name}.{top}", word(random, 4)),
        _ => format!("{name}.{top}"),
    }
}

fn word(random: &mut Random, length: u64) -> String {
    (0..length).map(|_| char::from(b"abcdefghijklmnopqrstuvwxyz"[random.below(26) as usize])).collect()
}

/// SplitMix64: the same numbers in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}
