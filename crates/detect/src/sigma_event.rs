//! Our Event as `rsigma-eval` asks for it. Goes with that evaluator.

use std::borrow::Cow;

use cresset_event::{Event, Value};
use rsigma_eval::EventValue;

/// An event in the evaluator's terms.
pub(crate) struct SigmaEvent<'e>(pub(crate) &'e Event);

impl rsigma_eval::Event for SigmaEvent<'_> {
    fn get_field(&self, path: &str) -> Option<EventValue<'_>> {
        match self.0.names().find(path) {
            Some(id) => gather(self.0.get_by_id(id)),
            // Only where the table of names was full can the event still have it.
            None => gather(self.0.inline(path).into_iter()),
        }
    }

    fn any_string_value(&self, pred: &dyn Fn(&str) -> bool) -> bool {
        self.0.values().any(|(_, value)| value.as_str().is_some_and(pred))
    }

    fn all_string_values(&self) -> Vec<Cow<'_, str>> {
        self.0.values().filter_map(|(_, value)| value.as_str()).map(Cow::Borrowed).collect()
    }

    fn visit_string_values(&self, visit: &mut dyn FnMut(&str)) {
        for (_, value) in self.0.values() {
            if let Some(text) = value.as_str() {
                visit(text);
            }
        }
    }

    fn to_json(&self) -> serde_json::Value {
        let mut object = serde_json::Map::new();
        for field in self.0.fields() {
            object.insert(field.name.into_owned(), convert(field.value).to_json());
        }
        serde_json::Value::Object(object)
    }

    fn field_keys(&self) -> Vec<Cow<'_, str>> {
        self.0.fields().map(|field| field.name).collect()
    }
}

/// One value as it is; several as an array.
fn gather<'e>(mut values: impl Iterator<Item = Value<'e>>) -> Option<EventValue<'e>> {
    let first = values.next()?;
    match values.next() {
        None => Some(convert(first)),
        Some(second) => Some(EventValue::Array([first, second].into_iter().chain(values).map(convert).collect())),
    }
}

fn convert(value: Value<'_>) -> EventValue<'_> {
    match value {
        Value::Str(text) => EventValue::Str(Cow::Borrowed(text)),
        Value::Int(number) => EventValue::Int(number),
        Value::Float(number) => EventValue::Float(number),
        Value::Bool(truth) => EventValue::Bool(truth),
        Value::Null => EventValue::Null,
        Value::Empty => EventValue::Array(Vec::new()),
    }
}
