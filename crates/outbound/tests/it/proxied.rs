//! Through a proxy: it is told the name, and TLS is with whoever has it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use cresset_outbound::{Client, FetchError, Proxy};

use super::server::{Server, read_head, say};
use super::{With, fetch, fetch_with, permit, resolver, told};

/// A proxy that leads everybody to one port of this machine, or answers with this status.
fn proxy(to: u16, status: &'static str) -> (Option<Proxy>, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&heads);
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let head = read_head(&mut stream).expect("a request");
            kept.lock().expect("no test panics with it").push(head);
            write!(stream, "HTTP/1.1 {status}\r\n\r\n").expect("a client");
            if status.starts_with("200") {
                join(stream, TcpStream::connect(("127.0.0.1", to)).expect("a server"));
            }
        }
    });
    (Proxy::parse(&format!("http://127.0.0.1:{port}")).ok(), heads)
}

fn join(one: TcpStream, other: TcpStream) {
    let copy = |mut from: TcpStream, mut to: TcpStream| {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            if to.write_all(&bytes[..count]).is_err() {
                return;
            }
        }
        let _ = to.shutdown(std::net::Shutdown::Write);
    };
    let (back, forth) = (one.try_clone().expect("a stream"), other.try_clone().expect("a stream"));
    thread::spawn(move || copy(one, other));
    thread::spawn(move || copy(forth, back));
}

#[test]
fn a_proxy_is_told_the_name_and_sees_nothing_more() {
    let server = Server::start_for(&["feeds.example"], |_, out| say(out, "200 OK", b"x"));
    let (proxy, heads) = proxy(server.port, "200 OK");
    let (resolver, asked) = resolver(&[&["10.0.0.1"]]);
    let client = Client::new(permit(&[]), super::tls(&server)).with_resolver(resolver).with_proxy(proxy);
    let fetched = fetch_with(&client, "https://feeds.example/list?key=secret", &permit(&[]), &With::default());
    assert_eq!(fetched.expect("an answer").1, b"x");
    let heads = heads.lock().expect("no test panics with it");
    assert!(heads[0].starts_with("CONNECT feeds.example:443 HTTP/1.1\r\n"), "{heads:?}");
    assert!(heads.iter().all(|head| !head.contains("secret")), "{heads:?}");
    // Whose addresses it has is the proxy's matter.
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[test]
fn a_proxy_alone_is_told_its_password() {
    let server = Server::start_for(&["feeds.example"], |_, out| say(out, "200 OK", b"x"));
    let (proxy, heads) = proxy(server.port, "200 OK");
    let proxy = proxy.expect("an address").with_password("Aladdin:open sesame\n").expect("a pair");
    assert!(!format!("{proxy:?}").contains("QWxh"), "{proxy:?}");
    let client = Client::new(permit(&[]), super::tls(&server)).with_proxy(Some(proxy));
    let fetched = fetch_with(&client, "https://feeds.example/list", &permit(&[]), &With::default());
    assert_eq!(fetched.expect("an answer").1, b"x");
    let told = "proxy-authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n";
    assert!(heads.lock().expect("no test panics with it")[0].contains(told));
    assert!(server.heads().iter().all(|head| !head.contains("authorization")), "{:?}", server.heads());
}

#[test]
fn a_proxy_that_wants_a_password_says_so() {
    let server = Server::start_for(&["feeds.example"], |_, out| say(out, "200 OK", b"x"));
    let client =
        Client::new(permit(&[]), super::tls(&server)).with_proxy(proxy(0, "407 Proxy Authentication Required").0);
    let error = fetch_with(&client, "https://feeds.example/", &permit(&[]), &With::default()).expect_err("refused");
    assert!(told(&error).contains("it wants a name and a password"), "{}", told(&error));
}

#[test]
fn a_proxy_that_refuses_is_told_apart() {
    let server = Server::start_for(&["feeds.example"], |_, out| say(out, "200 OK", b"x"));
    let client = Client::new(permit(&[]), super::tls(&server)).with_proxy(proxy(0, "403 Forbidden").0);
    let error = fetch_with(&client, "https://feeds.example/", &permit(&[]), &With::default()).expect_err("refused");
    assert!(matches!(error, FetchError::Proxy { status: 403, .. }), "{}", told(&error));
    assert!(server.heads().is_empty());
}

#[test]
fn what_is_listed_as_private_is_reached_from_here() {
    let server = Server::start_for(&["127.0.0.1"], |_, out| say(out, "200 OK", b"x"));
    let (proxy, heads) = proxy(0, "403 Forbidden");
    let client = super::client(&server).with_proxy(proxy);
    assert_eq!(fetch(&client, &server.url("https", "127.0.0.1", "/")).expect("an answer").1, b"x");
    assert!(heads.lock().expect("no test panics with it").is_empty());
}
