//! Any bytes as a file of Sigma rules: `cargo +nightly fuzz run rules`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut sources = cresset_detect::RuleSources::default();
    sources.parse("fuzz", bytes);
    cresset_detect::RuleSet::compile(sources, &Default::default(), &Default::default());
});
