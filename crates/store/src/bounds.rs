//! How long the texts are that people write. Longer ones are refused with their length, and never cut in silence.

use crate::error::StoreError;

/// Longest name or title: a line on a screen, several times.
const NAME_BYTES_MAX: usize = 1024;
/// Longest note: a report of thirty pages; longer ones are evidence.
const NOTE_BYTES_MAX: usize = 64 << 10;
/// Longest definition of an exclusion or a silence.
const DEFINITION_BYTES_MAX: usize = 64 << 10;
/// Longest list of assets: some 100,000 of them.
const ASSETS_BYTES_MAX: usize = 16 << 20;

pub(crate) fn check_name(what: &'static str, text: &str) -> Result<(), StoreError> {
    check(what, text, NAME_BYTES_MAX)
}

pub(crate) fn check_note(text: &str) -> Result<(), StoreError> {
    check("the note", text, NOTE_BYTES_MAX)
}

pub(crate) fn check_definition(text: &str) -> Result<(), StoreError> {
    check("the definition", text, DEFINITION_BYTES_MAX)
}

pub(crate) fn check_assets(text: &str) -> Result<(), StoreError> {
    check("the list of assets", text, ASSETS_BYTES_MAX)
}

fn check(what: &'static str, text: &str, bytes_max: usize) -> Result<(), StoreError> {
    let bytes = text.len();
    if bytes > bytes_max { Err(StoreError::TooLong { what, bytes, bytes_max }) } else { Ok(()) }
}
