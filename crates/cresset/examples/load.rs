//! Delivers a log of lines to a centre over several connections, and says how fast that went and how long each delivery took.
//!
//! ```text
//! load URL TOKEN FILE --connections 4 --lines 2000 [--seconds 30] [--rate EVENTS_A_SECOND] [--probe-every N]
//! ```
//!
//! With `--probe-every N` each Nth delivery has a line that the rule of `compare/centre` finds, and the time from sending it until it comes
//! on the centre's stream is told as well.
//!
//! Each delivery holds so many lines of the file, which is begun again at its end; with `--rate` deliveries are begun at that
//! pace, and the time of one counts from when it was due, so that a centre that is behind cannot hide it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
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
    /// Of how many deliveries one is a probe; 0 is none.
    probe_every: u64,
    /// When each probe was sent, by its number.
    probes: Mutex<HashMap<u64, Instant>>,
    probed: Mutex<Vec<Duration>>,
}

#[expect(clippy::print_stdout, reason = "what it is for")]
fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    let [url, token, file] = [0, 1, 2].map(|at| args.get(at).cloned().expect("URL TOKEN FILE"));
    let option = |name: &str, default: u64| {
        let value = args.iter().position(|arg| arg == name).and_then(|at| args.get(at + 1)?.parse().ok());
        value.unwrap_or(default)
    };
    let (connections, lines) = (option("--connections", 4), option("--lines", 2000));
    let (seconds, rate) = (option("--seconds", 30), option("--rate", 0));
    let bodies = bodies(&fs::read(file).expect("the file"), lines as usize);
    // What is due is due from here on: the log is read and cut by now.
    let began = Instant::now();
    let load = Arc::new(Load {
        url,
        token,
        bodies,
        lines,
        began,
        until: began + Duration::from_secs(seconds),
        pause: (rate > 0).then(|| Duration::from_secs_f64(lines as f64 / rate as f64)),
        next: AtomicU64::new(0),
        refused: AtomicU64::new(0),
        probe_every: option("--probe-every", 0),
        probes: Mutex::default(),
        probed: Mutex::default(),
    });
    if load.probe_every > 0 {
        let load = Arc::clone(&load);
        thread::spawn(move || listen(&load));
    }
    let senders: Vec<_> =
        (0..connections).map(|_| Arc::clone(&load)).map(|load| thread::spawn(move || send(&load))).collect();
    let mut took: Vec<Duration> = senders.into_iter().flat_map(|sender| sender.join().expect("a sender")).collect();
    let all = began.elapsed();
    took.sort();
    tell(&load, &took, all);
    if load.probe_every > 0 {
        thread::sleep(Duration::from_secs(1));
        let mut probed = load.probed.lock().expect("no listener panics").clone();
        probed.sort();
        let lost = load.probes.lock().expect("no listener panics").len();
        println!("{} detections on the stream, {lost} not; ms: {}", probed.len(), quantiles(&probed));
    }
}

fn quantiles(took: &[Duration]) -> String {
    let at = |part: f64| took.get((took.len() as f64 * part) as usize).map_or(0.0, |took| took.as_secs_f64() * 1e3);
    let max = took.last().map_or(0.0, |took| took.as_secs_f64() * 1e3);
    format!("median {:.1}, p99 {:.1}, max {max:.1}", at(0.5), at(0.99))
}

#[expect(clippy::print_stdout, reason = "what it is for")]
fn tell(load: &Load, took: &[Duration], all: Duration) {
    let events = took.len() as f64 * load.lines as f64 / all.as_secs_f64();
    let (deliveries, refused) = (took.len(), load.refused.load(Ordering::Relaxed));
    println!("{events:.0} events/s, {deliveries} deliveries, {refused} refused; ms: {}", quantiles(took));
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
        let probe = load.probe_every > 0 && number.is_multiple_of(load.probe_every);
        let body = if probe { Cow::Owned(with_probe(load, body, number, began)) } else { Cow::Borrowed(body) };
        while !deliver(load, &agent, &body) {
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
        // RSigma's daemon says that it has taken it.
        200 | 202 => true,
        429 | 503 => false,
        status => panic!("{status}: {text}"),
    }
}

/// Adds a line that is found to a delivery, and notes when it is sent.
fn with_probe(load: &Load, body: &[u8], number: u64, began: Instant) -> Vec<u8> {
    let probe = format!("{{\"cmd\":\"cresset-probe\",\"host\":\"probe-{number}\"}}\n");
    load.probes.lock().expect("no sender panics").insert(number, began);
    [probe.as_bytes(), body].concat()
}

/// Listens to the centre's stream, and notes how long each probe took.
fn listen(load: &Load) {
    let request =
        ureq::get(format!("{}/api/v1/stream", load.url)).header("authorization", format!("Bearer {}", load.token));
    let stream = request.call().expect("a stream").into_body().into_reader();
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        let number = line.split_once("\"host\":\"probe-").and_then(|(_, rest)| rest.split('"').next()?.parse().ok());
        let began = number.and_then(|number: u64| load.probes.lock().expect("no sender panics").remove(&number));
        if let Some(began) = began {
            load.probed.lock().expect("nobody else panics").push(began.elapsed());
        }
    }
}
