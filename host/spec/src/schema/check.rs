//! The walk over a value and its schema.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Finding, Schema};
use crate::blank::{blank_url, is_secret_name};
use crate::document::kind_of;
use crate::json::{self, exact_number, is_number};
use crate::nearest;

/// Single checks of one document at most: a schema comes from a plug-in, and alternatives within
/// lists multiply.
const CHECKS_MAX: u64 = 400_000;
/// Schemas within schemas at most, so that one that refers to itself ends.
const DEPTH_MAX: u32 = 200;
/// Findings of one document at most; more help nobody.
const FINDINGS_MAX: usize = 1000;
/// A shown value at most, in characters.
const SHOWN_MAX: usize = 60;

pub(super) fn check(schema: &Schema, value: &mut Value, hidden: &BTreeSet<String>) -> Vec<Finding> {
    let mut checker = Checker { schema, hidden, checks: 0, findings: Vec::new() };
    let around = Around { secret: false, open: false, depth: 0 };
    checker.value(&schema.root, value, "", around);
    if checker.checks > CHECKS_MAX {
        // Whatever was found before is of an unfinished check.
        checker.findings.clear();
        let message = format!("the schema needs more than {CHECKS_MAX} checks for this value");
        checker.tell("", "contract.schema", message, None);
    }
    checker.findings
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

/// What surrounds a value.
#[derive(Clone, Copy)]
struct Around {
    /// It, or something around it, is a secret.
    secret: bool,
    /// Another schema speaks of the same object, so that unknown keys may be known there.
    open: bool,
    depth: u32,
}

impl Checker<'_> {
    fn tell(&mut self, pointer: &str, code: &'static str, message: String, hint: Option<String>) {
        let pointer = pointer.to_owned();
        self.push(Finding { pointer, code, message, hint, is_warning: false });
    }

    fn push(&mut self, finding: Finding) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        }
    }

    /// Checks one value.
    fn value(&mut self, schema: &Value, value: &mut Value, pointer: &str, around: Around) {
        self.checks = self.checks.saturating_add(1);
        if around.depth > DEPTH_MAX {
            self.checks = u64::MAX;
        }
        let around = Around { depth: around.depth + 1, ..around };
        let Some(words) = schema.as_object().filter(|_| self.checks <= CHECKS_MAX) else {
            if schema == &Value::Bool(false) {
                self.tell(
                    pointer,
                    "spec.value",
                    format!("{} is not allowed", label(pointer)),
                    None,
                );
            }
            return;
        };
        let around = Around {
            secret: around.secret
                || words.get("writeOnly") == Some(&Value::Bool(true))
                || self.hidden.contains(pointer)
                || is_secret_name(&json::last_key(pointer)),
            ..around
        };
        let target = self.schema.resolved(schema);
        if !std::ptr::eq(target, schema) {
            self.value(target, value, pointer, around);
        }
        if !normalise(words, value) {
            let expected = words.get("type").map(types_for_people).unwrap_or_default();
            let message = format!("{} must be {expected}, not {}", label(pointer), kind_of(value));
            self.tell(pointer, "spec.type", message, described(words));
            return;
        }
        self.choices(words, value, pointer, around.secret);
        match value {
            Value::Object(members) => self.object(words, members, pointer, around),
            Value::Array(items) => self.list(words, items, pointer, around),
            Value::Number(_) => self.number(words, value, pointer, around.secret),
            Value::String(text) => self.text(words, text, pointer, around.secret),
            Value::Null | Value::Bool(_) => {}
        }
        self.combined(words, value, pointer, around);
    }

    /// `allOf`, `oneOf` and `anyOf`.
    fn combined(
        &mut self,
        schema: &Map<String, Value>,
        value: &mut Value,
        pointer: &str,
        around: Around,
    ) {
        let open = around.open || schema.contains_key("properties") || schema.contains_key("allOf");
        let around = Around { open, ..around };
        let branches = |word| schema.get(word).and_then(Value::as_array);
        for branch in branches("allOf").into_iter().flatten() {
            self.value(branch, value, pointer, around);
        }
        for word in ["oneOf", "anyOf"] {
            let Some(branches) = branches(word) else { continue };
            // An enum whose words have descriptions of their own.
            let choices: Option<Vec<_>> = branches.iter().map(choices_of).collect();
            match choices {
                Some(choices) => {
                    self.choose(&choices.concat(), schema, value, pointer, around.secret)
                }
                None => self.alternatives(word, branches, value, pointer, around),
            }
        }
    }

    /// `enum` and `const`.
    fn choices(
        &mut self,
        schema: &Map<String, Value>,
        value: &mut Value,
        pointer: &str,
        secret: bool,
    ) {
        let choices = match (schema.get("enum"), schema.get("const")) {
            (Some(Value::Array(choices)), _) => choices.iter().collect(),
            (_, Some(only)) => vec![only],
            _ => return,
        };
        self.choose(&choices, schema, value, pointer, secret);
    }

    /// One of `choices`, in the schema's own spelling.
    fn choose(
        &mut self,
        choices: &[&Value],
        schema: &Map<String, Value>,
        value: &mut Value,
        pointer: &str,
        secret: bool,
    ) {
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
        around: Around,
    ) {
        let none = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
        // Exports write null where nothing was chosen.
        members.retain(|name, value| {
            !value.is_null()
                || properties
                    .get(name)
                    .is_none_or(|property| allows(self.schema.resolved(property), "null"))
        });
        for name in names(schema.get("required")) {
            if !members.contains_key(name) {
                let others = members.keys().filter(|key| !properties.contains_key(*key));
                let near = nearest::misspelled(name, others);
                let property = properties.get(name).and_then(Value::as_object);
                let meaning = property.and_then(described);
                let hint = near.or_else(|| Some(format!("add \"{name}\": {}", meaning?)));
                let message = format!("\"{name}\" is missing");
                self.tell(pointer, "spec.required", message, hint);
            }
        }
        let composed =
            ["$ref", "oneOf", "anyOf", "allOf"].iter().any(|word| schema.contains_key(*word));
        let closed = Value::Bool(false);
        let additional = match schema.get("additionalProperties") {
            None if schema.contains_key("properties") && !composed && !around.open => Some(&closed),
            additional => additional,
        };
        let within = Around { open: false, ..around };
        for (name, value) in members.iter_mut() {
            let pointer = json::child(pointer, name);
            match (properties.get(name), additional) {
                (Some(property), _) => self.value(property, value, &pointer, within),
                (None, Some(Value::Bool(false))) => {
                    let known = properties.keys().map(String::as_str);
                    let hint = nearest::hint(name, known);
                    let message = format!("unknown key \"{name}\", ignored");
                    let (code, is_warning) = ("spec.unknown_key", true);
                    self.push(Finding { pointer, code, message, hint, is_warning });
                }
                (None, Some(property)) => self.value(property, value, &pointer, within),
                (None, None) => {}
            }
        }
    }

    fn list(
        &mut self,
        schema: &Map<String, Value>,
        items: &mut [Value],
        pointer: &str,
        around: Around,
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
                let within = Around { open: false, ..around };
                self.value(schema, item, &format!("{pointer}/{index}"), within);
            }
        }
    }

    fn number(&mut self, schema: &Map<String, Value>, value: &Value, pointer: &str, secret: bool) {
        let number = value.as_f64().unwrap_or_default();
        let bound = |word| schema.get(word).and_then(Value::as_f64);
        let above = |word| bound(word).filter(|least| number <= *least);
        let wrong = match (
            bound("minimum"),
            bound("maximum"),
            above("exclusiveMinimum"),
            bound("exclusiveMaximum"),
        ) {
            (Some(least), ..) if number < least => format!("less than {least}"),
            (_, Some(most), ..) if number > most => format!("more than {most}"),
            (_, _, Some(least), _) => format!("not more than {least}"),
            (.., Some(most)) if number >= most => format!("not less than {most}"),
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
        if let Some(most) =
            schema.get("maxLength").and_then(Value::as_u64).filter(|most| count > *most)
        {
            let message = format!("{} has more than {most} characters", label(pointer));
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
        around: Around,
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
            self.value(branch, &mut candidate, pointer, around);
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
            self.tell(pointer, "spec.value", message, self.forms(branches));
            return;
        }
        // The sort is stable: of branches that are equally near the first is meant.
        let Some((errors, .., candidate, findings)) = tried
            .iter()
            .find(|(errors, .., branch, _, _)| {
                fit(errors) || takes(self.schema.resolved(branch), value)
            })
            .map(|(errors, _, _, _, candidate, findings)| (errors, candidate, findings))
        else {
            let message = format!("{} has none of the forms that are allowed", label(pointer));
            self.tell(pointer, "spec.value", message, self.forms(branches));
            return;
        };
        if fit(errors) {
            *value = candidate.clone();
        }
        self.findings.extend(findings.iter().cloned());
    }

    /// What the branches are, where they say so.
    fn forms(&self, branches: &[Value]) -> Option<String> {
        let forms = branches.iter().filter_map(|branch| {
            let branch = self.schema.resolved(branch).as_object()?;
            let words =
                ["title", "description"].into_iter().find_map(|word| branch.get(word)?.as_str());
            let required = names(branch.get("required"));
            match (words, branch.get("type"), required.as_slice()) {
                (Some(words), _, _) => Some(words.to_owned()),
                (None, _, [_, ..]) => {
                    Some(format!("an object with \"{}\"", required.join("\", \"")))
                }
                (None, Some(types), []) => Some(types_for_people(types)),
                _ => None,
            }
        });
        let forms: Vec<_> = forms.collect();
        (!forms.is_empty()).then(|| format!("expected {}", forms.join(", or ")))
    }
}

/// Whether a branch is about values of this kind.
fn takes(branch: &Value, value: &Value) -> bool {
    let kind = type_of(value);
    match choices_of(branch) {
        Some(choices) => choices.iter().any(|choice| type_of(choice) == kind),
        None => allows(branch, kind),
    }
}

/// The values of a schema that lists them.
fn choices_of(schema: &Value) -> Option<Vec<&Value>> {
    match (schema.get("enum"), schema.get("const")) {
        (Some(Value::Array(choices)), _) => Some(choices.iter().collect()),
        (_, Some(only)) => Some(vec![only]),
        _ => None,
    }
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
    let double =
        number.as_f64().filter(|double| double.fract() == 0.0 && double.abs() <= EXACT_MAX)?;
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
        value => blank_url(&value.to_string()),
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

/// The schema's description on one line, as the hint.
fn described(schema: &Map<String, Value>) -> Option<String> {
    let text = schema.get("description")?.as_str()?;
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}
