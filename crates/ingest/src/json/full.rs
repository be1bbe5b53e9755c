//! Any JSON object, through `serde_json`: a visitor that needs no tree in between.
//!
//! Depth is bounded by `serde_json` (128) and names by [`PATH_BYTES_MAX`].

use std::fmt;

use cresset_event::{EventBuilder, Value};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::PATH_BYTES_MAX;

/// Reads one object that is the whole of `text` into the builder.
pub(super) fn read_object(text: &str, path: &mut String, builder: &mut EventBuilder) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    path.clear();
    Fields { path, builder, depth: 0 }.deserialize(&mut deserializer)?;
    deserializer.end()
}

/// Puts what it is given into the builder, under the path it stands at.
struct Fields<'a> {
    path: &'a mut String,
    builder: &'a mut EventBuilder,
    depth: usize,
}

impl Fields<'_> {
    fn push(self, value: Value<'_>) {
        self.builder.push(self.path, value);
    }

    fn refuse_bare<E: Error>(&self) -> Result<(), E> {
        if self.depth == 0 { Err(E::custom("not a JSON object")) } else { Ok(()) }
    }
}

impl<'de> DeserializeSeed<'de> for Fields<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.refuse_bare()?;
        self.push(Value::Str(text));
        Ok(())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.refuse_bare()?;
        self.push(Value::Int(number));
        Ok(())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.refuse_bare()?;
        match i64::try_from(number) {
            Ok(number) => self.push(Value::Int(number)),
            Err(_) => self.push(Value::Str(&number.to_string())),
        }
        Ok(())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.refuse_bare()?;
        self.push(Value::Float(number));
        Ok(())
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<(), E> {
        self.refuse_bare()?;
        self.push(Value::Bool(truth));
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.refuse_bare()?;
        self.push(Value::Null);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        self.refuse_bare()?;
        let mut any = false;
        loop {
            let member = Fields { path: self.path, builder: self.builder, depth: self.depth + 1 };
            if members.next_element_seed(member)?.is_none() {
                break;
            }
            any = true;
        }
        if !any {
            self.push(Value::Empty);
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let base = self.path.len();
        let mut any = false;
        while members.next_key_seed(Key { path: self.path, base })?.is_some() {
            any = true;
            members.next_value_seed(Fields { path: self.path, builder: self.builder, depth: self.depth + 1 })?;
            self.path.truncate(base);
        }
        if !any && self.depth > 0 {
            self.push(Value::Empty);
        }
        Ok(())
    }
}

/// Appends a key to the path.
struct Key<'a> {
    path: &'a mut String,
    base: usize,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<(), E> {
        if self.base > 0 {
            self.path.push('.');
        }
        self.path.push_str(key);
        if self.path.len() > PATH_BYTES_MAX {
            return Err(E::custom(format_args!("a name of more than {PATH_BYTES_MAX} bytes")));
        }
        Ok(())
    }
}
