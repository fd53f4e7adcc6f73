//! Checks JSON values against the part of JSON Schema 2020-12 that plug-ins use.
//!
//! Known: `type`, `properties`, `required`, `enum`, `const`, `minimum`, `maximum`, `exclusiveMinimum`,
//! `exclusiveMaximum`, `items`, `minItems`, `maxItems`, `minLength`, `maxLength`, `pattern`, `oneOf`,
//! `anyOf`, `allOf`, `additionalProperties`, `writeOnly`, and `$ref` within the schema; `default`,
//! `description` and other words say nothing about validity.
//!
//! Other than the standard: an unknown key is a warning, also where `properties` stands without
//! `additionalProperties`; numbers and booleans written as texts (exports do that) are taken and
//! normalised; enums are compared without case; null where null is not a type counts as absent.
//! Nothing is filled in.

mod check;

use std::collections::{BTreeMap, BTreeSet};

use domain::fault::{Fault, Result};
use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value};

use crate::document::kind_of;

/// Patterns of a schema at most, and the size of one when compiled.
const PATTERNS_MAX: usize = 1000;
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// Something about one value.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Relative to the value that was checked.
    pub pointer: String,
    pub code: &'static str,
    pub message: String,
    pub hint: Option<String>,
    pub is_warning: bool,
}

/// A parsed schema.
#[derive(Clone, Debug)]
pub struct Schema {
    root: Value,
    patterns: BTreeMap<String, Regex>,
}

impl Schema {
    /// # Errors
    /// `contract.schema`, domain plugin, for a text that is no schema.
    pub fn parse(text: &str) -> Result<Self> {
        if text.trim().is_empty() {
            return Self::parse("{}");
        }
        let bad = |why: String| {
            Fault::plugin("contract.schema", format!("a schema is unreadable: {why}"))
        };
        let value: Value = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
        if !value.is_object() {
            return Err(bad(format!("it is {}", kind_of(&value))));
        }
        let mut patterns = BTreeMap::new();
        compile_patterns(&value, &mut patterns).map_err(bad)?;
        Ok(Self { root: value, patterns })
    }

    /// Names of the properties on the first level, those of alternatives included.
    pub fn property_names(&self) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        let words = ["oneOf", "anyOf", "allOf"].into_iter();
        let alternatives = words.filter_map(|word| self.root.get(word)?.as_array());
        for schema in std::iter::once(&self.root).chain(alternatives.flatten()) {
            let schema = self.resolved(schema);
            let properties = schema.get("properties").and_then(Value::as_object);
            names.extend(properties.into_iter().flat_map(Map::keys).map(String::as_str));
        }
        names
    }

    /// Whether a key is required on the first level.
    pub fn requires_anything(&self) -> bool {
        let required = self.root.get("required").and_then(Value::as_array);
        required.is_some_and(|names| !names.is_empty())
            || self.root.get("oneOf").is_some()
            || self.root.get("anyOf").is_some()
    }

    /// Names of the properties that are `writeOnly`, on any level.
    pub fn secret_names(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        secret_names(&self.root, &mut names);
        names
    }

    /// What a `$ref` leads to, or the schema itself.
    fn resolved<'s>(&'s self, schema: &'s Value) -> &'s Value {
        let target =
            schema.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#'));
        target.and_then(|pointer| self.root.pointer(pointer)).unwrap_or(schema)
    }

    /// Checks `value` and normalises it. Values at the pointers in `hidden`, and secrets, are not shown.
    pub fn check(&self, value: &mut Value, hidden: &BTreeSet<String>) -> Vec<Finding> {
        check::check(self, value, hidden)
    }
}

fn secret_names(schema: &Value, names: &mut BTreeSet<String>) {
    match schema {
        Value::Object(members) => {
            for (key, value) in members {
                if let ("properties", Some(properties)) = (key.as_str(), value.as_object()) {
                    let secret =
                        |schema: &Value| schema.get("writeOnly") == Some(&Value::Bool(true));
                    let found = properties.iter().filter(|(_, schema)| secret(schema));
                    names.extend(found.map(|(name, _)| name.clone()));
                }
                secret_names(value, names);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| secret_names(item, names)),
        _ => {}
    }
}

/// Compiles every `pattern`, so that no value waits for it.
fn compile_patterns(
    schema: &Value,
    patterns: &mut BTreeMap<String, Regex>,
) -> std::result::Result<(), String> {
    match schema {
        Value::Object(members) => {
            if let Some(pattern) = members.get("pattern").and_then(Value::as_str) {
                let regex = RegexBuilder::new(pattern).size_limit(PATTERN_BYTES_MAX).build();
                let regex = regex
                    .map_err(|_| format!("the pattern \"{pattern}\" is no regular expression"))?;
                patterns.insert(pattern.to_owned(), regex);
            }
            if patterns.len() > PATTERNS_MAX {
                return Err(format!("it has more than {PATTERNS_MAX} patterns"));
            }
            members.values().try_for_each(|value| compile_patterns(value, patterns))
        }
        Value::Array(items) => items.iter().try_for_each(|item| compile_patterns(item, patterns)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
