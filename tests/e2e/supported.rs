//! The table in README.md of what is supported is what the built-in plug-ins say of themselves.
//!
//! `UPDATE_EXPECTED=1` writes it anew.

use std::fs;

use serde_json::Value;
use tests::Env;

use crate::readme;

const BEGIN: &str = "<!-- supported: begin -->\n";
const END: &str = "<!-- supported: end -->\n";

#[test]
fn the_table_is_what_plugins_say() {
    let _alone = readme::alone();
    let before = fs::read_to_string(readme::path()).unwrap();
    let (head, rest) = before.split_once(BEGIN).expect("the table has lost its begin");
    let (shown, tail) = rest.split_once(END).expect("the table has lost its end");
    let table = table(&Env::new());
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(readme::path(), format!("{head}{BEGIN}{table}{END}{tail}")).unwrap();
        return;
    }
    assert!(shown == table, "UPDATE_EXPECTED=1 writes it anew\n--- plug-ins\n{table}");
}

fn table(env: &Env) -> String {
    let json = |arguments: &[&str]| env.airlock(arguments).run().expect(0).json();
    let mut table =
        "| Type | Also named | Reader | Step between | Writer |\n|---|---|---|---|---|\n"
            .to_owned();
    for plugin in json(&["plugin", "list", "-o", "json"])["plugins"].as_array().unwrap() {
        let name = plugin["name"].as_str().unwrap();
        for kind in json(&["plugin", "inspect", name, "-o", "json"])["types"].as_array().unwrap() {
            let (reader, writer) = (role(&kind["reader"]), role(&kind["writer"]));
            let names = words(kind["aliases"].as_array().unwrap());
            let step = step(&kind["transformer"]);
            let kind = kind["name"].as_str().unwrap();
            table += &format!("| `{kind}` | {names} | {reader} | {step} | {writer} |\n");
        }
    }
    table
}

/// The category of a step, where a type can be one.
fn step(role: &Value) -> &'static str {
    let makes_several = |features: &Vec<Value>| features.iter().any(|feature| feature == "flatmap");
    match role["features"].as_array() {
        None => "no",
        Some(features) if makes_several(features) => "`flatmap`",
        Some(_) => "`map`",
    }
}

/// What a role offers a choice of: the parameters whose values are listed.
fn role(role: &Value) -> String {
    if role.is_null() {
        return "no".into();
    }
    let schema = &role["parameter_schema"];
    let properties = schema["properties"].as_object().unwrap();
    let choices = properties.iter().filter_map(|(name, property)| {
        let values = values(schema, property)?;
        Some(format!("; `{name}` {}", words(&values)))
    });
    "yes".to_owned() + &choices.collect::<String>()
}

/// The texts that a schema allows; `None` where it allows any.
fn values(root: &Value, schema: &Value) -> Option<Vec<Value>> {
    if let Some(target) = schema["$ref"].as_str() {
        return values(root, root.pointer(target.strip_prefix('#')?)?);
    }
    if let Some(values) = schema["enum"].as_array() {
        return Some(values.iter().filter(|value| value.is_string()).cloned().collect());
    }
    if schema["const"].is_string() {
        return Some(vec![schema["const"].clone()]);
    }
    let alternatives = schema["oneOf"].as_array().or(schema["anyOf"].as_array())?;
    let alternatives = alternatives.iter().filter(|schema| schema["type"] != "null");
    let values: Option<Vec<_>> = alternatives.map(|schema| values(root, schema)).collect();
    Some(values?.concat())
}

fn words(values: &[Value]) -> String {
    let words = values.iter().map(|value| format!("`{}`", value.as_str().unwrap()));
    words.collect::<Vec<_>>().join(", ")
}
