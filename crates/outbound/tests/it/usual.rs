//! What works: TLS by name, conditions, statuses, credentials, the next address.

use std::time::Duration;

use cresset_outbound::{Answer, Credentials, Destination, Scheme, Validators};

use super::server::{Server, say};
use super::{With, client, fetch, fetch_with, permit, resolver};

#[test]
fn a_thing_is_fetched_over_tls_by_its_name() {
    let server = Server::start_for(&["feeds.example"], |_, out| say(out, "200 OK\r\nETag: \"1\"", b"evil.example\n"));
    let (resolver, asked) = resolver(&[&["127.0.0.1"]]);
    let client = client(&server).with_resolver(resolver);
    let (answer, body) = fetch(&client, &server.url("https", "feeds.example", "/list?a=b")).expect("an answer");
    let validators = Validators { etag: Some("\"1\"".into()), last_modified: None };
    assert_eq!((answer, &*body), (Answer::Whole { bytes: 13, validators }, &b"evil.example\n"[..]));
    let head = &server.heads()[0];
    assert!(head.starts_with("GET /list?a=b HTTP/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("host: feeds.example:{}\r\n", server.port)), "{head}");
    assert!(head.contains(concat!("user-agent: cresset/", env!("CARGO_PKG_VERSION"), "\r\n")), "{head}");
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[test]
fn what_is_here_already_is_not_fetched_again() {
    let server = Server::start(|head, out| match head.contains("if-none-match: \"1\"\r\n") {
        true => say(out, "304 Not Modified", b""),
        false => say(out, "200 OK", b"x"),
    });
    let (client, url, permit) = (client(&server), server.url("http", "127.0.0.1", "/"), permit(&["127.0.0.1"]));
    let known = Validators { etag: Some("\"1\"".into()), last_modified: Some("Sun, 06 Nov 1994 08:49:37 GMT".into()) };
    let with = With { known, ..With::default() };
    assert_eq!(fetch_with(&client, &url, &permit, &with).expect("an answer").0, Answer::Unchanged);
    assert!(server.heads()[0].contains("if-modified-since: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
    // One that knows nothing is not told that nothing has changed.
    let always = Server::start(|_, out| say(out, "304 Not Modified", b""));
    let (answer, _) = fetch(&client, &always.url("http", "127.0.0.1", "/")).expect("an answer");
    assert_eq!(answer, Answer::Status { status: 304, retry_after: None });
}

#[test]
fn a_status_is_a_value() {
    let server = Server::start(|_, out| say(out, "503 Busy\r\nRetry-After: 7", b"<html>later</html>"));
    let (answer, body) = fetch(&client(&server), &server.url("http", "127.0.0.1", "/")).expect("an answer");
    assert_eq!(answer, Answer::Status { status: 503, retry_after: Some(Duration::from_secs(7)) });
    assert!(body.is_empty());
}

#[test]
fn what_is_packed_is_unpacked() {
    let server = Server::start(|_, out| {
        let packed = zstd::encode_all(&b"evil.example\n"[..], 3)?;
        say(out, "200 OK\r\nContent-Encoding: zstd", &packed)
    });
    let (_, body) = fetch(&client(&server), &server.url("http", "127.0.0.1", "/")).expect("an answer");
    assert_eq!(body, b"evil.example\n");
    assert!(server.heads()[0].contains("accept-encoding: gzip, zstd\r\n"));
}

#[test]
fn credentials_go_to_their_host_along_its_redirects() {
    let server = Server::start_for(&["127.0.0.1"], |head, out| match head.starts_with("GET /a ") {
        true => say(out, "302 Found\r\nLocation: /b", b""),
        false => say(out, "200 OK", b"x"),
    });
    let (url, permit) = (server.url("https", "127.0.0.1", "/a"), permit(&["127.0.0.1"]));
    let to = Destination::parse(&url, &permit).expect("an address");
    let credentials = Credentials::new(&Scheme::Bearer, "secret", &to).ok();
    let with = With { credentials, ..With::default() };
    assert_eq!(fetch_with(&client(&server), &url, &permit, &with).expect("an answer").1, b"x");
    let heads = server.heads();
    assert_eq!(heads.len(), 2);
    assert!(heads.iter().all(|head| head.contains("authorization: Bearer secret\r\n")), "{heads:?}");
    // Those for another host stay here.
    let elsewhere = Destination::parse("https://other.example/", &permit).expect("an address");
    let credentials = Credentials::new(&Scheme::Bearer, "secret", &elsewhere).ok();
    let with = With { credentials, ..With::default() };
    fetch_with(&client(&server), &url, &permit, &with).expect("an answer");
    assert!(!server.heads()[2].contains("authorization"));
}

#[test]
fn where_one_address_is_dead_the_next_is_tried() {
    let server = Server::start_for(&["feeds.example"], |_, out| say(out, "200 OK", b"x"));
    let (resolver, _) = resolver(&[&["127.0.0.99", "127.0.0.1"]]);
    let permit = permit(&["127.0.0.0/8"]);
    let client = cresset_outbound::Client::new(permit.clone(), super::tls(&server)).with_resolver(resolver);
    let fetched = fetch_with(&client, &server.url("https", "feeds.example", "/"), &permit, &With::default());
    assert_eq!(fetched.expect("an answer").1, b"x");
}
