//! The pages can be read and worked by everyone: contrast is measured, the keyboard gets everywhere and is seen, nothing moves
//! for who wants no motion, and what is read aloud is read once.
//!
//! All of it in a real browser: `contrast.js` reads the colours that are in effect, and not those that the style names.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::Centre;
use super::browser::Browser;

/// Elements that are measured on the emptiest page at the least: a test that measures nothing fails.
const MEASURED_MIN: u64 = 5;

/// A centre with detections of every level, and the pages that it has.
fn centre() -> Centre {
    let levels = ["critical", "high", "medium", "low", "informational"];
    let rules = levels.map(|level| {
        let id = format!("id: {:08}-1111-4111-8111-111111111111", level.len());
        let rule = crate::RULE.replace("id: 11111111-1111-4111-8111-111111111111", &id);
        rule.replace("whoami", &format!("by-{level}")).replace("level: high", &format!("level: {level}"))
    });
    let centre = Centre::start_with("", &[("data/rules/r.yml", rules.join("---\n").as_str())]);
    for level in levels {
        let event = json!({ "cmd": format!("by-{level}"), "host": level, "user": "ada" });
        assert_eq!(centre.deliver(&[], event.to_string() + "\nno record\n").status, 200);
    }
    centre
}

/// Returns the pages of a centre, by name and address.
fn pages(centre: &Centre) -> Vec<(&'static str, String)> {
    let incident = centre.items("/api/v1/incidents?order=priority").remove(0)["id"].clone();
    let incident = format!("/api/v1/incidents/{}", incident.as_str().expect("an id"));
    let task = centre.done(&format!("{incident}/tasks"), &json!({ "title": "call the harbour" }))["number"].clone();
    centre.done(&format!("{incident}/tasks"), &json!({ "title": "image the disk" }));
    centre.done(&format!("/api/v1/tasks/{task}/done"), &json!({}));
    centre.done(&format!("{incident}/notes"), &json!({ "text": "asked" }));
    vec![
        ("floor", "/".into()),
        ("incident", incident.replace("/api/v1", "")),
        ("door", "/sign-in".into()),
        ("first run", "/first-run?secret=none".into()),
        ("problem", "/nowhere".into()),
    ]
}

/// Shows what is seldom there: that the page is not live, what is wrong with the centre, a source that is silent.
const SELDOM: &str = "(['stale', 'troubles', 'sources-silent', 'more'].forEach((id) => {
    const part = document.getElementById(id);
    if (part) { part.hidden = false; if (part.textContent.trim() === '') part.innerHTML = '<p>is wrong</p>'; }
}), document.querySelector('#sources tr')?.classList.add('silent'),
document.querySelector('#incidents tr')?.classList.add('lit'),
document.querySelector('#act-said')?.append('was refused'), 0)";

#[test]
fn everything_has_contrast_in_dark_and_in_light() {
    let Some(browser) = Browser::start(1920, 1080) else { return };
    let centre = centre();
    browser.sign_in(&centre.url, &centre.token);
    let mut wrong = Vec::new();
    for (page, path) in pages(&centre) {
        for scheme in ["dark", "light"] {
            browser.prefer(scheme);
            browser.open(&format!("{}{path}", centre.url));
            for how in ["as it comes", "with what is seldom there", "not live"] {
                match how {
                    "with what is seldom there" => drop(browser.eval(SELDOM)),
                    "not live" => drop(browser.eval("(document.body.classList.add('is-stale'), 0)")),
                    _ => {}
                }
                let found = browser.eval(&format!("(() => {{ {} }})()", include_str!("contrast.js")));
                assert!(found["measured"].as_u64() > Some(MEASURED_MIN), "{page}: {found}");
                let found = found["wrong"].as_array().cloned().unwrap_or_default();
                wrong.extend(found.into_iter().map(|found| format!("{page}, {scheme}, {how}: {found}")));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Waits until what the page shows is from the stream and the lists, where it has them.
#[track_caller]
fn wait_until_live(browser: &Browser) {
    let is_live = "document.querySelector('main.floor, main.incident') === null
        || document.querySelector('#live').classList.contains('on')";
    browser.wait("the stream", is_live);
    browser.wait("its lists", "document.querySelector('main.floor') === null || known.size > 0 && recent.length > 0");
}

#[test]
fn the_keyboard_gets_everywhere_and_is_seen() {
    let Some(browser) = Browser::start(1280, 800) else { return };
    let centre = centre();
    browser.sign_in(&centre.url, &centre.token);
    for (page, path) in pages(&centre) {
        browser.open(&format!("{}{path}", centre.url));
        wait_until_live(&browser);
        let reachable =
            "[...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, [tabindex]')]
            .filter((part) => part.checkVisibility())";
        let all = browser.eval(&format!("{reachable}.length")).as_u64().expect("a number");
        browser.eval("(window.reached = new Set(), window.unseen = [], document.activeElement.blur(), 0)");
        for _ in 0..=all {
            browser.press_tab();
            browser.eval(
                "(() => { const one = document.activeElement; if (one === document.body) return;
                const { outlineStyle, outlineWidth, outlineOffset } = getComputedStyle(one);
                window.reached.add(one);
                const isCut = one.classList.contains('scroll') && parseFloat(outlineOffset) > -parseFloat(outlineWidth);
                if (outlineStyle === 'none' || parseFloat(outlineWidth) < 2 || isCut) window.unseen.push(one.outerHTML.slice(0, 200)); })()",
            );
        }
        assert_eq!(browser.eval("window.unseen"), json!([]), "{page}");
        let missed = format!(
            "{reachable}.filter((part) => !window.reached.has(part)).map((part) => part.outerHTML.slice(0, 200))"
        );
        assert_eq!(browser.eval(&missed), json!([]), "{page}");
    }
}

#[test]
fn colour_is_never_the_only_sign() {
    let Some(browser) = Browser::start(1280, 800) else { return };
    let centre = centre();
    browser.prefer("dark");
    browser.sign_in(&centre.url, &centre.token);
    for (part, is_written_out) in [
        ("#incidents tr", "/^P[1-4]$/.test(part.cells[0].textContent)"),
        ("#detections tr", "part.classList.contains(part.cells[1].textContent)"),
        (".lane .head", "/^[1-4]$/.test(part.textContent)"),
    ] {
        let all = format!("[...document.querySelectorAll('{part}')]");
        let holds = format!("{all}.length > 0 && {all}.every((part) => {is_written_out})");
        assert_eq!(browser.eval(&holds), true, "{holds}");
    }
    let height = |cell: &str| {
        browser.eval(&format!("document.querySelector('.strip rect{cell}').getBoundingClientRect().height")).as_f64()
    };
    assert!(height(".on") > height(":not(.on)").map(|height| 3.0 * height), "what was reached stands up");
    // The switch says what it does, also once the system has changed its mind.
    assert_eq!(browser.eval("document.querySelector('#theme').textContent"), "Light");
    browser.prefer("light");
    browser.wait("the other word", "document.querySelector('#theme').textContent === 'Dark'");
}

#[test]
fn what_is_done_about_an_incident_is_on_the_first_screen() {
    let Some(browser) = Browser::start(1920, 1080) else { return };
    let centre = centre();
    let event =
        |at| json!({ "cmd": "by-critical", "host": "critical", "user": format!("user-{at}") }).to_string() + "\n";
    assert_eq!(centre.deliver(&[], (0..120).map(event).collect::<String>()).status, 200);
    browser.sign_in(&centre.url, &centre.token);
    let (_, path) = pages(&centre).swap_remove(1);
    browser.open(&format!("{}{path}", centre.url));
    assert_eq!(browser.eval("document.querySelectorAll('#detections tr').length > 150"), true);
    for part in ["[data-act=notes]", ".tasks", "#h-why"] {
        let bottom = browser.eval(&format!("document.querySelector('{part}').getBoundingClientRect().bottom"));
        assert!(bottom.as_f64() < Some(1080.0), "{part}: {bottom}");
    }
}

#[test]
fn nothing_that_can_be_used_is_cut_off() {
    let Some(browser) = Browser::start(1280, 800) else { return };
    let centre = centre();
    browser.sign_in(&centre.url, &centre.token);
    for (page, path) in pages(&centre) {
        browser.open(&format!("{}{path}", centre.url));
        for (width, height) in [(1920, 1080), (1280, 800), (390, 844)] {
            browser.size(width, height);
            let cut = "[...document.querySelectorAll('a, button, input, select, textarea')].filter((part) => {
                const { right, width } = part.getBoundingClientRect();
                const around = part.closest('.scroll') ? Infinity : part.parentElement.closest('.panel, .card, body').getBoundingClientRect().right;
                return part.checkVisibility() && width > 0 && right > around;
            }).map((part) => part.outerHTML.slice(0, 200))";
            assert_eq!(browser.eval(cut), json!([]), "{page}, {width} × {height}");
        }
    }
}

#[test]
fn pages_say_what_they_are_made_of() {
    let Some(browser) = Browser::start(1280, 800) else { return };
    let centre = centre();
    browser.sign_in(&centre.url, &centre.token);
    for (page, path) in pages(&centre) {
        browser.open(&format!("{}{path}", centre.url));
        assert_eq!(browser.eval("document.documentElement.lang"), "en", "{page}");
        assert_eq!(browser.eval("document.querySelectorAll('main').length"), 1, "{page}");
        let headings =
            "[...document.querySelectorAll('h1, h2, h3, h4, h5, h6')].map((part) => Number(part.tagName[1]))";
        let levels: Vec<u64> =
            browser.eval(headings).as_array().expect("a list").iter().filter_map(Value::as_u64).collect();
        assert_eq!(levels.first(), Some(&1), "{page}: {levels:?}");
        assert!(levels[1..].iter().all(|level| *level > 1), "{page}: one is the page's: {levels:?}");
        assert!(levels.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{page}: none is left out: {levels:?}");
        let nameless = "[...document.querySelectorAll('input:not([type=hidden]):not([hidden]), select, textarea, button, a')]
            .filter((part) => part.checkVisibility() && !part.labels?.length && !part.ariaLabel && !part.textContent.trim())
            .map((part) => part.outerHTML)";
        assert_eq!(browser.eval(nameless), json!([]), "{page}");
    }
}

#[test]
fn nothing_is_read_aloud_while_nothing_happens() {
    let Some(browser) = Browser::start(1280, 800) else { return };
    let centre = centre();
    browser.sign_in(&centre.url, &centre.token);
    for (page, path) in pages(&centre) {
        browser.open(&format!("{}{path}", centre.url));
        wait_until_live(&browser);
        let watch = "(window.aloud = [], document.querySelectorAll('[role=alert], [role=status], [role=log], [aria-live]').forEach((part) =>
            new MutationObserver((changes) => window.aloud.push(part.outerHTML, changes.length))
                .observe(part, { childList: true, characterData: true, subtree: true })), 0)";
        browser.eval(watch);
        // Longer than it takes to look at the centre's status again.
        thread::sleep(Duration::from_millis(6500));
        assert_eq!(browser.eval("window.aloud"), json!([]), "{page}");
    }
}

#[test]
fn nothing_moves_for_who_wants_no_motion() {
    let Some(browser) = Browser::start(1280, 800) else { return };
    let centre = centre();
    browser.sign_in(&centre.url, &centre.token);
    browser.wait("the stream", "document.querySelector('#live').classList.contains('on')");
    browser.eval("(window.moved = 0, addEventListener('animationstart', () => { window.moved += 1; }), 0)");
    let come = |level: &str| {
        let event = json!({ "cmd": format!("by-{level}"), "host": "moving", "user": level });
        assert_eq!(centre.deliver(&[], event.to_string()).status, 200);
        let row = format!("document.querySelector('#detections tr.fresh')?.textContent.includes('{level}') === true");
        browser.wait("the detection", &row);
    };
    come("critical");
    browser.wait("that what is new is marked", "window.moved > 0");
    browser.prefer_all(&[("prefers-reduced-motion", "reduce")]);
    come("low");
    assert_eq!(browser.eval("document.getAnimations().length"), 0);
}
