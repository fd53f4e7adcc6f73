//! A writer's configuration that adds rows and does nothing else.

use domain::Configuration;
use domain::fault::{Fault, Result};
use serde_json::{Map, Value};

use crate::catalogue::Catalogue;

/// The keyword of a writer's schema: parameters, by name, that a run has which only adds; null for one that
/// it has not. What else stands in the document stays.
const ADDING: &str = "x-adding";
/// Another: the names of parameters with which no run only adds.
const REPLACING: &str = "x-replacing";

/// The configuration of a step as a run has it that only adds.
///
/// # Errors
/// `replay.cannot_add`: the plug-in does not say how, or cannot with these parameters.
pub(crate) fn only(catalogue: &Catalogue, configuration: &Configuration) -> Result<Configuration> {
    let kind = &configuration.source_type;
    let types = catalogue.plugin(kind).and_then(|plugin| plugin.description.source_type(kind));
    let schema = types.and_then(|kind| kind.writer.as_ref()).map(|role| &role.parameter_schema);
    let schema: Value =
        schema.map_or(Ok(Value::Null), |text| serde_json::from_str(text)).map_err(unreadable)?;
    Ok(Configuration {
        parameter: adding(&schema, kind, &configuration.parameter)?,
        parameter_blanked: adding(&schema, kind, &configuration.parameter_blanked)?,
        ..configuration.clone()
    })
}

fn adding(schema: &Value, kind: &str, parameter: &str) -> Result<String> {
    let mut members: Map<String, Value> = serde_json::from_str(parameter).map_err(unreadable)?;
    let replacing = schema[REPLACING].as_array().into_iter().flatten().filter_map(Value::as_str);
    if let Some(name) = replacing.into_iter().find(|name| members.contains_key(*name)) {
        return Err(cannot(format!(
            "with \"{name}\" rows are replaced, and a replay only adds them"
        )));
    }
    let Some(adding) = schema[ADDING].as_object() else {
        let message =
            format!("the plug-in of \"{kind}\" does not say how to add rows and nothing else");
        return Err(cannot(message));
    };
    for (name, value) in adding {
        match value {
            Value::Null => members.remove(name),
            value => members.insert(name.clone(), value.clone()),
        };
    }
    serde_json::to_string(&members).map_err(unreadable)
}

fn cannot(message: String) -> Fault {
    Fault::user("replay.cannot_add", message)
        .hint("export the dirty records, and load them with a job of their own")
}

fn unreadable(error: serde_json::Error) -> Fault {
    Fault::internal("replay.parameter", format!("a step's parameters: {error}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_would_take_away_is_left_out() {
        let schema = json!({
            "x-adding": {"preSql": null, "writeMode": "append"},
            "x-replacing": ["partition"],
        });
        let merged = adding(&schema, "a", r#"{"preSql": ["x"], "table": "t"}"#);
        assert_eq!(merged.unwrap(), r#"{"table":"t","writeMode":"append"}"#);
        for (schema, parameter) in [(&schema, r#"{"partition": "a=1"}"#), (&json!({}), "{}")] {
            let fault = adding(schema, "a", parameter).unwrap_err();
            assert_eq!(fault.code, "replay.cannot_add");
        }
    }
}
