//! Any lines as a snapshot of correlations, under a first line that vouches for them: `cargo +nightly fuzz run snapshot`.
#![no_main]

use std::sync::Arc;

use cresset_detect::{Detector, RuleSet, RuleSources};
use sha2::{Digest, Sha256};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut sources = RuleSources::default();
    sources.parse("sample", include_bytes!("../../sample/rules/harbour.yml"));
    let (rules, _) = RuleSet::compile(sources, &Default::default(), &Default::default());
    let mut detector = Detector::new(Arc::new(rules), Arc::default());
    let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    if detector.restore(&[format!("cresset-correlations 1 {digest}\n").as_bytes(), bytes].concat()).is_ok() {
        assert!(detector.restore(&detector.snapshot().bytes).is_ok());
    }
});
