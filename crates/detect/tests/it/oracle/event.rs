//! Our Event as `rsigma-eval` asks for it. Also used by the tests of `pipeline`.

use std::borrow::Cow;

use cresset_event::{Event, Value};
use rsigma_eval::EventValue;

/// An event in the oracle's terms.
pub(crate) struct OracleEvent<'e>(pub(crate) &'e Event);

impl rsigma_eval::Event for OracleEvent<'_> {
    fn get_field(&self, path: &str) -> Option<EventValue<'_>> {
        let id = self.0.names().find(path)?;
        let mut values: Vec<EventValue<'_>> = self.0.get_by_id(id).map(convert).collect();
        if values.len() > 1 { Some(EventValue::Array(values)) } else { values.pop() }
    }

    fn any_string_value(&self, pred: &dyn Fn(&str) -> bool) -> bool {
        self.all_string_values().iter().any(|text| pred(text))
    }

    fn all_string_values(&self) -> Vec<Cow<'_, str>> {
        self.0.values().filter_map(|(_, value)| value.as_str()).map(Cow::Borrowed).collect()
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::Value::Null
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
