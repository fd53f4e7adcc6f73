//! A step's JSON documents as Rust types, and the types as JSON Schemas.
//!
//! One struct with `Deserialize` and `JsonSchema` both reads the document and makes the schema that
//! `describe` shows, so that the two cannot disagree. Secrets carry
//! `#[schemars(extend("writeOnly" = true))]`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Configuration, Fault, Result};

/// The JSON Schema of `T`, as `describe` hands it out.
pub fn schema<T: JsonSchema>() -> String {
    schemars::schema_for!(T).as_value().to_string()
}

/// The step's `parameter`.
///
/// # Errors
/// `parameter.invalid`, with the place of the value.
pub fn parameter<T: DeserializeOwned>(configuration: &Configuration) -> Result<T> {
    read(&configuration.parameter, "/parameter")
}

/// The properties of the data source.
///
/// # Errors
/// `connection.invalid`, with the place of the value.
pub fn connection<T: DeserializeOwned>(configuration: &Configuration) -> Result<T> {
    read(&configuration.connection, "/connection")
}

fn read<T: DeserializeOwned>(text: &str, root: &str) -> Result<T> {
    let reader = &mut serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(reader).map_err(|error| {
        let place = pointer(root, error.path());
        let code = format!("{}.invalid", &root[1..]);
        // The reader's own message can quote a value, and a connection holds secrets.
        let message = match root {
            "/connection" => "the connection has a value of the wrong kind".to_owned(),
            _ => error.inner().to_string(),
        };
        Fault::user(&code, message).at(place)
    })
}

fn pointer(root: &str, path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = root.to_owned();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer += &format!("/{index}"),
            Segment::Map { key } => {
                pointer += &format!("/{}", key.replace('~', "~0").replace('/', "~1"))
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

/// One value, or a list of them.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    pub fn as_slice(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// A whole number of zero or more, as a JSON number or as its text, as older documents spell it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Number(pub u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let number = match &value {
            serde_json::Value::String(text) => text.trim().parse().ok(),
            other => other.as_u64(),
        };
        number.map(Self).ok_or_else(|| D::Error::custom(format!("{value} is not a whole number")))
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl JsonSchema for Number {
    fn schema_name() -> Cow<'static, str> {
        "Number".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["integer", "string"], "minimum": 0, "pattern": "^ *[0-9]+ *$"})
    }
}
