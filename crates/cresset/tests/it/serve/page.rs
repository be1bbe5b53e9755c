//! The page in a real browser: it lives, it says when it does not, and what it shows of others does nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use serde_json::json;
use ureq::http::Request;

use super::browser::Browser;
use super::{Centre, wait_until};

fn line(command: &str, host: &str, user: &str) -> String {
    json!({ "cmd": command, "host": host, "user": user, "@timestamp": "2026-11-24T07:00:00Z" }).to_string() + "\n"
}

/// Checks that nothing went wrong in the browser.
#[track_caller]
fn check_quiet(browser: &Browser) {
    let complaints = browser.complaints();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn a_detection_appears_on_the_floor_by_itself() {
    let Some(browser) = Browser::start(1920, 1080) else { return };
    let centre = Centre::start();
    browser.sign_in(&centre.url, &centre.token);
    browser.wait("the stream", "document.querySelector('#live').classList.contains('on')");
    browser.eval("(window.isSame = true, 0)");
    centre.deliver(&[], line("whoami", "h1", "ada"));
    browser.wait("the detection", "document.querySelector('#detections tr')?.textContent.includes('Whoami') === true");
    browser
        .wait("its incident", "document.querySelector('#incidents tr')?.textContent.includes('Whoami on h1') === true");
    browser.wait("its tactic", "document.querySelector('#lanes circle.on')?.dataset.tactic === 'Discovery'");
    browser.wait("its source", "document.querySelectorAll('#sources tr').length > 0");
    assert_eq!(browser.eval("window.isSame"), true, "the page was not loaded anew");
    // What the server renders is what the script made of the same.
    let row = "[...document.querySelectorAll('#incidents td:not(:last-child)')].map((td) => td.textContent).join('|')";
    let live = browser.eval(row);
    browser.open(&centre.url);
    assert_eq!(browser.eval(row), live);
    check_quiet(&browser);
}

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
fn values_of_others_are_shown_and_do_nothing() {
    let Some(browser) = Browser::start(1280, 800) else { return };
    let attack = "<script>window.owned=1</script><img src=x onerror=\"window.owned=1\">'\"";
    let rule = crate::RULE.replace("title: Whoami", &format!("title: 'T{}'", attack.replace('\'', "''")));
    let centre = Centre::start_with("", &[("data/rules/r.yml", rule.as_str())]);
    browser.sign_in(&centre.url, &centre.token);
    browser.wait("the stream", "document.querySelector('#live').classList.contains('on')");
    let long = "x".repeat(100_000);
    for (host, user) in [(attack, "\u{202e}nimda\u{1b}[31m"), (&long, attack), ("javascript:window.owned=1", &long)] {
        let answered = centre.deliver(&[], line("whoami", host, user));
        assert_eq!(answered.status, 200, "{answered:?}");
    }
    let rows = "document.querySelectorAll('#detections tr').length === 3";
    browser.wait("all of them", rows);
    browser.wait("their incidents", "document.querySelectorAll('#incidents tr').length > 0");
    check_inert(&browser);
    browser.open(&centre.url);
    browser.wait("all of them, as rendered", rows);
    check_inert(&browser);
    let named = "[...document.querySelectorAll('#detections tr')].find((row) => row.textContent.includes('nimda'))";
    let incident = browser.eval(&format!("{named}.querySelector('a').href"));
    browser.open(incident.as_str().expect("a link"));
    browser.wait("the incident", "document.querySelector('main.incident h1') !== null");
    check_inert(&browser);
    check_quiet(&browser);
}

/// Checks that what attacks is there as text, and has done nothing, also to the layout.
#[track_caller]
fn check_inert(browser: &Browser) {
    assert_eq!(browser.eval("window.owned === undefined"), true);
    let text = browser.eval("document.querySelector('main').textContent");
    let text = text.as_str().expect("a text");
    assert!(text.contains("<script>window.owned=1</script>") && text.contains("\\u{202e}nimda\\u{1b}"), "{text}");
    assert!(!text.contains('\u{202e}'), "nothing turns the writing round");
    assert_eq!(browser.eval("document.querySelectorAll('main script, main img').length"), 0);
    assert_eq!(browser.eval("document.documentElement.scrollWidth <= innerWidth"), true, "nothing sticks out");
}

#[test]
fn colours_are_the_systems_until_one_chooses() {
    let Some(browser) = Browser::start(390, 844) else { return };
    let centre = Centre::start();
    browser.prefer("dark");
    browser.sign_in(&centre.url, &centre.token);
    let ground = "getComputedStyle(document.body).backgroundColor";
    let dark = browser.eval(ground);
    browser.prefer("light");
    let light = browser.eval(ground);
    assert_ne!(light, dark);
    browser.eval("(document.querySelector('#theme').click(), 0)");
    assert_eq!(browser.eval(ground), dark);
    browser.open(&centre.url);
    assert_eq!(browser.eval(ground), dark, "the choice is kept");
    assert_eq!(browser.eval("document.documentElement.scrollWidth <= innerWidth"), true, "it fits a phone");
    check_quiet(&browser);
}

#[test]
fn an_incident_is_worked_on_its_page() {
    let Some(browser) = Browser::start(1280, 800) else { return };
    let centre = Centre::start();
    centre.deliver(&[], line("whoami", "h1", "ada"));
    browser.sign_in(&centre.url, &centre.token);
    browser.eval("(document.querySelector('#incidents a').click(), 0)");
    browser.wait("the incident", "document.querySelector('form[data-act=notes]') !== null");
    browser.eval("(document.querySelector('[name=text]').value = 'asked the harbour', document.querySelector('form[data-act=notes]').requestSubmit(), 0)");
    browser.wait("the note", "document.querySelector('.note')?.textContent.includes('asked the harbour') === true");
    browser.eval("(document.querySelector('[name=state]').value = 'triage', document.querySelector('form[data-act=state]').requestSubmit(), 0)");
    browser.wait("the state", "document.querySelector('.facts').textContent.includes('triage')");
    check_quiet(&browser);
}

#[test]
fn who_may_only_read_is_offered_no_acts() {
    let Some(browser) = Browser::start(1280, 800) else { return };
    let centre = Centre::start();
    let incident = {
        centre.deliver(&[], line("whoami", "h1", "ada"));
        centre.get("/api/v1/incidents").json()["items"][0]["id"].as_str().expect("an id").to_owned()
    };
    browser.sign_in(&centre.url, &centre.token("wall", "viewer"));
    browser.open(&format!("{}/incidents/{incident}", centre.url));
    assert_eq!(browser.eval("document.querySelectorAll('main.incident form').length"), 0);
    check_quiet(&browser);
}

#[test]
fn a_crowd_fits_on_the_wall() {
    let Some(browser) = Browser::start(1920, 1080) else { return };
    let levels = ["critical", "high", "medium"];
    let rules = levels.map(|level| {
        let id = format!("id: {:08}-1111-4111-8111-111111111111", level.len());
        let rule = crate::RULE.replace("id: 11111111-1111-4111-8111-111111111111", &id);
        rule.replace("whoami", &format!("by-{level}")).replace("level: high", &format!("level: {level}"))
    });
    let centre = Centre::start_with("", &[("data/rules/r.yml", rules.join("---\n").as_str())]);
    for source in 0..50 {
        let lines: String = (0..10)
            .map(|at| {
                line(&format!("by-{}", levels[at % 3]), &format!("host-{source}-{at}"), &format!("user-{source}-{at}"))
            })
            .collect();
        let request = Request::post(format!("{}/api/v1/events?source=source-{source}", centre.url));
        let request = request.header("authorization", centre.bearer()).body(lines).expect("a request");
        assert_eq!(centre.send(request).status, 200);
    }
    browser.sign_in(&centre.url, &centre.token);
    let rows = |of: &str| browser.eval(&format!("document.querySelectorAll('#{of} tr').length"));
    assert_eq!((rows("incidents"), rows("sources"), rows("detections")), (json!(200), json!(50), json!(60)));
    let tally = "[...document.querySelectorAll('[data-tally]')].map((part) => part.textContent).join(' ')";
    assert_eq!(browser.eval(tally), "200+ – – –", "what is not listed is not counted as none");
    browser.wait("the stream", "document.querySelector('#live').classList.contains('on')");
    browser.wait(
        "a look at the list",
        "performance.getEntriesByType('resource').some((e) => e.name.includes('/incidents?'))",
    );
    assert_eq!(browser.eval(tally), "200+ – – –");
    assert_eq!(browser.eval("document.querySelectorAll('#lanes .lane').length"), 30);
    assert_eq!(browser.eval("document.documentElement.scrollHeight <= innerHeight"), true, "a wall is not scrolled");
    if let Ok(folder) = std::env::var("PICTURES") {
        browser.picture(&Path::new(&folder).join("crowd.png"));
    }
    check_quiet(&browser);
}

#[test]
fn a_token_that_holds_no_more_leads_to_the_door() {
    let centre = Centre::start();
    let request = Request::get(format!("{}/sign-in", centre.url)).header("cookie", "cresset=cresset_gone");
    let door = centre.send(request.body(()).expect("a request"));
    assert_eq!(door.status, 200, "{door:?}");
    let request = Request::get(format!("{}/api/v1/status", centre.url)).header("cookie", "cresset=cresset_gone");
    assert_eq!(centre.send(request.body(()).expect("a request")).status, 401);
}

#[test]
fn files_of_the_page_are_kept_for_good() {
    let centre = Centre::start();
    let page = centre.get("/sign-in");
    let (_, rest) = page.body.split_once("/assets/").expect("a file");
    let style = centre.get(&format!("/assets/{}", rest.split('"').next().expect("its name")));
    assert_eq!(style.header("cache-control"), Some("public, max-age=31536000, immutable"));
    assert_eq!(style.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(centre.get("/assets/page-0.css").status, 404);
}

/// Delivers the sample's logs.
fn deliver_sample(centre: &Centre) {
    for name in ["access.log.gz", "eve.json.gz", "dns.log.gz", "auth.log"] {
        let body = fs::read(sample().join("logs").join(name)).expect("a log of the sample");
        let source = name.split('.').next().expect("a name");
        let packed = if name.ends_with("gz") { "gzip" } else { "identity" };
        let request = Request::post(format!("{}/api/v1/events?source={source}", centre.url))
            .header("authorization", centre.bearer())
            .header("content-encoding", packed);
        let answered = centre.send(request.body(&body[..]).expect("a request"));
        assert_eq!(answered.status, 200, "{answered:?}");
    }
}

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sample")
}

/// Makes pictures to look at, of which docs/images has the first:
/// `PICTURES=/tmp cargo test -p cresset --test it -- --ignored pictures_of_the_page`.
#[test]
#[ignore = "makes pictures, and checks nothing"]
fn pictures_of_the_page() {
    let folder = PathBuf::from(std::env::var("PICTURES").expect("PICTURES names a folder"));
    let rules = fs::read_to_string(sample().join("rules/harbour.yml")).expect("the sample's rules");
    let advisory = fs::read_to_string(sample().join("intel/advisory.json")).expect("the sample's advisory");
    let files = [("data/rules/harbour.yml", rules.as_str()), ("data/indicators/advisory.json", advisory.as_str())];
    let centre = Centre::start_with("", &files);
    let Some(browser) = Browser::start(1920, 1080) else { return };
    browser.prefer("dark");
    browser.open(&centre.url);
    browser.picture(&folder.join("sign-in.png"));
    browser.sign_in(&centre.url, &centre.token);
    browser.wait("the stream", "document.querySelector('#live').classList.contains('on')");
    browser.picture(&folder.join("empty.png"));
    deliver_sample(&centre);
    wait_until("its detections", || browser.eval("document.querySelectorAll('#detections tr').length > 5") == true);
    // The rate is drawn from what the page has seen.
    thread::sleep(Duration::from_secs(20));
    browser.picture(&folder.join("watch-floor.png"));
    browser.prefer("light");
    browser.picture(&folder.join("light.png"));
    let incident = browser.eval("document.querySelector('#incidents a').href");
    browser.open(incident.as_str().expect("a link"));
    browser.picture(&folder.join("incident-light.png"));
    browser.prefer("dark");
    browser.picture(&folder.join("incident.png"));
    browser.open(&centre.url);
    browser.size(390, 844);
    browser.picture(&folder.join("phone.png"));
    browser.size(1920, 1080);
    drop(centre);
    browser.wait("the sign", "!document.querySelector('#stale').hidden");
    browser.picture(&folder.join("stale.png"));
}
