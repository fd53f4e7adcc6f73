//! Values within JSON texts, by paths of RFC 9535. Numbers keep the digits that they are written with.

use std::collections::HashMap;

use domain::{Fault, Result};
use serde_json::Value;
use serde_json::value::RawValue;
use serde_json_path::{JsonPath, NormalizedPath, PathElement};

#[derive(Clone, Debug)]
pub struct Path(JsonPath);

impl Path {
    /// # Errors
    /// `expression.value`: it is no path.
    pub fn parse(text: &str) -> Result<Self> {
        JsonPath::parse(text).map(Self).map_err(|error| {
            let message = format!("\"{text}\" is no path of JSON: {}", error.message());
            Fault::user("expression.value", message)
                .hint("a path is written as $.customer.name or $.items[0]")
        })
    }
}

/// A JSON text that was read.
#[derive(Debug)]
pub struct Document<'t> {
    text: &'t str,
    value: Value,
}

impl<'t> Document<'t> {
    /// # Errors
    /// Why it is no JSON text, for people.
    pub fn parse(text: &'t str) -> Result<Self, String> {
        let value = serde_json::from_str(text);
        // The message of the parser would quote nothing, but may say where.
        let value = value.map_err(|error| {
            format!("the text is no JSON (line {}, column {})", error.line(), error.column())
        })?;
        Ok(Self { text, value })
    }

    /// What a path finds: texts as they are, other values as JSON; `None` where it finds nothing or null.
    ///
    /// # Errors
    /// It finds several values.
    pub fn find(&self, path: &Path) -> Result<Option<String>, String> {
        let mut found = path.0.query_located(&self.value).all().into_iter();
        let Some(node) = found.next() else { return Ok(None) };
        let others = found.count();
        if others > 0 {
            return Err(format!("the path finds {} values", others + 1));
        }
        Ok(match node.node() {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            Value::Bool(value) => Some(value.to_string()),
            // A number beyond 64 bits, or within a list, must not be rounded.
            _ => raw(self.text, node.location()).map(str::to_owned),
        })
    }
}

/// The text of the value at a place.
fn raw<'t>(text: &'t str, place: &NormalizedPath<'_>) -> Option<&'t str> {
    let mut text = text;
    for element in place.iter() {
        text = match element {
            PathElement::Name(name) => {
                let members: HashMap<String, &'t RawValue> = serde_json::from_str(text).ok()?;
                members.get(*name)?.get()
            }
            PathElement::Index(index) => {
                let items: Vec<&'t RawValue> = serde_json::from_str(text).ok()?;
                items.get(*index)?.get()
            }
        };
    }
    Some(text.trim())
}
