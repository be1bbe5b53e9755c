//! One JSON object into the fields of an event, without a tree in between.
//!
//! What is nested gets a dotted name; members of an array are fields of one name. Two readers that come to the same:
//! `quick.rs` reads what it is sure of, which is nearly all there is; the rest is `serde_json`'s (`full.rs`), whose errors
//! are shown. `tests.rs` and the fuzz target `json` hold them to that.

#[cfg(any(test, fuzzing))]
mod agree;
mod full;
mod quick;
#[cfg(test)]
mod tests;

#[cfg(any(test, fuzzing))]
pub use agree::check_json_readers_agree;
use cresset_event::EventBuilder;

/// Longest dotted name. Longer ones are an error: no log has them, and a thousand nested names would square the memory.
const PATH_BYTES_MAX: usize = 1024;

/// Memory that is used again for each object.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// The dotted name of what is being read.
    path: String,
    /// Text without its escapes.
    decoded: String,
}

/// Reads one object that is the whole of `text` into the builder, which must be clear, or hold `text` as the raw record:
/// then values are not copied.
pub(crate) fn read_object(
    text: &str,
    scratch: &mut Scratch,
    builder: &mut EventBuilder,
) -> Result<(), serde_json::Error> {
    if quick::read_object(text, scratch, builder).is_some() {
        return Ok(());
    }
    builder.clear_fields();
    full::read_object(text, &mut scratch.path, builder)
}
