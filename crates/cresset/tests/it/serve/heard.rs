//! What the page has heard: what came before it listened, and when it hears nothing any more.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::Centre;
use super::browser::Browser;
use super::page::line;

#[test]
fn a_page_that_hears_nothing_says_so() {
    let Some(browser) = Browser::start(1280, 800) else { return };
    let mut centre = Centre::start();
    browser.sign_in(&centre.url, &centre.token);
    browser.wait("the stream", "document.querySelector('#live').classList.contains('on')");
    assert_eq!(browser.eval("document.querySelector('#stale').hidden"), true);
    centre.signal("KILL");
    centre.child.wait().expect("it ends");
    browser.wait("the sign", "!document.querySelector('#stale').hidden");
    let said = browser.eval("document.querySelector('#stale').textContent");
    assert!(said.as_str().is_some_and(|said| said.contains("last heard at")), "{said}");
}

#[test]
fn a_stream_that_is_held_back_on_the_way_is_noticed() {
    let Some(browser) = Browser::start(1280, 800) else { return };
    let centre = Centre::start();
    let url = holding_back(&centre.address(), None);
    browser.sign_in(&url, &centre.token);
    browser.wait("the stream", "document.querySelector('#live').classList.contains('on')");
    browser.wait("the sign", "!document.querySelector('#stale').hidden");
    assert_eq!(browser.eval("document.querySelector('#live-said').textContent"), "Not live");
}

#[test]
fn what_comes_before_the_stream_is_open_is_on_the_floor_as_well() {
    let Some(browser) = Browser::start(1280, 800) else { return };
    let centre = Centre::start();
    let is_let_go = Arc::new(AtomicBool::new(false));
    let url = holding_back(&centre.address(), Some(Arc::clone(&is_let_go)));
    browser.sign_in(&url, &centre.token);
    centre.deliver(&[], line("whoami", "h1", "ada"));
    assert_eq!(browser.eval("document.querySelectorAll('#detections tr').length"), 0);
    is_let_go.store(true, Ordering::Relaxed);
    browser.wait("the detection", "document.querySelectorAll('#detections tr').length === 1");
    browser.wait("its incident", "document.querySelectorAll('#incidents tr').length === 1");
}

/// Starts a proxy, of one request a connection, and returns its address. Of a stream it passes on the head and nothing of the body;
/// or nothing at all before it lets go, and then all.
fn holding_back(to: &str, let_go: Option<Arc<AtomicBool>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let to = to.to_owned();
    thread::spawn(move || {
        for client in listener.incoming() {
            let (client, server) = (client.expect("a connection"), TcpStream::connect(&to).expect("the centre"));
            let let_go = let_go.clone();
            thread::spawn(move || pass(client, server, let_go));
        }
    });
    url
}

/// Passes on one request and its answer. Either side may go away before the other.
fn pass(client: TcpStream, server: TcpStream, let_go: Option<Arc<AtomicBool>>) {
    let end = |stream: &TcpStream| stream.try_clone().expect("another of it");
    let (mut to_client, mut to_server) = (end(&client), end(&server));
    let mut client = BufReader::new(client);
    let head = head_of(&mut client).replacen("\r\n", "\r\nConnection: close\r\n", 1);
    let head = head.replace("Connection: keep-alive\r\n", "");
    let _ = to_server.write_all(head.as_bytes());
    thread::spawn(move || io::copy(&mut client, &mut to_server));
    let mut server = BufReader::new(server);
    let is_stream = head.starts_with("GET /api/v1/stream ");
    while is_stream && let_go.as_ref().is_some_and(|let_go| !let_go.load(Ordering::Relaxed)) {
        thread::sleep(Duration::from_millis(20));
    }
    let _ = to_client.write_all(head_of(&mut server).as_bytes());
    let _ = match is_stream && let_go.is_none() {
        true => io::copy(&mut server, &mut io::sink()),
        false => io::copy(&mut server, &mut to_client),
    };
    let _ = to_client.shutdown(Shutdown::Both);
}

/// Reads the head of a request or an answer.
fn head_of(stream: &mut impl BufRead) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).is_ok_and(|read| read > 0) {}
    head
}
