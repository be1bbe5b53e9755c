//! Stages together, over the sample, and over the corpus where it is.

mod archive;
mod deliveries;
mod oracle;
mod threads;

use std::io::Write;
use std::path::{Path, PathBuf};

/// The corpus, where it is.
fn corpus() -> Option<PathBuf> {
    let named = std::env::var_os("CRESSET_CORPUS").map(PathBuf::from);
    let corpus = named.unwrap_or(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus"));
    if !corpus.is_dir() {
        // By itself: what is printed the tests keep back where they pass.
        let _ = writeln!(std::io::stderr(), "skipped: no corpus at {}", corpus.display());
        return None;
    }
    Some(corpus)
}
