//! Values of a document that may also be written as text: `"true"`, `"Truncate"`. Numbers are
//! [`sdk::parameters::Number`].

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};

/// True or false, also as text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Switch(pub bool);

impl<'de> Deserialize<'de> for Switch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "true or false is expected")]
        enum Written {
            Plain(bool),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Plain(value) => Ok(Self(value)),
            Written::Text(text) => match text.to_ascii_lowercase().as_str() {
                "true" => Ok(Self(true)),
                "false" => Ok(Self(false)),
                _ => Err(D::Error::custom("true or false is expected")),
            },
        }
    }
}

impl JsonSchema for Switch {
    fn schema_name() -> Cow<'static, str> {
        "Switch".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [{ "type": "boolean" }, { "type": "string", "pattern": "^([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee])$" }]
        })
    }
}

/// A word of an enum, whatever its case; for `deserialize_with`.
///
/// # Errors
/// Names the words that there are.
pub fn word<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let lower = text.trim().to_ascii_lowercase();
    T::deserialize(StrDeserializer::<D::Error>::new(&lower)).map(Some)
}
