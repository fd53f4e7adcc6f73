//! The parameters of the host's own steps, checked as far as the document alone tells.

use domain::Secret;
use domain::fault::Fault;
use domain::job::{Alphabet, Computed, Edits, Extraction, Mask, Masking, Replacement, Work};
use expression::json::Path;
use expression::{Expression, type_of};
use regex::Regex;
use serde_json::{Map, Value};

use crate::document::{Notes, Spot, kind_of, object, text, unknown_keys};
use crate::draft::Properties;
use crate::nearest;

/// The types of steps.
pub(super) const WORDS: [&str; 5] =
    ["filter", "edit-columns", "string-replace", "json-extracting", "data-masking"];

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

pub(super) fn mask(parameter: &Properties, notes: &mut Notes) -> Option<Work> {
    let (value, spot) = (parameter.to_value(), &parameter.spot);
    let members = object(&value, spot, notes)?;
    unknown_keys(members, &["column"], spot, notes);
    let before = notes.faults.len();
    let columns = required(members, "column", spot, notes, masking);
    for (index, masking) in columns.iter().enumerate() {
        if columns[..index].iter().any(|other| other.column == masking.column) {
            let message = format!("two masks for the column \"{}\"", masking.column);
            notes.faults.push(spot.key("column").fault("spec.value", message));
        }
    }
    (notes.faults.len() == before).then_some(Work::Mask(columns))
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

/// The words for methods, each with its keys beside `name` and `method`.
const METHODS: [(&str, &[&str]); 5] = [
    ("hash", &["secretKey"]),
    ("mask", &["keepFirst", "keepLast", "with"]),
    ("null", &[]),
    ("fixed", &["value"]),
    ("format-preserving", &["secretKey", "alphabet"]),
];

fn masking(value: &Value, spot: &Spot, notes: &mut Notes) -> Option<Masking> {
    let members = object(value, spot, notes)?;
    let column = text(members, "name", spot, notes).map(str::to_owned);
    let word = text(members, "method", spot, notes)?;
    let Some((_, keys)) = METHODS.iter().find(|(name, _)| *name == word) else {
        let words = METHODS.map(|(name, _)| name);
        let all = || format!("there are \"{}\"", words.join("\", \""));
        let hint = nearest::hint(word, words.into_iter()).unwrap_or_else(all);
        let message = format!("there is no method \"{word}\"");
        notes.faults.push(spot.key("method").fault("spec.value", message).hint(hint));
        return None;
    };
    let known: Vec<_> = ["name", "method"].into_iter().chain(keys.iter().copied()).collect();
    unknown_keys(members, &known, spot, notes);
    let method = match word {
        "hash" => Mask::Hash { key: key(members, spot, notes)? },
        "mask" => Mask::Cover {
            first: count(members, "keepFirst", spot, notes)?,
            last: count(members, "keepLast", spot, notes)?,
            with: cover(members, spot, notes)?,
        },
        "null" => Mask::Null,
        "fixed" => match members.get("value") {
            Some(Value::String(value)) => Mask::Fixed(value.clone()),
            _ => {
                notes.faults.push(spot.fault("spec.required", "\"value\" must be a text"));
                return None;
            }
        },
        _ => Mask::FormatPreserving {
            key: key(members, spot, notes)?,
            alphabet: alphabet(members, spot, notes)?,
        },
    };
    Some(Masking { column: column?, method })
}

/// Shorter keys could be guessed.
const KEY_MIN: usize = 16;

fn key(members: &Map<String, Value>, spot: &Spot, notes: &mut Notes) -> Option<Secret> {
    let place = Some(spot.key("secretKey").place());
    if notes.faults.iter().any(|fault| fault.place == place) {
        // A reference to nothing, which was told.
        return None;
    }
    let key = text(members, "secretKey", spot, notes)?;
    if key.len() < KEY_MIN {
        let message = format!("the key has fewer than {KEY_MIN} bytes");
        let fault = spot.key("secretKey").fault("spec.value", message);
        notes.faults.push(fault.hint("make one, such as by \"openssl rand -hex 32\""));
        return None;
    }
    Some(Secret::new(key))
}

fn count(members: &Map<String, Value>, key: &str, spot: &Spot, notes: &mut Notes) -> Option<usize> {
    let count = match members.get(key) {
        None => Some(0),
        Some(Value::Number(number)) => number.as_u64().and_then(|it| usize::try_from(it).ok()),
        Some(Value::String(text)) => text.parse().ok(),
        Some(_) => None,
    };
    if count.is_none() {
        let message = format!("\"{key}\" is no whole number from 0 on");
        notes.faults.push(spot.key(key).fault("spec.value", message));
    }
    count
}

fn cover(members: &Map<String, Value>, spot: &Spot, notes: &mut Notes) -> Option<char> {
    let mut with = match members.get("with") {
        None => "*",
        Some(value) => value.as_str().unwrap_or_default(),
    }
    .chars();
    let (Some(with), None) = (with.next(), with.next()) else {
        let fault = spot.key("with").fault("spec.value", "\"with\" must be one character");
        notes.faults.push(fault);
        return None;
    };
    Some(with)
}

fn alphabet(members: &Map<String, Value>, spot: &Spot, notes: &mut Notes) -> Option<Alphabet> {
    match members.get("alphabet").map(Value::as_str) {
        None | Some(Some("digits")) => Some(Alphabet::Digits),
        Some(Some("alphanumeric")) => Some(Alphabet::Alphanumeric),
        Some(_) => {
            let fault = spot.key("alphabet").fault("spec.value", "there is no such alphabet");
            notes.faults.push(fault.hint("write \"digits\" or \"alphanumeric\""));
            None
        }
    }
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
