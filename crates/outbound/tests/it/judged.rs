//! What is not gone to: judged before a connection is made, whatever names, redirects and certificates say.

use cresset_outbound::{Client, FetchError, Reach, Refused};

use super::server::{Server, say};
use super::{With, client, fetch, fetch_with, permit, resolver, told};

/// Fetches from a name that resolves so, call by call, and returns why not.
fn refused(server: &Server, private: &[&str], answers: &[&[&str]]) -> FetchError {
    let permit = permit(private);
    let client = Client::new(permit.clone(), super::tls(server)).with_resolver(resolver(answers).0);
    let fetched = fetch_with(&client, &server.url("https", "feeds.example", "/"), &permit, &With::default());
    fetched.expect_err("it is not gone to")
}

#[test]
fn this_machine_is_not_gone_to_unless_it_is_listed() {
    let server = Server::start_for(&["127.0.0.1", "feeds.example"], |_, out| say(out, "200 OK", b"x"));
    let nothing = permit(&[]);
    let client = Client::new(nothing.clone(), super::tls(&server));
    for host in ["127.0.0.1", "2130706433", "127.1", "localhost"] {
        let url = server.url("https", host, "/");
        let error = fetch_with(&client, &url, &nothing, &With::default()).expect_err(host);
        let is_refused = matches!(&error, FetchError::Refused(Refused::Address { reach: Reach::Loopback, .. }));
        assert!(is_refused && told(&error).contains("under `private` if it is meant"), "{host}: {}", told(&error));
    }
    assert!(server.heads().is_empty());
}

#[test]
fn a_name_with_a_public_and_a_private_address_is_not_believed() {
    let server = Server::start_for(&["feeds.example"], |_, out| say(out, "200 OK", b"x"));
    for addresses in
        [["93.184.215.14", "127.0.0.1"], ["127.0.0.1", "93.184.215.14"], ["2606:4700::1", "::ffff:10.0.0.1"]]
    {
        let error = refused(&server, &[], &[&addresses]);
        assert!(matches!(error, FetchError::Refused(Refused::Address { .. })), "{addresses:?}: {}", told(&error));
    }
    // Not even what is listed is gone to, though it comes first.
    let error = refused(&server, &["127.0.0.1"], &[&["127.0.0.1", "10.0.0.1"]]);
    assert!(matches!(error, FetchError::Refused(Refused::Address { .. })), "{}", told(&error));
    assert!(server.heads().is_empty());
    assert!(told(&refused(&server, &[], &[&[]])).contains("it has no address"));
}

/// What the name leads to changes between two looks: the second is judged as the first was.
#[test]
fn a_name_that_is_rebound_is_judged_again() {
    let server = Server::start_for(&["feeds.example"], |_, out| say(out, "307 Again\r\nLocation: /next", b""));
    let error = refused(&server, &["127.0.0.1"], &[&["127.0.0.1"], &["10.0.0.1"]]);
    let is_refused = matches!(&error, FetchError::Refused(Refused::Address { reach: Reach::Private, .. }));
    assert!(is_refused, "{}", told(&error));
    assert_eq!(server.heads().len(), 1);
}

#[test]
fn a_redirect_to_another_place_is_not_followed() {
    let server = Server::start(|head, out| {
        let location = match head.split(' ').nth(1) {
            Some("/host") => "http://feeds.example/",
            Some("/port") => "http://127.0.0.1:1/",
            Some("/inside") => "http://10.0.0.1/",
            Some("/metadata") => "http://169.254.169.254/latest/meta-data/",
            Some("/file") => "file:///etc/passwd",
            _ => "//feeds.example/",
        };
        say(out, &format!("302 Found\r\nLocation: {location}"), b"")
    });
    for path in ["/host", "/port", "/inside", "/metadata", "/file", "/other"] {
        let error = fetch(&client(&server), &server.url("http", "127.0.0.1", path)).expect_err(path);
        assert!(matches!(error, FetchError::Refused(_)), "{path}: {}", told(&error));
    }
    assert_eq!(server.heads().len(), 6);
}

#[test]
fn a_certificate_is_for_the_name_and_from_somebody_who_is_believed() {
    let server = Server::start_for(&["other.example"], |_, out| say(out, "200 OK", b"x"));
    let client = client(&server).with_resolver(resolver(&[&["127.0.0.1"]]).0);
    let error = fetch(&client, &server.url("https", "feeds.example", "/")).expect_err("another name");
    assert!(matches!(error, FetchError::Tls { .. }) && told(&error).contains("name"), "{}", told(&error));
    let stranger = Server::start_for(&["other.example"], |_, out| say(out, "200 OK", b"x"));
    let error = fetch(&client, &stranger.url("https", "other.example", "/")).expect_err("nobody vouches for it");
    assert!(matches!(error, FetchError::Tls { .. }) && told(&error).contains("name it with `ca`"), "{}", told(&error));
    assert!(server.heads().is_empty() && stranger.heads().is_empty());
}
