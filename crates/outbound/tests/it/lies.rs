//! Servers that lie, dawdle, or never end: each meets its bound.

use std::thread::sleep;
use std::time::Duration;

use cresset_outbound::{BodyError, Bounds, FetchError};

use super::server::{Say, Server, say};
use super::{AMPLE, BYTES_MAX, SOON, client, fetch, told};

/// How long a server that says nothing more keeps quiet: longer than any bound.
const QUIET: Duration = Duration::from_secs(600);

/// Fetches from a server that says this within these bounds, and returns why there is no answer.
fn failed_within(bounds: Bounds, say: Say) -> (FetchError, Server) {
    let server = Server::start(say);
    let fetched = fetch(&client(&server).with_bounds(bounds), &server.url("http", "127.0.0.1", "/"));
    (fetched.expect_err("no answer"), server)
}

/// The same where there is time enough for all of it.
fn failed(say: Say) -> (FetchError, Server) {
    failed_within(AMPLE, say)
}

#[track_caller]
fn check_late(what: &str, bounds: Bounds, say: Say) {
    let (error, _) = failed_within(bounds, say);
    assert!(matches!(&error, FetchError::Late { what: late, .. } if *late == what), "{}", told(&error));
}

#[track_caller]
fn check_broken(say: Say) {
    let (error, _) = failed(say);
    assert!(matches!(error, FetchError::Broken(_)), "{}", told(&error));
}

#[track_caller]
fn check_too_long(say: Say) {
    let (error, _) = failed(say);
    assert!(matches!(error, FetchError::Body(BodyError::TooLong { bytes_max: BYTES_MAX })), "{}", told(&error));
}

fn pause() {
    sleep(Duration::from_millis(50));
}

#[test]
fn one_that_says_nothing() {
    check_late("the answer", Bounds { answer: SOON, ..AMPLE }, |_, _| {
        sleep(QUIET);
        Ok(())
    });
}

#[test]
fn one_whose_head_comes_byte_by_byte() {
    check_late("the answer", Bounds { answer: SOON, ..AMPLE }, |_, out| {
        for byte in b"HTTP/1.1 200 OK\r\n".iter().chain([b'a'; 200].iter()) {
            out.write_all(&[*byte])?;
            pause();
        }
        Ok(())
    });
}

#[test]
fn one_that_promises_an_answer_again_and_again() {
    let (error, _) = failed_within(Bounds { answer: SOON, ..AMPLE }, |_, out| {
        loop {
            out.write_all(b"HTTP/1.1 102 Processing\r\n\r\n")?;
            sleep(Duration::from_millis(5));
        }
    });
    assert!(matches!(error, FetchError::Late { .. } | FetchError::Broken(_)), "{}", told(&error));
}

#[test]
fn one_whose_headers_do_not_end() {
    check_broken(|_, out| {
        write!(out, "HTTP/1.1 200 OK\r\n")?;
        for number in 0.. {
            write!(out, "x-{number}: {}\r\n", "a".repeat(1000))?;
        }
        Ok(())
    });
    check_broken(|_, out| {
        write!(out, "HTTP/1.1 200 OK\r\nx: ")?;
        loop {
            out.write_all(&[b'a'; 1000])?;
        }
    });
}

#[test]
fn one_whose_body_stands_still() {
    check_late("the next part of the answer", Bounds { quiet: SOON, ..AMPLE }, |_, out| {
        write!(out, "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc")?;
        out.flush()?;
        sleep(QUIET);
        Ok(())
    });
}

#[test]
fn one_whose_body_drips() {
    check_late("all of it", Bounds { whole: SOON * 4, ..AMPLE }, |_, out| {
        write!(out, "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")?;
        for _ in 0..1000 {
            out.write_all(b"a")?;
            out.flush()?;
            pause();
        }
        Ok(())
    });
}

#[test]
fn one_whose_body_is_shorter_than_it_says() {
    check_broken(|_, out| write!(out, "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc"));
    check_broken(|_, out| write!(out, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab"));
}

#[test]
fn one_whose_body_is_longer_than_is_taken() {
    check_too_long(|_, out| write!(out, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", BYTES_MAX + 1));
    check_too_long(|_, out| {
        write!(out, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")?;
        loop {
            out.write_all(&[b'a'; 1000])?;
        }
    });
    check_too_long(|_, out| {
        write!(out, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
        loop {
            write!(out, "3e8\r\n{}\r\n", "a".repeat(1000))?;
        }
    });
    check_too_long(|_, out| {
        let bomb = zstd::encode_all(&vec![0; 400_000][..], 1)?;
        say(out, "200 OK\r\ncontent-encoding: zstd", &bomb)
    });
}

#[test]
fn one_whose_lengths_make_no_sense() {
    for say in [
        (|_, out| write!(out, "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab")) as Say,
        |_, out| write!(out, "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\nab"),
        |_, out| write!(out, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\nab"),
        |_, out| write!(out, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;{}\r\na", "x".repeat(100_000)),
        |_, out| write!(out, "SSH-2.0-OpenSSH_9.6\r\n"),
        |_, out| write!(out, "evil.example\nworse.example\n"),
        |_, _| Ok(()),
    ] {
        check_broken(say);
    }
}

#[test]
fn one_that_redirects_in_circles() {
    let (error, server) = failed(|head, out| {
        let to = if head.starts_with("GET /a ") { "/b" } else { "/a" };
        say(out, &format!("302 Found\r\nLocation: {to}"), b"")
    });
    assert!(matches!(error, FetchError::Redirects), "{}", told(&error));
    assert_eq!(server.heads().len(), 6);
}

#[test]
fn one_that_packs_as_nobody_asked() {
    let (error, _) = failed(|_, out| say(out, "200 OK\r\ncontent-encoding: gzip\r\ncontent-encoding: gzip", b"x"));
    assert!(matches!(error, FetchError::Body(BodyError::Encoding(_))), "{}", told(&error));
    let (error, _) = failed(|_, out| say(out, "200 OK\r\ncontent-encoding: gzip", b"x"));
    assert!(matches!(error, FetchError::Body(BodyError::Damaged(_))), "{}", told(&error));
}

#[test]
fn one_that_is_no_longer_there() {
    let server = Server::start(|_, _| Ok(()));
    // A port that is given to nobody who asks for any.
    let error = fetch(&client(&server), "http://127.0.0.1:1/").expect_err("nobody is there");
    assert!(matches!(error, FetchError::Connect { .. }), "{}", told(&error));
}
