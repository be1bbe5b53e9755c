//! Feeds that are fetched: what they name is found without a restart, and what goes wrong with them takes nothing down.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::{Centre, wait_until};

/// What a server says: the rest of an answer's first line, and its body; nothing, and it hangs up.
type Says = Option<(&'static str, &'static str)>;

/// A server of a feed, over TLS, with a certificate that it made itself.
struct Server {
    port: u16,
    certificate: String,
    says: Arc<Mutex<Says>>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(says: Says) -> Self {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned(), "localhost".to_owned()]);
        let made = made.expect("a certificate");
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
        let chain = vec![CertificateDer::from(made.cert.der().to_vec())];
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .expect("a certificate and its key");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (says, heads) = (Arc::new(Mutex::new(says)), Arc::new(Mutex::new(Vec::new())));
        let (said, kept, config) = (Arc::clone(&says), Arc::clone(&heads), Arc::new(config));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let says = *said.lock().expect("no test panics with it");
                // A client that does not trust it goes away.
                let _ = answer(stream, Arc::clone(&config), says, &kept);
            }
        });
        Self { port, certificate: made.cert.pem(), says, heads }
    }

    fn say(&self, says: Says) {
        *self.says.lock().expect("no test panics with it") = says;
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("no test panics with it").clone()
    }

    /// A centre that fetches its feed every second, by this host, with these lines more.
    fn centre(&self, host: &str, lines: &str) -> Centre {
        let config = format!(
            "{lines}\n[[feeds]]\nname = \"partner\"\nurl = \"https://{host}:{}/list?key=hunter2\"\nevery_seconds = 1\n\
             ca = \"ca.pem\"\ncredentials = \"partner.key\"\n",
            self.port
        );
        Centre::start_with(&config, &[("ca.pem", &self.certificate), ("partner.key", "a token\n")])
    }
}

fn answer(stream: TcpStream, config: Arc<ServerConfig>, says: Says, heads: &Mutex<Vec<String>>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let Some((head, body)) = says else { return Ok(()) };
    let mut stream = StreamOwned::new(ServerConnection::new(config).map_err(std::io::Error::other)?, stream);
    let (mut asked, mut byte) = (Vec::new(), [0]);
    while !asked.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        asked.push(byte[0]);
    }
    heads.lock().expect("no test panics with it").push(String::from_utf8_lossy(&asked).into_owned());
    write!(stream, "HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())?;
    stream.conn.send_close_notify();
    stream.flush()
}

/// Delivers an event that asks for this name on this host.
fn deliver(centre: &Centre, host: &str, name: &str) {
    let line = format!("{{\"query\":\"{name}\",\"host\":\"{host}\",\"@timestamp\":\"2026-11-24T07:00:00Z\"}}\n");
    assert_eq!(centre.deliver(&[], line).status, 200);
}

/// Returns the hosts of what was found under this title.
fn found(centre: &Centre, title: &str) -> Vec<String> {
    let found = centre.items("/api/v1/detections");
    let found = found.iter().filter(|one| one["title"] == title);
    found.map(|one| one["host"].as_str().unwrap_or_default().to_owned()).collect()
}

fn feed(centre: &Centre) -> Value {
    centre.get("/api/v1/status").json()["feeds"][0].take()
}

#[track_caller]
fn wait_for_error(centre: &Centre, part: &str) {
    wait_until(part, || feed(centre)["last_error"].as_str().is_some_and(|error| error.contains(part)));
}

const LISTED: &str = "[outbound]\nprivate = [\"127.0.0.1\"]";

#[test]
fn what_a_feed_names_is_found_without_a_restart() {
    let server = Server::start(Some(("200 OK\r\nETag: \"1\"", "evil.example # seen in May\n")));
    let centre = server.centre("127.0.0.1", LISTED);
    wait_until("the indicator", || centre.get("/api/v1/status").json()["indicators"] == 1);
    deliver(&centre, "h1", "a.evil.example");
    wait_until("what it finds", || found(&centre, "seen in May") == ["h1"]);
    // What is here already is asked for as that, with the token.
    server.say(Some(("304 Not Modified", "")));
    wait_until("a condition", || server.heads().iter().any(|head| head.contains("if-none-match: \"1\"\r\n")));
    assert!(server.heads().iter().all(|head| head.contains("authorization: Bearer a token\r\n")));
    assert!(server.heads()[0].starts_with("GET /list?key=hunter2 HTTP/1.1\r\n"));
    // It changes: one goes, one comes, which looks into the past as well.
    deliver(&centre, "h2", "b.worse.example");
    server.say(Some(("200 OK\r\nETag: \"2\"", "worse.example # seen in June\n")));
    wait_until("what it finds in the past", || found(&centre, "seen in June") == ["h2"]);
    deliver(&centre, "h3", "a.evil.example");
    deliver(&centre, "h4", "b.worse.example");
    wait_until("what it finds now", || found(&centre, "seen in June").len() == 2);
    assert_eq!(found(&centre, "seen in May"), ["h1"]);
    let shown = centre.cresset(&["status"]);
    assert!(shown.status == 0 && shown.out.contains("partner") && !shown.out.contains("hunter2"), "{}", shown.out);
    assert!(!centre.log().contains("hunter2") && !centre.log().contains("a token"), "{}", centre.log());
}

#[test]
fn a_server_that_fails_costs_nothing_but_freshness() {
    let server = Server::start(Some(("200 OK", "evil.example # seen in May\n")));
    let mut centre = server.centre("127.0.0.1", LISTED);
    wait_until("the indicator", || centre.get("/api/v1/status").json()["indicators"] == 1);
    for (says, part) in [
        (Some(("200 OK", "<html>please sign in</html>")), "a page, not a feed"),
        (Some(("200 OK", "not one of these\nlines is an indicator\n")), "nothing of what came can be used"),
        (Some(("403 Forbidden", "")), "the server answers 403: it wants credentials"),
        (None, "no TLS with `127.0.0.1`"),
    ] {
        server.say(says);
        wait_for_error(&centre, part);
    }
    wait_until("that it is an incident", || found(&centre, "A Feed Of Indicators Cannot Be Fetched").len() == 1);
    let status = feed(&centre);
    assert!(status["failures"].as_u64() >= Some(4) && status["last_success"].is_string(), "{status}");
    assert_eq!((&status["bytes"], &status["indicators"]), (&27.into(), &1.into()));
    let figures = centre.get("/metrics").body;
    for figure in ["cresset_feed_age_seconds{feed=\"partner\"} ", "cresset_feed_failures{feed=\"partner\"} "] {
        assert!(figures.contains(figure), "{figures}");
    }
    assert!(centre.cresset(&["status"]).out.contains("no TLS with"));
    // Also after a restart, with nobody there, the last good one counts.
    centre.end();
    centre.start_again();
    deliver(&centre, "h1", "a.evil.example");
    wait_until("what it finds", || found(&centre, "seen in May") == ["h1"]);
    wait_for_error(&centre, "no TLS with `127.0.0.1`");
    assert_eq!(feed(&centre)["indicators"], 1);
    // It is had again.
    server.say(Some(("200 OK", "evil.example # seen in May\nworse.example\n")));
    wait_until("that all is well", || {
        let feed = feed(&centre);
        feed["last_error"].is_null() && feed["failures"] == 0 && feed["indicators"] == 2
    });
}

#[test]
fn what_is_not_listed_is_not_gone_to() {
    let server = Server::start(Some(("200 OK", "evil.example\n")));
    let centre = server.centre("localhost", "");
    wait_for_error(&centre, "under `private` if it is meant");
    let error = feed(&centre)["last_error"].to_string();
    assert!(error.contains("`localhost` leads to") && error.contains("this machine"), "{error}");
    assert!(server.heads().is_empty());
    // One that says so itself is refused before anything starts.
    let config = "data = \"other\"\n[[feeds]]\nname = \"a\"\nurl = \"https://127.1/list\"\n";
    fs::write(centre.path().join("other.toml"), config).expect("room");
    let checked = centre.cresset_alone(&["config", "check", "other.toml"]);
    assert_ne!(checked.status, 0);
    let told = format!("{}{}", checked.out, checked.err);
    assert!(told.contains("feeds: `a`") && told.contains("list 127.0.0.1 under `private`"), "{told}");
    assert!(!Path::new(&centre.path().join("other")).exists());
}
