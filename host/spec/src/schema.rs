//! Checks JSON values against the part of JSON Schema 2020-12 that plug-ins use.
//!
//! Known: `type`, `properties`, `required`, `enum`, `const`, `minimum`, `maximum`, `items`, `minItems`,
//! `maxItems`, `minLength`, `pattern`, `oneOf`, `anyOf`, `additionalProperties`, `writeOnly`;
//! `default`, `description` and other words say nothing about validity. Other than the standard: an
//! unknown key where `additionalProperties` is false is a warning; numbers and booleans written as
//! texts (exports do that) are taken and normalised; enums are compared without case; null where null
//! is not a type counts as absent. Nothing is filled in.

use std::collections::{BTreeMap, BTreeSet};

use domain::fault::{Fault, Result};
use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value};

use crate::document::kind_of;
use crate::json::{self, exact_number, is_number};
use crate::nearest;

/// Single checks of one document at most: a schema comes from a plug-in, and alternatives within
/// lists multiply.
const CHECKS_MAX: u64 = 400_000;
/// Patterns of a schema at most, and the size of one when compiled.
const PATTERNS_MAX: usize = 1000;
const PATTERN_BYTES_MAX: usize = 1 << 20;
/// Findings of one document at most; more help nobody.
const FINDINGS_MAX: usize = 1000;
/// A shown value at most, in characters.
const SHOWN_MAX: usize = 60;

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
        let bad = |why: String| Fault::plugin("contract.schema", format!("a schema is unreadable: {why}"));
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
        let alternatives = ["oneOf", "anyOf"].into_iter().filter_map(|word| self.root.get(word)?.as_array());
        for schema in std::iter::once(&self.root).chain(alternatives.flatten()) {
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

    /// Checks `value` and normalises it. Values at the pointers in `hidden`, and secrets, are not shown.
    pub fn check(&self, value: &mut Value, hidden: &BTreeSet<String>) -> Vec<Finding> {
        let mut checker = Checker { schema: self, hidden, checks: 0, findings: Vec::new() };
        checker.value(&self.root, value, "", false);
        if checker.checks > CHECKS_MAX {
            let message = format!("the schema needs more than {CHECKS_MAX} checks for this value");
            checker.findings.push(Finding {
                pointer: String::new(),
                code: "contract.schema",
                message,
                hint: None,
                is_warning: false,
            });
        }
        checker.findings
    }
}

fn secret_names(schema: &Value, names: &mut BTreeSet<String>) {
    match schema {
        Value::Object(members) => {
            for (key, value) in members {
                if let ("properties", Some(properties)) = (key.as_str(), value.as_object()) {
                    let secret = |schema: &Value| schema.get("writeOnly") == Some(&Value::Bool(true));
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
                let regex = regex.map_err(|_| format!("the pattern \"{pattern}\" is no regular expression"))?;
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

/// How many values a value is made of.
fn size(value: &Value) -> u64 {
    match value {
        Value::Object(members) => 1 + members.values().map(size).sum::<u64>(),
        Value::Array(items) => 1 + items.iter().map(size).sum::<u64>(),
        _ => 1,
    }
}

struct Checker<'a> {
    schema: &'a Schema,
    hidden: &'a BTreeSet<String>,
    checks: u64,
    findings: Vec<Finding>,
}

impl Checker<'_> {
    fn tell(&mut self, pointer: &str, code: &'static str, message: String, hint: Option<String>) {
        if self.findings.len() < FINDINGS_MAX {
            let pointer = pointer.to_owned();
            self.findings.push(Finding { pointer, code, message, hint, is_warning: false });
        }
    }

    /// Checks one value; `secret`: it, or something around it, is `writeOnly`.
    fn value(&mut self, schema: &Value, value: &mut Value, pointer: &str, secret: bool) {
        self.checks = self.checks.saturating_add(1);
        let Some(schema) = schema.as_object().filter(|_| self.checks <= CHECKS_MAX) else {
            if schema == &Value::Bool(false) {
                self.tell(pointer, "spec.value", format!("{} is not allowed", label(pointer)), None);
            }
            return;
        };
        let secret = secret
            || schema.get("writeOnly") == Some(&Value::Bool(true))
            || self.hidden.contains(pointer);
        if !normalise(schema, value) {
            let expected = schema.get("type").map(types_for_people).unwrap_or_default();
            let message = format!("{} must be {expected}, not {}", label(pointer), kind_of(value));
            self.tell(pointer, "spec.type", message, described(schema));
            return;
        }
        self.choices(schema, value, pointer, secret);
        match value {
            Value::Object(members) => self.object(schema, members, pointer, secret),
            Value::Array(items) => self.list(schema, items, pointer, secret),
            Value::Number(_) => self.number(schema, value, pointer, secret),
            Value::String(text) => self.text(schema, text, pointer, secret),
            Value::Null | Value::Bool(_) => {}
        }
        for word in ["oneOf", "anyOf"] {
            if let Some(branches) = schema.get(word).and_then(Value::as_array) {
                self.alternatives(word, branches, value, pointer, secret);
            }
        }
    }

    /// `enum` and `const`, in the schema's own spelling.
    fn choices(&mut self, schema: &Map<String, Value>, value: &mut Value, pointer: &str, secret: bool) {
        let choices: Vec<&Value> = match (schema.get("enum"), schema.get("const")) {
            (Some(Value::Array(choices)), _) => choices.iter().collect(),
            (_, Some(only)) => vec![only],
            _ => return,
        };
        if choices.contains(&&*value) {
            return;
        }
        let same = |choice: &&&Value| match (choice.as_str(), value.as_str()) {
            (Some(choice), Some(text)) => choice.eq_ignore_ascii_case(text),
            _ => false,
        };
        if let Some(choice) = choices.iter().find(same) {
            *value = (**choice).clone();
            return;
        }
        let listed: Vec<_> = choices.iter().map(|choice| choice.to_string()).collect();
        let message = match listed.as_slice() {
            [only] => format!("{} is {}, not {only}", label(pointer), shown(value, secret)),
            _ => format!(
                "{} is {}, none of {}",
                label(pointer),
                shown(value, secret),
                listed.join(", ")
            ),
        };
        let words = choices.iter().filter_map(|choice| choice.as_str());
        let near = value.as_str().filter(|_| !secret).and_then(|text| nearest::hint(text, words));
        self.tell(pointer, "spec.value", message, near.or_else(|| described(schema)));
    }

    fn object(
        &mut self,
        schema: &Map<String, Value>,
        members: &mut Map<String, Value>,
        pointer: &str,
        secret: bool,
    ) {
        let none = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
        // Exports write null where nothing was chosen.
        members.retain(|name, value| {
            !value.is_null() || properties.get(name).is_none_or(|property| allows(property, "null"))
        });
        for name in names(schema.get("required")) {
            if !members.contains_key(name) {
                let hint = properties.get(name).and_then(Value::as_object).and_then(described);
                let message = format!("\"{name}\" is missing");
                self.tell(pointer, "spec.required", message, hint);
            }
        }
        let additional = schema.get("additionalProperties");
        for (name, value) in members.iter_mut() {
            let pointer = json::child(pointer, name);
            match (properties.get(name), additional) {
                (Some(property), _) => self.value(property, value, &pointer, secret),
                (None, Some(Value::Bool(false))) => {
                    let known = properties.keys().map(String::as_str);
                    self.findings.push(Finding {
                        code: "spec.unknown_key",
                        message: format!("unknown key \"{name}\", ignored"),
                        hint: nearest::hint(name, known.filter(|known| !known.is_empty())),
                        pointer,
                        is_warning: true,
                    });
                }
                (None, Some(property)) => self.value(property, value, &pointer, secret),
                (None, None) => {}
            }
        }
    }

    fn list(
        &mut self,
        schema: &Map<String, Value>,
        items: &mut [Value],
        pointer: &str,
        secret: bool,
    ) {
        let count = items.len() as u64;
        let bound = |word| schema.get(word).and_then(Value::as_u64);
        if let Some(least) = bound("minItems").filter(|least| count < *least) {
            let message = match count {
                0 => format!("{} is empty", label(pointer)),
                _ => format!("{} has {count} items, fewer than {least}", label(pointer)),
            };
            self.tell(pointer, "spec.value", message, described(schema));
        }
        if let Some(most) = bound("maxItems").filter(|most| count > *most) {
            let message = format!("{} has {count} items, more than {most}", label(pointer));
            self.tell(pointer, "spec.value", message, described(schema));
        }
        if let Some(schema) = schema.get("items") {
            for (index, item) in items.iter_mut().enumerate() {
                self.value(schema, item, &format!("{pointer}/{index}"), secret);
            }
        }
    }

    fn number(&mut self, schema: &Map<String, Value>, value: &Value, pointer: &str, secret: bool) {
        let number = value.as_f64().unwrap_or_default();
        let bound = |word| schema.get(word).and_then(Value::as_f64);
        let wrong = match (bound("minimum"), bound("maximum")) {
            (Some(least), _) if number < least => format!("less than {least}"),
            (_, Some(most)) if number > most => format!("more than {most}"),
            _ => return,
        };
        let message = format!("{} is {}, {wrong}", label(pointer), shown(value, secret));
        self.tell(pointer, "spec.value", message, described(schema));
    }

    fn text(&mut self, schema: &Map<String, Value>, text: &str, pointer: &str, secret: bool) {
        let least = schema.get("minLength").and_then(Value::as_u64).unwrap_or(0);
        let count = text.chars().count() as u64;
        if count < least {
            let message = match count {
                0 => format!("{} is empty", label(pointer)),
                _ => format!("{} has fewer than {least} characters", label(pointer)),
            };
            self.tell(pointer, "spec.value", message, described(schema));
            return;
        }
        let pattern = schema.get("pattern").and_then(Value::as_str);
        let regex = pattern.and_then(|pattern| self.schema.patterns.get(pattern));
        if let (Some(pattern), Some(regex)) = (pattern, regex)
            && !regex.is_match(text)
        {
            let value = shown(&Value::from(text), secret);
            let message = format!("{} is {value}, which does not match {pattern}", label(pointer));
            self.tell(pointer, "spec.value", message, described(schema));
        }
    }

    /// `oneOf` and `anyOf`. A branch that fits without a warning wins over one with; with `oneOf`
    /// two branches that fit equally well are a fault.
    fn alternatives(
        &mut self,
        word: &str,
        branches: &[Value],
        value: &mut Value,
        pointer: &str,
        secret: bool,
    ) {
        let mut tried = Vec::new();
        for branch in branches {
            // Each branch copies the value.
            self.checks = self.checks.saturating_add(size(value));
            if self.checks > CHECKS_MAX {
                return;
            }
            let mut candidate = value.clone();
            let before = std::mem::take(&mut self.findings);
            self.value(branch, &mut candidate, pointer, secret);
            let findings = std::mem::replace(&mut self.findings, before);
            let errors = findings.iter().filter(|finding| !finding.is_warning).count();
            let changed = candidate != *value;
            tried.push((errors, findings.len() - errors, changed, branch, candidate, findings));
        }
        tried.sort_by_key(|(errors, warnings, changed, ..)| (*errors, *warnings, *changed));
        let fit = |errors: &usize| *errors == 0;
        if let [first, second, ..] = tried.as_slice()
            && word == "oneOf"
            && fit(&first.0)
            && (second.0, second.1, second.2) == (first.0, first.1, first.2)
        {
            let message = format!("{} fits several forms at once", label(pointer));
            self.tell(pointer, "spec.value", message, forms(branches));
            return;
        }
        // The sort is stable: of branches that are equally near the first is meant.
        let Some((errors, .., candidate, findings)) = tried.iter().find(|(errors, .., branch, _, _)| {
            fit(errors) || takes(branch, value)
        }).map(|(errors, _, _, _, candidate, findings)| (errors, candidate, findings)) else {
            let message = format!("{} has none of the forms that are allowed", label(pointer));
            self.tell(pointer, "spec.value", message, forms(branches));
            return;
        };
        if fit(errors) {
            *value = candidate.clone();
        }
        self.findings.extend(findings.iter().cloned());
    }
}

/// Whether a branch is about values of this kind.
fn takes(branch: &Value, value: &Value) -> bool {
    allows(branch, type_of(value))
}

/// The schema's word for a value's type.
fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn allows(schema: &Value, kind: &str) -> bool {
    schema.get("type").is_none() || names(schema.get("type")).contains(&kind)
}

/// A text, or the texts of a list.
fn names(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// Whether the value has one of the schema's types, if need be after reading a text as one.
fn normalise(schema: &Map<String, Value>, value: &mut Value) -> bool {
    let types = names(schema.get("type"));
    let is = |kind: &&str| match (*kind, &*value) {
        ("integer", Value::Number(number)) => whole(number).is_some(),
        (kind, value) => kind == type_of(value),
    };
    if types.is_empty() || types.iter().any(is) {
        if let (true, Value::Number(number)) = (types.contains(&"integer"), &*value)
            && let (false, Some(number)) = (types.contains(&"number"), whole(number))
        {
            *value = number;
        }
        return true;
    }
    let Some(text) = value.as_str().map(str::trim) else { return false };
    let number = || is_number(text).then(|| exact_number(text)).flatten();
    let read = types.iter().find_map(|kind| match *kind {
        "integer" => number().as_ref().and_then(whole),
        "number" => number().map(Value::Number),
        "boolean" if text.eq_ignore_ascii_case("true") => Some(Value::Bool(true)),
        "boolean" if text.eq_ignore_ascii_case("false") => Some(Value::Bool(false)),
        _ => None,
    });
    match read {
        Some(read) => {
            *value = read;
            true
        }
        None => false,
    }
}

/// The number without a fraction: `2.0` is 2.
fn whole(number: &serde_json::Number) -> Option<Value> {
    /// Beyond this a double skips integers.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    if number.is_i64() || number.is_u64() {
        return Some(Value::Number(number.clone()));
    }
    let double = number.as_f64().filter(|double| double.fract() == 0.0 && double.abs() <= EXACT_MAX)?;
    Some(Value::from(double as i64))
}

/// The value's name within its parent, quoted.
fn label(pointer: &str) -> String {
    let last = json::last_key(pointer);
    if last.bytes().all(|byte| byte.is_ascii_digit()) && !last.is_empty() {
        let parent = pointer.rfind('/').map_or("", |slash| &pointer[..slash]);
        let number = last.parse::<usize>().map_or(0, |index| index.saturating_add(1));
        return format!("item {number} of \"{}\"", json::last_key(parent));
    }
    if last.is_empty() { "the value".into() } else { format!("\"{last}\"") }
}

/// A value as JSON, cut; never a secret.
fn shown(value: &Value, secret: bool) -> String {
    if secret {
        return "a secret".into();
    }
    let text = match value {
        Value::Array(_) | Value::Object(_) => return kind_of(value).into(),
        value => value.to_string(),
    };
    if text.chars().count() <= SHOWN_MAX {
        return text;
    }
    text.chars().take(SHOWN_MAX).chain(['…']).collect()
}

fn types_for_people(types: &Value) -> String {
    let words = names(Some(types)).into_iter().map(|kind| match kind {
        "string" => "a text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "an object",
        "null" => "null",
        _ => "a value of an unknown type",
    });
    words.collect::<Vec<_>>().join(" or ")
}

/// The schema's description, as the hint.
fn described(schema: &Map<String, Value>) -> Option<String> {
    schema.get("description").and_then(Value::as_str).map(str::to_owned)
}

/// What the branches are, where they say so.
fn forms(branches: &[Value]) -> Option<String> {
    let forms = branches.iter().filter_map(|branch| {
        let branch = branch.as_object()?;
        let words = ["title", "description"].into_iter().find_map(|word| branch.get(word)?.as_str());
        let required = names(branch.get("required"));
        match (words, branch.get("type"), required.as_slice()) {
            (Some(words), _, _) => Some(words.to_owned()),
            (None, _, [_, ..]) => Some(format!("an object with \"{}\"", required.join("\", \""))),
            (None, Some(types), []) => Some(types_for_people(types)),
            _ => None,
        }
    });
    let forms: Vec<_> = forms.collect();
    (!forms.is_empty()).then(|| format!("expected {}", forms.join(", or ")))
}

#[cfg(test)]
mod tests;
