//! Delivers a log of lines to a centre over several connections, and says how fast that went and how long each delivery took.
//!
//! ```text
//! load URL TOKEN FILE --connections 4 --lines 2000 [--seconds 30] [--rate EVENTS_A_SECOND]
//! ```
//!
//! Each delivery holds so many lines of the file, which is begun again at its end; with `--rate` deliveries are begun at that
//! pace, and the time of one counts from when it was due, so that a centre that is behind cannot hide it.

use std::env;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ureq::Agent;

struct Load {
    url: String,
    token: String,
    bodies: Vec<Vec<u8>>,
    lines: u64,
    until: Instant,
    began: Instant,
    /// Time between two deliveries, where there is a pace.
    pause: Option<Duration>,
    next: AtomicU64,
    refused: AtomicU64,
}

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    let [url, token, file] = [0, 1, 2].map(|at| args.get(at).cloned().expect("URL TOKEN FILE"));
    let option = |name: &str, default: u64| {
        let value = args.iter().position(|arg| arg == name).and_then(|at| args.get(at + 1)?.parse().ok());
        value.unwrap_or(default)
    };
    let (connections, lines) = (option("--connections", 4), option("--lines", 2000));
    let (seconds, rate) = (option("--seconds", 30), option("--rate", 0));
    let text = fs::read(file).expect("the file");
    let began = Instant::now();
    let load = Arc::new(Load {
        url,
        token,
        bodies: bodies(&text, lines as usize),
        lines,
        began,
        until: began + Duration::from_secs(seconds),
        pause: (rate > 0).then(|| Duration::from_secs_f64(lines as f64 / rate as f64)),
        next: AtomicU64::new(0),
        refused: AtomicU64::new(0),
    });
    let senders: Vec<_> = (0..connections).map(|_| Arc::clone(&load)).map(|load| thread::spawn(move || send(&load))).collect();
    let mut took: Vec<Duration> = senders.into_iter().flat_map(|sender| sender.join().expect("a sender")).collect();
    took.sort();
    tell(&load, &took, began.elapsed());
}

#[expect(clippy::print_stdout, reason = "what it is for")]
fn tell(load: &Load, took: &[Duration], all: Duration) {
    let at = |part: f64| took.get((took.len() as f64 * part) as usize).map_or(0.0, |took| took.as_secs_f64() * 1e3);
    let events = took.len() as f64 * load.lines as f64 / all.as_secs_f64();
    println!(
        "{events:.0} events/s, {} deliveries, {} refused; ms: median {:.1}, p99 {:.1}, max {:.1}",
        took.len(),
        load.refused.load(Ordering::Relaxed),
        at(0.5),
        at(0.99),
        took.last().map_or(0.0, |took| took.as_secs_f64() * 1e3),
    );
}

/// Cuts a text into deliveries of so many lines.
fn bodies(text: &[u8], lines: usize) -> Vec<Vec<u8>> {
    let all: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    all.chunks_exact(lines.min(all.len())).map(|some| some.concat()).collect()
}

/// Sends deliveries until the time is up, and returns how long each took.
fn send(load: &Load) -> Vec<Duration> {
    let agent: Agent = Agent::config_builder().http_status_as_error(false).build().into();
    let mut took = Vec::new();
    loop {
        let number = load.next.fetch_add(1, Ordering::Relaxed);
        let due = load.pause.map(|pause| load.began + pause.mul_f64(number as f64));
        let began = due.unwrap_or_else(Instant::now);
        if began >= load.until || Instant::now() >= load.until {
            return took;
        }
        thread::sleep(began.saturating_duration_since(Instant::now()));
        let body = &load.bodies[number as usize % load.bodies.len()];
        while !deliver(load, &agent, body) {
            load.refused.fetch_add(1, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(50));
        }
        took.push(began.elapsed());
    }
}

/// Returns whether it was taken; what is refused for want of room is sent again.
fn deliver(load: &Load, agent: &Agent, body: &[u8]) -> bool {
    let request = agent.post(format!("{}/api/v1/events", load.url));
    let mut answer = request.header("authorization", format!("Bearer {}", load.token)).send(body).expect("an answer");
    let text = answer.body_mut().read_to_string().expect("its text");
    match answer.status().as_u16() {
        200 => true,
        429 | 503 => false,
        status => panic!("{status}: {text}"),
    }
}
