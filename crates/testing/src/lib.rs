//! What the tests of several crates share: the corpus, programs that are not ours, what is said where something cannot be tested, and
//! the time of a thread.
//!
//! What is skipped is said in one line. Where `EVERY_TEST` is set (as `.ci/run` does, which has run `./setup`), nothing is skipped
//! for want of a program.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Once;
use std::time::Duration;

/// The folder of the project.
const PROJECT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Says that something is not tested, and why not.
pub fn skipped(what: &str, why: &str) {
    // By itself: what is printed the tests keep back where they pass.
    let _ = writeln!(std::io::stderr(), "skipped: {what}: {why}");
}

/// Says that something is not tested for want of a program that `./setup` installs.
///
/// # Panics
/// Where every test is to run.
#[track_caller]
pub fn not_installed(what: &str, program: &str) {
    assert!(std::env::var_os("EVERY_TEST").is_none(), "{program} is not installed, and EVERY_TEST is set: run ./setup");
    skipped(what, &format!("{program} is not installed; ./setup installs it"));
}

/// Returns the folder of the corpus, where it is: `CRESSET_CORPUS`, else the one that lies beside the project. That there is none is
/// said once.
pub fn corpus() -> Option<PathBuf> {
    static SAID: Once = Once::new();
    let named = std::env::var_os("CRESSET_CORPUS").map(PathBuf::from);
    let corpus = named.unwrap_or_else(|| Path::new(PROJECT).join("../shared/corpus"));
    if !corpus.is_dir() {
        SAID.call_once(|| skipped("the corpus", "it is not beside the project, nor where CRESSET_CORPUS says"));
        return None;
    }
    Some(corpus)
}

/// Returns the Python of `./setup` for a test of this, where that Python has a module.
#[track_caller]
pub fn python(what: &str, module: &str) -> Option<PathBuf> {
    let python = Path::new(PROJECT).join(".tools/python/bin/python");
    let has = Command::new(&python).args(["-c", &format!("import {module}")]).stderr(Stdio::null()).status();
    if !has.is_ok_and(|status| status.success()) {
        not_installed(what, &format!("Python's {module}"));
        return None;
    }
    Some(python)
}

/// How long this thread was on a processor, which is not how long it took where others are at work.
pub fn on_cpu() -> Duration {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells it");
    Duration::from_nanos(schedule.split(' ').next().and_then(|nanos| nanos.parse().ok()).expect("nanoseconds"))
}
