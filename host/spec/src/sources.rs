//! The sources of a reader: one for each entry of `connection`, each with one address or several.
//!
//! DataX and exports of DataWorks write `connection: [{…, table}, {…, table}]` for tables that are
//! spread over databases, and DataX a list of URLs for servers of which any will do. Here a reader
//! becomes one draft for each of them, so that all that follows looks at one connection.

use std::collections::BTreeSet;

use domain::job::MissingColumn;
use serde_json::Value;

use crate::document::{Notes, Spot};
use crate::draft::{DraftStep, Properties};
use crate::schema::Schema;

/// The key of the policy for columns that some tables have, and others not.
const MISSING_COLUMN: &str = "missingColumn";

/// A draft for each source, and of each for every address.
pub(crate) fn split(step: DraftStep) -> Vec<Vec<DraftStep>> {
    entries(step).into_iter().map(addresses).collect()
}

/// A draft for each entry of `connection`.
pub(crate) fn entries(step: DraftStep) -> Vec<DraftStep> {
    let several = step.parameter.get("connection").and_then(|connection| {
        let entries = connection.value.as_array().filter(|entries| entries.len() > 1)?;
        Some((entries.clone(), connection.spot.clone()))
    });
    let Some((entries, spot)) = several else { return vec![step] };
    let alone = |(index, entry): (usize, Value)| {
        let mut step = step.clone();
        if entry.get("datasource").is_some() {
            step.parameter.take("datasource");
        }
        step.parameter.take("connection");
        step.parameter.push("connection", entry, spot.item(index));
        step.is_one_of_several = true;
        step
    };
    entries.into_iter().enumerate().map(alone).collect()
}

/// A draft for each URL of the only connection.
fn addresses(step: DraftStep) -> Vec<DraftStep> {
    let Some((urls, spot)) = urls(&step.parameter) else { return vec![step] };
    let alone = |(index, url): (usize, Value)| {
        let mut step = step.clone();
        step.parameter.take("jdbcUrl");
        if let Some(mut connection) = step.parameter.take("connection") {
            let entry = match &mut connection.value {
                Value::Array(entries) => entries.first_mut(),
                entry => Some(entry),
            };
            if let Some(entry) = entry.and_then(Value::as_object_mut) {
                entry.remove("jdbcUrl");
            }
            step.parameter.entries.push(connection);
        }
        step.parameter.push("jdbcUrl", url, spot.item(index));
        step
    };
    urls.into_iter().enumerate().map(alone).collect()
}

/// The URLs of a connection that has several, and where they stand.
fn urls(parameter: &Properties) -> Option<(Vec<Value>, Spot)> {
    let several = |value: &Value| value.as_array().filter(|urls| urls.len() > 1).cloned();
    if let Some(property) = parameter.get("jdbcUrl") {
        return Some((several(&property.value)?, property.spot.clone()));
    }
    let connection = parameter.get("connection")?;
    let (entry, spot) = match connection.value.as_array() {
        Some(entries) => (entries.first()?, connection.spot.item(0)),
        None => (&connection.value, connection.spot.clone()),
    };
    Some((several(entry.get("jdbcUrl")?)?, spot.key("jdbcUrl")))
}

/// What the reader says of columns that some tables have, and others not. The key stays for a plug-in
/// that knows it, since it may read several tables by itself.
pub(crate) fn missing_column(
    parameter: &mut Properties,
    schema: &Schema,
    notes: &mut Notes,
) -> MissingColumn {
    let known = schema.property_names().contains(MISSING_COLUMN);
    let property = match known {
        true => parameter.get(MISSING_COLUMN).cloned(),
        false => parameter.take(MISSING_COLUMN),
    };
    let Some(property) = property.filter(|property| !property.value.is_null()) else {
        return MissingColumn::Error;
    };
    let word = property.value.as_str().unwrap_or_default();
    match word.to_ascii_lowercase().as_str() {
        "error" => MissingColumn::Error,
        "null" => MissingColumn::Null,
        // The plug-in's schema tells it.
        _ if known => MissingColumn::Error,
        _ => {
            let message =
                format!("\"{MISSING_COLUMN}\" is {}, none of \"error\", \"null\"", property.value);
            let hint = "\"null\" reads NULL where a table has no such column";
            notes.faults.push(property.spot.fault("spec.value", message).hint(hint));
            MissingColumn::Error
        }
    }
}

/// Numbers behind names that others have too, so that each name means one source.
pub(crate) fn tell_apart<'n>(names: impl Iterator<Item = &'n mut String>) {
    let mut taken = BTreeSet::new();
    for name in names {
        let mut free = name.clone();
        let mut number = 2;
        while !taken.insert(free.clone()) {
            free = format!("{name} ({number})");
            number += 1;
        }
        *name = free;
    }
}
