//! Whatever a stranger sends to any listener, an honest sender is answered soon, and nothing grows without a bound.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use cresset_testing::skipped;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::syslog::centre as centre_with_syslog;
use super::{Centre, PATIENCE, may_open, memory, random, wait_until};

/// How long an honest request may take meanwhile, on the slowest machine. It stays below the time in which headers are to come:
/// who waits for a place that those who are slow give up waits longer.
const SOON: Duration = Duration::from_secs(12);
/// What a centre may have taken in memory at its most, in bytes.
const MEMORY_MAX: u64 = 1 << 30;

/// Delivers as an honest sender, and fails where that takes too long.
#[track_caller]
fn check_answers(centre: &Centre) {
    let began = Instant::now();
    let answered = centre.deliver(&[], "{\"cmd\":\"ls\"}\n");
    assert_eq!(answered.status, 200, "{answered:?}");
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

/// Nothing panicked, and memory was bounded.
#[track_caller]
fn check_sound(centre: &Centre) {
    assert!(!centre.log().contains("panicked"), "{}", centre.log());
    assert!(memory(centre) < MEMORY_MAX, "{} bytes", memory(centre));
}

fn connect(centre: &Centre) -> TcpStream {
    let stream = TcpStream::connect(centre.address()).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(40))).expect("a time-out");
    stream
}

/// Sends bytes, and returns the first line of what is answered; `None` where the connection was closed while it was still sent to.
fn answer_to(centre: &Centre, bytes: &[u8]) -> Option<String> {
    let mut stream = connect(centre);
    let sent = stream.write_all(bytes);
    let mut answer = [0; 256];
    match stream.read(&mut answer) {
        Ok(read) => Some(String::from_utf8_lossy(&answer[..read]).lines().next().unwrap_or_default().to_owned()),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => None,
        Err(error) => panic!("{error}, {sent:?}"),
    }
}

fn head(centre: &Centre, headers: &str) -> String {
    format!("POST /api/v1/events HTTP/1.1\r\nHost: a\r\nAuthorization: {}\r\n{headers}\r\n", centre.bearer())
}

#[test]
fn requests_that_lie_cost_their_sender_alone() {
    let centre = Centre::start();
    let with = |headers: &str| head(&centre, headers);
    let huge = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "a: b\r\n".repeat(10_000));
    for (request, expected) in [
        (huge, "431"),
        (many, "431"),
        (with("Content-Length: 99999999999999999999\r\n"), "400"),
        (with("Content-Length: 4000000000\r\n"), "413"),
        (with("Content-Length: 3\r\nContent-Length: 4\r\n"), "400"),
        (with("Transfer-Encoding: chunked\r\n") + "zz\r\nno chunk", "400"),
        (with("Transfer-Encoding: chunked\r\n") + "fffffffffffffffff\r\nx", "400"),
        ("GET / HTTP/9.9\r\n\r\n".into(), "400"),
        ("\u{0}\u{1}\u{2}\r\n\r\n".into(), "400"),
    ] {
        // One that goes on sending what is not read may not hear why.
        let may_miss_it = request.len() > 50_000;
        let answered = answer_to(&centre, request.as_bytes());
        let is_right = answered.as_ref().map_or(may_miss_it, |answered| answered.contains(expected));
        assert!(is_right, "{answered:?} to {request:.400}");
        check_answers(&centre);
    }
    // Requests behind one another are answered in their order.
    let mut stream = connect(&centre);
    let small = with("Content-Length: 13\r\nConnection: keep-alive\r\n") + "{\"cmd\":\"ls\"}\n";
    stream.write_all(small.repeat(20).as_bytes()).expect("sent");
    let mut told = String::new();
    while told.matches("HTTP/1.1 200").count() < 20 {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).expect("an answer");
        assert!(read > 0, "{told}");
        told += &String::from_utf8_lossy(&piece[..read]);
    }
    check_sound(&centre);
}

#[test]
fn what_unpacks_without_end_is_refused() {
    let centre = Centre::start();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&vec![b'0'; 1 << 20]).expect("a vector takes all");
    // Several of these behind one another are one (RFC 1952): two of such bodies would be more than may be in memory.
    let bomb = encoder.finish().expect("a vector takes all").repeat(700);
    let headers = [("content-type", "application/json"), ("content-encoding", "gzip")];
    for path in ["/api/v1/events", "/_bulk", "/v1/logs"] {
        let send = || centre.ask("POST", path, &headers, &bomb).status;
        thread::scope(|scope| {
            let senders: Vec<_> = (0..4).map(|_| scope.spawn(send)).collect();
            check_answers(&centre);
            for sender in senders {
                let status = sender.join().expect("an answer");
                assert!(matches!(status, 413 | 429 | 503), "{path}: {status}");
            }
        });
        assert_eq!(send(), 413, "{path}, where there is room");
    }
    check_sound(&centre);
}

#[test]
fn slow_senders_hold_no_more_than_they_sent() {
    let centre = Centre::start();
    // As many as would fill all its room, if what they say that they will send counted.
    let body = head(&centre, "Content-Length: 32000000\r\n");
    let endless = head(&centre, "Transfer-Encoding: chunked\r\n");
    let mut slow: Vec<TcpStream> = (0..60).map(|_| connect(&centre)).collect();
    for (number, stream) in slow.iter_mut().enumerate() {
        let sent = match number % 3 {
            0 => body.clone() + "{",
            1 => endless.clone() + "1\r\n{\r\n",
            _ => "GET / HTTP/1.1\r\nHost".into(),
        };
        stream.write_all(sent.as_bytes()).expect("sent");
    }
    thread::sleep(Duration::from_millis(500));
    check_answers(&centre);
    let packed = {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(b"{\"cmd\":\"ls\"}\n").expect("a vector takes all");
        encoder.finish().expect("a vector takes all")
    };
    thread::scope(|scope| {
        for _ in 0..24 {
            let (centre, packed) = (&centre, &packed);
            scope.spawn(move || {
                let answered = centre.deliver(&[("content-encoding", "gzip")], packed);
                assert_eq!(answered.status, 200, "small bodies that are packed have room beside one another");
            });
        }
    });
    // Each is closed in its time: headers after 15 seconds, bodies after 30.
    let stream = &mut slow[2];
    let mut rest = Vec::new();
    let began = Instant::now();
    let _ = stream.read_to_end(&mut rest);
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
    check_sound(&centre);
}

#[test]
fn a_body_that_does_not_come_is_waited_for_so_long_and_no_longer() {
    let centre = Centre::start();
    let bearer = centre.bearer();
    let origin = format!("Origin: {}\r\n", centre.url);
    let form = "Content-Type: application/x-www-form-urlencoded\r\n".to_owned() + &origin;
    let json = format!("Content-Type: application/json\r\nAuthorization: {bearer}\r\n");
    let of_key = json.clone() + "Idempotency-Key: k\r\n";
    let mut slow: Vec<(&str, TcpStream)> = [
        ("POST /sign-in", &form),
        ("POST /first-run", &form),
        ("POST /api/v1/tokens", &json),
        ("POST /api/v1/silences", &of_key),
        ("PUT /api/v1/rules/r.yml", &json),
    ]
    .map(|(asked, headers)| {
        let head = format!("{asked} HTTP/1.1\r\nHost: {}\r\n{headers}Content-Length: 5000\r\n\r\n{{", centre.address());
        let mut stream = connect(&centre);
        stream.write_all(head.as_bytes()).expect("sent");
        (asked, stream)
    })
    .into();
    for (asked, stream) in &mut slow {
        let mut answer = [0; 64];
        let read = stream.read(&mut answer).expect(asked);
        assert!(answer[..read].starts_with(b"HTTP/1.1 408 "), "{asked}: {}", String::from_utf8_lossy(&answer));
    }
    // Nor is more taken of a form than one has.
    let head = format!("POST /sign-in HTTP/1.1\r\nHost: a\r\n{form}Content-Length: 100000\r\n\r\n");
    assert!(
        answer_to(&centre, (head + &"t".repeat(100_000)).as_bytes()).is_none_or(|answered| answered.contains("413"))
    );
}

/// Sends a head and so many bytes behind it before anything is read; returns how many were taken, and the answer's first line.
fn sent_before_reading(stream: &mut TcpStream, head: &str, body_bytes: usize) -> (usize, String) {
    stream.write_all(head.as_bytes()).expect("sent");
    let (piece, mut taken) = ([b'{'; 64 << 10], 0);
    while taken < body_bytes {
        let Ok(written) = stream.write(&piece[..piece.len().min(body_bytes - taken)]) else { break };
        taken += written;
    }
    let mut answer = [0; 4096];
    let read = stream.read(&mut answer).unwrap_or(0);
    (taken, String::from_utf8_lossy(&answer[..read]).lines().next().unwrap_or_default().to_owned())
}

#[test]
fn who_sends_all_before_reading_gets_the_answer() {
    let centre = Centre::start();
    let refused = |bytes: usize| format!("POST /api/v1/events HTTP/1.1\r\nHost: a\r\nContent-Length: {bytes}\r\n\r\n");
    let too_large = |bytes: usize| head(&centre, &format!("Content-Length: {bytes}\r\n"));
    for (head, bytes, expected) in [(refused(20 << 20), 20 << 20, "401"), (too_large(40 << 20), 40 << 20, "413")] {
        let mut stream = connect(&centre);
        let (taken, answered) = sent_before_reading(&mut stream, &head, bytes);
        assert_eq!(taken, bytes);
        assert!(answered.contains(expected), "{answered:?} instead of {expected}");
        // The connection is of use for what comes next.
        let (_, answered) = sent_before_reading(&mut stream, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", 0);
        assert!(answered.contains("200"), "{answered:?}");
    }
    check_sound(&centre);
}

#[test]
fn the_rest_of_what_is_refused_is_read_to_a_bound() {
    let centre = Centre::start();
    let endless = "POST /api/v1/events HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n";
    let (taken, _) = sent_before_reading(&mut connect(&centre), endless, 1 << 30);
    assert!((16 << 20..128 << 20).contains(&taken), "{taken} bytes");
    let began = Instant::now();
    // Who sends nothing more is not waited for either.
    let mut quiet = connect(&centre);
    let (_, answered) = sent_before_reading(&mut quiet, endless, 1);
    assert!(answered.contains("401"), "{answered:?}");
    let _ = quiet.read_to_end(&mut Vec::new());
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
    check_answers(&centre);
    check_sound(&centre);
}

#[test]
fn who_asks_before_sending_is_not_told_to_send_what_is_refused() {
    let centre = Centre::start();
    let held_back =
        "POST /api/v1/events HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\n\r\n";
    let mut stream = connect(&centre);
    let (_, answered) = sent_before_reading(&mut stream, held_back, 0);
    assert!(answered.contains("401"), "{answered:?}");
    let (mut rest, began) = (Vec::new(), Instant::now());
    let _ = stream.read_to_end(&mut rest);
    assert!(!String::from_utf8_lossy(&rest).contains("100 Continue") && began.elapsed() < Duration::from_secs(4));
}

#[test]
fn a_rest_that_trickles_does_not_hold_up_the_end() {
    let mut centre = Centre::start();
    let long = "POST /api/v1/events HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n";
    let mut slow = connect(&centre);
    let (_, answered) = sent_before_reading(&mut slow, long, 1);
    assert!(answered.contains("401"), "{answered:?}");
    let began = Instant::now();
    thread::scope(|scope| {
        // Often enough not to count as silent.
        scope.spawn(move || {
            while slow.write_all(b"{").is_ok() && began.elapsed() < PATIENCE {
                thread::sleep(Duration::from_millis(200));
            }
        });
        centre.end();
    });
    assert!(!centre.log().contains("did not end in time"), "{}", centre.log());
}

#[test]
fn what_is_no_form_is_a_problem_like_any_other() {
    let centre = Centre::start();
    let own = ("origin", centre.url.as_str());
    let form = ("content-type", "application/x-www-form-urlencoded");
    for (method, path, headers, body) in [
        ("GET", "/first-run", &[][..], ""),
        ("POST", "/sign-in", &[own], "token=x"),
        ("POST", "/sign-in", &[own, form], "name=x"),
        ("POST", "/first-run", &[own, form], "name=%ff"),
    ] {
        for (accept, expected) in [("*/*", "application/problem+json"), ("text/html", "text/html; charset=utf-8")] {
            let answered = centre.ask(method, path, &[headers, &[("accept", accept)]].concat(), body);
            assert_eq!(
                (answered.status, answered.header("content-type")),
                (400, Some(expected)),
                "{path}: {answered:?}"
            );
        }
    }
    let answered = centre.ask("DELETE", "/sign-in", &[("accept", "text/html")], "");
    assert_eq!((answered.status, answered.header("allow").is_some()), (405, true), "{answered:?}");
}

#[test]
fn ten_thousand_idle_connections_keep_nobody_out() {
    // A centre lets its connections have a part of them, and other tests open many at once.
    if !may_open(16_000) {
        return skipped("ten thousand connections", "this process may not have so many files open");
    }
    let centre = Centre::start();
    let connect = |_| TcpStream::connect(centre.address()).expect("a connection");
    let idle: Vec<TcpStream> = (0..10_000).map(connect).collect();
    check_answers(&centre);
    drop(idle);
    check_answers(&centre);
    check_sound(&centre);
}

#[test]
fn random_bytes_into_every_listener() {
    let (centre, (udp, tcp, tls)) = centre_with_syslog();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let http = centre.address().rsplit_once(':').and_then(|(_, port)| port.parse().ok()).expect("a port");
    let mut seed = 7_u64;
    let mut random = |below: usize| random(&mut seed) as usize % below;
    /// What random bytes are strewn with, so that they get further.
    const WORDS: &[&str] = &[
        "<34>",
        "12 <13>",
        "\n",
        "\0",
        "{\"",
        "\":",
        "[[[[",
        "POST /_bulk HTTP/1.1\r\n",
        "Content-Length: 5\r\n",
        "\r\n\r\n",
        "<34>1 - - - - - [",
        "Nov 24 07:00:00 h a[",
        "99999999999 <",
        "{\"index\":{}}\n",
        "\u{feff}",
        "\u{16}\u{3}\u{1}",
    ];
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(8) {
        let mut bytes = Vec::new();
        for _ in 0..random(60) {
            match random(2) {
                0 => bytes.extend_from_slice(WORDS[random(WORDS.len())].as_bytes()),
                _ => bytes.extend((0..random(20)).map(|_| u8::try_from(random(256)).expect("a byte"))),
            }
        }
        // Each end may close before the other has sent all.
        let _ = socket.send_to(&bytes, ("127.0.0.1", udp));
        for port in [http, tcp, tls] {
            if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
                let _ = stream.write_all(&bytes);
            }
        }
    }
    // What was sent may have filled the room: that is said, and passes.
    wait_until("room", || centre.deliver(&[], "{\"cmd\":\"ls\"}\n").status == 200);
    check_answers(&centre);
    check_sound(&centre);
}
