//! A backup that is made under load has all that was acknowledged before; what is not whole is told, and leaves nothing behind.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Centre, NO_LINK, PATIENCE, spawn};
use crate::{RULE, Ran};

const PASSPHRASE: &str = "correct horse battery staple";

/// A centre with a passphrase in a file beside it.
fn centre() -> Centre {
    Centre::start_with(
        "",
        &[("data/rules/r.yml", RULE), ("passphrase", PASSPHRASE), ("other", "some other passphrase")],
    )
}

fn line(number: u64) -> String {
    let command = if number.is_multiple_of(20) { "whoami" } else { "ls" };
    format!("{{\"cmd\":\"{command}\",\"n\":{number},\"host\":\"h{}\"}}\n", number % 7)
}

/// Makes a backup, of which the file is to be `b`.
fn back_up(centre: &Centre) -> Ran {
    centre.cresset(&["backup", "b", "--passphrase-file", "passphrase"])
}

fn restore(folder: &Path, file: &str, passphrase: &str) -> Ran {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_cresset"));
    command.args(["restore", file, "--data", "again", "--passphrase-file", passphrase]).current_dir(folder);
    Ran::of(command.output().expect("it runs"))
}

/// What lies in the folder beside what was there before.
fn left_behind(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a file").file_name());
    let mut names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    names.retain(|name| !["data", "centre.toml", "log", "passphrase", "other", "changed"].contains(&name.as_str()));
    names
}

/// Ends what goes on until it is enough.
struct Enough<'a>(&'a AtomicBool);

impl Drop for Enough<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn under_load_it_has_all_that_was_acknowledged_before() {
    let mut centre = centre();
    let (sent, is_enough) = (AtomicU64::new(0), AtomicBool::new(false));
    let (url, token) = (centre.url.clone(), centre.token.clone());
    let deliver = || {
        let agent = ureq::agent();
        while !is_enough.load(Ordering::Relaxed) {
            let first = sent.load(Ordering::Relaxed);
            let body: String = (first..first + 100).map(line).collect();
            let posted = agent.post(format!("{url}/api/v1/events"));
            posted.header("authorization", format!("Bearer {token}")).send(body).expect("it is taken");
            sent.store(first + 100, Ordering::Relaxed);
        }
    };
    let (before, made) = thread::scope(|scope| {
        // Also where something below fails.
        let _enough = Enough(&is_enough);
        scope.spawn(deliver);
        super::wait_until("some deliveries", || sent.load(Ordering::Relaxed) >= 1000);
        let incident = centre.get("/api/v1/incidents").json()["items"][0]["id"].as_str().expect("an id").to_owned();
        centre.post(&format!("/api/v1/incidents/{incident}/notes"), &json!({ "text": "before" }));
        fs::write(centre.path().join("evidence.txt"), "as it was").expect("room");
        assert_eq!(centre.cresset(&["evidence", &incident, "evidence.txt"]).status, 0);
        let before = (sent.load(Ordering::Relaxed), incident);
        let made = back_up(&centre);
        (before, made)
    });
    assert_eq!((made.status, &*made.err), (0, ""));
    assert!(!centre.data().join("backup").exists() && !centre.data().join("archive/snapshot").exists());
    fs::remove_file(centre.path().join("evidence.txt")).expect("it goes");
    assert_eq!(left_behind(centre.path()), ["b"]);
    centre.end();
    let restored = restore(centre.path(), "b", "passphrase");
    assert_eq!((restored.status, &*restored.err), (0, ""), "{}", restored.out);
    check_restored(&centre, &before.1, before.0);
}

/// Starts what was restored, and looks for what was there.
fn check_restored(centre: &Centre, incident: &str, events: u64) {
    let again = centre.path().join("again");
    assert!(again.join("configuration.toml").is_file() && again.join("rules/r.yml").is_file());
    let args = ["serve", "--data", "again", "--listen", "127.0.0.1:0"].map(str::to_owned);
    let (mut child, url, link) = spawn(centre.path(), &args, NO_LINK);
    assert!(link.is_none(), "the administrator is known");
    let get = |path: &str| -> Value {
        let asked = ureq::get(format!("{url}{path}")).header("authorization", centre.bearer());
        let text = asked.call().expect("the token holds").body_mut().read_to_string().expect("text");
        serde_json::from_str(&text).expect("JSON")
    };
    let full = get(&format!("/api/v1/incidents/{incident}"));
    assert_eq!(full["notes"][0]["text"], "before");
    let sha256 = full["evidence"][0]["sha256"].as_str().expect("a digest");
    assert_eq!(fs::read_to_string(again.join("evidence").join(sha256)).expect("a file"), "as it was");
    let mut detections = 0;
    let mut cursor = String::new();
    loop {
        let page = get(&format!("/api/v1/detections?limit=500{cursor}"));
        detections += page["items"].as_array().expect("items").len() as u64;
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert!(detections >= events / 20, "{detections} of {}", events / 20);
    let newest = get("/api/v1/audit?limit=500");
    let acts: Vec<&str> =
        newest["items"].as_array().expect("items").iter().filter_map(|row| row["act"].as_str()).collect();
    assert!(acts.contains(&"restore") && acts.contains(&"back_up"), "{acts:?}");
    assert_eq!(get("/api/v1/audit/verify")["whole"], true);
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    let stats = crate::Run::new(&[]).cresset(&[
        "archive",
        "stats",
        "-o",
        "json",
        again.join("archive").to_str().expect("UTF-8"),
    ]);
    let stats: Value = serde_json::from_str(&stats.out).expect("counts");
    assert!(stats["events"].as_u64() >= Some(events), "{stats} of {events}");
}

#[test]
fn tokens_that_were_taken_back_since_come_in_again_and_that_is_told_or_they_do_not() {
    let mut centre = centre();
    let gone = centre.token("gone", "analyst");
    let today = || cresset_event::Timestamp::now().to_string()[..10].to_owned();
    let before = today();
    assert_eq!(back_up(&centre).status, 0);
    // Midnight may come between.
    let said = [before, today()].map(|day| format!("2 tokens, as of {day}"));
    let is_said = |out: &str| said.iter().any(|said| out.contains(said));
    let id = centre.items("/api/v1/tokens").iter().find(|token| token["name"] == "gone").expect("it")["id"].clone();
    let path = format!("/api/v1/tokens/{}", id.as_str().expect("an id"));
    assert_eq!(centre.ask("DELETE", &path, &[], "").status, 204);
    centre.end();
    let args = ["restore", "b", "--passphrase-file", "passphrase", "--data"];
    let kept = centre.cresset_alone(&[&args[..], &["again"]].concat());
    assert!(
        kept.status == 0 && is_said(&kept.out) && kept.out.contains("--without-tokens"),
        "{}{}",
        kept.out,
        kept.err
    );
    assert_eq!(let_in(&centre, "again", NO_LINK, &[&gone, &centre.token]), ([200, 200].into(), false));
    let without = centre.cresset_alone(&[&args[..], &["anew", "--without-tokens"]].concat());
    assert!(without.status == 0 && is_said(&without.out) && without.out.contains("let nobody in"), "{}", without.out);
    assert_eq!(let_in(&centre, "anew", PATIENCE, &[&gone, &centre.token]), ([401, 401].into(), true));
}

/// Starts a centre of a folder, and returns what these tokens are answered, and whether a link for a first administrator comes in
/// this time.
fn let_in(centre: &Centre, folder: &str, link_within: Duration, tokens: &[&str]) -> (Vec<u16>, bool) {
    let args = ["serve", "--data", folder, "--listen", "127.0.0.1:0"].map(str::to_owned);
    let (mut child, url, link) = spawn(centre.path(), &args, link_within);
    let ask = |token: &&str| {
        let request = ureq::http::Request::get(format!("{url}/api/v1/whoami"));
        let request = request.header("authorization", format!("Bearer {token}"));
        centre.send(request.body(()).expect("a request")).status
    };
    let answers = tokens.iter().map(ask).collect();
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    (answers, link.is_some())
}

#[test]
fn what_is_not_whole_is_told_and_leaves_nothing_behind() {
    let mut centre = centre();
    centre.deliver(&[], (0..2000).map(line).collect::<String>());
    assert_eq!(back_up(&centre).status, 0);
    assert!(back_up(&centre).err.contains("is there already"));
    centre.end();
    let whole = fs::read(centre.path().join("b")).expect("a file");
    let refused = |bytes: &[u8], passphrase: &str| {
        fs::write(centre.path().join("changed"), bytes).expect("room");
        let ran = restore(centre.path(), "changed", passphrase);
        assert_eq!((ran.status, &*ran.out, ran.err.lines().count()), (1, "", 1), "{}", ran.err);
        assert_eq!(left_behind(centre.path()), ["b"]);
        ran.err
    };
    assert!(refused(&whole, "other").contains("the passphrase is another one"));
    assert!(refused(&whole[..whole.len() - 1], "passphrase").contains("cut off"));
    assert!(refused(&whole[..45 + 65_552], "passphrase").contains("cut off"));
    assert!(refused(&whole[..20], "passphrase").contains("no backup"));
    let mut flipped = whole.clone();
    flipped[45 + 65_552 + 100] ^= 4;
    assert!(refused(&flipped, "passphrase").contains("changed near byte"), "{}", whole.len());
    fs::create_dir(centre.path().join("again")).expect("room");
    fs::write(centre.path().join("again/mine"), "").expect("room");
    fs::write(centre.path().join("changed"), &whole).expect("room");
    assert!(restore(centre.path(), "changed", "passphrase").err.contains("is not empty"));
    let read = centre.cresset_alone(&["restore", "b", "--verify", "--passphrase-file", "passphrase"]);
    assert!(read.status == 0 && read.out.contains("2000 events"), "{}{}", read.out, read.err);
}

#[test]
fn with_no_room_there_is_no_backup_and_no_half_of_one() {
    let centre = centre();
    centre.deliver(&[], (0..2000).map(line).collect::<String>());
    // The largest file that the command may write is smaller than the backup.
    let script = format!(
        "trap '' XFSZ; ulimit -f 64; exec '{}' backup b --data data --passphrase-file passphrase",
        env!("CARGO_BIN_EXE_cresset")
    );
    let output = std::process::Command::new("sh").args(["-c", &script]).current_dir(centre.path()).output();
    let ran = Ran::of(output.expect("it runs"));
    assert!(ran.status == 1 && ran.err.contains("cannot use `b`"), "{}{}", ran.out, ran.err);
    assert_eq!(left_behind(centre.path()), Vec::<String>::new());
    assert!(!centre.path().join("b").exists());
    // The centre let go of what it held, and the next one is made.
    super::wait_until("it is let go of", || back_up(&centre).status == 0);
    assert!(centre.path().join("b").exists());
}

#[test]
fn only_who_may_makes_one() {
    let centre = centre();
    let officer = centre.token("w", "watch_officer");
    let args = ["backup", "b", "--passphrase-file", "passphrase", "--url", &centre.url, "--token", &officer];
    assert!(centre.cresset(&args).err.contains("the right `backup`"));
    let weak = centre.post("/api/v1/backup", &json!({ "passphrase": "short" }));
    assert_eq!(weak.status, 400);
    assert_eq!(left_behind(centre.path()), Vec::<String>::new());
}
