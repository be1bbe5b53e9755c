//! What holds for every answer, and who is let in: headers, problems, cookies, lock-out and limits.

use std::fs;
use std::thread;

use ureq::http::Request;

use super::{Answered, Centre, wait_until};

/// Headers that no answer is without.
const HEADERS: [&str; 5] =
    ["content-security-policy", "x-content-type-options", "x-frame-options", "referrer-policy", "cache-control"];

fn plain(centre: &Centre, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answered {
    let mut request = Request::builder().method(method).uri(format!("{}{path}", centre.url));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    centre.send(request.body(body.to_owned()).expect("a request"))
}

#[test]
fn every_answer_has_the_headers_and_every_refusal_is_a_problem() {
    let centre = Centre::start();
    let bearer = centre.bearer();
    let signed_in: &[(&str, &str)] = &[("authorization", &bearer)];
    let json: &[(&str, &str)] = &[("authorization", &bearer), ("content-type", "application/json")];
    for (method, path, headers, body, status) in [
        ("GET", "/nowhere", &[][..], "", 404),
        ("GET", "/api/v1/nowhere", signed_in, "", 404),
        ("GET", "/api/v1/incidents", &[], "", 401),
        ("PATCH", "/api/v1/incidents", signed_in, "", 405),
        ("OPTIONS", "/api/v1/incidents", signed_in, "", 405),
        ("GET", "/api/v1/incidents?limit=x", signed_in, "", 400),
        ("GET", "/api/v1/detections/%ff", signed_in, "", 404),
        ("GET", "/api/v1/detections/0", signed_in, "", 404),
        ("POST", "/api/v1/tasks/99999999999999999999999/done", signed_in, "", 404),
        ("POST", "/api/v1/tokens", signed_in, "{}", 415),
        ("POST", "/api/v1/tokens", json, "{", 400),
        ("POST", "/api/v1/tokens", json, "{\"name\":\"n\",\"role\":\"viewer\",\"more\":1}", 400),
    ] {
        let answered = plain(&centre, method, path, headers, body);
        assert_eq!(answered.status, status, "{method} {path}: {answered:?}");
        assert_eq!(answered.header("content-type"), Some("application/problem+json"), "{method} {path}");
        assert_eq!(answered.json()["status"], status);
        assert_eq!(answered.header("allow").is_some(), status == 405, "{answered:?}");
        check_headers(&answered);
    }
    for path in ["/", "/sign-in", "/healthz", "/readyz", "/api/v1/openapi.json"] {
        let answered = plain(&centre, "GET", path, &[("accept", "text/html")], "");
        assert!(answered.status < 400, "{path}: {answered:?}");
        check_headers(&answered);
        assert_eq!(answered.header("x-elastic-product"), None, "{path}");
    }
    let head = plain(&centre, "HEAD", "/api/v1/incidents", signed_in, "");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}

#[track_caller]
fn check_headers(answered: &Answered) {
    for name in HEADERS {
        assert!(answered.header(name).is_some(), "{name}: {answered:?}");
    }
}

#[test]
fn with_a_cookie_only_our_own_page_does_anything() {
    let centre = Centre::start();
    let cookie = format!("cresset={}", centre.token);
    let origin = centre.url.clone();
    let note = |headers: &[(&str, &str)]| {
        let mut all = vec![("cookie", cookie.as_str()), ("content-type", "application/json")];
        all.extend(headers);
        plain(&centre, "POST", "/api/v1/tokens", &all, "{\"name\":\"n\",\"role\":\"viewer\"}").status
    };
    assert_eq!(
        plain(&centre, "GET", "/api/v1/whoami", &[("cookie", &cookie)], "").status,
        200,
        "reading changes nothing"
    );
    assert_eq!(note(&[]), 401, "nobody says where it is from");
    assert_eq!(note(&[("sec-fetch-site", "cross-site"), ("origin", &origin)]), 401);
    assert_eq!(note(&[("sec-fetch-site", "same-site")]), 401, "another name of ours is not the page");
    assert_eq!(note(&[("origin", "http://evil.example")]), 401);
    assert_eq!(note(&[("origin", "null")]), 401);
    assert_eq!(note(&[("sec-fetch-site", "same-origin")]), 201);
    assert_eq!(note(&[("origin", &origin)]), 201);
}

#[test]
fn a_token_in_an_address_lets_nobody_in_and_is_not_in_the_log() {
    let centre = Centre::start();
    for path in ["/api/v1/whoami?token=", "/api/v1/whoami?access_token="] {
        assert_eq!(plain(&centre, "GET", &format!("{path}{}", centre.token), &[], "").status, 401);
    }
    let log = fs::read_to_string(centre.path().join("log")).expect("its log");
    let (_, secret) = centre.token.rsplit_once('_').expect("a secret");
    assert!(!log.contains(secret), "{log}");
}

#[test]
fn a_centre_that_has_read_nothing_says_so_in_plain_numbers() {
    let centre = Centre::start();
    let status = centre.get("/api/v1/status").body;
    assert!(status.contains("\"rate\":0.0"), "{status}");
}

#[test]
fn who_is_wrong_too_often_is_locked_out() {
    let centre = Centre::start_with("[limits]\nwrong_tokens = 3\n", &[]);
    for _ in 0..3 {
        assert_eq!(plain(&centre, "GET", "/api/v1/whoami", &[("authorization", "Bearer none")], "").status, 401);
    }
    let again = || plain(&centre, "GET", "/api/v1/whoami", &[("authorization", "Bearer none")], "");
    // With time one more is let off.
    wait_until("the lock", || again().status == 429);
    let locked = again();
    assert_eq!((locked.status, &locked.json()["type"]), (429, &"/problems/too-many".into()));
    assert!(locked.header("retry-after").and_then(|after| after.parse::<u64>().ok()).is_some_and(|after| after > 0));
    assert_eq!(centre.get("/api/v1/whoami").status, 429, "whatever token comes next");
    assert_eq!(plain(&centre, "GET", "/healthz", &[], "").status, 200);
}

#[test]
fn who_asks_too_much_is_told_to_wait() {
    let centre = Centre::start_with("[limits]\nrequests_a_second = 1\n", &[]);
    let ask = || centre.get("/api/v1/whoami").status;
    assert_eq!([ask(), ask()], [200, 200]);
    thread::scope(|scope| {
        let many: Vec<_> = (0..40).map(|_| scope.spawn(ask)).collect();
        let answers: Vec<u16> = many.into_iter().map(|one| one.join().expect("an answer")).collect();
        assert!(answers.contains(&429), "{answers:?}");
    });
}
