//! `airlock plugin list`, `airlock plugin inspect NAME|FILE` and `airlock plugin warm [FILE]`

use std::path::{Path, PathBuf};

use domain::description::{Description, Role, SourceType};
use domain::fault::Fault;
use sandbox::{Compiled, Faces, Limits};
use serde_json::{Value, json};

use crate::arguments::PluginCommand;
use crate::catalogue::{Catalogue, Plugin};
use crate::failure::{Ending, Failure};
use crate::host::Host;
use crate::render::{escape, table};
use crate::{human, job};

pub(crate) async fn plugin(host: &Host, command: &PluginCommand) -> Ending {
    match command {
        PluginCommand::List(arguments) => list(host, &arguments.plugins).await,
        PluginCommand::Inspect(arguments) => inspect(host, &arguments.plugin).await,
        PluginCommand::Warm(arguments) => warm(host, &arguments.files).await,
    }
}

/// All plug-ins, loaded.
fn whole(catalogue: &Catalogue) -> Result<Vec<(&Plugin, bool)>, Failure> {
    let plugins: Vec<_> = catalogue.all().collect();
    let broken = catalogue.take_faults();
    if broken.is_empty() { Ok(plugins) } else { Err(broken.into()) }
}

async fn warm(host: &Host, files: &[PathBuf]) -> Ending {
    let catalogue = job::catalogue(host, Limits::default(), files).await?;
    let plugins = whole(&catalogue)?;
    host.console.result(|| warm_text(&plugins), || warm_json(&plugins))?;
    Ok(0)
}

fn warm_text(plugins: &[(&Plugin, bool)]) -> String {
    let rows: Vec<_> = plugins
        .iter()
        .map(|(plugin, _)| {
            let made = match plugin.component.compiled() {
                Compiled::Fresh(time) => format!("compiled in {}", human::duration(time)),
                Compiled::FromCache(_) => "was in the cache".to_owned(),
            };
            [escape::line(&plugin.description.name), made]
        })
        .collect();
    table::text(["plug-in", "code"], &rows)
}

fn warm_json(plugins: &[(&Plugin, bool)]) -> Value {
    let plugin = |(plugin, _): &(&Plugin, bool)| {
        let (compiled, time) = match plugin.component.compiled() {
            Compiled::Fresh(time) => (true, time),
            Compiled::FromCache(time) => (false, time),
        };
        json!({
            "name": plugin.description.name,
            "digest": plugin.component.digest(),
            "compiled": compiled,
            "seconds": time.as_secs_f64(),
        })
    };
    json!({"status": "succeeded", "plugins": plugins.iter().map(plugin).collect::<Vec<_>>(), "error": null})
}

async fn list(host: &Host, files: &[PathBuf]) -> Ending {
    let catalogue = job::catalogue(host, Limits::default(), files).await?;
    let plugins = whole(&catalogue)?;
    host.console.result(|| list_text(&plugins), || list_json(&plugins))?;
    Ok(0)
}

fn list_text(plugins: &[(&Plugin, bool)]) -> String {
    let mut rows = Vec::new();
    for (plugin, built_in) in plugins {
        let description = &plugin.description;
        for kind in &description.types {
            rows.push([
                kind.name.clone(),
                roles(kind),
                kind.title.clone(),
                format!("{} {}", description.name, description.version),
                if *built_in { "built in" } else { "file" }.into(),
                kind.aliases.join(", "),
            ]);
        }
    }
    table::text(["type", "roles", "title", "plug-in", "from", "also named"], &rows)
}

fn roles(kind: &SourceType) -> String {
    let words: Vec<_> = named_roles(kind)
        .iter()
        .filter(|(_, role)| role.is_some())
        .map(|(word, _)| *word)
        .collect();
    words.join(", ")
}

fn named_roles(kind: &SourceType) -> [(&'static str, &Option<Role>); 3] {
    [("reader", &kind.reader), ("transformer", &kind.transformer), ("writer", &kind.writer)]
}

fn list_json(plugins: &[(&Plugin, bool)]) -> Value {
    let plugin = |(plugin, built_in): &(&Plugin, bool)| {
        let description = &plugin.description;
        json!({
            "name": description.name,
            "version": description.version,
            "summary": description.summary,
            "built_in": built_in,
            "digest": plugin.component.digest(),
            "types": description.types.iter().map(|kind| json!({
                "name": kind.name,
                "aliases": kind.aliases,
                "title": kind.title,
                "family": kind.family,
                "reader": kind.reader.is_some(),
                "transformer": kind.transformer.is_some(),
                "writer": kind.writer.is_some(),
            })).collect::<Vec<_>>(),
        })
    };
    json!({"status": "succeeded", "plugins": plugins.iter().map(plugin).collect::<Vec<_>>(), "error": null})
}

async fn inspect(host: &Host, wanted: &str) -> Ending {
    let by_name = !wanted.contains('/') && !Path::new(wanted).is_file();
    let files: Vec<PathBuf> = if by_name { Vec::new() } else { vec![wanted.into()] };
    let catalogue = job::catalogue(host, Limits::default(), &files).await?;
    let plugin = match by_name {
        true => named(&catalogue, wanted)?,
        false => catalogue
            .all()
            .next()
            .map(|(plugin, _)| plugin)
            .ok_or_else(|| unknown(&catalogue, wanted))?,
    };
    host.console.result(|| inspect_text(plugin), || inspect_json(plugin))?;
    Ok(0)
}

fn named<'a>(catalogue: &'a Catalogue, wanted: &str) -> Result<&'a Plugin, Failure> {
    if let Some(plugin) = catalogue.plugin(wanted) {
        return Ok(plugin);
    }
    let found = catalogue.all().find(|(plugin, _)| plugin.description.name == wanted);
    let broken = catalogue.take_faults();
    match found {
        Some((plugin, _)) => Ok(plugin),
        None if !broken.is_empty() => Err(broken.into()),
        None => Err(unknown(catalogue, wanted).into()),
    }
}

fn unknown(catalogue: &Catalogue, wanted: &str) -> Fault {
    let names = spec::Plugins::names(catalogue).join(", ");
    Fault::user("plugin.unknown", format!("there is no plug-in or type \"{wanted}\""))
        .hint(format!("the types are {names}; a component's file is named by its path"))
}

fn inspect_text(plugin: &Plugin) -> String {
    let description: &Description = &plugin.description;
    let mut text = format!(
        "{} {}: {}\ndigest: {}\nexports: {}\n",
        description.name,
        description.version,
        description.summary,
        plugin.component.digest(),
        faces(plugin.component.faces()).join(", "),
    );
    for kind in &description.types {
        text += &format!("\ntype {} ({})\n", kind.name, kind.title);
        if !kind.aliases.is_empty() {
            text += &format!("also named: {}\n", kind.aliases.join(", "));
        }
        for place in &kind.places {
            text += &format!("fixed place: {place}\n");
        }
        text += &schema_text("connection", &kind.connection_schema);
        for (word, role) in named_roles(kind) {
            if let Some(Role { parameter_schema, features }) = role {
                text += &schema_text(&format!("{word} parameters"), parameter_schema);
                if !features.is_empty() {
                    text += &format!("{word} features: {}\n", features.join(", "));
                }
            }
        }
    }
    text
}

fn faces(faces: Faces) -> Vec<&'static str> {
    let exported = [
        ("reader", faces.reader),
        ("transformer", faces.transformer),
        ("writer", faces.writer),
        ("sql", faces.sql),
    ];
    exported.into_iter().filter(|(_, there)| *there).map(|(word, _)| word).collect()
}

/// The properties of a schema as a table; nothing where there are none.
fn schema_text(title: &str, schema: &str) -> String {
    let schema: Value = serde_json::from_str(schema).unwrap_or_default();
    let Some(properties) = schema["properties"].as_object().filter(|all| !all.is_empty()) else {
        return String::new();
    };
    let required: Vec<_> = schema["required"].as_array().into_iter().flatten().collect();
    let rows: Vec<_> = properties
        .iter()
        .map(|(name, property)| {
            let must = required.iter().any(|required| required.as_str() == Some(name));
            let default = match &property["default"] {
                Value::Null if must => "required".into(),
                Value::Null => String::new(),
                Value::String(text) => escape::line(text),
                other => other.to_string(),
            };
            let about = property["description"].as_str().unwrap_or_default();
            [name.clone(), type_text(property), default, about.replace('\n', " ")]
        })
        .collect();
    format!("{title}\n{}", table::text(["name", "type", "default", "about"], &rows))
}

fn type_text(property: &Value) -> String {
    if let Some(words) = property["enum"].as_array() {
        let words: Vec<_> = words
            .iter()
            .map(|word| word.as_str().map_or(word.to_string(), str::to_owned))
            .collect();
        return words.join(" | ");
    }
    match &property["type"] {
        Value::String(word) => word.clone(),
        Value::Array(words) => {
            words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" | ")
        }
        _ => String::new(),
    }
}

fn inspect_json(plugin: &Plugin) -> Value {
    let schema = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    let role = |role: &Role| json!({"parameter_schema": schema(&role.parameter_schema), "features": role.features});
    let kind = |kind: &SourceType| {
        json!({
            "name": kind.name,
            "aliases": kind.aliases,
            "title": kind.title,
            "family": kind.family,
            "connection_schema": schema(&kind.connection_schema),
            "reader": kind.reader.as_ref().map(role),
            "transformer": kind.transformer.as_ref().map(role),
            "writer": kind.writer.as_ref().map(role),
            "places": kind.places.iter().map(ToString::to_string).collect::<Vec<_>>(),
        })
    };
    let description = &plugin.description;
    json!({
        "status": "succeeded",
        "name": description.name,
        "version": description.version,
        "summary": description.summary,
        "digest": plugin.component.digest(),
        "exports": faces(plugin.component.faces()),
        "types": description.types.iter().map(kind).collect::<Vec<_>>(),
        "metadata": description.metadata,
        "error": null,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_shown_as_a_table() {
        let schema = r#"{"properties": {
            "path": {"type": ["string", "array"], "description": "files to read"},
            "mode": {"enum": ["append", "truncate"], "default": "append"}},
            "required": ["path"]}"#;
        assert_eq!(
            schema_text("reader parameters", schema),
            "\
reader parameters
  name  type               default   about
  path  string | array     required  files to read
  mode  append | truncate  append
"
        );
        assert_eq!(schema_text("connection", "{}"), "");
        assert_eq!(schema_text("connection", "no json"), "");
    }
}
