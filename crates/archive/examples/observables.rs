//! Writes JSON lines with so many observables, five a line, to standard output; the same each time.
//!
//!     cargo run --release -p cresset-archive --example observables -- 10000000 > log.json
//!
//! How often a value comes falls with its rank, as one over it: a few are in every hundredth event, most are seen once or
//! twice, as in real logs (Zipf's law). 10,000 hosts write an event every hundred milliseconds together.
//!
//!     … --example observables -- --values 1000 10000000   # values to look for: ten hottest, half absent, the rest by chance
//!     … --example observables -- --mixed 10000000         # 300 addresses, 50 ranges, 300 domains, 300 hashes, 50 URLs

use std::fmt::Write as _;
use std::io::{self, BufWriter, Write};

const HOSTS: u64 = 10_000;
const INSIDE: u64 = 200_000;
const OUTSIDE: u64 = 4_000_000;
const DOMAINS: u64 = 2_000_000;
const HASHES: u64 = 3_000_000;
const USERS: u64 = 20_000;
/// Nanoseconds since 1970 of the first event, and between two.
const BEGAN: u64 = 1_790_000_000_000_000_000;
const STEP: u64 = 100_000_000;

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |text: &String| text.parse().map_err(|_| io::Error::other("a number is wanted"));
    let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    match &args[..] {
        [observables] => write_lines(number(observables)?, &mut out)?,
        [flag, observables] if flag == "--mixed" => write_mixed(number(observables)?, &mut out)?,
        [flag, values, observables] if flag == "--values" => {
            write_values(number(values)?, number(observables)?, &mut out)?
        }
        _ => return Err(io::Error::other("usage: observables [--values N | --mixed] OBSERVABLES")),
    }
    out.flush()
}

/// SplitMix64: small, quick, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A rank below `count`, of which each is as likely as one over it.
    fn rank(&mut self, count: u64) -> u64 {
        let share = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        ((count as f64).powf(share) as u64 - 1).min(count - 1)
    }
}

fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

fn inside(rank: u64) -> [u64; 3] {
    [rank >> 16, rank >> 8 & 255, rank & 255]
}

/// An address outside, by rank; those from [`OUTSIDE`] on never come.
fn outside(rank: u64) -> [u64; 4] {
    // Neighbours in rank are none in address.
    let address = 0x2000_0000 + rank.wrapping_mul(2_654_435_761) % 0x4000_0000;
    [address >> 24, address >> 16 & 255, address >> 8 & 255, address & 255]
}

fn domain(rank: u64) -> String {
    const TOP: [&str; 5] = ["com", "net", "org", "example", "io"];
    // A tenth of the names are those of hosts below a domain.
    match rank % 10 {
        0 => format!("h{rank:x}.cdn{:x}.{}", rank / 1000, TOP[rank as usize / 10 % 5]),
        _ => format!("site-{rank:x}.{}", TOP[rank as usize % 5]),
    }
}

fn hash(rank: u64) -> String {
    let words = (0..4).map(|word| mix(rank * 4 + word + 1));
    words.fold(String::new(), |mut hex, word| {
        write!(hex, "{word:016x}").expect("memory");
        hex
    })
}

fn write_lines(observables: u64, out: &mut impl Write) -> io::Result<()> {
    let mut random = Random(1);
    for number in 0..observables / 5 {
        let nanos = BEGAN + number * STEP;
        let [a, b, c] = inside(random.rank(INSIDE));
        let [d, e, f, g] = outside(random.rank(OUTSIDE));
        let (domain, hash) = (domain(random.rank(DOMAINS)), hash(random.rank(HASHES)));
        let (user, host) = (random.rank(USERS), random.next() % HOSTS);
        writeln!(
            out,
            "{{\"@timestamp\":{nanos},\"host\":\"ws{host:05}\",\"src_ip\":\"10.{a}.{b}.{c}\",\"dest_ip\":\"{d}.{e}.{f}.{g}\",\
             \"dest_port\":443,\"query\":\"{domain}\",\"sha256\":\"{hash}\",\"user\":\"user{user:05}\",\"bytes_out\":{}}}",
            random.next() % 100_000
        )?;
    }
    Ok(())
}

/// Indicators of every kind, by chance among those of a log of this size.
fn write_mixed(observables: u64, out: &mut impl Write) -> io::Result<()> {
    let mut random = Random(observables);
    for number in 0..1000 {
        let [a, b, c, d] = outside(random.rank(OUTSIDE));
        match number {
            0..300 => writeln!(out, "{a}.{b}.{c}.{d}")?,
            300..345 => writeln!(out, "{a}.{b}.{c}.0/24")?,
            345..350 => writeln!(out, "{a}.{b}.0.0/16")?,
            // Some have hosts below them.
            350..450 => writeln!(out, "cdn{:x}.com", random.rank(DOMAINS) / 1000)?,
            450..650 => writeln!(out, "{}", domain(random.rank(DOMAINS)))?,
            650..950 => writeln!(out, "{}", hash(random.rank(HASHES)))?,
            _ => writeln!(out, "http://{}/download/{number}", domain(random.rank(DOMAINS)))?,
        }
    }
    Ok(())
}

/// Values to look for: ten of the hottest, half absent, and the rest by chance among those of a log of this size.
fn write_values(values: u64, observables: u64, out: &mut impl Write) -> io::Result<()> {
    let mut random = Random(observables);
    for number in 0..values {
        let is_hot = number < 10;
        let is_absent = number >= values / 2;
        let mut rank = |count: u64| match (is_hot, is_absent) {
            (true, _) => number / 3,
            (_, true) => count + random.next() % count,
            _ => random.rank(count),
        };
        match number % 3 {
            0 => {
                let [a, b, c, d] = outside(rank(OUTSIDE));
                writeln!(out, "{a}.{b}.{c}.{d}")?;
            }
            1 => writeln!(out, "{}", domain(rank(DOMAINS)))?,
            _ => writeln!(out, "{}", hash(rank(HASHES)))?,
        }
    }
    Ok(())
}
