//! The parameters of the host's own steps, checked as far as the document alone tells.

use domain::fault::Fault;
use domain::job::{Computed, Edits, Extraction, Replacement, Work};
use expression::json::Path;
use expression::{Expression, type_of};
use regex::Regex;
use serde_json::{Map, Value};

use crate::document::{Notes, Spot, kind_of, object, text, unknown_keys};
use crate::draft::Properties;
use crate::nearest;

/// The types of steps.
pub(super) const WORDS: [&str; 4] = ["filter", "edit-columns", "string-replace", "json-extracting"];

/// A fault of an expression, a path or a type, with its place.
fn placed(fault: Fault, spot: &Spot) -> Fault {
    let placed = spot.fault(&fault.code, fault.message);
    Fault { hint: fault.hint, ..placed }
}

pub(super) fn filter(parameter: &Properties, notes: &mut Notes) -> Option<Work> {
    let (value, spot) = (parameter.to_value(), &parameter.spot);
    let members = object(&value, spot, notes)?;
    unknown_keys(members, &["condition"], spot, notes);
    let condition = expression(members, "condition", spot, notes)?;
    Some(Work::Filter { condition })
}

pub(super) fn edit(parameter: &Properties, notes: &mut Notes) -> Option<Work> {
    let (value, spot) = (parameter.to_value(), &parameter.spot);
    let members = object(&value, spot, notes)?;
    unknown_keys(members, &["column", "drop", "rename", "select"], spot, notes);
    let before = notes.faults.len();
    let edits = Edits {
        computed: entries(members, "column", spot, notes, computed),
        drop: entries(members, "drop", spot, notes, name),
        rename: renamed(members.get("rename"), &spot.key("rename"), notes),
        select: members
            .contains_key("select")
            .then(|| entries(members, "select", spot, notes, name)),
    };
    if edits == Edits::default() && notes.faults.len() == before {
        let fault = spot.fault("spec.required", "the step says nothing to do");
        let hint = "add \"column\" for computed columns, \"drop\", \"rename\" or \"select\"";
        notes.faults.push(fault.hint(hint));
    }
    (notes.faults.len() == before).then_some(Work::Edit(edits))
}

pub(super) fn replace(parameter: &Properties, notes: &mut Notes) -> Option<Work> {
    let (value, spot) = (parameter.to_value(), &parameter.spot);
    let members = object(&value, spot, notes)?;
    unknown_keys(members, &["rules"], spot, notes);
    let before = notes.faults.len();
    let rules = required(members, "rules", spot, notes, rule);
    (notes.faults.len() == before).then_some(Work::Replace(rules))
}

pub(super) fn extract(parameter: &Properties, notes: &mut Notes) -> Option<Work> {
    let (value, spot) = (parameter.to_value(), &parameter.spot);
    let members = object(&value, spot, notes)?;
    unknown_keys(members, &["column"], spot, notes);
    let before = notes.faults.len();
    let columns = required(members, "column", spot, notes, extraction);
    (notes.faults.len() == before).then_some(Work::Extract(columns))
}

/// The entries of a list that may be missing; those that are wrong are told and left out.
fn entries<T>(
    members: &Map<String, Value>,
    key: &str,
    spot: &Spot,
    notes: &mut Notes,
    read: impl Fn(&Value, &Spot, &mut Notes) -> Option<T>,
) -> Vec<T> {
    let spot = spot.key(key);
    match members.get(key) {
        None => Vec::new(),
        Some(Value::Array(items)) => {
            let items = items.iter().enumerate();
            items.filter_map(|(index, item)| read(item, &spot.item(index), notes)).collect()
        }
        Some(other) => {
            let message = format!("\"{key}\" must be a list, not {}", kind_of(other));
            notes.faults.push(spot.fault("spec.type", message));
            Vec::new()
        }
    }
}

/// The same where there must be one at least.
fn required<T>(
    members: &Map<String, Value>,
    key: &str,
    spot: &Spot,
    notes: &mut Notes,
    read: impl Fn(&Value, &Spot, &mut Notes) -> Option<T>,
) -> Vec<T> {
    match members.get(key) {
        None => {
            let fault = spot.fault("spec.required", format!("\"{key}\" is missing"));
            let hint = nearest::misspelled(key, members.keys());
            notes.faults.push(Fault { hint, ..fault });
        }
        Some(Value::Array(items)) if items.is_empty() => {
            notes.faults.push(spot.key(key).fault("spec.value", format!("\"{key}\" is empty")));
        }
        Some(_) => {}
    }
    entries(members, key, spot, notes, read)
}

fn name(value: &Value, spot: &Spot, notes: &mut Notes) -> Option<String> {
    let name = value.as_str().filter(|name| !name.is_empty());
    if name.is_none() {
        let message = format!("expected the name of a column, found {}", kind_of(value));
        notes.faults.push(spot.fault("spec.type", message));
    }
    name.map(str::to_owned)
}

fn renamed(value: Option<&Value>, spot: &Spot, notes: &mut Notes) -> Vec<(String, String)> {
    let Some(value) = value else { return Vec::new() };
    let Some(members) = object(value, spot, notes) else { return Vec::new() };
    let names = members.iter().filter_map(|(before, value)| {
        Some((before.clone(), name(value, &spot.key(before), notes)?))
    });
    names.collect()
}

/// An expression that is well formed.
fn expression(
    members: &Map<String, Value>,
    key: &str,
    spot: &Spot,
    notes: &mut Notes,
) -> Option<String> {
    let written = text(members, key, spot, notes)?;
    match Expression::parse(written) {
        Ok(_) => Some(written.to_owned()),
        Err(fault) => {
            notes.faults.push(placed(fault, &spot.key(key)));
            None
        }
    }
}

fn data_type(members: &Map<String, Value>, spot: &Spot, notes: &mut Notes) -> Option<String> {
    let written = text(members, "type", spot, notes)?;
    match type_of(written) {
        Ok(_) => Some(written.to_owned()),
        Err(fault) => {
            notes.faults.push(placed(fault, &spot.key("type")));
            None
        }
    }
}

fn computed(value: &Value, spot: &Spot, notes: &mut Notes) -> Option<Computed> {
    let members = object(value, spot, notes)?;
    unknown_keys(members, &["name", "expression", "type"], spot, notes);
    let name = text(members, "name", spot, notes).map(str::to_owned);
    let expression = expression(members, "expression", spot, notes);
    let data_type = match members.contains_key("type") {
        true => Some(data_type(members, spot, notes)?),
        false => None,
    };
    Some(Computed { name: name?, expression: expression?, data_type })
}

fn rule(value: &Value, spot: &Spot, notes: &mut Notes) -> Option<Replacement> {
    let members = object(value, spot, notes)?;
    unknown_keys(members, &["field", "find", "replace", "regex", "caseSensitive"], spot, notes);
    let column = text(members, "field", spot, notes).map(str::to_owned);
    let find = text(members, "find", spot, notes);
    let by = match members.get("replace") {
        Some(Value::String(by)) => Some(by),
        Some(other) => {
            let message = format!("\"replace\" must be a text, not {}", kind_of(other));
            notes.faults.push(spot.key("replace").fault("spec.type", message));
            None
        }
        None => {
            let fault = spot.fault("spec.required", "\"replace\" is missing");
            notes.faults.push(fault.hint("an empty text removes what is found"));
            None
        }
    };
    let is_regex = switch(members, "regex", spot, notes);
    let letters = if switch(members, "caseSensitive", spot, notes) { "" } else { "(?i)" };
    let (find, by) = (find?, by?);
    let (pattern, by) = match is_regex {
        true => (format!("{letters}{find}"), by.clone()),
        false => (format!("{letters}{}", regex::escape(find)), by.replace('$', "$$")),
    };
    if let Err(error) = Regex::new(&pattern) {
        let reason = error.to_string();
        let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ");
        let message = format!("\"{find}\" is no regular expression: {reason}");
        notes.faults.push(spot.key("find").fault("spec.value", message));
        return None;
    }
    Some(Replacement { column: column?, pattern, by })
}

/// True or false, the latter where nothing stands.
fn switch(members: &Map<String, Value>, key: &str, spot: &Spot, notes: &mut Notes) -> bool {
    match members.get(key) {
        None => false,
        Some(Value::Bool(value)) => *value,
        Some(Value::String(text)) if text == "true" => true,
        Some(Value::String(text)) if text == "false" => false,
        Some(other) => {
            let message = format!("\"{key}\" must be true or false, not {}", kind_of(other));
            notes.faults.push(spot.key(key).fault("spec.type", message));
            false
        }
    }
}

fn extraction(value: &Value, spot: &Spot, notes: &mut Notes) -> Option<Extraction> {
    const KEYS: [&str; 5] = ["name", "fromColumn", "jsonPath", "type", "nullOrInvalidDataAction"];
    let members = object(value, spot, notes)?;
    unknown_keys(members, &KEYS, spot, notes);
    let name = text(members, "name", spot, notes).map(str::to_owned);
    let from = text(members, "fromColumn", spot, notes).map(str::to_owned);
    let path = text(members, "jsonPath", spot, notes);
    if let Some(Err(fault)) = path.map(Path::parse) {
        notes.faults.push(placed(fault, &spot.key("jsonPath")));
    }
    let data_type = data_type(members, spot, notes);
    let null_where_invalid = match members.get("nullOrInvalidDataAction") {
        None => false,
        Some(Value::String(word)) if word.eq_ignore_ascii_case("DIRTY_DATA") => false,
        Some(Value::String(word)) if word.eq_ignore_ascii_case("NULL") => true,
        Some(other) => {
            let message = format!("\"nullOrInvalidDataAction\" is {other}");
            let fault = spot.key("nullOrInvalidDataAction").fault("spec.value", message);
            notes.faults.push(fault.hint("write \"DIRTY_DATA\" or \"NULL\""));
            return None;
        }
    };
    let path = path?.to_owned();
    Some(Extraction { name: name?, from: from?, path, data_type: data_type?, null_where_invalid })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_is_documented() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../TRANSFORMS.md");
        let text = std::fs::read_to_string(path).expect("the file is there");
        for word in WORDS.into_iter().chain(super::super::NAMES) {
            let heading = text.lines().any(|line| line.starts_with('#') && line.contains(word));
            assert!(heading || text.contains(&format!("| `{word}` |")), "{word}");
        }
    }
}
