//! The page in a real browser: it lives, it says when it does not, and what it shows of others does nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use cresset_testing::not_installed;
use serde_json::json;
use ureq::http::Request;

use super::browser::Browser;
use super::{Centre, wait_until};

pub(super) fn line(command: &str, host: &str, user: &str) -> String {
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

/// Opens the incident of a detection on `h1`.
fn open_incident(browser: &Browser, centre: &Centre) -> String {
    centre.deliver(&[], line("whoami", "h1", "ada"));
    let incident = centre.items("/api/v1/incidents").remove(0)["id"].as_str().expect("an id").to_owned();
    browser.open(&format!("{}/incidents/{incident}", centre.url));
    browser.wait("the stream", "document.querySelector('#live').classList.contains('on')");
    incident
}

/// Opens another incident than this one, on `h2`.
fn another(centre: &Centre, incident: &str) -> String {
    centre.deliver(&[], line("whoami", "h2", "bob"));
    let items = centre.items("/api/v1/incidents?state=open");
    let mut ids = items.iter().map(|item| item["id"].as_str().expect("an id"));
    ids.find(|id| *id != incident).expect("another").to_owned()
}

/// Fills a field of a form of the page, and sends the form.
fn send_form(browser: &Browser, act: &str, field: &str, value: &str) {
    let form = format!("document.querySelector('form[data-act={act}]')");
    let value = json!(value);
    browser.eval(&format!("({form}.elements['{field}'].value = {value}, {form}.requestSubmit(), 0)"));
}

#[test]
fn an_incident_is_worked_on_its_page() {
    let Some(browser) = Browser::start(1280, 800) else { return };
    let centre = Centre::start();
    browser.sign_in(&centre.url, &centre.token);
    let incident = open_incident(&browser, &centre);
    browser.eval("(window.isSame = true, document.querySelector('[name=owner]').value = 'being written', 0)");
    send_form(&browser, "notes", "text", "asked the harbour\nand waited");
    let note = "document.querySelector('.note .written')?.textContent === 'asked the harbour\\nand waited'";
    browser.wait("the note, in its lines", note);
    let me = centre.get("/api/v1/whoami").json()["name"].clone();
    assert_eq!(browser.eval(&format!("document.querySelector('.note .muted').textContent.endsWith(' ' + {me})")), true);
    send_form(&browser, "state", "state", "triage");
    browser.wait("the state", "document.querySelector('.facts').textContent.includes('triage')");
    browser.wait("what it can be next", "![...document.querySelectorAll('option')].some((o) => o.value === 'triage')");
    send_form(&browser, "tasks", "title", "call them");
    browser.wait("the task", "document.querySelector('.tasks li:not(.done)') !== null");
    browser.eval("(document.querySelector('.tasks button').focus(), document.activeElement.click(), 0)");
    browser.wait("that it is done", "document.querySelector('.tasks li.done') !== null");
    assert_eq!(browser.eval("document.activeElement.textContent"), "Reopen", "the keyboard stays where it was");
    browser.eval("(document.activeElement.click(), 0)");
    browser.wait("that it is not", "document.querySelector('.tasks li:not(.done)') !== null");
    // What another does is seen too.
    centre.done(&format!("/api/v1/incidents/{incident}/notes"), &json!({ "text": "from elsewhere" }));
    browser.wait("another's note", "document.querySelector('#work').textContent.includes('from elsewhere')");
    let kept = "window.isSame && document.querySelector('[name=owner]').value";
    assert_eq!(browser.eval(kept), "being written", "it was not loaded anew");
    send_form(&browser, "assign", "owner", "Ada");
    browser.wait("the owner", "document.querySelector('.facts').textContent.includes('Ada')");
    let history = "[...document.querySelectorAll('#history b')].map((b) => b.textContent).join(', ')";
    let told = "given to Ada, noted, task reopened, task done, task added, moved to triage, noted";
    browser.wait("its history", &format!("{history} === '{told}'"));
    assert_eq!(browser.eval("document.querySelector('#act-said').textContent"), "");
    check_quiet(&browser);
}

#[test]
fn a_file_is_kept_and_fetched_on_the_page() {
    let Some(browser) = Browser::start(1280, 800) else { return };
    let centre = Centre::start();
    browser.sign_in(&centre.url, &centre.token);
    open_incident(&browser, &centre);
    let put = "const files = new DataTransfer();
        files.items.add(new File(['seen in memory'], '<b>web 1</b>.img'));
        document.querySelector('[name=file]').files = files.files;
        document.querySelector('form[data-act=evidence]').requestSubmit();";
    browser.eval(&format!("(() => {{ {put} }})()"));
    browser.wait("the file", "document.querySelector('.file a')?.textContent === '<b>web 1</b>.img'");
    browser.wait("its end", "document.querySelector('progress').hidden");
    let fetched = "fetch(document.querySelector('.file a').href).then((answer) => answer.text())
        .then((text) => { window.fetched = text; })";
    browser.eval(&format!("({fetched}, 0)"));
    browser.wait("what is in it", "window.fetched === 'seen in memory'");
    // A file that is too long is refused, with the reason.
    browser.eval(&format!("(() => {{ {} }})()", put.replace(".img", &".img".repeat(60))));
    browser.wait("why it is not", "document.querySelector('#act-said').textContent.includes('name')");
    assert_eq!(browser.eval("document.querySelector('.file b') === null"), true, "its name is text");
}

#[test]
fn another_incident_is_merged_on_the_page() {
    let Some(browser) = Browser::start(1280, 800) else { return };
    let centre = Centre::start();
    browser.sign_in(&centre.url, &centre.token);
    let incident = open_incident(&browser, &centre);
    let other = another(&centre, &incident);
    send_form(&browser, "merge", "from", &other);
    browser.wait("both", "document.querySelectorAll('#detections tr:not(.why)').length === 2");
    browser.wait("that it is told", "document.querySelector('#history b').textContent === 'merged'");
    check_quiet(&browser);
}

#[test]
fn some_detections_are_split_off_on_the_page() {
    let Some(browser) = Browser::start(1280, 800) else { return };
    let centre = Centre::start();
    browser.sign_in(&centre.url, &centre.token);
    centre.deliver(&[], line("whoami", "h1", "bob"));
    let incident = open_incident(&browser, &centre);
    let rows = |count: u32| format!("document.querySelectorAll('#detections tr:not(.why)').length === {count}");
    browser.wait("both", &rows(2));
    let chosen = "document.querySelectorAll('.choose:checked')";
    browser.eval("(document.querySelector('.choose').click(), 0)");
    let id = browser.eval(&format!("{chosen}[0].value"));
    // What comes meanwhile changes nothing of what was chosen.
    centre.deliver(&[], line("whoami", "h1", "eve"));
    browser.wait("the third", &rows(3));
    assert_eq!(browser.eval(&format!("[...{chosen}].map((box) => box.value)")), json!([id]));
    browser.eval("(document.querySelector('#do-split button').click(), 0)");
    browser.wait("the others", &rows(2));
    assert_eq!(browser.eval(&format!("{chosen}.length")), 0);
    browser.wait("that it is told", "document.querySelector('#history a') !== null");
    let other = browser.eval("document.querySelector('#history a').textContent");
    let other = other.as_str().expect("an id");
    assert_ne!(other, incident);
    let split_off = centre.items(&format!("/api/v1/detections?incident={other}"));
    assert_eq!(split_off.iter().map(|item| &item["id"]).collect::<Vec<_>>(), [&id]);
    check_quiet(&browser);
}

#[test]
fn who_looks_at_an_incident_that_goes_up_in_another_is_told() {
    let Some(browser) = Browser::start(1280, 800) else { return };
    let centre = Centre::start();
    browser.sign_in(&centre.url, &centre.token);
    let incident = open_incident(&browser, &centre);
    let other = another(&centre, &incident);
    centre.done(&format!("/api/v1/incidents/{other}/merge"), &json!({ "from": incident }));
    browser.wait("the word", "document.querySelector('#facts .merged') !== null");
    assert_eq!(browser.eval("document.querySelectorAll('.acts:not([hidden])').length"), 0);
    check_quiet(&browser);
}

#[test]
fn what_is_written_on_a_page_does_nothing_on_it() {
    let Some(browser) = Browser::start(390, 844) else { return };
    let centre = Centre::start();
    browser.sign_in(&centre.url, &centre.token);
    open_incident(&browser, &centre);
    let attack = "<script>window.owned=1</script><img src=x onerror=\"window.owned=1\">'\" \u{202e}nimda\u{1b}[31m";
    let attack = attack.to_owned() + &"x".repeat(100);
    send_form(&browser, "assign", "owner", &attack);
    browser.wait("the owner", "document.querySelector('.facts').textContent.includes('<script>')");
    send_form(&browser, "tasks", "title", &attack);
    browser.wait("the task", "document.querySelector('.tasks')?.textContent.includes('<script>') === true");
    browser.eval("(document.querySelector('.tasks button').click(), 0)");
    browser.wait("that it is done", "document.querySelector('.tasks li.done') !== null");
    send_form(&browser, "notes", "text", &(attack + &"y".repeat(10_000)));
    browser.wait("the note", "document.querySelector('.note')?.textContent.includes('<script>') === true");
    browser.wait("all of it", "document.querySelector('.note').textContent.length > 10000");
    browser.wait("its history", "document.querySelector('#history').textContent.includes('<script>')");
    check_inert(&browser);
    check_quiet(&browser);
}

#[test]
fn an_act_that_is_refused_is_told_and_what_was_written_stays() {
    let Some(browser) = Browser::start(1280, 800) else { return };
    let mut centre = Centre::start();
    browser.sign_in(&centre.url, &centre.token);
    open_incident(&browser, &centre);
    let said = "document.querySelector('#act-said').textContent";
    send_form(&browser, "tasks", "title", "  ");
    browser.wait("why", &format!("{said}.includes('it says nothing')"));
    centre.keep_address();
    centre.signal("KILL");
    centre.child.wait().expect("it ends");
    send_form(&browser, "notes", "text", "worth keeping");
    browser.wait("that nobody answers", &format!("{said}.includes('did not answer')"));
    browser.wait("the sign", "!document.querySelector('#stale').hidden");
    assert_eq!(browser.eval("document.querySelector('[name=text]').value"), "worth keeping");
    centre.start_again();
    browser.eval("(document.querySelector('form[data-act=notes]').requestSubmit(), 0)");
    browser.wait("the note", "document.querySelectorAll('.note').length === 1");
    browser.wait("that it lives", "document.querySelector('#stale').hidden");
}

#[test]
fn each_detection_says_why_it_is_there() {
    let centre = Centre::start();
    for user in ["ada", "ada", "bob"] {
        centre.deliver(&[], line("whoami", "h1", user));
    }
    let incident = centre.items("/api/v1/incidents").remove(0)["id"].as_str().expect("an id").to_owned();
    let page = centre.ask("GET", &format!("/incidents/{incident}"), &[("accept", "text/html")], "").body;
    assert_eq!(page.matches("It opened the incident.").count(), 1, "{page}");
    assert_eq!(page.matches("same host <b>h1</b> 0 s apart").count(), 2, "{page}");
    assert_eq!(page.matches("same user <b>ada</b> 0 s apart").count(), 1, "each thing once: {page}");
}

#[test]
fn only_steps_that_may_be_taken_are_offered() {
    let Some(browser) = Browser::start(1280, 800) else { return };
    let centre = Centre::start();
    centre.deliver(&[], line("whoami", "h1", "ada"));
    let incident = centre.items("/api/v1/incidents")[0]["id"].as_str().expect("an id").to_owned();
    browser.sign_in(&centre.url, &centre.token);
    for (state, offered) in
        [("triage", "contained eradicated recovered"), ("recovered", "triage"), ("closed:benign-positive", "triage")]
    {
        centre.done(&format!("/api/v1/incidents/{incident}/state"), &json!({ "state": state }));
        browser.open(&format!("{}/incidents/{incident}", centre.url));
        let steps = "[...document.querySelectorAll('#to-state option')].map((option) => option.value)
            .filter((value) => !value.startsWith('closed')).join(' ')";
        assert_eq!(browser.eval(steps), offered, "{state}");
    }
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
    assert_eq!(browser.eval("document.querySelectorAll('main.incident h1').length"), 1);
    assert_eq!(browser.eval("document.querySelectorAll('main form, main input, main button').length"), 0);
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
    // On a desk as on a wall.
    browser.size(1280, 720);
    let map = "document.querySelector('.map .scroll')";
    assert_eq!(browser.eval(&format!("{map}.scrollHeight <= {map}.clientHeight")), true, "the map is there whole");
    assert_eq!(browser.eval("document.documentElement.scrollHeight <= innerHeight"), true, "a desk is not scrolled");
    browser.size(1920, 1080);
    assert_eq!(browser.eval("document.documentElement.scrollHeight <= innerHeight"), true, "a wall is not scrolled");
    if let Ok(folder) = std::env::var("PICTURES") {
        browser.picture(&Path::new(&folder).join("crowd.png"));
    }
    check_quiet(&browser);
}

#[test]
fn a_token_that_holds_no_more_leads_to_the_door() {
    let centre = Centre::start();
    let ask = |path: &str, accept: &str| {
        let request = Request::get(format!("{}{path}", centre.url)).header("cookie", "cresset=cresset_gone");
        centre.send(request.header("accept", accept).body(()).expect("a request"))
    };
    let led = ask("/", BROWSER);
    assert_eq!((led.status, led.header("location")), (303, Some("/sign-in")));
    assert!(led.header("set-cookie").is_some_and(|cookie| cookie.contains("Max-Age=0")), "{led:?}");
    assert_eq!(ask("/sign-in", BROWSER).status, 200);
    assert_eq!(ask("/api/v1/status", "*/*").status, 401);
}

#[test]
fn who_signs_in_comes_to_the_incident_that_was_asked_for() {
    let Some(browser) = Browser::start(1280, 800) else { return };
    let centre = Centre::start();
    centre.deliver(&[], line("whoami", "h1", "ada"));
    let incident = centre.items("/api/v1/incidents").remove(0)["id"].as_str().expect("an id").to_owned();
    browser.open(&format!("{}/incidents/{incident}", centre.url));
    let enter = |token: &str| {
        browser.wait("the door", "document.querySelector('#token') !== null");
        browser.eval(&format!("(document.querySelector('#token').value = '{token}', document.forms[0].submit(), 0)"));
    };
    enter("cresset_wrong");
    browser.wait("that it is wrong", "document.querySelector('.wrong') !== null");
    enter(&centre.token);
    browser.wait("the incident", &format!("document.querySelector('main').dataset.incident === '{incident}'"));
    // Nobody is led elsewhere, nor is anything of the address shown.
    for way in ["https://elsewhere.example/", "//elsewhere.example", "\"><script>1</script>", ""] {
        let form = [("token", &*centre.token), ("incident", way)];
        let body = form.map(|(name, value)| format!("{name}={}", percent(value))).join("&");
        let request = Request::post(format!("{}/sign-in", centre.url)).header("origin", &centre.url);
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
        let answer = centre.send(request.expect("a request"));
        assert_eq!((answer.status, answer.header("location")), (303, Some("/")), "{way}");
        let page = centre.get(&format!("/sign-in?incident={}", percent(way)));
        assert!(page.status == 200 && !page.body.contains("name=\"incident\""), "{way}: {page:?}");
    }
}

#[test]
fn who_guesses_at_the_door_is_locked_out_and_that_is_found() {
    let centre = Centre::start_with("[limits]\nwrong_tokens = 3\n", &[]);
    let send = |path: &str, body: &str| {
        let request = Request::post(format!("{}{path}", centre.url)).header("origin", &centre.url);
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
        centre.send(request.expect("a request")).status
    };
    assert_eq!([(); 2].map(|()| send("/sign-in", "token=cresset_no_no")), [401, 401]);
    assert_eq!(send("/first-run", "secret=cresset_first_no&name=a"), 404);
    assert_eq!(send("/first-run", "secret=cresset_first_no&name=a"), 429);
    assert_eq!(send("/sign-in", "token=cresset_no_no"), 429);
    let database = centre.data().join("records.db");
    let found = || {
        // From here nobody comes in for a while: the owner of the folder looks.
        let asked = std::process::Command::new("sqlite3").arg(&database).arg("select title from detections").output();
        asked.map_or(String::new(), |output| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    if std::process::Command::new("sqlite3").arg("-version").output().is_err() {
        return not_installed("the detection of a lock-out at the door", "sqlite3");
    }
    super::wait_until("the detection", || found().to_lowercase().contains("lock"));
}

#[test]
fn only_our_own_page_signs_out_and_only_who_was_in() {
    let centre = Centre::start();
    let cookie = format!("cresset={}", centre.token);
    let out = |headers: &[(&str, &str)]| {
        let mut request = Request::post(format!("{}/sign-out", centre.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        centre.send(request.body(()).expect("a request"))
    };
    let elsewhere = out(&[("cookie", &cookie), ("sec-fetch-site", "cross-site")]);
    assert_eq!((elsewhere.status, elsewhere.header("set-cookie")), (401, None));
    let ours = out(&[("cookie", &cookie), ("origin", &centre.url)]);
    assert!(ours.status == 303 && ours.header("set-cookie").is_some_and(|cookie| cookie.contains("Max-Age=0")));
    // A link from elsewhere brings no cookie where the browser keeps it back, and must not cost it.
    let request = Request::get(format!("{}/", centre.url)).header("accept", BROWSER);
    let led = centre.send(request.body(()).expect("a request"));
    assert_eq!((led.status, led.header("set-cookie")), (303, None));
}

/// Writes each byte of a text as the address of a page has it.
fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// What a browser says that it takes.
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

#[test]
fn a_problem_is_a_page_for_people_and_details_for_programs() {
    let centre = Centre::start_with("[limits]\nwrong_tokens = 1\n", &[]);
    let ingest = json!({ "name": "probe", "role": "administrator", "scopes": ["ingest"] });
    let ingest = centre.done("/api/v1/tokens", &ingest)["secret"].as_str().expect("a secret").to_owned();
    let nobody = "incident--00000000-0000-4000-8000-000000000000";
    let (admin, ingest) = (centre.bearer(), format!("Bearer {ingest}"));
    let (incident, wrong) = (format!("/incidents/{nobody}"), "Bearer cresset_no_no".to_owned());
    // The last ones are from where a wrong token was tried before.
    for (method, path, bearer, status, says) in [
        ("GET", "/", &ingest, 403, "the right `read`"),
        ("GET", &*incident, &ingest, 403, "Sign in with another token"),
        ("GET", &*incident, &admin, 404, "no such incident"),
        ("GET", "/nowhere", &admin, 404, "no such page"),
        ("GET", "/nowhere/else", &admin, 404, "no such page"),
        ("POST", "/", &admin, 405, "not allowed"),
        ("GET", &*incident, &wrong, 401, "/sign-in"),
        ("GET", &*incident, &wrong, 429, "in "),
    ] {
        let ask = |accept: &str| {
            let request = Request::builder().method(method).uri(format!("{}{path}", centre.url));
            let request = request.header("authorization", bearer).header("accept", accept);
            centre.send(request.body(()).expect("a request"))
        };
        let page = ask(BROWSER);
        assert_eq!(page.status, status, "{method} {path}: {page:?}");
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"), "{path}: {page:?}");
        assert!(page.body.contains("<h1>") && page.body.contains(says), "{path}: {page:?}");
        assert!(page.header("content-security-policy").is_some());
        assert_eq!(page.header("retry-after").is_some(), status == 429);
        if path != "/nowhere/else" && path != "/" {
            for accept in ["application/json", "*/*", "application/problem+json, text/html;q=0.5"] {
                let details = ask(accept);
                let expected = if status == 401 { 429 } else { status };
                assert_eq!(
                    (details.status, details.header("content-type")),
                    (expected, Some("application/problem+json"))
                );
            }
        }
    }
    let api = centre.ask("GET", "/api/v1/nowhere", &[("accept", BROWSER)], "");
    assert_eq!(api.header("content-type"), Some("application/problem+json"), "it is for programs: {api:?}");
}

#[test]
fn a_page_that_is_not_there_says_so_to_who_looks() {
    let Some(browser) = Browser::start(390, 844) else { return };
    let centre = Centre::start();
    browser.sign_in(&centre.url, &centre.token);
    browser.open(&format!("{}/incidents/<b>none</b>", centre.url));
    assert_eq!(browser.eval("document.querySelector('h1').textContent"), "Not found");
    assert_eq!(browser.eval("document.documentElement.scrollWidth <= innerWidth"), true, "it fits a phone");
    browser.eval("(document.querySelector('.go').click(), 0)");
    browser.wait("the floor", "document.querySelector('main.floor') !== null");
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

/// What else happens on the wall's picture: the rule, its level and technique, and where and to whom it happens.
const OTHERS: [(&str, &str, &str, &str, &str); 9] = [
    (
        "Memory of LSASS Read by an Unsigned Program",
        "critical",
        "credential-access\n  - attack.t1003.001",
        "dc-2",
        "svc-scan",
    ),
    ("New Service on a Domain Controller", "high", "persistence\n  - attack.t1543.003", "dc-2", "svc-scan"),
    ("Shadow Copies Deleted", "critical", "impact\n  - attack.t1490", "files-1", "h.berg"),
    ("Office Program Starts PowerShell", "high", "execution\n  - attack.t1204.002", "desk-114", "m.okafor"),
    ("Encoded PowerShell Command", "medium", "execution\n  - attack.t1059.001", "desk-114", "m.okafor"),
    (
        "Remote Desktop From an Address Never Seen",
        "medium",
        "lateral-movement\n  - attack.t1021.001",
        "jump-1",
        "r.sato",
    ),
    ("Mailbox Rule Forwards to the Outside", "medium", "collection\n  - attack.t1114.003", "mail-1", "e.novak"),
    ("Accounts of the Directory Listed", "low", "discovery\n  - attack.t1087.002", "desk-207", "trainee-3"),
    ("Archive Made With a Password", "low", "collection\n  - attack.t1560.001", "desk-031", "p.laine"),
];

/// Returns the rules of [`OTHERS`].
fn rules_of_others() -> String {
    let rule = |(at, (title, level, tag, ..)): (usize, &(&str, &str, &str, &str, &str))| {
        format!(
            "title: {title}\nid: {at:08}-2222-4222-8222-222222222222\nlevel: {level}\ntags:\n  - attack.{tag}\n\
             logsource: {{}}\ndetection:\n  s:\n    cmd: other-{at}\n  condition: s\n"
        )
    };
    OTHERS.iter().enumerate().map(rule).collect::<Vec<_>>().join("---\n")
}

/// Lets [`OTHERS`] happen.
fn deliver_others(centre: &Centre) {
    for (at, (.., host, user)) in OTHERS.iter().enumerate() {
        let line = json!({ "cmd": format!("other-{at}"), "host": host, "user": user }).to_string() + "\n";
        let request = Request::post(format!("{}/api/v1/events?source=windows", centre.url));
        let request = request.header("authorization", centre.bearer()).body(line).expect("a request");
        assert_eq!(centre.send(request).status, 200);
        thread::sleep(Duration::from_secs(1));
    }
}

/// Widths and heights of pictures: a wall, a desk, a phone.
const SIZES: [(&str, u32, u32); 3] = [("wall", 1920, 1080), ("desk", 1280, 720), ("phone", 390, 844)];

/// Works on the most urgent incident as a watch would, and returns its path.
fn worked(centre: &Centre) -> String {
    let incidents = centre.items("/api/v1/incidents?order=priority");
    let first = format!("/api/v1/incidents/{}", incidents[0]["id"].as_str().expect("an id"));
    centre.done(&format!("{first}/state"), &json!({ "state": "triage" }));
    centre.done(&format!("{first}/assign"), &json!({ "owner": "A. Lindqvist" }));
    for task in ["Call the harbour master's office", "Take an image of the machine", "Block what it spoke to"] {
        centre.done(&format!("{first}/tasks"), &json!({ "title": task }));
    }
    let task = centre.get(&first).json()["tasks"][0]["number"].clone();
    centre.done(&format!("/api/v1/tasks/{task}/done"), &json!({}));
    let note =
        "The harbour office confirms: nobody of theirs was on that machine tonight.\nTaken off the network at 06:40.";
    centre.done(&format!("{first}/notes"), &json!({ "text": note }));
    first.replace("/api/v1", "")
}

/// Makes pictures of every page, in every size, dark and light, to look at; docs/images has `watch-floor.png`, which is
/// the wall's in dark: `PICTURES=/tmp cargo test -p cresset --test it -- --ignored pictures_of_the_page`.
#[test]
#[ignore = "makes pictures, and checks nothing"]
fn pictures_of_the_page() {
    let folder = PathBuf::from(std::env::var("PICTURES").expect("PICTURES names a folder"));
    let rules = fs::read_to_string(sample().join("rules/harbour.yml")).expect("the sample's rules");
    let advisory = fs::read_to_string(sample().join("intel/advisory.json")).expect("the sample's advisory");
    let others = rules_of_others();
    let files = [
        ("data/rules/harbour.yml", rules.as_str()),
        ("data/rules/others.yml", &others),
        ("data/indicators/advisory.json", advisory.as_str()),
    ];
    let centre = Centre::start_with("", &files);
    let Some(browser) = Browser::start(1920, 1080) else { return };
    browser.prefer("dark");
    browser.sign_in(&centre.url, &centre.token);
    browser.wait("the stream", "document.querySelector('#live').classList.contains('on')");
    browser.picture(&folder.join("empty.png"));
    deliver_sample(&centre);
    wait_until("its detections", || browser.eval("document.querySelectorAll('#detections tr').length > 5") == true);
    deliver_others(&centre);
    // The rate is drawn from what the page has seen.
    thread::sleep(Duration::from_secs(10));
    let incident = worked(&centre);
    browser.wait("its owner", "document.querySelector('#incidents').textContent.includes('Lindqvist')");
    // What is new is not marked any more.
    thread::sleep(Duration::from_secs(5));
    browser.picture(&folder.join("watch-floor.png"));
    let door = "/first-run?secret=none".to_owned();
    for (page, path) in [
        ("floor", "/".to_owned()),
        ("incident", incident),
        ("door", "/sign-in".into()),
        ("first", door),
        ("problem", "/no".into()),
    ] {
        browser.open(&format!("{}{path}", centre.url));
        thread::sleep(Duration::from_secs(1));
        for scheme in ["dark", "light"] {
            browser.prefer(scheme);
            for (size, width, height) in SIZES {
                browser.size(width, height);
                browser.picture(&folder.join(format!("{page}-{scheme}-{size}.png")));
            }
        }
    }
    browser.prefer("dark");
    browser.size(1920, 1080);
    browser.open(&centre.url);
    drop(centre);
    browser.wait("the sign", "!document.querySelector('#stale').hidden");
    browser.picture(&folder.join("stale.png"));
}
