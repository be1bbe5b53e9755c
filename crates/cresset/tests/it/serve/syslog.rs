//! Syslog as devices send it: every message that came is an event, and what was lost is counted.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use cresset_testing::{not_installed, skipped};

use super::{Centre, free_ports, may_open, wait_until};

/// Finds messages with a word in them.
pub(super) const MARKED: &str = "title: Marked\nid: 22222222-2222-4222-8222-222222222222\nstatus: test\nauthor: A\n\
    logsource: {}\ndetection:\n  sel:\n    message|contains: marked\n  condition: sel\nlevel: high\n";

/// A centre that listens to syslog, and its ports: UDP, TCP and TLS.
pub(super) fn centre() -> (Centre, (u16, u16, u16)) {
    let ports = free_ports();
    let (udp, tcp, tls) = ports;
    let config = format!(
        "[intake]\nsyslog_udp = \"127.0.0.1:{udp}\"\nsyslog_tcp = \"127.0.0.1:{tcp}\"\nsyslog_tls = \"127.0.0.1:{tls}\"\n"
    );
    (Centre::start_with(&config, &[("data/rules/r.yml", MARKED)]), ports)
}

const RFC_3164: &str = "<38>Nov 24 07:00:00 bastion app[8]: marked a";
const RFC_5424: &str = "<38>1 2026-11-24T07:00:00Z bastion app 8 ID1 [a@1 b=\"c\"] marked b";
const BARE: &str = "<38>marked without time and host";

#[test]
fn each_form_over_each_transport_is_an_event() {
    let (mut centre, (udp, tcp, tls)) = centre();
    let sender = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for message in [RFC_3164, RFC_5424, BARE] {
        sender.send_to(message.as_bytes(), ("127.0.0.1", udp)).expect("sent");
    }
    let mut stream = TcpStream::connect(("127.0.0.1", tcp)).expect("a connection");
    write!(stream, "{RFC_3164}\n{RFC_5424}\n").expect("sent");
    write!(stream, "{} {RFC_3164}{} {RFC_5424}", RFC_3164.len(), RFC_5424.len()).expect("sent");
    wait_until("what came over UDP and TCP", || centre.detections() == 7);
    // Two messages that are alike are two: nothing tells that one was sent again.
    let all = centre.get("/api/v1/detections?limit=500").json();
    let hosts = all["items"].as_array().into_iter().flatten().filter(|item| item["host"] == "bastion").count();
    assert_eq!(hosts, 6, "all but the one that names none: {all}");
    let mut expected = 7;
    if let Some(mut sender) = send_over_tls(tls, &format!("{} {RFC_5424}", RFC_5424.len())) {
        expected += 1;
        wait_until("what came over TLS", || centre.detections() == expected);
        // With `-quiet` it does not end by itself.
        let _ = sender.kill();
        sender.wait().expect("it ends");
    }
    centre.end();
    assert_eq!(centre.archived(), expected as u64);
}

/// Sends over TLS by `openssl`, where that is installed.
fn send_over_tls(port: u16, text: &str) -> Option<Child> {
    let sender = Command::new("openssl")
        .args(["s_client", "-quiet", "-connect", &format!("127.0.0.1:{port}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut sender) = sender else {
        not_installed("syslog over TLS", "openssl");
        return None;
    };
    sender.stdin.as_mut().expect("a pipe").write_all(text.as_bytes()).expect("sent");
    Some(sender)
}

#[test]
fn after_a_bad_frame_the_connection_is_closed_and_what_came_before_is_there() {
    let (mut centre, (_, tcp, _)) = centre();
    let mut stream = TcpStream::connect(("127.0.0.1", tcp)).expect("a connection");
    write!(stream, "{} {RFC_3164}no count", RFC_3164.len()).expect("sent");
    wait_until("the message before it", || centre.detections() == 1);
    stream.set_read_timeout(Some(super::PATIENCE)).expect("a time-out");
    let read = stream.read(&mut [0; 1]);
    let is_closed = read.as_ref().map_or_else(|error| error.kind() == ErrorKind::ConnectionReset, |read| *read == 0);
    assert!(is_closed, "{read:?}");
    centre.end();
    assert_eq!(centre.archived(), 1);
}

#[test]
fn what_a_burst_of_datagrams_loses_is_counted() {
    const SENT: u64 = 60_000;
    let (mut centre, (udp, ..)) = centre();
    // While the process stands still the socket's buffer fills up.
    centre.signal("STOP");
    let sender = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for number in 0..SENT {
        let message = format!("<13>Nov 24 07:00:00 h app: {number} {}", "x".repeat(300));
        sender.send_to(message.as_bytes(), ("127.0.0.1", udp)).expect("sent");
        // What is lost before the socket nobody counts.
        if number % 500 == 0 {
            thread::sleep(Duration::from_millis(1));
        }
    }
    centre.signal("CONT");
    let counted = || centre.of_sources("syslog-udp:", "events") + centre.of_sources("syslog-udp:", "lost");
    wait_until("all that was sent", || counted() == SENT);
    assert!(centre.of_sources("syslog-udp:(unread)", "lost") > 0, "the kernel dropped some");
    let events = centre.of_sources("syslog-udp:", "events");
    centre.end();
    assert_eq!(centre.archived(), events);
}

/// More connections than a centre lets syslog have.
const IDLE: u64 = 4200;

#[test]
fn who_opens_too_many_connections_keeps_nobody_out() {
    if !may_open(IDLE) {
        return skipped("more connections than there may be", "this process may not have so many files open");
    }
    let (centre, (_, tcp, _)) = centre();
    // Honest senders of another address, which stays quiet.
    let connect = |_| TcpStream::connect(("127.0.0.1", tcp)).expect("a connection");
    let _idle: Vec<TcpStream> = (0..IDLE).map(connect).collect();
    let mut stream = TcpStream::connect(("127.0.0.1", tcp)).expect("a connection");
    writeln!(stream, "{RFC_3164}").expect("sent");
    wait_until("the message of whoever came last", || centre.detections() == 1);
    assert!(!centre.log().contains("panicked"));
    let limits = fs::read_to_string(format!("/proc/{}/limits", centre.child.id())).expect("its limits");
    let files = limits.lines().find(|line| line.starts_with("Max open files")).expect("a limit of files");
    let columns: Vec<&str> = files.split_whitespace().collect();
    assert_eq!(columns[3], columns[4], "raised to what the system allows");
}
