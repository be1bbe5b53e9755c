//! What both readers make of a text, compared.

use std::sync::Arc;

use cresset_event::{Event, EventBuilder, FieldNames, Origin, Value};

use super::{Scratch, full, read_object};

/// Reads texts one after another, because a name is guessed from the record before, with and without a raw record.
///
/// # Panics
///
/// Where the readers do not agree.
#[track_caller]
pub fn check_json_readers_agree<'t>(texts: impl Iterator<Item = &'t str> + Clone) {
    for is_raw in [true, false] {
        let [mut both, mut full] = [(); 2].map(|()| EventBuilder::new(Arc::new(FieldNames::new())));
        let mut scratch = Scratch::default();
        for text in texts.clone() {
            let left = read(text, is_raw, &mut both, |builder| read_object(text, &mut scratch, builder));
            let mut path = String::new();
            let right = read(text, is_raw, &mut full, |builder| full::read_object(text, &mut path, builder));
            assert_eq!(left, right, "{text:?}, a raw record: {is_raw}");
        }
        assert_eq!(both.names().len(), full.names().len(), "names that were interned");
    }
}

/// What came of a text: its fields, written out to the last bit, or the error.
fn read(
    text: &str,
    is_raw: bool,
    builder: &mut EventBuilder,
    read: impl FnOnce(&mut EventBuilder) -> Result<(), serde_json::Error>,
) -> Result<Vec<String>, String> {
    builder.clear();
    if is_raw {
        builder.set_raw(text);
    }
    read(builder).map_err(|error| error.to_string())?;
    let event = builder.finish(Origin::default());
    assert_eq!(event.raw(), if is_raw { text } else { "" });
    let cut = format!("{} cut, {}", event.fields_cut(), event.id());
    Ok(shown(&event).chain([cut]).collect())
}

fn shown(event: &Event) -> impl Iterator<Item = String> {
    event.fields().map(|field| match field.value {
        Value::Float(number) => format!("{} = float {:x}", field.name, number.to_bits()),
        value => format!("{} = {value:?}", field.name),
    })
}
