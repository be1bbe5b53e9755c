//! Requests as clients send them, made by hand, and what comes of them. One test vocabulary: [`check_golden`].

mod bulk;
mod otlp;

use cresset_intake::Answer;

/// Compares an answer with the file `tests/data/NAME`, byte for byte; `UPDATE_GOLDEN=1` writes it.
#[track_caller]
fn check_golden(name: &str, answer: &Answer) {
    let path = format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"));
    let shown = [format!("{} {}\n", answer.status, answer.content_type).as_bytes(), &answer.body].concat();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &shown).expect("the golden file can be written");
    }
    let golden = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}; UPDATE_GOLDEN=1 makes it"));
    assert_eq!(String::from_utf8_lossy(&shown), String::from_utf8_lossy(&golden), "{name}");
}
