//! Finds a step's connection: a named data source, or what the step carries itself.
//!
//! DataX writes `username`, `password` and `connection: [{jdbcUrl, table, querySql}]` among the
//! parameters; script mode may carry connection keys there too. They are moved out here, so that what
//! stays in the parameters is no secret. A `jdbcUrl` and a list of addresses are taken apart where the
//! plug-in does not know them.

use std::collections::BTreeSet;

use domain::description::SourceType;
use domain::fault::Fault;
use serde_json::{Map, Value};

use crate::document::{Lazy, Notes, Spot, kind_of, object, text, unknown_keys};
use crate::draft::{DraftStep, Properties, Property};
use crate::schema::Schema;
use crate::{Plugins, Secrets, jdbc, json};

/// Always the connection's, whatever the schemas say.
const INLINE_KEYS: [&str; 3] = ["username", "password", "jdbcUrl"];
/// Keys of a connection, whether or not the type knows them.
const TAKEN_APART: [&str; 3] = ["host", "port", "address"];
/// Keys of an entry of `connection` that are no part of the connection.
const ENTRY_KEYS: [&str; 3] = ["table", "querySql", "datasource"];
const SOURCE_KEYS: [&str; 4] = ["type", "properties", "description", "name"];
/// A secret's text at most; certificates have some kilobytes.
const SECRET_BYTES_MAX: usize = 1 << 20;
/// The names of data sources: the service refuses others.
const NAME_CHARS_MAX: usize = 255;

/// Takes the connection out of a step's parameters; `None` where that failed, which was told.
pub(crate) fn take(
    step: &mut DraftStep,
    connection_schema: &Schema,
    parameter_schema: &Schema,
    notes: &mut Notes,
) -> Option<Inline> {
    let mut inline =
        Inline { source: None, properties: Properties::new(step.parameter.spot.clone()) };
    let faults = notes.faults.len();
    refuse_ciphers(&step.parameter, notes);
    if let Some(list) = step.parameter.take("connection") {
        for property in entry(&list, notes)?.entries {
            match property.name.as_str() {
                "table" | "querySql" if step.parameter.get(&property.name).is_some() => {
                    if is_same_list(step.parameter.get(&property.name), &property.value) {
                        continue;
                    }
                    let message =
                        format!("\"{}\" is given twice, here and in \"parameter\"", property.name);
                    notes.faults.push(
                        property.spot.fault("spec.value", message).hint("remove one of them"),
                    );
                }
                name if ENTRY_KEYS.contains(&name) => step.parameter.entries.push(property),
                _ => inline.properties.entries.push(property),
            }
        }
    }
    inline.source = step
        .parameter
        .take("datasource")
        .filter(|property| !property.value.is_null() && property.value.as_str() != Some(""));
    let own = connection_schema.property_names();
    let parameters = parameter_schema.property_names();
    let is_inline = |name: &str| {
        INLINE_KEYS.contains(&name) || (own.contains(name) && !parameters.contains(name))
    };
    let names: Vec<String> =
        step.parameter.entries.iter().map(|entry| entry.name.clone()).collect();
    for name in names.iter().filter(|name| is_inline(name)) {
        inline.properties.entries.extend(step.parameter.take(name));
    }
    if inline.source.is_some() {
        // What no schema knows belongs to no connection: a misspelled "table", rather.
        let entries = std::mem::take(&mut inline.properties.entries);
        let (known, unknown) = entries.into_iter().partition(|entry: &Property| {
            is_inline(&entry.name) || TAKEN_APART.contains(&entry.name.as_str())
        });
        inline.properties.entries = known;
        unknown_entries(&unknown, &own, notes);
    }
    if let (Some(_), Some(first)) = (&inline.source, inline.properties.entries.first()) {
        let message = format!("the step names a data source, and gives \"{}\" itself", first.name);
        let hint = "remove \"datasource\", or the keys of the connection";
        notes.faults.push(first.spot.fault("spec.connection_twice", message).hint(hint));
    }
    (notes.faults.len() == faults).then_some(inline)
}

fn unknown_entries(unknown: &[Property], own: &BTreeSet<&str>, notes: &mut Notes) {
    let known = ENTRY_KEYS.into_iter().chain(own.iter().copied()).collect::<Vec<_>>();
    for Property { name, spot, .. } in unknown {
        let fault = spot.fault("spec.unknown_key", format!("unknown key \"{name}\", ignored"));
        let hint = crate::nearest::hint(name, known.iter().copied());
        notes.warnings.push(Fault { hint, ..fault });
    }
}

/// What a step says of its connection.
pub(crate) struct Inline {
    /// The name under `datasource`.
    pub(crate) source: Option<Property>,
    pub(crate) properties: Properties,
}

/// Exports may say the same thing twice, as a text or as a list of it.
fn is_same_list(written: Option<&Property>, value: &Value) -> bool {
    let list = |value: &Value| match value {
        Value::Array(items) => items.clone(),
        value => vec![value.clone()],
    };
    written.is_some_and(|written| list(&written.value) == list(value))
}

/// What people call a connection that has no name: where it leads to. Never a secret.
pub(crate) fn title(properties: &Properties) -> Option<String> {
    let text = |name: &str| match &properties.get(name)?.value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let address = || {
        let address = properties.get("address")?.value.get(0)?;
        let host = address.get("host")?.as_str()?;
        let port = address.get("port").map(|port| port.to_string().replace('"', ""));
        Some(host.to_owned() + &port.map(|port| format!(":{port}")).unwrap_or_default())
    };
    let host = text("host").map(|host| match text("port") {
        Some(port) => format!("{host}:{port}"),
        None => host,
    });
    let place = host.or_else(address).or_else(|| text("endpoint")).or_else(|| text("url"))?;
    Some(match text("database") {
        Some(database) => format!("{place}/{database}"),
        None => place,
    })
}

/// The single entry of `connection`.
fn entry(list: &Property, notes: &mut Notes) -> Option<Properties> {
    let (value, spot) = match &list.value {
        Value::Array(entries) if entries.len() > 1 => {
            let message =
                format!("\"connection\" has {} entries, and a writer writes to one", entries.len());
            let hint = "use a job for each of them";
            notes
                .faults
                .push(list.spot.item(1).fault("spec.several_connections", message).hint(hint));
            return None;
        }
        Value::Array(entries) => match entries.first() {
            Some(entry) => (entry, list.spot.item(0)),
            None => return Some(Properties::new(list.spot.clone())),
        },
        other => (other, list.spot.clone()),
    };
    object(value, &spot, notes).map(|members| Properties::of(members, &spot))
}

fn refuse_ciphers(parameter: &Properties, notes: &mut Notes) {
    for property in parameter.entries.iter().filter(|property| property.name.starts_with('*')) {
        let message = format!(
            "\"{}\" holds an encrypted value, which this program cannot read",
            property.name
        );
        let hint = "give the secret as {\"env\": \"NAME\"} or {\"file\": \"PATH\"}";
        notes.faults.push(property.spot.fault("spec.encrypted", message).hint(hint));
    }
}

/// The properties of a named data source, and its type; the name stands at `spot`.
pub(crate) fn of_source(
    name: &str,
    spot: Option<&Spot>,
    sources: &Lazy<'_>,
    notes: &mut Notes,
) -> Option<(String, Spot, Properties)> {
    let tell = |fault: Fault, notes: &mut Notes| {
        let placed = spot.map(|spot| spot.fault(&fault.code, fault.message.clone()));
        let hint = fault.hint.clone();
        notes.faults.push(Fault { hint, ..placed.unwrap_or(fault) });
    };
    let missing = format!("there is no data source \"{name}\"");
    if sources.is_absent() {
        let hint = format!(
            "there is no file \"{}\"; write one beside the job, or name it with --sources",
            sources.name()
        );
        tell(Fault::user("spec.unknown_source", missing).hint(hint), notes);
        return None;
    }
    let document = sources.document(notes)?;
    let root = document.root();
    let members = object(document.value(), &root, notes)?;
    let Some(source) = members.get(name) else {
        let near = crate::nearest::hint(name, members.keys().map(String::as_str));
        let hint = near.unwrap_or_else(|| format!("add it to \"{}\"", sources.name()));
        tell(Fault::user("spec.unknown_source", missing).hint(hint), notes);
        return None;
    };
    let source_spot = root.key(name);
    let source = object(source, &source_spot, notes)?;
    check_name(name, &source_spot, notes);
    unknown_keys(source, &SOURCE_KEYS, &source_spot, notes);
    let type_name = text(source, "type", &source_spot, notes)?.to_owned();
    let spot = source_spot.key("properties");
    let properties = match source.get("properties") {
        Some(properties) => Properties::of(object(properties, &spot, notes)?, &spot),
        None => Properties::new(source_spot.clone()),
    };
    Some((type_name, source_spot.key("type"), properties))
}

fn check_name(name: &str, spot: &Spot, notes: &mut Notes) {
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.len() <= NAME_CHARS_MAX;
    if !plain {
        let message = format!("\"{name}\" is no name that every workspace takes");
        let hint = "a letter, then letters, digits and \"_\", at most 255";
        notes.warnings.push(spot.fault("spec.source_name", message).hint(hint));
    }
}

/// Takes `jdbcUrl` and `address` apart where the type's schema does not know them.
pub(crate) fn take_apart(
    properties: &mut Properties,
    kind: &SourceType,
    schema: &Schema,
    plugins: &dyn Plugins,
    notes: &mut Notes,
) {
    let known = schema.property_names();
    // A type that knows the parts gets the parts, so that a password in the URL is known as one.
    if (known.contains("host") || !known.contains("jdbcUrl"))
        && let Some(property) = properties.take("jdbcUrl")
    {
        jdbc_url(properties, &property, kind, &known, plugins, notes);
    }
    if !known.contains("address")
        && let Some(property) = properties.take("address")
    {
        address(properties, &property, notes);
    }
}

fn jdbc_url(
    properties: &mut Properties,
    property: &Property,
    kind: &SourceType,
    known: &BTreeSet<&str>,
    plugins: &dyn Plugins,
    notes: &mut Notes,
) {
    let (url, spot) = match &property.value {
        Value::Array(urls) => {
            if urls.len() > 1 {
                let message =
                    format!("\"jdbcUrl\" has {} entries; only the first is used", urls.len());
                notes.warnings.push(property.spot.item(1).fault("spec.no_effect", message));
            }
            (urls.first().and_then(Value::as_str), property.spot.item(0))
        }
        value => (value.as_str(), property.spot.clone()),
    };
    let Some(parsed) = url.and_then(jdbc::parse) else {
        let message = "\"jdbcUrl\" has not the form jdbc:TYPE://HOST:PORT/DATABASE?KEY=VALUE";
        let hint = format!("such as \"jdbc:{}://db.example:5432/warehouse\"", kind.name);
        notes.faults.push(spot.fault("spec.jdbc_url", message).hint(hint));
        return;
    };
    if let Some(other) = plugins.find(&parsed.kind).filter(|other| other.name != kind.name) {
        let message = format!(
            "\"jdbcUrl\" is one of type \"{}\", but the step's type is \"{}\"",
            other.name, kind.name
        );
        notes.faults.push(spot.fault("spec.jdbc_url", message).hint("correct one of them"));
        return;
    }
    let spot = spot.whole();
    let mut add = |name: &str, value: Option<Value>| {
        if let (Some(value), None) = (value, properties.get(name)) {
            properties.push(name, value, spot.clone());
        }
    };
    match parsed.hosts.as_slice() {
        [(host, port)] if !known.contains("address") || known.contains("host") => {
            add("host", Some(host.as_str().into()));
            add("port", port.map(Value::from));
        }
        hosts => {
            let hosts = hosts.iter().map(|(host, port)| match port {
                Some(port) => serde_json::json!({"host": host, "port": port}),
                None => serde_json::json!({ "host": host }),
            });
            add("address", Some(hosts.collect()));
        }
    }
    add("database", parsed.database.map(Value::from));
    add("username", parsed.username.map(Value::from));
    add("password", parsed.password.map(Value::from));
    for (key, value) in parsed.options {
        match key.as_str() {
            "sslmode" if known.contains("ssl") => {
                add("ssl", Some(serde_json::json!({ "mode": value })))
            }
            "currentSchema" if known.contains("schema") => add("schema", Some(value.into())),
            key if known.contains(key) => add(key, Some(value.into())),
            key => option(key, &value, &spot, notes),
        }
    }
}

/// An option of the URL that the type has no key for.
fn option(key: &str, value: &str, spot: &Spot, notes: &mut Notes) {
    let lower = key.to_lowercase();
    let refused = value.eq_ignore_ascii_case("false") || value.eq_ignore_ascii_case("disable");
    if (lower.contains("ssl") || lower.contains("tls")) && !refused {
        let message = format!(
            "the option \"{key}\" of \"jdbcUrl\" asks for encryption in words of another driver"
        );
        let hint = "remove it, and say \"ssl\" in the connection";
        notes.faults.push(spot.fault("spec.jdbc_url", message).hint(hint));
        return;
    }
    let message = format!("the option \"{key}\" of \"jdbcUrl\" has no effect");
    notes.warnings.push(spot.fault("spec.no_effect", message));
}

/// `[{"host": …, "port": …}]` with one entry.
fn address(properties: &mut Properties, property: &Property, notes: &mut Notes) {
    let entries = property.value.as_array().map(Vec::as_slice);
    let Some([Value::Object(address)]) = entries else {
        let message = match entries {
            Some(entries) if entries.len() > 1 => {
                format!(
                    "\"address\" has {} entries: several are not supported by this type",
                    entries.len()
                )
            }
            _ => format!(
                "\"address\" must be a list with one object, not {}",
                kind_of(&property.value)
            ),
        };
        let hint = "write [{\"host\": \"db.example\", \"port\": 5432}]";
        notes.faults.push(property.spot.fault("spec.value", message).hint(hint));
        return;
    };
    for (name, value) in address {
        if properties.get(name).is_none() {
            properties.push(name, value.clone(), property.spot.item(0).key(name));
        }
    }
}

/// Replaces `{"env": …}` and `{"file": …}` by their texts. Answers the relative pointers of those
/// that are secret: all but the keys that name a place.
pub(crate) fn resolve(
    properties: &mut Properties,
    secrets: &dyn Secrets,
    notes: &mut Notes,
) -> BTreeSet<String> {
    let mut hidden = BTreeSet::new();
    for property in &mut properties.entries {
        let pointer = json::child("", &property.name);
        let spot = property.spot.clone();
        resolve_value(&mut property.value, &spot, &pointer, secrets, &mut hidden, notes);
    }
    // Grants show places, so they are no secrets.
    for name in ["host", "port", "database"] {
        hidden.remove(&json::child("", name));
    }
    hidden
}

fn resolve_value(
    value: &mut Value,
    spot: &Spot,
    pointer: &str,
    secrets: &dyn Secrets,
    hidden: &mut BTreeSet<String>,
    notes: &mut Notes,
) {
    match value {
        Value::Object(members) => {
            if let Some(resolved) = reference(members, spot, secrets) {
                hidden.insert(pointer.to_owned());
                *value = match resolved {
                    Ok(text) => Value::String(text),
                    Err(fault) => {
                        notes.faults.push(fault);
                        Value::String(String::new())
                    }
                };
                return;
            }
            for (name, value) in members {
                let pointer = json::child(pointer, name);
                resolve_value(value, &spot.key(name), &pointer, secrets, hidden, notes);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                let pointer = format!("{pointer}/{index}");
                resolve_value(item, &spot.item(index), &pointer, secrets, hidden, notes);
            }
        }
        _ => {}
    }
}

/// The text that `{"env": …}` or `{"file": …}` means; `None` for any other object.
fn reference(
    members: &Map<String, Value>,
    spot: &Spot,
    secrets: &dyn Secrets,
) -> Option<Result<String, Fault>> {
    let (word, name) = members.iter().next().filter(|_| members.len() == 1)?;
    let name = name.as_str()?;
    const CODE: &str = "spec.secret_missing";
    let text = match word.as_str() {
        "env" => secrets.env(name).ok_or_else(|| {
            spot.fault(CODE, format!("the environment variable \"{name}\" is not set"))
                .hint(format!("set it before the run: export {name}=…"))
        }),
        "file" => secrets.file(spot.file(), name).map_err(|why| {
            spot.fault(CODE, format!("the secret's file \"{name}\" cannot be read: {why}"))
                .hint("a relative path starts at the folder of the document that names it")
        }),
        _ => return None,
    };
    Some(text.and_then(|text| {
        if text.len() > SECRET_BYTES_MAX {
            return Err(
                spot.fault(CODE, format!("the secret has more than {SECRET_BYTES_MAX} bytes"))
            );
        }
        // Editors end a file with a line end, which is no part of the secret.
        let text = text
            .strip_suffix('\n')
            .map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
        Ok(text.to_owned())
    }))
}
